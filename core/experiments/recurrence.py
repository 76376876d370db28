"""What reading word by word does to a sentence: how far gradients reach, what states keep, what must wait (E09)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from core.checkpoint import Model
from core.decoding import follow, write
from core.measures import cost
from core.network import AnyConfig, Network, build
from core.recurrent import RecurrentConfig
from core.run import Run
from core.transformer import Transformer

SINGLE = float(torch.finfo(torch.float32).eps)
"""Beside a number of size 1, nothing smaller counts in single precision."""
PROBES = 32
NEVER = -1  # an end token that no network writes


# --- reading --------------------------------------------------------------------------------------------------------


def read(
    network: Network, embedded: Float[Tensor, "batch source content"]
) -> tuple[Float[Tensor, "batch source memory"], Float[Tensor, "batch last"]]:
    """What the encoder makes of word vectors: its states, and the last of them.

    That is where a recurrent decoder begins (of two directions, the last state of each beside the other's), and for
    comparison the state of a Transformer's last token.
    """
    mask = torch.ones(embedded.shape[:2], dtype=torch.bool)
    if isinstance(network, Transformer):
        memory: Tensor = network.encoder(network.source(embedded), mask[:, None, None])
        return memory, memory[:, -1]
    memory = network.encoder(network.source(embedded), mask)
    return memory, network.encoder.summary(memory)


def states_of(run: Run) -> Float[Tensor, "source memory"]:
    """The encoder's states in a run of either kind of network."""
    return run.tensor("encoder.output" if "encoder.output" in run.paths else "encoder.final_norm.output")


def looks_back(network: Network) -> bool:
    """Whether the decoder may read every state of the encoder, and not the last alone."""
    return isinstance(network, Transformer) or network.config.context == "attention"


# --- gradients by distance ------------------------------------------------------------------------------------------


def reaches(
    network: Network, embedded: Float[Tensor, "source content"], probes: int | None = None, seed: int = 0
) -> Float[Tensor, " source"]:
    """How far the last state moves, in shares of its length, per share that a word is pushed in a random direction.

    The root mean square over all directions is the Frobenius norm of the Jacobian over the root of the channels; with
    `probes` it is estimated from so many random combinations of the state's channels (Hutchinson 1989).
    """
    with torch.no_grad():
        last = read(network, embedded[None])[1][0]
    chance = torch.Generator().manual_seed(seed)
    wanted = torch.randn(probes, len(last), generator=chance) / math.sqrt(probes) if probes else torch.eye(len(last))
    copies = embedded.detach().expand(len(wanted), -1, -1).clone().requires_grad_()
    (jacobian,) = torch.autograd.grad((read(network, copies)[1] * wanted).sum(), copies)
    moved: Tensor = jacobian.norm(dim=(0, 2)) / math.sqrt(embedded.shape[-1])
    relative: Tensor = moved * embedded.norm(dim=-1) / last.norm()
    return relative


def reaches_of(run: Run) -> Float[Tensor, " source"]:
    """The same for the words of a sentence that a trained network has read."""
    return reaches(run.network, run.tensor("source.embedding").clone())


def output_reaches(run: Run) -> tuple[Float[Tensor, " source"], float]:
    """How far the probability of the last target token moves, in shares of it, per share that a source word is pushed.

    Again the root mean square over all directions: the norm of ∂ log p / ∂ word, times the word's length over the root
    of its channels. Beside it the probability. In double precision: where a reader is sure, the gradient is tiny.
    """
    network = deepcopy(run.network).double()
    words = run.tensor("source.embedding").double().requires_grad_()
    target = torch.tensor([[token.id for token in run.target_tokens]])
    memory = read(network, words[None])[0]
    logits = network.decode(target, memory, torch.ones(1, len(words), dtype=torch.bool))[0, -1]
    log_probability = logits.log_softmax(-1)[run.predicted_tokens[-1].id]
    (gradient,) = torch.autograd.grad(log_probability, words)
    relative: Tensor = gradient.norm(dim=-1) * words.detach().norm(dim=-1) / math.sqrt(words.shape[-1])
    return relative, float(log_probability.detach().exp())


def reaches_at_start(
    config: AnyConfig, length: int, *, seeds: int = 2, forget_bias: float | None = None, radius: float = 1.0
) -> list[float]:
    """The same by distance from the last word, before training: the geometric mean over seeds, random word vectors."""
    found = []
    for seed in range(seeds):
        network = fresh(config, seed, forget_bias=forget_bias, radius=radius)
        words = torch.randn(length, config.content_width, generator=torch.Generator().manual_seed(seed))
        found.append(reaches(network, words, PROBES).flip(0).clamp_min(torch.finfo(torch.float32).tiny).log())
    middle: list[float] = torch.stack(found).mean(0).exp().tolist()
    return middle


def fresh(config: AnyConfig, seed: int, *, forget_bias: float | None = None, radius: float = 1.0) -> Network:
    """An untrained network with two words of vocabulary.

    `forget_bias` is that of an LSTM; `radius` the length of every eigenvalue of a simple recurrent network's U, which
    begins as a rotation.
    """
    if isinstance(config, RecurrentConfig) and forget_bias is not None:
        config = replace(config, forget_bias=forget_bias)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(replace(config, vocabulary=2)).eval()
    if isinstance(config, RecurrentConfig) and config.cell == "tanh":
        for name, weight in network.encoder.named_parameters():
            weight.data *= radius if name.endswith("from_state.weight") else 1.0
    return network


def fall(values: Sequence[float]) -> float:
    """What a curve is multiplied with from one distance to the next: a line through the logarithms, from 1 on.

    1 for fewer than two distances.
    """
    logs = np.log(np.maximum(values[1:], np.finfo(np.float64).tiny))
    if len(logs) < 2:
        return 1.0
    return float(np.exp(np.polyfit(np.arange(len(logs)), logs, 1)[0]))


# --- what a state keeps ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """How far the encoder's states move when one word is another, in shares of what they move when all words are.

    `states` has a share for each position, `last` is that of the last state.
    """

    states: list[float]
    last: float


@torch.inference_mode()
def trace_of_word(
    model: Model, run: Run, place: int, others: Int[Tensor, " other"], words: Sequence[int], seed: int = 0
) -> Trace:
    """What the states know of the token at `place`: root mean squares over other tokens in its place.

    `words` are the places that count as all words; there each copy gets tokens of `others` by lot.
    """
    ids = torch.tensor([token.id for token in run.source_tokens])
    one, all_new = (ids.repeat(len(others), 1) for _ in range(2))
    one[:, place] = others
    lots = torch.randint(len(others), (len(others), len(words)), generator=torch.Generator().manual_seed(seed))
    all_new[:, list(words)] = others[lots]
    typed, single, every = (read(model.network, model.network.embed(each)) for each in (ids[None], one, all_new))
    states, last = (
        shares(moved(few, original), moved(many, original))
        for original, few, many in zip(typed, single, every, strict=True)
    )
    return Trace(states.tolist(), float(last))


def moved(after: Float[Tensor, "copy *position width"], before: Float[Tensor, "1 *position width"]) -> Tensor:
    """The root mean square distance of the copies from the original."""
    return (after - before).square().sum(-1).mean(0).sqrt()


def shares(parts: Float[Tensor, "*position"], wholes: Float[Tensor, "*position"]) -> Float[Tensor, "*position"]:
    """Parts of their wholes; nothing of nothing is 0."""
    return torch.where(wholes > 0, parts / wholes.clamp_min(torch.finfo(wholes.dtype).tiny), 0.0)


# --- what must wait -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turns:
    """How often the same weights must be used one time after the other, to read, to learn and to write."""

    reading: int
    learning: int
    writing: int
    chain: int  # operations of the encoder, each of which needs the one before


def turns(config: AnyConfig, source: int, target: int) -> Turns:
    """Counted in a network of its own, as it reads `source` tokens, reads `target` tokens, and writes as many."""
    network = fresh(config, 0)
    ids, asked = (torch.ones(1, length, dtype=torch.long) for length in (source, target))
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory = network.encode(ids, mask)
    return Turns(
        reading=most_uses(network, lambda: network.encode(ids, mask)),
        learning=most_uses(network, lambda: network.decode(asked, memory, mask)),
        writing=most_uses(network, lambda: written(network, memory.detach(), mask, target)),
        chain=longest_chain(memory),
    )


def written(network: Network, memory: Tensor, mask: Bool[Tensor, "1 source"], tokens: int) -> None:
    """Write so many tokens, whichever they are, each after the one before."""
    write(network, memory, mask, follow([1] * tokens), start=1, end=NEVER, maximum=tokens)


def most_uses(network: nn.Module, work: Callable[[], object]) -> int:
    """How often the module used most is used; no other thread may use the network meanwhile."""
    uses: Counter[nn.Module] = Counter()
    hooks = [module.register_forward_hook(lambda module, *_: uses.update([module])) for module in network.modules()]
    try:
        work()
    finally:
        for hook in hooks:
            hook.remove()
    return max(uses.values(), default=0)


def longest_chain(output: Tensor) -> int:
    """The most operations on any way from a weight to `output`, counted in the graph that autograd keeps."""
    depth: dict[object, int] = {None: 0}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting[-1]
        before = [] if node is None else [earlier for earlier, _ in node.next_functions]
        missing = [earlier for earlier in before if earlier not in depth]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        depth.setdefault(node, 1 + max((depth[earlier] for earlier in before), default=0))
    return depth[output.grad_fn]


@dataclass(frozen=True)
class Times:
    """Milliseconds of one thread's work: to read a sentence, to read its translation at once, to write that."""

    reading: float
    learning: float
    writing: float


@torch.inference_mode()
def times(configs: Mapping[str, AnyConfig], lengths: Sequence[int], rounds: int = 3) -> dict[str, list[Times]]:
    """The shortest times of several rounds, in which all networks and lengths take turns.

    Processor time: waiting for other work on the machine does not count.
    """
    works = {name: [_works(fresh(config, 0), length) for length in lengths] for name, config in configs.items()}
    found: dict[str, list[list[float]]] = {name: [[math.inf] * 3 for _ in lengths] for name in works}
    for _ in range(rounds):
        for name, at_lengths in works.items():
            for best, each in zip(found[name], at_lengths, strict=True):
                best[:] = [
                    min(so_far, cost.processor_milliseconds(work)) for so_far, work in zip(best, each, strict=True)
                ]
    return {name: [Times(*best) for best in at_lengths] for name, at_lengths in found.items()}


def _works(network: Network, length: int) -> tuple[Callable[[], None], ...]:
    ids = torch.ones(1, length, dtype=torch.long)
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory = network.encode(ids, mask)

    def reading() -> None:
        network.encode(ids, mask)

    def learning() -> None:
        network.decode(ids, memory, mask)

    return reading, learning, lambda: written(network, memory, mask, length)


def next_token(config: AnyConfig, source: int, past: int) -> int:
    """Multiply–adds of writing one more token after `past` ones, with all kept that can be kept."""
    if isinstance(config, RecurrentConfig):
        return cost.recurrent(config, source, 2).total - cost.recurrent(config, source, 1).total
    return cost.decoding(config, source, 1, past=past, recalls_source=True).total


def dearer_from(config: AnyConfig, other: AnyConfig, source: int, most: int = 4_096) -> int | None:
    """The fewest tokens written after which the next costs the first network more than the other; None up to `most`."""
    return next(
        (past for past in range(most) if next_token(config, source, past) > next_token(other, source, past)), None
    )
