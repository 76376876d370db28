"""Lanes of a decoder in words: what each read, what it expected, and how likely it found what was wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.charts import decoding as charts
from core.experiments.decoding import Lane
from pages.parts.words import Words


def longest(shown: Sequence[charts.LaneCells]) -> int:
    """How many steps it takes until every lane has ended."""
    return max(len(each.read) for each in shown)


def key_of_lanes(_: Words) -> dict[str, str]:
    """What the frames and colours of the tokens mean."""
    return {
        "gold": _("read from gold"),
        "own": _("read from what it wrote"),
        "error": _("the wrong token"),
        "right": _("expects gold's token"),
        "wrong": _("expects another"),
    }


def lane(
    title: str,
    note: str,
    found: Lane,
    right: Sequence[int],
    names: Mapping[int, str],
    kinds: Sequence[str],
    wanted: Sequence[int] | None = None,
) -> charts.LaneCells:
    """A lane in words; the log-probabilities are those of `wanted`, by default of gold."""
    count = len(wanted or right)
    expected = found.expected[:count]
    return charts.LaneCells(
        title=title,
        note=note,
        read=[names[each] for each in found.read[:count]],
        kinds=kinds,
        expected=[names[each] for each in expected],
        log_probabilities=found.of(wanted or right),
        right=[place < len(right) and each == right[place] for place, each in enumerate(expected)],
    )


def pairs(names: Mapping[int, str], ids: Sequence[int], values: Sequence[float]) -> list[tuple[str, float]]:
    """Tokens by name, each with its value."""
    return [(names[each], value) for each, value in zip(ids, values, strict=True)]
