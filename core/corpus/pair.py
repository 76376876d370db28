"""A sentence pair and the gold that a model trained on it can be graded against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["en", "ko"]
Direction = Literal["en-ko", "ko-en"]
Link = tuple[int, int]
CONTENT = frozenset({"noun", "name", "copy", "verb", "adjective", "adverb"})


@dataclass(frozen=True)
class Word:
    """An English word or punctuation mark, or a Korean morpheme as it surfaces.

    `start` and `end` count characters of the sentence; two Korean morphemes may share a fused syllable.
    `slot` names what the word does ("subject.noun", "verb", "particle"), `lemma` is its dictionary form.
    """

    text: str
    start: int
    end: int
    slot: str
    lemma: str

    @property
    def content(self) -> bool:
        """Whether the word has a meaning of its own, and is not there for the grammar."""
        return not CONTENT.isdisjoint(self.slot.split("."))


@dataclass(frozen=True)
class Side:
    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Sense:
    """Which meaning an ambiguous word has here, and how the other language shows it."""

    language: Language
    word: int
    sense: str
    translations: tuple[str, ...]
    rivals: tuple[str, ...]


@dataclass(frozen=True)
class Antecedent:
    """The noun an English pronoun stands for; `translation` is the noun that the Korean side repeats."""

    pronoun: int
    antecedent: int
    translation: str
    rival: str | None


@dataclass(frozen=True)
class Pair:
    """One sentence in two languages, with its word alignment (Och and Ney 2003: sure ⊆ possible)."""

    english: Side
    korean: Side
    sure: frozenset[Link]
    possible: frozenset[Link]
    antecedents: tuple[Antecedent, ...]
    senses: tuple[Sense, ...]
    subjects: tuple[tuple[Language, int, int], ...]
    negations: tuple[tuple[Language, int, tuple[int, ...]], ...]
    copies: tuple[str, ...]
    combinations: frozenset[tuple[str, str, str]]
    construction: str
    settled: bool
    _matches: Callable[[str, Direction], bool] = field(repr=False, compare=False)
    _accepted: Callable[[Direction], frozenset[str]] = field(repr=False, compare=False)

    def source(self, direction: Direction) -> str:
        return self.english.text if direction == "en-ko" else self.korean.text

    def reference(self, direction: Direction) -> str:
        return self.korean.text if direction == "en-ko" else self.english.text

    def accepted(self, direction: Direction) -> frozenset[str]:
        """Every reference that says the same; articles and numbers that Korean leaves open may vary."""
        return self._accepted(direction)

    def accepts(self, hypothesis: str, direction: Direction) -> bool:
        """Whether a translation is one of the accepted references, without listing them all."""
        return self._matches(hypothesis, direction)
