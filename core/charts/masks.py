"""Charts of the masks page: masks and what they let through for the canvas, drift and breakdown as lines."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from jaxtyping import Bool, Float

from core.charts.figures import GREY, INDIGO, ORANGE, Layers, Row, inline, unique
from core.charts.heatmap import pack, to_bytes
from core.charts.positions import TALL, legend, tips

Array = np.ndarray
Cell = tuple[int, int]
STRONG = 0.55  # dark enough to be a colour, light enough to write on

# --- for the canvas -------------------------------------------------------------------------------------------------


def mask(
    allowed: Bool[Array, "query key"],
    *,
    queries: Sequence[str],
    keys: Sequence[str],
    cell: Cell,
    marks: tuple[str, str],
    strong: bool,
    edited: Sequence[Cell],
    toggles: bool,
    splits: Cell | None = None,
    words: Mapping[str, str],
) -> bytes:
    """A mask, its two values written into the cells: that of an open cell (drawn strong or plain) and that of a hidden.

    `splits` are the row and the column before which a line divides the board.
    `words` needs: label, query, key, queries, keys, sum (a note), open, masked.
    """
    axes: dict[str, Any] = {
        "mode": "detail",
        "shape": allowed.shape,
        "queries": list(queries),
        "keys": list(keys),
        "cell": cell,
    }
    cells = to_bytes(np.full(allowed.shape, STRONG if strong else 0.0), allowed)
    axes |= {"marks": marks, "edited": list(edited), "toggles": toggles, "splits": splits, "words": dict(words)}
    return pack(axes, cells)


def changes(
    values: Float[Array, "row position"],
    counted: Bool[Array, "row position"],
    *,
    rows: Sequence[str],
    positions: Sequence[str],
    cell: Cell,
    most: float,
    words: Mapping[str, str],
) -> bytes:
    """How much changed, from 0 to `most`, hatched where a change does not count. `words` as for `heatmap.detail`."""
    header = {"mode": "detail", "shape": values.shape, "queries": list(rows), "keys": list(positions), "cell": cell}
    return pack({**header, "most": most, "words": dict(words)}, to_bytes(np.nan_to_num(values) / most, counted))


def maps(
    weights: Float[Array, "down across query key"],
    allowed: Bool[Array, "down across query key"],
    *,
    titles: Sequence[Sequence[str]],
    chosen: Cell,
    words: Mapping[str, str],
) -> bytes:
    """Small maps with a title each, one of them chosen. `words` needs: label."""
    header = {"mode": "grid", "shape": weights.shape, "titles": [list(row) for row in titles], "chosen": chosen}
    return pack({**header, "words": dict(words)}, to_bytes(weights, allowed))


# --- bars and lines -------------------------------------------------------------------------------------------------


def noticed(
    tokens: Sequence[str], logits: Sequence[float], log_probabilities: Sequence[float], *, words: Mapping[str, str]
) -> alt.Chart:
    """A bar for the largest change of a logit where each token is predicted. `words` needs: token, change, asked."""
    rows: list[Row] = [
        {"token": token, "value": value, "high": asked}
        for token, value, asked in zip(unique(tokens), logits, log_probabilities, strict=True)
    ]
    chart: alt.Chart = alt.Chart(inline(rows)).encode(
        x=alt.X("token:N", sort=None, title=None, axis=alt.Axis(labelAngle=-40, labelLimit=90, ticks=False)),
        y=alt.Y("value:Q", title=words["change"]),
        tooltip=tips(token=words["token"], value=words["change"], high=words["asked"]),
    )
    chart = chart.mark_bar(color=ORANGE, cornerRadiusEnd=3, size=18).properties(height=220, width="container")
    return chart


def breakdown(
    gaps: Sequence[float],
    errors: Mapping[str, Sequence[float]],
    breaks: Mapping[str, int],
    *,
    chosen: float,
    words: Mapping[str, str],
) -> Layers:
    """How wrong renormalising is for each precision, by how far a hidden score lies above the allowed ones.

    A line ends where 0 is divided by 0; `breaks` says where. Errors of 0 are drawn at the bottom, the gap that is
    chosen as a grey line. `words` needs: gap, error, nan.
    """
    names = list(errors)
    floor = 1e-18
    rows: list[Row] = [
        {"name": name, "gap": gap, "value": max(error, floor)}
        for name, values in errors.items()
        for gap, error in zip(gaps, values, strict=True)
        if not np.isnan(error)
    ]
    ends: list[Row] = [{"name": name, "gap": gap, "text": words["nan"]} for name, gap in breaks.items()]
    colour = alt.Color("name:N", title=None, scale=alt.Scale(domain=names, range=[INDIGO, ORANGE]), legend=legend(1))
    x = alt.X("gap:Q", title=words["gap"], axis=alt.Axis(grid=False), scale=alt.Scale(nice=False))
    y = alt.Y(
        "value:Q",
        title=words["error"],
        scale=alt.Scale(type="log", domain=[floor, 10]),
        axis=alt.Axis(format=".0e", values=[1e-18, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1]),
    )
    line = alt.Chart(inline(rows)).mark_line(strokeWidth=2.5)
    line = line.encode(x=x, y=y, color=colour, tooltip=tips(name=" ", gap=words["gap"], value=words["error"]))
    end = alt.Chart(inline(ends)).encode(x=x, color=colour)
    rule = end.mark_rule(strokeDash=[4, 4], strokeWidth=2)
    text = end.mark_text(align="right", dx=-6, fontWeight="bold").encode(y=alt.value(12), text="text:N")
    here = alt.Chart(inline([{"gap": chosen}])).mark_rule(color=GREY, strokeWidth=2).encode(x=x)
    return alt.layer(line, rule, text, here).properties(height=TALL, width="container")
