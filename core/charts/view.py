"""One kind of attention as it is shown: which tokens, as pieces or as words, and where each came from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from core.charts.merging import groups_of_words, merge, merge_mask
from core.measures.heads import hide
from core.tokens import Token


@dataclass(frozen=True, eq=False)
class Side:
    """The tokens along one axis: what is written there, and the positions in the run behind each label."""

    labels: tuple[str, ...]
    positions: tuple[tuple[int, ...], ...]
    special: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class View:
    """All heads of one kind over the sides shown; every row sums to 1.

    `kept` is the share of each row's weight on the keys still shown, before rows were scaled back to 1.
    """

    weights: Float[np.ndarray, "layer head query key"]
    allowed: Bool[np.ndarray, "query key"]
    queries: Side
    keys: Side
    kept: Float[np.ndarray, "layer head query"]


def side(tokens: Sequence[Token], text: str, *, words: bool) -> Side:
    """Pieces as they are, or whole words spelled as in `text`."""
    groups = groups_of_words([token.word for token in tokens]) if words else np.arange(len(tokens))
    members = [tuple(np.flatnonzero(groups == group).tolist()) for group in range(int(groups.max(initial=-1)) + 1)]
    return Side(
        labels=tuple(_label([tokens[index] for index in places], text) for places in members),
        positions=tuple(members),
        special=tuple(tokens[places[0]].special for places in members),
    )


def view(
    weights: Float[np.ndarray, "layer head query key"],
    allowed: Bool[np.ndarray, "query key"],
    queries: Side,
    keys: Side,
    *,
    without_special: bool,
) -> View:
    """`weights` over pieces, shown over the given sides; without special tokens rows are rescaled to 1."""
    query_groups, key_groups = _groups(queries), _groups(keys)
    merged, mask = merge(weights, query_groups, key_groups), merge_mask(allowed, query_groups, key_groups)
    rows, columns = _shown(queries, without_special), _shown(keys, without_special)
    return View(
        weights=hide(merged, rows, columns),
        allowed=mask[rows][:, columns],
        queries=_only(queries, rows),
        keys=_only(keys, columns),
        kept=merged[..., rows, :][..., columns].sum(-1),
    )


def strongest(shown: View, layer: int, head: int) -> tuple[int, int]:
    """The cell of a head with the largest weight among real tokens: where a reader's eye should start."""
    ordinary = np.outer(_words(shown.queries), _words(shown.keys)) & shown.allowed
    open_cells = ordinary if ordinary.any() else shown.allowed
    weights = np.where(open_cells, shown.weights[layer, head], -1.0)
    query, key = np.unravel_index(int(weights.argmax()), weights.shape)
    return int(query), int(key)


def _words(shown: Side) -> Bool[np.ndarray, " label"]:
    """Which labels are words: not special, not punctuation."""
    named = zip(shown.labels, shown.special, strict=True)
    return np.array([not special and any(map(str.isalnum, label)) for label, special in named], dtype=bool)


def _label(tokens: Sequence[Token], text: str) -> str:
    if len(tokens) == 1:
        return tokens[0].piece
    return text[min(token.start for token in tokens) : max(token.end for token in tokens)]


def _groups(shown: Side) -> Int[np.ndarray, " position"]:
    groups = np.empty(sum(len(places) for places in shown.positions), dtype=int)
    for group, places in enumerate(shown.positions):
        groups[list(places)] = group
    return groups


def _shown(shown: Side, without_special: bool) -> Bool[np.ndarray, " label"]:
    special = np.array(shown.special, dtype=bool)
    everything = not without_special or bool(special.all())
    return np.ones_like(special) if everything else ~special


def _only(shown: Side, wanted: Bool[np.ndarray, " label"]) -> Side:
    indices = np.flatnonzero(wanted).tolist()
    return Side(
        labels=tuple(shown.labels[index] for index in indices),
        positions=tuple(shown.positions[index] for index in indices),
        special=tuple(shown.special[index] for index in indices),
    )
