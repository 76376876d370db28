"""E03: when is attention highest on itself? Random tokens under projections that are tied, free, or opposed.

x · x is the largest product that x has with vectors of its length (Cauchy–Schwarz), so raw products favour the
diagonal; a form x W_q W_kᵀ y with projections of their own does not, as it is neither symmetric nor positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array

from core.experiments.expectation import softmax
from core.measures.heads import diagonal_share
from core.transformer import Transformer

WIDTH, CHANNELS = 64, 16
SENTENCES = 40  # random sentences for each seed

Tie = Literal["raw", "tied", "mixed", "independent", "negated"]
TIES: tuple[Tie, ...] = ("raw", "tied", "independent", "negated")


@dataclass(frozen=True)
class OnItself:
    """Share of the queries that look at themselves most, and mean weight of a token on itself."""

    strongest: float
    weight: float


def own_weight(weights: Float[Array, "*head query key"]) -> Float[Array, "*head"]:
    """The mean weight of a token on itself."""
    return np.asarray(np.diagonal(weights, axis1=-2, axis2=-1).mean(-1))


def on_itself(tie: Tie, tokens: int, seed: int, *, share: float = 0.0, equal_lengths: bool = False) -> OnItself:
    """Random sentences of N(0, 1) tokens under one way to make queries and keys.

    `share` is t in W_k = t W_q + √(1 − t²) W_random, where `mixed` is asked for: keys keep their length, and t is the
    correlation of W_k with W_q. `equal_lengths` gives every token the length √width first.
    """
    random = np.random.default_rng(seed)
    sentences = random.normal(size=(SENTENCES, tokens, WIDTH))
    if equal_lengths:
        sentences *= np.sqrt(WIDTH) / np.linalg.norm(sentences, axis=-1, keepdims=True)
    weights = softmax(_scores(tie, sentences, share, random))
    return OnItself(float(diagonal_share(weights).mean()), float(own_weight(weights).mean()))


def _scores(
    tie: Tie, tokens: Float[Array, "sentence token width"], share: float, random: np.random.Generator
) -> Float[Array, "sentence token token"]:
    if tie == "raw":
        return np.asarray(tokens @ tokens.transpose(0, 2, 1) / np.sqrt(WIDTH))
    shape = (len(tokens), WIDTH, CHANNELS)
    asking, free = (random.normal(size=shape) / np.sqrt(WIDTH) for _ in range(2))
    share = {"tied": 1.0, "independent": 0.0, "negated": -1.0}.get(tie, share)
    offering = share * asking + np.sqrt(1 - share**2) * free
    query, key = tokens @ asking, tokens @ offering
    return np.asarray(query @ key.transpose(0, 2, 1) / np.sqrt(CHANNELS))


def over_seeds(tie: Tie, tokens: int, seeds: Sequence[int], **options: float | bool) -> list[OnItself]:
    """The same for several seeds, to see how far chance reaches."""
    return [on_itself(tie, tokens, seed, **options) for seed in seeds]  # type: ignore[arg-type]


def projection_cosines(network: Transformer) -> dict[str, float]:
    """The cosine of W_q and W_k, as long vectors, of every self-attention head: 1 if tied, about 0 if unrelated."""
    found: dict[str, float] = {}
    for path, attention in network.attentions.items():
        if path.endswith("self_attention"):
            shape = attention.heads, -1
            asking = attention.query_projection.weight.detach().reshape(shape)
            offering = attention.key_projection.weight.detach().reshape(shape)
            cosines = torch.nn.functional.cosine_similarity(asking, offering, dim=-1).tolist()
            found |= {f"{path}.{head}": cosine for head, cosine in enumerate(cosines)}
    return found
