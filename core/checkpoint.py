"""Trained models on disk: weights in half precision beside a card that says where they come from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from core.network import AnyConfig, Network, build, read_config, transformer
from core.tokens import ASSETS, Tokenizer, TokenizerError, load_tokenizer
from core.transformer import Transformer

CARD_KEYS = frozenset(
    {"name", "config", "seeds", "data_version", "steps", "tokens", "seconds"} | {"parameters", "command", "metrics"}
)


class CheckpointError(Exception):
    """A file of a model is missing or damaged; the message names it and the command that restores it."""


@dataclass(frozen=True)
class Model:
    """A trained network with the tokenizer it was trained with and the card of its training run."""

    name: str
    network: Network
    tokenizer: Tokenizer
    card: Mapping[str, Any]

    @property
    def transformer(self) -> Transformer:
        """The network, where only a Transformer will do; raises TypeError for a recurrent one."""
        return transformer(self.network)


def save(network: Network, card: Mapping[str, Any], directory: Path) -> None:
    """Write weights.safetensors (half precision) and card.json; ValueError when the card lacks a key."""
    write_card(card, directory)
    save_weights(network, directory / "weights.safetensors")


def write_card(card: Mapping[str, Any], directory: Path) -> None:
    """Write card.json; ValueError when it lacks a key."""
    if missing := CARD_KEYS - card.keys():
        raise ValueError(f"the card lacks {', '.join(sorted(missing))}")
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(card), ensure_ascii=False, indent=2)
    (directory / "card.json").write_text(text + "\n", encoding="utf-8")


def save_weights(network: Network, path: Path) -> None:
    """Write the weights in half precision."""
    save_file({name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}, path)


def save_metrics(name: str, metrics: Mapping[str, Any], *, assets: Path = ASSETS) -> None:
    """Put newly measured figures on the card of a model, of its first seed; raises CheckpointError."""
    path = assets / "models" / name / "card.json"
    card = read_card(name, assets=assets)
    by_seed = card.get("metrics_by_seed", {}) | {str(card["seeds"][0]): metrics}
    text = json.dumps(card | {"metrics": metrics, "metrics_by_seed": by_seed}, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def load(name: str = "translator", *, assets: Path = ASSETS) -> Model:
    """The model in assets/models/NAME, in single precision and ready to evaluate; raises CheckpointError."""
    directory = assets / "models" / name
    card = read_card(name, assets=assets)
    network = _read_network(directory / "weights.safetensors", card, name)
    return Model(name=name, network=network, tokenizer=_read_tokenizer(assets / "tokenizer.json"), card=card)


def kept_in(name: str, *, assets: Path = ASSETS) -> Path:
    """The folder of a row's card and log: among the curves where no weights are kept."""
    curve = assets / "curves" / name
    return curve if curve.exists() else assets / "models" / name


def read_card(name: str, *, assets: Path = ASSETS) -> dict[str, Any]:
    """Where a model comes from and how good it is; raises CheckpointError."""
    path = kept_in(name, assets=assets) / "card.json"
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(path, name, error) from error
    if not _is_card(card):
        raise _broken(path, name, "it is not the card of a model")
    return card


def _is_card(card: object) -> bool:
    """Whether all that every card has is there, and of the kind that it must be."""
    if not isinstance(card, dict) or not card.keys() >= CARD_KEYS:
        return False
    groups = [card["config"], card["metrics"] or {}, card.get("metrics_by_seed") or {}]
    numbers = [card["parameters"] or 0, card["steps"] or 0, *(card["seeds"] or ())]
    return all(isinstance(each, dict) for each in groups) and all(isinstance(each, int) for each in numbers)


def read_weights(path: Path, config: AnyConfig) -> Network:
    """A network with the weights of a file, ready to evaluate."""
    weights = {key: tensor.float() for key, tensor in load_file(path).items()}
    with torch.random.fork_rng(devices=[]):
        network = build(config)
    network.load_state_dict(weights)
    return network.eval()


def _read_network(path: Path, card: Mapping[str, Any], name: str) -> Network:
    try:
        return read_weights(path, read_config(card["config"]))
    except (OSError, SafetensorError, TypeError, KeyError, ValueError, RuntimeError) as error:
        raise _broken(path, name, error) from error


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return load_tokenizer(path)
    except TokenizerError as error:
        raise CheckpointError(str(error)) from error


def _broken(path: Path, name: str, reason: object) -> CheckpointError:
    problem = "is damaged" if path.exists() else "is missing"
    return CheckpointError(f"{path} {problem} ({reason}). Restore it with: python -m core train {name}")
