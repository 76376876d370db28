"""Which sentences are for training and which are held out, decided by hashing the sentences themselves.

A held-out sentence has both its sides in the held-out part of the hash; a training sentence has neither, so that no
sentence of either language is ever shared. `compositional` holds out (head, slot, word) combinations in the same way.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Literal

from core.corpus.build import build, normalised
from core.corpus.lexicon import TABLES, Lexicon, load_lexicon
from core.corpus.pair import Pair
from core.corpus.sampler import Sampler
from core.corpus.slice import sliced

Split = Literal["random", "compositional", "long", "ambiguous", "pronoun", "copy"]
SPLITS: tuple[Split, ...] = ("random", "compositional", "long", "ambiguous", "pronoun", "copy")
HELD_SENTENCES, HELD_COMBINATIONS = 5, 40
"""One sentence in 5 (per language) and one combination in 40 never reach training."""
LONGEST, SHORTEST = 18, 2
"""English words of a training sentence; the split `long` has more."""
VERSION = 3


def _bucket(text: str, buckets: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % buckets


@cache
def _held_combination(combination: tuple[str, str, str]) -> bool:
    return _bucket("|".join(combination), HELD_COMBINATIONS) == 0


@cache
def _with_several_senses() -> frozenset[str]:
    """English words that one Korean word does not settle, or the other way round.

    Which sense a combination has cannot be known before it was seen, so such a word does not test composition.
    """
    lexicon = load_lexicon()
    found: set[str] = set()
    for table in (lexicon.nouns, lexicon.verbs, lexicon.adjectives):
        korean, english = defaultdict(set), defaultdict(set)
        for entry in table:
            korean[entry.english].add(entry.korean)
            english[entry.korean].add(entry.english)
        found |= {entry.english for entry in table if len(korean[entry.english]) > 1 or len(english[entry.korean]) > 1}
    return frozenset(found)


def _sides_held(pair: Pair) -> tuple[bool, bool]:
    first, second = (_bucket(normalised(text), HELD_SENTENCES) == 0 for text in (pair.english.text, pair.korean.text))
    return first, second


def _length(pair: Pair) -> int:
    return len(pair.english.text.split())


def _data_version() -> str:
    """VERSION names the grammar (a test holds it to the pairs it makes), the digest names the tables."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(TABLES.glob("*.tsv")):
        digest.update(path.read_bytes())
    return f"{VERSION}-{digest.hexdigest()}"


DATA_VERSION = _data_version()


def draw(lexicon: Lexicon, seed: int | str, construction: str | None = None) -> Iterator[Pair]:
    """Pairs without end, of every split; raises nothing, and depends on the seed alone."""
    sampler = Sampler(lexicon, random.Random(f"{seed}"))
    while True:
        sentence = sampler.sentence(construction)
        pair = build(sentence, lexicon, frozenset(sampler.combinations))
        if pair.settled:
            yield pair


def pairs(seed: int, *, slice: bool = False) -> Iterator[Pair]:
    """Training pairs without end. `slice` draws from a small vocabulary, for small models."""
    lexicon = sliced() if slice else load_lexicon()
    return (pair for pair in draw(lexicon, f"train {seed}") if is_training(pair))


def is_training(pair: Pair) -> bool:
    """Whether a pair may be trained on."""
    fits = SHORTEST <= _length(pair) <= LONGEST
    return fits and not any(_sides_held(pair)) and not any(map(_held_combination, pair.combinations))


def held_out(split: Split, count: int, *, slice: bool = False) -> list[Pair]:
    """The first `count` pairs of a held-out split; always the same ones."""
    lexicon = sliced() if slice else load_lexicon()
    construction = {"ambiguous": "ambiguous", "pronoun": "pronoun", "copy": "copy", "long": "nested"}.get(split)
    found: dict[str, Pair] = {}
    for pair in draw(lexicon, f"held out {split}", construction):
        if _belongs(pair, split):
            found.setdefault(pair.english.text, pair)
        if len(found) == count:
            return list(found.values())
    raise AssertionError("the generator never ends")


def _belongs(pair: Pair, split: Split) -> bool:
    if split == "long":
        return _length(pair) > LONGEST
    if not SHORTEST <= _length(pair) <= LONGEST:
        return False
    new = [combination for combination in pair.combinations if _held_combination(combination)]
    if split == "compositional":
        return bool(new) and not any({head, word} & _with_several_senses() for head, _, word in new)
    if new or not all(_sides_held(pair)):
        return False
    return {"ambiguous": bool(pair.senses), "pronoun": bool(pair.antecedents), "copy": bool(pair.copies)}.get(
        split, True
    )
