"""Edits at work: the values of core.edits become listeners on the hook points of one context."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.attention import DIVISORS, Cache
from core.edits import (
    FINAL,
    SIDES,
    SUBLAYERS,
    Cell,
    Edit,
    FreezePosition,
    HeadEdit,
    HeadOff,
    Pattern,
    RemovePosition,
    Scale,
    SideEdit,
    SkipNorm,
    SkipResidual,
    SwapEmbeddings,
    SwapPositions,
    Temperature,
    heads,
    sublayer,
)
from core.hooks import listen
from core.network import Network, transformer
from core.transformer import Config

Action = Callable[[Tensor], Tensor | None]
"""What happens to the tensor at a hook point; None leaves it as it is."""


@dataclass
class Reading:
    """The target positions that a pass is about: with a cache, a pass begins where the last one ended."""

    network: Network
    cache: Cache | None = None
    first: int = 0

    def begin(self, edits: Sequence[Edit]) -> Cache:
        """A cache to write a translation with: one that keeps nothing where an edit needs that."""
        whole = any(edit.whole for edit in edits)
        self.cache = self.network.cache(keep=not whole)
        return self.cache

    def end(self) -> None:
        """From now on every pass reads from the first position."""
        self.cache = None

    def note(self, _: Tensor) -> None:
        """Hear the first tensor of a pass over the target."""
        self.first = self.cache.length if self.cache else 0


def editing(edits: Sequence[Edit], reading: Reading) -> AbstractContextManager[None]:
    """A block in which this context's passes are edited; the edits are taken to fit."""
    actions = actions_of(edits, reading)

    def hear(path: str, value: Tensor) -> Tensor:
        for action in actions[path]:
            edited = action(value)
            value = value if edited is None else edited
        return value

    return listen(*([hear] if edits else []), paths=actions)


def actions_of(edits: Sequence[Edit], reading: Reading) -> dict[str, list[Action]]:
    """What happens at each hook point, in order."""
    actions: dict[str, list[Action]] = {"target.embedding": [reading.note]}
    pairs = [*_on_attentions(edits, reading), *_on_sides(edits, reading)]
    for edit in edits:
        if isinstance(edit, SkipResidual):
            pairs += _skip_residual(edit.place)
        elif isinstance(edit, SkipNorm):
            pairs += _skip_norm(edit.place)
    for path, action in pairs:
        actions.setdefault(path, []).append(action)
    return actions


def _on_attentions(edits: Sequence[Edit], reading: Reading) -> Iterator[tuple[str, Action]]:
    attentions: dict[str, EditedAttention] = {}
    for edit in edits:
        if isinstance(edit, HeadEdit):
            config = transformer(reading.network).config
            for path, head in heads(edit.where).in_model(config):
                edited = attentions.setdefault(path, EditedAttention(edit.kind, config, reading))
                edited.note(edit, head)
    for path, edited in attentions.items():
        for point in ("scores", "mask", "weights", "head_outputs"):
            yield f"{path}.{point}", getattr(edited, point)


