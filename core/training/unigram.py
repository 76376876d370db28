"""Measures the unigram plateau on what the small models are trained and validated on, for the app to draw."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray as Array

from core.corpus import DATA_VERSION, held_out
from core.measures.unigram import Plateau, smoothed, surprise
from core.tokens import load_tokenizer
from core.training.data import Examples, encode, generated
from core.training.ship import VALIDATION_PAIRS
from core.variants import BASE, VARIANTS

LANGUAGES = (0, 1)  # sides of a pair that are asked for; the third, typed English, is only ever read


def measure() -> Plateau:
    """The plateau of the base's training pairs, and of the held-out pairs of its validation."""
    recipe, tokenizer = VARIANTS[BASE].recipe, load_tokenizer()
    pairs = generated(recipe.pairs, seed=recipe.seed, small=recipe.slice)
    validated = encode(held_out("random", VALIDATION_PAIRS, slice=recipe.slice), tokenizer)
    return plateau(pairs, validated, tokenizer.size)


def plateau(pairs: Examples, validated: Examples, vocabulary: int) -> Plateau:
    """What frequencies counted in `pairs` come to, on themselves and on held-out pairs."""
    counts, held = target_counts(pairs, vocabulary), target_counts(validated, vocabulary)
    both, held_both = counts.sum(0), held.sum(0)
    shares, by_language = smoothed(both), smoothed(counts)
    commonest = int(both.argmax())
    return Plateau(
        data_version=DATA_VERSION,
        pairs=len(pairs.lengths),
        vocabulary=vocabulary,
        loss=surprise(both, shares),
        accuracy=float(both[commonest] / both.sum()),
        by_language=surprise(counts, by_language),
        held_out_loss=surprise(held_both, shares),
        held_out_accuracy=float(held_both[commonest] / held_both.sum()),
        held_out_by_language=surprise(held, by_language),
    )


def target_counts(examples: Examples, vocabulary: int) -> Int[Array, "language vocab"]:
    """How often each piece is asked for, English and Korean apart; every sentence ends with `<end>`."""
    side = np.repeat(np.tile(np.arange(examples.lengths.shape[1]), len(examples.lengths)), examples.lengths.reshape(-1))
    counts = np.stack([np.bincount(examples.ids[side == each], minlength=vocabulary) for each in LANGUAGES])
    counts[:, examples.specials.end] += len(examples.lengths)
    return counts
