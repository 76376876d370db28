"""Words as the grammars emit them, and their assembly into a line of text with offsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.corpus.inflection import surface_pieces
from core.corpus.pair import Side, Word

Key = tuple[int, str]
Keys = frozenset[Key]
NONE: Keys = frozenset()


@dataclass(frozen=True)
class Unit:
    """A word before it has a place. `sure` and `possible` are the keys of the nodes it expresses."""

    text: str
    slot: str
    sure: Keys = NONE
    possible: Keys = NONE
    lemma: str = ""
    glued: bool = False


@dataclass(frozen=True)
class Morpheme:
    """A Korean morpheme: `tag` is Kiwi's tag; several of them join into one word."""

    form: str
    tag: str
    slot: str
    sure: Keys = NONE
    possible: Keys = NONE
    lemma: str = ""


Eojeol = tuple[Morpheme, ...]


@dataclass(frozen=True)
class Line:
    """A finished side with the keys of each of its words."""

    side: Side
    sure: tuple[Keys, ...]
    possible: tuple[Keys, ...]


def keys(node: int, *parts: str) -> Keys:
    return frozenset((node, part) for part in parts)


def english_line(units: Sequence[Unit], mark: str) -> Line:
    """Space the units, capitalise the first letter and close with the mark."""
    units = [*units, Unit(mark, "mark", keys(0, "mark"), lemma=mark, glued=True)] if mark else list(units)
    text, words = "", []
    for unit in units:
        gap = "" if unit.glued or not text else " "
        surface = unit.text if text else unit.text[0].upper() + unit.text[1:]
        start = len(text) + len(gap)
        text += gap + surface
        words.append(Word(surface, start, len(text), unit.slot, unit.lemma or unit.text))
    return _line(text, words, units)


def korean_line(eojeols: Iterable[Eojeol], mark: str) -> Line:
    """Inflect every word and put spaces between them."""
    text, words, morphemes = "", [], []
    for eojeol in eojeols:
        gap = " " if text else ""
        surface, pieces = surface_pieces(tuple((m.form, m.tag) for m in eojeol))
        offset = len(text) + len(gap)
        text += gap + surface
        for morpheme, piece in zip(eojeol, pieces, strict=True):
            if piece.surface:
                start, end = offset + piece.start, offset + piece.end
                words.append(Word(piece.surface, start, end, morpheme.slot, morpheme.lemma or morpheme.form))
                morphemes.append(morpheme)
    if mark:
        words.append(Word(mark, len(text), len(text) + 1, "mark", mark))
        morphemes.append(Morpheme(mark, "SF", "mark", keys(0, "mark")))
        text += mark
    return _line(text, words, morphemes)


def _line(text: str, words: list[Word], units: Sequence[Unit | Morpheme]) -> Line:
    sure = tuple(unit.sure for unit in units)
    possible = tuple(unit.sure | unit.possible for unit in units)
    return Line(Side(text, tuple(words)), sure, possible)
