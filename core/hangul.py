"""A Korean text at four grains: eojeol, morphemes, syllables and jamo, and which of them share letters.

A morpheme may end inside a syllable (간다 = 가 + ㄴ다), so everything is counted in jamo, the letters that Unicode
decomposes a syllable into (NFD). Any other letter counts as one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.tokens import LOWER, SPACE, Token, Tokenizer, readable


@dataclass(frozen=True)
class Part:
    """A stretch of a word: as it is written, its first jamo, how many it has, and the token that it is (−1: none)."""

    text: str
    first: int
    count: int
    token: int = -1


@dataclass(frozen=True)
class Eojeol:
    """What stands between two spaces. `morphemes` are the tokenizer's pieces; empty where those are not letters."""

    text: str
    morphemes: tuple[Part, ...]
    syllables: tuple[Part, ...]
    jamo: tuple[str, ...]


def eojeols(text: str, tokens: Sequence[Token], tokenizer: Tokenizer) -> tuple[Eojeol, ...]:
    """The words of `text` that have Hangul in them; `tokens` are its pieces, `Part.token` counts among them."""
    found = []
    for number, word in enumerate(text.split()):
        mine = [index for index, token in enumerate(tokens) if not token.special and token.word == number]
        if has_hangul(word):
            found.append(eojeol(word, mine, [spelled(tokens[index], tokenizer) for index in mine]))
    return tuple(found)


def eojeol(word: str, indices: Sequence[int], spellings: Sequence[str]) -> Eojeol:
    """One word, cut where its tokens are."""
    letters = unicodedata.normalize("NFD", word)
    whole = "".join(spellings) == letters
    return Eojeol(
        text=word,
        morphemes=tuple(_parts(spellings, indices)) if whole else (),
        syllables=tuple(_parts([unicodedata.normalize("NFD", each) for each in unicodedata.normalize("NFC", word)])),
        jamo=tuple(map(readable, letters)),
    )


def spelled(token: Token, tokenizer: Tokenizer) -> str:
    """A piece as decomposed letters, without the marks for a space and for a small first letter."""
    return str(tokenizer.backend.id_to_token(token.id)).replace(SPACE, "").replace(LOWER, "")


def has_hangul(text: str) -> bool:
    """Whether any letter is Hangul, as a syllable or alone."""
    letters = unicodedata.normalize("NFC", text)
    return any("가" <= letter <= "힣" or "ㄱ" <= letter <= "ㅣ" for letter in letters)


def _parts(spellings: Sequence[str], indices: Sequence[int] = ()) -> Iterator[Part]:
    first = 0
    for number, spelling in enumerate(spellings):
        if spelling:
            yield Part(readable(spelling), first, len(spelling), indices[number] if indices else -1)
        first += len(spelling)
