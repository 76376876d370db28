"""Charts of the residuals page as Vega-Lite: lengths by token and layer, what shrinks, what stretches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from jaxtyping import Float
from numpy import ndarray as Array

from core.charts.figures import GREY, ORANGE, Row, columns, unique
from core.charts.positions import COLOURS, TALL

Spec = dict[str, Any]
Words = Mapping[str, str]
Curve = Sequence[tuple[int | float, float]]
PALETTE = (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[4], COLOURS[3], *COLOURS[5:])


def cells(values: Float[Array, "stage token"], *, stages: Sequence[str], tokens: Sequence[str], words: Words) -> Spec:
    """A coloured cell for each stage and token, the first stage at the bottom; NaN leaves a cell empty.

    `words` needs: stage, token, value.
    """
    labels = unique(tokens)
    rows: list[Row] = [
        {"stage": stage, "token": token, "value": float(value)}
        for stage, line in zip(stages, values, strict=True)
        for token, value in zip(labels, line, strict=True)
        if not isnan(value)
    ]
    across = {"labelAngle": -40, "labelLimit": 90, "ticks": False}
    scale = {"scheme": "viridis", "zero": True}
    legend = {"orient": "top", "direction": "horizontal", "gradientLength": 160, "title": words["value"]}
    return {
        "data": {"values": rows},
        "width": "container",
        "height": 24 * len(stages) + 150,
        "mark": {"type": "rect"},
        "encoding": {
            "x": {"field": "token", "type": "nominal", "sort": None, "title": words["token"], "axis": across}
            | {"scale": {"domain": labels}},
            "y": _named("stage", list(reversed(stages)), words["stage"]),
            "color": _number("value", words["value"]) | {"scale": scale, "legend": legend},
            "tooltip": tips(stage=words["stage"], token=words["token"], value=words["value"]),
        },
    }


def bars(series: Mapping[str, Sequence[float]], names: Sequence[str], *, words: Words, colours: Sequence[str]) -> Spec:
    """A bar of each series for each name, side by side. `words` needs: name, value."""
    rows: list[Row] = [
        {"series": one, "name": name, "value": value}
        for one, values in series.items()
        for name, value in zip(names, values, strict=True)
    ]
    return {
        "data": {"values": rows},
        "width": "container",
        "height": 26 * len(names) + 90,
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "y": _named("name", names, None),
            "yOffset": {"field": "series", "sort": None},
            "x": _number("value", words["value"]),
            "color": _colours("series", list(series), colours),
            "tooltip": tips(series=" ", name=words["name"], value=words["value"]),
        },
    }


def curves(
    series: Mapping[str, Curve],
    *,
    words: Words,
    logarithmic: bool = False,
    floor: float | None = None,
    level: tuple[float, str] | None = None,
    bands: Mapping[str, Sequence[tuple[int | float, float, float]]] | None = None,
    palette: Mapping[str, str] | None = None,
    height: int = TALL + 60,
) -> Spec:
    """Lines through (x, y), bands of (x, low, high), and a dashed level with its name. `words` needs: x, y.

    What is 0 has no place on a logarithmic axis and is left out; below `floor` lines leave the picture.
    """
    names = list(series)
    colours = [palette[name] for name in names] if palette else PALETTE
    rows: list[Row] = [
        {"name": name, "x": x, "value": y}
        for name, curve in series.items()
        for x, y in curve
        if y > 0 or not logarithmic
    ]
    shown = [row["value"] for row in rows] + ([level[0]] if level else [])
    scale: Row = {"type": "log"} if logarithmic else {"zero": False}
    if floor is not None and shown and min(shown) < floor:
        scale |= {"domain": [floor, max(*shown, floor * 10)], "nice": False}
    axis = {"format": "~g", "tickCount": 6} if logarithmic else {}
    up = _number("value", words["y"]) | {"scale": scale, "axis": axis}
    last = max((row["x"] for row in rows), default=1.0)
    across = _number("x", words["x"]) | {
        "axis": {"grid": False, "tickMinStep": 1, "format": "~g"},
        "scale": {"nice": False, "domain": [min((row["x"] for row in rows), default=0.0), last]},
    }
    marks: list[Row] = [{"type": "line", "strokeWidth": 2.3, "clip": True}]
    if len(rows) < 200:
        marks.append({"type": "circle", "size": 46, "opacity": 1, "clip": True})
    colour = _colours("name", names, colours)
    layers: list[Spec] = [
        {
            "data": {"values": [{"name": n, "x": x, "low": low, "high": high} for x, low, high in rest]},
            "mark": {"type": "area", "opacity": 0.18, "clip": True},
            "encoding": {
                "x": across,
                "y": {**up, "field": "low"},
                "y2": {"field": "high"},
                "color": colour,
            },
        }
        for n, rest in (bands or {}).items()
    ]
    tip = tips(name=" ", x=words["x"], value=words["y"])
    layers += [{"mark": mark, "encoding": {"x": across, "y": up, "color": colour, "tooltip": tip}} for mark in marks]
    if level:
        layers += _level(*level, up)
    return {"data": {"values": rows}, "width": "container", "height": height, "layer": layers}


def spans(ranges: Mapping[str, tuple[float, float, float]], *, words: Words, level: tuple[float, str]) -> Spec:
    """A line from the smallest to the largest value of each name, a dot at the median, and a level across.

    `words` needs: name, value, smallest, median, largest.
    """
    rows: list[Row] = [
        {"name": name, "low": low, "value": middle, "high": high} for name, (low, middle, high) in ranges.items()
    ]
    at: Row = {"y": _named("name", list(ranges), None)}
    across = _number("low", words["value"]) | {
        "scale": {"type": "log"},
        "axis": {"format": "~g", "values": [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30]},
    }
    tip: list[Row] = [
        {"field": field, "type": "quantitative", "title": words[name], "format": ".4~g"}
        for field, name in (("low", "smallest"), ("value", "median"), ("high", "largest"))
    ]
    tip.insert(0, {"field": "name", "type": "nominal", "title": words["name"]})
    line: Row = {"x": across, "x2": {"field": "high"}, "tooltip": tip, **at}
    dot: Row = {"x": {**across, "field": "value"}, "tooltip": tip, **at}
    value, name = level
    across_all: Spec = {"data": {"values": [{"low": value, "name": name}]}}
    dashed = {"type": "rule", "strokeDash": [4, 4], "color": ORANGE}
    rule: Spec = {"mark": dashed, "encoding": {"x": across}, **across_all}
    text: Spec = {
        "mark": {"type": "text", "align": "left", "dx": 4, "dy": -6, "color": ORANGE},
        "encoding": {"x": across, "y": {"value": 0}, "text": {"field": "name"}},
        **across_all,
    }
    return {
        "data": {"values": rows},
        "width": "container",
        "height": 24 * len(ranges) + 80,
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 6, "strokeCap": "round", "color": PALETTE[0]}, "encoding": line},
            {"mark": {"type": "circle", "size": 70, "opacity": 1, "color": "white", "stroke": PALETTE[0]}}
            | {"encoding": dot},
            rule,
            text,
        ],
    }


def _level(value: float, name: str, up: Row) -> list[Spec]:
    data = {"values": [{"value": value, "name": name}]}
    text = {"mark": {"type": "text", "align": "right", "baseline": "bottom", "dy": -3, "color": GREY}}
    return [
        {"data": data, "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY}, "encoding": {"y": up}},
        {"data": data, **text, "encoding": {"y": up, "x": {"value": "width"}, "text": {"field": "name"}}},
    ]


def _number(field: str, title: str) -> Row:
    return {"field": field, "type": "quantitative", "title": title}


def _named(field: str, order: Sequence[str], title: str | None) -> Row:
    axis = {"ticks": False, "domain": False, "labelLimit": 170}
    return {"field": field, "type": "nominal", "sort": list(order), "title": title, "axis": axis}


def _colours(field: str, names: Sequence[str], colours: Sequence[str]) -> Row:
    scale = {"domain": list(names), "range": list(colours[: len(names)])}
    legend = {"orient": "top", "columns": {"expr": columns(names)}, "labelLimit": 0, "symbolOpacity": 1}
    return {"field": field, "type": "nominal", "title": None, "sort": None, "scale": scale, "legend": legend}


def tips(**fields: str) -> list[Row]:
    """What hovering tells: a field of the data and its name on the screen; `value` is a number."""
    return [
        {"field": name, "type": "quantitative", "title": title, "format": ".4~g"}
        if name == "value"
        else {"field": name, "type": "nominal", "title": title}
        for name, title in fields.items()
    ]
