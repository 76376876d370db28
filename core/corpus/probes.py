"""The held-out sentences on which any model's states are measured, written out so that the app needs no corpus."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.corpus.lexicon import load_lexicon
from core.corpus.pair import Pair, Side, Word
from core.corpus.splits import DATA_VERSION, held_out

DRAWN = {"ambiguous": 2_000, "pronoun": 2_000}
PER_SENSE, FEWEST = 24, 10
PER_ORDER = 200  # sentences with the antecedent first, and as many with it last

SenseRow = tuple[str, str, str, str, int, int]
PronounRow = tuple[str, int, int, int, int, int, int]


def write_probes(path: Path) -> int:
    """Write the file and return how many sentences it holds."""
    senses = list(sense_rows(held_out("ambiguous", DRAWN["ambiguous"])))
    pronouns = list(pronoun_rows(held_out("pronoun", DRAWN["pronoun"])))
    lines = [f'"{name}": [\n{_lines(rows)}\n]' for name, rows in (("senses", senses), ("pronouns", pronouns))]
    text = ",\n".join([f'"data_version": {json.dumps(DATA_VERSION)}', *lines])
    path.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
    return len(senses) + len(pronouns)


def _lines(rows: Iterable[Sequence[object]]) -> str:
    return ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


# --- senses ---------------------------------------------------------------------------------------------------------


def sense_rows(pairs: Iterable[Pair]) -> Iterator[SenseRow]:
    """Sentences whose ambiguous noun stands in its dictionary form, of words with enough of at least two senses."""
    found: dict[tuple[str, str], dict[str, list[SenseRow]]] = defaultdict(lambda: defaultdict(list))
    seen: set[str] = set()
    for pair in pairs:
        for sense in pair.senses:
            side = pair.english if sense.language == "en" else pair.korean
            word = side.words[sense.word]
            if _composed(word.text) != _composed(word.lemma) or _plain(side) in seen:
                continue
            seen.add(_plain(side))
            way = "en-ko" if sense.language == "en" else "ko-en"
            row = (way, side.text, word.lemma, sense.sense, word.start, word.end)
            found[way, word.lemma][sense.sense].append(row)
    for senses in found.values():
        enough = [rows[:PER_SENSE] for rows in senses.values() if len(rows) >= FEWEST]
        if len(enough) > 1:
            yield from (row for rows in enough for row in rows)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


def _plain(side: Side) -> str:
    """A text without what would make one sentence two: its mark and its capital."""
    return re.sub(r"[.?!]", "", side.text).lower()


# --- pronouns -------------------------------------------------------------------------------------------------------


def pronoun_rows(pairs: Iterable[Pair]) -> Iterator[PronounRow]:
    """Sentences with one "it" and two nouns that it might stand for, as many with either noun first."""
    orders: dict[bool, list[PronounRow]] = {True: [], False: []}
    seen: set[str] = set()
    for pair in pairs:
        found = _two_nouns(pair)
        if found and _plain(pair.english) not in seen:
            seen.add(_plain(pair.english))
            _pronoun, antecedent, rival = found
            spots = [place for word in found for place in (word.start, word.end)]
            orders[antecedent.start < rival.start].append((pair.english.text, *spots))  # type: ignore[arg-type]
    count = min(PER_ORDER, *map(len, orders.values()))
    yield from (row for rows in orders.values() for row in rows[:count])


def _two_nouns(pair: Pair) -> tuple[Word, Word, Word] | None:
    """The pronoun, its antecedent and its rival, where each is there once and neither noun is a person."""
    words = pair.english.words
    golds = [gold for gold in pair.antecedents if words[gold.pronoun].text.lower() == "it"]
    if len(pair.antecedents) != 1 or not golds or golds[0].rival not in _things():
        return None
    said = {j for j, word in enumerate(pair.korean.words) if word.lemma == golds[0].rival}
    rivals = {i for i, j in pair.sure if j in said}
    if len(rivals) != 1:
        return None
    return words[golds[0].pronoun], words[golds[0].antecedent], words[rivals.pop()]


def _things() -> frozenset[str]:
    """Korean nouns that "it" may stand for, whatever they mean."""
    people = {noun.korean for noun in load_lexicon().nouns if noun.human}
    return frozenset(noun.korean for noun in load_lexicon().nouns) - people
