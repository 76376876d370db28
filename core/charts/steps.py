"""Side charts for the steps of one run: how a number changes from step to step, from token to token."""

from collections.abc import Mapping, Sequence

import altair as alt

from core.charts.figures import GREY, INDIGO, ORANGE, Layers, Row, inline, unique


def curves(
    series: Mapping[str, Sequence[float]], steps: Mapping[str, Sequence[str]], *, axis: str, step: str
) -> alt.Chart:
    """A line for each series over its steps; both mappings have the series' names as keys."""
    rows: list[Row] = [
        {"series": name, "index": index, "label": label, "value": value}
        for name, values in series.items()
        for index, (label, value) in enumerate(zip(steps[name], values, strict=True))
    ]
    chart: alt.Chart = alt.Chart(inline(rows)).encode(
        x=alt.X("index:Q", title=step, axis=alt.Axis(tickMinStep=1, grid=False)),
        y=alt.Y("value:Q", title=axis),
        color=_colours(list(series)),
        tooltip=_tips(step, axis),
    )
    chart = chart.mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2.5)
    chart = chart.properties(height=260, width="container")
    return chart


def dots(tokens: Sequence[str], series: Mapping[str, Sequence[float]], *, axis: str, token: str) -> alt.Chart:
    """A dot of each series above each token."""
    rows: list[Row] = [
        {"series": name, "label": label, "value": value}
        for name, values in series.items()
        for label, value in zip(unique(tokens), values, strict=True)
    ]
    chart: alt.Chart = alt.Chart(inline(rows)).encode(
        x=alt.X("label:N", sort=None, title=None, axis=alt.Axis(labelAngle=-40, labelLimit=90)),
        y=alt.Y("value:Q", title=axis, scale=alt.Scale(zero=True)),
        color=_colours(list(series)),
        tooltip=_tips(token, axis),
    )
    chart = chart.mark_circle(size=80, opacity=1).properties(height=260, width="container")
    return chart


def bars(labels: Sequence[str], values: Sequence[float], *, axis: str) -> Layers:
    """A bar with its number for each label, from 0 to 1."""
    rows: list[Row] = [{"label": label, "value": value} for label, value in zip(unique(labels), values, strict=True)]
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=180)),
        x=alt.X("value:Q", title=axis, scale=alt.Scale(domain=[0, 1.15]), axis=alt.Axis(values=[0, 0.5, 1])),
        tooltip=_tips(" ", axis)[1:],
    )
    number = base.mark_text(align="left", dx=5, color=GREY).encode(text=alt.Text("value:Q", format=".3f"))
    bar = base.mark_bar(color=INDIGO, cornerRadiusEnd=4, height={"band": 0.7})
    return alt.layer(bar, number).properties(height=alt.Step(30), width="container")


def _tips(label: str, value: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("series:N", title=" "),
        alt.Tooltip("label:N", title=label),
        alt.Tooltip("value:Q", format=".3f", title=value),
    ]


def _colours(names: Sequence[str]) -> alt.Color:
    return alt.Color(
        "series:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=list(names), range=[INDIGO, ORANGE, GREY][: len(names)]),
        legend=alt.Legend(orient="top", labelLimit=240) if len(names) > 1 else None,
    )
