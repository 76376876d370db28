"""What a model reaches that ignores whatever it reads: the plateau on which a run that learns nothing stays."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from core.checkpoint import CheckpointError
from core.tokens import ASSETS

FILE = "unigram.json"
COMMAND = "python -m core corpus unigram"


@dataclass(frozen=True)
class Plateau:
    """Loss (nats per token) and accuracy of whoever knows how frequent each piece is in training, and nothing else.

    `by_language` knows the frequencies of each target language, and which one is asked for. Held-out figures are of
    the pairs on which training validates.
    """

    data_version: str
    pairs: int
    vocabulary: int
    loss: float
    accuracy: float
    by_language: float
    held_out_loss: float
    held_out_accuracy: float
    held_out_by_language: float

    def write(self, path: Path) -> None:
        """Keep the figures, and the command that measures them again."""
        path.write_text(json.dumps(asdict(self) | {"command": COMMAND}, indent=2) + "\n", encoding="utf-8")


def read_plateau(assets: Path = ASSETS) -> Plateau:
    """The figures in `assets`; raises CheckpointError, whose message has the command that measures them."""
    path = assets / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Plateau(**{name: found[name] for name in Plateau.__dataclass_fields__})
    except (OSError, ValueError, TypeError, KeyError) as error:
        problem = "is damaged" if path.exists() else "is missing"
        raise CheckpointError(f"{path} {problem} ({error}). Restore it with: {COMMAND}") from error


def smoothed(counts: Int[Array, "*language vocab"]) -> Float[Array, "*language vocab"]:
    """The share of each piece, counted once more than it occurred: what never occurred is not impossible."""
    more = counts + 1.0
    return np.asarray(more / more.sum(-1, keepdims=True))


def surprise(counts: Int[Array, "*language vocab"], shares: Float[Array, "*language vocab"]) -> float:
    """Mean −log share, in nats, over all pieces counted: the entropy where the shares are the counts' own."""
    seen = counts > 0
    return float(-(counts[seen] * np.log(shares[seen])).sum() / counts.sum())
