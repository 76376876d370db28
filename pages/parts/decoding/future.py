"""Whose input each prediction answers to, through all layers: nothing comes back from what is not yet read."""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core.charts import masks as maps
from core.experiments.backward import Influence
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap
from pages.parts.masks.show import why_it_leaks
from pages.parts.selection import Place, read_clamped, take_place, write_place


def future(here: Visit, found: Influence, reads: list[str], sources: list[str], predicted: list[str]) -> None:
    """The gradients of all predictions with respect to all inputs, of which a triangle is exactly zero."""
    _, count = here.words, len(found.target)
    st.subheader(_("Nothing comes back from the future"))
    st.markdown(
        _(
            "Row: a prediction. Column: what it could answer to. The colour is the length of ∂ log p / ∂ input through "
            "all layers, as a share of its row."
        )
    )
    left, right = st.columns(2, gap="large")
    with left:
        cell = _map(here, found.target, predicted, reads, _("decoder input (key)"), "decoding_from", (0, count - 1))
        later = torch.ones(count, count, dtype=torch.bool).triu(1)
        largest = float(found.target[later].max()) if count > 1 else 0.0
        st.html(
            facts(
                {
                    _("prediction"): predicted[cell[0]],
                    _("input"): reads[cell[1]],
                    _("length of the gradient"): _length(float(found.target[cell])),
                    _("cells above the diagonal"): str(int(later.sum())),
                    _("largest of them"): _length(largest),
                }
            )
        )
    with right:
        cell = _map(here, found.source, predicted, sources, _("source (key)"), "decoding_from_source", None)
        names = (_("prediction"), predicted[cell[0]]), (_("input"), sources[cell[1]])
        st.html(facts({**dict(names), _("length of the gradient"): _length(float(found.source[cell]))}))
    if largest == 0:
        st.markdown(
            _(
                "Above the diagonal the gradient is not small but **exactly 0**: a masked weight is 0, and gradient "
                "comes back only where something went forth. That is why one pass may train all places. The encoder "
                "has no such triangle: each prediction answers to the whole source."
            )
        )
    else:
        st.markdown(
            _("Above the diagonal there **is** gradient, up to {largest}: {why}").format(
                largest=_length(largest), why=why_it_leaks(_, here.model.transformer.config)
            )
        )
    caption = _("Measured on this sentence.")
    if count < len(predicted):
        caption += " " + _("The first {shown} of {rows} predictions.").format(shown=count, rows=len(predicted))
    st.caption(caption)


def _length(value: float) -> str:
    return f"{value:.2e}" if value else "0"


def _map(
    here: Visit,
    lengths: Tensor,
    predicted: list[str],
    tokens: list[str],
    axis: str,
    key: str,
    default: Place | None,
) -> Place:
    """Draw one map, and return the cell looked at; without a default the strongest."""
    _, (rows, columns) = here.words, lengths.shape
    shares = (lengths / lengths.sum(-1, keepdim=True).clamp_min(1e-30)).numpy().astype(np.float64)
    strongest = divmod(int(shares.argmax()), columns)
    cell = keep(key, None, read_clamped(rows, columns), write_place) or default or strongest
    words = {
        "label": axis,
        "query": _("prediction"),
        "key": axis,
        "queries": _("prediction (its log-probability)"),
        "keys": axis,
        "weight": _("share"),
        "sum": _("each row sums to 1"),
        "masked": _("masked"),
    }
    data = maps.changes(
        shares,
        np.ones(shares.shape, dtype=bool),
        rows=predicted[:rows],
        positions=tokens[:columns],
        cell=cell,
        most=float(shares.max()) or 1.0,
        words=words,
    )
    heatmap(data, key=f"{key}_map", on_cell=take_place(f"{key}_map", "cell", key, rows, columns))
    return cell
