"""What the tokenizer is built from: every form that the lexicon can take, and how often the corpus uses each piece."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.corpus.lexicon import load_lexicon
from core.corpus.pair import Side
from core.corpus.splits import pairs
from core.corpus.typed import CONTRACTIONS
from core.tokens import Tokenizer, build

SAMPLE, SEED = 60_000, 7


def build_tokenizer(path: Path, sample: int = SAMPLE) -> Tokenizer:
    """Write the tokenizer file that goes with the current lexicon and grammar."""
    return build(path, _sentences(sample), _english_forms())


def _sentences(sample: int) -> Iterator[Sequence[Sequence[str]]]:
    for pair in itertools.islice(pairs(SEED), sample):
        yield from (_pieces(side) for side in (pair.english, pair.korean))


def _pieces(side: Side) -> list[list[str]]:
    """Words as lists of pieces; invented words are left to the fallback."""
    words: list[list[str]] = []
    end = -1
    for word in side.words:
        invented = word.slot.endswith("copy")
        text = word.text
        if not words and text[1:] == word.lemma[1:]:
            text = word.lemma
        elif not words and word.slot != "copy" and text.lower() != text and word.lemma.islower():
            text = text[0].lower() + text[1:]
        if word.start > end or not words or side.text[word.start - 1] == " ":
            words.append([])
        if not invented:
            words[-1].append(text)
        end = word.end
    return [pieces for pieces in words if pieces and pieces[0]]


def _english_forms() -> list[str]:
    lexicon = load_lexicon()
    forms: list[str] = []
    for noun in lexicon.nouns:
        forms += [noun.english] + ([noun.plural] if noun.plural != "-" else [])
    for verb in lexicon.verbs:
        forms += [verb.english, verb.past, verb.participle, verb.ing, verb.third]
    for adjective in lexicon.adjectives:
        forms += [adjective.english, adjective.comparative, adjective.superlative]
    for adverb in (*lexicon.adverbs, *lexicon.time_phrases):
        forms += adverb.english.split()
    forms += [name.name for name in lexicon.names]
    forms += [form for p in lexicon.pronouns for form in (p.subject, p.object, p.possessive) if form]
    forms += [number.english for number in lexicon.numbers]
    forms += [word for relation, _ in lexicon.relations for word in relation.split()]
    forms += [short for long in CONTRACTIONS.items() for short in (long[1], *long[0].split())]
    forms += FUNCTION_WORDS.split()
    return list(dict.fromkeys(forms))


FUNCTION_WORDS = """
    a an the this that these those every many there here to in with than more most who what where when why how
    and or but because if although before after not do does did be am is are was were been being will can could
    must have has had having want wants wanted please let's old year years o'clock rain rains rained raining
    snow snows snowed snowing cannot
"""
