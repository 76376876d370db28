"""Why sines with cosines, and of many speeds: what happens to the two most alike positions when some are removed."""

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import encodings
from core.charts import positions as charts
from core.experiments import positions as experiments
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.positions.show import error, number, predict
from pages.parts.words import Words

MANY, SINES = 1_000, 8
TABLE_WIDTH, TABLE_SHIFT = 16, 5
FOUND = 0.01  # vectors of length 1 that differ by less count as the same


def telling_apart(_: Words, width: int, base: float) -> None:
    """A prediction, the nearest two positions by the pairs kept, and a pair of positions to be found."""
    st.subheader(_("Why so many pairs?"))
    question = _(
        "Keep only the first, fastest pairs. How many does it take until, among {many} positions, no two are more "
        "alike than neighbours are?"
    ).format(many=f"{MANY:,}")
    guess = predict(_, "pairs_guess", question, {"1": "1", "2": "2", "4": "4", "8": "8", "16": "16"})
    if guess is not None:
        _collisions(_, width, base, guess)
    _challenge(_, width, base)


def _collisions(_: Words, width: int, base: float, guess: str) -> None:
    found, sines = _most_alike(width, base), _sines_alone(width, base)
    enough = next((pairs for pairs, each in enumerate(found, 1) if each.distance == 1), None)
    chosen = keep("pairs", 1, lambda text: min(max(int(text), 1), len(found)))
    left, right = st.columns([6, 5], gap="large")
    with left:
        names = {
            "pairs": _("pairs kept"),
            "apart": _("distance of the two vectors"),
            "nearest": _("the two most alike positions"),
            "neighbour": _("two neighbours"),
            "sines": _("most alike, sines alone"),
        }
        nearest, neighbours = [each.apart for each in found], [each.neighbours for each in found]
        st.altair_chart(charts.collisions(nearest, neighbours, sines, chosen, words=names))
    with right:
        st.slider(_("Pairs kept"), 1, len(found), key="pairs", persist_state="session")
        here = found[chosen - 1]
        st.markdown(
            _("Most alike: positions **{first}** and **{second}**, whose vectors are {apart} apart.").format(
                first=0, second=here.distance, apart=number(here.apart)
            )
        )
        if chosen <= len(sines):
            st.markdown(
                _("Without the cosines the two most alike are only {apart} apart.").format(
                    apart=number(sines[chosen - 1])
                )
            )
        st.markdown(_verdict(_, guess, enough))
        st.caption(
            _(
                "Computed from the formula for every two of {many} positions; without cosines for at most {most} sines."
            ).format(many=f"{MANY:,}", most=SINES)
        )


@st.cache_data(max_entries=40, show_spinner=False)
def _most_alike(width: int, base: float) -> list[experiments.Alike]:
    return experiments.most_alike(width, base, MANY)


@st.cache_data(max_entries=40, show_spinner=False)
def _sines_alone(width: int, base: float) -> list[float]:
    return experiments.sines_alone(width, base, SINES, MANY)


def _verdict(_: Words, guess: str, enough: int | None) -> str:
    if enough is None:
        return _("You said {guess}. With this width and base not even all pairs are enough.").format(guess=guess)
    return _("You said {guess}; it takes **{enough}** with this width and base.").format(guess=guess, enough=enough)


# --- the challenge --------------------------------------------------------------------------------------------------


def _challenge(_: Words, width: int, base: float) -> None:
    left, right = st.columns([6, 5], gap="large")
    with right:
        st.markdown(
            _(
                "**Challenge**: find two different positions that a single pair, sine and cosine of the position "
                "itself, cannot tell apart: less than {found} between hands of length 1. One turn takes 2π ≈ 6.283 "
                "positions."
            ).format(found=FOUND)
        )
        first, second = (_position(_, key, label, default) for key, label, default in _fields(_))
    speeds = [float(each) for each in experiments.frequencies(width, base)[:2]]
    names = {speed: _("pair {number}").format(number=number) for number, speed in enumerate(speeds, 1)}
    labels = [_("position p"), _("position q")]
    with left:
        hands = {
            name: {label: place * speed for label, place in zip(labels, (first, second), strict=True)}
            for speed, name in names.items()
        }
        st.altair_chart(encodings.clocks(hands, words={"sine": _("sine"), "cosine": _("cosine")}), width="content")
    with right:
        apart = {name: experiments.pair_apart(first, second, speed) for speed, name in names.items()}
        st.html(facts({_("apart, {pair}").format(pair=name): number(value) for name, value in apart.items()}))
        st.markdown(_judged(_, first, second, list(apart.values())))


def _fields(_: Words) -> list[tuple[str, str, int]]:
    return [("place_p", _("position p"), 3), ("place_q", _("position q"), 9)]


def _position(_: Words, key: str, label: str, default: int) -> int:
    value = keep(key, default, lambda text: min(max(int(text), 0), MANY - 1))
    st.number_input(label, 0, MANY - 1, key=key, persist_state="session")
    return value


def _judged(_: Words, first: int, second: int, apart: list[float]) -> str:
    if first == second:
        return _("These are the same position; choose two.")
    if apart[0] >= FOUND:
        turns = abs(first - second) / (2 * np.pi)
        return _("Not yet: {turns} turns lie between them, and it should be almost a whole number.").format(
            turns=f"{turns:.3f}"
        )
    if apart[1] >= FOUND:
        return _("**Found.** The first pair takes them for one place; the second, slower one tells them apart.")
    return _("**Found**, and the second pair confuses them too.")


# --- other numberings -----------------------------------------------------------------------------------------------


def alternatives(_: Words) -> None:
    """The same questions put to simpler encodings."""
    st.subheader(_("Why not something simpler?"))
    st.markdown(
        _(
            "The same questions put to other ways of numbering {count} positions, with {width} channels. A good "
            "encoding stays small, tells positions apart, lets similarity depend on distance alone, and moves on "
            "by one fixed map."
        ).format(count=200, width=TABLE_WIDTH)
    )
    names = {
        "sinusoid": _("sines and cosines"),
        "sines": _("sines only"),
        "index": _("the index 0, 1, 2 …"),
        "fraction": _("index ÷ length"),
        "one-hot": _("one-hot, 200 channels"),
        "random": _("random vectors"),
    }
    found = {name: _properties(name) for name in names}
    table = pd.DataFrame(
        {
            _("encoding"): list(names.values()),
            _("largest entry"): [number(each.largest) for each in found.values()],
            _("lengths"): [f"{each.shortest:.2f} – {each.longest:.2f}" for each in found.values()],
            _("similarity beyond the distance"): [number(each.toeplitz) for each in found.values()],
            _("error of one map for {shift} steps").format(shift=TABLE_SHIFT): [
                error(each.shift) for each in found.values()
            ],
            _("nearest two vectors"): [number(each.nearest) for each in found.values()],
        }
    )
    st.dataframe(table, hide_index=True, height="content")
    st.caption(
        _(
            "Measured here. The map is the best one that the first 50 positions teach, tried on the others: 0 is "
            "exact, 1 as bad as answering the mean. An index moves on exactly, but grows without bound, and its "
            "similarity says where two words stand rather than how far apart."
        )
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _properties(name: str) -> experiments.Properties:
    return experiments.properties(name, TABLE_WIDTH, by=TABLE_SHIFT)
