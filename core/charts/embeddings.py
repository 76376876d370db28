"""Charts of the tokens page: neighbours, whether kin are near, maps of the space, and states from stage to stage.

Most are Vega-Lite specifications: they are drawn again at a click, and making them through Altair takes longer than
everything else together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from core.charts.figures import GREY, INDIGO, ORANGE, Row, unique

TEAL, PINK, BROWN, BLUE, GREEN, RED = "#12a594", "#d6409f", "#a18072", "#0091ff", "#46a758", "#e5484d"
COLOURS = (INDIGO, ORANGE, TEAL, PINK, BLUE, GREEN, BROWN)
FITTED = {"type": "fit-x", "contains": "padding"}  # the height is that of the plot, whatever stands around it
Spec = dict[str, Any]


def neighbours(names: Sequence[str], cosines: Sequence[float], null: Sequence[float], words: Mapping[str, str]) -> Spec:
    """A bar for each neighbour, and a tick where the neighbour of the same rank would be among random rows.

    `words` needs: cosine, trained, untrained, neighbour.
    """
    rows: list[Row] = [
        {"name": name, "kind": words["trained"], "value": value, "null": other}
        for name, value, other in zip(unique(names), cosines, null, strict=True)
    ]
    up = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": _plain_axis(150)}
    tips = [_tip("name", words["neighbour"]), _tip("value", words["cosine"]), _tip("null", words["untrained"])]
    across = _quantity("value", words["cosine"], scale={"domain": [0, max(0.5, *cosines, *null) * 1.08]})
    bar = _layer({"type": "bar", "color": INDIGO, "cornerRadiusEnd": 3, "height": {"band": 0.68}}, x=across)
    text = {"field": "value", "type": "quantitative", "format": ".2f"}
    number = _layer({"type": "text", "align": "left", "dx": 5, "color": GREY}, x=across, text=text)
    tick = _layer({"type": "tick", "color": GREY, "thickness": 3, "size": 18}, x=_quantity("null", words["cosine"]))
    return {
        "data": {"values": rows},
        "width": "container",
        "autosize": FITTED,
        "height": {"step": 26},
        "encoding": {"y": up, "tooltip": tips},
        "layer": [bar, tick, number],
    }


@dataclass(frozen=True)
class Against:
    """A measured share beside what chance, shuffled classes and an untrained table give."""

    name: str
    observed: float
    chance: float
    untrained: float
    low: float
    high: float


def against_chance(rows: Sequence[Against], words: Mapping[str, str]) -> Spec:
    """A dot for what was found, and marks for its null lines.

    `words` needs: share, trained, chance, untrained, shuffled.
    """
    names = [words["trained"], words["untrained"], words["chance"], words["shuffled"]]
    fields = ("observed", "untrained", "chance")
    points = [
        {"name": row.name, "mark": name, "value": getattr(row, field), "low": row.low, "high": row.high}
        for row in rows
        for name, field in zip(names, fields, strict=False)
    ]
    spans = [{"name": row.name, "mark": names[3], "low": row.low, "high": row.high} for row in rows]
    colour = {
        "field": "mark",
        "type": "nominal",
        "title": None,
        "scale": {"domain": names, "range": [ORANGE, TEAL, GREY, GREY]},
        "legend": _legend(1),
    }
    shape = {
        "field": "mark",
        "type": "nominal",
        "title": None,
        "scale": {"domain": names, "range": ["circle", "diamond", "stroke", "square"]},
        "legend": _legend(1),
    }
    up = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": _plain_axis(190)}
    scale = {"domain": [0, 1]}
    across = _quantity("value", words["share"], scale=scale, axis={"format": "%", "grid": True})
    span = _layer(
        {"type": "rule", "strokeWidth": 7, "opacity": 0.35},
        x=_quantity("low", words["share"], scale=scale),
        x2={"field": "high"},
        color=colour,
    )
    dots = _layer({"type": "point", "size": 110, "filled": True, "opacity": 1}, x=across, color=colour, shape=shape)
    dots["encoding"]["tooltip"] = [_tip("name", " "), _tip("mark", " "), _tip("value", words["share"])]
    return {
        "width": "container",
        "autosize": FITTED,
        "height": {"step": 40},
        "encoding": {"y": up},
        "layer": [span | {"data": {"values": spans}}, dots | {"data": {"values": points}}],
    }


def shares(rows: Sequence[tuple[str, float, float]], words: Mapping[str, str]) -> Spec:
    """A bar for each (name, share, chance), and a tick at its chance. `words` needs: share, chance."""
    values = [{"name": name, "value": value, "null": chance} for name, value, chance in rows]
    up = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": _plain_axis(150)}
    across = _quantity("value", words["share"], scale={"domain": [0, 1]}, axis={"format": "%"})
    tick = {"type": "tick", "color": GREY, "thickness": 3, "size": 14}
    return {
        "data": {"values": values},
        "width": "container",
        "autosize": FITTED,
        "height": {"step": 20},
        "encoding": {
            "y": up,
            "tooltip": [_tip("name", " "), _tip("value", words["share"]), _tip("null", words["chance"])],
        },
        "layer": [
            _layer({"type": "bar", "color": INDIGO, "cornerRadiusEnd": 3, "height": {"band": 0.68}}, x=across),
            _layer(tick, x=_quantity("null", words["share"])),
        ],
    }


# --- maps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Points:
    """Places on a map; `groups` decide the colours and come in the order of the legend."""

    places: Float[np.ndarray, "point dimension"]
    names: Sequence[str]
    groups: Sequence[str]


def flat_map(
    points: Points, marked: Points, order: Sequence[str], shares_of: Sequence[float], words: Mapping[str, str]
) -> Spec:
    """Two dimensions: every point a dot in its group's colour, those of `marked` ringed.

    Of those, the ones that have a group are named. `words` needs: component, word, group.
    """
    axes = _axes(shares_of, words)
    colour = {
        "field": "group",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(order), "range": _palette(order)},
        "legend": _legend(4) | {"columns": {"expr": "width < 420 ? 3 : 4"}},
    }
    tips = [_tip("name", words["word"]), _tip("group", words["group"])]
    dots = _layer({"type": "circle", "size": 22, "opacity": 0.55}, color=colour, tooltip=tips)
    rings = _layer({"type": "point", "size": 120, "strokeWidth": 2.5, "color": RED, "filled": False}, tooltip=tips)
    style = {"type": "text", "dy": -13, "fontSize": 13, "fontWeight": "bold", "color": RED}
    labels = _layer(style, text={"field": "name"}, tooltip=tips)
    at = {name: _quantity(name, title, axis={"grid": False}) for name, title in zip("xy", axes, strict=False)}
    return {
        "width": "container",
        "autosize": FITTED,
        "height": 460,
        "encoding": {name: each | {"scale": {"zero": False}} for name, each in at.items()},
        "layer": [
            dots | {"data": {"values": _placed(points)}},
            rings | {"data": {"values": _placed(marked)}},
            labels | {"data": {"values": [row for row in _placed(marked) if row["group"]]}},
        ],
    }


def deep_map(
    points: Points, marked: Points, order: Sequence[str], shares_of: Sequence[float], words: Mapping[str, str]
) -> Spec:
    """Three dimensions, to be turned with the mouse or a finger, as a Plotly figure.

    `words` needs: component, marked.
    """
    traces = []
    for name, colour in zip(order, _palette(order), strict=True):
        mine = [index for index, group in enumerate(points.groups) if group == name]
        hover = [points.names[index] for index in mine]
        style = {"size": 2.4, "color": colour, "opacity": 0.6}
        traces.append(_cloud(points.places[mine], hover, name, marker=style))
    style = {"size": 6, "color": RED, "symbol": "diamond"}
    label = {"mode": "markers+text", "textposition": "top center", "textfont": {"color": RED, "size": 13}}
    traces.append(_cloud(marked.places, marked.names, words["marked"], marker=style, **label))
    axes = dict(zip(("xaxis", "yaxis", "zaxis"), _axes(shares_of, words), strict=True))
    scene = {axis: {"title": {"text": title}, "showticklabels": False} for axis, title in axes.items()}
    layout = {
        "height": 560,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "scene": scene,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"},
        "paper_bgcolor": "rgba(0,0,0,0)",
    }
    return {"data": traces, "layout": layout}


def _cloud(places: Float[np.ndarray, "point dimension"], names: Sequence[str], group: str, **rest: Any) -> Spec:
    x, y, z = np.round(places, 3).T.astype(np.float32)
    shown = {"type": "scatter3d", "mode": "markers", "hoverinfo": "text+name", "name": group}
    return {**shown, "x": x, "y": y, "z": z, "text": list(names), **rest}


def sentence_map(points: Points, limit: float, words: Mapping[str, str]) -> Spec:
    """A word in a few sentences, each group named once; `limit` ends both scales.

    `words` needs: first, second, sentence.
    """
    order, rows = list(dict.fromkeys(points.groups)), _placed(points)
    first = [rows[points.groups.index(group)] for group in order]
    colour = {
        "field": "group",
        "type": "nominal",
        "scale": {"domain": order, "range": _palette(order)},
        "legend": None,
    }
    scale = {"domain": [-1.25 * limit, 1.25 * limit], "nice": False}
    axis = {"labels": False, "ticks": False}
    return {
        "width": "container",
        "autosize": FITTED,
        "height": 300,
        "encoding": {
            "x": _quantity("x", words["first"], scale=scale, axis=axis),
            "y": _quantity("y", words["second"], scale=scale, axis=axis),
            "color": colour,
            "tooltip": [_tip("name", words["sentence"]), _tip("group", " ")],
        },
        "layer": [
            _layer({"type": "circle", "size": 150, "opacity": 0.75}) | {"data": {"values": rows}},
            *(_name(row, 20 if index % 2 else -16) for index, row in enumerate(first)),
        ],
    }


def _name(row: Row, offset: int) -> Spec:
    """A group's name above or below its first point: neighbours in the legend do not write over each other."""
    style = {"type": "text", "dy": offset, "fontSize": 13, "fontWeight": "bold"}
    return _layer(style, text={"field": "group"}) | {"data": {"values": [row]}}


