"""Part 1: the formula, its waves, how alike positions are, and why it takes sines with cosines of many speeds."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st
import torch

from core.charts import positions as charts
from core.experiments import positions as experiments
from core.positions import sinusoid
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.positions.show import number, predict
from pages.parts.selection import clicked, read_clamped, write_place
from pages.parts.words import Words

WIDTHS = (8, 16, 32, 64, 128, 256)
BASES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
SHOWN, FARTHEST, MANY = 64, 128, 2_000
MOST_WAVES = 4
TABLE_WIDTH, TABLE_SHIFT = 16, 5


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
        _rotation(_, width, base)
    _collisions(_, width, base)
    _alternatives(_)


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
    st.latex(rf"\{wave}({row} / {base:.0f}^{{{column - column % 2}/{width}}}) = {vectors[row, column]:.4f}")


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
            ).format(near=near, low=f"{theory[near]:.3f}", far=far, high=f"{theory[far]:.3f}")
        )


def _rotation(_: Words, width: int, base: float) -> None:
    vectors = torch.from_numpy(_vectors(width, base, 200))
    by = keep("shift", 7, lambda text: min(max(int(text), 1), 100))
    st.markdown(
        _(
            "To move on by k positions is to **turn** each pair by a fixed angle, wherever one stands: "
            "$PE(pos{+}k) = R_k\\, PE(pos)$. So one matrix serves all positions, which is what the paper hoped "
            "attention would use to look k words back. It takes both: a sine alone cannot be turned."
        )
    )
    st.slider(_("Move on by k positions"), 1, 100, key="shift", persist_state="session")
    lengths = vectors.norm(dim=-1)
    st.html(
        facts(
            {
                _("largest error of R_k PE(pos)"): number(experiments.rotation_error(vectors, by, base)),
                _("similarity beyond the distance"): number(experiments.toeplitz_deviation(vectors @ vectors.T)),
                _("length of every vector"): f"{lengths.min():.3f} – {lengths.max():.3f}",
                _("√(d/2), what it should be"): f"{(width / 2) ** 0.5:.3f}",
            }
        )
    )
    st.caption(
        _(
            "Computed for positions 0 to 199 in double precision: the errors are rounding. “Beyond the distance” "
            "is the largest standard deviation of the similarity among pairs that are equally far apart."
        )
    )


def _collisions(_: Words, width: int, base: float) -> None:
    st.subheader(_("Why so many pairs?"))
    question = _(
        "Keep only the first, fastest pairs. How many does it take until, among {many} positions, no two are more "
        "alike than neighbours are?"
    ).format(many=f"{MANY:,}")
    guess = predict(_, "pairs_guess", question, {"1": "1", "2": "2", "4": "4", "8": "8", "16": "16"})
    if guess is None:
        return
    found = _most_alike(width, base)
    enough = next((pairs for pairs, each in enumerate(found, 1) if each.distance == 1), None)
    chosen = keep("pairs", 1, lambda text: min(max(int(text), 1), len(found)))
    left, right = st.columns([6, 5], gap="large")
    with left:
        names = {
            "pairs": _("pairs kept"),
            "apart": _("distance of the two vectors"),
            "nearest": _("the two most alike positions"),
            "neighbour": _("two neighbours"),
        }
        nearest, neighbours = [each.apart for each in found], [each.neighbours for each in found]
        st.altair_chart(charts.collisions(nearest, neighbours, chosen, words=names))
    with right:
        st.slider(_("Pairs kept"), 1, len(found), key="pairs", persist_state="session")
        here = found[chosen - 1]
        st.markdown(
            _("Most alike: positions **{first}** and **{second}**, whose vectors are {apart} apart.").format(
                first=0, second=here.distance, apart=number(here.apart)
            )
        )
        st.markdown(_verdict(_, guess, enough))
        st.caption(_("Computed from the formula for every distance below {many}.").format(many=f"{MANY:,}"))


@st.cache_data(max_entries=40, show_spinner=False)
def _most_alike(width: int, base: float) -> list[experiments.Alike]:
    return experiments.most_alike(width, base, MANY)


def _verdict(_: Words, guess: str, enough: int | None) -> str:
    if enough is None:
        return _("You said {guess}. With this width and base not even all pairs are enough.").format(guess=guess)
    return _("You said {guess}; it takes **{enough}** with this width and base.").format(guess=guess, enough=enough)


def _alternatives(_: Words) -> None:
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
    found = {name: experiments.properties(name, TABLE_WIDTH, by=TABLE_SHIFT) for name in names}
    table = pd.DataFrame(
        {
            _("encoding"): list(names.values()),
            _("largest entry"): [number(each.largest) for each in found.values()],
            _("lengths"): [f"{each.shortest:.2f} – {each.longest:.2f}" for each in found.values()],
            _("similarity beyond the distance"): [number(each.toeplitz) for each in found.values()],
            _("error of one map for {shift} steps").format(shift=TABLE_SHIFT): [
                "> 10" if each.shift > 10 else number(each.shift) for each in found.values()
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
