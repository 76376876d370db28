"""The gradient of one head's scores: the map, and one of its numbers from the weights to a finite difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from core.charts.positions import matrix
from core.experiments import backward as experiments
from core.experiments.backward import Backward
from pages.parts.address import keep
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap
from pages.parts.selection import read_clamped, take_place, write_place

Probe = Callable[[int, int, int], float]
"""∂loss/∂ of the score at a head, query and key, by making it a little larger and a little smaller."""


def score_gradients(here: Visit, found: Backward, head: int, queries: list[str], keys: list[str], probe: Probe) -> None:
    """dS of one head as a map, and the number of one cell worked out, beside a finite difference."""
    _ = here.words
    scores, allowed = found.hand.scores[head].numpy(), found.allowed[head].numpy()
    largest = divmod(int(np.abs(scores).argmax()), scores.shape[1])
    chosen = keep("decoding_cell", None, read_clamped(*scores.shape), write_place)
    query, key = chosen or largest
    words = {
        "label": _("Gradient of the scores; arrow keys move from cell to cell"),
        "query": _("query"),
        "key": _("key"),
        "weight": _("beside the largest of its row"),
        "sum": _("each row sums to 0"),
        "masked": _("masked: exactly 0"),
    }
    left, right_side = st.columns([6, 5], gap="large")
    with left:
        st.markdown(
            _(
                "**dS of this head**: how the loss answers to each score, each row beside its own largest. Violet: a "
                "higher score would raise the loss; red: lower it. Click a cell."
            )
        )
        largest_of_row = np.abs(scores).max(-1, keepdims=True)
        scaled = np.divide(scores, largest_of_row, out=np.zeros_like(scores), where=largest_of_row > 0)
        place = (query, key)
        data = matrix(scaled, rows=queries, columns=keys, cell=place, limit=1.0, words=words, allowed=allowed)
        heatmap(data, key="decoding_ds", on_cell=take_place("decoding_ds", "cell", "decoding_cell", *scores.shape))
    with right_side:
        if not allowed[query, key]:
            st.markdown(_("This cell is masked: its weight is 0, and so is its gradient, exactly."))
            return
        _worked(here, found, (head, query, key), (queries[query], keys[key]), probe)


def _worked(here: Visit, found: Backward, cell: tuple[int, int, int], names: tuple[str, str], probe: Probe) -> None:
    _, (head, query, key) = here.words, cell
    weight = float(found.weights[head, query, key])
    gain = float(found.hand.weights[head, query, key])
    mean = float(found.hand.weights[head, query] @ found.weights[head, query])
    score = float(found.hand.scores[head, query, key])
    st.markdown(_("Query **{query}**, key **{key}**:").format(query=in_markdown(names[0]), key=in_markdown(names[1])))
    st.latex(r"dS_{ij} = A_{ij}\Bigl(dA_{ij} - \textstyle\sum_k A_{ik}\, dA_{ik}\Bigr)")
    st.latex(rf"{_tex(score)} = {_tex(weight)} \times \bigl({_tex(gain)} - ({_tex(mean)})\bigr)")
    st.html(
        facts(
            {
                _("by hand"): f"{score:.4e}",
                _("autograd"): f"{float(found.autograd.scores[head, query, key]):.4e}",
                _("finite difference"): f"{probe(*cell):.4e}",
            }
        )
    )
    st.markdown(
        _(
            "dA says how the loss would answer if this weight alone grew. From it the row's weighted mean is taken, "
            "since the other weights must give what this one gains. If the score rose a little, the loss would {way}."
        ).format(way=_("rise") if score > 0 else _("fall"))
    )
    with st.expander(_("The same through the output: ∂o/∂s and ∂o/∂q")):
        _jacobians(here, found, cell)


def _tex(value: float) -> str:
    mantissa, power = f"{value:.3e}".split("e")
    return mantissa if int(power) == 0 else rf"{mantissa}\cdot 10^{{{int(power)}}}"


def _jacobians(here: Visit, found: Backward, cell: tuple[int, int, int]) -> None:
    """T16 on this row: both Jacobians by their formulas, and what they make of dO."""
    _, (head, query, key) = here.words, cell
    row, values, arriving = found.weights[head, query], found.value[head], found.hand.head_outputs[head, query]
    by_score = experiments.score_jacobian(row, values)
    by_query = experiments.query_jacobian(row, found.key[head], values, found.scale)
    scores, queries = by_score @ arriving, by_query.mT @ arriving
    st.latex(
        r"\frac{\partial o}{\partial s_j} = p_j\,(v_j - o) \qquad "
        r"\frac{\partial o}{\partial q} = \frac{\mathrm{Cov}_p(v, k)}{\sqrt{d_k}}"
    )
    st.markdown(
        _(
            "The output o is a mean of the values under the weights p. Raising one score pulls o towards that value: "
            "by p times the way still to go. The query is heard through how keys and values **vary together** under p; "
            "with all weight on one key nothing varies, and the query learns nothing."
        )
    )
    st.html(
        facts(
            {
                _("length of ∂o/∂s of this cell"): f"{float(by_score[key].norm()):.3e}",
                _("length of ∂o/∂q"): f"{float(by_query.norm()):.3e}",
                _("dS from it − dS above"): f"{float((scores - found.hand.scores[head, query]).abs().max()):.0e}",
                _("dQ from it − dQ above"): f"{float((queries - found.hand.query[head, query]).abs().max()):.0e}",
            }
        )
    )
