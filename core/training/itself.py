"""How much attention a token pays to itself, in every self-attention head, over held-out sentences (E03)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from core.corpus import Pair
from core.hooks import listen
from core.network import Network
from core.tokens import Token, Tokenizer
from core.training.align import AT_ONCE, DIRECTIONS, padded_ids


@dataclass
class Tally:
    """Sums over queries, one entry for each head; `even` is what uniform attention would put on itself."""

    strongest: Float[Array, " head"]
    weight: Float[Array, " head"]
    even: float = 0.0
    queries: int = 0

    @classmethod
    def empty(cls, heads: int) -> Tally:
        return cls(np.zeros(heads), np.zeros(heads))

    def add(self, weights: Float[Array, "head query key"], open_keys: Float[Array, " query"]) -> None:
        """Count one sentence; `open_keys` is how many keys each query may look at."""
        own = np.arange(weights.shape[1])
        self.strongest += (weights.argmax(-1) == own).sum(-1)
        self.weight += weights[:, own, own].sum(-1)
        self.even += float((1 / open_keys).sum())
        self.queries += len(own)


def itself_report(network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Share of queries that look at themselves most, and mean weight on themselves, by path and head.

    Every pair is read in both directions, the reference as target, so each gives two sentences. `uniform` is the mean
    weight that a head would put on itself if it looked at all open keys alike, by stack; special tokens count.
    """
    tallies: dict[str, Tally] = {}
    for path, weights in self_attention(network, tokenizer, pairs):
        count = weights.shape[1]
        open_keys = np.arange(1, count + 1) if path.startswith("decoder") else np.full(count, count)
        tallies.setdefault(path, Tally.empty(len(weights))).add(weights, open_keys.astype(float))
    heads = {
        f"{path}.{head}": {"strongest_on_itself": float(strongest), "weight_on_itself": float(weight)}
        for path, tally in tallies.items()
        for head, (strongest, weight) in enumerate(
            zip(tally.strongest / tally.queries, tally.weight / tally.queries, strict=True)
        )
    }
    uniform = {path.split(".")[0]: tally.even / tally.queries for path, tally in tallies.items()}
    return {"sentences": len(DIRECTIONS) * len(pairs), "uniform": uniform, "heads": heads}


def self_attention(
    network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair]
) -> Iterator[tuple[str, Float[Array, "head query key"]]]:
    """The weights of each sentence in every self-attention, by path; padding is cut off."""
    for direction in DIRECTIONS:
        for begun in range(0, len(pairs), AT_ONCE):
            some = pairs[begun : begun + AT_ONCE]
            sources = [tokenizer.source(pair.source(direction), direction) for pair in some]
            targets = [tokenizer.target(pair.reference(direction))[:-1] for pair in some]
            captured = _read(network, tokenizer, sources, targets)
            for path, weights in captured.items():
                for row, tokens in enumerate(sources if path.startswith("encoder") else targets):
                    yield path, weights[row, :, : len(tokens), : len(tokens)]


@torch.inference_mode()
def _read(
    network: Network,
    tokenizer: Tokenizer,
    sources: Sequence[tuple[Token, ...]],
    targets: Sequence[tuple[Token, ...]],
) -> dict[str, Float[Array, "batch head query key"]]:
    paths = {f"{path}.weights" for path in network.attentions if path.endswith("self_attention")}
    source, target = (padded_ids(network, tokenizer, each) for each in (sources, targets))
    captured: dict[str, Tensor] = {}
    with listen(captured.__setitem__, paths=paths):
        network(source, target, source != tokenizer.pad_id)
    return {path.removesuffix(".weights"): weights.cpu().numpy() for path, weights in captured.items()}
