"""By which way gradient comes back to a token, and which ways a saturated softmax closes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.charts import decoding as charts
from core.charts.positions import COLOURS
from core.experiments import backward as experiments
from core.experiments.backward import Backward, Routes
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.positions.show import predict
from pages.parts.words import Words

FACTORS = (1, 2, 4, 8, 16, 32, 64)


def routes(here: Visit, found: Backward, kind: str, queries: list[str], keys: list[str]) -> None:
    """Residual, value, query or key: a prediction, then the shares for every token."""
    _ = here.words
    st.subheader(_("Which way the gradient comes back"))
    st.latex(r"dX = dX_{\text{out}} + \mathrm{norm}^\top\bigl(dQ\,W_Q^\top + dK\,W_K^\top + dV\,W_V^\top\bigr)")
    ways = _ways(_)
    guess = predict(
        _,
        "decoding_route",
        _(
            "A token's vector enters the sub-layer, and the loss comes back to it by up to four ways: around the "
            "attention (residual), or through it as a value, as a query, as a key. Which way carries most, on average?"
        ),
        ways,
    )
    if guess is None:
        return
    left, right = st.columns(2, gap="large")
    with left:
        title = _("Target tokens, which ask") if kind == "cross" else _("The tokens that enter the sub-layer")
        means = _shares(_, title, queries, found.looking)
        most = ways[max(means, key=lambda name: means[name])]
    with right:
        if kind == "cross":
            others = _shares(_, _("Source tokens, which are looked at"), keys, found.looked_at)
            means = {**means, **others}
            other = ways[max(others, key=lambda name: others[name])]
            verdict = _("You said **{guess}**. For target tokens it is **{most}**, for source tokens **{other}**.")
        else:
            other = ""
            verdict = _("You said **{guess}**. On average over these tokens it is **{most}**.")
        st.html(facts({ways[name]: f"{share:.0%}" for name, share in means.items()}))
        st.markdown(verdict.format(guess=ways[guess], most=most, other=other))
        st.caption(
            _(
                "Each bar: the length of what came by that way, over the sum of the lengths; all heads of the layer "
                "together. The parts are vectors and may cancel, so lengths do not add up to the length of dX. In "
                "cross-attention a token of the source is reached through this layer's keys and values alone."
            )
        )


def _ways(_: Words) -> dict[str, str]:
    return {"residual": _("residual"), "value": _("value (V)"), "query": _("query (Q)"), "key": _("key (K)")}


def _shares(_: Words, title: str, tokens: list[str], found: Routes) -> Mapping[str, float]:
    """Draw the shares of one group of tokens, and return their means."""
    ways, shares = _ways(_), found.shares()
    st.markdown(f"**{title}**")
    words = {"token": _("token"), "share": _("share of the lengths")}
    palette = dict(zip(ways.values(), COLOURS, strict=False))
    st.vega_lite_chart(
        charts.routes(tokens, {ways[name]: values for name, values in shares.items()}, palette, words=words)
    )
    return {name: float(np.mean(values)) for name, values in shares.items()}


# --- a saturated softmax --------------------------------------------------------------------------------------------


def saturated(here: Visit, found: Backward, head: int) -> None:
    _ = here.words
    st.subheader(_("When the softmax is saturated"))
    rows = experiments.sharpened(found, head, FACTORS)
    left, right = st.columns([6, 5], gap="large")
    with left:
        series = {
            _("dS (scores)"): [_relative(each.scores, rows[0].scores) for each in rows],
            _("dV (values)"): [_relative(each.value, rows[0].value) for each in rows],
        }
        words = {"factor": _("all scores of this head times"), "length": _("length, beside that at 1")}
        st.vega_lite_chart(charts.sharpening(FACTORS, series, words=words))
    with right:
        last = rows[-1]
        st.markdown(
            _(
                "Multiply this head's scores and ask again with the same dO. With every weight at 0 or 1, "
                "A ⊙ (dA − …) is 0 everywhere: nothing reaches scores, queries and keys, while the values still get "
                "all of it. A head can be so sure that it cannot learn where to look; that is what "
                "$\\div\\sqrt{d_k}$ is to prevent at the start of training."
            )
        )
        st.html(
            facts(
                {
                    _("mean largest weight, as it is"): f"{rows[0].largest:.3f}",
                    _("the same, times {factor}").format(factor=FACTORS[-1]): f"{last.largest:.3f}",
                    _("dS left"): f"{_relative(last.scores, rows[0].scores):.1e}",
                    _("dV left"): f"{_relative(last.value, rows[0].value):.2f}",
                }
            )
        )
        peak = max(rows, key=lambda each: each.scores)
        if peak.factor > 1:
            st.markdown(
                _(
                    "Here dS first **grows**, up to ×{factor}: a softer head spreads its answer over many scores, a "
                    "sharper one concentrates it, before saturation takes it away."
                ).format(factor=peak.factor)
            )
    st.caption(_("Measured on this head; the scores are multiplied in this computation alone, not in the model."))


def _relative(value: float, first: float) -> float:
    return value / first if first else 0.0
