"""Part 1: the formula, its waves, how alike positions are, and what follows from that."""

from collections.abc import Callable

import numpy as np
import streamlit as st
import torch

from core.charts import positions as charts
from core.experiments import positions as experiments
from core.positions import sinusoid
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.positions.show import number
from pages.parts.positions.telling import alternatives, telling_apart
from pages.parts.positions.turning import turning
from pages.parts.selection import clicked, read_clamped, take_place, write_place
from pages.parts.words import Words

WIDTHS = (8, 16, 32, 64, 128, 256)
BASES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
SHOWN, FARTHEST = 64, 128
MOST_WAVES = 4


def pattern(here: Visit) -> None:
    """The matrix and its waves, then what follows from them."""
    _ = here.words
    _formula(_)
    width, base = _choices(_)
    vectors = _vectors(width, base)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _matrix(_, vectors, width, base)
    with right:
        _waves(_, vectors, base)
    st.subheader(_("How alike are two positions?"))
    left, right = st.columns([6, 5], gap="large")
    with left:
        _similarity(_, width, base)
    with right:
        _products(_, vectors, base)
    turning(_, width, base)
    telling_apart(_, width, base)
    alternatives(_)


@st.cache_data(max_entries=64, show_spinner=False)
def _vectors(width: int, base: float, count: int = SHOWN) -> np.ndarray:
    return sinusoid(torch.arange(count), width, base).numpy()


# --- choosing -------------------------------------------------------------------------------------------------------


def _formula(_: Words) -> None:
    st.markdown(
        _(
            "Channels come in pairs, a sine and a cosine of one speed. The first pair turns fast, each next pair "
            "more slowly, like the hands of a clock (Vaswani et al. 2017, section 3.5):"
        )
    )
    st.latex(
        r"""\begin{aligned}
        PE(pos,\, 2i) &= \sin\bigl(pos / 10000^{2i/d}\bigr) \\
        PE(pos,\, 2i{+}1) &= \cos\bigl(pos / 10000^{2i/d}\bigr)
        \end{aligned}"""
    )


def _choices(_: Words) -> tuple[int, float]:
    left, right = st.columns(2, gap="large")
    width = _option(left, _("Width d: channels of a position's vector"), "d", WIDTHS, 64)
    base = _option(right, _("Base: 10,000 in the paper"), "base", BASES, 10_000)
    return width, float(base)


def _option(
    place: st.delta_generator.DeltaGenerator, label: str, key: str, options: tuple[int, ...], default: int
) -> int:
    known = {str(option): option for option in options}
    value = keep(key, default, known.__getitem__)
    place.select_slider(label, options, format_func="{:,}".format, key=key, persist_state="session")
    return value


def _take(component: str, rows: int, columns: int) -> Callable[[], None]:
    """What a click in the matrix does: the cell is read out, and its column becomes the last of the waves."""

    def take() -> None:
        place = clicked(component, "cell", rows, columns)
        if place:
            st.session_state["at"] = place
            others = [each for each in st.session_state["waves"][: MOST_WAVES - 1] if each != place[1]]
            st.session_state["waves"] = [*others, place[1]]

    return take


# --- the matrix and its waves ---------------------------------------------------------------------------------------


def _matrix(_: Words, vectors: np.ndarray, width: int, base: float) -> None:
    rows, columns = vectors.shape
    row, column = keep("at", None, read_clamped(rows, columns), write_place) or (10, min(4, columns - 1))
    st.markdown(_("**Position × dimension**, computed from the formula. Click a cell."))
    data = charts.matrix(
        vectors,
        rows=[str(position) for position in range(rows)],
        columns=[str(dimension) for dimension in range(columns)],
        cell=(row, column),
        limit=1.0,
        words={
            "label": _("The sinusoid of every position; arrow keys move from cell to cell"),
            "query": _("position"),
            "key": _("dimension"),
            "weight": _("value"),
            "sum": "",
            "masked": "",
        },
    )
    draw(data, key="sinusoid", on_cell=_take("sinusoid", rows, columns))
    wave = "cos" if column % 2 else "sin"
    st.latex(rf"\{wave}({row} / {base:z.0f}^{{{column - column % 2}/{width}}}) = {vectors[row, column]:z.4f}")


