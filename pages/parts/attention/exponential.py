"""Part 4: what exp does to scores, and attention as the expectation that it is (E02)."""

import numpy as np
import streamlit as st

from core.charts import attention as charts
from core.experiments import expectation as experiments
from core.measures.walk import Walk, length
from pages.parts.address import keep
from pages.parts.attention.choosing import Chosen, choose, tokens, walk
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.options import choose_number
from pages.parts.positions.show import number, predict
from pages.parts.words import Words

Array = np.ndarray
MOST, STEP = 5.0, 0.1
TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SHIFT = FACTOR = 100.0
COUNTS = (1, 10, 100, 1_000, 10_000)
CURVE = tuple(2**power for power in range(15))


def exponential(here: Visit) -> None:
    """Three scores of this row under sliders; then the whole row as an expectation."""
    _ = here.words
    chosen = choose(here)
    tokens(_, chosen, axes=("query",))
    worked = walk(chosen)
    if int(worked.open.sum()) < 3:
        st.markdown(_("This query may look at fewer than three keys. Choose a later one."))
        return
    _three(_, chosen, worked)
    st.divider()
    _expectation(_, chosen, worked)


# --- three scores ---------------------------------------------------------------------------------------------------


def _three(_: Words, chosen: Chosen, worked: Walk) -> None:
    st.subheader(_("exp turns differences into ratios"))
    st.latex(
        r"""\begin{aligned}
        p_j &= \frac{e^{s_j}}{\sum_{j'} e^{s_{j'}}} \\
        \frac{p_i}{p_j} &= e^{s_i - s_j} \\
        \frac{\partial o}{\partial s_j} &= p_j\,(v_j - o)
        \end{aligned}"""
    )
    strongest = np.argsort(-worked.masked_scores, kind="stable")[:3]
    left, right = st.columns([5, 7], gap="large")
    with left:
        st.markdown(_("The three strongest keys of this row. Move their scores:"))
        scores, temperature = _sliders(_, chosen, worked, strongest)
    values = worked.values[strongest]
    with right:
        _bars(_, [chosen.keys[key] for key in strongest], scores)
        _ratios(_, scores, values, temperature)
    _invariance(_, worked.scores[strongest])


def _sliders(_: Words, chosen: Chosen, worked: Walk, strongest: Array) -> tuple[Array, float]:
    scores = []
    for count, key in enumerate(strongest, 1):
        name, own = f"exp_{count}", float(worked.scores[key])
        moved = keep(name, 0.0, _shift, lambda value: f"{value:.1f}")
        st.slider(
            _("{token}: {own} as measured, moved by").format(token=in_markdown(chosen.keys[key]), own=f"{own:.2f}"),
            -MOST,
            MOST,
            step=STEP,
            format="%.1f",
            key=name,
            persist_state="session",
        )
        scores.append(own + moved)
    temperature = keep(
        "exp_t", 1.0, {f"{each:g}": each for each in TEMPERATURES}.__getitem__, lambda value: f"{value:g}"
    )
    st.select_slider(
        _("Temperature T: scores are divided by it"),
        TEMPERATURES,
        key="exp_t",
        persist_state="session",
        format_func="{:g}".format,
    )
    return np.array(scores) / temperature, temperature


def _shift(text: str) -> float:
    value = round(float(text), 1)
    if not -MOST <= value <= MOST:
        raise ValueError(text)
    return value


def _bars(_: Words, names: list[str], scores: Array) -> None:
    series = {
        _("softmax: exp, then sum to 1"): experiments.softmax(scores).tolist(),
        _("sigmoid: each for itself"): experiments.sigmoid(scores).tolist(),
        _("maximum: all on the largest"): experiments.hardest(scores).tolist(),
    }
    words = {"key": _("key"), "value": _("weight")}
    st.vega_lite_chart(charts.compared(names, series, words=words), key="exp_bars")
    sums = " · ".join(f"{name.split(':')[0]} {sum(each):.3f}" for name, each in series.items())
    st.caption(
        _("Sums: {sums}. Only softmax is a distribution that a small change of a score moves a little.").format(
            sums=sums
        )
    )


