"""A twin's first scores on this sentence, as products of words and places."""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import streamlit as st

from core.charts import positions as charts
from core.checkpoint import Model
from core.experiments.twins import variance_shares
from core.measures.decomposition import ScoreParts, first_layer_parts
from core.run import Run
from pages.parts.address import keep, one_of
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_number
from pages.parts.positions.show import number
from pages.parts.positions.twins import run_of
from pages.parts.selection import read_clamped, read_place, take_place, write_place
from pages.parts.words import Words
from pages.parts.zoo import names

TILES = (
    ("content_content", "content_position", "remainder"),
    ("position_content", "position_position", "total"),
)


def inside(here: Visit, twins: Mapping[str, Model]) -> None:
    """All parts small, one large, and the share of each."""
    _ = here.words
    st.subheader(_("Inside the first layer's scores"))
    st.markdown(
        _(
            "A score compares a query with a key, and both are made of word and position. Multiplied out, that is "
            "four products (Ke et al. 2021) and a remainder in which a bias takes part: does a **word** ask for a "
            "word, a word for a **place**, a place for a word, or a place for a place?"
        )
    )
    name, head = _which(_, twins)
    run = run_of(here, name)
    parts = first_layer_parts(twins[name].network, run)
    maps = {each.name: getattr(parts, each.name)[head] for each in fields(parts)} | {"total": parts.total[head]}
    limit = max(charts.limit_of(each) for each in maps.values())
    row, column = keep("term", (1, 2), read_place(2, 3), write_place)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _tiles(_, maps, limit, (row, column))
        _shares(_, parts, run, head)
    with right:
        _term(_, run, TILES[row][column], maps[TILES[row][column]], limit)


def _which(_: Words, twins: Mapping[str, Model]) -> tuple[str, int]:
    name = keep("twin", next(iter(twins)), one_of(twins))
    heads = twins[name].network.config.heads
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.segmented_control(
            _("Twin"),
            list(twins),
            format_func=names(_).get,
            key="twin",
            required=True,
            persist_state="session",
            wrap=True,
        )
        head = choose_number(_("Head of the first layer"), "twin_head", list(range(1, heads + 1)), 1)
    return name, head - 1


def _titles(_: Words) -> dict[str, str]:
    return {
        "content_content": _("word · word"),
        "content_position": _("word · place"),
        "position_content": _("place · word"),
        "position_position": _("place · place"),
        "remainder": _("remainder"),
        "total": _("sum = scores"),
    }


def _tiles(_: Words, maps: Mapping[str, np.ndarray], limit: float, chosen: tuple[int, int]) -> None:
    titles = _titles(_)
    st.markdown(_("**All parts on one scale**: what the query gives · what the key gives. Click one."))
    data = charts.tiles(
        np.array([[maps[name] for name in row] for row in TILES]),
        titles=[[titles[name] for name in row] for row in TILES],
        chosen=chosen,
        limit=limit,
        words={"label": _("The parts of the scores; arrow keys choose one")},
    )
    draw(data, key="terms", on_head=take_place("terms", "head", "term", 2, 3))


def _shares(_: Words, parts: ScoreParts, run: Run, head: int) -> None:
    titles = _titles(_)
    shares = {titles[name]: share for name, share in variance_shares(parts, head).items()}
    st.markdown(_("**Share of each part** in how the scores differ along a row"))
    st.altair_chart(charts.shares(shares, words={"part": _("part of the score"), "share": _("share of the variance")}))
    error = float(np.abs(parts.total - run.encoder[0].self_attention.scores.numpy()).max())
    st.html(facts({_("largest difference between the parts' sum and the model's scores, all heads"): number(error)}))
    st.caption(
        _(
            "Measured on this sentence. A share is the covariance with the scores over their variance, so the shares "
            "add up to 100% and one may be negative. Only differences along a row count: softmax does not see what "
            "is added to a whole row."
        )
    )


def _term(_: Words, run: Run, name: str, values: np.ndarray, limit: float) -> None:
    pieces = [token.piece for token in run.source_tokens]
    count = len(pieces)
    cell = keep("pair", None, read_clamped(count, count), write_place) or _strongest(values)
    st.markdown(f"**{_titles(_)[name]}**")
    data = charts.matrix(
        values,
        rows=pieces,
        columns=pieces,
        cell=cell,
        limit=limit,
        words={
            "label": _("One part of the scores; arrow keys move from cell to cell"),
            "query": _("query"),
            "key": _("key"),
            "weight": _("score"),
            "sum": _("scores, not weights"),
            "masked": "",
        },
    )

    draw(data, key="term_map", on_cell=take_place("term_map", "cell", "pair", count, count))
    st.html(
        facts(
            {
                _("query"): pieces[cell[0]],
                _("key"): pieces[cell[1]],
                _("this part of the score"): f"{values[cell]:z.3f}",
            }
        )
    )


def _strongest(values: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    return int(row), int(column)
