"""All small models, one after the other: which runs there are, and two processes that work them off."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from core.training.loop import stop_requests
from core.training.ship import Order, ship, train_one
from core.variants import VARIANTS

CURVE_SEEDS = 2  # of those asked for, where only the curve is kept
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Job:
    """One run: a row and a seed."""

    name: str
    seed: int


def jobs(seeds: Sequence[int]) -> list[Job]:
    """Every row with its first seed, then every row with its second, so that whatever stops early compares."""
    names = [name for name, variant in VARIANTS.items() if variant.recipe.slice]
    return [
        Job(name, seed)
        for turn, seed in enumerate(seeds)
        for name in names
        if turn < CURVE_SEEDS or not VARIANTS[name].curves_only
    ]


def train_zoo(
    seeds: Sequence[int],
    *,
    processes: int = 2,
    sample: int = 300,
    steps: int | None = None,
    pairs: int | None = None,
    out: Path | None = None,
) -> bool:
    """Train what is not yet done and ship each row as its seeds are done; false after a request to stop.

    The first seed of a row is the one whose weights are kept. Runs go on where they stopped.
    """
    names = dict.fromkeys(job.name for job in jobs(seeds))
    asked = Order("", (), steps=steps, pairs=pairs, resume=True, out=out, sample=sample, quiet=True)
    orders = {name: zoo_order(name, seeds, asked) for name in names}
    left = [job for job in jobs(seeds) if not orders[job.name].done(job.seed)]
    next(iter(orders.values())).examples()
    context = multiprocessing.get_context("spawn")
    running: dict[Future[bool], Job] = {}
    with (
        stop_requests() as requests,
        ProcessPoolExecutor(processes, context, initializer=alone) as pool,
        progress_bar(jobs(seeds), left, orders) as bar,
    ):
        while (left and not requests) or running:
            while left and len(running) < processes and not requests:
                job = left.pop(0)
                running[pool.submit(train_one, orders[job.name], job.seed)] = job
            time.sleep(POLL_SECONDS)
            bar.update(max(0, taken(jobs(seeds), orders) - bar.n))
            for process in multiprocessing.active_children() if requests else []:
                process.terminate()
            collect(running, orders, stopping=bool(requests))
    return not requests


def zoo_order(name: str, seeds: Sequence[int], asked: Order) -> Order:
    """How a row is trained, where all are asked for alike; its command trains it alone."""
    kept = seeds[:CURVE_SEEDS] if VARIANTS[name].curves_only else seeds
    command = f"python -m core train {name} --seeds {','.join(map(str, kept))}"
    return replace(asked, name=name, seeds=kept, command=command)


def collect(running: dict[Future[bool], Job], orders: dict[str, Order], *, stopping: bool) -> None:
    """Ship the rows of the runs that are over; an error in a run is raised here, unless runs were told to stop."""
    for future in [each for each in running if each.done()]:
        job = running.pop(future)
        if stopping and future.exception():
            continue
        if future.result() and orders[job.name].done(orders[job.name].seeds[0]):
            ship(orders[job.name], orders[job.name].examples())


def taken(all_jobs: Sequence[Job], orders: dict[str, Order]) -> int:
    """The steps that all runs together have taken, as their logs tell."""
    return sum(last_step(orders[job.name].run_folder(job.seed) / "log.jsonl") for job in all_jobs)


def last_step(log: Path) -> int:
    """The step of the last line of a log; 0 where there is none."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def progress_bar(all_jobs: Sequence[Job], left: Sequence[Job], orders: dict[str, Order]) -> tqdm[None]:
    """A bar over all steps of all runs."""
    total = sum(orders[job.name].step_count for job in all_jobs)
    return tqdm(total=total, unit=" steps", desc=f"{len(left)} runs to go")


def alone() -> None:
    """What a process of the pool does first: one thread, and Ctrl-C is a matter of the training loop."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
