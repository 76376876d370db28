"""One step of training, on one process or its share of one, and the state between two steps.

Every random number is a function of the seed, the step and the process, the place in the data is (epoch, batch),
and the learning rate depends on the progress alone; so the weights, the optimizer's moments and a few numbers are
the whole state, and a resumed run equals an uninterrupted one bit for bit on the same machine. With a bound in
minutes progress also follows the clock, which no two runs share: a resumed run then continues, but differs.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

from core.network import AnyConfig, Network, build
from core.training.data import Batch, Examples, epoch_order
from core.training.objective import LinearCrossEntropy
from core.training.schedules import CLIP, SCHEDULES
from core.variants import Recipe

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -3, -1, -2  # numbers of options in glibc's malloc.h
SLOTS = 4  # numbers that travel with the gradients: loss, right tokens, elapsed seconds, requests to stop
LOG_EVERY = 25
DIGITS = 4  # of the norms that are logged

Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run."""

    config: AnyConfig
    recipe: Recipe
    folder: Path
    data: str = ""
    seed: int = 0
    steps: int = 1_000
    minutes: float | None = None
    processes: int = 1
    device: str = "cpu"
    validate_every: int = 500

    def fingerprint(self) -> str:
        """What a stored state must share with the run that resumes it; the bound in minutes may change."""
        decisive = (asdict(self.config), asdict(self.recipe), self.data, self.seed, self.steps, self.processes)
        return hashlib.sha256(repr(decisive).encode()).hexdigest()[:16]

    @property
    def state_file(self) -> Path:
        return self.folder / "state.safetensors"


@dataclass(frozen=True)
class Place:
    """Where a run stands: steps taken, the next batch of the data, tokens seen (no padding) and seconds spent."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0


class FlatParameters:
    """All weights in one tensor, all gradients in another; the model's parameters become views of them.

    One buffer is reduced between processes, clipped and updated at once, instead of some hundred small ones. The
    gradient buffer ends in a few free slots, so that one reduction carries everything the processes must agree on.
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = list(model.parameters())
        count = sum(parameter.numel() for parameter in parameters)
        device = parameters[0].device
        self.weights = nn.Parameter(torch.empty(count, device=device))
        self.buffer = torch.zeros(count + SLOTS, device=device)
        self.gradients, self.slots = self.buffer[:count], self.buffer[count:]
        self.weights.grad = self.gradients
        start = 0
        for parameter in parameters:
            here = slice(start, start := start + parameter.numel())
            self.weights.data[here] = parameter.data.reshape(-1)
            parameter.data = self.weights.data[here].view_as(parameter)
            parameter.grad = self.gradients[here].view_as(parameter)


