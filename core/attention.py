"""Attention as in Vaswani et al. 2017, section 3.2: functions for the formula, one module for the weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from core.hooks import HookPoint

DIVISORS: dict[str, Callable[[int], float]] = {"root": math.sqrt, "none": lambda channels: 1.0}
"""What a head of so many channels divides its products by; only "root" keeps their variance at 1."""


def scaled_scores(
    query: Float[Tensor, "*batch query channel"], key: Float[Tensor, "*batch key channel"], scale: str = "root"
) -> Float[Tensor, "*batch query key"]:
    """QKᵀ / √d_k: the scale keeps a score's variance at 1 whatever d_k is (section 3.2.1, footnote 4)."""
    return query @ key.transpose(-2, -1) / DIVISORS[scale](query.shape[-1])


def masked_softmax(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch #query #key"]
) -> Float[Tensor, "*batch query key"]:
    """Softmax over the keys each query may look at (mask True).

    A query that may look at nothing reads nothing: its row is zeros, where minus infinities alone give NaN.
    """
    hidden = ~mask
    return scores.masked_fill(hidden, -math.inf).softmax(-1).masked_fill(hidden, 0.0)


def weighted_values(
    weights: Float[Tensor, "*batch query key"], value: Float[Tensor, "*batch key channel"]
) -> Float[Tensor, "*batch query channel"]:
    """The mean of the values under each query's distribution over the keys."""
    return weights @ value


def attention(
    query: Float[Tensor, "*batch query channel"],
    key: Float[Tensor, "*batch key channel"],
    value: Float[Tensor, "*batch key width"],
    mask: Bool[Tensor, "*#batch #query #key"],
) -> Float[Tensor, "*batch query width"]:
    """softmax(QKᵀ / √d_k) V, equation 1 of the paper."""
    return weighted_values(masked_softmax(scaled_scores(query, key), mask), value)


def causal_mask(queries: int, keys: int, device: torch.device | None = None) -> Bool[Tensor, "query key"]:
    """True where a target position may look: at itself and before. The queries are the last of the keys."""
    everything = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return everything.tril(keys - queries)


def open_mask(queries: int, keys: int, device: torch.device | None = None) -> Bool[Tensor, "query key"]:
    """True everywhere: a decoder that may copy the word it is asked for."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device)


MASKS: dict[str, Callable[[int, int, torch.device | None], Tensor]] = {"causal": causal_mask, "open": open_mask}


def split_heads(
    stream: Float[Tensor, "batch position width"], heads: int
) -> Float[Tensor, "batch {heads} position channel"]:
    """Give each head its own slice of the width."""
    batch, count, width = stream.shape
    return stream.view(batch, count, heads, width // heads).transpose(1, 2)


def merge_heads(
    outputs: Float[Tensor, "batch head position channel"],
) -> Float[Tensor, "batch position width"]:
    """Lay the heads side by side again, in order: the concatenation of section 3.2.2."""
    return outputs.transpose(1, 2).flatten(2)


def contributions(
    outputs: Float[Tensor, "batch head position channel"], output_weight: Float[Tensor, "width joined"]
) -> Float[Tensor, "batch head position width"]:
    """What each head alone writes to the stream: Concat(heads) W_O is the sum over heads of heads_h W_O^h."""
    width, heads = output_weight.shape[0], outputs.shape[1]
    return outputs @ output_weight.view(width, heads, -1).permute(1, 2, 0)


KeysValues = tuple[Tensor, Tensor]
Keep = Callable[[Callable[[Tensor], KeysValues], Tensor], KeysValues]
"""Turns vectors into the keys and values to look at, by projecting them now or recalling earlier ones."""


def keep_nothing(project: Callable[[Tensor], KeysValues], vectors: Tensor) -> KeysValues:
    """Project what is given and forget it."""
    return project(vectors)


@dataclass
class Kept:
    """The keys and values one attention has kept, (batch, head, position, channel) each; this one keeps none."""

    pair: KeysValues | None = None

    def __call__(self, project: Callable[[Tensor], KeysValues], vectors: Tensor) -> KeysValues:
        return project(vectors)

    def reorder(self, rows: Int[Tensor, " batch"]) -> None:
        """Continue from other batch rows: beam search drops a hypothesis and doubles another."""
        if self.pair is not None:
            self.pair = self.pair[0][rows], self.pair[1][rows]


class Growing(Kept):
    """Keys and values of a target read so far; each call appends those of its new positions."""

    def __call__(self, project: Callable[[Tensor], KeysValues], vectors: Tensor) -> KeysValues:
        key, value = project(vectors)
        if self.pair is not None:
            key = torch.cat((self.pair[0], key), dim=2)
            value = torch.cat((self.pair[1], value), dim=2)
        self.pair = key, value
        return self.pair


class Fixed(Kept):
    """Keys and values of the encoder's output: projected at the first call, recalled ever after."""

    def __call__(self, project: Callable[[Tensor], KeysValues], vectors: Tensor) -> KeysValues:
        if self.pair is None:
            self.pair = project(vectors)
        return self.pair


