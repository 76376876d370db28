"""Part 5: tokens become alike in a stack of attention, and which part of a layer stops that."""

from __future__ import annotations

import streamlit as st

from core.charts import residuals as charts
from core.experiments import residuals as experiments
from core.experiments.residuals import STACKED
from pages.parts import models, zoo
from pages.parts.frame import Visit
from pages.parts.positions.show import predict
from pages.parts.residuals.show import choose_stack, length
from pages.parts.words import Words

LAYERS = 12
FLOOR = 1e-16
ROWS = ("residual-none", "feed-forward-none")


def alike(here: Visit) -> None:
    """A prediction, the stacks before training, then the trained models on this sentence."""
    _ = here.words
    st.subheader(_("Attention averages: what keeps tokens apart?"))
    st.markdown(
        _(
            "A row of attention weights makes a weighted mean, and means of means become ever more alike. Dong et al. "
            "(2021) prove that attention alone turns all tokens into one vector, doubly exponentially fast (“rank "
            "collapse”), and that residuals and feed-forward layers slow it down."
        )
    )
    guess = predict(
        _,
        "residual_alike_guess",
        _("Which one, added to attention **alone**, keeps the tokens apart through 12 untrained layers?"),
        {name: _names(_)[name] for name in ("feed-forward", "norm", "residual")},
    )
    if guess is None:
        return
    found = {name: _collapse(name) for name in STACKED}
    left, right = st.columns([6, 5], gap="large")
    with left:
        series = {_names(_)[name]: list(enumerate(values)) for name, values in found.items()}
        words = {"x": _("layers"), "y": _("how unlike the tokens are")}
        st.vega_lite_chart(charts.curves(series, words=words, logarithmic=True, floor=FLOOR))
        st.caption(
            _(
                "Measured here: {words} random tokens of {width} channels, {heads} heads, untrained weights (seed 0), "
                "in double precision, where 10⁻¹⁶ is rounding. ‖X − mean‖ ÷ ‖X‖: 0 if all tokens are the same vector."
            ).format(words=experiments.WORDS, width=experiments.WIDE, heads=experiments.HEADS)
        )
    with right:
        _findings(_, guess, found)
    st.divider()
    _trained(here)


def _names(_: Words) -> dict[str, str]:
    return {
        "attention": _("attention alone"),
        "feed-forward": _("+ feed-forward"),
        "norm": _("+ norm after"),
        "residual": _("+ residual"),
        "whole": _("all three, pre-LN"),
    }


@st.cache_data(max_entries=8, show_spinner=False)
def _collapse(name: str) -> list[float]:
    return experiments.collapse(STACKED[name], LAYERS)


def _findings(_: Words, guess: str, found: dict[str, list[float]]) -> None:
    names, ends = _names(_), {name: values[-1] for name, values in found.items()}
    best = max(("feed-forward", "norm", "residual"), key=lambda name: ends[name])
    st.markdown(
        _("You said **{guess}**. After 12 layers tokens are most unlike with **{best}**: {value}.").format(
            guess=names[guess], best=names[best], value=length(ends[best])
        )
    )
    st.dataframe(
        {
            _("stack"): [names[name] for name in found],
            **{
                _("after {count}").format(count=count): [length(values[count]) for values in found.values()]
                for count in (1, 3, LAYERS)
            },
        },
        hide_index=True,
        height="content",
    )
    if ends["feed-forward"] < 1e-3 < ends["residual"]:
        st.markdown(
            _(
                "“The feed-forward layer prevents rank collapse” is often said. Before training it does **not**: "
                "without a residual, attention with feed-forward collapses as fast as attention alone. The residual "
                "keeps what each token brought along, so that the mean is only added to it."
            )
        )


def _trained(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Trained, on this sentence"))
    stack = choose_stack(_, "residual_alike_stack")
    rows = list(dict.fromkeys([here.model.name, "positions-sum", *ROWS]))
    twins = zoo.at_hand(_, rows)
    names = zoo.names(_)
    series = {}
    for name in twins:
        run = models.run(here.run.source_text, here.run.direction, name)
        series[names[name]] = list(enumerate(experiments.alike_by_layer(run, stack)))
    words = {"x": _("layers"), "y": _("how unlike the tokens are")}
    st.vega_lite_chart(charts.curves(series, words=words, height=320))
    last = ", ".join(f"{name} {length(values[-1][1])}" for name, values in series.items())
    st.markdown(_("After the last layer: {values}.").format(values=last))
    st.caption(
        _(
            "Measured on this sentence. 1 would be tokens whose mean is 0. Training can undo what the random start "
            "did: weights may learn to keep tokens apart even where nothing carries them."
        )
    )
