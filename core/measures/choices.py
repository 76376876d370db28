"""What each row of the zoo costs and buys, from its card, and which textbook sentences the figures bear out."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Literal

from core.experiments.twins import Cost
from core.measures.cost import multiply_adds
from core.measures.curves import exact_matches
from core.network import read_config
from core.tokens import ASSETS
from core.variants import BASE

LENGTH = 16  # tokens of the sentence, and of its translation, that costs are for
LEAST = 0.05  # of exact match: about what the draw of some 600 held-out pairs can make
Card = Mapping[str, Any]
Verdict = Literal["borne out", "no difference", "contradicted"]


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

    `alignment` is the error rate of its best cross-attention head, None where there is none or it was not measured.
    """

    name: str
    parameters: int
    multiply_adds: int
    seeds: tuple[int, ...]
    exact: Mapping[str, tuple[float, ...]]
    alignment: float | None
    cost: Cost | None = None
    steps: int | None = None

    def median(self, split: str) -> float | None:
        """The middle of the seeds; None where the split was not measured."""
        return statistics.median(found) if (found := self.exact.get(split)) else None

    def spread(self, split: str) -> float | None:
        """Highest less lowest seed; None with fewer than two."""
        found = self.exact.get(split, ())
        return max(found) - min(found) if len(found) > 1 else None


def choice(name: str, card: Card, costs: Costs | None = None) -> Choice:
    """The figures of a row's card; what it lacks is left out."""
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
    )


def gain(one: Choice, other: Choice, split: str) -> float | None:
    """How much better `one` is; None where either was not measured."""
    mine, its = one.median(split), other.median(split)
    return None if mine is None or its is None else mine - its


def noise(one: Choice, other: Choice, split: str) -> float:
    """A difference no larger than this is none: `LEAST`, or the spread over the seeds of either where that is wider."""
    return max(LEAST, one.spread(split) or 0.0, other.spread(split) or 0.0)


# --- the textbook ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A sentence of the textbook about two rows: `better` translates better than `other`, or `alike`: no worse."""

    name: str
    better: str
    other: str
    split: str = "random"
    alike: bool = False


CLAIMS = (
    Claim("order", BASE, "positions-none"),
    Claim("learned", "positions-learned", BASE, alike=True),
    Claim("concat", BASE, "positions-concat-equal", alike=True),
    Claim("rotary", "positions-rotary", BASE, "long"),
    Claim("alibi", "positions-alibi", BASE, "long"),
    Claim("post", "norm-post", BASE, alike=True),
    Claim("rms", "norm-rms", BASE, alike=True),
    Claim("batch", BASE, "norm-batch"),
    Claim("instance", BASE, "norm-instance"),
    Claim("unnormed", BASE, "norm-none"),
    Claim("residual", BASE, "residual-none"),
    Claim("single", BASE, "heads-1"),
    Claim("many", "heads-8", BASE, alike=True),
    Claim("scale", BASE, "scale-none"),
    Claim("scale_wide", "heads-1", "scale-none-wide"),
    Claim("feed_forward", BASE, "feed-forward-none"),
    Claim("feed_forward_equal", BASE, "feed-forward-none-deep"),
    Claim("gelu", "feed-forward-gelu", BASE, alike=True),
    Claim("mask", BASE, "mask-none"),
    Claim("gates", "recurrent-gru", "recurrent-tanh"),
    Claim("looking_back", "recurrent-attention", "recurrent-bidirectional", "long"),
    Claim("transformer", BASE, "recurrent-attention"),
)


@dataclass(frozen=True)
class Finding:
    """A claim with the figures of both rows."""

    claim: Claim
    better: float
    other: float
    noise: float

    @property
    def verdict(self) -> Verdict:
        """What the figures say of the claim."""
        difference = self.better - self.other
        if difference < -self.noise:
            return "contradicted"
        return "borne out" if difference > self.noise or self.claim.alike else "no difference"


def findings(choices: Mapping[str, Choice]) -> list[Finding]:
    """Every claim whose two rows were measured; what contradicts the textbook comes first."""
    found = []
    for claim in CLAIMS:
        one, other = choices.get(claim.better), choices.get(claim.other)
        if one is None or other is None:
            continue
        better, its = one.median(claim.split), other.median(claim.split)
        if better is not None and its is not None:
            found.append(Finding(claim, better, its, noise(one, other, claim.split)))
    order = ("contradicted", "no difference", "borne out")
    return sorted(found, key=lambda each: order.index(each.verdict))