def _placed(points: Points) -> list[Row]:
    rows = zip(np.round(points.places[:, :2], 3).tolist(), points.names, points.groups, strict=True)
    return [{"x": x, "y": y, "name": name, "group": group} for (x, y), name, group in rows]


def _palette(order: Sequence[str]) -> list[str]:
    return [COLOURS[index] if index < len(COLOURS) else GREY for index in range(len(order))]


def _axes(shares_of: Sequence[float], words: Mapping[str, str]) -> list[str]:
    titles = enumerate(shares_of, 1)
    return [words["component"].format(number=number, share=f"{share:.1%}") for number, share in titles]


# --- from stage to stage --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One value for each stage; null lines are grey and dashed."""

    name: str
    values: Sequence[float]
    colour: str
    null: bool = False


def by_stage(
    lines: Sequence[Line], stages: Sequence[str], *, axis: str, stage: str, domain: Sequence[float] | None = None
) -> Spec:
    """How figures change from the row of the table to the last state."""
    rows = [
        {"name": line.name, "stage": label, "value": value, "dash": int(line.null)}
        for line in lines
        for label, value in zip(stages, line.values, strict=True)
    ]
    scale: Row = {"domain": list(domain), "nice": False} if domain else {"zero": False}
    colour = {
        "field": "name",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": [line.name for line in lines], "range": [line.colour for line in lines]},
        "legend": _legend(1),
    }
    dash = {"field": "dash", "type": "nominal", "scale": {"domain": [0, 1], "range": [[1, 0], [5, 4]]}, "legend": None}
    across = {
        "field": "stage",
        "type": "nominal",
        "sort": None,
        "title": stage,
        "axis": {"labelAngle": -30, "labelLimit": 110, "labelOverlap": False, "grid": False},
    }
    tips = [_tip("name", " "), _tip("stage", stage), _tip("value", axis)]
    line = _layer({"type": "line", "strokeWidth": 2.5, "point": {"size": 55}}, strokeDash=dash)
    return {
        "data": {"values": rows},
        "width": "container",
        "autosize": FITTED,
        "height": 300,
        "encoding": {"x": across, "y": _quantity("value", axis, scale=scale), "color": colour, "tooltip": tips},
        "layer": [line],
    }


# --- shared ---------------------------------------------------------------------------------------------------------


def _layer(mark: Row, **encoding: Any) -> Spec:
    return {"mark": mark, "encoding": encoding}


def _quantity(field: str, title: str, **rest: Any) -> Row:
    return {"field": field, "type": "quantitative", "title": title, **rest}


def _plain_axis(limit: int) -> Row:
    return {"ticks": False, "domain": False, "labelLimit": limit}


def _tip(field: str, title: str) -> Row:
    number = {"type": "quantitative", "format": ".3f"} if field in ("value", "null") else {"type": "nominal"}
    return {"field": field, "title": title, **number}


def _legend(columns: int) -> Row:
    return {"orient": "top", "columns": columns, "labelLimit": 280 // columns + 40, "symbolOpacity": 1}