@dataclass
class LayerCache:
    """What one decoder layer keeps between steps."""

    self_attention: Kept = field(default_factory=Growing)
    cross_attention: Kept = field(default_factory=Fixed)


class Cache:
    """The keys and values of one decoding, so that a step computes only its own token.

    Where a later token changes what earlier ones are (an edit may do that), `keep=False` reads everything again.
    """

    def __init__(self, layers: int, *, keep: bool = True) -> None:
        self.layers = tuple(LayerCache() if keep else LayerCache(Kept(), Kept()) for _ in range(layers))

    @property
    def length(self) -> int:
        """How many target positions have been read and need not be read again."""
        pair = self.layers[0].self_attention.pair
        return 0 if pair is None else pair[0].shape[2]

    def reorder(self, rows: Int[Tensor, " batch"]) -> None:
        """Let row i continue what row `rows[i]` began; there may be more rows than before, or fewer."""
        for layer in self.layers:
            layer.self_attention.reorder(rows)
            layer.cross_attention.reorder(rows)


def dropped(x: Float[Tensor, "*shape"], probability: float, training: bool) -> Float[Tensor, "*shape"]:
    """Dropout that costs nothing where it does nothing."""
    return F.dropout(x, probability) if training and probability else x


class Relative(nn.Module):
    """How an attention itself learns where tokens stand; this row, the paper's, leaves that to the stream."""

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()

    def turn(
        self, vectors: Float[Tensor, "batch head position channel"], first: int
    ) -> Float[Tensor, "batch head position channel"]:
        """Queries or keys of the positions from `first` on, as they are compared."""
        return vectors

    def shift(self, scores: Float[Tensor, "batch head query key"], first: int) -> Float[Tensor, "batch head query key"]:
        """Scores of the queries from position `first` on with all keys."""
        return scores


class MultiHeadAttention(nn.Module):
    """h attentions side by side, each on its own projection of width / h channels (section 3.2.2).

    `relative` is told of the positions; queries are the last of the keys where it matters, in self-attention.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        *,
        scale: str = "root",
        relative: type[Relative] = Relative,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share a width of {width} equally")
        self.heads = heads
        self.query_projection = nn.Linear(width, width)
        self.key_projection = nn.Linear(width, width)
        self.value_projection = nn.Linear(width, width)
        self.output_projection = nn.Linear(width, width)
        self.dropout = dropout
        self.scale = scale
        self.relative = relative(heads, width // heads)
        self.query, self.key, self.value = HookPoint(), HookPoint(), HookPoint()
        self.scores, self.mask, self.weights = HookPoint(), HookPoint(), HookPoint()
        self.head_outputs, self.head_contributions, self.output = HookPoint(), HookPoint(), HookPoint()

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        memory: Float[Tensor, "batch memory width"],
        mask: Bool[Tensor, "#batch #head #query key"],
        keep: Keep = keep_nothing,
    ) -> Float[Tensor, "batch query width"]:
        first = mask.shape[-1] - queries.shape[1]
        query = self.query(self.relative.turn(split_heads(self.query_projection(queries), self.heads), first))
        key, value = keep(partial(self.project, first=first), memory)
        scores = self.scores(self.relative.shift(scaled_scores(query, key, self.scale), first))
        mask = self.mask(mask.expand(-1, -1, *scores.shape[-2:]))
        weights = self.weights(masked_softmax(scores, mask))
        weights = dropped(weights, self.dropout, self.training)
        outputs = self.head_outputs(weighted_values(weights, value))
        self.head_contributions.show(lambda: contributions(outputs, self.output_projection.weight))
        return self.output(self.output_projection(merge_heads(outputs)))

    def project(self, memory: Float[Tensor, "batch position width"], first: int = 0) -> KeysValues:
        """Keys and values of each head, (batch, head, position, channel)."""
        key = self.key(self.relative.turn(split_heads(self.key_projection(memory), self.heads), first))
        value = self.value(split_heads(self.value_projection(memory), self.heads))
        return key, value
