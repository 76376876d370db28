"""How well a model translates what it never saw, and which head aligns its words.

A translation is right when it is one of the references that say the same (`Pair.accepts`). Splits with a point of
their own are also graded on it: the sense of an ambiguous noun, the noun a pronoun stands for, an invented word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import torch
from torch.nn import functional

from core.corpus import SPLITS, Pair, held_out
from core.corpus.pair import Language
from core.corpus.splits import Split
from core.network import Network
from core.tokens import Direction, Tokenizer
from core.training.align import AT_ONCE, DIRECTIONS, alignment_report
from core.training.data import Examples, epoch_order
from core.training.itself import itself_report
from core.training.lengths import beyond, by_length, order_report, translated

LANGUAGE: dict[Direction, Language] = {"en-ko": "en", "ko-en": "ko"}
PRONOUNS = frozenset({"he", "him", "she", "her", "it", "they", "them"})
LONGER = 10  # times as many long pairs are looked through for some that are longer than any in training
READ_PAIRS = 500  # pairs whose self-attention is measured, in both directions: 1,000 sentences
Report = dict[str, Any]
Figures = dict[str, float | None]
Judge = Callable[[Pair, str, Direction, Tokenizer], bool | None]


def evaluate(network: Network, tokenizer: Tokenizer, *, sample: int = 300, small: bool = False) -> Report:
    """Every figure, by direction and held-out split, how cross-attention aligns, and self-attention on itself.

    `sample` pairs are taken from each split; a figure is None where no pair of the sample has anything to grade.
    Self-attention is measured on `READ_PAIRS` pairs, fewer only where the sample is small.
    """
    splits = {split: held_out(split, sample, slice=small) for split in SPLITS}
    longer = long_pairs(LONGER * sample, small)[sample:]
    lengths = {way: [*splits["random"], *splits["long"], *beyond(longer, tokenizer, way)] for way in DIRECTIONS}
    report: Report = {way: grade_splits(network, tokenizer, splits, way) for way in DIRECTIONS}
    read = held_out("random", min(READ_PAIRS, 2 * sample), slice=small)
    return report | {
        "alignment": alignment_report(network, tokenizer, splits["random"]),
        "self_attention": itself_report(network, tokenizer, read),
        "by_length": by_length(network, tokenizer, lengths),
        "order": order_report(network, tokenizer, splits["random"]),
    }


def grade_splits(
    network: Network, tokenizer: Tokenizer, splits: Mapping[Split, Sequence[Pair]], direction: Direction
) -> dict[str, Figures]:
    """The figures of each split in one direction; all splits are translated together, which is quicker."""
    texts = [pair.source(direction) for pairs in splits.values() for pair in pairs]
    outputs = iter(translate_all(network, tokenizer, texts, direction))
    return {
        split: grade(pairs, list(islice(outputs, len(pairs))), split, direction, tokenizer)
        for split, pairs in splits.items()
    }


@cache
def long_pairs(count: int, small: bool) -> tuple[Pair, ...]:
    """So many pairs of the long split, which take a while to draw."""
    return tuple(held_out("long", count, slice=small))


# --- translation ----------------------------------------------------------------------------------------------------


def translate_all(network: Network, tokenizer: Tokenizer, texts: Sequence[str], direction: Direction) -> list[str]:
    """Greedy translations, sentences of like length together."""
    sources = [tokenizer.source(text, direction) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: len(sources[index]))
    translations = [""] * len(texts)
    for begun in range(0, len(order), AT_ONCE):
        rows = order[begun : begun + AT_ONCE]
        for row, text in zip(rows, translated(network, tokenizer, [sources[row] for row in rows]), strict=True):
            translations[row] = text
    return translations


def grade(
    pairs: Sequence[Pair], outputs: Sequence[str], split: Split, direction: Direction, tokenizer: Tokenizer
) -> Figures:
    """What the judges of a split say about translations; pairs that a judge has nothing to say about do not count."""
    judges = {"exact_match": exact} | JUDGES.get(split, {})
    return {
        name: share([judge(*each, direction, tokenizer) for each in zip(pairs, outputs, strict=True)])
        for name, judge in judges.items()
    }


def share(verdicts: Sequence[bool | None]) -> float | None:
    """The share of verdicts that are true; None where there is none."""
    said = [verdict for verdict in verdicts if verdict is not None]
    return sum(said) / len(said) if said else None


def exact(pair: Pair, output: str, direction: Direction, tokenizer: Tokenizer) -> bool:
    """Whether the output is an accepted reference."""
    return pair.accepts(output, direction)


def right_sense(pair: Pair, output: str, direction: Direction, tokenizer: Tokenizer) -> bool | None:
    """Whether each ambiguous noun of the source became the noun of its sense, and no rival's turned up."""
    senses = [sense for sense in pair.senses if sense.language == LANGUAGE[direction]]
    if not senses:
        return None
    found, wanted = beginnings(output, tokenizer), beginnings(pair.reference(direction), tokenizer)
    return all(
        any(found[form.lower()] for form in sense.translations)
        and all(found[form.lower()] <= wanted[form.lower()] for form in sense.rivals)
        for sense in senses
    )


