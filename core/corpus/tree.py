"""What a sentence says, before it is said in either language: noun phrases and clauses as plain values.

Every node carries a `key`; both languages tag the words they make with the keys of the nodes they express, and the word
alignment is read off where the keys meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.corpus.lexicon import Adjective, Adverb, Noun, Number, PersonalPronoun, PersonName, Verb

Tense = Literal["present", "past", "future"]
Modal = Literal["", "can", "must", "have to", "want"]
Conjunction = Literal["and", "or"]
Mood = Literal["statement", "question", "imperative", "request", "suggestion"]


@dataclass(frozen=True)
class Described:
    """An adjective inside a noun phrase."""

    key: int
    adjective: Adjective
    degree: Adverb | None = None


@dataclass(frozen=True)
class NounPhrase:
    """A noun with what surrounds it. `determiner`: the, a, this, that, every, many, "" (bare)."""

    key: int
    noun: Noun
    plural: bool = False
    determiner: str = "the"
    count: Number | None = None
    possessor: Nominal | None = None
    adjectives: tuple[Described, ...] = ()
    superlative: bool = False
    relative: Clause | None = None
    name: str = ""

    @property
    def open(self) -> bool:
        """Whether Korean leaves the article (and for things the number) unsaid."""
        return self.determiner in ("the", "a", "") and not self.count and not self.possessor and not self.superlative

    @property
    def number_open(self) -> bool:
        """Whether Korean leaves the number unsaid: only living beings and pointed-at things are marked by 들."""
        animate = self.noun.human or "animal" in self.noun.classes
        free = self.open or self.possessor is not None
        return free and self.noun.countable and not animate and not self.name

    @property
    def many(self) -> bool:
        return self.plural or (self.count is not None and self.count.value > 1) or self.determiner == "many"


@dataclass(frozen=True)
class Pronoun:
    """A personal pronoun; with `antecedent` the Korean side repeats that noun phrase instead."""

    key: int
    pronoun: PersonalPronoun
    antecedent: NounPhrase | Named | None = None
    dropped: bool = False
    rival: NounPhrase | Named | None = None


@dataclass(frozen=True)
class Named:
    """A person's name, or an invented one (`entry.korean == entry.name`) that both sides copy."""

    key: int
    entry: PersonName
    invented: bool = False


@dataclass(frozen=True)
class Coordination:
    key: int
    first: NounPhrase | Named
    conjunction: Conjunction
    second: NounPhrase | Named


@dataclass(frozen=True)
class Asked:
    """A question word in the place of a noun phrase: who, what, where, when, why, how."""

    key: int
    word: str


@dataclass(frozen=True)
class Gap:
    """The place in a relative clause where its head noun would stand."""

    key: int
    head: NounPhrase | None = None
    plural: bool = False


Nominal = NounPhrase | Pronoun | Named | Coordination | Asked | Gap


@dataclass(frozen=True)
class Place:
    """Where: `relation` is an English preposition with its Korean noun, or ("in", "") and ("to", "")."""

    key: int
    nominal: Nominal
    relation: tuple[str, str] = ("in", "")


@dataclass(frozen=True)
class Clause:
    """One clause. `kind` picks the predicate: verb, adjective, copula, exist, have, weather, age."""

    key: int
    kind: str
    subject: Nominal
    verb: Verb | None = None
    adjective: Adjective | None = None
    complement: Nominal | None = None
    recipient: Nominal | None = None
    recipient_last: bool = False
    tense: Tense = "present"
    shifted: bool = False
    negative: bool = False
    modal: Modal = ""
    progressive: bool = False
    passive: bool = False
    mood: Mood = "statement"
    degree: Adverb | None = None
    than: Nominal | None = None
    manner: Adverb | None = None
    frequency: Adverb | None = None
    time: Adverb | None = None
    company: Nominal | None = None
    instrument: Nominal | None = None
    place: Place | None = None
    purpose: Clause | None = None
    content: Clause | None = None
    joined: tuple[str, Clause] | None = None
    subordinate: tuple[str, Clause] | None = None
    subordinate_first: bool = False
    age: Number | None = None
    asked: Asked | None = None
    weather: tuple[str, str, str, str, str, str] | None = None


@dataclass(frozen=True)
class Sentence:
    clause: Clause
    mark: bool = True
    construction: str = ""
