"""Translators from before attention was all: recurrent encoder and decoder (Sutskever et al. 2014, Cho et al. 2014),
with or without additive attention between them (Bahdanau et al. 2015), with hook points as the Transformer has."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import Cache, MultiHeadAttention, masked_softmax
from core.hooks import HookPoint, name_hook_points


@dataclass(frozen=True)
class RecurrentConfig:
    """Everything that decides the shape of a recurrent translator; `to_json` and `RecurrentConfig(**fields)` invert.

    `width` is that of a state, `content_width` of an embedding; `cell` and `context` name rows of CELLS and CONTEXTS;
    a `bidirectional` encoder reads from both ends.
    """

    vocabulary: int
    width: int
    content_width: int
    cell: str
    context: str = "last"
    bidirectional: bool = False
    padding: int = 0
    forget_bias: float = 1.0

    encoder_layers: ClassVar[int] = 1
    decoder_layers: ClassVar[int] = 1
    heads: ClassVar[int] = 1
    looks_ahead: ClassVar[bool] = False
    reach: ClassVar[int | None] = None

    @property
    def memory_width(self) -> int:
        """Channels of one encoder state as the decoder sees it, both directions beside each other."""
        return self.width * (1 + self.bidirectional)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


State = tuple[Tensor, ...]
"""What a cell hands to its next step: the hidden state first, (batch, width) each."""


class Cell(nn.Module, ABC):
    """What every row of CELLS decides: the next state from an input and the state before it.

    `parts` is how many blocks of width its weights have, `states` how many tensors its state holds. What an input
    contributes is computed for all positions at once; a step adds what the state contributes.
    """

    parts: ClassVar[int]
    states: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, forget_bias: float = 1.0) -> None:
        super().__init__()
        self.width = width
        self.from_input = nn.Linear(inputs, self.parts * width)
        self.from_state = nn.Linear(width, self.parts * width)

    @abstractmethod
    def step(self, given: Float[Tensor, "batch gates"], state: State) -> State:
        """The next state; `given` is `from_input` of the input."""

    def begin(self, batch: int) -> State:
        """A state of zeros."""
        nothing = self.from_state.weight.new_zeros(batch, self.width)
        return (nothing,) * self.states


class TanhCell(Cell):
    """h′ = tanh(W x + U h + b), the simple recurrent network of Elman 1990."""

    parts = 1

    def step(self, given: Float[Tensor, "batch gates"], state: State) -> State:
        return (torch.tanh(given + self.from_state(state[0])),)


class GatedRecurrentUnit(Cell):
    """h′ = (1 − z) ⊙ n + z ⊙ h with gates r, z and n = tanh(W x + r ⊙ (U h + b)) (Cho et al. 2014, as in PyTorch)."""

    parts = 3

    def step(self, given: Float[Tensor, "batch gates"], state: State) -> State:
        (hidden,) = state
        own = self.from_state(hidden)
        width = self.width
        reset, update = torch.sigmoid(given[:, : 2 * width] + own[:, : 2 * width]).chunk(2, -1)
        new = torch.tanh(given[:, 2 * width :] + reset * own[:, 2 * width :])
        return (torch.lerp(new, hidden.to(new.dtype), update.to(new.dtype)),)


class LongShortTermMemory(Cell):
    """c′ = f ⊙ c + i ⊙ g, h′ = o ⊙ tanh(c′) (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    The forget gate's bias begins at `forget_bias`: at 1 it is open, so that gradients live (Jozefowicz et al. 2015).
    """

    parts, states = 4, 2

    def __init__(self, inputs: int, width: int, forget_bias: float = 1.0) -> None:
        super().__init__(inputs, width)
        self.forget_bias = forget_bias

    def open_forget_gate(self) -> None:
        """Set the initial bias; the whole network is initialised after its parts are made."""
        nn.init.constant_(self.from_input.bias[self.width : 2 * self.width], self.forget_bias)

    def step(self, given: Float[Tensor, "batch gates"], state: State) -> State:
        hidden, memory = state
        gates = given + self.from_state(hidden)
        width = self.width
        let_in, keep = torch.sigmoid(gates[:, : 2 * width]).chunk(2, -1)
        memory = keep * memory + let_in * torch.tanh(gates[:, 2 * width : 3 * width])
        return torch.sigmoid(gates[:, 3 * width :]) * torch.tanh(memory), memory


CELLS: dict[str, type[Cell]] = {"tanh": TanhCell, "gru": GatedRecurrentUnit, "lstm": LongShortTermMemory}


class Reader(nn.Module):
    """One pass over a sentence, from its beginning or from its end; padding leaves the state as it is."""

    def __init__(self, config: RecurrentConfig, *, backwards: bool) -> None:
        super().__init__()
        self.cell = CELLS[config.cell](config.content_width, config.width, config.forget_bias)
        self.backwards = backwards
        self.states, self.cell_states = HookPoint(), HookPoint()

    def forward(
        self, x: Float[Tensor, "batch source content"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source width"]:
        """The hidden state at each position."""
        given, state = self.cell.from_input(x), self.cell.begin(len(x))
        seen: list[State] = []
        order = range(x.shape[1] - 1, -1, -1) if self.backwards else range(x.shape[1])
        for position in order:
            real = mask[:, position, None]
            after = self.cell.step(given[:, position], state)
            state = tuple(torch.where(real, new, old) for new, old in zip(after, state, strict=True))
            seen.append(state)
        ordered = seen[::-1] if self.backwards else seen
        self.cell_states.show(lambda: torch.stack([each[-1] for each in ordered], dim=1))
        return self.states(torch.stack([each[0] for each in ordered], dim=1))


class Record(dict[str, list[Tensor]]):
    """What each step of a decoding computed, (batch, ...) each, by the name of a hook point."""

    def note(self, **tensors: Tensor) -> None:
        """Append one step."""
        for name, tensor in tensors.items():
            self.setdefault(name, []).append(tensor)


class Context(nn.Module, ABC):
    """What every row of CONTEXTS decides: what of the source the decoder has before it at each step."""

    @abstractmethod
    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()

    @abstractmethod
    def prepare(self, memory: Float[Tensor, "batch *source memory"]) -> Tensor:
        """What is the same at every step."""

    @abstractmethod
    def forward(
        self,
        state: Float[Tensor, "batch width"],
        prepared: Tensor,
        memory: Float[Tensor, "batch source memory"],
        mask: Bool[Tensor, "batch source"],
        record: Record,
    ) -> Float[Tensor, "batch memory"]:
        """The context of one step; what led to it goes on record."""

    def show(self, record: Record) -> None:
        """Let listeners hear the steps of a pass, stacked."""


class LastState(Context):
    """The sentence as one vector, at every step the same (Cho et al. 2014): the bottleneck."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__(width, memory_width)

    def prepare(self, memory: Float[Tensor, "batch memory"]) -> Float[Tensor, "batch memory"]:
        return memory

    def forward(
        self,
        state: Float[Tensor, "batch width"],
        prepared: Float[Tensor, "batch memory"],
        memory: Float[Tensor, "batch source memory"],
        mask: Bool[Tensor, "batch source"],
        record: Record,
    ) -> Float[Tensor, "batch memory"]:
        return prepared


class AdditiveAttention(Context):
    """score(s, h) = v · tanh(W s + U h): a small network compares what a Transformer multiplies (Bahdanau et al. 2015).

    Listeners hear scores, mask and weights with a head axis of 1, as those of a Transformer's attention.
    """

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__(width, memory_width)
        self.query_projection = nn.Linear(width, width, bias=False)
        self.key_projection = nn.Linear(memory_width, width)
        self.score_projection = nn.Linear(width, 1, bias=False)
        self.query, self.scores, self.mask = HookPoint(), HookPoint(), HookPoint()
        self.weights, self.head_outputs = HookPoint(), HookPoint()

    def prepare(self, memory: Float[Tensor, "batch source memory"]) -> Float[Tensor, "batch source width"]:
        prepared: Tensor = self.key_projection(memory)
        return prepared

    def forward(
        self,
        state: Float[Tensor, "batch width"],
        prepared: Float[Tensor, "batch source width"],
        memory: Float[Tensor, "batch source memory"],
        mask: Bool[Tensor, "batch source"],
        record: Record,
    ) -> Float[Tensor, "batch memory"]:
        query = self.query_projection(state)
        scores = self.score_projection(torch.tanh(query[:, None] + prepared))[..., 0]
        weights = masked_softmax(scores, mask)
        output = (weights[:, None] @ memory.to(weights.dtype))[:, 0]
        record.note(query=query, scores=scores, mask=mask, weights=weights, head_outputs=output)
        return output

    def show(self, record: Record) -> None:
        for name, steps in record.items():
            if isinstance(point := getattr(self, name, None), HookPoint):
                point.show(lambda steps=steps: torch.stack(steps, dim=1)[:, None])  # type: ignore[misc]


CONTEXTS: dict[str, type[Context]] = {"last": LastState, "attention": AdditiveAttention}


class RecurrentCache(Cache):
    """What a decoding carries from step to step: the state, and how many tokens have been read."""

    def __init__(self) -> None:
        super().__init__(0)
        self.state: State = ()
        self.read = 0

    @property
    def length(self) -> int:
        return self.read

    def reorder(self, rows: Int[Tensor, " batch"]) -> None:
        """Let row i continue what row `rows[i]` began."""
        self.state = tuple(each[rows] for each in self.state)


class Source(nn.Module):
    """Where words become vectors; a recurrent network needs no positions, it reads in order."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = HookPoint()

    def forward(self, embedded: Float[Tensor, "batch position content"]) -> Float[Tensor, "batch position content"]:
        return self.embedding(embedded)


class RecurrentEncoder(nn.Module):
    """Reads the source from its beginning, and in a bidirectional one from its end too (Schuster & Paliwal 1997)."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.directions = nn.ModuleDict({"forwards": Reader(config, backwards=False)})
        if config.bidirectional:
            self.directions["backwards"] = Reader(config, backwards=True)
        self.width = config.width
        self.output = HookPoint()

    def forward(
        self, x: Float[Tensor, "batch source content"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source memory"]:
        return self.output(torch.cat([reader(x, mask) for reader in self.directions.values()], dim=-1))

    def summary(self, memory: Float[Tensor, "batch source memory"]) -> Float[Tensor, "batch memory"]:
        """The last state of each reading: padding leaves a state as it is, so it stands at the edge."""
        return torch.cat((memory[:, -1, : self.width], memory[:, 0, self.width :]), dim=-1)


class RecurrentDecoder(nn.Module):
    """One step for each target token: the context, the word before, the next state."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        width, memory_width = config.width, config.memory_width
        self.cell = CELLS[config.cell](config.content_width + memory_width, width, config.forget_bias)
        self.bridge = nn.Linear(memory_width, self.cell.states * width)
        self.cross_attention = CONTEXTS[config.context](width, memory_width)
        self.readout = nn.Linear(width + memory_width, config.content_width)
        self.states, self.cell_states, self.contexts = HookPoint(), HookPoint(), HookPoint()

    def begin(self, summary: Float[Tensor, "batch memory"]) -> State:
        """The first state, from the last ones of the encoder."""
        return tuple(torch.tanh(self.bridge(summary)).chunk(self.cell.states, -1))

    def forward(
        self,
        x: Float[Tensor, "batch target content"],
        memory: Float[Tensor, "batch source memory"],
        summary: Float[Tensor, "batch memory"],
        mask: Bool[Tensor, "batch source"],
        cache: RecurrentCache,
    ) -> Float[Tensor, "batch target content"]:
        state, record = cache.state or self.begin(summary), Record()
        prepared = self.cross_attention.prepare(summary if isinstance(self.cross_attention, LastState) else memory)
        for position in range(x.shape[1]):
            context = self.cross_attention(state[0], prepared, memory, mask, record)
            given = self.cell.from_input(torch.cat((x[:, position], context), dim=-1))
            state = self.cell.step(given, state)
            record.note(states=state[0], cell_states=state[-1], contexts=context)
        cache.state, cache.read = state, cache.read + x.shape[1]
        self.cross_attention.show(record)
        for name in ("states", "cell_states", "contexts"):
            getattr(self, name).show(lambda name=name: torch.stack(record[name], dim=1))
        seen = torch.cat([torch.stack(record[name], dim=1) for name in ("states", "contexts")], dim=-1)
        return torch.tanh(self.readout(seen))


class RecurrentTranslator(nn.Module):
    """Reads a source sentence and scores every next target token, one state after the other.

    It answers to the same calls as `core.transformer.Transformer`; one embedding serves source, target and output.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.content_width)
        self.source, self.target = Source(), Source()
        self.encoder, self.decoder = RecurrentEncoder(config), RecurrentDecoder(config)
        self.logits = HookPoint()
        self.apply(_initialise)
        self.paths = name_hook_points(self)
        self.attentions: dict[str, MultiHeadAttention] = {}

    def forward(
        self,
        source_ids: Int[Tensor, "batch source"],
        target_ids: Int[Tensor, "batch target"],
        source_mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch target vocab"]:
        """Logits for the token after each target token; `source_mask` is True at real tokens."""
        source_mask = source_ids != self.config.padding if source_mask is None else source_mask
        return self.decode(target_ids, self.encode(source_ids, source_mask), source_mask)

    def encode(
        self, source_ids: Int[Tensor, "batch source"], source_mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source memory"]:
        """The states that the decoder will read."""
        memory: Tensor = self.encoder(self.source(self.embed(source_ids)), source_mask)
        return memory

    def decode(
        self,
        target_ids: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source memory"],
        source_mask: Bool[Tensor, "batch source"],
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch target vocab"]:
        """Logits of the positions given; with a cache these continue the positions it has already read."""
        states = self.states(target_ids, memory, source_mask, cache)
        return self.logits(F.linear(states, self.embedding.weight))

    def states(
        self,
        target_ids: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source memory"],
        source_mask: Bool[Tensor, "batch source"],
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch target content"]:
        """What the tied embedding is multiplied with to score the next token."""
        cache = cache if isinstance(cache, RecurrentCache) else RecurrentCache()
        embedded = self.target(self.embed(target_ids))
        states: Tensor = self.decoder(embedded, memory, self.encoder.summary(memory), source_mask, cache)
        return states

    def cache(self, *, keep: bool = True) -> RecurrentCache:
        """Room for one decoding; a recurrent state cannot but be kept."""
        return RecurrentCache()

    def embed(self, ids: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position content"]:
        """Word vectors times √d, as the Transformer's."""
        embedded: Tensor = self.embedding(ids) * math.sqrt(self.config.content_width)
        return embedded


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Cell):
        for block in module.from_state.weight.data.chunk(module.parts):
            nn.init.orthogonal_(block)
        if isinstance(module, LongShortTermMemory):
            module.open_forget_gate()
