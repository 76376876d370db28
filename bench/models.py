"""What is measured: the trained translator, or one of its size with random weights, and sentences for it."""

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from core.checkpoint import CARD_KEYS, Model, load, save
from core.tokens import ASSETS, Tokenizer, load_tokenizer
from core.transformer import Transformer
from core.variants import VARIANTS

TRANSLATOR = "translator"
ENGLISH = "The animal did not cross the street because it was too tired and the dog was too old"
KOREAN = "나는 책을 읽고 너는 물을 마시고 우리는 집에 간다"


@contextmanager
def assets() -> Iterator[Path]:
    """A folder with the translator in it: the repository's own, or a passing one with random weights."""
    if (ASSETS / "models" / TRANSLATOR / "weights.safetensors").exists():
        yield ASSETS
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tokenizer.json").symlink_to(ASSETS / "tokenizer.json")
        save_untrained(load_tokenizer(), folder / "models" / TRANSLATOR)
        yield folder


def save_untrained(tokenizer: Tokenizer, folder: Path) -> None:
    """A seeded network of the translator's size; its card says what it is."""
    torch.manual_seed(0)
    network = Transformer(VARIANTS[TRANSLATOR].config(tokenizer.size))
    card = dict.fromkeys(CARD_KEYS, 0) | {"name": "random weights", "config": network.config.to_json()}
    save(network, card, folder)


def translator() -> Model:
    """The model in `assets()`, under the name on its card."""
    with assets() as folder:
        model = load(TRANSLATOR, assets=folder)
    return replace(model, name=str(model.card["name"]))


def endless(model: Model) -> Model:
    """A copy that never writes `<end>`: its tied vector is zero, and another token always scores above zero."""
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        network.embedding.weight[model.tokenizer.end_id] = 0.0
    return replace(model, network=network)


def beginning(text: str, pieces: int, tokenizer: Tokenizer) -> str:
    """The first words of a text that come to so many pieces, with full stops where words alone do not."""
    words, chosen = text.split(), ""
    for count in range(len(words) + 1):
        if len(tokenizer.encode(longer := " ".join(words[:count]))) <= pieces:
            chosen = longer
    chosen += "." * (pieces - len(tokenizer.encode(chosen)))
    if len(tokenizer.encode(chosen)) != pieces:
        raise ValueError(f"{text!r} has no beginning of {pieces} pieces")
    return chosen


def ids(tokens: tuple[object, ...]) -> torch.Tensor:
    """A batch of one."""
    return torch.tensor([[token.id for token in tokens]])
