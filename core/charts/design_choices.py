"""What rows of the zoo cost beside what they buy, as a scatter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.charts.positions import COLOURS


@dataclass(frozen=True)
class Dot:
    """One row: the lowest, middle and highest exact match over its seeds, and what the screen calls it."""

    name: str
    group: str
    cost: float
    low: float
    middle: float
    high: float
    base: bool = False


def scatter(dots: Sequence[Dot], groups: Sequence[str], *, words: Mapping[str, str], named: bool) -> dict[str, Any]:
    """A dot for each row, a line over its seeds, a dashed line at the base; names beside the dots where `named`.

    The groups decide the colours. `words` needs: cost, accuracy, base.
    """
    rows = [{**vars(dot)} for dot in dots]
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": words["cost"],
        "scale": {"type": "log", "nice": False, "padding": 24},
        "axis": {"format": "~s", "grid": False, "tickCount": 6, "labelOverlap": True},
    }
    y = {"type": "quantitative", "title": words["accuracy"], "scale": {"domain": [0, 1]}}
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(groups))]
    colour = {
        "field": "group",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(groups), "range": colours},
        "legend": {"orient": "top", "columns": 4, "symbolOpacity": 1},
    }
    tips = [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "group", "type": "nominal", "title": " "},
        {"field": "cost", "type": "quantitative", "format": ",.3~f", "title": words["cost"]},
        {"field": "middle", "type": "quantitative", "format": ".3f", "title": words["accuracy"]},
        {"field": "low", "type": "quantitative", "format": ".3f", "title": "min"},
        {"field": "high", "type": "quantitative", "format": ".3f", "title": "max"},
    ]
    shared = {"x": x, "color": colour, "tooltip": tips}
    level = [dot.middle for dot in dots if dot.base][:1]
    rule = {"data": {"values": [{"y": each, "name": words["base"]} for each in level]}}
    at = {"y": {**y, "field": "y"}}
    grey = {"color": "#888888"}
    layers: list[dict[str, Any]] = [
        {**rule, "mark": {"type": "rule", "strokeDash": [5, 4], **grey}, "encoding": at},
        {
            **rule,
            "mark": {"type": "text", "align": "right", "dy": -7, "dx": -4, **grey},
            "encoding": {"x": {"value": "width"}, **at, "text": {"field": "name", "type": "nominal"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.5},
            "encoding": {**shared, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "circle", "size": 110, "opacity": 0.9},
            "encoding": {**shared, "y": {**y, "field": "middle"}},
        },
    ]
    if named:
        layers.append(
            {
                "mark": {"type": "text", "align": "left", "dx": 9, "dy": -6, "fontSize": 11},
                "encoding": {
                    **shared,
                    "y": {**y, "field": "middle"},
                    "text": {"field": "name", "type": "nominal"},
                },
            }
        )
    return {"data": {"values": rows}, "width": "container", "height": 380, "layer": layers}
