"""Positions inside the attention: turned queries and keys (RoPE), distances taken from scores (ALiBi), and moved ones.

Heads are those of the encoder's self-attentions in a run; arithmetic is in double precision unless a model runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.attention import scaled_scores
from core.hooks import listen
from core.positions import Rotations, rotate
from core.run import Run

ANGLES = "relative.angles"
POSITION = "source.position"


@dataclass(frozen=True, eq=False)
class Turned:
    """One head of a rotary run: queries and keys as projected, and the angle of one position for each pair."""

    query: Float[Tensor, "query channel"]
    key: Float[Tensor, "key channel"]
    frequencies: Float[Tensor, " pair"]

    def angles(self, count: int, shift: int = 0) -> Float[Tensor, "{count} pair"]:
        """By how much each pair of channels is turned at the positions shift, shift + 1, and so on, in radians."""
        return (torch.arange(count, dtype=torch.float64)[:, None] + shift) * self.frequencies

    def scores(self, query_shift: int = 0, key_shift: int = 0) -> Float[Tensor, "query key"]:
        """Scaled scores when the queries stand `query_shift` positions farther on, and the keys `key_shift`."""
        query = rotate(self.query, self.angles(len(self.query), query_shift))
        key = rotate(self.key, self.angles(len(self.key), key_shift))
        return scaled_scores(query, key)


def turned(run: Run, layer: int, head: int) -> Turned:
    """A head of a rotary run with its queries and keys turned back; raises TypeError for a run of another row."""
    relative = run.transformer.encoder.layers[layer].self_attention.relative
    if not isinstance(relative, Rotations):
        raise TypeError("queries and keys of this model are not turned")
    attention, frequencies = run.encoder[layer].self_attention, relative.frequencies.double()
    angles = torch.arange(len(run.source_tokens), dtype=torch.float64)[:, None] * frequencies
    back = [rotate(part[head].double(), -angles) for part in (attention.query, attention.key)]
    return Turned(back[0], back[1], frequencies)


@dataclass(frozen=True, eq=False)
class Biased:
    """One head of an ALiBi run: scores are products plus biases, and the weights that the products alone would give."""

    products: Float[Tensor, "query key"]
    biases: Float[Tensor, "query key"]
    scores: Float[Tensor, "query key"]
    weights: Float[Tensor, "query key"]
    unbiased: Float[Tensor, "query key"]


def biased(run: Run, layer: int, head: int) -> Biased:
    """A head of an ALiBi run taken apart; raises KeyError for a run of another row."""
    attention = run.encoder[layer].self_attention
    biases = run.tensor(f"encoder.{layer}.self_attention.relative.bias")[head]
    products = scaled_scores(attention.query[head].double(), attention.key[head].double())
    return Biased(products, biases, attention.scores[head], attention.weights[head], products.softmax(-1))


def mean_distance(weights: Float[Tensor, "query key"]) -> float:
    """How far a head looks: the distance of query and key, averaged with its weights."""
    places = torch.arange(len(weights))
    return float((weights * (places[:, None] - places).abs()).sum(-1).mean())


@torch.inference_mode()
def shifted(run: Run, by: int) -> list[float]:
    """The largest change of a score in each encoder layer when every source token stands `by` positions farther on.

    Raises core.positions.TooLong where a model has no such positions.
    """
    network, count = run.transformer, len(run.source_tokens)
    ids = torch.tensor([[token.id for token in run.source_tokens]])
    places: Tensor = network.source.positions(by, count)[None]
    heard: dict[str, Tensor] = {}

    def move(path: str, value: Tensor) -> Tensor | None:
        if path.endswith(ANGLES):
            return value + by * value[:, 1:2]  # at position 1 an angle is its frequency
        heard[path] = value
        return places if path == POSITION else None

    scores = [f"encoder.{layer}.self_attention.scores" for layer in range(len(run.encoder))]
    angles = [path for path in network.paths if path.startswith("encoder.") and path.endswith(ANGLES)]
    with listen(move, paths={POSITION, *angles, *scores}):
        network.encode(ids, torch.ones_like(ids, dtype=torch.bool))
    return [float((heard[path][0] - run.tensor(path)).abs().max()) for path in scores]
