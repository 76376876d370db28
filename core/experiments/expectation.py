"""E02: exp turns differences into ratios, and attention is an expectation: the mean of the values under the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

REPEATS = 20  # independent samplings that a curve is the middle of


def softmax(scores: Float[Array, "*row key"]) -> Float[Array, "*row key"]:
    """exp(s_j) / Σ exp(s): positive, sums to 1, and p_i / p_j = exp(s_i − s_j)."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


def expectation(weights: Float[Array, " key"], values: Float[Array, "key channel"]) -> Float[Array, " channel"]:
    """o = Σ p_j v_j."""
    return np.asarray(weights @ values)


def sigmoid(scores: Float[Array, " key"]) -> Float[Array, " key"]:
    """Each score for itself between 0 and 1: nothing makes the row sum to 1."""
    return np.asarray(1 / (1 + np.exp(-scores)))


def hardest(scores: Float[Array, " key"]) -> Float[Array, " key"]:
    """All weight on the largest score (the first of equals): no change of a score moves it a little."""
    return np.asarray(np.eye(len(scores))[int(scores.argmax())])


def slopes(scores: Float[Array, " key"], values: Float[Array, "key channel"]) -> Float[Array, "key channel"]:
    """∂o/∂s_j = p_j (v_j − o): a score that rises pulls the output towards its value (T16)."""
    weights = softmax(scores)
    return np.asarray(weights[:, None] * (values - expectation(weights, values)))


def measured_slopes(
    scores: Float[Array, " key"], values: Float[Array, "key channel"], step: float = 1e-5
) -> Float[Array, "key channel"]:
    """The same by trying: every score a little up and a little down (central differences)."""
    moved = step * np.eye(len(scores))
    up, down = (softmax(scores + sign * moved) @ values for sign in (1, -1))
    return np.asarray((up - down) / (2 * step))


def sampling_errors(
    weights: Float[Array, " key"], values: Float[Array, "key channel"], counts: Sequence[int], seed: int = 0
) -> Float[Array, "repeat count"]:
    """‖mean of N values drawn with these weights − o‖ for every N in `counts`, in independent repetitions.

    Each repetition draws once and reads its running mean, as somebody would who goes on sampling.
    """
    random = np.random.default_rng(seed)
    drawn = random.choice(len(weights), size=(REPEATS, max(counts)), p=weights / weights.sum())
    often = np.stack([(drawn == key).cumsum(-1)[:, np.array(counts) - 1] for key in range(len(weights))], axis=-1)
    shares = often / np.array(counts)[:, None]
    return np.asarray(np.linalg.norm((shares - weights) @ values, axis=-1))


def expected_error(weights: Float[Array, " key"], values: Float[Array, "key channel"], count: int) -> float:
    """√(Σ p_j ‖v_j − o‖² / N): the root of the mean squared error of N draws."""
    apart = np.linalg.norm(values - expectation(weights, values), axis=-1)
    return float(np.sqrt((weights * apart**2).sum() / count))
