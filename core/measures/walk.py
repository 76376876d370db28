"""One head at one query token, every step worked out again from what the model's own step read.

Everything is computed in double precision from captured tensors and the weights, so the difference from what the model
wrote at the same step is rounding, unless someone edited a tensor on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from core.attention import DIVISORS, MultiHeadAttention
from core.measures.decomposition import numbers, streams
from core.norms import Norm
from core.positions import Rotations, rotate
from core.run import Run
from core.transformer import Config

Kind = Literal["encoder", "decoder", "cross"]
Vector = Float[Array, " width"]

STEPS = (
    "vector",
    "norm",
    "projections",
    "scores",
    "scale",
    "mask",
    "softmax",
    "values",
    "slice",
    "heads",
    "residual",
    "next_norm",
)
"""A token's way through one attention, in order."""


@dataclass(frozen=True)
class Place:
    """One cell of one head, all numbers counted from 0."""

    kind: Kind
    layer: int
    head: int
    query: int
    key: int


@dataclass(frozen=True)
class Sublayer:
    """The paths around one attention.

    Keys and values are made from `memory`; `earlier` are the sub-layers that came before, in order, each with the norm
    that stands before it.
    """

    attention: str
    norm: str
    after: str
    next_norm: str
    memory: str
    side: Literal["source", "target"]
    earlier: tuple[tuple[str, str], ...]


_IN_DECODER = ("self_attention", "cross_attention", "feed_forward")


def sublayer(kind: Kind, layer: int) -> Sublayer:
    """Where the attention of one kind and layer has its tensors."""
    stack = "encoder" if kind == "encoder" else "decoder"
    name = "cross_attention" if kind == "cross" else "self_attention"
    short = {"self_attention": "attention"} if kind == "encoder" else {}
    parts = ("self_attention", "feed_forward") if kind == "encoder" else _IN_DECODER
    norm = "norm_before_attention" if kind == "encoder" else f"norm_before_{name}"
    place = f"{stack}.{layer}"
    below = [
        (f"{stack}.{each}.{part}", f"{stack}.{each}.norm_before_{short.get(part, part)}")
        for each in range(layer)
        for part in parts
    ]
    own = f"{place}.{norm}.output"
    return Sublayer(
        attention=f"{place}.{name}",
        norm=f"{place}.{norm}",
        after=f"{place}.after_attention" if kind == "encoder" else f"{place}.after_{name}",
        next_norm=f"{place}.norm_before_{'cross_attention' if kind == 'decoder' else 'feed_forward'}",
        memory="encoder.final_norm.output" if kind == "cross" else own,
        side="source" if kind == "encoder" else "target",
        earlier=(*below, (f"{place}.self_attention", f"{place}.norm_before_self_attention"))
        if kind == "cross"
        else tuple(below),
    )


@dataclass(frozen=True, eq=False)
class Normed:
    """A norm at one token: output = gain · normalized + bias.

    Mean and variance are one number where the channels of a token share them, else one for each channel.
    """

    input: Vector
    mean: Float[Array, " #width"]
    variance: Float[Array, " #width"]
    epsilon: float
    normalized: Vector
    gain: Vector
    bias: Vector

    @property
    def output(self) -> Vector:
        """The token as the next sub-layer reads it."""
        return np.asarray(self.gain * self.normalized + self.bias)


@dataclass(frozen=True, eq=False)
class Projection:
    """One head's share of a linear map at one token: weight · input + bias, then turned by `angles` (RoPE), if any."""

    input: Vector
    weight: Float[Array, "channel width"]
    bias: Float[Array, " channel"]
    angles: Float[Array, " pair"] | None = None

    @property
    def mapped(self) -> Float[Array, " channel"]:
        """weight · input + bias."""
        return np.asarray(self.weight @ self.input + self.bias)

    @property
    def output(self) -> Float[Array, " channel"]:
        """The query, key or value."""
        if self.angles is None:
            return self.mapped
        return rotate(torch.from_numpy(self.mapped[None]), torch.from_numpy(self.angles[None]))[0].numpy()


@dataclass(frozen=True, eq=False)
class Softmaxed:
    """One row of a softmax: exponentials of score − largest score, 0 at closed keys, and the sum of them."""

    largest: float
    exponentials: Float[Array, " key"]

    @property
    def normaliser(self) -> float:
        """What every exponential is divided by."""
        return float(self.exponentials.sum())

    @property
    def weights(self) -> Float[Array, " key"]:
        """The row, which sums to 1; zeros where every key is closed."""
        return self.exponentials / (self.normaliser or 1.0)


