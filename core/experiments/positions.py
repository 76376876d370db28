"""What a position's vector must do, measured: turn, tell places apart, stay readable, betray the order.

The sinusoid is that of Vaswani et al. 2017, section 3.5 (`core.positions.sinusoid`); everything here is in float64
unless a caller hands in something else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.positions import sinusoid

BASE = 10_000.0
TOKENS, PLACES = 400, 32  # what the probe tells apart
SEEN_TOKENS, SEEN_PLACES = 300, 24  # those the probe learns beside; it is graded beside the others
RIDGE = 1.0

Join = Literal["sum", "concat"]

# --- E04: the sinusoid ----------------------------------------------------------------------------------------------


def frequencies(width: int, base: float = BASE) -> Float[Tensor, " pair"]:
    """The angle that each pair of channels turns from one position to the next, in radians."""
    exponents = -torch.arange(0, width, 2, dtype=torch.float64) / width
    angles: Tensor = base**exponents
    return angles


def rotation(by: int, width: int, base: float = BASE) -> Float[Tensor, "{width} {width}"]:
    """R_k: turns each pair of channels by k times its frequency, whatever the position is."""
    angles = by * frequencies(width, base)
    rows = (angles.cos(), angles.sin(), -angles.sin(), angles.cos())
    turns: Tensor = torch.block_diag(*torch.stack(rows, dim=-1).view(-1, 2, 2))
    return turns


def rotation_error(vectors: Float[Tensor, "position width"], by: int, base: float = BASE) -> float:
    """The largest entry of PE(p + k) − R_k PE(p), over all positions that have both."""
    turned = vectors[: len(vectors) - by] @ rotation(by, vectors.shape[1], base).T
    return float((vectors[by:] - turned).abs().max())


def similarities(width: int, distances: Int[Tensor, " distance"], base: float = BASE) -> Float[Tensor, " distance"]:
    """Σ cos(ω_i k) over the pairs: what PE(p) · PE(p + k) must be if it depends on the distance k alone."""
    return (distances[:, None] * frequencies(width, base)).cos().sum(-1)


def toeplitz_deviation(products: Float[Tensor, "position position"]) -> float:
    """The largest standard deviation along a diagonal: 0 if similarity depends on the distance alone."""
    count = len(products)
    return max(float(products.diagonal(shift).std(correction=0)) for shift in range(1 - count, count))


def toeplitz_share(products: Float[Tensor, "position position"]) -> float:
    """The share of the variance of the products of two different positions that their distance explains.

    1 − Var(what is left on each diagonal) / Var(all): 1 if similarity depends on the distance alone.
    """
    count = len(products)
    places = torch.arange(count)
    apart = (places - places[:, None]).abs()
    values, distances = products[apart > 0].double(), apart[apart > 0]
    sums = torch.zeros(count, dtype=torch.float64).index_add(0, distances, values)
    means = sums / distances.bincount(minlength=count).clamp(min=1)
    return 1 - float((values - means[distances]).square().mean() / values.var(correction=0))


def by_distance(products: Float[Tensor, "position position"]) -> list[tuple[float, float, float]]:
    """Lowest, mean and highest product of two positions at distance 0, 1, and so on."""
    diagonals = [products.diagonal(distance) for distance in range(len(products))]
    return [(float(each.min()), float(each.mean()), float(each.max())) for each in diagonals]


def largest_rise(values: Sequence[float]) -> tuple[int, int]:
    """Where a sequence rises most: the places of a value and of the larger one after it; (0, 0) if it never rises."""
    lowest, best = 0, (0, 0)
    for place, value in enumerate(values):
        lowest = place if value < values[lowest] else lowest
        if value - values[lowest] > values[best[1]] - values[best[0]]:
            best = lowest, place
    return best


@dataclass(frozen=True)
class Alike:
    """The two positions that are hardest to tell apart: how many positions lie between, how far apart the vectors."""

    distance: int
    apart: float
    neighbours: float


def most_alike(width: int, base: float = BASE, count: int = 2_000) -> list[Alike]:
    """The closest positions below `count` through the first pair of channels alone, the first two pairs, and so on.

    ‖PE(p) − PE(p + k)‖² = Σ 4 sin²(ω_i k / 2) is the same for every p, so only distances are tried. `neighbours` is
    how far apart the vectors of p and p + 1 are.
    """
    distances = torch.arange(1, count)
    halves = (distances[:, None] * frequencies(width, base) / 2).sin()
    apart = 2 * halves.square().cumsum(-1).sqrt()
    found = apart.min(dim=0)
    rows = zip(found.indices.tolist(), found.values.tolist(), apart[0].tolist(), strict=True)
    return [Alike(index + 1, nearest, neighbours) for index, nearest, neighbours in rows]


def sines_alone(width: int, base: float = BASE, pairs: int = 8, count: int = 2_000) -> list[float]:
    """How far apart the two most alike positions below `count` are through the first sine, the first two, and so on.

    Without cosines that is no function of the distance, so all positions are compared.
    """
    sines = (torch.arange(count)[:, None] * frequencies(width, base)).sin()[:, :pairs]
    apart, nearest = torch.full((count, count), 0.0, dtype=torch.float64).fill_diagonal_(torch.inf), []
    for wave in sines.T:
        apart += (wave[:, None] - wave).square_()
        nearest.append(math.sqrt(float(apart.min())))
    return nearest


def pair_apart(first: int, second: int, frequency: float = 1.0) -> float:
    """How far apart one sine with its cosine puts two positions: 2 |sin(ω (p − q) / 2)|, at most 2."""
    return 2 * abs(math.sin(frequency * (first - second) / 2))


def nearest_pair(vectors: Float[Tensor, "position width"]) -> tuple[int, int, float]:
    """The two positions that are hardest to tell apart, and how far apart their vectors are."""
    apart = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    apart.fill_diagonal_(torch.inf)
    first, second = divmod(int(apart.argmin()), len(vectors))
    return min(first, second), max(first, second), float(apart[first, second])


def shift_error(vectors: Float[Tensor, "position width"], by: int, fitted: int = 50) -> float:
    """How badly the best affine map PE(p) ↦ PE(p + k), fitted below position `fitted`, does beyond it.

    Root of the mean squared error over the standard deviation: 0 is exact, 1 as bad as always answering the mean.
    """
    before, after = with_ones(vectors[:-by]), vectors[by:]
    mapping = torch.linalg.lstsq(before[:fitted], after[:fitted], driver="gelsd").solution
    missed = before[fitted:] @ mapping - after[fitted:]
    return float(missed.square().mean().sqrt() / after[fitted:].std(dim=0).square().mean().sqrt())


def with_ones(rows: Float[Tensor, "row width"]) -> Float[Tensor, "row wider"]:
    """A column of ones beside the others: the constant of an affine map."""
    return torch.cat((rows, torch.ones(len(rows), 1, dtype=rows.dtype)), dim=-1)


def _index(count: int, width: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64)[:, None]


def _fraction(count: int, width: int) -> Tensor:
    return _index(count, width) / count


def _one_hot(count: int, width: int) -> Tensor:
    return torch.eye(count, dtype=torch.float64)


def _random(count: int, width: int) -> Tensor:
    drawn = torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(drawn, dim=-1)


def _sines(count: int, width: int) -> Tensor:
    return sinusoid(torch.arange(count), 2 * width)[:, 0::2]


def _sinusoid(count: int, width: int) -> Tensor:
    return sinusoid(torch.arange(count), width)


ALTERNATIVES: dict[str, Callable[[int, int], Tensor]] = {
    "sinusoid": _sinusoid,
    "sines": _sines,
    "index": _index,
    "fraction": _fraction,
    "one-hot": _one_hot,
    "random": _random,
}
"""Vectors one could give to positions 0 .. count − 1: `ALTERNATIVES[name](count, width)`, one row each.

