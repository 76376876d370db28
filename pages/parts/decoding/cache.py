"""Part 5: what a cache of keys and values saves: which tensors a step computes, products counted, time measured."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.charts import decoding as charts
from core.experiments import caching as experiments
from pages.parts.decoding.made import Asked, asked, written
from pages.parts.decoding.player import chosen_step, player
from pages.parts.edits import unedited
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.masks.show import why_it_leaks
from pages.parts.positions.show import number, predict
from pages.parts.words import Words

PASSES = 240  # of all rounds together, so that a long translation does not take long
MOST_ROUNDS, FEWEST_ROUNDS = 9, 3
Shapes = Sequence[dict[str, tuple[int, ...]]]


def caching(here: Visit) -> None:
    """Step by step what is computed, then the products, then the clock."""
    _, what = here.words, asked(here, edited=False)
    if leak := why_it_leaks(_, what.network.config):
        st.info(
            leak
            + " "
            + _(
                "Each token that is written changes the keys and values of all before it, so none can be kept: there "
                "is no cache to show here. Choose the translator in the list above to see one."
            ),
            icon=":material/visibility_off:",
        )
        return
    st.markdown(
        _(
            "At every step the decoder reads one token more. The mask keeps earlier tokens from seeing it, so their "
            "keys and values stay what they were: they can be **kept** (KV cache) instead of being computed again. "
            "Queries of earlier tokens are never needed again; only the newest one asks."
        )
    )
    unedited(here)
    ids = written(what).ids
    read = (what.sentence.start, *ids[:-1])
    kept, anew = _shapes(what, read, True), _shapes(what, read, False)
    words = {"kept": _("with a cache"), "anew": _("without")}
    tensors = {name: _both(_, tensor, kept, anew, len(what.sentence.source)) for tensor, name in _names(_).items()}
    player(_, charts.work(tensors, step=chosen_step(len(read)), words=words), key="decoding_work")
    st.caption(
        _(
            "Measured by listening to the first decoder layer while this translation is written; the other layers do "
            "the same. Rows × columns, in attention for each head. Solid: computed in this step; outlined: recalled "
            "from the cache."
        )
    )
    st.divider()
    _products(here, what, len(read))
    _clock(here, what, read)


@st.cache_data(max_entries=64, show_spinner=False)
def _shapes(what: Asked, read: tuple[int, ...], keep: bool) -> list[dict[str, tuple[int, ...]]]:
    return experiments.shapes(what.network, what.sentence, read, keep=keep)


def _names(_: Words) -> dict[str, str]:
    return {
        "own_query": _("self-attention: query"),
        "own_key": _("self-attention: key"),
        "own_value": _("self-attention: value"),
        "own_scores": _("self-attention: scores"),
        "cross_query": _("cross-attention: query"),
        "cross_key": _("cross-attention: key"),
        "cross_value": _("cross-attention: value"),
        "cross_scores": _("cross-attention: scores"),
        "feed_forward": _("feed-forward"),
        "logits": _("logits"),
    }


def _both(
    _: Words, tensor: str, kept: Shapes, anew: Shapes, source: int
) -> tuple[list[charts.Computed], list[charts.Computed]]:
    """One tensor at every step, with the rows that the cache recalls where it holds them."""
    recalls = {"own_key": range(len(kept)), "own_value": range(len(kept))}
    recalls |= dict.fromkeys(("cross_key", "cross_value"), [0] + [source] * (len(kept) - 1))
    past = recalls.get(tensor, [0] * len(kept))
    pairs = zip(kept, past, strict=True)
    return (
        [_computed(_, step.get(tensor), recalled) for step, recalled in pairs],
        [_computed(_, step.get(tensor), 0) for step in anew],
    )


def _computed(_: Words, shape: tuple[int, ...] | None, recalled: int) -> charts.Computed:
    parts = [" × ".join(map(str, shape))] if shape else []
    if recalled:
        parts.append(_("{rows} recalled").format(rows=recalled))
    return charts.Computed(" + ".join(parts) or "–", shape[0] if shape else 0, recalled)


# --- products -------------------------------------------------------------------------------------------------------


def _products(here: Visit, what: Asked, steps: int) -> None:
    _, config, source = here.words, here.model.network.config, len(what.sentence.source)
    st.subheader(_("Counted: multiply–adds"))
    kept, anew = (
        [each.total for each in experiments.counted(config, source, steps, keep=keep)] for keep in (True, False)
    )
    ratio = sum(anew) / sum(kept)
    options = {"2": _("less than twice"), "5": _("2 to 5 times"), "10": _("5 to 10 times"), "more": _("over 10 times")}
    guess = predict(
        _,
        "decoding_saved",
        _(
            "This translation has {steps} tokens. How many times as many multiply–adds does writing it take "
            "**without** a cache?"
        ).format(steps=steps),
        options,
    )
    if guess is None:
        return
    st.markdown(
        _("You said **{guess}**. Counted: **{ratio} times**.").format(guess=options[guess], ratio=f"{ratio:.1f}")
    )
    held = experiments.kept_numbers(config, source, steps)
    _drawn(
        _,
        [each / 1e6 for each in kept],
        [each / 1e6 for each in anew],
        _("million multiply–adds"),
        {
            _("in all, with a cache (millions)"): f"{sum(kept) / 1e6:,.1f}",
            _("without (millions)"): f"{sum(anew) / 1e6:,.1f}",
            _("numbers the cache holds at the end"): f"{held:,}",
            _("as memory, 4 bytes each"): f"{held * 4 / 1e6:.2f} MB",
        },
        _(
            "Counted by formula for the shapes above; the encoder, which reads once either way, is left out. With a "
            "cache a step costs nearly the same at any length; comparing with every piece of the vocabulary, {output} "
            "of it, does not shrink. Without, the cost of a step grows with what stands there."
        ).format(output=f"{_output_share(what, steps):.0%}"),
    )


def _drawn(
    _: Words, kept: Sequence[float], anew: Sequence[float], axis: str, figures: dict[str, str], caption: str
) -> None:
    """Both ways step by step, and beside them what they come to."""
    left, right = st.columns([6, 5], gap="large")
    with left:
        series = {_("without"): anew, _("with a cache"): kept}
        st.vega_lite_chart(charts.costs(series, words={"step": _("step"), "axis": axis}))
    with right:
        st.html(facts(figures))
        st.caption(caption)


def _output_share(what: Asked, steps: int) -> float:
    """How much of the work with a cache the logits are."""
    each = experiments.counted(what.network.config, len(what.sentence.source), steps, keep=True)
    return sum(step.output for step in each) / sum(step.total for step in each)


# --- the clock ------------------------------------------------------------------------------------------------------


def _ask_for_a_race() -> None:
    st.session_state["decoding_race_asked"] = True


def _clock(here: Visit, what: Asked, read: tuple[int, ...]) -> None:
    _ = here.words
    st.subheader(_("Measured: milliseconds"))
    rounds = min(MOST_ROUNDS, max(FEWEST_ROUNDS, PASSES // (2 * len(read))))
    st.button(_("Measure on this computer"), icon=":material/timer:", on_click=_ask_for_a_race)
    if st.session_state.pop("decoding_race_asked", False):
        with st.spinner(_("Writing the translation {times} times each way…").format(times=rounds + 1)):
            race = experiments.race(what.network, what.sentence, read, rounds)
        st.session_state["decoding_race"] = (what, read), race
    about, found = st.session_state.get("decoding_race", (None, None))
    if about != (what, read):
        st.caption(_("Both ways write the same translation in turn, several times; the medians are shown."))
        return
    _drawn(
        _,
        found.kept,
        found.anew,
        _("milliseconds"),
        {
            _("in all, with a cache (ms)"): f"{sum(found.kept):.1f}",
            _("without (ms)"): f"{sum(found.anew):.1f}",
            _("times as long"): f"{sum(found.anew) / sum(found.kept):.2f}",
            _("largest difference of a log-probability"): number(found.apart),
        },
        _(
            "Measured live on this computer, one thread: the median of {rounds} rounds for each step, both ways in "
            "turn. Time saved is less than products saved: in so small a model much of a step is calling some hundred "
            "small operations, which a cache does not spare. The difference of the results is rounding."
        ).format(rounds=found.rounds),
    )
