"""What every trained row costs: counted by formula, timed in turn in one run; writes assets/costs.json."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from bench.measuring import processor
from bench.table import Section
from core.checkpoint import CheckpointError, load
from core.experiments.twins import race
from core.measures.choices import LENGTH, Costs, write_costs
from core.network import Network
from core.tokens import ASSETS
from core.variants import BASE, VARIANTS

ROUNDS = 100
HEADER = ("", "parameters", "multiply–adds (millions)", "milliseconds", "÷ base", "weights (MB)", "held besides (MB)")


def measured(rounds: int = ROUNDS, assets: Path = ASSETS) -> Section:
    """All rows with weights take turns; the shortest time of each counts. What they cost is written down too."""
    networks, missing = at_hand(assets)
    costs = Costs(LENGTH, LENGTH, rounds, measured_on(), race(networks, LENGTH, LENGTH, rounds))
    write_costs(costs, assets / "costs.json")
    about = (
        f"One pass over {costs.source} source and {costs.target} target tokens, teacher-forced; parameters and "
        f"multiply–adds are counted, milliseconds are the shortest of {rounds} rounds in which all take turns, held "
        "besides is the most that tensors of the pass took at once. The same figures are in assets/costs.json."
    )
    if missing:
        about += f" Without weights, and left out: {', '.join(missing)}."
    return Section("Every model of the zoo", about, HEADER, table(costs))


def at_hand(assets: Path) -> tuple[Mapping[str, Network], list[str]]:
    """The networks of the rows that can be read, and the names of the others."""
    networks: dict[str, Network] = {}
    missing = []
    for name, row in VARIANTS.items():
        if row.curves_only:
            continue
        try:
            networks[name] = load(name, assets=assets).network
        except CheckpointError:
            missing.append(name)
    return networks, missing


def table(costs: Costs) -> tuple[tuple[str, ...], ...]:
    """A row for each model; times beside that of the base, where it is there."""
    base = costs.rows.get(BASE)
    return tuple(
        (
            name,
            f"{cost.parameters:,}",
            f"{cost.multiply_adds / 1e6:.2f}",
            f"{cost.milliseconds:.2f}",
            f"{cost.milliseconds / base.milliseconds:.2f}" if base else "–",
            f"{cost.weight_bytes / 1e6:.2f}",
            f"{cost.working_bytes / 1e6:.2f}",
        )
        for name, cost in costs.rows.items()
    )


def measured_on() -> str:
    """The machine, in words that name nobody's files."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{processor()}, {os.cpu_count()} cores, one torch thread, torch {torch.__version__}, {today}"
