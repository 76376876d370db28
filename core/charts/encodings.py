"""Charts that compare ways of telling positions: lines with their null, clock hands, and vectors that are turned."""

import math
from collections.abc import Collection, Mapping, Sequence

import altair as alt
import numpy as np
from jaxtyping import Float

from core.charts.figures import GREY, INDIGO, ORANGE, Layers, Row, inline
from core.charts.heatmap import pack, to_bytes
from core.charts.positions import TALL, colours, legend, tips

Point = tuple[float, float, float, float]
"""Across, lowest, middle and highest value."""
PLANE, HAND = 104, 150  # width of one plane, of one clock


def lines(
    series: Mapping[str, Sequence[Point]],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str] | None = None,
    dashed: Collection[str] = (),
    border: float | None = None,
    domain: tuple[float, float] | None = None,
) -> Layers:
    """Each series as a line in its band; those in `dashed` are nulls, and `border` is a place across with a name.

    `words` needs: x, y, and border where there is one.
    """
    rows: list[Row] = [
        {"name": name, "x": x, "low": low, "value": value, "high": high}
        for name, points in series.items()
        for x, low, value, high in points
    ]
    scale = alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=False)
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("x:Q", title=words["x"], axis=alt.Axis(grid=False, tickMinStep=1), scale=alt.Scale(nice=False)),
        color=colours(list(series), palette),
    )
    y = alt.Y("value:Q", title=words["y"], scale=scale)
    dash = alt.condition(alt.FieldOneOfPredicate("name", list(dashed)), alt.value([6, 4]), alt.value([1, 0]))
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=words["y"], scale=scale), y2="high:Q")
    line = base.mark_line(strokeWidth=2.2).encode(y=y, strokeDash=dash)
    tip = [*tips(name=" ", value=words["y"], low="min", high="max"), alt.Tooltip("x:Q", title=words["x"])]
    dots = base.mark_circle(size=34, opacity=1).encode(y=y, tooltip=tip)
    layers: list[alt.Chart] = [band, line, dots]
    if border is not None:
        layers += _border(border, words["border"])
    return alt.layer(*layers).properties(
        height=TALL, width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )


def _border(place: float, name: str) -> tuple[alt.Chart, alt.Chart]:
    """A dashed line up the chart with its name."""
    base = alt.Chart(inline([{"x": place, "name": name}])).encode(x="x:Q")
    text = base.mark_text(align="right", baseline="bottom", dx=-5, dy=-4, color=GREY)
    text = text.encode(y=alt.value("height"), text="name:N")
    return base.mark_rule(strokeDash=[4, 4], color=GREY, strokeWidth=1.5), text


def clocks(angles: Mapping[str, Mapping[str, float]], *, words: Mapping[str, str]) -> Layers:
    """A clock for each speed (outer keys) with a hand for each position (inner keys), at its angle in radians.

    `words` needs: sine, cosine.
    """
    hands: list[Row] = [
        {"plane": clock, "name": name, "x": math.cos(angle), "y": math.sin(angle), "zero": 0.0}
        for clock, each in angles.items()
        for name, angle in each.items()
    ]
    rim: list[Row] = [
        {"plane": clock, "rim": step, "x": math.cos(step / 10), "y": math.sin(step / 10)}
        for clock in angles
        for step in range(64)
    ]
    names = list(next(iter(angles.values())))
    return _planes(
        [*hands, *rim],
        names,
        [INDIGO, ORANGE],
        1.1,
        size=HAND,
        columns=2,
        words={"x": words["cosine"], "y": words["sine"]},
    )


def planes(
    vectors: Mapping[str, Float[np.ndarray, " channel"]], *, shades: Sequence[str], words: Mapping[str, str]
) -> Layers:
    """Each pair of channels as a plane with an arrow for each vector, in the shade given. `words` needs: pair, x, y."""
    limit = 1.1 * max(float(np.abs(each).max()) for each in vectors.values()) or 1.0
    rows: list[Row] = [
        {"plane": f"{words['pair']} {pair + 1}", "name": name, "x": float(x), "y": float(y), "zero": 0.0}
        for name, vector in vectors.items()
        for pair, (x, y) in enumerate(vector.reshape(-1, 2))
    ]
    named = {"x": words["x"], "y": words["y"]}
    return _planes(rows, list(vectors), shades, limit, size=PLANE, columns=3, words=named)


def _planes(
    rows: Sequence[Row],
    names: Sequence[str],
    shades: Sequence[str],
    limit: float,
    *,
    size: int,
    columns: int,
    words: Mapping[str, str],
) -> Layers:
    """Planes side by side with arrows from the middle; rows with a `rim` are drawn as a circle."""
    scale = alt.Scale(domain=[-limit, limit], nice=False)
    axis = alt.Axis(labels=False, ticks=False, grid=False, titleFontSize=10, titlePadding=2)
    x, y = (
        alt.X("x:Q", title=words["x"], scale=scale, axis=axis),
        alt.Y("y:Q", title=words["y"], scale=scale, axis=axis),
    )
    colour = alt.Color(
        "name:N", title=None, sort=None, scale=alt.Scale(domain=list(names), range=list(shades)), legend=legend()
    )
    base = alt.Chart().encode(x=x, y=y)
    arrows = base.transform_filter("isValid(datum.name)").encode(
        color=colour,
        tooltip=[alt.Tooltip("name:N", title=" "), *(alt.Tooltip(f"{each}:Q", format=".3f") for each in "xy")],
    )
    layers = [
        base.mark_line(color=GREY, strokeWidth=1, opacity=0.6)
        .encode(order="rim:Q")
        .transform_filter("isValid(datum.rim)"),
        arrows.mark_rule(strokeWidth=2).encode(x2="zero:Q", y2="zero:Q"),
        arrows.mark_circle(size=45, opacity=1),
    ]
    chart = alt.layer(*layers, data=inline(rows)).properties(width=size, height=size)
    return chart.facet(facet=alt.Facet("plane:N", title=None, sort=None), columns=columns).properties(bounds="flush")


def heads(
    weights: Float[np.ndarray, "row head query key"],
    *,
    titles: Sequence[Sequence[str]],
    chosen: tuple[int, int],
    words: Mapping[str, str],
) -> bytes:
    """Attention weights of some heads, a row for each of several readings, every map with a title. `words`: label."""
    header = {"mode": "grid", "shape": weights.shape, "titles": [list(row) for row in titles], "chosen": chosen}
    return pack({**header, "words": dict(words)}, to_bytes(weights, np.ones(1, dtype=bool)))
