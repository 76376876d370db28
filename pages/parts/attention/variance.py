"""Part 2, continued: why it is the square root that scores are divided by (E01)."""

import numpy as np
import streamlit as st

from core.charts import attention as charts
from core.experiments import scaling as experiments
from core.run import AttentionRun
from pages.parts.address import keep
from pages.parts.attention.choosing import Asked, Chosen, run_of
from pages.parts.options import choose_number
from pages.parts.positions.show import number, predict
from pages.parts.selection import of_kind
from pages.parts.words import Words

CHANNELS = (1, 4, 16, 64, 256, 1024)
KEYS = (8, 16, 64)
SEEDS = 5
Softness = experiments.Softness


def why(_: Words, chosen: Chosen) -> None:
    """A prediction, random vectors with and without the division, and this model's own."""
    st.subheader(_("If softmax follows anyway, why divide first?"))
    st.markdown(
        _(
            "A score is a sum of d products. If the components of q and k are independent with mean 0 and variance 1, "
            "each product has mean 0 and variance 1 too, and their sum has variance d: the more channels, the farther "
            "apart the scores. Softmax does not care what is added to all scores, but it does care how far apart they "
            "are: multiplying them makes it sharper. Dividing by √d brings the variance back to 1."
        )
    )
    st.latex(
        r"""\begin{aligned}
        \operatorname{Var}(q \cdot k) &= \textstyle\sum_{c=1}^{d} \operatorname{Var}(q_c k_c) = d \\
        J &= \operatorname{diag}(p) - p\,p^{\top}, \\
        p_j \to 1 \; &\Rightarrow \; J \to 0 \\
        \frac{\partial o}{\partial q} &= \frac{1}{\sqrt{d}} \operatorname{Cov}_{p}(v, k)
        \end{aligned}"""
    )
    guess = predict(
        _,
        "gradient_guess",
        _(
            "Random queries, keys and values with **1,024 channels**. Leave the division out: what happens to the "
            "**mean** gradient that reaches a query, ‖∂o/∂q‖?"
        ),
        _guesses(_),
    )
    if guess is not None:
        _random(_, chosen, guess)


def _guesses(_: Words) -> dict[str, str]:
    return {
        "vanishes": _("it nearly vanishes"),
        "same": _("it stays about the same"),
        "grows": _("it grows"),
    }


@st.cache_data(max_entries=40, show_spinner=False)
def _drawn(keys: int, first: int) -> dict[bool, dict[int, list[Softness]]]:
    """Five seeds for every number of channels, scaled and not."""
    seeds = range(first, first + SEEDS)
    return {
        scaled: {each: experiments.random_softness(each, keys, seeds, scaled=scaled) for each in CHANNELS}
        for scaled in (True, False)
    }


def _random(_: Words, chosen: Chosen, guess: str) -> None:
    first = keep("scale_seed", 0, lambda text: min(max(int(text), 0), 10_000))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        keys = choose_number(_("Keys that each query looks at"), "scale_keys", KEYS, 16)
        st.button(_("Other random vectors"), icon=":material/casino:", on_click=_reroll)
    found = _drawn(keys, first)
    _verdict(_, found, guess)
    _panels(_, chosen, found)
    st.caption(
        _(
            "Lines: the middle of {seeds} sets of random vectors (seeds {first} to {last}, {queries} queries each), "
            "bands from the lowest to the highest. Diamonds: this head of the trained model on this sentence, divided "
            "and not; its matrices were trained with the division. A query is dead if its Jacobian is below {dead}."
        ).format(
            seeds=SEEDS,
            first=first,
            last=first + SEEDS - 1,
            queries=experiments.SETS * experiments.QUERIES,
            dead=experiments.DEAD,
        )
    )
    _heads(_, chosen)


def _reroll() -> None:
    st.session_state["scale_seed"] = st.session_state["scale_seed"] + SEEDS


def _verdict(_: Words, found: dict[bool, dict[int, list[Softness]]], guess: str) -> None:
    """What the numbers say about the prediction; the mean and the median tell opposite stories."""
    last = CHANNELS[-1]
    raw, scaled = ({name: _middle(found[way][last], name) for name in experiments.FIGURES} for way in (False, True))
    ratio = raw["mean_gradient"] / scaled["mean_gradient"]
    answer = "grows" if ratio > 1.5 else "vanishes" if ratio < 0.1 else "same"
    st.markdown(
        _(
            "You said **{guess}**. Measured: **{answer}**. The mean is **{mean_raw}** without the division and "
            "{mean_scaled} with it. But the **median** is **{median_raw}** against {median_scaled}, and **{dead}** of "
            "the queries are dead: a few queries that hang between two keys get huge gradients, and most get next to "
            "none. The mean alone would tell the opposite of what √d is for."
        ).format(
            guess=_guesses(_)[guess],
            answer=_guesses(_)[answer],
            mean_raw=number(raw["mean_gradient"]),
            mean_scaled=number(scaled["mean_gradient"]),
            median_raw=number(raw["median_gradient"]),
            median_scaled=number(scaled["median_gradient"]),
            dead=f"{raw['dead']:.0%}",
        )
    )


