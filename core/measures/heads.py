"""What one head's pattern is like, in numbers: how sharp, how far, how much on itself, on the first and the end token.

Weights are (head, query, key), and each row is a distribution over the keys. Rows of padding are the caller's to leave
out. A row that sums to 0 (nothing could be looked at) keeps its zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from core.measures.alignment import membership


def hide(
    weights: Float[Array, "*head query key"],
    queries: Bool[Array, " query"] | None = None,
    keys: Bool[Array, " key"] | None = None,
) -> Float[Array, "*head rows columns"]:
    """The pattern among the tokens marked True alone: the others are dropped, and rows scaled to sum to 1 again.

    It answers where a head looks *when* it looks at a word; the share that went to specials is `share_on`.
    """
    if queries is not None:
        weights = weights[..., queries, :]
    if keys is not None:
        weights = weights[..., keys]
    mass = weights.sum(-1, keepdims=True)
    return np.asarray(np.divide(weights, mass, out=np.zeros_like(weights), where=mass > 0))


def by_word(
    weights: Float[Array, "*head query key"],
    query_word: Int[Array, " query"],
    key_word: Int[Array, " key"],
) -> Float[Array, "*head target source"]:
    """The pattern among words: keys of one word are summed, its queries averaged (Clark et al. 2019, section 4.1).

    Tokens numbered −1 belong to no word and are hidden first. Rows and columns are in the order of the words that
    occur, and rows still sum to 1.
    """
    shown = hide(weights, query_word >= 0, key_word >= 0)
    rows, columns = occurring(query_word), occurring(key_word)
    return np.asarray(rows / rows.sum(1, keepdims=True) @ shown @ columns.T)


def occurring(word_of: Int[Array, " token"]) -> Float[Array, "word kept"]:
    """Which kept token is part of which word, one row for each word that occurs."""
    kept = word_of[word_of >= 0]
    words, renamed = np.unique(kept, return_inverse=True)
    return membership(renamed, len(words))


def entropy(weights: Float[Array, "*head query key"]) -> Float[Array, "*head query"]:
    """−Σ A log A of each row, in nats: 0 looks at one token, log n at n tokens alike."""
    logarithm = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return np.asarray(np.maximum(-(weights * logarithm).sum(-1), 0.0))


def normalized_entropy(
    weights: Float[Array, "*head query key"], mask: Bool[Array, "*#head query key"]
) -> Float[Array, "*head query"]:
    """Entropy as a share of what is possible, log of the allowed keys; 0 where one key at most is allowed."""
    most = np.broadcast_to(np.log(np.maximum(mask.sum(-1), 1)), weights.shape[:-1]).astype(weights.dtype)
    found = entropy(weights)
    return np.asarray(np.minimum(np.divide(found, most, out=np.zeros_like(found), where=most > 0), 1.0))


def mean_distance(weights: Float[Array, "*head query key"]) -> Float[Array, "*head"]:
    """Σ A |i − j|, tokens between a query and what it looks at, averaged over the queries."""
    query, key = np.indices(weights.shape[-2:])
    return np.asarray((weights * np.abs(query - key)).sum(-1).mean(-1))


def diagonal_share(weights: Float[Array, "*head query key"]) -> Float[Array, "*head"]:
    """Share of the queries that look at their own position more than at any other (the first of equals counts)."""
    own = np.arange(weights.shape[-2])
    return np.asarray((weights.argmax(-1) == own).mean(-1))


def share_on(weights: Float[Array, "*head query key"], key: int) -> Float[Array, "*head"]:
    """Mean weight on one key: 0 for the first token, −1 for the end, where idle heads rest."""
    return np.asarray(weights[..., key].mean(-1))


def contribution_norms(
    head_outputs: Float[Array, "head query channel"], output_weight: Float[Array, "width joined"]
) -> Float[Array, "head query"]:
    """‖head_h W_O^h‖: how much each head writes to each position (Kobayashi et al. 2020).

    With G = W_O^h W_O^hᵀ the norm is √(o G oᵀ), a quarter of the work of forming the vectors.
    """
    heads = head_outputs.shape[0]
    slices = output_weight.reshape(output_weight.shape[0], heads, -1).transpose(1, 2, 0)
    gram = slices @ slices.transpose(0, 2, 1)
    return np.asarray(np.sqrt(np.maximum(((head_outputs @ gram) * head_outputs).sum(-1), 0.0)))


def rollout(layers: Sequence[Float[Array, "head token token"]]) -> Float[Array, "token token"]:
    """Attention rollout (Abnar and Zuidema 2020, section 3): how much of each input token reaches each position.

    Heads are averaged, half of every step is the residual connection (½A + ½I), and later layers multiply from the
    left. A simplification: values, feed-forward networks and norms are ignored.
    """
    rolled = np.eye(layers[0].shape[-1])
    for weights in layers:
        mean = weights.astype(np.float64).mean(0)
        rolled = (0.5 * mean + 0.5 * np.eye(len(mean))) @ rolled
    return rolled
