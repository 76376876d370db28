"""The lexicon: reviewed tables of words, read once, and picked from by what a word can do in a sentence."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLES = Path(__file__).parent / "lexicon"

GROUPS: dict[str, tuple[str, ...]] = {
    "human": ("person", "family", "job"),
    "animate": ("human", "animal"),
    "goable": ("building", "place", "room", "country"),
    "edible": ("food", "fruit"),
    "holdable": (
        *("object", "tool", "school", "text", "container", "device", "accessory", "food", "drink"),
        *("clothes", "footwear", "headwear", "instrument"),
    ),
    "thing": ("holdable", "furniture", "vehicle", "plant", "housepart"),
    "any": ("animate", "thing", "nature", "sky", "building", "place"),
}
"""Names for sets of noun classes; a group may contain groups."""


INVENTED = "invented"
"""The sense of a nonsense noun, which both languages carry unchanged."""


@dataclass(frozen=True, eq=False)
class Noun:
    english: str
    plural: str
    korean: str
    classes: frozenset[str]
    counter: str
    gender: str
    article: str
    sense: str

    @property
    def countable(self) -> bool:
        return self.plural not in ("-", self.english)

    @property
    def human(self) -> bool:
        return bool(self.classes & resolve("human"))


@dataclass(frozen=True, eq=False)
class Verb:
    english: str
    past: str
    participle: str
    ing: str
    third: str
    korean: str
    tag: str
    frame: str
    subject: frozenset[str]
    object: frozenset[str]
    preposition: str
    particle: str
    passive: str
    stative: bool
    sense: str


@dataclass(frozen=True, eq=False)
class Adjective:
    english: str
    comparative: str
    superlative: str
    korean: str
    tag: str
    classes: frozenset[str]
    sense: str


@dataclass(frozen=True, eq=False)
class Adverb:
    english: str
    korean: str
    kind: str
    tense: str


@dataclass(frozen=True, eq=False)
class PersonName:
    name: str
    korean: str
    gender: str
    origin: str


@dataclass(frozen=True, eq=False)
class PersonalPronoun:
    subject: str
    object: str
    possessive: str
    korean: str
    korean_possessive: str
    person: int
    plural: bool
    gender: str


@dataclass(frozen=True, eq=False)
class Number:
    value: int
    english: str
    native: str
    sino: str


POSTURES = frozenset({"앉다", "서다", "눕다"})
"""Verbs whose present and progressive are a state: is sitting, 앉아 있다."""


@cache
def resolve(selector: str) -> frozenset[str]:
    """The noun classes that a selector such as "human,animal" stands for."""
    classes: set[str] = set()
    for name in filter(None, (part.strip() for part in selector.split(","))):
        if name in GROUPS:
            classes |= resolve(",".join(GROUPS[name]))
        else:
            classes.add(name)
    return frozenset(classes)


def rows(name: str) -> list[dict[str, str]]:
    with (TABLES / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return [{k: (v or "").strip() for k, v in row.items()} for row in csv.DictReader(file, delimiter="\t")]


@dataclass(frozen=True, eq=False, repr=False)
class Lexicon:
    """Every table, in order of frequency; `sliced` keeps the front of each for small models."""

    nouns: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[Adjective, ...]
    adverbs: tuple[Adverb, ...]
    time_phrases: tuple[Adverb, ...]
    names: tuple[PersonName, ...]
    pronouns: tuple[PersonalPronoun, ...]
    numbers: tuple[Number, ...]
    relations: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        tables = (self.nouns, self.verbs, self.adjectives, self.adverbs, self.time_phrases, self.names)
        return sum(map(len, tables)) + len(self.pronouns) + len(self.numbers) + len(self.relations)

    @cache  # noqa: B019 - two lexicons exist, both for the life of the process
    def nouns_of(self, classes: frozenset[str]) -> tuple[Noun, ...]:
        """Nouns of these classes that can be told apart here: two senses of one word exclude each other."""
        found = [noun for noun in self.nouns if noun.classes & classes]
        english = _counts(noun.english for noun in found)
        korean = _counts(noun.korean for noun in found)
        return tuple(n for n in found if english[n.english] == 1 and korean[n.korean] == 1)

    @cache  # noqa: B019
    def verbs_of(self, frame: str) -> tuple[Verb, ...]:
        return tuple(verb for verb in self.verbs if verb.frame == frame)

    @cache  # noqa: B019
    def adjectives_for(self, noun: Noun) -> tuple[Adjective, ...]:
        return tuple(adjective for adjective in self.adjectives if adjective.classes & noun.classes)

    @cache  # noqa: B019
    def adjectives_of(self, classes: frozenset[str]) -> tuple[Adjective, ...]:
        return tuple(adjective for adjective in self.adjectives if adjective.classes & classes)

    @cache  # noqa: B019
    def adverbs_of(self, kind: str, tense: str = "any") -> tuple[Adverb, ...]:
        fits = ("any", tense)
        return tuple(a for a in self.adverbs if a.kind == kind and a.tense in fits)

    @cache  # noqa: B019
    def senses(self) -> dict[tuple[str, str], tuple[Noun, ...]]:
        """Nouns that share one word, keyed by (language, word)."""
        groups: dict[tuple[str, str], list[Noun]] = defaultdict(list)
        for noun in self.nouns:
            groups["en", noun.english].append(noun)
            groups["ko", noun.korean].append(noun)
        return {key: tuple(group) for key, group in groups.items() if len(group) > 1}


def _counts(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for word in words:
        counts[word] += 1
    return counts


@cache
def load_lexicon() -> Lexicon:
    """Read the tables in core/corpus/lexicon/; raises OSError when one is missing."""
    return Lexicon(
        nouns=tuple(
            Noun(**{**row, "classes": resolve(row["classes"])})  # type: ignore[arg-type]
            for row in rows("nouns")
        ),
        verbs=tuple(verb for row in rows("verbs") for verb in _verbs(row)),
        adjectives=tuple(
            Adjective(**{**row, "classes": resolve(row["classes"])})  # type: ignore[arg-type]
            for row in rows("adjectives")
        ),
        adverbs=tuple(Adverb(**row) for row in rows("adverbs")),
        time_phrases=tuple(Adverb(row["english"], row["korean"], "time", row["tense"]) for row in rows("timephrases")),
        names=tuple(PersonName(**row) for row in rows("names")),
        pronouns=tuple(_pronoun(row) for row in rows("pronouns")),
        numbers=tuple(Number(int(row["value"]), row["english"], row["native"], row["sino"]) for row in rows("numbers")),
        relations=tuple((row["english"], row["korean"]) for row in rows("relations")),
    )


def _verbs(row: dict[str, str]) -> Iterable[Verb]:
    for frame in row["frame"].split(","):
        yield Verb(
            **{  # type: ignore[arg-type]
                **row,
                "frame": frame.strip(),
                "subject": resolve(row["subject"]),
                "object": resolve(row["object"]) if frame.strip() not in ("i", "m", "l") else frozenset(),
                "stative": row["stative"] == "1",
            }
        )


def _pronoun(row: dict[str, str]) -> PersonalPronoun:
    return PersonalPronoun(
        row["subject"],
        row["object"],
        row["possessive"],
        row["korean"],
        row["korean_possessive"],
        int(row["person"]),
        row["number"] == "pl",
        row["gender"],
    )