@dataclass
class Worker:
    """One process of a run: its replica of the model, and its share of each batch."""

    settings: Settings
    examples: Examples
    rank: int = 0
    place: Place = field(default_factory=Place)

    def __post_init__(self) -> None:
        torch.manual_seed(self.settings.seed)
        self.device = torch.device(self.settings.device)
        self.model = build(self.settings.config).to(self.device).train()
        self.flat = FlatParameters(self.model)
        self.optimizer = torch.optim.AdamW(
            [self.flat.weights],
            betas=(0.9, 0.98),
            eps=1e-9,
            weight_decay=self.settings.recipe.weight_decay,
            fused=True,
        )
        self.starts = self.examples.starts
        self.sizes = self.examples.source_lengths, self.examples.target_lengths
        self.order: tuple[int, list[NDArray[np.int64]]] | None = None

    def rows(self) -> NDArray[np.int64]:
        """The examples of the batch at the current place, of all processes together."""
        if self.order is None or self.order[0] != self.place.epoch:
            budget, seed = self.settings.recipe.batch_tokens, self.settings.seed
            self.order = self.place.epoch, epoch_order(self.examples, budget, seed, self.place.epoch)
        return self.order[1][self.place.batch]

    def next_place(self, rows: NDArray[np.int64], seconds: float) -> Place:
        """The place after the batch `rows`."""
        assert self.order is not None
        last = self.place.batch + 1 == len(self.order[1])
        return Place(
            step=self.place.step + 1,
            epoch=self.place.epoch + last,
            batch=0 if last else self.place.batch + 1,
            tokens=self.place.tokens + sum(int(sizes[rows].sum()) for sizes in self.sizes),
            seconds=seconds,
        )

    def step(self, seconds: float, stop: bool) -> tuple[Record, bool]:
        """One update of the weights; returns what to log, and whether some process was asked to stop.

        Each process adds the gradient of its rows, already divided by the tokens of the whole batch, so the sum
        over processes is the gradient of the batch.
        """
        settings, rows = self.settings, self.rows()
        mine = rows[self.rank :: settings.processes]
        torch.manual_seed(step_seed(settings.seed, self.place.step, self.rank))
        self.flat.buffer.zero_()
        loss, hits = torch.zeros(()), torch.zeros(())
        if len(mine):
            batch = self.examples.gather(mine, self.starts).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16):
                loss, hits = loss_sum(self.model, batch, self.examples.specials.pad)
            loss = loss / int(self.sizes[1][rows].sum())
            loss.backward()
        own = [loss.item(), hits.item(), 0.0 if self.rank else seconds, float(stop)]
        self.flat.slots.copy_(torch.tensor(own))
        if settings.processes > 1:
            distributed.all_reduce(self.flat.buffer)
        total, right, seconds, stops = self.flat.slots.tolist()
        norms = self.norms() if (self.place.step + 1) % LOG_EVERY == 0 else {}
        norm = clip(self.flat.gradients, CLIP)
        rate = learning_rate(settings, self.place.step, seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.place = self.next_place(rows, seconds)
        record: Record = {"step": self.place.step, "loss": total, "learning_rate": rate, "gradient_norm": norm}
        record["accuracy"] = right / int(self.sizes[1][rows].sum())
        return record | {"tokens": self.place.tokens, "seconds": round(seconds, 3)} | norms, stops > 0

    def norms(self) -> Record:
        """The norm of the gradient and of the weights of each layer, before the update."""
        parts: dict[str, list[nn.Parameter]] = {}
        for path, parameter in self.model.named_parameters():
            stack, _, rest = path.partition(".")
            number = rest.partition(".")[0]
            parts.setdefault(f"{stack}.{number}" if number.isdigit() else stack, []).append(parameter)
        gradients = {name: [each.grad for each in some if each.grad is not None] for name, some in parts.items()}
        return {"gradient_norms": norms_of(gradients), "weight_norms": norms_of(parts)}

    def buffers(self) -> dict[str, Tensor]:
        """What the model keeps besides weights: the running statistics of batch norm."""
        kept = self.model.state_dict(keep_vars=True)
        return {name: tensor for name, tensor in kept.items() if not isinstance(tensor, nn.Parameter)}

    def save(self, file: Path) -> None:
        """Write weights, moments and place; a file with this name is always complete."""
        moments = self.optimizer.state[self.flat.weights]
        tensors = {
            "weights": self.flat.weights.data,
            "mean": moments["exp_avg"],
            "square": moments["exp_avg_sq"],
            "updates": moments["step"],
        }
        tensors |= {f"buffer.{name}": buffer for name, buffer in self.buffers().items()}
        numbers = json.dumps(asdict(self.place))
        partial = file.with_name(f".{file.name}")
        save_file(tensors, partial, {"place": numbers, "fingerprint": self.settings.fingerprint()})
        partial.replace(file)

    def restore(self, file: Path) -> None:
        """Continue from a saved state; raises ValueError when it belongs to a run with other settings."""
        with safe_open(file, "pt", device=str(self.device)) as stored:
            about = stored.metadata()
            if about["fingerprint"] != self.settings.fingerprint():
                raise ValueError(f"{file} was written by a run with other settings; resume with the same ones")
            self.place = Place(**json.loads(about["place"]))
            self.flat.weights.data.copy_(stored.get_tensor("weights"))
            for name, buffer in self.buffers().items():
                buffer.copy_(stored.get_tensor(f"buffer.{name}"))
            self.optimizer.state[self.flat.weights] = {
                "step": stored.get_tensor("updates"),
                "exp_avg": stored.get_tensor("mean"),
                "exp_avg_sq": stored.get_tensor("square"),
            }


def loss_sum(model: Network, batch: Batch, pad: int) -> tuple[Tensor, Tensor]:
    """Cross-entropy, in nats, and right answers, each summed over the tokens that are not padding."""
    mask = batch.source != pad
    states = model.states(batch.decoder_input, model.encode(batch.source, mask), mask)
    asked = batch.expected != pad
    summed: tuple[Tensor, Tensor]
    summed = LinearCrossEntropy.apply(states[asked], model.embedding.weight, batch.expected[asked])
    return summed


def norms_of(tensors: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    """The Euclidean norm of all numbers of each group together, to a few digits."""
    return {
        name: float(f"{math.sqrt(sum(float(each.detach().square().sum()) for each in some)):.{DIGITS}g}")
        for name, some in tensors.items()
    }


def keep_memory() -> None:
    """Ask glibc to keep freed memory: pages fetched anew at every step make training on a CPU two times slower."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option, value in ((MMAP_THRESHOLD, 1 << 30), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 1 << 28)):
            library.mallopt(option, value)


def clip(gradients: Tensor, limit: float) -> float:
    """Scale the gradients to at most the norm `limit`, in place; returns the norm they had."""
    norm = float(torch.linalg.vector_norm(gradients))
    if norm > limit:
        gradients.mul_(limit / norm)
    return norm


def progress(settings: Settings, step: int, seconds: float) -> float:
    """How much of the run is over, 0 to 1: of its steps or of its minutes, whichever is further."""
    clock = seconds / (60 * settings.minutes) if settings.minutes else 0.0
    return min(1.0, max(step / settings.steps, clock))


def learning_rate(settings: Settings, step: int, seconds: float) -> float:
    """The recipe's schedule at this step."""
    recipe = settings.recipe
    return recipe.learning_rate * SCHEDULES[recipe.schedule](step + 1, recipe.warmup, progress(settings, step, seconds))


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of dropout at one step, so that no generator's state has to be stored."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)
