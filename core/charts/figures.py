"""What a head is needed for: the log-probability of every target token with and without it."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

ORANGE, INDIGO, GREY = "#f08c00", "#8b87ff", "#888888"
INVISIBLE = "\u200b"

Row = dict[str, Any]
Layers = alt.LayerChart | alt.FacetChart


def differences(
    tokens: Sequence[str], before: Sequence[float], after: Sequence[float], *, words: Mapping[str, str]
) -> Layers:
    """The log-probability of each target token with and without a head, and a line for the change.

    `words` needs: before, after, difference, token, axis.
    """
    table: list[Row] = [
        {"token": token, "before": early, "after": late, "difference": late - early}
        for token, early, late in zip(unique(tokens), before, after, strict=True)
    ]
    tips = [alt.Tooltip("token:N", title=words["token"])] + [
        alt.Tooltip(f"{name}:Q", format="+.3f", title=words[name]) for name in ("before", "after", "difference")
    ]
    across = alt.X("token:N", sort=None, title=None, axis=alt.Axis(labelAngle=-40, labelLimit=90, ticks=False))
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=[words["before"], words["after"]], range=[INDIGO, ORANGE]),
        legend=alt.Legend(orient="top"),
    )

    def layer(name: str) -> alt.Chart:
        named = inline([{**row, "kind": words[name]} for row in table])
        up = alt.Y(f"{name}:Q", title=words["axis"])
        dots: alt.Chart = alt.Chart(named).encode(x=across, y=up, color=colour, tooltip=tips)
        points: alt.Chart = dots.mark_circle(size=80, opacity=1)
        return points

    rule = alt.Chart(inline(table)).mark_rule(strokeWidth=3, opacity=0.5, color=GREY)
    change = rule.encode(x=across, y=alt.Y("before:Q", title=words["axis"]), y2="after:Q", tooltip=tips)
    return alt.layer(change, layer("before"), layer("after")).properties(height=260, width="container")


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
