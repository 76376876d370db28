"""What a change comes to: a value of every token before and after it."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from altair.utils.schemapi import disable_debug_mode

disable_debug_mode()  # a chart is checked as a whole when it is drawn; checking each part before takes as long again

ORANGE, INDIGO, GREY = "#f08c00", "#8b87ff", "#888888"
INVISIBLE = "\u200b"

Row = dict[str, Any]
Layers = alt.LayerChart | alt.FacetChart


def differences(
    tokens: Sequence[str], before: Sequence[float], after: Sequence[float], *, words: Mapping[str, str]
) -> dict[str, Any]:
    """A value of each token before and after, and a line for the change, as a Vega-Lite specification.

    It is drawn again at every edit, and making it through Altair takes fifty times as long. `words` needs: before,
    after, difference, token, axis.
    """
    rows: list[Row] = [
        {"token": token, "before": early, "after": late, "difference": late - early}
        for token, early, late in zip(unique(tokens), before, after, strict=True)
    ]
    named = {name: words[name] for name in ("before", "after", "difference")}
    tips = [{"field": "token", "type": "nominal", "title": words["token"]}] + [
        {"field": name, "type": "quantitative", "format": "+.3f", "title": title} for name, title in named.items()
    ]
    axis = {"labelAngle": -40, "labelLimit": 90, "ticks": False}
    across = {"field": "token", "type": "nominal", "sort": None, "title": None, "axis": axis}
    up = {"type": "quantitative", "title": words["axis"]}
    legend = {"orient": "top", "direction": "horizontal"}
    scale = {"domain": [words["before"], words["after"]], "range": [INDIGO, ORANGE]}
    dots = [
        {
            "mark": {"type": "circle", "size": 80, "opacity": 1},
            "encoding": {
                "y": {**up, "field": name},
                "color": {"datum": words[name], "type": "nominal", "scale": scale, "legend": legend, "title": None},
            },
        }
        for name in ("before", "after")
    ]
    change = {
        "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.5, "color": GREY},
        "encoding": {"y": {**up, "field": "before"}, "y2": {"field": "after"}},
    }
    return {
        "data": {"values": rows},
        "width": "container",
        "height": 260,
        "encoding": {"x": across, "tooltip": tips},
        "layer": [change, *dots],
    }


def difference_table(
    tokens: Sequence[str], before: Sequence[float], after: Sequence[float], *, words: Mapping[str, str]
) -> dict[str, list[Any]]:
    """The numbers of `differences` as columns, one entry for each target token, under translated names."""
    change = [late - early for early, late in zip(before, after, strict=True)]
    columns: dict[str, list[Any]] = {
        "token": list(tokens),
        "before": list(before),
        "after": list(after),
        "difference": change,
    }
    return {words[name]: values for name, values in columns.items()}


def unique(labels: Sequence[str]) -> list[str]:
    """The same labels to the eye, but all different: an axis would merge tokens that are spelled alike."""
    return [label + INVISIBLE * list(labels[:index]).count(label) for index, label in enumerate(labels)]


def inline(rows: Sequence[Row]) -> alt.InlineData:
    """Rows as the data of a chart."""
    return alt.InlineData(values=list(rows))


def columns(names: Sequence[str]) -> str:
    """An expression for how many columns of a legend fit beside each other, at the width that the chart has."""
    widest = 34 + max(map(pixels, names), default=0)
    return f"max(1, min({len(names)}, floor(width / {widest})))"


def pixels(name: str) -> int:
    """About how wide a name is in a legend."""
    return sum(12 if letter >= "\u1100" else 7 for letter in name)