`sines` has as many frequencies as channels, each without its cosine; an index is one number, a one-hot row has as many
as there are positions; `random` rows have length 1.
"""


@dataclass(frozen=True)
class Properties:
    """What is asked of position vectors; `largest` and `longest` bound their entries and their lengths."""

    largest: float
    shortest: float
    longest: float
    toeplitz: float
    shift: float
    nearest: float


def properties(name: str, width: int, count: int = 200, by: int = 5) -> Properties:
    """The requirements of section 3.5 and of common sense, measured on one row of `ALTERNATIVES`."""
    vectors = ALTERNATIVES[name](count, width)
    lengths = vectors.norm(dim=-1)
    return Properties(
        largest=float(vectors.abs().max()),
        shortest=float(lengths.min()),
        longest=float(lengths.max()),
        toeplitz=toeplitz_deviation(vectors @ vectors.T),
        shift=shift_error(vectors, by),
        nearest=nearest_pair(vectors)[2],
    )


# --- E05: what order is worth ---------------------------------------------------------------------------------------


def word_order(units: Sequence[int], seed: int) -> list[int]:
    """An order of the tokens in which units (words) have changed places; a unit of −1 stays where it is.

    Tokens of a unit stay together and in order. Of two units or more, at least one moves.
    """
    movable = [index for index, unit in enumerate(units) if unit >= 0]
    words = [[index for index in movable if units[index] == unit] for unit in dict.fromkeys(units[i] for i in movable)]
    shuffled, random = list(words), Random(seed)
    while len(words) > 1 and shuffled == words:
        random.shuffle(shuffled)
    refill = iter(index for word in shuffled for index in word)
    return [next(refill) if unit >= 0 else index for index, unit in enumerate(units)]


def word_moved(units: Sequence[int], unit: int, place: int) -> list[int]:
    """The order of the tokens when a unit (word) stands before `place` of the other units, or last.

    A unit of −1 stays where it is, as in `word_order`.
    """
    words = [each for each in dict.fromkeys(units) if each >= 0 and each != unit]
    words.insert(place, unit)
    moved = [index for word in words for index, each in enumerate(units) if each == word]
    refill = iter(moved)
    return [next(refill) if each >= 0 else index for index, each in enumerate(units)]


def equivariance_errors(
    states: Float[Tensor, "position width"], reordered: Float[Tensor, "position width"], order: Sequence[int]
) -> Float[Tensor, " position"]:
    """The largest entry of f(PX) − P f(X) at each token of the reordered sentence: 0 where order left no trace."""
    return (reordered - states[list(order)]).abs().amax(-1)


# --- E05b: side by side is a sum too --------------------------------------------------------------------------------


def concat_error(
    content: Float[Tensor, "position content"],
    position: Float[Tensor, "position channel"],
    weight: Float[Tensor, "out joined"],
) -> float:
    """The largest entry of W[x; p] − (W_x x + W_p p), where W_x and W_p are the columns of W."""
    width = content.shape[1]
    together = torch.cat((content, position), dim=-1) @ weight.T
    apart = content @ weight[:, :width].T + position @ weight[:, width:].T
    return float((together - apart).abs().max())


# --- E06: can both be read from one vector? -------------------------------------------------------------------------


@dataclass(frozen=True)
class Readable:
    """Share of unseen mixtures from which a linear probe reads the token, and the place."""

    token: float
    place: float


def probe(width: int, scale: float, join: Join = "sum", seed: int = 0) -> Readable:
    """Grade a ridge regression that reads token and place from one vector of `width` channels.

    Token vectors are drawn from N(0, 1) (an embedding at its start, times √d); places are sinusoids times `scale`. A
    sum gives both every channel, a concat three quarters to the token and one to the place. The token is read at
    places, and the place beside tokens, that the regression never saw, so that guessing scores 1 in 400, or 1 in 32.
    """
    generator = torch.Generator().manual_seed(seed)
    mixed = _mixtures(width, scale, join, generator)
    tokens, places = torch.randperm(TOKENS, generator=generator), torch.randperm(PLACES, generator=generator)
    return Readable(
        token=_accuracy(mixed[:, places[:SEEN_PLACES]], mixed[:, places[SEEN_PLACES:]]),
        place=_accuracy(mixed[tokens[:SEEN_TOKENS]].transpose(0, 1), mixed[tokens[SEEN_TOKENS:]].transpose(0, 1)),
    )


def _mixtures(width: int, scale: float, join: Join, generator: torch.Generator) -> Float[Tensor, "token place width"]:
    content = width if join == "sum" else 3 * width // 4
    channels = width if join == "sum" else width - content
    tokens = torch.randn(TOKENS, content, dtype=torch.float64, generator=generator)[:, None]
    places = scale * sinusoid(torch.arange(PLACES), channels)[None]
    if join == "sum":
        return tokens + places
    return torch.cat((tokens.expand(-1, PLACES, -1), places.expand(TOKENS, -1, -1)), dim=-1)


def _accuracy(seen: Float[Tensor, "label case width"], unseen: Float[Tensor, "label other width"]) -> float:
    """Ridge regression with a constant onto one answer for each label, read by the largest answer."""
    features, labels = with_ones(seen.flatten(0, 1)), torch.arange(len(seen)).repeat_interleave(seen.shape[1])
    gram = features.T @ features + RIDGE * torch.eye(features.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, features.T @ torch.nn.functional.one_hot(labels).double())
    answers = (with_ones(unseen.flatten(0, 1)) @ weights).argmax(-1).view(len(unseen), -1)
    return float((answers == torch.arange(len(unseen))[:, None]).double().mean())