@dataclass
class EditedAttention:
    """The edits of one attention, head by head; of several edits on one spot the last counts.

    `allowed` is the mask of the pass that is under way.
    """

    kind: str
    config: Config
    reading: Reading
    scales: dict[int, float] = field(default_factory=dict)
    temperatures: dict[int, float] = field(default_factory=dict)
    cells: dict[tuple[int, int, int], bool] = field(default_factory=dict)
    instead: dict[int, str] = field(default_factory=dict)
    allowed: Tensor | None = None

    def note(self, edit: HeadEdit, head: int) -> None:
        """Take down an edit of one head."""
        if isinstance(edit, Scale):
            self.scales[head] = edit.factor
        elif isinstance(edit, Temperature):
            self.temperatures[head] = edit.value
        elif isinstance(edit, Cell):
            self.cells[head, edit.query, edit.key] = edit.open
        elif isinstance(edit, HeadOff | Pattern):
            self.instead[head] = edit.how if isinstance(edit, HeadOff) else edit.pattern

    @property
    def first(self) -> int:
        """The position of the first query of the pass."""
        return 0 if self.kind == "encoder" else self.reading.first

    def scores(self, value: Float[Tensor, "batch head query key"]) -> Tensor | None:
        """Scale and temperature."""
        own = 1 / DIVISORS[self.config.scale](self.config.width // self.config.heads)
        factors = {head: factor / own for head, factor in self.scales.items() if factor != own}
        for head, temperature in self.temperatures.items():
            factors[head] = factors.get(head, 1.0) / temperature
        return _with_heads(value, {head: value[:, head] * factor for head, factor in factors.items() if factor != 1.0})

    def mask(self, value: Bool[Tensor, "batch shared query key"]) -> Tensor:
        """Cells opened and closed; heads share a mask for as long as theirs are alike."""
        self.allowed = value
        rows, columns = value.shape[-2:]
        cells = {(head, query - self.first, key): wanted for (head, query, key), wanted in self.cells.items()}
        inside = {cell: wanted for cell, wanted in cells.items() if 0 <= cell[1] < rows and cell[2] < columns}
        edited = value.expand(-1, self.config.heads, -1, -1).clone() if inside else value
        for (head, row, column), wanted in inside.items():
            edited[:, head, row, column] = wanted
        if not torch.equal(edited, value.expand_as(edited)):
            self.allowed = edited[:, :1] if bool((edited == edited[:, :1]).all()) else edited
        return self.allowed

    def weights(self, value: Float[Tensor, "batch head query key"]) -> Tensor | None:
        """Weights that someone chose, over the keys that the mask allows."""
        chosen = {head: pattern for head, pattern in self.instead.items() if pattern in Pattern.PATTERNS}
        if not chosen or self.allowed is None:
            return None
        allowed = self.allowed.expand(-1, self.config.heads, -1, -1)
        found = {head: pattern_weights(pattern, allowed[:, head], self.first) for head, pattern in chosen.items()}
        return _with_heads(value, {head: weights.to(value.dtype) for head, weights in found.items()})

    def head_outputs(self, value: Float[Tensor, "batch head query channel"]) -> Tensor | None:
        """Outputs that no longer depend on what was looked at."""
        changes: dict[str, Callable[[Tensor], Tensor]] = {"zero": torch.zeros_like, "mean": self._mean}
        return _with_heads(
            value, {head: changes[how](value[:, head]) for head, how in self.instead.items() if how in changes}
        )

    def _mean(self, value: Float[Tensor, "batch query channel"]) -> Float[Tensor, "batch query channel"]:
        if self.kind == "encoder":
            return value.mean(1, keepdim=True).expand_as(value)
        return value.cumsum(1) / torch.arange(1, value.shape[1] + 1, dtype=value.dtype)[:, None]


def pattern_weights(
    pattern: str, allowed: Bool[Tensor, "batch query key"], first: int = 0
) -> Float[Tensor, "batch query key"]:
    """The weights of a Pattern for the queries from position `first` on; a row that may look at nothing stays zero."""
    if pattern == "uniform":
        return allowed.double() / allowed.sum(-1, keepdim=True).clamp_min(1)
    wanted = torch.arange(allowed.shape[-2])[:, None] + first - int(pattern == "previous")
    distance = (torch.arange(allowed.shape[-1]) - wanted).abs().expand_as(allowed)
    nearest = distance.masked_fill(~allowed, torch.iinfo(distance.dtype).max).argmin(-1, keepdim=True)
    return torch.zeros(allowed.shape, dtype=torch.double).scatter(-1, nearest, 1.0) * allowed


def _with_heads(value: Tensor, heads: dict[int, Tensor]) -> Tensor | None:
    """A copy of `value` in which these heads are replaced."""
    if not heads:
        return None
    edited = value.clone()
    for head, replacement in heads.items():
        edited[:, head] = replacement
    return edited


def _on_sides(edits: Sequence[Edit], reading: Reading) -> Iterator[tuple[str, Action]]:
    for side in SIDES:
        here = [edit for edit in edits if isinstance(edit, SideEdit) and edit.side == side]
        swaps = [edit for edit in here if isinstance(edit, SwapEmbeddings)]
        moves = [edit for edit in here if not isinstance(edit, SwapEmbeddings)]
        if swaps:
            yield f"{side}.embedding", EditedEmbeddings(swaps)
        if moves:
            yield f"{side}.position", EditedPositions(side, moves, reading)


@dataclass
class EditedEmbeddings:
    """Word vectors that changed places; a swap waits until both tokens are there."""

    swaps: Sequence[SwapEmbeddings]

    def __call__(self, value: Float[Tensor, "batch position content"]) -> Tensor | None:
        edited = value.clone()
        for swap in self.swaps:
            if max(swap.tokens) < value.shape[1]:
                edited[:, [swap.i, swap.j]] = edited[:, [swap.j, swap.i]]
        return edited


@dataclass
class EditedPositions:
    """Position vectors that changed; they are known before there is a token, so a pass may begin anywhere."""

    side: str
    moves: Sequence[SideEdit]
    reading: Reading

    def __call__(self, value: Float[Tensor, "batch position channel"]) -> Tensor | None:
        network = transformer(self.reading.network)
        first = 0 if self.side == "source" else self.reading.first
        last = first + value.shape[1]
        positions = (network.source if self.side == "source" else network.target).positions
        vectors: Tensor = positions(0, max(last, *(max(move.tokens) + 1 for move in self.moves))).clone()
        for move in self.moves:
            if isinstance(move, SwapPositions):
                vectors[[move.i, move.j]] = vectors[[move.j, move.i]]
            elif isinstance(move, FreezePosition):
                vectors[move.token] = positions(move.to, 1)[0]
            elif isinstance(move, RemovePosition):
                vectors[move.token] = 0.0
        return vectors[first:last].to(value.dtype).expand_as(value)


def _skip_residual(place: str) -> list[tuple[str, Action]]:
    stack, layer, name = sublayer(place)
    part, _, after = SUBLAYERS[f"{stack}.{name}"]
    return _recalled(f"{stack}.{layer}.{part}.output", f"{stack}.{layer}.{after}")


def _skip_norm(place: str) -> list[tuple[str, Action]]:
    if place in FINAL:
        norm = place.replace("final", "final_norm")
    else:
        stack, layer, name = sublayer(place)
        norm = f"{stack}.{layer}.{SUBLAYERS[f'{stack}.{name}'][1]}"
    return _recalled(f"{norm}.input", f"{norm}.output")


def _recalled(heard: str, replaced: str) -> list[tuple[str, Action]]:
    """What passes one hook point takes the place of what passes a later one."""
    last: list[Tensor] = []

    def hear(value: Tensor) -> None:
        last[:] = [value]

    return [(heard, hear), (replaced, lambda _: last[0])]
