"""What training did: rates as formulas, runs that learned or stayed on the plateau, a sentence through a childhood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array

from core.checkpoint import Model
from core.decoding import greedy, longest_translation
from core.measures.curves import Record
from core.run import Run, reread, trace
from core.tokens import Direction
from core.training.schedules import SCHEDULES, paper_rate
from core.variants import Recipe

MARGIN = 0.25  # nats below the plateau from which a run counts as having learned
KINDS = {
    "encoder": ("encoder", "self_attention"),
    "decoder": ("decoder", "self_attention"),
    "cross": ("decoder", "cross_attention"),
}
FINISHES = 8  # tokens that a snapshot may write beyond the last one's translation

# --- the learning rate ----------------------------------------------------------------------------------------------


def rates(recipe: Recipe, steps: Sequence[int], total: int) -> list[float]:
    """The learning rate of a recipe at these steps, counted from 1, in a run of so many."""
    shape = SCHEDULES[recipe.schedule]
    return [recipe.learning_rate * shape(step, recipe.warmup, (step - 1) / total) for step in steps]


def highest(width: int, warmup: int) -> tuple[int, float]:
    """The step at which the paper's rate is highest, found by trying, and the rate there."""
    tried = range(1, 4 * warmup + 1)
    best = max(tried, key=lambda step: paper_rate(float(step), width, warmup))
    return best, paper_rate(float(best), width, warmup)


def spaced(last: int, count: int) -> list[int]:
    """Whole steps from 1 to the last, dense where little has happened yet: evenly and logarithmically spaced ones."""
    even, early = np.linspace(1, last, count), np.geomspace(1, last, count)
    return sorted({round(float(step)) for step in (*even, *early)})


# --- alive or dead --------------------------------------------------------------------------------------------------


def final_losses(records: Sequence[Record]) -> dict[int, float]:
    """The last validation loss of each seed; not a number where the run broke."""
    return {int(record["seed"]): float(record["validation_loss"]) for record in records if "validation_loss" in record}


def dead(loss: float, plateau: float) -> bool:
    """Whether a run ended no further below the plateau than the margin; one that broke counts as dead."""
    return not loss < plateau - MARGIN


# --- milestones -----------------------------------------------------------------------------------------------------


def halfway(values: Mapping[int, float | None]) -> int | None:
    """The first step at which a figure has come half of its way from its first value to its last; None if it stays."""
    known = [(step, value) for step, value in values.items() if value is not None]
    first, last = (known[0][1], known[-1][1]) if known else (0.0, 0.0)
    way = last - first
    return next((step for step, value in known if way and (value - first) / way >= 0.5), None)


def settled(texts: Sequence[str]) -> int:
    """The first index from which all texts are as the last."""
    index = len(texts) - 1
    while index and texts[index - 1] == texts[-1]:
        index -= 1
    return index


# --- a sentence through training ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Childhood:
    """What the snapshots of one run make of a sentence, in the order of their steps.

    All of them read the same target, what the last one wrote (`last`), so that their weights can be laid over each
    other; `losses` is its mean −log probability, in nats per token. `translations` are their own, and `cut` says which
    were stopped because they had not ended long after the last one's would have.
    """

    steps: tuple[int, ...]
    last: Run
    translations: tuple[str, ...]
    cut: tuple[bool, ...]
    losses: tuple[float, ...]
    weights: Mapping[str, Float[Array, "step layer head query key"]]
    seed: int


def childhood(snapshots: Mapping[int, Model], text: str, direction: Direction) -> Childhood:
    """Run a sentence through every snapshot; the step that wrote each is its key."""
    steps = sorted(snapshots)
    last = trace(snapshots[steps[-1]], text, direction=direction)
    read = [reread(snapshots[step], last, ()) for step in steps]
    limit = min(len(last.predicted_tokens) + FINISHES, longest_translation(len(last.source_tokens)))
    written = [translated(snapshots[step], last, limit) for step in steps]
    return Childhood(
        steps=tuple(steps),
        last=last,
        translations=tuple(text for text, _ in written),
        cut=tuple(cut for _, cut in written),
        losses=tuple(-float(run.log_probabilities.mean()) for run in read),
        weights={kind: np.stack([stacked(run, kind) for run in read]) for kind in KINDS},
        seed=int(snapshots[steps[-1]].card["seeds"][0]),
    )


@torch.inference_mode()
def translated(model: Model, run: Run, limit: int) -> tuple[str, bool]:
    """The greedy translation of a run's source, of `limit` tokens at most, and whether that cut it off."""
    tokenizer = model.tokenizer
    ids = torch.tensor([[token.id for token in run.source_tokens]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory = model.network.encode(ids, mask)
    start, end = tokenizer.start_id, tokenizer.end_id
    written = greedy(model.network, memory, mask, start=start, end=end, maximum=limit)[0]
    return tokenizer.decode(written), end not in written


def stacked(run: Run, kind: str) -> Float[Array, "layer head query key"]:
    """The weights of all heads of one kind, layer by layer."""
    stack, part = KINDS[kind]
    paths = [path for path in run.paths if path.startswith(f"{stack}.") and path.endswith(f"{part}.weights")]
    return np.stack([run.tensor(path).numpy() for path in paths])
