"""Korean inflection, delegated to Kiwi's joining of morphemes and cut back into the pieces it joined."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from kiwipiepy import Kiwi

ALLOMORPHS: dict[str, tuple[str, ...]] = {
    "었": ("었", "았", "였", "ᆻ"),
    "어": ("어", "아", "여"),
    "어야": ("어야", "아야", "여야", "야"),
    "어서": ("어서", "아서", "여서", "서"),
    "어라": ("어라", "아라", "여라", "라"),
    "ᆫ다": ("는다", "ᆫ다"),
    "ᆫ다고": ("는다고", "ᆫ다고"),
    "ᆫ다는": ("는다는", "ᆫ다는"),
    "ᆫ": ("은", "ᆫ"),
    "ᆯ": ("을", "ᆯ"),
    "면": ("으면", "면"),
    "러": ("으러", "러"),
    "라고": ("이라고", "라고"),
    "는": ("는", "은"),
    "가": ("가", "이"),
    "를": ("를", "을"),
    "와": ("와", "과"),
    "로": ("으로", "로"),
    "나": ("이나", "나"),
}
"""Surface forms that one morpheme takes after different stems, longest first."""

STAND_IN = {"vowel": "나무", "consonant": "책", "liquid": "길"}


@dataclass(frozen=True)
class Piece:
    """A morpheme as it surfaces: `surface` is NFD, so that a final consonant can stand alone."""

    surface: str
    start: int
    end: int


@cache
def _kiwi() -> Kiwi:
    return Kiwi()


@cache
def join(morphemes: tuple[tuple[str, str], ...]) -> str:
    """Join (form, tag) pairs into one inflected word; particles after Latin letters follow their sound."""
    if len(morphemes) == 1:
        return morphemes[0][0]
    last, tag = morphemes[-1]
    if last == "기" and morphemes[-2] == ("이", "VCP"):
        return join(morphemes[:-2]) + "이기"
    if last == "니":
        return join((*morphemes[:-1], ("네", tag)))[:-1] + "니"
    if morphemes[0][1] == "SL":
        sound = ending_sound(morphemes[0][0])
        tail = join(((STAND_IN[sound], "NNG"), *morphemes[1:]))
        return morphemes[0][0] + tail[len(STAND_IN[sound]) :]
    return str(_kiwi().join(list(morphemes)))


def ending_sound(latin: str) -> str:
    """Guess how a Korean reader ends a Latin word: in a vowel, a consonant, or the liquid ㄹ."""
    word = latin.lower()
    if word.endswith(("l", "le")):
        return "liquid"
    if word.endswith(("m", "n", "ng", "ck", "p", "ne", "me")):
        return "consonant"
    if len(word) > 1 and word[-1] in "kt" and word[-2] in "aeiou":
        return "consonant"
    return "vowel"


@cache
def surface_pieces(morphemes: tuple[tuple[str, str], ...]) -> tuple[str, tuple[Piece, ...]]:
    """Inflect, and say which part of the surface each morpheme became; fused syllables are shared.

    Offsets count NFC characters of the returned word. The cut is made from the right: every ending has a
    short list of allomorphs, what is left is the stem as it surfaces (도왔다 = 도와 + ᆻ + 다).
    """
    surface = join(morphemes)
    rest = unicodedata.normalize("NFD", surface)
    cuts: list[str] = []
    stem, tag = morphemes[0]
    whole = len(unicodedata.normalize("NFD", stem)) if tag.startswith(("N", "S")) else 1
    for form, _ in reversed(morphemes[1:]):
        forms = (unicodedata.normalize("NFD", f) for f in ALLOMORPHS.get(form, (form,)))
        tail = next((f for f in forms if rest.endswith(f) and len(rest) - len(f) >= whole), "")
        rest = rest[: len(rest) - len(tail)]
        cuts.append(tail)
    parts = [rest, *reversed(cuts)]
    return surface, tuple(_locate(parts))


def _locate(parts: Sequence[str]) -> list[Piece]:
    pieces = []
    before = ""
    for part in parts:
        start = _start(before, part)
        before += part
        pieces.append(Piece(part, start, len(unicodedata.normalize("NFC", before))))
    return pieces


def _start(before: str, part: str) -> int:
    """A part that begins with a final consonant (U+11A8…) shares the syllable before it."""
    length = len(unicodedata.normalize("NFC", before))
    shares = bool(part) and "ᆨ" <= part[0] <= "ᇿ"
    return length - 1 if shares else length
