"""What the vocabulary's pieces mean, as far as the corpus's word tables say: their kind, and the class of a noun.

The tables are read as they lie in core/corpus/lexicon, without the corpus that is made from them, so that this needs
nothing that the app does not have.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.tokens import SPACE, Tokenizer

TABLES = Path(__file__).parent.parent / "corpus" / "lexicon"
KINDS = ("noun", "verb", "adjective", "adverb", "name", "number", "pronoun")
MISSING = ("", "-")  # what a table has where a word lacks a form
VERB_FORMS = ("past", "participle", "ing", "third")

Language = Literal["en", "ko"]
Row = dict[str, str]
Found = tuple[str, Language, str, str, bool]
"""A word, its language, kind and class ("" for all but nouns), and whether it is the form that a dictionary lists."""


@dataclass(frozen=True)
class Word:
    """A piece that is a whole word of the tables; a word of several meanings has several kinds or classes."""

    piece: int
    text: str
    language: Language
    kinds: frozenset[str]
    classes: frozenset[str]
    base: bool


def classified(tokenizer: Tokenizer) -> tuple[Word, ...]:
    """Every piece that the tables know, in the order of the vocabulary."""
    known: dict[int, Word] = {}
    for text, language, kind, kin, base in _words():
        piece = _piece(tokenizer, text) if text not in MISSING else None
        if piece is None:
            continue
        old = known.get(piece) or Word(piece, text, language, frozenset(), frozenset(), False)
        classes = old.classes | ({kin} if kin else set())
        known[piece] = Word(piece, text, language, old.kinds | {kind}, classes, old.base or base)
    return tuple(known[piece] for piece in sorted(known))


def translated(tokenizer: Tokenizer) -> tuple[tuple[int, int], ...]:
    """English and Korean words that the tables give as each other's translation, where each is one piece."""
    tables = [_rows(name) for name in ("nouns", "verbs", "adjectives", "adverbs")]
    pairs = {(row["english"], row["korean"].removesuffix("다")) for table in tables for row in table}
    pieces = [(_piece(tokenizer, english), _piece(tokenizer, korean)) for english, korean in sorted(pairs)]
    return tuple((one, other) for one, other in pieces if one is not None and other is not None)


def _piece(tokenizer: Tokenizer, word: str) -> int | None:
    found: int | None = tokenizer.backend.token_to_id(SPACE + unicodedata.normalize("NFD", word))
    return found


def _words() -> Iterator[Found]:
    for row in _rows("nouns"):
        kin = row["classes"].split(",")[0]
        yield row["english"], "en", "noun", kin, True
        yield row["plural"], "en", "noun", kin, False
        yield row["korean"], "ko", "noun", kin, True
    for row in _rows("verbs"):
        yield from _inflected(row, "verb", VERB_FORMS)
    for row in _rows("adjectives"):
        yield from _inflected(row, "adjective", ("comparative", "superlative"))
    for row in _rows("adverbs"):
        yield from _plain("adverb", row["english"], [row["korean"]])
    for row in _rows("names"):
        yield from _plain("name", row["name"], [row["korean"]])
    for row in _rows("numbers"):
        yield from _plain("number", row["english"], [row["native"], row["sino"]])
    for row in _rows("pronouns"):
        for form in ("subject", "object", "possessive"):
            yield from _plain("pronoun", row[form], [row["korean"], row["korean_possessive"]])


def _rows(name: str) -> Iterable[Row]:
    with (TABLES / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def _plain(kind: str, english: str, korean: Iterable[str]) -> Iterator[Found]:
    yield english, "en", kind, "", True
    for word in korean:
        yield word, "ko", kind, "", True


def _inflected(row: Row, kind: str, forms: Iterable[str]) -> Iterator[Found]:
    """An English word with its other forms, and the stem of a Korean one (가다 is the piece 가)."""
    yield row["english"], "en", kind, "", True
    for form in forms:
        yield row[form], "en", kind, "", row[form] == row["english"]
    yield row["korean"].removesuffix("다"), "ko", kind, "", True
