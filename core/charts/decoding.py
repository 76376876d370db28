"""What the decoding page shows: every step at once for the player, and the charts beside it.

The player (pages/parts/decoding/player.js) is handed plain values: names, and numbers as they were measured, rounded
where a screen could not tell. It counts steps from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from jaxtyping import Float
from numpy import ndarray as Array

from core.charts.figures import GREY, Row, unique
from core.charts.positions import COLOURS, TALL

DIGITS = 4
Words = Mapping[str, str]
Payload = dict[str, Any]

# --- for the player -------------------------------------------------------------------------------------------------


def writing(
    *,
    source: Sequence[str],
    read: Sequence[str],
    written: Sequence[str],
    texts: Sequence[str],
    cross: Float[Array, "step source"],
    own: Float[Array, "step step"],
    candidates: Sequence[Choices],
    tree: Sequence[Sequence[Branch]] | None,
    drawn: bool,
    vocabulary: int,
    step: int,
    words: Words,
) -> Payload:
    """A translation as it is written: `texts` is what stands there after each step, `read` what each step read.

    `words` needs: after, probability, share, other, out, cross, cross_null, own, own_null, chosen, lot, finished, and
    for a tree: tree, branch, best, kept, ended, pruned.
    """
    count = max(len(written), len(tree or ()))
    return {
        "mode": "writing",
        "step": min(step, count),
        "count": count,
        "source": list(source),
        "read": list(read),
        "written": list(written),
        "texts": list(texts),
        "cross": cross.round(DIGITS).tolist(),
        "own": [row[: place + 1].round(DIGITS).tolist() for place, row in enumerate(own)],
        "candidates": [asdict(each) for each in candidates],
        "tree": None if tree is None else [[asdict(branch) for branch in branches] for branches in tree],
        "drawn": drawn,
        "vocabulary": vocabulary,
        "words": dict(words),
    }


@dataclass(frozen=True)
class Choices:
    """What one step could choose from: model's probability `p` and share of the draw `q` of each piece.

    The piece written lies from `low` to `high` on the line from 0 to 1; `number` fell there, if it was drawn.
    """

    pieces: Sequence[str]
    p: Sequence[float]
    q: Sequence[float]
    chosen: int
    other: float
    low: float
    high: float
    number: float | None


@dataclass(frozen=True)
class Branch:
    """A box of a beam's tree: `parent` is its place among the boxes of the step before, `p` a log-probability."""

    piece: str
    text: str
    parent: int
    p: float
    score: float
    fate: str
    best: bool


@dataclass(frozen=True)
class LaneCells:
    """One lane: what was read at each place, whether that was gold, its own or an error, and what it expected."""

    title: str
    note: str
    read: Sequence[str]
    kinds: Sequence[Literal["gold", "own", "error"]]
    expected: Sequence[str]
    log_probabilities: Sequence[float | None]
    right: Sequence[bool]


def lanes(shown: Sequence[LaneCells], *, step: int, words: Words, key: Words) -> Payload:
    """Lanes in lockstep; a lane may end before the others. `words` needs nothing of its own."""
    count = max(len(lane.read) for lane in shown)
    return {
        "mode": "lanes",
        "step": min(step, count),
        "count": count,
        "lanes": [{"title": lane.title, "note": lane.note, "cells": _cells(lane)} for lane in shown],
        "words": {**words, "key": dict(key)},
    }


