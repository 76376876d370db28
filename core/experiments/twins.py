"""What trained twins are compared in: their cost, what their first scores are made of, what order is to them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor

from core.checkpoint import Model
from core.decoding import greedy
from core.experiments.positions import equivariance_errors
from core.hooks import listen
from core.measures.cost import config_start, multiply_adds, peak_bytes, processor_milliseconds, weight_bytes
from core.measures.decomposition import ScoreParts
from core.network import Network
from core.run import Run
from core.tokens import Token

_one_at_a_time = Lock()  # PyTorch's profiler, which weighs the memory, serves one thread


@dataclass(frozen=True)
class Cost:
    """One pass over a sentence and its translation; `working_bytes` is the most that was held besides the weights."""

    parameters: int
    multiply_adds: int
    milliseconds: float
    weight_bytes: int
    working_bytes: int


def race(networks: Mapping[str, Network], source: int, target: int, rounds: int = 25) -> dict[str, Cost]:
    """The cost of each network for the same numbers of tokens, read and written.

    They take turns, in an order that changes (seeded), as each leaves the caches to its successor. The shortest
    processor time of each counts: other work on the machine only ever makes a pass longer.
    """
    order, dice = list(networks), random.Random(0)
    work = {name: _Pass(network, source, target) for name, network in networks.items()}
    with _one_at_a_time:
        working = {name: peak_bytes(each) for name, each in work.items()}
        best = dict.fromkeys(order, math.inf)
        for _ in range(rounds):
            dice.shuffle(order)
            best |= {name: min(best[name], processor_milliseconds(work[name])) for name in order}
    return {
        name: Cost(
            parameters=sum(weight.numel() for weight in network.parameters()),
            multiply_adds=multiply_adds(network.config, source, target).total,
            milliseconds=best[name],
            weight_bytes=weight_bytes(network),
            working_bytes=working[name],
        )
        for name, network in networks.items()
    }


@dataclass(frozen=True)
class _Pass:
    """One pass of a network over so many tokens; which tokens makes no difference."""

    network: Network
    source: int
    target: int

    @torch.inference_mode()
    def __call__(self) -> None:
        token = config_start(self.network.config)
        self.network(*(torch.full((1, length), token) for length in (self.source, self.target)))


def variance_shares(parts: ScoreParts, head: int) -> dict[str, float]:
    """The share of each part in how one head's scores differ along a row; shares sum to 1, and may be negative.

    A share is Cov(part, total) / Var(total), both centred in each row: a softmax does not see what is added to a whole
    row. Where no row of the total varies, all shares are 0.
    """
    names = [part.name for part in fields(parts)]
    total = centred(parts.total[head])
    variance = float((total * total).sum())
    covariances = {name: float((centred(getattr(parts, name)[head]) * total).sum()) for name in names}
    return {name: each / variance if variance else 0.0 for name, each in covariances.items()}


def centred(scores: Float[Array, "query key"]) -> Float[Array, "query key"]:
    """Scores without the mean of their row."""
    return np.asarray(scores - scores.mean(-1, keepdims=True))


@dataclass(frozen=True)
class Reordered:
    """A sentence read in another order: its translation, and how far each token's state moved in the encoder.

    `moved` are the largest entries of f(PX) − P f(X), in the new order.
    """

    translation: str
    moved: list[float]


@torch.inference_mode()
def reorder(model: Model, run: Run, order: Sequence[int]) -> Reordered:
    """Let the model that made `run` read the same source tokens in another order."""
    network, tokenizer = model.network, model.tokenizer
    ids = ids_of(run.source_tokens)[:, list(order)]
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory = network.encode(ids, mask)
    written = greedy(network, memory, mask, start=tokenizer.start_id, end=tokenizer.end_id)[0]
    moved = equivariance_errors(run.encoder.final_norm.output, memory[0], order)
    return Reordered(tokenizer.decode([each for each in written if each != tokenizer.end_id]), moved.tolist())


@dataclass(frozen=True, eq=False)
class Reading:
    """What a twin makes of the source tokens in some order.

    `reference` is the log-probability of a given translation (nats, all its tokens with the end), `weights` those of
    the first self-attention.
    """

    translation: str
    reference: float
    weights: Float[Tensor, "head query key"]


@torch.inference_mode()
def read_in_order(model: Model, tokens: Sequence[Token], order: Sequence[int], reference: str) -> Reading:
    """Let a model read source tokens in an order; raises core.positions.TooLong for more than it knows places for."""
    network, tokenizer = model.network, model.tokenizer
    ids = ids_of(tokens)[:, list(order)]
    mask = torch.ones_like(ids, dtype=torch.bool)
    path = "encoder.0.self_attention.weights"
    captured: dict[str, Tensor] = {}
    with listen(captured.__setitem__, paths=frozenset([path])):
        memory = network.encode(ids, mask)
    written = greedy(network, memory, mask, start=tokenizer.start_id, end=tokenizer.end_id)[0]
    target = ids_of(tokenizer.target(reference))
    given = network.decode(target[:, :-1], memory, mask).log_softmax(-1)
    return Reading(
        translation=tokenizer.decode([each for each in written if each != tokenizer.end_id]),
        reference=float(given.gather(-1, target[:, 1:, None]).sum()),
        weights=captured[path][0],
    )


@torch.inference_mode()
def reorder_target(model: Model, run: Run, order: Sequence[int]) -> list[float]:
    """How far each state moves in the decoder when it reads the same target tokens in another order."""
    memory = run.encoder.final_norm.output[None]
    path = "decoder.final_norm.output"
    captured: dict[str, Tensor] = {}
    with listen(captured.__setitem__, paths=frozenset([path])):
        mask = torch.ones(1, memory.shape[1], dtype=torch.bool)
        model.network.decode(ids_of(run.target_tokens)[:, list(order)], memory, mask)
    moved: list[float] = equivariance_errors(run.decoder.final_norm.output, captured[path][0], order).tolist()
    return moved


def ids_of(tokens: Sequence[Token]) -> Int[Tensor, "1 position"]:
    """Token numbers as a batch of one."""
    return torch.tensor([[token.id for token in tokens]])
