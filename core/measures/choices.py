"""What each row of the zoo costs and buys, from its card, and which textbook sentences the figures bear out."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.experiments.twins import Cost
from core.measures.cost import multiply_adds
from core.measures.curves import Record, at_the_end, by_seed, exact_matches
from core.measures.unigram import Plateau
from core.network import read_config
from core.tokens import ASSETS
from core.variants import BASE, LONGEST_TRAINED

LENGTH = 16  # tokens of the sentence, and of its translation, that costs are for
LEAST = 0.05  # of a share, about what the draw of some 600 held-out pairs can make; of a loss, in nats
ENOUGH = 10  # sentences that a range of lengths needs to be judged by
Card = Mapping[str, Any]
Values = Sequence[float]
Verdict = Literal["borne out", "no difference", "cannot be told", "contradicted"]


@dataclass(frozen=True)
class Costs:
    """Costs by row, measured in one run; `measured_on` says in words on what."""

    source: int
    target: int
    rounds: int
    measured_on: str
    rows: Mapping[str, Cost]


def write_costs(costs: Costs, path: Path) -> None:
    """The file that `read_costs` reads."""
    path.write_text(json.dumps(asdict(costs), indent=1) + "\n", encoding="utf-8")


def read_costs(path: Path = ASSETS / "costs.json") -> Costs | None:
    """Measured costs; None where nobody has measured, or the file is not one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: Cost(**cost) for name, cost in found["rows"].items()}
        numbers = all(isinstance(value, int | float) for cost in rows.values() for value in astuple(cost))
        return Costs(**{**found, "rows": rows}) if numbers else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass(frozen=True)
class Choice:
    """One row: its exact match on each split, a number for each seed (the mean of both directions), and its cost.

    `tokens` is accuracy by token, by the least source tokens and the number of the sentences that it rests on, `losses`
    the last on unseen pairs (nats per token), both a number for each seed. `alignment` is the error rate of its best
    cross-attention head, None where there is none or it was not measured.
    """

    name: str
    parameters: int
    multiply_adds: int
    seeds: tuple[int, ...]
    exact: Mapping[str, tuple[float, ...]]
    alignment: float | None
    cost: Cost | None = None
    steps: int | None = None
    tokens: Mapping[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)
    losses: tuple[float, ...] = ()

    def median(self, split: str) -> float | None:
        """The middle of the seeds; None where the split was not measured."""
        return statistics.median(found) if (found := self.exact.get(split)) else None

    def spread(self, split: str) -> float | None:
        """Highest less lowest seed; None with fewer than two."""
        found = self.exact.get(split, ())
        return max(found) - min(found) if len(found) > 1 else None


def choice(name: str, card: Card, costs: Costs | None = None, records: Iterable[Record] = ()) -> Choice:
    """The figures of a row's card, and of the `records` of its log; what they lack is left out."""
    by_direction = [exact_matches(card, each) for each in ("en-ko", "ko-en")]
    splits = by_direction[0].keys() & by_direction[1].keys()
    exact = {
        split: tuple((one + other) / 2 for one, other in zip(*(each[split] for each in by_direction), strict=False))
        for split in splits
    }
    alignment = (card["metrics"] or {}).get("alignment") or {}
    return Choice(
        name=name,
        parameters=int(card["parameters"]),
        multiply_adds=multiply_adds(read_config(card["config"]), LENGTH, LENGTH).total,
        seeds=tuple(card["seeds"] or ()),
        exact=exact,
        alignment=alignment.get("best_head_error_rate"),
        steps=card["steps"],
        cost=costs.rows.get(name) if costs else None,
        tokens=_tokens(card),
        losses=tuple(at_the_end(records, "validation_loss", count=1)),
    )


def _tokens(card: Card) -> dict[tuple[int, int], tuple[float, ...]]:
    """Accuracy by token of the lengths that every graded seed has enough sentences of."""
    tables = [
        {(row["from"], row["count"]): row["token_accuracy"] for row in table}
        for metrics in by_seed(card)
        if (table := metrics.get("by_length"))
    ]
    shared = set.intersection(*map(set, tables)) if tables else set()
    return {key: tuple(table[key] for table in tables) for key in sorted(shared) if key[1] >= ENOUGH}


def gain(one: Choice, other: Choice, split: str) -> float | None:
    """How much better `one` is; None where either was not measured."""
    mine, its = one.median(split), other.median(split)
    return None if mine is None or its is None else mine - its


def noise(one: Values, other: Values) -> float:
    """A difference no larger than this is none: `LEAST`, or the spread over the seeds of either where that is wider."""
    return max(LEAST, *(max(each) - min(each) for each in (one, other)))


def leaders(values: Mapping[str, Values]) -> list[str]:
    """The row whose median is highest, and after it those that `noise` does not tell from it."""
    medians = {name: statistics.median(each) for name, each in values.items()}
    first, *others = sorted(medians, key=medians.__getitem__, reverse=True)
    return [first, *(each for each in others if medians[first] - medians[each] <= noise(values[first], values[each]))]


