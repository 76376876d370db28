"""From the name of a variant to the files of a trained model: data, training, evaluation, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.checkpoint import read_weights, save, write_card
from core.corpus import DATA_VERSION, held_out
from core.network import Network
from core.tokens import Tokenizer, load_tokenizer
from core.training.align import alignment_report
from core.training.data import ROOT, TOKENIZER_FILE, Examples, encode, fingerprint, generated
from core.training.evaluate import Report, evaluate, validation
from core.training.loop import Outcome, Validate, snapshot_steps, train
from core.training.worker import Settings
from core.variants import VARIANTS, Recipe, Variant

VALIDATION_PAIRS, MATCHED_PAIRS = 100, 50  # the second are translated too, in both directions
VALIDATIONS = 20  # in a run that takes all its steps
OFTEN = 10  # occurrences from which a piece counts as seen in training
SNAPSHOT_PAIRS = 60  # on which each snapshot of a run is graded


@dataclass(frozen=True)
class Order:
    """What the command line asks for; None means the recipe's."""

    name: str
    seeds: Sequence[int]
    minutes: float | None = None
    steps: int | None = None
    processes: int | None = None
    pairs: int | None = None
    device: str = "cpu"
    resume: bool = False
    out: Path | None = None
    sample: int = 300
    command: str = ""
    quiet: bool = False

    @property
    def variant(self) -> Variant:
        return VARIANTS[self.name]

    @property
    def model_folder(self) -> Path:
        return (self.out or ROOT / "assets") / ("curves" if self.variant.curves_only else "models") / self.name

    def run_folder(self, seed: int) -> Path:
        """Where state, log and figures of one seed are kept."""
        return (self.out or ROOT) / "runs" / self.name / f"seed-{seed}"

    def done(self, seed: int) -> bool:
        """Whether a seed has been trained and graded."""
        return (self.run_folder(seed) / "card.json").exists()

    @property
    def recipe(self) -> Recipe:
        return self.variant.recipe

    @property
    def pair_count(self) -> int:
        return self.pairs or self.recipe.pairs

    @property
    def step_count(self) -> int:
        return self.steps or self.recipe.steps

    def examples(self) -> Examples:
        """The pairs to train on, generated once."""
        cache = (self.out or ROOT) / "build"
        return generated(self.pair_count, seed=self.recipe.seed, small=self.recipe.slice, cache=cache)

    def settings(self, seed: int, vocabulary: int) -> Settings:
        recipe, steps = self.recipe, self.step_count
        return Settings(
            config=self.variant.config(vocabulary),
            recipe=recipe,
            folder=self.run_folder(seed),
            data=fingerprint(self.pair_count, recipe.seed, recipe.slice),
            seed=seed,
            steps=steps,
            minutes=self.minutes,
            processes=self.processes or recipe.processes,
            device=self.device,
            validate_every=max(25, steps // VALIDATIONS),
        )


def train_and_ship(order: Order) -> bool:
    """Train each seed and write the model of the first; false when a request to stop came first.

    Every seed sees the same pairs, in an order of its own. Resuming passes over the seeds that are done, goes on
    with the one that was stopped, and starts the rest; raises ValueError when there is nothing to resume.
    """
    states = [order.settings(seed, 0).state_file for seed in order.seeds]
    if order.resume and not any(state.exists() for state in states):
        raise ValueError(f"nothing to resume in {states[0].parent}")
    examples = order.examples()
    for seed in order.seeds:
        if not (order.resume and order.done(seed)) and not train_one(order, seed, examples):
            return False
    ship(order, examples)
    return True


def train_one(order: Order, seed: int, examples: Examples | None = None) -> bool:
    """Train a seed, grade it, and keep weights and card in its folder; false when a request to stop came first."""
    examples = examples or order.examples()
    tokenizer, folder = load_tokenizer(), order.run_folder(seed)
    settings = order.settings(seed, tokenizer.size)
    (folder / "card.json").unlink(missing_ok=True)
    validate = validator(tokenizer, min(order.sample, VALIDATION_PAIRS), order.recipe.slice)
    resume = order.resume and settings.state_file.exists()
    outcome = train(settings, examples, validate=validate, resume=resume, quiet=order.quiet)
    if outcome.finished:
        round_weights(outcome.network)
        save(outcome.network, card(order, seed, outcome, figures(order, settings, outcome.network, tokenizer)), folder)
    return outcome.finished


def figures(order: Order, settings: Settings, network: Network, tokenizer: Tokenizer) -> Report:
    """The grades of a trained network, and of its snapshots; none where only the curve is wanted."""
    if order.variant.curves_only:
        return {}
    report = evaluate(network, tokenizer, sample=order.sample, small=order.recipe.slice)
    steps = snapshot_steps(settings.steps, order.recipe.snapshots)
    snapshots = [graded_snapshot(order, settings, step, tokenizer) for step in steps]
    return report | ({"snapshots": snapshots} if snapshots else {})


def graded_snapshot(order: Order, settings: Settings, step: int, tokenizer: Tokenizer) -> Report:
    """How well a snapshot translates and aligns, on a few held-out pairs."""
    network = read_weights(settings.folder / f"step-{step}.safetensors", settings.config)
    pairs = held_out("random", SNAPSHOT_PAIRS, slice=order.recipe.slice)
    found = validation(network, encode(pairs, tokenizer), tokenizer, pairs)
    return {"step": step} | found | {"alignment": alignment_report(network, tokenizer, pairs)}


def validator(tokenizer: Tokenizer, count: int, small: bool) -> Validate:
    """Figures on held-out pairs, always the same ones."""
    pairs = held_out("random", count, slice=small)
    return partial(validation, examples=encode(pairs, tokenizer), tokenizer=tokenizer, pairs=pairs[:MATCHED_PAIRS])


def ship(order: Order, examples: Examples) -> None:
    """Write weights, snapshots and card of the first seed that is done, and the logs and figures of all that are."""
    done, folder = [seed for seed in order.seeds if order.done(seed)], order.model_folder
    cards = {seed: json.loads((order.run_folder(seed) / "card.json").read_text(encoding="utf-8")) for seed in done}
    folder.mkdir(parents=True, exist_ok=True)
    if not order.variant.curves_only:
        for pattern in ("weights.safetensors", "step-*.safetensors"):
            for file in order.run_folder(done[0]).glob(pattern):
                shutil.copy(file, folder / file.name)
    merged = cards[done[0]] | {
        "seeds": done,
        "command": order.command,
        "metrics_by_seed": {str(seed): each["metrics"] for seed, each in cards.items()},
    }
    known = {"vocabulary_seen": common_pieces(examples)} if order.recipe.slice and not order.variant.curves_only else {}
    write_card(merged | known, folder)
    lines = [line for seed in done for line in logged(order.run_folder(seed), seed)]
    (folder / "log.jsonl").write_text("".join(lines), encoding="utf-8")
    if order.out:
        shutil.copy(TOKENIZER_FILE, order.out / TOKENIZER_FILE.name)


def round_weights(network: Network) -> None:
    """Give the weights, and the statistics kept with them, the precision they are stored with."""
    for tensor in network.state_dict().values():
        tensor.copy_(tensor.half().float())


def card(order: Order, seed: int, outcome: Outcome, metrics: Report) -> dict[str, Any]:
    """Where a network comes from and how good it is."""
    return {
        "name": order.name,
        "config": outcome.network.config.to_json(),
        "seeds": [seed],
        "data_version": DATA_VERSION,
        "pairs": order.pair_count,
        "steps": outcome.place.step,
        "tokens": outcome.place.tokens,
        "seconds": round(outcome.place.seconds),
        "parameters": sum(parameter.numel() for parameter in outcome.network.parameters()),
        "command": order.command,
        "metrics": metrics,
    }


def common_pieces(examples: Examples) -> list[int]:
    """The pieces that occur often enough in the training pairs to be learned: a slice leaves out most others."""
    pieces, counts = np.unique(examples.ids, return_counts=True)
    known: list[int] = pieces[counts >= OFTEN].tolist()
    return known


def logged(folder: Path, seed: int) -> Iterator[str]:
    """A run's log, each line with its seed."""
    for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.dumps({"seed": seed} | json.loads(line)) + "\n"
