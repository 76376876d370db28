"""Encoding or embedding: what training made of a table with one vector for each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.checkpoint import Model
from core.experiments.positions import toeplitz_share
from core.network import build, transformer
from core.transformer import Transformer

Side = Literal["source", "target"]
UNTOUCHED = 1e-5  # 1 − cosine below which a row still points where it was drawn; stored weights are rounded
DRAWS = 200

Table = Float[Tensor, "position channel"]


def table(network: Transformer, side: Side) -> Table:
    """The learned vectors of the positions of one side; raises AttributeError where nothing is learned."""
    weight: Tensor = getattr(network, side).positions.table.weight
    return weight.detach().double()


@dataclass(frozen=True, eq=False)
class Trained:
    """A learned table, and how far each row still points where it was drawn before training (a cosine)."""

    vectors: Table
    likeness: Float[Tensor, " position"]

    @property
    def reached(self) -> int:
        """The rows that training changed, which are those of the longest training sentence: the rest only shrank."""
        return int((1 - self.likeness > UNTOUCHED).sum())


def trained(model: Model, side: Side) -> Trained:
    """The table beside itself as it was drawn, drawn again from the seed on the card.

    Weight decay shrinks a row that no sentence reaches and does not turn it. Another version of PyTorch may draw other
    numbers; then every row counts as changed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(model.card["seeds"][0]))
        drawn = table(transformer(build(model.network.config)), side)
    vectors = table(model.transformer, side)
    return Trained(vectors, torch.cosine_similarity(vectors, drawn, dim=-1))


def random_shares(count: int, width: int, draws: int = DRAWS) -> list[float]:
    """`toeplitz_share` of tables that were only drawn, in ascending order: diagonals are short, so it is not 0."""
    generator = torch.Generator().manual_seed(0)
    tables = [torch.randn(count, width, dtype=torch.float64, generator=generator) for _ in range(draws)]
    return sorted(toeplitz_share(each @ each.T) for each in tables)
