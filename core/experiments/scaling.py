"""E01: what dividing by √d_k is for, on random vectors and on a head's own.

Scores are q · k times a scale. Vaswani et al. 2017 (section 3.2.1) suspect that without the scale the softmax ends up
where its gradients are extremely small; here that is measured. Everything is in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.attention import masked_softmax
from core.measures.heads import normalized_entropy

DEAD = 1e-3  # a query whose softmax has a smaller Jacobian than this passes next to nothing back
SETS, QUERIES = 10, 40  # sets of random keys, and queries that look at each


def jacobian_norm(weights: Float[Tensor, "*head query key"]) -> Float[Tensor, "*head query"]:
    """‖diag(p) − ppᵀ‖ (Frobenius) of each row p: how far a change of the scores moves the weights.

    Its square is S₂ − 2S₃ + S₂² with S_m = Σ p^m: 0 for a row that is all on one key.
    """
    square, cube = weights.pow(2).sum(-1), weights.pow(3).sum(-1)
    return (square - 2 * cube + square**2).clamp_min(0.0).sqrt()


def gradient_norm(
    weights: Float[Tensor, "set query key"],
    key: Float[Tensor, "set key channel"],
    value: Float[Tensor, "set key width"],
    scale: float,
) -> Float[Tensor, "set query"]:
    """‖∂o/∂q‖ of each query's output o, per channel of o (Frobenius norm over √width).

    ∂o/∂q = scale · Cov_p(v, k), the covariance of values and keys under the row p (T16). Its square is
    Σ p_i p_j ⟨v_i − o, v_j − o⟩ ⟨k_i − k̄, k_j − k̄⟩, which needs products of keys and of values only.
    """
    found = torch.stack([_covariance(*each) for each in zip(weights, key, value, strict=True)])
    return abs(scale) * found / math.sqrt(value.shape[-1])


def _covariance(
    weights: Float[Tensor, "query key"], key: Float[Tensor, "key channel"], value: Float[Tensor, "key width"]
) -> Float[Tensor, " query"]:
    """The Frobenius norm of Cov_p(v, k) for every row p."""
    products = weights[:, :, None] * weights[:, None, :]
    for vectors in (key, value):
        gram = vectors @ vectors.T
        mean = weights @ gram
        products = products * (gram - mean[:, :, None] - mean[:, None, :] + (weights * mean).sum(-1)[:, None, None])
    return products.sum((-1, -2)).clamp_min(0.0).sqrt()


@dataclass(frozen=True)
class Softness:
    """Attention under one scale, over many queries; entropy is a share of what is possible, `dead` of the queries."""

    variance: float
    largest: float
    entropy: float
    jacobian: float
    dead: float
    median_gradient: float
    mean_gradient: float


FIGURES = tuple(field.name for field in fields(Softness))


def softness(
    query: Float[Tensor, "set query channel"],
    key: Float[Tensor, "set key channel"],
    value: Float[Tensor, "set key width"],
    mask: Bool[Tensor, "set query key"],
    scale: float,
) -> Softness:
    """The figures of queries that look at keys, without those that may look at one key only: they have no choice."""
    scores = scale * query @ key.transpose(1, 2)
    free = mask.sum(-1) > 1
    if not free.any():
        return Softness(0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    weights = masked_softmax(scores, mask)
    jacobian = jacobian_norm(weights)[free]
    gradient = gradient_norm(weights, key, value, scale)[free]
    return Softness(
        variance=float(scores[mask & free[..., None]].var(correction=0)),
        largest=float(weights.amax(-1)[free].mean()),
        entropy=float(_entropy(weights, mask)[free].mean()),
        jacobian=float(jacobian.mean()),
        dead=float((jacobian < DEAD).double().mean()),
        median_gradient=float(gradient.median()),
        mean_gradient=float(gradient.mean()),
    )


def random_softness(channels: int, keys: int, seeds: Sequence[int], *, scaled: bool) -> list[Softness]:
    """Queries, keys and values drawn from N(0, 1), once for each seed."""
    scale = channels**-0.5 if scaled else 1.0
    return [softness(*_drawn(channels, keys, seed), scale) for seed in seeds]


def _drawn(channels: int, keys: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(SETS, count, channels, generator=generator, dtype=torch.float64) for count in (QUERIES, keys, keys)
    )
    return query, key, value, torch.ones(SETS, QUERIES, keys, dtype=torch.bool)


# --- one head under a dial ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rows:
    """The weights of a head under one scale, and what each row comes to; entropy is a share of what is possible."""

    weights: Float[Tensor, "query key"]
    entropy: Float[Tensor, " query"]
    largest: Float[Tensor, " query"]
    jacobian: Float[Tensor, " query"]


def rows(
    query: Float[Tensor, "query channel"],
    key: Float[Tensor, "key channel"],
    mask: Bool[Tensor, "query key"],
    scale: float,
) -> Rows:
    """A head's own queries and keys under another scale than the one it was trained with."""
    weights = masked_softmax(scale * query @ key.T, mask)
    return Rows(weights, _entropy(weights, mask), weights.amax(-1), jacobian_norm(weights))


def _entropy(
    weights: Float[Tensor, "*set query key"], mask: Bool[Tensor, "*set query key"]
) -> Float[Tensor, "*set query"]:
    return torch.from_numpy(normalized_entropy(weights.numpy(), mask.numpy()))
