"""Charts of the norms page: the block of cells, statistics before and after, what was learned, gradients, the twins."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
from jaxtyping import Float

from core.charts.figures import GREY, INDIGO, ORANGE, Layers, Row, inline, unique
from core.charts.heatmap import pack
from core.charts.positions import ROOMY, TALL, legend, signed_bytes, tips

Array = np.ndarray
CROWDED = alt.Axis(labelAngle=-40, labelLimit=110, ticks=False, labelOverlap=True)
CLIPPED = 0.97
FEW = alt.Axis(format="~g", values=[digit * 10.0**power for power in range(-6, 4) for digit in (1, 2, 5)])
TILTED = alt.Axis(labelAngle=-40, labelLimit=110, ticks=False, labelOverlap=False)
Spans = Mapping[str, Sequence[float]]
"""Values by the name of what they belong to."""


def block(
    values: Float[Array, "row channel"],
    *,
    rows: Sequence[str],
    channels: Sequence[str],
    cell: tuple[int, int],
    lit: tuple[tuple[int, int], tuple[int, int]],
    rules: Sequence[int],
    words: Mapping[str, str],
) -> bytes:
    """Tokens of a batch under each other, for the canvas; what is not in `lit` (ranges of rows, of channels) is faded.

    `rules` are the rows above which a sentence begins. Colours end where all but the largest values do: a few cells
    stand out so far that the others would look alike. `words` needs what `heatmap.detail` needs.
    """
    limit = float(np.quantile(np.abs(values), CLIPPED)) or 1.0
    header = {"mode": "detail", "shape": values.shape, "signed": limit, "queries": list(rows), "keys": list(channels)}
    named = {"queries": words["query"], "keys": words["key"], **words}
    return pack({**header, "cell": cell, "lit": lit, "rules": list(rules), "words": named}, signed_bytes(values, limit))


# --- before and after -----------------------------------------------------------------------------------------------


def tokens(
    pieces: Sequence[str],
    series: Mapping[str, Sequence[float]],
    null: float,
    *,
    words: Mapping[str, str],
) -> Layers:
    """A dot of each series for each token, and a line where a norm puts them. `words` needs: token, value, null."""
    rows: list[Row] = [
        {"name": name, "token": token, "value": value}
        for name, values in series.items()
        for token, value in zip(unique(pieces), values, strict=True)
    ]
    dots = alt.Chart(inline(rows)).mark_circle(size=70, opacity=1)
    dots = dots.encode(
        x=alt.X("token:N", sort=None, title=words["token"], axis=TILTED if len(pieces) <= ROOMY else CROWDED),
        y=alt.Y("value:Q", title=words["value"]),
        color=_two([*series, words["null"]]),
        tooltip=tips(name=" ", token=words["token"], value=words["value"]),
    )
    return alt.layer(_null(null, words["null"]), dots).properties(height=TALL + 20, width="container")


def sites(names: Sequence[str], series: Mapping[str, Sequence[Sequence[float]]], *, words: Mapping[str, str]) -> Layers:
    """Standard deviations of the tokens at each norm: a line through the medians, a band from least to most.

    `words` needs: site, value, null; the line of the null stands at 1.
    """
    rows: list[Row] = [
        {"name": name, "site": site, "low": min(found), "value": float(np.median(found)), "high": max(found)}
        for name, each in series.items()
        for site, found in zip(names, each, strict=True)
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("site:N", sort=None, title=words["site"], axis=TILTED),
        color=_two([*series, words["null"]]),
        tooltip=tips(name=" ", site=words["site"], value=words["value"], low="min", high="max"),
    )
    band = base.mark_area(opacity=0.22).encode(y=alt.Y("low:Q", title=words["value"]), y2="high:Q")
    line = base.mark_line(point=True, strokeWidth=2.2).encode(y=alt.Y("value:Q", title=words["value"]))
    return alt.layer(_null(1.0, words["null"]), band, line).properties(height=TALL + 50, width="container")


def learned(spans: Spans, null: float, *, words: Mapping[str, str], chosen: str) -> Layers:
    """What each norm learned for its features: all of them, the middle 80 %, the median; a line where they began.

    `words` needs: site, value, null, all, middle, median.
    """
    rows: list[Row] = [
        {
            "site": site,
            "low": min(values),
            "from": float(np.quantile(values, 0.1)),
            "value": float(np.median(values)),
            "to": float(np.quantile(values, 0.9)),
            "high": max(values),
        }
        for site, values in spans.items()
    ]
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("site:N", sort=None, title=words["site"], axis=alt.Axis(ticks=False, labelLimit=170)),
        color=alt.condition(alt.datum.site == chosen, alt.value(ORANGE), alt.value(INDIGO)),
        tooltip=tips(site=" ", low=words["all"], value=words["median"], high=" "),
    )
    whole = base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=alt.X("low:Q", title=words["value"]), x2="high:Q")
    middle = base.mark_rule(strokeWidth=8, opacity=0.45).encode(x=alt.X("from:Q", title=words["value"]), x2="to:Q")
    dot = base.mark_circle(size=70, opacity=1).encode(x=alt.X("value:Q", title=words["value"]))
    began = alt.Chart(inline([{"value": null, "name": words["null"]}])).mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
    began = began.encode(x="value:Q", color=alt.value(GREY), tooltip=tips(name=" ", value=words["value"]))
    return alt.layer(began, whole, middle, dot).properties(height=alt.Step(30), width="container")


def _null(value: float, name: str) -> alt.Chart:
    """A dashed line across a chart, with a name in its legend."""
    base = alt.Chart(inline([{"value": value, "name": name}])).mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
    chart: alt.Chart = base.encode(y="value:Q", color="name:N")
    return chart


def _two(names: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=list(names), range=[INDIGO, ORANGE, GREY] if len(names) > 2 else [INDIGO, GREY])
    return alt.Color("name:N", title=None, sort=None, scale=scale, legend=legend(1))


# --- gradients at initialisation ------------------------------------------------------------------------------------


def by_layer(
    series: Mapping[str, Sequence[Sequence[float]]], *, words: Mapping[str, str], logarithmic: bool = True
) -> Layers:
    """A value of each layer, counted from 1: a line through the medians of the seeds, a band from least to most.

    `words` needs: layer, value.
    """
    rows: list[Row] = [
        {"name": name, "layer": layer, "low": min(found), "value": float(np.median(found)), "high": max(found)}
        for name, layers in series.items()
        for layer, found in enumerate(layers, 1)
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("layer:Q", title=words["layer"], axis=alt.Axis(grid=False, tickMinStep=1), scale=alt.Scale(nice=False)),
        color=_pair(list(series)),
        tooltip=tips(name=" ", layer=words["layer"], value=words["value"], low="min", high="max"),
    )
    scale = alt.Scale(type="log") if logarithmic else alt.Scale(zero=True)
    axis = FEW if logarithmic else alt.Axis(tickCount=5)
    band = base.mark_area(opacity=0.22).encode(
        y=alt.Y("low:Q", title=words["value"], scale=scale, axis=axis), y2="high:Q"
    )
    line = base.mark_line(point=True, strokeWidth=2.2).encode(
        y=alt.Y("value:Q", title=words["value"], scale=scale, axis=axis)
    )
    return alt.layer(band, line).properties(height=TALL - 40, width="container")


def by_depth(
    depths: Sequence[int],
    measured: Mapping[str, Sequence[Sequence[float]]],
    theory: Mapping[str, Sequence[float]],
    *,
    words: Mapping[str, str],
) -> Layers:
    """The last layer's value by the number of layers: dots over the seeds, and as dashed lines what theory expects.

    `words` needs: depth, value, theory.
    """
    names = [*measured, words["theory"]]
    scale = alt.Scale(domain=names, range=[INDIGO, ORANGE, GREY])
    colour = alt.Color("name:N", title=None, sort=None, scale=scale, legend=legend(1))
    x = alt.X("depth:O", title=words["depth"], axis=alt.Axis(labelAngle=0))
    y = alt.Y("value:Q", title=words["value"], scale=alt.Scale(type="log"), axis=FEW)
    dots: list[Row] = [
        {"name": name, "depth": depth, "value": value}
        for name, each in measured.items()
        for depth, found in zip(depths, each, strict=True)
        for value in found
    ]
    lines: list[Row] = [
        {"name": words["theory"], "of": name, "depth": depth, "value": value}
        for name, values in theory.items()
        for depth, value in zip(depths, values, strict=True)
    ]
    expected = alt.Chart(inline(lines)).mark_line(strokeDash=[4, 4], strokeWidth=1.5)
    expected = expected.encode(x=x, y=y, color=colour, detail="of:N", tooltip=tips(of=" ", value=words["value"]))
    seen = alt.Chart(inline(dots)).mark_circle(size=75, opacity=0.9)
    seen = seen.encode(x=x, y=y, color=colour, tooltip=tips(name=" ", depth=words["depth"], value=words["value"]))
    return alt.layer(expected, seen).properties(height=TALL - 40, width="container")


def _pair(names: Sequence[str]) -> alt.Color:
    return alt.Color(
        "name:N", title=None, sort=None, scale=alt.Scale(domain=list(names), range=[INDIGO, ORANGE]), legend=legend(1)
    )


# --- the trained twins ----------------------------------------------------------------------------------------------


def twins(losses: Spans, *, words: Mapping[str, str], palette: Mapping[str, str], guessing: float) -> Layers:
    """A loss of each twin on a logarithmic scale, a dot for each seed, and a line for who guesses.

    `words` needs: twin, loss, null.
    """
    rows: list[Row] = [{"name": name, "value": value} for name, values in losses.items() for value in values]
    domain, ink = list(losses), [palette[name] for name in losses]
    x = alt.X("value:Q", title=words["loss"], scale=alt.Scale(type="log"), axis=FEW)
    dots = alt.Chart(inline(rows)).mark_circle(size=95, opacity=0.9)
    dots = dots.encode(
        x=x,
        y=alt.Y("name:N", sort=None, title=words["twin"], axis=alt.Axis(ticks=False, labelLimit=170, grid=True)),
        color=alt.Color("name:N", scale=alt.Scale(domain=domain, range=ink), legend=None),
        tooltip=tips(name=" ", value=words["loss"]),
    )
    guess = alt.Chart(inline([{"value": guessing, "name": words["null"]}])).mark_rule(strokeDash=[4, 4], color=GREY)
    guess = guess.encode(x=x, tooltip=tips(name=" ", value=words["loss"]))
    return alt.layer(guess, dots).properties(height=alt.Step(26), width="container")


def promised(
    found: Mapping[str, tuple[float, float]],
    *,
    words: Mapping[str, str],
    palette: Mapping[str, str],
    guessing: float,
) -> Layers:
    """Each twin by its training loss (logarithmic) and by what it translates exactly; guessing is a line.

    `words` needs: loss, accuracy, null.
    """
    rows: list[Row] = [
        {"name": name, "loss": loss, "value": accuracy, "low": loss} for name, (loss, accuracy) in found.items()
    ]
    x = alt.X("loss:Q", title=words["loss"], scale=alt.Scale(type="log"), axis=FEW)
    y = alt.Y("value:Q", title=words["accuracy"], scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    scale = alt.Scale(domain=list(found), range=[palette[name] for name in found])
    dots = alt.Chart(inline(rows)).mark_circle(size=160, opacity=1)
    dots = dots.encode(
        x=x,
        y=y,
        color=alt.Color("name:N", title=None, sort=None, scale=scale, legend=legend()),
        tooltip=tips(name=" ", low=words["loss"], value=words["accuracy"]),
    )
    guess = alt.Chart(inline([{"loss": guessing, "name": words["null"], "low": guessing}]))
    rule = guess.mark_rule(strokeDash=[4, 4], color=GREY).encode(x=x, tooltip=tips(name=" ", low=words["loss"]))
    return alt.layer(rule, dots).properties(height=TALL + 30, width="container")
