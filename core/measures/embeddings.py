"""How an embedding table is arranged: who is near whom, whether kin are near, and what a few directions can show.

Nearness is the cosine throughout. Every figure comes with what a table of random rows would give, which is what the
table was before training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from core.tokens import Tokenizer

SHUFFLES = 10
FEWEST = 5  # words that a class needs to be listed by itself
DRIFTED = 0.5  # cosine with the rows of unused pieces from which a row counts as hardly trained

Rows = Float[Tensor, "row width"]
Labels = Sequence[Collection[str]]


def untrained(rows: int, width: int, seed: int = 0) -> Rows:
    """A table as it is before training: independent and normal, each row about 1 long."""
    drawn: Tensor = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) / width**0.5
    return drawn


def cosines(rows: Rows, vector: Float[Tensor, " width"]) -> Float[Tensor, " row"]:
    """The cosine of every row with a vector."""
    return functional.cosine_similarity(rows, vector[None], dim=-1)


def nearest(rows: Rows, row: int, count: int) -> tuple[list[int], list[float]]:
    """The rows with the largest cosine to one of them, itself left out, and those cosines."""
    likeness = cosines(rows, rows[row])
    likeness[row] = -torch.inf
    best = likeness.topk(min(count, len(rows) - 1))
    return best.indices.tolist(), best.values.tolist()


def hardly_trained(rows: Rows, tokenizer: Tokenizer) -> Bool[Tensor, " row"]:
    """Rows that lie where the rows of unused pieces lie.

    The softmax pushes every row that is never the answer the same way, so pieces that training hardly used end up
    side by side. The fallback bytes, which hardly any text needs, show which way that is.
    """
    unused = [tokenizer.backend.token_to_id(f"<0x{value:02X}>") for value in range(256)]
    drift = functional.normalize(rows[[each for each in unused if each is not None]], dim=-1).mean(0)
    return cosines(rows, drift) > DRIFTED


# --- do kin lie close? ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kin:
    """One class: how many words it has, how many of their neighbours share it, and how many would by chance."""

    name: str
    words: int
    observed: float
    chance: float


@dataclass(frozen=True)
class Closeness:
    """The share of the words' nearest neighbours that share a class with them.

    `chance` is that share among all pairs, `shuffled` the lowest and highest with the classes dealt out anew,
    `untrained` what random rows give; `alike` and `unlike` are the mean cosines of pairs with and without a class
    in common.
    """

    words: int
    classes: int
    observed: float
    chance: float
    shuffled: tuple[float, float]
    untrained: float
    alike: float
    unlike: float
    kin: tuple[Kin, ...]


def closeness(rows: Rows, labels: Labels, *, neighbours: int = 1, seed: int = 0) -> Closeness:
    """Whether the nearest `neighbours` of each word share a class with it; `labels` are each word's classes."""
    count = len(rows)
    member, others = _membership(labels), ~torch.eye(count, dtype=torch.bool)
    shares = member @ member.T > 0
    likeness, before = _likeness(rows), _likeness(untrained(count, rows.shape[1], seed))
    near = _near(likeness, neighbours)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(count, generator=generator) for _ in range(SHUFFLES)]
    shuffled = [_share(member[order], near) for order in orders]
    return Closeness(
        words=count,
        classes=member.shape[1],
        observed=_share(member, near),
        chance=float(shares[others].float().mean()),
        shuffled=(min(shuffled), max(shuffled)),
        untrained=_share(member, _near(before, neighbours)),
        alike=float(likeness[shares & others].mean()),
        unlike=float(likeness[~shares].mean()),
        kin=tuple(_kin(labels, near)),
    )


def _membership(labels: Labels) -> Float[Tensor, "row name"]:
    """1 where a word is in a class."""
    names = {name: index for index, name in enumerate(sorted({name for each in labels for name in each}))}
    member = torch.zeros(len(labels), len(names))
    for index, each in enumerate(labels):
        member[index, [names[name] for name in each]] = 1
    return member


def _likeness(rows: Rows) -> Float[Tensor, "row row"]:
    directions = functional.normalize(rows, dim=-1)
    return directions @ directions.T


def _near(likeness: Float[Tensor, "row row"], count: int) -> Int[Tensor, "row neighbour"]:
    return likeness.clone().fill_diagonal_(-torch.inf).topk(count).indices


def _share(member: Float[Tensor, "row name"], near: Int[Tensor, "row neighbour"]) -> float:
    """How many of the neighbours have a class in common with their word."""
    return float(((member[:, None] * member[near]).sum(-1) > 0).float().mean())


def _kin(labels: Labels, near: Int[Tensor, "row neighbour"]) -> list[Kin]:
    """The classes with enough words, the most faithful first."""
    counts = Counter(label for each in labels for label in each)
    found = []
    for name, words in counts.items():
        if words < FEWEST:
            continue
        mine = torch.tensor([name in each for each in labels])
        observed = float(mine[near[mine]].float().mean())
        found.append(Kin(name, words, observed, (words - 1) / (len(labels) - 1)))
    return sorted(found, key=lambda kin: (-kin.observed, kin.name))


@dataclass(frozen=True)
class Translations:
    """How near a word's row is to its translation's: mean cosines, and how often it is the nearest of `among`."""

    pairs: int
    cosine: float
    unrelated: float
    nearest: float
    median_rank: float
    among: int


def translations(rows: Rows, pairs: Sequence[tuple[int, int]]) -> Translations:
    """Word pairs of two languages as row numbers; rank 1 is the nearest word of the second language."""
    first, second = sorted({one for one, _ in pairs}), sorted({other for _, other in pairs})
    likeness = functional.normalize(rows[first], dim=-1) @ functional.normalize(rows[second], dim=-1).T
    left = torch.tensor([first.index(one) for one, _ in pairs])
    right = torch.tensor([second.index(other) for _, other in pairs])
    found = likeness[left, right]
    ranks = (likeness[left] > found[:, None]).sum(-1) + 1
    return Translations(
        pairs=len(pairs),
        cosine=float(found.mean()),
        unrelated=float(likeness.mean()),
        nearest=float((ranks == 1).float().mean()),
        median_rank=float(ranks.double().quantile(0.5)),
        among=len(second),
    )


# --- maps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Projection:
    """The directions in which some rows differ most, and the share of their variance along each."""

    mean: Float[Tensor, " width"]
    directions: Float[Tensor, "dimension width"]
    shares: tuple[float, ...]

    def place(self, rows: Rows) -> Float[Tensor, "row dimension"]:
        """Where rows lie along them, be they those that decided the directions or others."""
        return (rows - self.mean) @ self.directions.T


def principal_components(rows: Rows, dimensions: int) -> Projection:
    """The first principal components, by the singular values of the centred rows.

    A component's sign means nothing; here its largest entry is positive, so that a map does not flip.
    """
    mean = rows.mean(0)
    _, values, directions = torch.linalg.svd(rows - mean, full_matrices=False)
    variance = values.square()
    shares = (variance / variance.sum().clamp_min(1e-30))[:dimensions].tolist()
    shown = directions[:dimensions]
    largest = shown.gather(1, shown.abs().argmax(-1, keepdim=True))
    return Projection(mean, shown * largest.sign(), tuple(shares))
