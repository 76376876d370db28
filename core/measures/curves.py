"""What training runs stored, over their seeds: curves from the log, accuracies from the card."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.checkpoint import CheckpointError, kept_in
from core.tokens import ASSETS

Record = Mapping[str, Any]


class Spread(NamedTuple):
    """The values of all seeds at one step."""

    step: int
    low: float
    middle: float
    high: float


def read_log(name: str, *, assets: Path = ASSETS) -> list[Record]:
    """The records of a row's log; raises CheckpointError."""
    path = kept_in(name, assets=assets) / "log.jsonl"
    try:
        return [_record(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        problem = "is damaged" if path.exists() else "is missing"
        raise CheckpointError(f"{path} {problem} ({error}). Restore it with: python -m core train {name}") from error


def _record(line: str) -> Record:
    record = json.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        raise ValueError("a line is no record of a step")
    if not isinstance(record.get("seed", 0), int):
        raise ValueError("a seed is no number")
    return record


def seeds(records: Iterable[Record]) -> list[int]:
    """The seeds that wrote a log, in order."""
    return sorted({int(record["seed"]) for record in records if "seed" in record})


def spread(records: Iterable[Record], figure: str) -> list[Spread]:
    """Lowest, median and highest value of a figure over the seeds, at every step where any seed logged it."""
    values: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if isinstance(record.get(figure), int | float):
            values[int(record["step"])].append(float(record[figure]))
    return [Spread(step, min(found), statistics.median(found), max(found)) for step, found in sorted(values.items())]


def at_the_end(records: Iterable[Record], figure: str, count: int = 10) -> list[float]:
    """The mean of the last values of a figure that each seed logged: single steps are noisy."""
    values: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if isinstance(record.get(figure), int | float):
            values[int(record.get("seed", 0))].append(float(record[figure]))
    return [statistics.fmean(found[-count:]) for _, found in sorted(values.items())]


def by_seed(card: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The figures of each seed on a card, or those of its one seed; none where it was never graded."""
    found = (card.get("metrics_by_seed") or {"": card["metrics"]}).values()
    return [metrics for metrics in found if metrics]


def exact_matches(card: Mapping[str, Any], direction: str) -> dict[str, list[float]]:
    """The share of each held-out split that was translated exactly, a number for each seed; gaps are left out."""
    found: dict[str, list[float]] = defaultdict(list)
    for metrics in by_seed(card):
        for split, figures in metrics.get(direction, {}).items():
            if math.isfinite(share := figures.get("exact_match", math.nan)):
                found[split].append(share)
    return dict(found)
