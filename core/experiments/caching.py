"""What a cache of keys and values saves: the tensors of each step heard, its products counted, its time measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from core.attention import Cache
from core.experiments.decoding import Sentence
from core.hooks import listen
from core.measures.cost import MultiplyAdds, decoding
from core.transformer import Config, Transformer

HEARD = {
    "own_query": "decoder.0.self_attention.query",
    "own_key": "decoder.0.self_attention.key",
    "own_value": "decoder.0.self_attention.value",
    "own_scores": "decoder.0.self_attention.scores",
    "cross_query": "decoder.0.cross_attention.query",
    "cross_key": "decoder.0.cross_attention.key",
    "cross_value": "decoder.0.cross_attention.value",
    "cross_scores": "decoder.0.cross_attention.scores",
    "feed_forward": "decoder.0.feed_forward.output",
    "logits": "logits",
}
"""What is counted in every decoder layer alike, by its hook point in the first; the logits come once."""


def step(
    network: Transformer,
    written: Int[Tensor, "1 position"],
    memory: Float[Tensor, "1 source width"],
    mask: Bool[Tensor, "1 source"],
    cache: Cache,
) -> Float[Tensor, "1 1 vocab"]:
    """The logits after the last token written, from what the cache has not kept; only the last place gets any."""
    states = network.states(written[:, cache.length :], memory, mask, cache)
    return network.logits(F.linear(states[:, -1:], network.embedding.weight))


@torch.inference_mode()
def shapes(
    network: Transformer, sentence: Sentence, read: Sequence[int], *, keep: bool
) -> list[dict[str, tuple[int, ...]]]:
    """The rows and columns of each tensor that a step computes; what it recalls, or never needs, is not there."""
    mask = torch.ones_like(sentence.ids, dtype=torch.bool)
    memory, cache = network.encode(sentence.ids, mask), Cache(network.config.decoder_layers, keep=keep)
    names = {path: name for name, path in HEARD.items()}
    found: list[dict[str, tuple[int, ...]]] = []

    def note(path: str, value: Tensor) -> None:
        found[-1][names[path]] = tuple(value.shape[-2:])

    with listen(note, paths=names):
        for count in range(1, len(read) + 1):
            found.append({})
            step(network, torch.tensor([list(read[:count])]), memory, mask, cache)
    return found


def counted(config: Config, source: int, steps: int, *, keep: bool) -> list[MultiplyAdds]:
    """The products of each step; the encoder, which is read once either way, is left out."""
    if keep:
        return [decoding(config, source, 1, past=past, recalls_source=past > 0) for past in range(steps)]
    return [decoding(config, source, count) for count in range(1, steps + 1)]


def kept_numbers(config: Config, source: int, target: int) -> int:
    """How many numbers a cache holds: a key and a value for each token, in each layer, of target and source."""
    return 2 * config.decoder_layers * (source + target) * config.width


@dataclass(frozen=True)
class Race:
    """Milliseconds of each step, medians over `rounds` in which both ways took turns, and how far they are apart.

    `apart` is the largest difference of any log-probability at any step (T14).
    """

    kept: tuple[float, ...]
    anew: tuple[float, ...]
    rounds: int
    apart: float


@torch.inference_mode()
def race(network: Transformer, sentence: Sentence, read: Sequence[int], rounds: int) -> Race:
    """Write the same tokens with a cache and without, on this computer; one round before them warms up."""
    mask = torch.ones_like(sentence.ids, dtype=torch.bool)
    memory = network.encode(sentence.ids, mask)
    prefixes = [torch.tensor([list(read[:count])]) for count in range(1, len(read) + 1)]

    def once(keep: bool) -> tuple[list[float], list[Tensor]]:
        cache, times, logits = Cache(network.config.decoder_layers, keep=keep), [], []
        for written in prefixes:
            begun = time.perf_counter()
            logits.append(step(network, written, memory, mask, cache))
            times.append(1_000 * (time.perf_counter() - begun))
        return times, logits

    first = {keep: torch.cat(once(keep)[1]).log_softmax(-1) for keep in (True, False)}
    turns = [{keep: once(keep)[0] for keep in (True, False)} for _ in range(rounds)]
    medians = {
        keep: tuple(statistics.median(times) for times in zip(*(turn[keep] for turn in turns), strict=True))
        for keep in (True, False)
    }
    return Race(medians[True], medians[False], rounds, float((first[True] - first[False]).abs().max()))
