"""Shapes in signatures are checked while the tests run; models are tiny, seeded and real."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook
from visits import forget

CORE = Path(__file__).parent.parent / "core"
SHAPED = [f"core.{path.stem}" for path in CORE.iterdir() if path.stem not in ("corpus", "__main__", "__init__")]
"""Every part of core that handles tensors; the corpus is words alone, and much slower when checked."""
install_import_hook(SHAPED, "beartype.beartype")

from core.checkpoint import Model  # noqa: E402
from core.tokens import Tokenizer, build  # noqa: E402
from core.transformer import Config, Transformer  # noqa: E402

torch.set_num_threads(1)
settings.register_profile("quick", max_examples=15, deadline=None)
settings.load_profile("quick")


def tiny(**changes: object) -> Transformer:
    """A network small enough to check exactly: seeded, in double precision, ready to evaluate."""
    shape = {"width": 16, "content_width": 16, "heads": 4, "feed_forward": 32}
    layers = {"encoder_layers": 2, "decoder_layers": 2}
    torch.manual_seed(0)
    return Transformer(Config(**({"vocabulary": 50} | shape | layers | changes))).double().eval()


MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the `__main__` of pytest: an AppTest leaves its script there, and spawned processes would run it."""
    monkeypatch.setitem(sys.modules, "__main__", MAIN)


@pytest.fixture
def make_network() -> Callable[..., Transformer]:
    """`make_network(heads=2)`: a tiny seeded network, changed as asked."""
    return tiny


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A real tokenizer that knows a dozen pieces and spells everything else."""
    sentences = [
        [["the"], ["cat"], ["sees"], ["a"], ["dog"], ["."]],
        [["고양이", "가"], ["개", "를"], ["보", "ㄴ다"], ["."]],
    ]
    path: Path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    return build(path, sentences, ["bank"])


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Tokenizer) -> Model:
    """An untrained network with a real tokenizer: its translations mean nothing, its arithmetic is right.

    Its weights are large, so that what it writes depends on what it reads.
    """
    network = tiny(vocabulary=tiny_tokenizer.size).float()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)
    return Model(name="tiny", network=network, tokenizer=tiny_tokenizer, card={})


@pytest.fixture
def assets(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of a test file's own `stored` that a test may damage; the app reads it, and forgets it afterwards."""
    copy = tmp_path / "assets"
    shutil.copytree(stored, copy)
    monkeypatch.setenv("HEADROOM_ASSETS", str(copy))
    forget()
    yield copy
    forget()
