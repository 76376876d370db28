"""One head among all others, figure by figure, as a Vega-Lite specification.

It is drawn again at every click on a head, and making the same chart through Altair takes fifty times as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.charts.figures import GREY, INDIGO, ORANGE, Row

COLUMNS = {"left": 0.0, "end": 1.0, "middle": 1.18, "right": 1.36}  # where things stand, in units of a strip
MARKS: tuple[tuple[str, str, Row], ...] = (
    ("others", "place", {"type": "tick", "thickness": 2, "size": 14, "opacity": 0.45}),
    ("null", "place", {"type": "tick", "thickness": 3, "size": 22, "opacity": 1}),
    ("this", "place", {"type": "circle", "size": 110, "opacity": 1}),
    ("this", "middle", {"type": "text", "align": "right", "fontSize": 13, "fontWeight": "bold"}),
    ("null", "right", {"type": "text", "align": "right", "fontSize": 13}),
)


@dataclass(frozen=True)
class Figure:
    """One figure of a head among all heads of its kind; `null` is what uniform attention would give."""

    name: str
    value: float
    null: float
    others: tuple[float, ...]
    lowest: float
    highest: float

    def place(self, value: float) -> float:
        """Where a value lies between the lowest (0) and the highest (1) possible."""
        span = self.highest - self.lowest
        return (value - self.lowest) / span if span > 0 else 0.0


def strips(figures: Sequence[Figure], *, words: Mapping[str, str]) -> dict[str, Any]:
    """A row for each figure: every head a faint tick, this head a dot, uniform attention a rule, both as numbers.

    `words` needs: this, others, null, value, figure. Rows span each figure's own range.
    """
    data = {kind: {"values": rows_of(figures, kind, words)} for kind in ("others", "null", "this")}
    ground = _layer(data["this"], "left", {"type": "rule", "color": GREY, "opacity": 0.3, "yOffset": 8})
    ground["encoding"]["x2"] = {"field": "end"}
    layers = [_layer(data[kind], place, mark | {"yOffset": 8}) for kind, place, mark in MARKS]
    for layer in layers:
        layer["encoding"]["color"] = _colours(words)
    return {
        "width": "container",
        "height": {"step": 48},
        "encoding": {"y": _names(figures), "tooltip": _tips(words)},
        "layer": [ground, *layers],
    }


def rows_of(figures: Sequence[Figure], kind: str, words: Mapping[str, str]) -> list[Row]:
    """The rows that `strips` draws of one kind: "others", "null" or "this"."""
    return [
        {"figure": figure.name, "kind": words[kind], "value": value, "place": figure.place(value), **COLUMNS}
        for figure in figures
        for value in {"others": figure.others, "null": (figure.null,), "this": (figure.value,)}[kind]
    ]


def _layer(data: Row, place: str, mark: Row) -> Row:
    scale = {"domain": [COLUMNS["left"], COLUMNS["right"]]}
    across = {"field": place, "type": "quantitative", "title": None, "axis": None, "scale": scale}
    number = {"text": {"field": "value", "type": "quantitative", "format": ".2f"}} if mark["type"] == "text" else {}
    return {"data": data, "mark": mark, "encoding": {"x": across, **number}}


def _names(figures: Sequence[Figure]) -> Row:
    """Names stand above their strips, so that the strips keep their width on a phone."""
    above = {"labelAlign": "left", "labelPadding": 0, "labelOffset": -19, "labelLimit": 320, "labelFontSize": 13}
    return {
        "field": "figure",
        "type": "nominal",
        "sort": [figure.name for figure in figures],
        "title": None,
        "axis": {**above, "ticks": False, "domain": False},
        "scale": {"paddingOuter": 0.3},
    }


def _colours(words: Mapping[str, str]) -> Row:
    scale = {"domain": [words["this"], words["others"], words["null"]], "range": [ORANGE, INDIGO, GREY]}
    legend = {"orient": "top", "direction": "horizontal", "columns": 3, "symbolOpacity": 1, "labelLimit": 200}
    return {"field": "kind", "type": "nominal", "title": None, "scale": scale, "legend": legend}


def _tips(words: Mapping[str, str]) -> list[Row]:
    return [
        {"field": "figure", "type": "nominal", "title": words["figure"]},
        {"field": "kind", "type": "nominal", "title": " "},
        {"field": "value", "type": "quantitative", "format": ".3f", "title": words["value"]},
    ]
