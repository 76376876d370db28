"""How the learning rate moves over a run: rows of factors between 0 and 1 for the recipe's highest rate."""

import math
from collections.abc import Callable

CLIP = 1.0  # largest norm of all gradients together that an update sees
Schedule = Callable[[int, int, float], float]
"""The factor at a step, counted from 1, with so many steps of warm-up, when so much of the run (0 to 1) is over."""


def warming(step: int, warmup: int) -> float:
    """A straight line to 1 at the end of the warm-up; 1 from the first step on where there is none."""
    return min(1.0, step / max(1, warmup))


def linear(step: int, warmup: int, progress: float) -> float:
    """Warm-up under a straight line that reaches zero when the run is over."""
    return min(warming(step, warmup), 1.0 - progress)


def inverse_square_root(step: int, warmup: int, progress: float) -> float:
    """min(step^−0.5, step · warmup^−1.5) of section 5.3, as a share of its peak at the end of the warm-up."""
    begun = max(1, warmup)
    return min(math.sqrt(begun / step), step / begun)


def cosine(step: int, warmup: int, progress: float) -> float:
    """Warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017)."""
    return warming(step, warmup) * (1 + math.cos(math.pi * progress)) / 2


def constant(step: int, warmup: int, progress: float) -> float:
    """Warm-up, then always the same."""
    return warming(step, warmup)


SCHEDULES: dict[str, Schedule] = {
    "linear": linear,
    "inverse-square-root": inverse_square_root,
    "cosine": cosine,
    "constant": constant,
}


def paper_rate(step: float, width: int, warmup: int) -> float:
    """The paper's learning rate itself, d_model^−0.5 · min(step^−0.5, step · warmup^−1.5) (equation 3)."""
    rate: float = width**-0.5 * min(step**-0.5, step * warmup**-1.5)
    return rate