def right_antecedent(pair: Pair, output: str, direction: Direction, tokenizer: Tokenizer) -> bool | None:
    """Into Korean: the noun the pronoun stands for is repeated, not its rival; into English: the pronoun is right."""
    if not pair.antecedents:
        return None
    if direction == "ko-en":
        return pronouns(output) == pronouns(pair.reference(direction))
    found, wanted = beginnings(output, tokenizer), beginnings(pair.reference(direction), tokenizer)
    nouns = {noun for gold in pair.antecedents for noun in (gold.translation, gold.rival) if noun}
    return all(found[noun.lower()] == wanted[noun.lower()] for noun in nouns)


def copied(pair: Pair, output: str, direction: Direction, tokenizer: Tokenizer) -> bool | None:
    """Whether every invented word arrived letter by letter."""
    return all(word in output for word in pair.copies) if pair.copies else None


JUDGES: dict[Split, dict[str, Judge]] = {
    "ambiguous": {"sense_accuracy": right_sense},
    "pronoun": {"antecedent_accuracy": right_antecedent},
    "copy": {"copied": copied},
}


def beginnings(text: str, tokenizer: Tokenizer) -> Counter[str]:
    """How many words of a text begin with a form, for every form that ends where a piece ends (말 in 말은)."""
    starts: dict[int, int] = {}
    forms: Counter[str] = Counter()
    for token in tokenizer.encode(text):
        start = starts.setdefault(token.word, token.start)
        forms[text[start : token.end].lower()] += 1
    return forms


def pronouns(text: str) -> Counter[str]:
    """The personal pronouns of an English text; subject and object forms count as different."""
    return Counter(word for word in re.findall(r"[a-z']+", text.lower()) if word in PRONOUNS)


# --- reading given translations -------------------------------------------------------------------------------------


@torch.inference_mode()
def validation(network: Network, examples: Examples, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> dict[str, float]:
    """What training logs now and then: loss (nats) and accuracy by token, exact match by sentence."""
    losses, hits, tokens = 0.0, 0, 0
    device, pad = network.embedding.weight.device, examples.specials.pad
    starts = examples.starts
    for rows in epoch_order(examples, 4_000, 0, 0):
        batch = examples.gather(rows, starts).to(device)
        logits, expected = network(batch.source, batch.decoder_input, batch.source != pad), batch.expected
        wanted = expected != pad
        losses += float(functional.cross_entropy(logits[wanted], expected[wanted], reduction="sum"))
        hits += int((logits.argmax(-1) == expected)[wanted].sum())
        tokens += int(wanted.sum())
    graded = [grade_splits(network, tokenizer, {"random": pairs}, way)["random"] for way in DIRECTIONS]
    matches = [figures["exact_match"] or 0.0 for figures in graded]
    return {
        "validation_loss": losses / tokens,
        "validation_accuracy": hits / tokens,
        "validation_exact_match": sum(matches) / len(matches),
    }
