"""The training loop: steps in a row, on one or more processes, with a log, stored states and a way to stop."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType, TracebackType

import torch
from torch import distributed, multiprocessing
from tqdm import tqdm  # type: ignore[import-untyped]

from core.checkpoint import save_weights
from core.network import Network
from core.training.data import Examples
from core.training.worker import LOG_EVERY, Place, Record, Settings, Worker, keep_memory, progress

SAVE_SECONDS = 45.0
PATIENCE = timedelta(minutes=20)  # how long one process waits for another, which may be validating

Validate = Callable[[Network], Mapping[str, float]]
Watch = Callable[[Record], None]


@dataclass(frozen=True)
class Outcome:
    """What `train` hands back; `finished` is false after a request to stop."""

    network: Network
    place: Place
    finished: bool


def train(
    settings: Settings,
    examples: Examples,
    *,
    validate: Validate | None = None,
    watch: Watch | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Outcome:
    """Train to the end of the settings, or to a request to stop; state and log are kept in `settings.folder`.

    `validate` is asked every `settings.validate_every` steps and its figures are logged; `watch` sees every logged
    record. Raises ValueError when there is nothing to resume.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    if resume and not settings.state_file.exists():
        raise ValueError(f"nothing to resume in {settings.folder}")
    torch.set_num_threads(1)
    keep_memory()
    with companions(settings, examples, resume), stop_requests() as requests:
        worker = ready_worker(settings, examples, 0, resume)
        with Log(worker, watch, quiet) as log:
            finished = work(worker, requests, log, validate)
    return Outcome(worker.model.eval(), worker.place, finished)


def ready_worker(settings: Settings, examples: Examples, rank: int, resume: bool) -> Worker:
    worker = Worker(settings, examples, rank)
    if resume:
        worker.restore(settings.state_file)
    return worker


def work(worker: Worker, requests: list[int], log: Log | None, validate: Validate | None = None) -> bool:
    """Step until the run is over (true) or a process was asked to stop (false); the first process keeps the log."""
    settings, saved = worker.settings, time.monotonic()
    begun = saved - worker.place.seconds
    stop, kept = False, snapshot_steps(settings.steps, settings.recipe.snapshots)
    while not stop and progress(settings, worker.place.step, worker.place.seconds) < 1.0:
        record, stop = worker.step(time.monotonic() - begun, bool(requests))
        if log is None:
            continue
        log.advance(record)
        if record["step"] in kept:
            save_weights(worker.model, settings.folder / f"step-{record['step']}.safetensors")
        if validate and record["step"] % settings.validate_every == 0:
            log.write({"step": record["step"]} | validation(worker.model, validate))
        if stop or time.monotonic() - saved > SAVE_SECONDS:
            worker.save(settings.state_file)
            saved = time.monotonic()
    if log is not None and not stop:
        worker.save(settings.state_file)
    return not stop


def snapshot_steps(steps: int, count: int) -> list[int]:
    """So many steps, spread evenly over the logarithm of the run, the first and the last among them."""
    if not count:
        return []
    return sorted({round(steps ** (each / (count - 1))) for each in range(count)})


def validation(model: Network, validate: Validate) -> Record:
    model.eval()
    figures: Record = dict(validate(model))
    model.train()
    return figures


class Log:
    """One JSON object for each line of `log.jsonl`, and the progress bar, kept by the first process.

    Lines that a resumed run will write again are dropped first.
    """

    def __init__(self, worker: Worker, watch: Watch | None, quiet: bool) -> None:
        self.settings, self.watch = worker.settings, watch
        self.path = self.settings.folder / "log.jsonl"
        step = worker.place.step
        lines = self.path.read_text().splitlines(keepends=True) if step and self.path.exists() else []
        self.path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))
        self.before = (float(worker.place.tokens), worker.place.seconds)
        self.bar = tqdm(
            total=100.0,
            disable=quiet,
            bar_format="{desc} {percentage:5.1f}%|{bar}| {elapsed}<{remaining} {postfix}",
            desc=f"{self.settings.folder.parent.name} seed {self.settings.seed}",
        )
        self.bar.update(100 * progress(self.settings, step, worker.place.seconds))

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()

    def advance(self, record: Record) -> None:
        """Move the bar at every step, and log some."""
        if record["step"] % LOG_EVERY == 0:
            self.write(record)
            done = progress(self.settings, int(record["step"]), record["seconds"])
            tokens, seconds = record["tokens"] - self.before[0], record["seconds"] - self.before[1]
            self.before = (record["tokens"], record["seconds"])
            self.bar.set_postfix_str(f"loss {record['loss']:.3f}, {tokens / max(seconds, 1e-3):,.0f} tokens/s")
            self.bar.update(100 * done - self.bar.n)

    def write(self, record: Record) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self.watch:
            self.watch(record)


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in the list handed out, instead of dying in the middle of a step."""
    requests: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        requests.append(number)

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def companions(settings: Settings, examples: Examples, resume: bool) -> Iterator[None]:
    """The other processes of a run, connected to this one; they end with it."""
    if settings.processes == 1:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        context = multiprocessing.get_context("spawn")
        others = [
            context.Process(target=accompany, args=(settings, examples, rank, resume, meeting), daemon=True)
            for rank in range(1, settings.processes)
        ]
        for other in others:
            other.start()
        connect(meeting, 0, settings.processes)
        try:
            yield
        finally:
            distributed.destroy_process_group()
            for other in others:
                other.join(timeout=10)
                other.kill()


def accompany(settings: Settings, examples: Examples, rank: int, resume: bool, meeting: str) -> None:
    """The whole life of a process that is not the first."""
    torch.set_num_threads(1)
    keep_memory()
    with stop_requests() as requests:
        connect(meeting, rank, settings.processes)
        work(ready_worker(settings, examples, rank, resume), requests, None)
        distributed.destroy_process_group()


def connect(meeting: str, rank: int, processes: int) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes, timeout=PATIENCE)
