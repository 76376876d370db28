"""Text to tokens and back: whole English words and Korean morphemes, and letters for whatever nobody has seen.

Korean is cut below the syllable where a morpheme ends there (간다 = 가 + ㄴ다), so the model works on NFD text
and decoding composes it. The pieces and their probabilities come from the corpus's gold morphemes (Kudo 2018,
unigram language model), any other text falls back to letters, jamo and bytes, and nothing is ever lost.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import Unigram

Direction = Literal["en-ko", "ko-en"]
ASSETS = Path(__file__).parent.parent / "assets"
SPECIALS = ("<pad>", "<start>", "<end>", "<to-korean>", "<to-english>")
SPACE, LOWER, ESCAPE = "▁", "\ue001", "\ue002"
ESCAPES = {ESCAPE: ESCAPE + "0", SPACE: ESCAPE + "1", LOWER: ESCAPE + "2"}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
JAMO = "".join(map(chr, (*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3))))
PUNCTUATION = ".,?!'"
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
UNLIKELY = -18.0


class TokenizerError(RuntimeError):
    """The tokenizer file is missing or damaged; the message names it and the command that restores it."""


@dataclass(frozen=True)
class Token:
    """One piece of the text. `start` and `end` count characters of the text as typed; specials have none."""

    id: int
    piece: str
    start: int
    end: int
    unseen: bool
    word: int
    special: bool


@dataclass(frozen=True)
class Tokenizer:
    """A loaded tokenizer. `seen` holds the ids of pieces that are words or morphemes of the training corpus."""

    backend: Backend
    seen: frozenset[int]
    first_words: frozenset[str]
    pad_id: int = 0
    start_id: int = 1
    end_id: int = 2
    to_korean_id: int = 3
    to_english_id: int = 4

    @property
    def size(self) -> int:
        return int(self.backend.get_vocab_size())

    def encode(self, text: str) -> tuple[Token, ...]:
        """The pieces of a text, without special tokens."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        return tuple(self._token(i, text, *span) for i, span in zip(encoding.ids, encoding.offsets, strict=True))

    def ids(self, text: str) -> list[int]:
        """Only the ids, for training."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def source(self, text: str, direction: Direction) -> tuple[Token, ...]:
        """What the encoder reads: the direction, the text, the end."""
        first = self.to_korean_id if direction == "en-ko" else self.to_english_id
        return (self._special(first), *self.encode(text), self._special(self.end_id))

    def target(self, text: str) -> tuple[Token, ...]:
        """Start, the text, the end."""
        return (self._special(self.start_id), *self.encode(text), self._special(self.end_id))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a sequence of ids; special tokens are left out."""
        return self._restored("".join(self._raw(ids)))

    def tokens(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """Ids that a model wrote, as tokens with offsets into their decoded text."""
        whole, tokens, before = self.decode(ids), [], ""
        raw = self._raw(ids)
        for index, (i, piece) in enumerate(zip(ids, raw, strict=True)):
            if i < len(SPECIALS):
                tokens.append(self._special(i))
                continue
            start = len(self._restored(before))
            before += piece
            end = len(self._restored("".join(raw[: index + 1])))
            start -= 1 if start and _shares(piece) else 0
            while start < end and whole[start : start + 1] == " ":
                start += 1
            tokens.append(self._token(i, whole, start, end))
        return tuple(tokens)

    def _raw(self, ids: Sequence[int]) -> list[str]:
        """Pieces with bytes joined where they complete a character."""
        pieces: list[str] = []
        pending = bytearray()
        for i in ids:
            piece = "" if i < len(SPECIALS) else str(self.backend.id_to_token(i))
            if piece.startswith("<0x"):
                pending.append(int(piece[3:5], 16))
                piece = _complete(pending)
            elif pending:
                piece = pending.decode("utf-8", "replace") + piece
                pending.clear()
            pieces.append(piece)
        if pending:
            pieces[-1] += pending.decode("utf-8", "replace")
        return pieces

    def _restored(self, raw: str) -> str:
        lower = raw.startswith(LOWER)
        text = raw.removeprefix(LOWER).removeprefix(SPACE).replace(SPACE, " ").replace(LOWER, "")
        for character, escaped in reversed(ESCAPES.items()):
            text = text.replace(escaped, character)
        if not lower and _first_word(text) in self.first_words:
            text = text[0].upper() + text[1:]
        return unicodedata.normalize("NFC", text)

    def _token(self, identity: int, text: str, start: int, end: int) -> Token:
        while start < end and text[start].isspace():
            start += 1
        word = len(text[:start].split()) - (1 if start and not text[start - 1].isspace() else 0)
        piece = readable(str(self.backend.id_to_token(identity)))
        return Token(identity, piece, start, end, identity not in self.seen, word, False)

    def _special(self, identity: int) -> Token:
        return Token(identity, SPECIALS[identity], 0, 0, False, -1, True)


def _first_word(text: str) -> str:
    """As the normalizer sees it: decomposed, and over at the first character that is no letter of ours."""
    end = next((i for i, c in enumerate(text) if not (c.isascii() and (c.isalpha() or c == "'"))), len(text))
    return text[:end]


def _shares(piece: str) -> bool:
    """Whether a piece begins inside a syllable that the piece before it began."""
    return bool(piece) and "\u1161" <= piece[0] <= "\u11ff"


def _complete(pending: bytearray) -> str:
    try:
        text = pending.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return ""
        text = pending.decode("utf-8", "replace")
    pending.clear()
    return text


def readable(piece: str) -> str:
    """A piece as people write it: composed, and a lone jamo as the letter it is."""
    text = unicodedata.normalize("NFC", piece.replace(SPACE, "").replace(LOWER, "↓"))
    return "".join(_letter(c) for c in text) or "␣"


def _letter(character: str) -> str:
    code = ord(character)
    if 0x1100 <= code <= 0x1112:
        return INITIALS[code - 0x1100]
    if 0x1161 <= code <= 0x1175:
        return chr(0x314F + code - 0x1161)
    if 0x11A8 <= code <= 0x11C2:
        return FINALS[code - 0x11A8]
    return character


def detect_direction(text: str) -> Direction:
    """Hangul, once it is the greater part of the letters, is translated into English; all else into Korean."""
    composed = unicodedata.normalize("NFC", text)
    hangul = sum("가" <= c <= "힣" or "ㄱ" <= c <= "ㆎ" for c in composed)
    latin = sum(c.isascii() and c.isalpha() for c in composed)
    return "ko-en" if hangul * 2 > latin and hangul else "en-ko"


# --- building -------------------------------------------------------------------------------------------------------


def build(path: Path, words: Iterable[Sequence[Sequence[str]]], lexicon: Iterable[str]) -> Tokenizer:
    """Write the tokenizer file from gold pieces.

    `words` yields sentences, each a list of words, each a list of surface pieces; `lexicon` lists English forms that
    must be whole even if the sample missed them.
    """
    counts: Counter[str] = Counter()
    for sentence in words:
        for pieces in sentence:
            first, *rest = (unicodedata.normalize("NFD", piece) for piece in pieces)
            counts.update([SPACE + first if first not in PUNCTUATION else first, *rest])
    for word in lexicon:
        counts[SPACE + unicodedata.normalize("NFD", word)] += 1
    total = sum(counts.values())
    known = {piece: math.log(count / total) for piece, count in counts.items()}
    fallback = [c for c in (*LETTERS, *JAMO, *PUNCTUATION) if c not in known]
    starts = [SPACE + c for c in (*LETTERS, *JAMO[:19]) if SPACE + c not in known]
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    vocabulary = [(piece, 0.0) for piece in SPECIALS]
    vocabulary += sorted(known.items(), key=lambda item: (-item[1], item[0]))
    vocabulary += [(LOWER, -4.0), (SPACE, UNLIKELY)]
    vocabulary += [(piece, UNLIKELY) for piece in fallback] + [(piece, UNLIKELY - 1.0) for piece in starts]
    vocabulary += [(piece, UNLIKELY * 3) for piece in bytes_]
    firsts = sorted(p[1:] for p in known if _opens(p))
    backend = Backend(Unigram(vocabulary, unk_id=0, byte_fallback=True))
    backend.normalizer = _normalizer(firsts)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(SPACE, "merged_with_next"),
            pre_tokenizers.Split(Regex(r"[.,?!;:\"()]|'s\b|'(?!\w)"), "isolated"),
        ]
    )
    content = json.loads(backend.to_str())
    content["headroom"] = {"seen": len(SPECIALS) + len(known)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    return load_tokenizer(path)


def _opens(piece: str) -> bool:
    """Whether a piece is a lower-case English word, which a sentence begins with a capital."""
    word = piece[1:]
    return piece[0] == SPACE and word.isascii() and word[:1].islower() and word.replace("'", "").isalpha()


def _normalizer(firsts: Sequence[str]) -> normalizers.Sequence:
    """Escape our own marks, decompose, mark spaces, and undo the capital that opens a sentence.

    A first word that should have had a capital and has none is marked, so that the text survives as it was typed.
    """
    steps: list[normalizers.Normalizer] = [
        normalizers.Replace(character, escaped) for character, escaped in ESCAPES.items()
    ]
    steps += [normalizers.NFD(), normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    end = r"(?![A-Za-z'])"
    steps.append(normalizers.Replace(Regex(f"^{SPACE}(?=(?:{'|'.join(firsts)}){end})"), LOWER + SPACE))
    for letter in sorted({word[0] for word in firsts}):
        rests = "|".join(word[1:] for word in firsts if word[0] == letter)
        steps.append(normalizers.Replace(Regex(f"^{SPACE}{letter.upper()}(?=(?:{rests}){end})"), SPACE + letter))
    return normalizers.Sequence(steps)


@cache
def load_tokenizer(path: Path = ASSETS / "tokenizer.json") -> Tokenizer:
    """Read the tokenizer; raises TokenizerError when the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seen = int(content.pop("headroom")["seen"])
        backend = Backend.from_str(json.dumps(content))
    except Exception as error:
        raise TokenizerError(f"{path} cannot be read. Restore it with: python -m core corpus tokenizer") from error
    pieces = [piece for piece, _ in content["model"]["vocab"][:seen]]
    firsts = frozenset(piece[1:] for piece in pieces if len(piece) > 1 and _opens(piece))
    return Tokenizer(backend, frozenset(range(seen + 1)), firsts)
