"""A small part of the lexicon: what the sample sentences need, and the most frequent words of each class."""

from __future__ import annotations

from collections import Counter
from functools import cache

from core.corpus.lexicon import Lexicon, Noun, load_lexicon

PER_CLASS, PER_FRAME = 4, {"t": 40, "i": 18, "m": 6, "l": 4, "p": 6, "d": 4, "c": 6}
ADJECTIVES, ADVERBS, TIMES, NAMES = 44, 5, 12, 12
CLASSES = [
    "person",
    "family",
    "job",
    "animal",
    "food",
    "fruit",
    "drink",
    "body",
    "clothes",
    "furniture",
    "housepart",
    "room",
    "building",
    "place",
    "vehicle",
    "tool",
    "device",
    "object",
    "text",
    "school",
    "instrument",
    "sport",
    "subject",
    "language",
    "event",
    "abstract",
    "openable",
    "breakable",
    "crossable",
    "cutter",
    "writingtool",
    "cleaningtool",
    "fixer",
]
SAMPLES = frozenset(
    [
        "cat",
        "animal",
        "street",
        "sofa",
        "library",
        "bank",
        "bat",
        "letter",
        "pear",
        "ship",
        "stomach",
        "eye",
        "snow",
        "horse",
        "name",
        "friend",
        "teacher",
        "student",
        "book",
        "apple",
        "school",
        "house",
        "dog",
        "bird",
        "car",
        "tea",
        "water",
        "bread",
        "city",
        "park",
        "room",
        "door",
        "window",
        "mother",
        "father",
        "brother",
    ]
)
SAMPLE_VERBS = frozenset(
    [
        "go",
        "study",
        "sleep",
        "cross",
        "eat",
        "read",
        "see",
        "love",
        "like",
        "give",
        "live",
        "open",
        "say",
        "think",
        "know",
        "ride",
        "drink",
    ]
)
SAMPLE_ADJECTIVES = frozenset(
    ["tired", "wide", "big", "small", "happy", "good", "cold", "hungry", "expensive", "sad", "old", "new"]
)


@cache
def sliced() -> Lexicon:
    """About 300 words that every construction can be said with."""
    whole = load_lexicon()
    adverbs = Counter[str]()
    kept = [a for a in whole.adverbs if _take(adverbs, a.kind, ADVERBS)]
    frames = Counter[str]()
    verbs = [v for v in whole.verbs if v.english in SAMPLE_VERBS or _take(frames, v.frame, PER_FRAME[v.frame])]
    adjectives = [a for i, a in enumerate(whole.adjectives) if i < ADJECTIVES or a.english in SAMPLE_ADJECTIVES]
    return Lexicon(
        nouns=tuple(_nouns(whole)),
        verbs=tuple(verbs),
        adjectives=tuple(adjectives),
        adverbs=tuple(kept),
        time_phrases=whole.time_phrases[:TIMES],
        names=whole.names[:NAMES] + tuple(n for n in whole.names if n.origin == "ko")[:4],
        pronouns=whole.pronouns,
        numbers=whole.numbers,
        relations=whole.relations[:7],
    )


def _nouns(whole: Lexicon) -> list[Noun]:
    common = {c: [n for n in whole.nouns if c in n.classes and not n.sense][:PER_CLASS] for c in CLASSES}
    chosen = {n.english for nouns in common.values() for n in nouns} | SAMPLES
    return [noun for noun in whole.nouns if noun.english in chosen]


def _take(counter: Counter[str], kind: str, most: int) -> bool:
    counter[kind] += 1
    return counter[kind] <= most
