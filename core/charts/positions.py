"""Charts of the positions page: waves and their likeness, lengths, what a probe reads, how trained twins compare."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
from jaxtyping import Bool, Float, UInt8

from core.charts.figures import GREY, INDIGO, ORANGE, Layers, Row, columns, inline, unique
from core.charts.heatmap import ABSENT, STEPS, pack

TEAL, RED, PINK, BLUE, BROWN = "#12a594", "#e5484d", "#d6409f", "#0090ff", "#ad7f58"
COLOURS = (INDIGO, ORANGE, TEAL, GREY, RED, PINK, BLUE, BROWN)
TALL = 330
ROOMY = 32  # tokens up to which every label is written
LOGARITHMIC = alt.Axis(format="~g", tickCount=5)

# --- for the canvas -------------------------------------------------------------------------------------------------


def signed_bytes(values: Float[np.ndarray, "*cells"], limit: float) -> UInt8[np.ndarray, "*cells"]:
    """Values from −limit to limit as 0..254, so that 0 falls on the middle step."""
    middle = STEPS / 2
    return np.rint(np.clip(values / limit, -1.0, 1.0) * middle + middle).astype(np.uint8)


def limit_of(values: Float[np.ndarray, "*cells"]) -> float:
    """The largest magnitude, which is where a diverging scale ends; 1 where everything is 0."""
    return float(np.abs(values).max(initial=0.0)) or 1.0


def matrix(
    values: Float[np.ndarray, "row column"],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    cell: tuple[int, int],
    limit: float,
    words: Mapping[str, str],
    allowed: Bool[np.ndarray, "row column"] | None = None,
) -> bytes:
    """Signed values with a name for every row and column, or hatched. `words` needs what `heatmap.detail` needs.

    There `query` names the rows, `key` the columns, `weight` the value and `sum` is a note; the axes are named alike.
    """
    header = {"mode": "detail", "shape": values.shape, "signed": limit, "queries": list(rows), "keys": list(columns)}
    named = {"queries": words["query"], "keys": words["key"], **words}
    cells = signed_bytes(values, limit)
    if allowed is not None:
        cells = np.where(allowed, cells, np.uint8(ABSENT))
    return pack({**header, "cell": cell, "words": named}, cells)


def tiles(
    values: Float[np.ndarray, "down across query key"],
    *,
    titles: Sequence[Sequence[str]],
    chosen: tuple[int, int],
    limit: float,
    words: Mapping[str, str],
) -> bytes:
    """Small signed maps on one scale, each with its title, one of them chosen. `words` needs: label."""
    header = {"mode": "grid", "shape": values.shape, "signed": limit, "titles": [list(row) for row in titles]}
    return pack({**header, "chosen": chosen, "words": dict(words)}, signed_bytes(values, limit))


# --- the sinusoid ---------------------------------------------------------------------------------------------------


def waves(
    vectors: Float[np.ndarray, "position width"], dimensions: Sequence[int], *, words: Mapping[str, str]
) -> Layers:
    """The chosen dimensions over the positions. `words` needs: position, value, dimension."""
    names = [f"{words['dimension']} {dimension}" for dimension in dimensions]
    rows: list[Row] = [
        {"name": name, "position": position, "value": float(value)}
        for name, dimension in zip(names, dimensions, strict=True)
        for position, value in enumerate(vectors[:, dimension])
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(
            "position:Q",
            title=words["position"],
            axis=alt.Axis(grid=False, tickMinStep=1),
            scale=alt.Scale(domain=[0, len(vectors) - 1], nice=False),
        ),
        y=alt.Y("value:Q", title=words["value"], scale=alt.Scale(domain=[-1.05, 1.05])),
        color=colours(names),
        tooltip=tips(name=" ", position=words["position"], value=words["value"]),
    )
    return alt.layer(
        base.mark_line(strokeWidth=2, interpolate="monotone"), base.mark_circle(size=22, opacity=0.9)
    ).properties(height=TALL + 110, width="container")


def similarity(
    distances: Sequence[int],
    theory: Sequence[float],
    measured: Mapping[int, float],
    null: float,
    *,
    words: Mapping[str, str],
) -> Layers:
    """Likeness by distance: the formula as a line, measured pairs as dots, and where unrelated vectors would fall.

    `null` is the half width of the band around 0. `words` needs: distance, similarity, formula, measured, null.
    """
    names = [words["formula"], words["measured"], words["null"]]
    scale = alt.Scale(domain=names, range=[INDIGO, ORANGE, GREY])
    colour = alt.Color("name:N", title=None, scale=scale, legend=legend(1))
    x = alt.X("distance:Q", title=words["distance"], axis=alt.Axis(grid=False), scale=alt.Scale(nice=False))
    y = alt.Y("value:Q", title=words["similarity"], scale=alt.Scale(domainMax=1.0))
    tip = tips(name=" ", distance=words["distance"], value=words["similarity"])

    def rows(name: str, pairs: Mapping[int, float]) -> alt.InlineData:
        return inline([{"name": name, "distance": each, "value": value} for each, value in pairs.items()])

    band_rows: list[Row] = [{"name": names[2], "distance": each, "low": -null, "high": null} for each in distances]
    band = alt.Chart(inline(band_rows)).mark_area(opacity=0.25).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    formula = rows(names[0], dict(zip(distances, theory, strict=True)))
    line = alt.Chart(formula).mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour, tooltip=tip)
    dots = alt.Chart(rows(names[1], measured)).mark_circle(size=34, opacity=1)
    return alt.layer(band, line, dots.encode(x=x, y=y, color=colour, tooltip=tip)).properties(
        height=TALL, width="container"
    )


def collisions(
    nearest: Sequence[float],
    neighbour: Sequence[float],
    sines: Sequence[float],
    chosen: int,
    *,
    words: Mapping[str, str],
) -> Layers:
    """How far apart the two most alike positions are, by the number of pairs kept (from 1), on a logarithmic scale.

    `neighbour` is the distance to the very next position, `sines` what is left without the cosines, for the first
    pairs. `words` needs: pairs, apart, nearest, neighbour, sines.
    """
    names = [words["nearest"], words["neighbour"], words["sines"]]
    rows: list[Row] = [
        {"name": name, "pairs": pairs, "value": value}
        for name, values in zip(names, (nearest, neighbour, sines), strict=True)
        for pairs, value in enumerate(values, 1)
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("pairs:Q", title=words["pairs"], axis=alt.Axis(grid=False, tickMinStep=1)),
        y=alt.Y("value:Q", title=words["apart"], scale=alt.Scale(type="log"), axis=LOGARITHMIC),
        color=alt.Color(
            "name:N", title=None, scale=alt.Scale(domain=names, range=[INDIGO, GREY, RED]), legend=legend(1)
        ),
        tooltip=tips(name=" ", pairs=words["pairs"], value=words["apart"]),
    )
    here = base.mark_point(size=170, strokeWidth=3, color=ORANGE).encode(color=alt.value(ORANGE))
    here = here.transform_filter((alt.datum.pairs == chosen) & (alt.datum.name == names[0]))
    return alt.layer(base.mark_line(strokeWidth=2, point=True), here).properties(height=TALL, width="container")


# --- how large ------------------------------------------------------------------------------------------------------


def lengths(
    tokens: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str] | None = None,
) -> alt.Chart:
    """A bar of each series for each token. `words` needs: token, length."""
    axis = alt.Axis(labelAngle=-40, labelLimit=90, ticks=False, labelOverlap=len(tokens) > ROOMY)
    rows: list[Row] = [
        {"name": name, "token": token, "value": value}
        for name, values in series.items()
        for token, value in zip(unique(tokens), values, strict=True)
    ]
    chart: alt.Chart = alt.Chart(inline(rows)).encode(
        x=alt.X("token:N", sort=None, title=words["token"], axis=axis),
        xOffset=alt.XOffset("name:N", sort=None),
        y=alt.Y("value:Q", title=words["length"]),
        color=colours(list(series), palette),
        tooltip=tips(name=" ", token=words["token"], value=words["length"]),
    )
    chart = chart.mark_bar(cornerRadiusEnd=3).properties(height=TALL, width="container")
    return chart


def readable(
    scales: Sequence[float],
    sums: Mapping[str, Sequence[float]],
    concats: Mapping[str, float],
    chances: Mapping[str, float],
    *,
    words: Mapping[str, str],
) -> Layers:
    """What a probe reads, by the scale of the positions: sums as lines, concats and guessing as rules.

    The mappings have what is read ("token", "place" in words) as keys. `words` needs: scale, accuracy, read, sum,
    concat, chance.
    """
    whats = list(sums)
    ways = [words["sum"], words["concat"], words["chance"]]
    values = {ways[0]: sums, ways[1]: _flat(concats, scales), ways[2]: _flat(chances, scales)}
    rows: list[Row] = [
        {"read": what, "way": way, "scale": scale, "value": value}
        for way, series in values.items()
        for what in whats
        for scale, value in zip(scales, series[what], strict=True)
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(
            "scale:Q",
            title=words["scale"],
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(values=list(scales)),
        ),
        y=alt.Y("value:Q", title=words["accuracy"], scale=alt.Scale(domain=[0, 1.03])),
        color=alt.Color("read:N", title=None, scale=alt.Scale(domain=whats, range=[INDIGO, ORANGE]), legend=legend()),
        strokeDash=alt.StrokeDash(
            "way:N",
            title=None,
            scale=alt.Scale(domain=ways, range=[[1, 0], [7, 4], [2, 4]]),
            legend=alt.Legend(
                orient="bottom",
                columns=alt.ExprRef("width < 420 ? 1 : 3"),
                labelLimit=250,
                symbolType="stroke",
                symbolSize=400,
            ),
        ),
        tooltip=tips(read=" ", way=" ", scale=words["scale"], value=words["accuracy"]),
    )
    dots = base.mark_circle(size=60, opacity=1).encode(strokeDash=alt.StrokeDashValue([1, 0]))
    dots = dots.transform_filter(alt.datum.way == ways[0])
    return alt.layer(base.mark_line(strokeWidth=2.5), dots).properties(height=TALL + 60, width="container")


def _flat(heights: Mapping[str, float], scales: Sequence[float]) -> dict[str, list[float]]:
    return {name: [height] * len(scales) for name, height in heights.items()}


# --- the trained twins ----------------------------------------------------------------------------------------------


def learning(
    curves: Mapping[str, Sequence[tuple[int, float, float, float]]],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str] | None = None,
    guessing: float | None = None,
) -> Layers:
    """Step, lowest, median and highest value over the seeds, as a line in a band. `words` needs: step, figure, null.

    `guessing` is the value of who guesses; with it the scale is logarithmic, as losses need.
    """
    rows: list[Row] = [
        {"name": name, "step": step, "low": low, "value": middle, "high": high}
        for name, curve in curves.items()
        for step, low, middle, high in curve
        if guessing is None or low > 0
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("step:Q", title=words["step"], axis=alt.Axis(grid=False, format="~s")),
        color=colours(list(curves), palette),
    )
    scale = alt.Scale(type="linear", domain=[0, 1]) if guessing is None else alt.Scale(type="log")
    axis = alt.Axis() if guessing is None else LOGARITHMIC
    tip = tips(name=" ", step=words["step"], value=words["figure"], low="min", high="max")
    band = base.mark_area(opacity=0.22).encode(
        y=alt.Y("low:Q", title=words["figure"], scale=scale, axis=axis), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2.2).encode(y=alt.Y("value:Q", title=words["figure"]), tooltip=tip)
    layers = [band, line] if guessing is None else [band, line, *_level(guessing, words["null"])]
    return alt.layer(*layers).properties(height=TALL + 60, width="container")


def _level(value: float, name: str) -> tuple[alt.Chart, alt.Chart]:
    """A dashed line across the chart with its name."""
    base = alt.Chart(inline([{"value": value, "name": name}])).encode(y="value:Q")
    text = base.mark_text(align="right", baseline="bottom", dy=-4, color=GREY).encode(
        x=alt.value("width"), text="name:N"
    )
    return base.mark_rule(strokeDash=[4, 4], color=GREY, strokeWidth=1.5), text


def accuracies(
    figures: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str] | None = None,
) -> Layers:
    """Exact match of each model (outer keys) on each split (inner keys): a dot at the median, a line over the seeds.

    `words` needs: split, accuracy.
    """
    rows: list[Row] = [
        {"name": name, "split": split, "value": float(np.median(found)), "low": min(found), "high": max(found)}
        for name, splits in figures.items()
        for split, found in splits.items()
        if len(found)
    ]
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("split:N", sort=None, title=words["split"], axis=alt.Axis(ticks=False, labelLimit=170, grid=True)),
        yOffset=alt.YOffset("name:N", sort=None),
        color=colours(list(figures), palette),
        tooltip=tips(name=" ", split=words["split"], value=words["accuracy"], low="min", high="max"),
    )
    x = alt.X("value:Q", title=words["accuracy"], scale=alt.Scale(domain=[0, 1]))
    spans = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", title=words["accuracy"]), x2="high:Q")
    dots = base.mark_circle(size=85, opacity=1).encode(x=x)
    return alt.layer(spans, dots).properties(height=alt.Step(14), width="container")


def shares(parts: Mapping[str, float], *, words: Mapping[str, str]) -> Layers:
    """A bar for each part of a whole that is 1; parts may be negative. `words` needs: part, share."""
    rows: list[Row] = [{"name": name, "value": value} for name, value in parts.items()]
    ends = [min(0.0, *parts.values()) - 0.22, max(1.0, *parts.values()) + 0.22]
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("name:N", sort=None, title=words["part"], axis=alt.Axis(ticks=False, domain=False, labelLimit=180)),
        x=alt.X("value:Q", title=words["share"], scale=alt.Scale(domain=ends, nice=False), axis=alt.Axis(format="%")),
        tooltip=tips(name=" ", value=words["share"]),
    )
    bars = base.mark_bar(color=INDIGO, cornerRadiusEnd=4, height={"band": 0.7})
    text = alt.Text("value:Q", format=".1%")
    right = base.mark_text(align="left", dx=5, color=GREY).encode(text=text).transform_filter("datum.value >= 0")
    left = base.mark_text(align="right", dx=-5, color=GREY).encode(text=text).transform_filter("datum.value < 0")
    return alt.layer(bars, right, left).properties(height=alt.Step(30), width="container")


# --- shared ---------------------------------------------------------------------------------------------------------


def colours(names: Sequence[str], palette: Mapping[str, str] | None = None) -> alt.Color:
    """One colour for each name, from the palette or in order, with a legend above the chart."""
    chosen = [palette[name] for name in names] if palette else COLOURS[: len(names)]
    scale = alt.Scale(domain=list(names), range=list(chosen))
    fitted = alt.Legend(orient="top", columns=alt.ExprRef(columns(names)), labelLimit=0, symbolOpacity=1)
    return alt.Color("name:N", title=None, sort=None, scale=scale, legend=fitted)


def legend(columns: int = 2) -> alt.Legend:
    """A legend above a chart, in as many columns as its names have room for on a phone."""
    return alt.Legend(orient="top", columns=columns, labelLimit=250 // columns, symbolOpacity=1)


def tips(**fields: str) -> list[alt.Tooltip]:
    """What hovering tells: a field of the data and its name on the screen; `value`, `low` and `high` are numbers."""
    return [
        alt.Tooltip(f"{name}:Q", title=title, format=".4~g")
        if name in ("value", "low", "high")
        else alt.Tooltip(f"{name}:N", title=title)
        for name, title in fields.items()
    ]
