"""Charts of the training page: curves over the steps of runs, the grid of fates, and a run's childhood for the player.

Vega-Lite specifications, as they are drawn again at every move of a dial. Steps are counted from 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from core.charts.figures import GREY, INDIGO, ORANGE, Row
from core.charts.heatmap import pack, to_bytes
from core.charts.positions import BLUE, BROWN, PINK, RED, TALL, TEAL

Spec = dict[str, Any]
Point = tuple[int, float, float, float]
PALETTE = (INDIGO, ORANGE, TEAL, RED, BLUE, PINK, BROWN, "#5b8c00", "#8d8d3f", "#6e56cf", GREY)
"""The base first; as many as any group has rows."""
DASHES = ([1, 0], [7, 4])


@dataclass(frozen=True)
class Line:
    """Step, lowest, median and highest value of one run over its seeds; a broken line where it is not what was used."""

    name: str
    points: Sequence[Point]
    dashed: bool = False
    dots: bool = False


def curves(
    lines: Sequence[Line],
    *,
    words: Mapping[str, str],
    levels: Mapping[str, float] | None = None,
    marks: Sequence[tuple[str, float, float]] = (),
    logarithmic: bool = False,
    along: Literal["linear", "log"] = "linear",
    domain: Sequence[float] | None = None,
    height: int = TALL + 130,
) -> Spec:
    """Lines in their bands, over steps; `levels` are named rules, `marks` named places. `words` needs: step, figure.

    On a logarithmic scale what is not above 0 is left out, as is everywhere what is not a number.
    """
    levels = levels or {}
    rows = [row for line in lines for row in _rows(line, logarithmic)]
    up: Row = {"type": "log", "nice": False} if logarithmic else {"zero": False}
    scale = up | ({"domain": list(domain)} if domain else {})
    axis: Row = {"format": "~g", "tickCount": 6} if logarithmic else {}
    x = {
        "field": "step",
        "type": "quantitative",
        "title": words["step"],
        "axis": {"grid": False, "format": "~s", "tickCount": 6},
        "scale": {"type": along, "nice": False},
    }
    y = {"type": "quantitative", "title": words["figure"], "scale": scale, "axis": axis}
    tips = [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "step", "type": "quantitative", "title": words["step"]},
        *({"field": each, "type": "quantitative", "format": ".4~g", "title": title} for each, title in _TIPS.items()),
    ]
    tips[2]["title"] = words["figure"]
    dash = {"field": "dashed", "type": "nominal", "legend": None, "scale": {"domain": [0, 1], "range": list(DASHES)}}
    layers: list[Row] = [
        _layer({"type": "area", "opacity": 0.2}, x, y | {"field": "low"}, {"y2": {"field": "high"}}),
        _layer({"type": "line", "strokeWidth": 2.2}, x, y | {"field": "value"}, {"strokeDash": dash}),
        _layer({"type": "circle", "size": 42}, x, y | {"field": "value"}, {"opacity": _shown(), "tooltip": tips}),
    ]
    layers += [_level(name, value, y) for name, value in levels.items()]
    layers += [_level_name(name, value, y) for name, value in levels.items()]
    layers += [layer for mark in marks for layer in _mark(mark, x, y)]
    return {
        "width": "container",
        "height": height,
        "data": {"values": rows},
        "encoding": {"color": _colours(lines)},
        "layer": layers,
    }


_TIPS = {"value": "", "low": "min", "high": "max"}


def _rows(line: Line, logarithmic: bool) -> list[Row]:
    return [
        {"name": line.name, "step": step, "low": low, "value": middle, "high": high}
        | {"dashed": int(line.dashed), "dots": int(line.dots)}
        for step, low, middle, high in line.points
        if all(math.isfinite(each) and (each > 0 or not logarithmic) for each in (low, middle, high))
    ]


def _layer(mark: Row, x: Row, y: Row, more: Row) -> Row:
    lines_only = [{"filter": "datum.dots == 0"}] if mark["type"] != "circle" else []
    return {"mark": mark, "transform": lines_only, "encoding": {"x": x, "y": y, **more}}


def _shown() -> Row:
    """Dots that are to be seen, and those that are only there to be pointed at."""
    return {"condition": {"test": "datum.dots == 1", "value": 1}, "value": 0}


def _level(name: str, value: float, y: Row) -> Row:
    mark = {"type": "rule", "strokeDash": [4, 4], "strokeWidth": 1.5, "color": GREY}
    return {
        "data": {"values": [{"level": value, "name": name}]},
        "mark": mark,
        "encoding": {"y": y | {"field": "level"}, "color": {"value": GREY}},
    }


def _level_name(name: str, value: float, y: Row) -> Row:
    mark = {"type": "text", "align": "right", "baseline": "bottom", "dy": -4, "limit": 330}
    return {
        "data": {"values": [{"level": value, "name": name}]},
        "mark": mark,
        "encoding": {
            "x": {"value": "width"},
            "y": y | {"field": "level"},
            "text": {"field": "name"},
            "color": {"value": GREY},
        },
    }


def _mark(mark: tuple[str, float, float], x: Row, y: Row) -> list[Row]:
    name, step, value = mark
    data = {"values": [{"step": step, "mark": value, "name": name}]}
    place = {"x": x, "y": y | {"field": "mark"}, "color": {"value": ORANGE}}
    text = {"type": "text", "align": "left", "dx": 10, "dy": -8, "fontWeight": "bold"}
    return [
        {"data": data, "mark": {"type": "point", "size": 130, "strokeWidth": 3}, "encoding": place},
        {"data": data, "mark": text, "encoding": place | {"text": {"field": "name"}}},
    ]


def _colours(lines: Sequence[Line]) -> Row:
    """A colour for each line, the same whether or not the others have points."""
    drawn = {line.name: PALETTE[index % len(PALETTE)] for index, line in enumerate(lines) if line.points}
    scale = {"domain": list(drawn), "range": list(drawn.values())}
    legend = {"orient": "top", "columns": 2, "labelLimit": 210, "symbolOpacity": 1, "symbolType": "stroke"}
    legend |= {"symbolStrokeWidth": 3}
    return {"field": "name", "type": "nominal", "title": None, "sort": None, "scale": scale, "legend": legend}


# --- alive or dead --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fate:
    """Where one cell of the grid ended: its final losses over the seeds as text, their median, and how many died."""

    row: str
    column: str
    loss: float | None
    said: str
    dead: int
    seeds: int


def fates(found: Sequence[Fate], chosen: tuple[str, str], plateau: float, *, words: Mapping[str, str]) -> Spec:
    """A cell for each run of the grid, its colour the loss up to the plateau; `words` needs row, column, loss, dead."""
    rows = [asdict(fate) | {"chosen": int((fate.row, fate.column) == chosen)} for fate in found]
    names, columns = list(dict.fromkeys(each.row for each in found)), list(dict.fromkeys(each.column for each in found))
    known = [each.loss for each in found if each.loss is not None]
    x = {
        "field": "column",
        "type": "nominal",
        "sort": columns,
        "title": words["column"],
        "axis": {"orient": "top", "labelAngle": 0, "ticks": False, "domain": False, "labelLimit": 110},
    }
    y = {
        "field": "row",
        "type": "nominal",
        "sort": names,
        "title": words["row"],
        "axis": {"ticks": False, "domain": False, "labelLimit": 200, "labelExpr": "split(datum.label, '\\n')"},
    }
    lowest = min([*known, plateau - 1])
    scale = {"domain": [lowest, plateau], "range": ["#ddd9fb", "#4f3fd0"], "clamp": True}
    colour = {
        "condition": {
            "test": "isValid(datum.loss)",
            "field": "loss",
            "type": "quantitative",
            "scale": scale,
            "legend": None,
        },
        "value": "transparent",
    }
    ink = {
        "condition": [
            {"test": "!isValid(datum.loss)", "value": GREY},
            {"test": f"datum.loss < {(lowest + plateau) / 2}", "value": "#1f1a4d"},
        ],
        "value": "white",
    }
    frame = {"condition": {"test": "datum.chosen == 1", "value": ORANGE}, "value": GREY}
    thick = {"condition": {"test": "datum.chosen == 1", "value": 3}, "value": 0.5}
    tips = [
        {"field": "row", "type": "nominal", "title": words["row"]},
        {"field": "column", "type": "nominal", "title": words["column"]},
        {"field": "said", "type": "nominal", "title": words["loss"]},
        {"field": "dead", "type": "nominal", "title": words["dead"]},
    ]
    cell = {"type": "rect", "cornerRadius": 5}
    said: Row = {"type": "text", "fontSize": 12.5, "fontWeight": 500, "lineBreak": "\n", "dy": -6}
    return {
        "width": "container",
        "height": {"step": 44},
        "data": {"values": rows},
        "encoding": {"x": x, "y": y, "tooltip": tips},
        "layer": [
            {"mark": cell, "encoding": {"color": colour, "stroke": frame, "strokeWidth": thick}},
            {"mark": said, "encoding": {"text": {"field": "said"}, "color": ink}},
        ],
    }


# --- a childhood, for the player ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """A figure over steps, in one of the panels above the heads."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """Some series over the same steps, with named levels; from `low` to `high`."""

    title: str
    series: Sequence[Series]
    levels: Mapping[str, float]
    low: float
    high: float
    ticks: Sequence[float]


def childhood(
    *,
    steps: Sequence[int],
    texts: Sequence[str],
    notes: Sequence[str],
    panels: Sequence[Panel],
    step: int,
    words: Mapping[str, str],
) -> Spec:
    """What the player shows at each snapshot: its step, its translation, a note, and its place on the panels.

    `words` needs: translation, axis. The player counts snapshots from 1, `step` among them.
    """
    return {
        "mode": "childhood",
        "name": "childhood",
        "step": step,
        "count": len(steps),
        "steps": list(steps),
        "texts": [text or "–" for text in texts],
        "notes": list(notes),
        "panels": [asdict(panel) for panel in panels],
        "words": dict(words),
    }


def grids(
    weights: Float[np.ndarray, "step layer head query key"],
    allowed: Bool[np.ndarray, "query key"],
    *,
    chosen: tuple[int, int],
    language: str,
) -> bytes:
    """All heads at every step, of which the canvas shows the one at which the player stands."""
    header = {"mode": "grid", "shape": weights.shape[1:], "chosen": chosen, "words": language, "frames": "childhood"}
    return pack(header, to_bytes(weights, allowed))


def details(
    weights: Float[np.ndarray, "step query key"],
    allowed: Bool[np.ndarray, "query key"],
    *,
    queries: Sequence[str],
    keys: Sequence[str],
    cell: tuple[int, int],
    words: Mapping[str, str],
) -> bytes:
    """One head at every step; the same `words` as `heatmap.detail`."""
    header = {"mode": "detail", "shape": weights.shape[1:], "queries": list(queries), "keys": list(keys)}
    return pack({**header, "cell": cell, "words": dict(words), "frames": "childhood"}, to_bytes(weights, allowed))