def _waves(_: Words, vectors: np.ndarray, base: float) -> None:
    width = vectors.shape[1]
    known = {str(dimension): dimension for dimension in range(width)}
    waves = keep(
        "waves",
        [0, width // 8, width // 4, width // 2],
        lambda text: [known[each] for each in text.split(",")][:MOST_WAVES],
        lambda chosen: ",".join(map(str, chosen)),
    )
    st.markdown(_("**The same as waves**: a column of the matrix, read from position to position."))
    st.multiselect(
        _("Dimensions"), list(known.values()), key="waves", persist_state="session", max_selections=MOST_WAVES
    )
    names = {"position": _("position"), "value": _("value"), "dimension": _("dimension")}
    st.altair_chart(charts.waves(vectors, waves, words=names))
    st.caption(
        _(
            "The slowest pair needs {turn} positions for one turn; that is why even distant positions differ "
            "somewhere, and near ones do in the fast pairs."
        ).format(turn=f"{2 * np.pi / float(experiments.frequencies(width, base)[-1]):,.0f}")
    )


# --- what follows ---------------------------------------------------------------------------------------------------


def _similarity(_: Words, width: int, base: float) -> None:
    distances = range(FARTHEST + 1)
    theory = (experiments.similarities(width, torch.arange(FARTHEST + 1), base) / (width / 2)).tolist()
    vectors = _vectors(width, base, 2 * FARTHEST)
    measured = {each: float(vectors[37] @ vectors[37 + each] / (width / 2)) for each in range(0, FARTHEST + 1, 6)}
    st.markdown(
        _(
            "The product of two position vectors is a sum of cosines of their distance k and of nothing else: "
            "$PE(p) \\cdot PE(p{+}k) = \\sum_i \\cos(\\omega_i k)$. Divided by d/2, it is 1 for equal positions."
        )
    )
    names = {
        "distance": _("distance k"),
        "similarity": _("similarity"),
        "formula": _("sum of cosines"),
        "measured": _("measured from position 37"),
        "null": _("two random vectors (95%)"),
    }
    st.altair_chart(charts.similarity(distances, theory, measured, 1.96 / width**0.5, words=names))
    near, far = experiments.largest_rise(theory)
    if far:
        st.markdown(
            _(
                "**It does not fall steadily**: at distance {near} it is {low}, at distance {far}, farther away, "
                "{high} again."
            ).format(near=near, low=f"{theory[near]:z.3f}", far=far, high=f"{theory[far]:z.3f}")
        )


def _products(_: Words, vectors: np.ndarray, base: float) -> None:
    count, width = vectors.shape
    products = vectors @ vectors.T / (width / 2)
    cell = keep("alike", None, read_clamped(count, count), write_place) or (10, 17)
    st.markdown(_("**Position × position**: all these products. Along a diagonal the distance is the same."))
    names = [str(position) for position in range(count)]
    data = charts.matrix(
        products,
        rows=names,
        columns=names,
        cell=cell,
        limit=1.0,
        words={
            "label": _("Likeness of every two positions; arrow keys move from cell to cell"),
            "query": _("position"),
            "key": _("other position"),
            "weight": _("similarity"),
            "sum": "",
            "masked": "",
        },
    )

    draw(data, key="products", on_cell=take_place("products", "cell", "alike", count, count))
    st.html(
        facts(
            {
                _("distance k"): str(abs(cell[0] - cell[1])),
                _("similarity"): f"{products[cell]:z.3f}",
                _("similarity beyond the distance"): number(_beyond_distance(width, base)),
            }
        )
    )
    st.caption(
        _("“Beyond the distance” is the largest standard deviation of the similarity among pairs equally far apart.")
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _beyond_distance(width: int, base: float) -> float:
    vectors = torch.from_numpy(_vectors(width, base))
    return experiments.toeplitz_deviation(vectors @ vectors.T)
