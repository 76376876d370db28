"""E15a: replace the query, the key or the value of one token in one head, and see what moves.

A query decides one row of scores and a key one column; a value decides no weight at all. What is added to every key
alike is added to all scores of a row alike, which a softmax does not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.hooks import Listener
from core.run import Run

Part = Literal["query", "key", "value"]
PARTS: tuple[Part, ...] = ("query", "key", "value")
ROUNDING = 1e-5  # smaller changes of a score or a weight are the computer's arithmetic


def replaced(attention: str, head: int, part: Part, token: int, by: int) -> Listener:
    """A listener that gives one token the query, key or value of another, in one head of the attention at a path."""

    def replace(heard: str, value: Tensor) -> Tensor | None:
        if heard != f"{attention}.{part}":
            return None
        edited = value.clone()
        edited[:, head, token] = value[:, head, by]
        return edited

    return replace


def added(attention: str, head: int, part: Part, vector: Float[Tensor, " channel"]) -> Listener:
    """A listener that adds the same vector to the query, key or value of every token, in one head."""

    def add(heard: str, value: Tensor) -> Tensor | None:
        if heard != f"{attention}.{part}":
            return None
        edited = value.clone()
        edited[:, head] += vector
        return edited

    return add


@dataclass(frozen=True, eq=False)
class Moved:
    """What changed in one head: after − before; `outputs` are the lengths of the changes."""

    scores: Float[Tensor, "query key"]
    weights: Float[Tensor, "query key"]
    outputs: Float[Tensor, " query"]

    @property
    def rows(self) -> list[int]:
        """The queries that have a weight that changed."""
        return _places((self.weights.abs() > ROUNDING).any(1))

    @property
    def columns(self) -> list[int]:
        """The keys that have a score that changed."""
        return _places((self.scores.abs() > ROUNDING).any(0))


def moved(before: Run, after: Run, attention: str, head: int) -> Moved:
    """Compare one head of two runs over the same tokens; scores of masked cells count as unchanged."""
    mask = before.tensor(f"{attention}.mask")
    shown = mask if mask.dim() == 2 else mask[head]
    change = {
        name: after.tensor(f"{attention}.{name}")[head].double() - before.tensor(f"{attention}.{name}")[head].double()
        for name in ("scores", "weights", "head_outputs")
    }
    return Moved(change["scores"] * shown, change["weights"], change["head_outputs"].norm(dim=-1))


def ratio_error(before: Float[Tensor, "query key"], after: Float[Tensor, "query key"], key: int) -> float:
    """How far the weights on the other keys are from having changed by one factor for each row (0: exactly).

    Weights below a millionth are left out: their ratio is rounding.
    """
    others = torch.arange(before.shape[1]) != key
    old, new = before[:, others].double(), after[:, others].double()
    counted = (old > 1e-6) & (new > 1e-6)
    factor = torch.where(counted, new / old.clamp_min(1e-12), torch.nan)
    apart = [row[row.isfinite()] for row in factor]
    return max((float(row.max() / row.min() - 1) for row in apart if len(row)), default=0.0)


def _places(found: Tensor) -> list[int]:
    places: list[int] = found.nonzero()[:, 0].tolist()
    return places
