"""What a model costs: weights counted, products counted by formula, time and memory measured."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.network import AnyConfig, Network
from core.recurrent import CELLS, RecurrentConfig
from core.transformer import Config


def parameters(network: nn.Module) -> dict[str, int]:
    """Weights of each part by its path; a weight that several parts share counts once, where it is first met."""
    return {
        name: count
        for name, part in network.named_children()
        if (count := sum(weight.numel() for weight in part.parameters()))
    }


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiplications, each with its addition, of one pass over a sentence pair; two floating-point operations each.

    `attention_scores` and `attention_values` are the only terms that grow with the square of the length. Norms,
    softmax and sums are left out: they are of lower order in the width.
    """

    projections: int
    attention_scores: int
    attention_values: int
    feed_forward: int
    output: int

    @property
    def total(self) -> int:
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    def __add__(self, other: MultiplyAdds) -> MultiplyAdds:
        return MultiplyAdds(*(one + more for one, more in zip(self.parts, other.parts, strict=True)))


def multiply_adds(config: AnyConfig, source: int, target: int) -> MultiplyAdds:
    """The products of encoding `source` tokens and decoding `target` tokens all at once, without a cache."""
    if isinstance(config, RecurrentConfig):
        return recurrent(config, source, target)
    return encoding(config, source) + decoding(config, source, target, scored=target)


def encoding(config: Config, source: int) -> MultiplyAdds:
    """The products of the encoder."""
    layers, width = config.encoder_layers, config.width
    looked_at = layers * source**2 * width
    fed = layers * source * 2 * width * inner_width(config)
    return MultiplyAdds(layers * 4 * source * width**2, looked_at, looked_at, fed, 0)


def decoding(
    config: Config, source: int, new: int, *, past: int = 0, recalls_source: bool = False, scored: int = 1
) -> MultiplyAdds:
    """The products of reading `new` target tokens after `past` ones whose keys and values are at hand.

    `recalls_source` is whether the keys and values of the encoder's output are at hand too. The last `scored` of the
    new tokens are compared with every piece of the vocabulary.
    """
    layers, width = config.decoder_layers, config.width
    looked_at = layers * new * (past + new + source) * width
    projected = layers * (6 * new + (0 if recalls_source else 2 * source))
    readout = 0 if width == config.content_width else new * width * config.content_width
    return MultiplyAdds(
        projections=projected * width**2,
        attention_scores=looked_at,
        attention_values=looked_at,
        feed_forward=layers * new * 2 * width * inner_width(config),
        output=readout + scored * config.content_width * config.vocabulary,
    )


def recurrent(config: RecurrentConfig, source: int, target: int) -> MultiplyAdds:
    """The products of a recurrent translator; those of its cells and maps count as projections."""
    width, memory, parts = config.width, config.memory_width, CELLS[config.cell].parts
    encoder = source * parts * memory * (config.content_width + width)
    decoder = target * parts * width * (config.content_width + memory + width)
    bridge = memory * width * CELLS[config.cell].states
    looks = config.context == "attention"
    attended = looks * (target * width**2 + source * memory * width)
    return MultiplyAdds(
        projections=encoder + decoder + bridge + attended,
        attention_scores=looks * target * source * width,
        attention_values=looks * target * source * memory,
        feed_forward=0,
        output=target * config.content_width * (width + memory + config.vocabulary),
    )


def inner_width(config: Config) -> int:
    """Neurons of each feed-forward network."""
    return 0 if config.activation == "none" else config.feed_forward


def weight_bytes(network: nn.Module) -> int:
    """Memory that the weights take as they are loaded."""
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


@dataclass(frozen=True)
class Measured:
    """Medians of repeated passes on this computer, one sentence pair at a time, on one thread."""

    milliseconds: float
    activation_bytes: int


def measure(network: Network, source: int, target: int, repeats: int = 5) -> Measured:
    """Time and memory of one pass over `source` and `target` tokens; which tokens makes no difference."""
    ids = [torch.full((1, length), config_start(network.config)) for length in (source, target)]
    mask = torch.ones_like(ids[0], dtype=torch.bool)

    def once() -> None:
        with torch.inference_mode():
            network(*ids, mask)

    return Measured(milliseconds(once, repeats), peak_bytes(once))


def config_start(config: AnyConfig) -> int:
    """Any token that is not padding."""
    return int((config.padding + 1) % config.vocabulary)


def milliseconds(work: Callable[[], None], repeats: int) -> float:
    """Median wall time, after one pass that warms up."""
    work()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(1_000 * (time.perf_counter() - begun))
    return statistics.median(times)


def processor_milliseconds(work: Callable[[], None]) -> float:
    """The time that this thread itself works."""
    begun = time.thread_time()
    work()
    return 1_000 * (time.thread_time() - begun)


def peak_bytes(work: Callable[[], None]) -> int:
    """Most memory that tensors made by `work` took at once; what existed before is not counted."""
    held = Held()
    with held:
        work()
    return held.peak


class Held(TorchDispatchMode):
    """Counts the bytes of storages while they live, whichever operation makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), options: Any = None
    ) -> Any:
        before = {storage_of(tensor) for tensor in tensors((arguments, options))}
        made = operation(*arguments, **(options or {}))
        for tensor in tensors(made):
            number = storage_of(tensor)
            if number not in before and number not in self.alive:
                storage = tensor.untyped_storage()
                self.alive[number] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, number)
        self.peak = max(self.peak, sum(self.alive.values()))
        return made


def tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def storage_of(tensor: Tensor) -> int:
    """A number that views of one storage share."""
    return int(tensor.untyped_storage()._cdata)
