"""Word alignment read off cross-attention, and how far it is from the gold (Och and Ney 2003).

A target word's link is the source word that a head looks at most. *Naive* reads the query that predicts the word,
*shifted* the query whose input the word is (Chen et al. 2020): small models align at the first, large ones at the
second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

Link = tuple[int, int]
Links = frozenset[Link]


@runtime_checkable
class Span(Protocol):
    """Anything with a place in a text: a token or a gold word."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def words_of(tokens: Sequence[Span], words: Sequence[Span]) -> Int[Array, " token"]:
    """The word each token belongs to, −1 for tokens of none (specials, spaces).

    It is the word whose span the token's is most like (intersection over union): two Korean morphemes may share a
    syllable, and then each token goes to the morpheme it covers best.
    """
    likeness = np.array([[_likeness(token, word) for word in words] for token in tokens])
    likeness = likeness.reshape(len(tokens), len(words))
    if not likeness.size:
        return np.full(len(tokens), -1)
    return np.where(likeness.max(1) > 0, likeness.argmax(1), -1)


def _likeness(one: Span, other: Span) -> float:
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return max(0, shared) / union if union else 0.0


def membership(word_of: Int[Array, " token"], words: int) -> Float[Array, "word token"]:
    """1 where a token belongs to a word, else 0."""
    belongs: Bool[Array, "word token"] = np.arange(words)[:, None] == word_of[None, :]
    return belongs.astype(np.float64)


def hard_links(
    weights: Float[Array, "*head query key"],
    query_word: Int[Array, " query"],
    key_word: Int[Array, " key"],
    targets: int,
    sources: int,
) -> Int[Array, "*head target"]:
    """The source word that each target word looks at most, −1 where it looks at none.

    `query_word` is the target word each query stands for (−1: none), so naive and shifted differ in it alone. A
    word's queries are averaged, a word's keys summed. A special token (word −1) that gets more than any word is
    the empty word of Och and Ney (2003, section 2.1): what looks there is linked to nothing.
    """
    mass = membership(query_word, targets) @ weights
    on_words = mass @ membership(key_word, sources).T
    on_none = mass[..., key_word < 0].max(-1, initial=0.0)
    best: Int[Array, "*head target"] = on_words.argmax(-1)
    return np.where(on_words.max(-1) > on_none, best, -1)


@dataclass(frozen=True)
class Counts:
    """What error rates are made of; counts of several sentences add up."""

    links: int = 0
    sure: int = 0
    links_in_sure: int = 0
    links_in_possible: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.links + other.links,
            self.sure + other.sure,
            self.links_in_sure + other.links_in_sure,
            self.links_in_possible + other.links_in_possible,
        )

    @property
    def error_rate(self) -> float:
        """AER = 1 − (|L∩S| + |L∩P|) / (|L| + |S|); 0 where there is nothing to find and nothing was found."""
        found = self.links_in_sure + self.links_in_possible
        return 1.0 - found / (self.links + self.sure) if self.links + self.sure else 0.0

    @property
    def precision(self) -> float:
        return self.links_in_possible / self.links if self.links else 0.0

    @property
    def recall(self) -> float:
        return self.links_in_sure / self.sure if self.sure else 0.0


def count(links: Links, sure: Links, possible: Links) -> Counts:
    """Compare one sentence's links with its gold; sure links are possible ones too."""
    possible = possible | sure
    return Counts(len(links), len(sure), len(links & sure), len(links & possible))


def error_rate(links: Links, sure: Links, possible: Links) -> float:
    """The alignment error rate of one sentence."""
    return count(links, sure, possible).error_rate


def total(counts: Iterable[Counts]) -> Counts:
    """The counts of a corpus, over which its error rate is computed (not the mean of the sentences' rates)."""
    return sum(counts, Counts())


def shuffled(links: Links, order: Sequence[int]) -> Links:
    """The links with target word t renamed `order[t]`: a gold that says nothing about this sentence."""
    return frozenset((source, order[target]) for source, target in links)