class Walk:
    """The steps of `STEPS` for one place in one run; each property is what that step computes."""

    def __init__(self, run: Run, place: Place) -> None:
        self.run, self.place, self.paths = run, place, sublayer(place.kind, place.layer)

    # --- before the head --------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The rows that the model is built from."""
        return self.run.transformer.config

    @cached_property
    def addends(self) -> dict[str, Vector]:
        """What the query token's vector is the sum of, by path: word, position, and what earlier sub-layers wrote.

        With the norm after the sum, it is what the last sub-layer read and what it wrote; without residuals, what the
        last sub-layer wrote.
        """
        earlier = [f"{part}.output" for part, _norm in self.paths.earlier]
        last = [f"{norm}.output" for _part, norm in self.paths.earlier[-1:]]
        written = {"pre-norm": earlier, "post-norm": [*last, *earlier[-1:]], "none": earlier[-1:]}[self.config.residual]
        begun = {} if earlier and self.config.residual != "pre-norm" else self._begun()
        return begun | {name: self._captured(name, self.place.query) for name in written}

    def _begun(self) -> dict[str, Vector]:
        """Word and position as they enter layer 0, each in the channels that it has there."""
        side, network = self.paths.side, self.run.transformer
        source = side == "source"
        parts = streams(*(network.source, self.run.source) if source else (network.target, self.run.target))
        names = (f"{side}.embedding", f"{side}.position")
        return {name: part[self.place.query] for name, part in zip(names, parts, strict=True)}

    @property
    def vector(self) -> Vector:
        """The query token in the residual stream."""
        return np.asarray(np.sum(list(self.addends.values()), axis=0))

    @cached_property
    def norm(self) -> Normed:
        """The norm before the attention, which makes what queries are projected from."""
        return self._normed(self.paths.norm)

    @cached_property
    def projections(self) -> dict[str, Projection]:
        """The query of the query token, the key and the value of the key token."""
        own = self._captured(f"{self.paths.norm}.output", self.place.query)
        read = self._captured(self.paths.memory, self.place.key)
        inputs = {"query": own, "key": read, "value": read}
        places = {"query": self.place.query, "key": self.place.key}
        return {name: self._projection(name, vector, places.get(name)) for name, vector in inputs.items()}

    # --- inside the head --------------------------------------------------------------------------------------------

    @cached_property
    def query(self) -> Float[Array, " channel"]:
        """The model's own query of this token."""
        return self._captured(f"{self.paths.attention}.query", *self._row)

    @cached_property
    def keys(self) -> Float[Array, "key channel"]:
        """The model's own keys."""
        return self._captured(f"{self.paths.attention}.key", self.place.head)

    @cached_property
    def values(self) -> Float[Array, "key channel"]:
        """The model's own values."""
        return self._captured(f"{self.paths.attention}.value", self.place.head)

    @property
    def products(self) -> Float[Array, " channel"]:
        """The terms q_i k_i of the chosen score; their sum is q · k."""
        return np.asarray(self.query * self.keys[self.place.key])

    @property
    def raw_scores(self) -> Float[Array, " key"]:
        """q · k for every key, not yet scaled."""
        return np.asarray(self.keys @ self.query)

    @property
    def divisor(self) -> float:
        """√d_k, or 1 in a model that does not divide."""
        return DIVISORS[self.config.scale](len(self.query))

    @cached_property
    def biases(self) -> Float[Array, " key"]:
        """What distance takes from every score (ALiBi); zeros in other models."""
        path = f"{self.paths.attention}.relative.bias"
        return self._captured(path, *self._row) if path in self.run.paths else np.zeros(len(self.keys))

    @property
    def scores(self) -> Float[Array, " key"]:
        """q · k / √d_k for every key, with the bias of its distance."""
        return np.asarray(self.raw_scores / self.divisor + self.biases)

    @cached_property
    def open(self) -> Bool[Array, " key"]:
        """Which keys the mask lets this query look at."""
        mask = self.run.tensor(f"{self.paths.attention}.mask").numpy()
        return np.asarray(mask[self.place.query] if mask.ndim == 2 else mask[self._row])

    @property
    def masked_scores(self) -> Float[Array, " key"]:
        """Scores with −∞ at closed keys."""
        return np.where(self.open, self.scores, -np.inf)

    @cached_property
    def softmax(self) -> Softmaxed:
        """The row's exponentials and normaliser, from the model's own scores."""
        scores = self._captured(f"{self.paths.attention}.scores", *self._row)
        shown = np.where(self.open, scores, -np.inf)
        largest = float(shown.max()) if self.open.any() else 0.0
        return Softmaxed(largest, np.exp(shown - largest))

    @property
    def terms(self) -> Float[Array, "key channel"]:
        """weight · value of every key: their sum is the expectation of the value under the row."""
        return np.asarray(self._captured(f"{self.paths.attention}.weights", *self._row)[:, None] * self.values)

    @property
    def head_output(self) -> Float[Array, " channel"]:
        """What the head read."""
        return np.asarray(self.terms.sum(0))

    # --- after the head ---------------------------------------------------------------------------------------------

    @cached_property
    def slices(self) -> Float[Array, "head width channel"]:
        """W_O cut into the columns that meet each head."""
        weight = numbers(self._attention.output_projection.weight)
        return np.asarray(weight.reshape(len(weight), self._attention.heads, -1).transpose(1, 0, 2))

    @cached_property
    def contributions(self) -> Float[Array, "head width"]:
        """What each head writes to the stream at this token."""
        outputs = self._captured(f"{self.paths.attention}.head_outputs", slice(None), self.place.query)
        return np.asarray(np.einsum("hwc,hc->hw", self.slices, outputs))

    @property
    def output_bias(self) -> Vector:
        """What W_O adds whatever the heads read."""
        return numbers(self._attention.output_projection.bias)

    @property
    def output(self) -> Vector:
        """All heads summed."""
        return np.asarray(self.contributions.sum(0) + self.output_bias)

    @property
    def residual(self) -> Vector:
        """What the attention adds to, and what it adds."""
        change = self._captured(f"{self.paths.attention}.output", self.place.query)
        return np.asarray(self.base + change)

    @property
    def base(self) -> Vector:
        """What the attention's output is added to: the stream, the same normed (post-LN), or nothing."""
        paths, query = self.paths, self.place.query
        own = {"pre-norm": f"{paths.norm}.input", "post-norm": f"{paths.norm}.output"}.get(self.config.residual)
        return self._captured(own, query) if own else np.zeros(self.config.width)

    @cached_property
    def next_norm(self) -> Normed:
        """The norm before the next sub-layer."""
        return self._normed(self.paths.next_norm)

    # --- what it comes to -------------------------------------------------------------------------------------------

    def figures(self, step: str) -> tuple[float, ...]:
        """The numbers that the code of a step prints: a score, a weight, or the length of a vector."""
        key = self.place.key
        cells = {"scores": self.raw_scores, "scale": self.scores, "mask": self.masked_scores}
        if step in cells:
            return (float(cells[step][key]),)
        if step == "softmax":
            return (float(self.softmax.weights[key]),)
        return tuple(length(found) for found, _ in self._results(step))

    def error(self, step: str) -> float:
        """The largest difference between what a step computes and the model's own tensor, over all its entries.

        The model has no unscaled scores, so `scores` compares the scaled sum of the products; `mask` is the largest
        weight that the model gave to a closed key.
        """
        return max(float(np.abs(found - own).max()) for found, own in self._results(step))

    def _results(self, step: str) -> list[tuple[Array, Array]]:
        """What a step computes here, beside what the model computed."""
        paths, (head, query), key = self.paths, self._row, self.place.key

        def own(name: str, *index: int) -> Array:
            return self._captured(f"{paths.attention}.{name}", *index)

        results: dict[str, Callable[[], list[tuple[Array, Array]]]] = {
            "vector": lambda: [(self.vector, self._captured(f"{paths.norm}.input", query))],
            "norm": lambda: [(self.norm.output, self._captured(f"{paths.norm}.output", query))],
            "projections": lambda: [
                (each.output, own(name, head, query if name == "query" else key))
                for name, each in self.projections.items()
            ],
            "scores": lambda: [
                (np.asarray(self.products.sum() / self.divisor + self.biases[key]), own("scores", head, query, key))
            ],
            "scale": lambda: [(self.scores, own("scores", head, query))],
            "mask": lambda: [(np.where(self.open, own("weights", head, query), 0.0), own("weights", head, query))],
            "softmax": lambda: [(self.softmax.weights, own("weights", head, query))],
            "values": lambda: [(self.head_output, own("head_outputs", head, query))],
            "slice": lambda: [(self.contributions[head], own("head_contributions", head, query))],
            "heads": lambda: [(self.output, own("output", query))],
            "residual": lambda: [(self.residual, self._captured(paths.after, query))],
            "next_norm": lambda: [(self.next_norm.output, self._captured(f"{paths.next_norm}.output", query))],
        }
        return results[step]()

    # --- from the run -----------------------------------------------------------------------------------------------

    @property
    def _row(self) -> tuple[int, int]:
        return self.place.head, self.place.query

    @property
    def _attention(self) -> MultiHeadAttention:
        return self.run.network.attentions[self.paths.attention]

    def _captured(self, path: str, *index: int | slice) -> Array:
        return numbers(self.run.tensor(path)[index])

    def _normed(self, path: str) -> Normed:
        layer = self.run.network.get_submodule(path)
        assert isinstance(layer, Norm)
        entered = self.run.tensor(f"{path}.input").double()
        own, tokens = numbers(entered[self.place.query]), len(entered)
        mean, variance = (
            numbers(each.expand(1, tokens, -1)[0, self.place.query]) for each in layer.statistics(entered[None])
        )
        normalized = np.asarray((own - mean) / np.sqrt(variance + layer.epsilon))
        return Normed(own, mean, variance, layer.epsilon, normalized, numbers(layer.gain), numbers(layer.bias))

    def _projection(self, name: str, vector: Vector, position: int | None) -> Projection:
        layer, relative = getattr(self._attention, f"{name}_projection"), self._attention.relative
        rows = slice(self.place.head * len(self.query), (self.place.head + 1) * len(self.query))
        turned = isinstance(relative, Rotations) and position is not None
        angles = numbers(relative.get_buffer("frequencies")) * position if turned else None
        return Projection(vector, numbers(layer.weight[rows]), numbers(layer.bias[rows]), angles)


def length(vector: Float[Array, "*shape"]) -> float:
    """‖·‖."""
    return float(np.linalg.norm(vector))
