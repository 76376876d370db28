"""Charts of the page on recurrent networks: a number by distance, by length or by token, a line for each reader."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.charts.figures import GREY, Row, columns, unique

TALL = 420
LARGE = 10_000  # from here on an axis counts in thousands
Spec = dict[str, Any]
Points = Sequence[tuple[int | float, int | float]]


def lines(
    series: Mapping[str, Points],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str],
    null: float | None = None,
    across: str = "linear",
    up: str = "linear",
    domain: tuple[float, float] | None = None,
) -> Spec:
    """Numbers over numbers, as a Vega-Lite specification; `across` and `up` are the types of the scales.

    A dashed line marks `null`. What a logarithm cannot show, or `domain` leaves out, is not drawn. `words` needs: x,
    y, and null where there is one.
    """
    lowest = (domain or (float("-inf"), 0.0))[0]
    rows: list[Row] = [
        {"name": name, "x": x, "value": value}
        for name, points in series.items()
        for x, value in points
        if value >= lowest and (up != "log" or value > 0)
    ]
    scale: Row = {"type": up} | ({"domain": list(domain), "nice": False} if domain else {})
    x = {"field": "x", "type": "quantitative", "title": words["x"], "scale": {"type": across, "nice": False}}
    if across == "log":
        x["scale"] = {"type": "log", "base": 2, "nice": False}
    x["axis"] = {"grid": False, "tickMinStep": 1, "format": "~s"}
    return _drawn(rows, x, scale, words=words, palette={name: palette[name] for name in series}, null=null)


def over_tokens(
    tokens: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str],
    null: float | None = None,
    up: str = "linear",
) -> Spec:
    """A number of each token of a sentence, a line for each reader; the same `words` and options as `lines`."""
    rows: list[Row] = [
        {"name": name, "x": token, "value": value}
        for name, values in series.items()
        for token, value in zip(unique(tokens), values, strict=True)
        if up != "log" or value > 0
    ]
    axis = {"labelAngle": -40, "labelLimit": 90, "ticks": False, "labelOverlap": len(tokens) > 32}
    x = {"field": "x", "type": "nominal", "sort": None, "title": words["x"], "axis": axis}
    return _drawn(rows, x, {"type": up}, words=words, palette={name: palette[name] for name in series}, null=null)


def _drawn(
    rows: Sequence[Row],
    x: Row,
    scale: Row,
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str],
    null: float | None,
) -> Spec:
    large = max((row["value"] for row in rows), default=0.0) >= LARGE
    axis = {"format": "~s" if large else "~g", "tickCount": 6}
    y = {"type": "quantitative", "title": words["y"], "scale": scale, "axis": axis}
    colour = {
        "field": "name",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": list(palette), "range": list(palette.values())},
        "legend": {"orient": "top", "columns": {"expr": columns(list(palette))}, "labelLimit": 0, "symbolOpacity": 1},
    }
    tips = [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "x", "type": x["type"], "title": words["x"]},
        {"field": "value", "type": "quantitative", "title": words["y"], "format": ".3~g"},
    ]
    values: Spec = {
        "mark": {"type": "line", "strokeWidth": 2.2, "point": {"size": 34, "opacity": 1}},
        "encoding": {"x": x, "y": {**y, "field": "value"}, "color": colour, "tooltip": tips},
    }
    level = [] if null is None else _level(null, words["null"], y)
    return {"data": {"values": list(rows)}, "width": "container", "height": TALL, "layer": [values, *level]}


def _level(value: float, name: str, y: Row) -> list[Spec]:
    """A dashed line across the chart with its name."""
    data, at = {"values": [{"value": value, "name": name}]}, {**y, "field": "value"}
    text = {"type": "text", "align": "right", "baseline": "bottom", "dy": -4, "color": GREY}
    return [
        {"data": data, "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY}, "encoding": {"y": at}},
        {"data": data, "mark": text, "encoding": {"y": at, "x": {"value": "width"}, "text": {"field": "name"}}},
    ]
