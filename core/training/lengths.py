"""How accuracy falls with the length of a sentence, and what becomes of it when positions are taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.corpus import Pair
from core.decoding import greedy
from core.hooks import listen
from core.network import Network
from core.tokens import Direction, Token, Tokenizer
from core.training.align import AT_ONCE, DIRECTIONS, padded_ids
from core.variants import LONGEST_TRAINED

STEP = 5  # source tokens that one row of the table spans; one of them begins where training ends
REMOVED = ("source.position", "relative.angles", "relative.bias")
"""Ends of the hook points at which zeros take a sentence's order away, in the encoder."""
Tokens = tuple[Token, ...]


def by_length(
    network: Network, tokenizer: Tokenizer, pairs: Mapping[Direction, Sequence[Pair]]
) -> list[dict[str, float | int]]:
    """Exact match when writing freely, and accuracy by token when reading the reference, by source tokens.

    `from` is the least number of source tokens of a row, `count` how many sentences it rests on; both directions
    together. A sentence longer than the network has positions for counts as wrong.
    """
    rows: dict[int, list[tuple[bool, float]]] = {}
    for direction in DIRECTIONS:
        for some in alike(pairs[direction], tokenizer, direction):
            sources = [tokenizer.source(pair.source(direction), direction) for pair in some]
            written = translated(network, tokenizer, sources)
            forced = read_accuracy(network, tokenizer, sources, [pair.reference(direction) for pair in some])
            for pair, source, output, accuracy in zip(some, sources, written, forced, strict=True):
                rows.setdefault((len(source) - 1) // STEP, []).append((pair.accepts(output, direction), accuracy))
    return [
        {
            "from": STEP * row + 1,
            "count": len(found),
            "exact_match": float(np.mean([right for right, _ in found])),
            "token_accuracy": float(np.mean([accuracy for _, accuracy in found])),
        }
        for row, found in sorted(rows.items())
    ]


def beyond(pairs: Iterable[Pair], tokenizer: Tokenizer, direction: Direction) -> list[Pair]:
    """The pairs whose source has more tokens than any that twins are trained on."""
    return [pair for pair in pairs if len(tokenizer.source(pair.source(direction), direction)) > LONGEST_TRAINED]


def order_report(network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair], seed: int = 0) -> dict[str, float]:
    """Exact match and accuracy by token as typed, with the encoder's positions set to 0, and with its pieces shuffled.

    Shuffled pieces keep the special tokens in place; the references stay those of the sentence as typed.
    """
    random = np.random.default_rng(seed)
    report: dict[str, float] = {}
    for name, listeners, mixed in (("typed", [], False), ("removed", [nothing], False), ("shuffled", [], True)):
        right: list[bool] = []
        accuracies: list[float] = []
        with listen(*listeners, paths=encoder_places(network)):
            for direction in DIRECTIONS:
                for some in alike(pairs, tokenizer, direction):
                    sources = [tokenizer.source(pair.source(direction), direction) for pair in some]
                    sources = [shuffled(source, random) for source in sources] if mixed else sources
                    written = translated(network, tokenizer, sources)
                    right += [pair.accepts(output, direction) for pair, output in zip(some, written, strict=True)]
                    references = [pair.reference(direction) for pair in some]
                    accuracies += read_accuracy(network, tokenizer, sources, references)
        report |= {f"{name}_exact_match": float(np.mean(right)), f"{name}_token_accuracy": float(np.mean(accuracies))}
    return report


def nothing(path: str, value: Tensor) -> Tensor:
    """A listener that leaves zeros."""
    return torch.zeros_like(value)


def encoder_places(network: Network) -> frozenset[str]:
    """The hook points through which the encoder of a network learns where its tokens stand."""
    inside = (path for path in network.paths if path.startswith(("source.", "encoder.")))
    return frozenset(path for path in inside if path.endswith(REMOVED))


def alike(pairs: Sequence[Pair], tokenizer: Tokenizer, direction: Direction) -> list[list[Pair]]:
    """The pairs in batches of like source length."""
    ordered = sorted(pairs, key=lambda pair: len(tokenizer.source(pair.source(direction), direction)))
    return [ordered[begun : begun + AT_ONCE] for begun in range(0, len(ordered), AT_ONCE)]


def shuffled(source: tuple[Token, ...], random: np.random.Generator) -> tuple[Token, ...]:
    """The tokens that are not special in another order."""
    places = [place for place, token in enumerate(source) if not token.special]
    mixed = list(source)
    for place, other in zip(places, random.permutation(places), strict=True):
        mixed[place] = source[other]
    return tuple(mixed)


@torch.inference_mode()
def translated(network: Network, tokenizer: Tokenizer, sources: Sequence[tuple[Token, ...]]) -> list[str]:
    """Greedy translations; nothing for a sentence that the network cannot take."""
    if network.config.reach and max(map(len, sources)) > network.config.reach:
        fitting = [source for source in sources if len(source) <= network.config.reach]
        outputs = iter(translated(network, tokenizer, fitting) if fitting else [])
        return [next(outputs) if len(source) <= network.config.reach else "" for source in sources]
    ids = padded_ids(network, tokenizer, sources)
    real = ids != tokenizer.pad_id
    written = greedy(network, network.encode(ids, real), real, start=tokenizer.start_id, end=tokenizer.end_id)
    return [tokenizer.decode([each for each in row if each != tokenizer.end_id]) for row in written]


@torch.inference_mode()
def read_accuracy(
    network: Network, tokenizer: Tokenizer, sources: Sequence[Tokens], references: Sequence[str]
) -> list[float]:
    """The share of each reference's tokens that the network finds likeliest, reading the reference itself."""
    targets = [tokenizer.target(text) for text in references]
    reach = network.config.reach or max(len(each) for each in (*sources, *targets))
    fits = [len(source) <= reach and len(target) <= reach for source, target in zip(sources, targets, strict=True)]
    if not any(fits):
        return [0.0] * len(sources)
    ids = padded_ids(network, tokenizer, [source for source, fit in zip(sources, fits, strict=True) if fit])
    asked = padded_ids(network, tokenizer, [target for target, fit in zip(targets, fits, strict=True) if fit])
    logits = network(ids, asked[:, :-1], ids != tokenizer.pad_id)
    found = iter(hits(logits.argmax(-1), asked[:, 1:], tokenizer.pad_id))
    return [next(found) if fit else 0.0 for fit in fits]


def hits(answers: Int[Tensor, "batch target"], asked: Int[Tensor, "batch target"], pad: int) -> list[float]:
    """The share of the tokens asked for that were answered, padding left out, row by row."""
    real = asked != pad
    shares: list[float] = (((answers == asked) & real).sum(1) / real.sum(1)).tolist()
    return shares
