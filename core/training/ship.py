"""From the name of a variant to the files of a trained model: data, training, evaluation, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.checkpoint import save
from core.corpus import DATA_VERSION, held_out
from core.tokens import Tokenizer, load_tokenizer
from core.training.data import ROOT, TOKENIZER_FILE, Examples, encode, fingerprint, generated
from core.training.evaluate import Report, evaluate, validation
from core.training.loop import Outcome, Validate, train
from core.training.worker import Settings
from core.transformer import Transformer
from core.variants import VARIANTS, Recipe

VALIDATION_PAIRS, MATCHED_PAIRS = 100, 50  # the second are translated too, in both directions
VALIDATIONS = 40  # in a run that takes all its steps
OFTEN = 10  # occurrences from which a piece counts as seen in training


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

    @property
    def model_folder(self) -> Path:
        return (self.out or ROOT / "assets") / "models" / self.name

    def run_folder(self, seed: int) -> Path:
        """Where state and log of one seed are kept."""
        return (self.out or ROOT) / "runs" / self.name / f"seed-{seed}"

    @property
    def recipe(self) -> Recipe:
        return VARIANTS[self.name].recipe

    @property
    def pair_count(self) -> int:
        return self.pairs or self.recipe.pairs

    def settings(self, seed: int, vocabulary: int) -> Settings:
        recipe, steps = self.recipe, self.steps or self.recipe.steps
        return Settings(
            config=VARIANTS[self.name].config(vocabulary),
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
    tokenizer, recipe = load_tokenizer(), order.recipe
    jobs = {seed: order.settings(seed, tokenizer.size) for seed in order.seeds}
    if order.resume and not any(settings.state_file.exists() for settings in jobs.values()):
        raise ValueError(f"nothing to resume in {next(iter(jobs.values())).folder}")
    cache = (order.out or ROOT) / "build"
    examples = generated(order.pair_count, seed=recipe.seed, small=recipe.slice, cache=cache)
    validate = validator(tokenizer, min(order.sample, VALIDATION_PAIRS), recipe.slice)
    outcomes: dict[int, Outcome] = {}
    for seed, settings in jobs.items():
        resume = order.resume and settings.state_file.exists()
        outcomes[seed] = train(settings, examples, validate=validate, resume=resume)
        if not outcomes[seed].finished:
            return False
    ship(order, outcomes, tokenizer, examples)
    return True


def validator(tokenizer: Tokenizer, count: int, small: bool) -> Validate:
    """Figures on held-out pairs, always the same ones."""
    pairs = held_out("random", count, slice=small)
    return partial(validation, examples=encode(pairs, tokenizer), tokenizer=tokenizer, pairs=pairs[:MATCHED_PAIRS])


def ship(order: Order, outcomes: Mapping[int, Outcome], tokenizer: Tokenizer, examples: Examples) -> None:
    """Write weights and card of the first seed and the logs of all; figures are those of the stored weights."""
    metrics = {}
    for seed, outcome in outcomes.items():
        round_weights(outcome.network)
        metrics[seed] = evaluate(outcome.network, tokenizer, sample=order.sample, small=order.recipe.slice)
    first, folder = order.seeds[0], order.model_folder
    known = {"vocabulary_seen": common_pieces(examples)} if order.recipe.slice else {}
    save(outcomes[first].network, card(order, outcomes, metrics) | known, folder)
    lines = [line for seed in order.seeds for line in logged(order.run_folder(seed), seed)]
    (folder / "log.jsonl").write_text("".join(lines), encoding="utf-8")
    if order.out:
        shutil.copy(TOKENIZER_FILE, order.out / TOKENIZER_FILE.name)


def round_weights(network: Transformer) -> None:
    """Give the weights the precision they are stored with."""
    for weight in network.parameters():
        weight.data = weight.data.half().float()


def card(order: Order, outcomes: Mapping[int, Outcome], metrics: Mapping[int, Report]) -> dict[str, Any]:
    """Where a model comes from and how good it is."""
    first = outcomes[order.seeds[0]]
    return {
        "name": order.name,
        "config": first.network.config.to_json(),
        "seeds": list(order.seeds),
        "data_version": DATA_VERSION,
        "pairs": order.pair_count,
        "steps": first.place.step,
        "tokens": first.place.tokens,
        "seconds": round(first.place.seconds),
        "parameters": sum(parameter.numel() for parameter in first.network.parameters()),
        "command": order.command,
        "metrics": metrics[order.seeds[0]],
        "metrics_by_seed": {str(seed): metrics[seed] for seed in order.seeds},
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
