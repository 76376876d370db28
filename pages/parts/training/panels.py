"""What stands above the heads of the time-lapse: losses, scores against gold, and one weight, over the same steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.charts.training import Panel, Series
from core.charts.view import View
from core.experiments.training import Childhood
from core.measures.curves import Record, seeds, spread
from pages.parts import zoo
from pages.parts.selection import Place
from pages.parts.words import Words

NAME = "time-lapse"
SHARE_TICKS = (0.0, 0.5, 1.0)
Graded = Mapping[int, Mapping[str, Any]]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Look:
    """The kind of attention, the head and the cell looked at, and the last snapshot's heads of that kind."""

    kind: str
    head: Place
    cell: Place
    shown: View


def panels(_: Words, grown: Childhood, graded: Graded, look: Look) -> list[Panel]:
    """The loss, the scores where the card has them, and the weight of the cell looked at."""
    scores = [_scores(_, graded, look)] if graded else []
    return [_losses(_, grown, graded), *scores, _weight(_, grown, look)]


def error_of(graded: Mapping[str, Any]) -> float | None:
    """The alignment error rate of the best head of a snapshot."""
    error: float | None = graded["alignment"].get("best_head_error_rate")
    return error


def _losses(_: Words, grown: Childhood, graded: Graded) -> Panel:
    logged: list[Record] = zoo.logs(_, [NAME]).get(NAME, [])
    first = seeds(logged)[:1]
    training = spread((each for each in logged if each.get("seed") in first), "loss")
    series = [Series(_("this sentence"), _points(dict(zip(grown.steps, grown.losses, strict=True))), dots=True)]
    if graded:
        unseen = {step: each["validation_loss"] for step, each in graded.items()}
        series.append(Series(_("held-out pairs"), _points(unseen), dots=True))
    if training:
        series.append(Series(_("training batches"), _points({point.step: point.middle for point in training})))
    guessing = math.log(grown.last.network.config.vocabulary)
    high = math.ceil(max(guessing, *(value for each in series for _step, value in each.points)) + 0.5)
    title, null = _("Loss (nats per token)"), {_("guessing among all pieces"): guessing}
    return Panel(title, series, null, 0.0, float(high), tuple(np.arange(0.0, high + 0.1, 2.0).tolist()))


def _scores(_: Words, graded: Graded, look: Look) -> Panel:
    """How far the links of the best head, and of the one chosen, are from gold, and whole sentences right."""
    best = {step: error_of(each) for step, each in graded.items()}
    right = {step: each["validation_exact_match"] for step, each in graded.items()}
    series = [Series(_("alignment error, best head"), _points(best), dots=True)]
    series.append(Series(_("sentences right"), _points(right), dots=True))
    if look.kind == "cross":
        name = f"decoder.{look.head[0]}.cross_attention.{look.head[1]}"
        heads = {step: each["alignment"].get("heads", {}) for step, each in graded.items()}
        mine = {step: each[name]["error_rate"] for step, each in heads.items() if name in each}
        series.append(Series(_("alignment error, this head"), _points(mine), dots=True))
    chance = list(graded.values())[-1]["alignment"].get("permutation_error_rate")
    null = {_("best head against shuffled gold"): float(chance)} if chance is not None else {}
    return Panel(_("Against gold, on held-out pairs (stored)"), series, null, 0.0, 1.0, SHARE_TICKS)


def _weight(_: Words, grown: Childhood, look: Look) -> Panel:
    query, key = look.cell
    layer, head = look.head
    weights = grown.weights[look.kind][:, layer, head, query, key].tolist()
    title = _("Weight from “{query}” to “{key}” in this head").format(
        query=look.shown.queries.labels[query], key=look.shown.keys.labels[key]
    )
    series = [Series(_("weight, this sentence"), _points(dict(zip(grown.steps, weights, strict=True))), dots=True)]
    uniform = 1 / max(1, int(look.shown.allowed[query].sum()))
    return Panel(title, series, {_("uniform"): uniform}, 0.0, 1.0, SHARE_TICKS)


def _points(values: Mapping[int, float | None]) -> Points:
    return [(float(step), round(value, 4)) for step, value in values.items() if value is not None]
