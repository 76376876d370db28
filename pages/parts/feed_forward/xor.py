"""Part 2: XOR of two bits of one token, learnt live by tiny networks with and without a feed-forward network."""

from __future__ import annotations

import streamlit as st

from core.charts import residuals as charts
from core.experiments import feed_forward as experiments
from core.experiments.feed_forward import SETTINGS, Learnt
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.words import Words

COIN = 0.6931471805599453  # nats: the loss of who always says one half
TRAINED = "feed_trained"


def exclusive_or(here: Visit) -> None:
    """A prediction, one kind of network after the other trained while one waits, and what came of each."""
    _ = here.words
    st.subheader(_("A token that must know whether its two bits differ"))
    st.markdown(
        _(
            "A token carries two bits, and is asked for **XOR**: 1 if exactly one of them is 1. No affine function "
            "can: it is right for 3 of the 4 inputs at most. Tiny networks are trained here and now, three seeds each."
        )
    )
    guess = predict(
        _,
        "feed_xor_guess",
        _("One token, attention and residual, **no** feed-forward, no norm. How many of the four inputs does it get?"),
        {"2": _("2"), "3": _("3"), "4": _("all 4")},
    )
    if guess is None:
        return
    name = choose_one(_("Network"), "feed_xor", _names(_), "attention")
    with st.spinner(_("Training …")):
        found = _learnt(name)
    done: list[str] = st.session_state.setdefault(TRAINED, [])
    if name not in done:
        done.append(name)
    left, right = st.columns([6, 5], gap="large")
    with left:
        series = {_("seed {seed}").format(seed=seed): list(each.losses) for seed, each in enumerate(found)}
        words = {"x": _("training step"), "y": _("loss (nats)")}
        level = (COIN, _("saying one half to everything"))
        st.vega_lite_chart(charts.curves(series, words=words, level=level))
        st.caption(
            _(
                "Measured here: {width} channels, one head, {steps} steps of Adam. A lone token is graded on the four "
                "inputs there are; six tokens, on sequences not seen in training."
            ).format(width=experiments.WIDTH, steps=experiments.STEPS)
        )
    with right:
        _table(_, done)
        _verdict(_, name, guess, found)


def _names(_: Words) -> dict[str, str]:
    return {
        "attention": _("attention alone"),
        "feed-forward": _("+ feed-forward"),
        "norm": _("attention + norm"),
        "many": _("attention, six tokens"),
    }


@st.cache_data(max_entries=8, show_spinner=False)
def _learnt(name: str) -> list[Learnt]:
    return experiments.learn_xor(SETTINGS[name])


def _table(_: Words, done: list[str]) -> None:
    st.dataframe(
        {
            _("network"): [_names(_)[name] for name in done],
            _("right, by seed"): [" · ".join(f"{each.accuracy:.0%}" for each in _learnt(name)) for name in done],
            _("says to 00, 01, 10, 11 (seed 0)"): [
                ", ".join(f"{answer:.2f}" for answer in _learnt(name)[0].answers) or "–" for name in done
            ],
        },
        hide_index=True,
        height="content",
    )


def _verdict(_: Words, name: str, guess: str, found: list[Learnt]) -> None:
    alone = _learnt("attention")
    best = round(4 * max(each.accuracy for each in alone))
    said = {"2": _("2"), "3": _("3"), "4": _("all 4")}[guess]
    st.markdown(_("You said **{guess}**. Attention alone gets at most **{best}** of 4.").format(guess=said, best=best))
    worst, top = min(each.accuracy for each in found), max(each.accuracy for each in found)
    if name == "feed-forward":
        st.markdown(
            _("With a feed-forward network: **{worst}** to **{top}** right.").format(
                worst=f"{worst:.0%}", top=f"{top:.0%}"
            )
        )
    elif name == "norm":
        text = (
            _("A norm **can** be enough: it divides, so it is no affine map. Here {worst} to {top} are right, by seed.")
            if top > 0.75
            else _("A norm is no affine map either, and may be enough; here it was not: {worst} to {top} are right.")
        )
        st.markdown(text.format(worst=f"{worst:.0%}", top=f"{top:.0%}"))
    elif name == "many":
        st.markdown(
            _(
                "The twist: with **six** tokens side by side, each asked for XOR of its own bits, attention alone gets "
                "{worst} to {top}. The others give the softmax something to weigh, and its weights are no affine "
                "function of the token. So “attention cannot do XOR” holds for one token only."
            ).format(worst=f"{worst:.0%}", top=f"{top:.0%}")
        )
    else:
        st.markdown(_("Now train the others: what is enough to break the limit?"))
