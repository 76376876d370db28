"""Charts of the attention page, as Vega-Lite specifications: most are drawn again at every click.

Bars over keys report a click on their column as the selection `key`, with the field `index`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.charts.figures import GREY, INDIGO, ORANGE, Row, pixels, unique

Spec = dict[str, Any]
HATCH = "▨"  # what stands in the column of a masked key
LOW = 200
ROOMY = 32  # keys up to which every label is written


# --- one row of a head ----------------------------------------------------------------------------------------------


def key_bars(
    tokens: Sequence[str],
    values: Sequence[float],
    *,
    chosen: int,
    words: Mapping[str, str],
    allowed: Sequence[bool] | None = None,
    behind: Sequence[float] | None = None,
    even: float | None = None,
) -> Spec:
    """A bar for each key, the chosen one in another colour, masked ones hatched.

    `behind` are fainter bars in the same place, `even` is a dashed line across. `words` needs: key, value, and masked
    and behind where there are any.
    """
    seen = [True] * len(tokens) if allowed is None else list(allowed)
    rows: list[Row] = [
        {
            "index": index,
            "token": token,
            "value": value if shown else None,
            "told": f"{value:.4g}" if shown else words["masked"],
            "chosen": index == chosen,
            "masked": not shown,
        }
        for index, (token, value, shown) in enumerate(zip(unique(tokens), values, seen, strict=True))
    ]
    tip = [_tip("token", words["key"], nominal=True), _tip("told", words["value"], nominal=True)]
    if behind is not None:
        rows = [row | {"behind": value} for row, value in zip(rows, behind, strict=True)]
        tip.append(_tip("behind", words["behind"]))
    column: Spec = {"mark": {"type": "rect", "color": GREY}, "params": [_click("key")]}
    column["encoding"] = {"opacity": _where("chosen", 0.13, 0.0), "tooltip": tip}
    layers = [column]
    if behind is not None:
        layers.append({"mark": {"type": "bar", "color": GREY, "opacity": 0.35}, "encoding": {"y": _y("behind", words)}})
    colour = {"condition": {"test": "datum.chosen", "value": ORANGE}, "value": INDIGO}
    size = {"band": 0.45 if behind is not None else 0.7}
    bar = {"type": "bar", "width": size, "cornerRadiusEnd": 2}
    layers.append({"mark": bar, "encoding": {"y": _y("value", words), "color": colour}})
    if not all(seen):
        mark = {"type": "text", "fontSize": 17, "dy": -11, "color": GREY}
        encoding = {"text": {"value": HATCH}, "y": {"value": "height"}, "tooltip": {"value": words["masked"]}}
        layers.append({"transform": [{"filter": "datum.masked"}], "mark": mark, "encoding": encoding})
    if even is not None:
        layers.append(_level(even))
    return _over_tokens(rows, layers)


def products(values: Sequence[float], *, words: Mapping[str, str]) -> Spec:
    """A signed bar for each channel. `words` needs: channel, value."""
    rows: list[Row] = [{"channel": index, "value": value} for index, value in enumerate(values, 1)]
    bar = {"type": "bar", "width": {"band": 0.75}, "cornerRadiusEnd": 2}
    encoding = {
        "x": {
            "field": "channel",
            "type": "ordinal",
            "title": words["channel"],
            "axis": {"labelAngle": 0, "labelOverlap": True, "ticks": False},
        },
        "y": _y("value", words),
        "color": {"condition": {"test": "datum.value < 0", "value": ORANGE}, "value": INDIGO},
        "tooltip": [_tip("channel", words["channel"], nominal=True), _tip("value", words["value"])],
    }
    return _layered(rows, {}, [{"mark": bar, "encoding": encoding}])


def compared(tokens: Sequence[str], series: Mapping[str, Sequence[float]], *, words: Mapping[str, str]) -> Spec:
    """Bars side by side for each token, one colour for each series. `words` needs: key, value."""
    rows: list[Row] = [
        {"token": token, "name": name, "value": value}
        for name, values in series.items()
        for token, value in zip(unique(tokens), values, strict=True)
    ]
    encoding = {
        "y": _y("value", words),
        "xOffset": {"field": "name", "sort": list(series)},
        "color": _colour(list(series)),
        "tooltip": [
            _tip("token", words["key"], nominal=True),
            _tip("name", " ", nominal=True),
            _tip("value", words["value"]),
        ],
    }
    return _over_tokens(rows, [{"mark": {"type": "bar", "cornerRadiusEnd": 2}, "encoding": encoding}])


# --- curves ---------------------------------------------------------------------------------------------------------


def fans(
    curves: Mapping[str, Sequence[tuple[float, float, float, float]]],
    *,
    words: Mapping[str, str],
    points: Sequence[tuple[str, float, float]] = (),
    domain: tuple[float, float] | None = None,
    logarithmic: bool = False,
    across: str = "log",
    columns: int = 2,
) -> Spec:
    """A line in a band for each name: x, lowest, middle, highest; `points` (name, x, y) are drawn over them.

    `words` needs: x, y. A logarithmic scale leaves out what is 0.
    """
    names = list(curves)
    rows: list[Row] = [
        {"name": name, "x": x, "low": low, "value": middle, "high": high}
        for name, curve in curves.items()
        for x, low, middle, high in curve
        if not logarithmic or low > 0
    ]
    scale: Spec = {"type": "log"} if logarithmic else {"zero": True}
    scale |= {"domain": list(domain)} if domain else {}
    axis: Spec = {"grid": False, "format": ",~g"}
    axis |= {"values": _labelled([row["x"] for row in rows])} if across == "log" else {"tickCount": 5}
    x = {
        "field": "x",
        "type": "quantitative",
        "title": words["x"],
        "scale": {"type": across, "nice": False},
        "axis": axis,
    }
    tip = [_tip("name", " ", nominal=True), _tip("x", words["x"]), _tip("value", words["y"])]
    tip += [_tip("low", "min"), _tip("high", "max")]
    title = {"field": "value", "type": "quantitative", "title": words["y"], "scale": scale}
    title["axis"] = {"format": "~g", "tickCount": 4}
    shared = {"x": x, "color": _colour(names, columns=columns)}
    band = {"y": {**title, "field": "low"}, "y2": {"field": "high"}}
    layers: list[Spec] = [
        {"mark": {"type": "area", "opacity": 0.2}, "encoding": {**shared, **band}},
        {"mark": {"type": "line", "strokeWidth": 2.2}, "encoding": {**shared, "y": title}},
        {"mark": {"type": "circle", "size": 42, "opacity": 1}, "encoding": {**shared, "y": title, "tooltip": tip}},
    ]
    if points:
        data = [{"name": name, "x": at, "value": value} for name, at, value in points if value > 0 or not logarithmic]
        mark = {"type": "point", "shape": "diamond", "size": 150, "filled": True, "opacity": 1}
        own = {**shared, "y": title, "tooltip": tip[:3]}
        layers.append({"data": {"values": data}, "mark": mark, "encoding": own})
    return _layered(rows, {}, layers, 230)


def dial(
    divisors: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    trained: float,
    chosen: float,
    words: Mapping[str, str],
) -> Spec:
    """Figures of a head (all between 0 and 1) by what its scores are divided by, with a line at two of the divisors.

    `words` needs: x, y, trained, chosen.
    """
    rows: list[Row] = [
        {"name": name, "x": x, "value": value}
        for name, values in curves.items()
        for x, value in zip(divisors, values, strict=True)
    ]
    x = {
        "field": "x",
        "type": "quantitative",
        "title": words["x"],
        "scale": {"type": "log", "nice": False},
        "axis": {"format": "~g", "grid": False, "tickCount": 6},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": words["y"],
        "scale": {"domain": [0, 1.2]},  # the names of the lines stand above 1
        "axis": {"values": [0, 0.25, 0.5, 0.75, 1]},
    }
    encoding = {
        "x": x,
        "y": y,
        "color": _colour(list(curves)),
        "tooltip": [_tip("name", " ", nominal=True), _tip("x", words["x"]), _tip("value", words["y"])],
    }
    layers: list[Spec] = [{"mark": {"type": "line", "strokeWidth": 2.4}, "encoding": encoding}]
    for at, name, dash, height in ((trained, words["trained"], [5, 4], 4), (chosen, words["chosen"], [1, 0], 20)):
        data = {"values": [{"x": at, "name": name}]}
        rule = {"type": "rule", "strokeWidth": 2, "strokeDash": dash, "color": GREY}
        text = {"type": "text", "align": "left", "dx": 5, "baseline": "top", "color": GREY, "fontSize": 12}
        label = {"x": x, "y": {"value": height}, "text": {"field": "name"}}
        layers += [{"data": data, "mark": rule, "encoding": {"x": x}}, {"data": data, "mark": text, "encoding": label}]
    return _layered(rows, {}, layers, 280)


# --- all heads ------------------------------------------------------------------------------------------------------


def heads(
    names: Sequence[str],
    values: Sequence[float],
    *,
    chosen: int | None,
    even: float,
    words: Mapping[str, str],
    stored: Sequence[float] | None = None,
) -> Spec:
    """A dot for each head, and what a head would show that looks everywhere alike; a click chooses a head.

    That is a dashed line; `stored` are hollow dots. `words` needs: head, value, and stored where there are any.
    """
    rows: list[Row] = [
        {"index": index, "name": name, "value": value, "chosen": index == chosen}
        for index, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    tip = [_tip("name", words["head"], nominal=True), _tip("value", words["value"])]
    if stored is not None:
        rows = [row | {"stored": value} for row, value in zip(rows, stored, strict=True)]
        tip.append(_tip("stored", words["stored"]))
    axis = {"labelAngle": -90, "ticks": False, "grid": False, "labelOverlap": True}
    x = {"field": "name", "type": "nominal", "sort": None, "title": words["head"], "axis": axis}
    y = {"type": "quantitative", "title": words["value"], "scale": {"domain": [0, 1]}}
    colour = {"condition": {"test": "datum.chosen", "value": ORANGE}, "value": INDIGO}
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "opacity": 0},
            "params": [_click("key")],
            "encoding": {"tooltip": tip},
        },
        {
            "mark": {"type": "circle", "size": 90, "opacity": 1},
            "encoding": {"y": {**y, "field": "value"}, "color": colour},
        },
    ]
    if stored is not None:
        mark = {"type": "point", "size": 80, "strokeWidth": 2, "opacity": 1, "xOffset": 10}
        layers.append({"mark": mark, "encoding": {"y": {**y, "field": "stored"}, "color": colour}})
    layers.append(_level(even))
    return _layered(rows, {"x": x}, layers, 230)


# --- shared ---------------------------------------------------------------------------------------------------------


def _over_tokens(rows: Sequence[Row], layers: Sequence[Spec]) -> Spec:
    axis = {"labelAngle": -40, "labelLimit": 90, "ticks": False, "grid": False, "labelOverlap": len(rows) > ROOMY}
    x = {"field": "token", "type": "nominal", "sort": None, "title": None, "axis": axis}
    return _layered(rows, {"x": x}, layers)


def _layered(rows: Sequence[Row], encoding: Spec, layers: Sequence[Spec], height: int = LOW) -> Spec:
    """Layers over the same rows; each has the data itself, as Streamlit sends shared data after the chart."""
    own = [{"data": {"values": list(rows)}} | layer for layer in layers]
    room = {"padding": {"left": 0, "right": 0, "top": 6, "bottom": 0}, "width": "container", "height": height}
    return {"encoding": encoding, "layer": own, **room}


def _click(name: str) -> Spec:
    return {"name": name, "select": {"type": "point", "fields": ["index"], "toggle": False}}


def _where(field: str, yes: float, no: float) -> Spec:
    return {"condition": {"test": f"datum.{field}", "value": yes}, "value": no}


def _y(field: str, words: Mapping[str, str]) -> Spec:
    return {"field": field, "type": "quantitative", "title": words["value"], "axis": {"tickCount": 5}, "stack": None}


def _tip(field: str, title: str, *, nominal: bool = False) -> Spec:
    if nominal:
        return {"field": field, "type": "nominal", "title": title}
    return {"field": field, "type": "quantitative", "title": title, "format": ".4~g"}


def _colour(names: Sequence[str], *, columns: int = 2) -> Spec:
    scale = {"domain": list(names), "range": [INDIGO, ORANGE, "#12a594", GREY][: len(names)]}
    room = columns * (34 + max(map(pixels, names)))
    fitting = {"expr": f"width < {room} ? 1 : {columns}"}
    legend: Spec | None = {"orient": "top", "columns": fitting, "labelLimit": 440 // columns, "symbolOpacity": 1}
    legend = legend if len(names) > 1 else None
    return {"field": "name", "type": "nominal", "title": None, "sort": None, "scale": scale, "legend": legend}


def _level(value: float) -> Spec:
    """A dashed line across."""
    rule = {"type": "rule", "strokeDash": [4, 4], "color": GREY, "strokeWidth": 1.5}
    y = {"field": "level", "type": "quantitative"}
    return {"data": {"values": [{"level": value}]}, "mark": rule, "encoding": {"x": None, "y": y}}


def _labelled(places: Sequence[float]) -> list[float]:
    """At most seven of the places on an axis."""
    distinct = sorted(set(places))
    return distinct[:: max(1, -(-len(distinct) // 7))]