def _middle(found: list[Softness], name: str) -> float:
    return float(np.median([getattr(each, name) for each in found]))


def figure_names(_: Words) -> dict[str, str]:
    """The figures of the experiment as the screen calls them."""
    return {
        "mean_gradient": _("mean gradient ‖∂o/∂q‖"),
        "median_gradient": _("median gradient ‖∂o/∂q‖"),
        "dead": _("share of dead queries"),
        "variance": _("variance of the scores"),
        "largest": _("mean largest weight"),
        "entropy": _("entropy ÷ its maximum"),
        "jacobian": _("mean norm of the Jacobian"),
    }


def _panels(_: Words, chosen: Chosen, found: dict[bool, dict[int, list[Softness]]]) -> None:
    ways = {True: _("divided by √d"), False: _("not divided")}
    own, channels = _own(chosen.asked, chosen.place.kind), float(chosen.attention.query.shape[-1])
    columns = [*st.columns(2, gap="medium"), *st.columns(3, gap="medium"), *st.columns(2, gap="medium")]
    for column, (field, name) in zip(columns, figure_names(_).items(), strict=True):
        curves = {
            ways[way]: [
                (float(each), *_spread([getattr(one, field) for one in rows])) for each, rows in found[way].items()
            ]
            for way in ways
        }
        points = [(ways[way], channels, getattr(own[way][_index(chosen)], field)) for way in ways]
        with column:
            st.markdown(f"**{name}**")
            logarithmic = field in ("variance", "median_gradient")
            words = {"x": _("channels d"), "y": " "}
            spec = charts.fans(curves, words=words, points=points, logarithmic=logarithmic)
            st.vega_lite_chart(spec, key=f"panel_{field}")


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), float(np.median(values)), max(values)


# --- the same on this model -----------------------------------------------------------------------------------------


@st.cache_data(max_entries=60, show_spinner=False)
def _own(asked: Asked, kind: str) -> dict[bool, list[Softness]]:
    """The figures of every head of a kind on this sentence, layer by layer, divided by √d and not."""
    return {
        scaled: [each for layer in of_kind(run_of(asked), kind) for each in _layer(layer, scaled)]
        for scaled in (True, False)
    }


def _layer(attention: AttentionRun, scaled: bool) -> list[Softness]:
    query, key, value = (each.double() for each in (attention.query, attention.key, attention.value))
    scale = query.shape[-1] ** -0.5 if scaled else 1.0
    mask = attention.mask.expand(attention.scores.shape)
    return [
        experiments.softness(query[head, None], key[head, None], value[head, None], mask[head, None], scale)
        for head in range(len(query))
    ]


def _index(chosen: Chosen) -> int:
    """Where the chosen head stands among all of its kind."""
    return chosen.place.layer * chosen.attention.query.shape[0] + chosen.place.head


def _heads(_: Words, chosen: Chosen) -> None:
    """This head beside the middle of all heads of its kind."""
    st.markdown(_("**The trained model on this sentence**: its own queries, keys and values, divided by √d and not"))
    own = _own(chosen.asked, chosen.place.kind)
    this, middle = _("this head"), _("median of all heads")
    divided, undivided = _("divided by √d"), _("not divided")
    columns = {_("figure"): list(figure_names(_).values())}
    for way, named in ((True, divided), (False, undivided)):
        columns[f"{this}, {named}"] = [getattr(own[way][_index(chosen)], field) for field in figure_names(_)]
        columns[f"{middle}, {named}"] = [_middle(own[way], field) for field in figure_names(_)]
    config = {name: st.column_config.NumberColumn(format="%.4f") for name in list(columns)[1:]}
    st.dataframe(columns, hide_index=True, height="content", column_config=config)
    st.caption(
        _(
            "Trained queries and keys are not independent draws: compare the variance of the scores with d = "
            "{channels}, which independence would give. Queries that may look at one key only are left out."
        ).format(channels=chosen.attention.query.shape[-1])
    )
