"""Part 2: where each word of the translation looks: Bahdanau's weights beside the Transformer's best head."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from core.charts import heatmap
from core.measures.heads import entropy
from core.run import Run
from core.variants import BASE
from pages.parts.address import keep
from pages.parts.before_attention.rows import ATTENTIVE, names, reference, run_of
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.selection import Place, read_clamped, take_place, write_place
from pages.parts.words import Words
from pages.parts.zoo import at_hand

FIGURES = 2  # that a card stores of a head
HEAD = re.compile(r"decoder\.(\d+)\.cross_attention\.(\d+)")


@dataclass(frozen=True, eq=False)
class Map:
    """What one head looks at for each token it is asked for; `stored` are its figures on the card, if any."""

    title: str
    weights: np.ndarray
    scores: np.ndarray
    stored: Mapping[str, float]


def alignments(here: Visit) -> None:
    """Two maps over the same tokens, and how far they agree."""
    _ = here.words
    st.markdown(
        _(
            "Bahdanau et al. 2015 let the writer look back: before each word its state asks all states of the reader, "
            "by a small network instead of a product, and gets their mean under the weights. The Transformer kept "
            "that and dropped the recurrence."
        )
    )
    st.latex(r"e_{tj} = v^\top \tanh(W s_{t-1} + U h_j), \qquad a_{tj} = \mathrm{softmax}_j(e_{tj})")
    st.latex(r"e_{tj} = q_t^\top k_j / \sqrt{d_k}")
    readers = at_hand(_, (ATTENTIVE, BASE))
    if not readers:
        return
    text = reference(here)
    runs = {name: run_of(here, name, text) for name in readers}
    maps = {name: _map(_, runs[name], (readers[name].card["metrics"] or {}).get("alignment") or {}) for name in readers}
    rows, columns = next(iter(maps.values())).weights.shape
    chosen = keep("before_cell", None, read_clamped(rows, columns), write_place)
    cell = chosen or _strongest(next(iter(maps.values())).weights)
    for column, name in zip(st.columns(2, gap="large"), maps, strict=False):
        with column:
            _show(_, name, maps[name], runs[name], cell)
    st.caption(
        _(
            "Measured on this sentence, both reading the same reference. A row is the token being **written** (query), "
            "a column a token of the sentence (key); each row sums to 1. Bahdanau's query is a state that has not read "
            "the token before yet, the Transformer's has."
        )
    )
    if len(maps) > 1:
        _agreement(_, maps)


def _map(_: Words, run: Run, stored: Mapping[str, Any]) -> Map:
    """The only head of Bahdanau's; of the Transformer's the one that aligns best on held-out sentences."""
    if run.model_name == ATTENTIVE:
        path, head, title = "decoder.cross_attention", 0, _("Bahdanau's attention")
    else:
        layer, head = _best_head(run, stored)
        path = f"decoder.{layer}.cross_attention"
        title = _("cross-attention, layer {layer}, head {head}").format(layer=layer + 1, head=head + 1)
    scores = run.tensor(f"{path}.scores")[head].numpy()
    own = {"error_rate": stored.get("best_head_error_rate"), "null": stored.get("permutation_error_rate")}
    weights = run.tensor(f"{path}.weights")[head].numpy()
    return Map(title, weights, scores, {name: each for name, each in own.items() if each is not None})


def _best_head(run: Run, stored: Mapping[str, Any]) -> Place:
    """By the card; without one, the head that is surest on this sentence."""
    found = HEAD.fullmatch(str(stored.get("best_head", "")))
    layers, heads = len(run.decoder), run.network.config.heads
    if found and int(found[1]) < layers and int(found[2]) < heads:
        return int(found[1]), int(found[2])
    weights = np.stack([layer.cross_attention.weights.numpy() for layer in run.decoder])
    layer, head = np.unravel_index(int(entropy(weights).mean(-1).argmin()), (layers, heads))
    return int(layer), int(head)


def _strongest(weights: np.ndarray) -> Place:
    query, key = np.unravel_index(int(weights.argmax()), weights.shape)
    return int(query), int(key)


def _show(_: Words, name: str, shown: Map, run: Run, cell: Place) -> None:
    st.markdown(f"**{names(_)[name]}** · {shown.title}")
    queries, keys = [each.piece for each in run.predicted_tokens], [each.piece for each in run.source_tokens]
    words = {
        "label": _("One head; arrow keys move from cell to cell"),
        "queries": _("query (token being written)"),
        "keys": _("key (source sentence)"),
        "query": _("query"),
        "key": _("key"),
        "weight": _("weight"),
        "sum": _("each row sums to 1"),
        "masked": _("masked"),
    }
    allowed = np.ones_like(shown.weights, dtype=bool)
    data = heatmap.detail(shown.weights, allowed, queries=queries, keys=keys, cell=cell, words=words)
    component = f"before_map_{name}"
    draw(data, key=component, on_cell=take_place(component, "cell", "before_cell", *shown.weights.shape))
    stored = (
        {
            _("alignment error, held out"): f"{shown.stored['error_rate']:.2f}",
            _("of shuffled gold"): f"{shown.stored['null']:.2f}",
        }
        if len(shown.stored) == FIGURES
        else {}
    )
    st.html(
        facts(
            {
                _("query"): queries[cell[0]],
                _("key"): keys[cell[1]],
                _("weight"): f"{shown.weights[cell]:.4f}",
                _("score before the softmax"): f"{shown.scores[cell]:.3f}",
                _("entropy (nats), of uniform weights"): (
                    f"{entropy(shown.weights).mean():.2f} / {math.log(len(keys)):.2f}"
                ),
                **stored,
            }
        )
    )


def _agreement(_: Words, maps: Mapping[str, Map]) -> None:
    """How often both look at the same token most, beside what chance would give two such lists."""
    first, second = (each.weights.argmax(-1) for each in maps.values())
    same = float((first == second).mean())
    counts = [np.bincount(each, minlength=next(iter(maps.values())).weights.shape[1]) for each in (first, second)]
    chance = float((counts[0] * counts[1]).sum() / len(first) ** 2)
    st.markdown(
        _(
            "For **{same}** of the tokens both look most at the same place; if the rows of one were shuffled it would "
            "be {chance}."
        ).format(same=f"{same:.0%}", chance=f"{chance:.0%}")
    )
    errors = {name: each.stored["error_rate"] for name, each in maps.items() if len(each.stored) == FIGURES}
    if len(errors) == len(maps):
        better = min(errors, key=errors.__getitem__)
        st.markdown(
            _(
                "On held-out sentences **{name}** aligns better: error {low} against {high}. An attention over "
                "recurrent states has no layers and one head; Bahdanau et al. already drew such pictures."
            ).format(name=names(_)[better], low=f"{errors[better]:.2f}", high=f"{max(errors.values()):.2f}")
        )
    st.caption(
        _(
            "Alignment error: against gold word alignments of held-out sentences, stored from the training run; 0 is "
            "perfect. A learner's note says the difference is “query, key and value”: Bahdanau's state is a query too, "
            "and the reader's states are keys and values at once."
        )
    )