# --- the textbook ---------------------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """A figure of two rows, a number for each seed; `length` is the least source tokens that it is of, if any."""

    better: Values
    other: Values
    length: int | None = None


@dataclass(frozen=True)
class Figure:
    """What a claim can be judged by: how two rows are read, and what a model has that learned nothing.

    `null` is None where that is not known; of losses the `lower` is the better.
    """

    read: Callable[[Choice, Choice], Judged]
    null: Callable[[Plateau | None], float | None]
    lower: bool = False


def _longest(one: Choice, other: Choice, least: int = 0) -> Judged:
    """Accuracy by token where sentences are longest, of `least` tokens or more: the same sentences for both rows."""
    shared = [key for key in one.tokens.keys() & other.tokens.keys() if key[0] >= least]
    return Judged(one.tokens[max(shared)], other.tokens[max(shared)], max(shared)[0]) if shared else Judged((), ())


def _frequency(plateau: Plateau | None) -> float | None:
    return plateau.held_out_accuracy if plateau else None


FIGURES = {
    "random": Figure(
        lambda one, other: Judged(one.exact.get("random", ()), other.exact.get("random", ())), lambda _: 0.0
    ),
    "longest": Figure(_longest, _frequency),
    "beyond": Figure(lambda one, other: _longest(one, other, LONGEST_TRAINED + 1), _frequency),
    "loss": Figure(
        lambda one, other: Judged(one.losses, other.losses),
        lambda plateau: plateau.held_out_by_language if plateau else None,
        lower=True,
    ),
}


@dataclass(frozen=True)
class Claim:
    """A sentence of the textbook about two rows: `better` translates better than `other`, or `alike`: no worse.

    It is judged by a row of `FIGURES`.
    """

    name: str
    better: str
    other: str
    by: str = "random"
    alike: bool = False


CLAIMS = (
    Claim("order", BASE, "positions-none"),
    Claim("learned", "positions-learned", BASE, alike=True),
    Claim("concat", BASE, "positions-concat-equal", alike=True),
    Claim("rotary", "positions-rotary", BASE, "beyond"),
    Claim("alibi", "positions-alibi", BASE, "beyond"),
    Claim("post", "norm-post", BASE, alike=True),
    Claim("rms", "norm-rms", BASE, alike=True),
    Claim("batch", BASE, "norm-batch"),
    Claim("instance", BASE, "norm-instance"),
    Claim("unnormed", BASE, "norm-none"),
    Claim("residual", BASE, "residual-none"),
    Claim("single", BASE, "heads-1"),
    Claim("many", "heads-8", BASE, alike=True),
    Claim("scale", "scale-none", BASE, alike=True),
    Claim("scale_wide", "heads-1", "scale-none-wide"),
    Claim("feed_forward", BASE, "feed-forward-none"),
    Claim("feed_forward_equal", BASE, "feed-forward-none-deep"),
    Claim("gelu", "feed-forward-gelu", BASE, alike=True),
    Claim("mask", BASE, "mask-none"),
    Claim("gates", "recurrent-gru", "recurrent-tanh", "loss"),
    Claim("looking_back", "recurrent-attention", "recurrent-bidirectional", "longest"),
    Claim("transformer", BASE, "recurrent-attention"),
)


BY_LOSS = tuple(dict.fromkeys(row for each in CLAIMS if each.by == "loss" for row in (each.better, each.other)))
"""The rows whose logs are needed as well."""


@dataclass(frozen=True)
class Finding:
    """A claim with the figures of both rows, of sentences of `length` tokens or more if they are of some lengths."""

    claim: Claim
    better: float
    other: float
    noise: float
    null: float | None = 0.0
    length: int | None = None

    @property
    def verdict(self) -> Verdict:
        """What the figures say of the claim; nothing where neither row is told from one that learned nothing."""
        sign = -1 if FIGURES[self.claim.by].lower else 1
        if self.null is not None and all(sign * (each - self.null) <= LEAST for each in (self.better, self.other)):
            return "cannot be told"
        difference = sign * (self.better - self.other)
        if difference < -self.noise:
            return "contradicted"
        return "borne out" if difference > self.noise or self.claim.alike else "no difference"


def findings(choices: Mapping[str, Choice], plateau: Plateau | None = None) -> list[Finding]:
    """Every claim whose two rows were measured; what contradicts the textbook comes first."""
    found = []
    for claim in CLAIMS:
        one, other = choices.get(claim.better), choices.get(claim.other)
        if one is None or other is None:
            continue
        figure = FIGURES[claim.by]
        mine, its, length = figure.read(one, other)
        if mine and its:
            medians = statistics.median(mine), statistics.median(its)
            found.append(Finding(claim, *medians, noise(mine, its), figure.null(plateau), length))
    order = ("contradicted", "no difference", "cannot be told", "borne out")
    return sorted(found, key=lambda each: order.index(each.verdict))
