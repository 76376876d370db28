"""Invented words: pronounceable, in no dictionary, to be copied letter by letter."""

from __future__ import annotations

from random import Random

ONSETS = [
    "b",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "bl",
    "br",
    "dr",
]
ONSETS += ["fl", "gl", "gr", "kr", "pl", "sk", "sn", "st", "tr", "qu", "sh", "ch", "x", "y", "c", "th"]
VOWELS = ["a", "e", "i", "o", "u", "a", "o", "ee", "oo", "ia", "ai", "y"]
CODAS = [
    "",
    "",
    "",
    "n",
    "m",
    "l",
    "r",
    "x",
    "k",
    "t",
    "p",
    "s",
    "z",
    "ck",
    "nd",
    "rb",
    "lt",
    "q",
    "b",
    "g",
    "d",
]
INITIALS, MEDIALS, FINALS = 19, 21, 28
COMMON_MEDIALS = (0, 1, 4, 5, 6, 8, 12, 13, 17, 18, 20, 2, 9, 14)
COMMON_FINALS = (0, 0, 0, 0, 4, 8, 16, 21, 1, 17)


def invent(random: Random, *, capital: bool = True) -> str:
    """A made-up word: Latin two times in three, Hangul otherwise."""
    if random.random() < 0.35:
        return "".join(_syllable(random) for _ in range(random.choice((2, 2, 3, 3, 4))))
    parts = (
        random.choice(ONSETS) + random.choice(VOWELS) + random.choice(CODAS) for _ in range(random.choice((1, 2, 2, 3)))
    )
    word = "".join(parts)
    word = word if len(word) > 2 else word + random.choice(ONSETS) + "a"
    return word.capitalize() if capital else word


def _syllable(random: Random) -> str:
    """One Hangul syllable (Unicode 3.12: 0xAC00 + (initial × 21 + medial) × 28 + final)."""
    initial, medial = random.randrange(INITIALS), random.choice(COMMON_MEDIALS)
    return chr(0xAC00 + (initial * MEDIALS + medial) * FINALS + random.choice(COMMON_FINALS))
