"""A coarser view of an attention pattern whose rows still sum to 1: words instead of pieces."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


def groups_of_words(words: Sequence[int]) -> Int[np.ndarray, " token"]:
    """A group number for each token: pieces of one word share it, a special token (word -1) stands alone.

    Groups follow the order of the tokens; the same word index after a gap opens a new group.
    """
    starts = [index == 0 or word < 0 or word != words[index - 1] for index, word in enumerate(words)]
    return np.asarray(np.cumsum(starts, dtype=int) - 1)


def merge(
    weights: Float[np.ndarray, "*head query key"],
    queries: Int[np.ndarray, " query"],
    keys: Int[np.ndarray, " key"],
) -> Float[np.ndarray, "*head query_group key_group"]:
    """Weight from word to word: summed over a key's pieces, averaged over a query's; rows still sum to 1."""
    query_groups = _membership(queries)
    average = (query_groups / query_groups.sum(0)).T
    return np.asarray(average @ (weights @ _membership(keys)))


def merge_mask(
    allowed: Bool[np.ndarray, "query key"], queries: Int[np.ndarray, " query"], keys: Int[np.ndarray, " key"]
) -> Bool[np.ndarray, "query_group key_group"]:
    """A word may look at a word if any of its pieces may look at any of the other's."""
    counts = _membership(queries).T @ allowed.astype(float) @ _membership(keys)
    return np.asarray(counts > 0)


def _membership(groups: Int[np.ndarray, " token"]) -> Float[np.ndarray, "token group"]:
    return np.asarray(np.eye(int(groups.max(initial=-1)) + 1)[groups])