def _cells(lane: LaneCells) -> list[Payload]:
    columns = (lane.read, lane.kinds, lane.expected, lane.log_probabilities, lane.right)
    names = ("read", "kind", "expected", "p", "right")
    return [dict(zip(names, cell, strict=True)) for cell in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Panel:
    """What the decoder reads in each row, and what it is to predict; `together` if all rows are one pass."""

    title: str
    note: str
    read: Sequence[str]
    predicted: Sequence[str]
    together: bool


def turns(panels: Sequence[Panel], *, step: int, words: Words) -> Payload:
    """The decoder's input row by row. A panel's note may say {step}."""
    count = max(len(panel.predicted) for panel in panels)
    drawn = [
        {
            "title": panel.title,
            "note": panel.note,
            "read": list(panel.read),
            "next": list(panel.predicted),
            "all": panel.together,
        }
        for panel in panels
    ]
    return {"mode": "turns", "step": min(step, count), "count": count, "panels": drawn, "words": dict(words)}


@dataclass(frozen=True)
class Computed:
    """What one step does for one tensor: its shape in words, how many rows it computes, and how many it recalls."""

    shape: str
    rows: int
    recalled: int = 0


def work(tensors: Mapping[str, tuple[Sequence[Computed], Sequence[Computed]]], *, step: int, words: Words) -> Payload:
    """Each tensor step by step, with a cache and without. `words` needs: kept, anew."""
    count = min(len(kept) for kept, _ in tensors.values())
    drawn = [
        {
            "name": name,
            "kept": [[each.shape, each.rows, each.recalled] for each in kept],
            "anew": [[each.shape, each.rows, each.recalled] for each in anew],
        }
        for name, (kept, anew) in tensors.items()
    ]
    return {"mode": "work", "step": min(step, count), "count": count, "tensors": drawn, "words": dict(words)}


# --- lines and bars -------------------------------------------------------------------------------------------------

# As Vega-Lite specifications: they are drawn again at every click, and Altair takes fifty times as long for the same.


def lane_curves(
    series: Mapping[str, Sequence[tuple[str, float]]], marked: int | None, *, words: Words
) -> dict[str, Any]:
    """The token at each place and its log-probability, a line for each lane; a rule marks one place, from 0.

    `words` needs: place, axis, marked.
    """
    rows: list[Row] = [
        {"name": name, "place": place, "token": token, "value": value}
        for name, lane in series.items()
        for place, (token, value) in enumerate(lane, 1)
    ]
    across = _counted("place", words["place"], max((row["place"] for row in rows), default=1))
    up = _number("value", words["axis"], {"domainMax": 0})
    tips = _tips(name=" ", place=words["place"], token="→", value=words["axis"])
    drawn = _lines(rows, across, up, tips, list(series))
    if marked is not None:
        mark = {"type": "rule", "color": GREY, "strokeDash": [4, 4], "strokeWidth": 2}
        at = {"x": across, "tooltip": _tips(name=" ")}
        data = {"values": [{"place": marked + 1, "name": words["marked"]}]}
        drawn["layer"].insert(0, {"data": data, "mark": mark, "encoding": at})
    return drawn


def costs(series: Mapping[str, Sequence[float]], *, words: Words) -> dict[str, Any]:
    """A number for each step and each way of decoding. `words` needs: step, axis."""
    rows: list[Row] = [
        {"name": name, "step": step, "value": value}
        for name, values in series.items()
        for step, value in enumerate(values, 1)
    ]
    across = _counted("step", words["step"], max(len(values) for values in series.values()))
    up = _number("value", words["axis"], {"zero": True})
    return _lines(rows, across, up, _tips(name=" ", step=words["step"], value=words["axis"]), list(series))


def sharpening(factors: Sequence[int], series: Mapping[str, Sequence[float]], *, words: Words) -> dict[str, Any]:
    """Lengths against the factor on the scores, both logarithmic, each relative to its own at factor 1.

    What is 0 has no place on such an axis and is left out. `words` needs: factor, length.
    """
    rows: list[Row] = [
        {"name": name, "factor": factor, "value": value}
        for name, values in series.items()
        for factor, value in zip(factors, values, strict=True)
        if value > 0
    ]
    across = _number("factor", words["factor"], {"type": "log", "base": 2}) | {"axis": {"values": list(factors)}}
    up = _number("value", words["length"], {"type": "log"}) | {"axis": {"format": "~g", "tickCount": 6}}
    return _lines(rows, across, up, _tips(name=" ", factor=words["factor"], value=words["length"]), list(series))


def routes(
    tokens: Sequence[str], shares: Mapping[str, Sequence[float]], palette: Mapping[str, str], *, words: Words
) -> dict[str, Any]:
    """For each token the shares of the ways by which gradient came back, stacked. `words` needs: token, share."""
    rows: list[Row] = [
        {"name": name, "order": order, "token": token, "value": value}
        for order, (name, values) in enumerate(shares.items())
        for token, value in zip(unique(tokens), values, strict=True)
    ]
    axis = {"ticks": False, "domain": False, "labelLimit": 130}
    return {
        "width": "container",
        "height": {"step": 22},
        "data": {"values": rows},
        "mark": {"type": "bar", "height": {"band": 0.78}},
        "encoding": {
            "x": _number("value", words["share"], {"domain": [0, 1]}) | {"stack": "zero", "axis": {"format": "%"}},
            "y": {"field": "token", "type": "nominal", "sort": None, "title": None, "axis": axis},
            "color": _colours(list(shares), [palette[name] for name in shares]),
            "order": {"field": "order", "type": "ordinal"},
            "tooltip": _tips(name=" ", token=words["token"], value=words["share"]),
        },
    }


def _lines(rows: Sequence[Row], across: Row, up: Row, tips: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """A line with dots for each name."""
    return {
        "width": "container",
        "height": TALL - 60,
        "data": {"values": list(rows)},
        "layer": [
            {
                "mark": mark,
                "encoding": {"x": across, "y": up, "color": _colours(names, COLOURS), "tooltip": list(tips)},
            }
            for mark in ({"type": "line", "strokeWidth": 2.2}, {"type": "circle", "size": 60, "opacity": 1})
        ],
    }


def _number(field: str, title: str, scale: Row) -> Row:
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def _counted(field: str, title: str, last: int) -> Row:
    """An axis of whole numbers from 1."""
    axis = {"grid": False, "tickMinStep": 1, "format": "d"}
    return _number(field, title, {"domain": [1, max(last, 2)], "nice": False}) | {"axis": axis}


def _colours(names: Sequence[str], colours: Sequence[str]) -> Row:
    scale = {"domain": list(names), "range": list(colours[: len(names)])}
    legend = {"orient": "top", "columns": 2, "labelLimit": 125, "symbolOpacity": 1}
    return {"field": "name", "type": "nominal", "title": None, "sort": None, "scale": scale, "legend": legend}


def _tips(**fields: str) -> list[Row]:
    """What hovering tells; only `value` has decimals."""
    return [
        {"field": name, "type": "quantitative", "title": title, "format": ".4~g"}
        if name == "value"
        else {"field": name, "type": "nominal", "title": title}
        for name, title in fields.items()
    ]