def _ratios(_: Words, scores: Array, values: Array, temperature: float) -> None:
    weights = experiments.softmax(scores)
    error = float(np.abs(experiments.slopes(scores, values) - experiments.measured_slopes(scores, values)).max())
    st.html(
        facts(
            {
                "p₁ / p₂": number(float(weights[0] / weights[1])),
                "exp(s₁ − s₂)": number(float(np.exp(scores[0] - scores[1]))),
                _("entropy (nats)"): number(float(-(weights * np.log(weights)).sum())),
                _("‖o‖ of these three"): number(length(weights @ values)),
                _("∂o/∂s: p(v − o) against trying it out"): number(error),
            }
        )
    )
    st.caption(
        _(
            "s are the scores as moved, divided by T. Scores, keys and values are this head's on this sentence; what "
            "you move is *edited*. The last number is the largest difference between the formula and moving each score "
            "by 0.00001 up and down."
        )
    )


def _invariance(_: Words, scores: Array) -> None:
    guess = predict(
        _,
        "exp_guess",
        _("Add **100** to all three scores as they were measured. What becomes of the weights?"),
        {"same": _("nothing"), "sharper": _("sharper"), "flatter": _("flatter")},
    )
    if guess is None:
        return
    before = experiments.softmax(scores)
    added, multiplied = experiments.softmax(scores + SHIFT), experiments.softmax(scores * FACTOR)
    st.markdown(
        _(
            "Added: the largest change of a weight is **{added}**, which is rounding. All scores rose together, and "
            "only their differences count. **Multiplied** by 100 the largest weight goes from {before} to **{after}**: "
            "the differences grew, and that is what ÷ √d holds in check."
        ).format(
            added=number(float(np.abs(added - before).max())),
            before=f"{before.max():.3f}",
            after=f"{multiplied.max():.3f}",
        )
    )


# --- the expectation ------------------------------------------------------------------------------------------------


def _expectation(_: Words, chosen: Chosen, worked: Walk) -> None:
    st.subheader(_("Attention is an expectation"))
    st.latex(r"o = \sum_j p_j\, v_j = \mathbb{E}_{j \sim p}[\,v_j\,]")
    st.markdown(
        _(
            "An expectation is a mean in which every value counts as often as it is likely. So o can also be found by "
            "lot: draw keys of **{query}** with its weights, and average the values drawn."
        ).format(query=in_markdown(chosen.query))
    )
    seed = keep("exp_seed", 0, lambda text: min(max(int(text), 0), 10_000))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        count = choose_number(_("Keys to draw"), "exp_draws", COUNTS, 100)
        st.button(_("Draw again"), icon=":material/casino:", on_click=_again)
    weights, values = worked.softmax.weights, worked.values
    often = np.random.default_rng(seed).multinomial(count, weights / weights.sum()) / count
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**Weights, and how often each key was drawn**"))
        series = {_("weight"): weights.tolist(), _("share of the draws"): often.tolist()}
        words = {"key": _("key"), "value": _("share")}
        st.vega_lite_chart(charts.compared(chosen.keys, series, words=words), key="exp_often")
        st.html(
            facts(
                {
                    _("length of o"): number(length(worked.head_output)),
                    _("‖mean of the draws − o‖"): number(length(often @ values - weights @ values)),
                    _("to be expected: √(variance ÷ N)"): number(experiments.expected_error(weights, values, count)),
                }
            )
        )
    with right:
        _convergence(_, weights, values, seed)


def _again() -> None:
    st.session_state["exp_seed"] = st.session_state["exp_seed"] + 1


def _convergence(_: Words, weights: Array, values: Array, seed: int) -> None:
    st.markdown(_("**The more draws, the nearer**: the error falls with the square root of their number"))
    errors = experiments.sampling_errors(weights, values, CURVE, seed)
    low, middle, high = errors.min(0), np.median(errors, axis=0), errors.max(0)
    theory = [experiments.expected_error(weights, values, each) for each in CURVE]
    curves = {
        _("{count} samplings: lowest, median, highest").format(count=experiments.REPEATS): list(
            zip(map(float, CURVE), low.tolist(), middle.tolist(), high.tolist(), strict=True)
        ),
        _("expected: √(variance ÷ N)"): [
            (float(each), value, value, value) for each, value in zip(CURVE, theory, strict=True)
        ],
    }
    words = {"x": _("keys drawn, N"), "y": _("‖mean − o‖")}
    st.vega_lite_chart(charts.fans(curves, words=words, logarithmic=True, columns=1), key="exp_convergence")
    st.caption(_("Measured on this head's row of this sentence; the draws are random (seed {seed}).").format(seed=seed))
