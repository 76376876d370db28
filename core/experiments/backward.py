"""How the error comes back through one attention: the formulas by hand, beside autograd, and by which way (E18).

Everything is in float64 if the network is. The loss is −log p of the expected tokens, its mean over the places asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from core.attention import DIVISORS, MultiHeadAttention, masked_softmax, merge_heads
from core.edits import SUBLAYERS
from core.experiments.decoding import Sentence
from core.hooks import listen
from core.norms import LayerNorm, Norm
from core.positions import Rotations, rotate
from core.transformer import Transformer

PLACES = {"encoder": "encoder.attention", "decoder": "decoder.attention", "cross": "decoder.cross"}
"""Each kind of attention as a row of `core.edits.SUBLAYERS`."""


def paths_of(kind: str, layer: int) -> tuple[str, str, str]:
    """An attention, the norm before it, and the stream after it."""
    stack = PLACES[kind].split(".")[0]
    attention, norm, after = (f"{stack}.{layer}.{name}" for name in SUBLAYERS[PLACES[kind]])
    return attention, norm, after


# --- one head -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Gradients:
    """∂loss/∂ of everything that heads compute, all heads of one attention at once."""

    head_outputs: Float[Tensor, "head query channel"]
    value: Float[Tensor, "head key channel"]
    weights: Float[Tensor, "head query key"]
    scores: Float[Tensor, "head query key"]
    query: Float[Tensor, "head query channel"]
    key: Float[Tensor, "head key channel"]


def by_hand(
    query: Float[Tensor, "head query channel"],
    key: Float[Tensor, "head key channel"],
    value: Float[Tensor, "head key channel"],
    weights: Float[Tensor, "head query key"],
    head_outputs: Float[Tensor, "head query channel"],
    scale: str = "root",
) -> Gradients:
    """The chain rule written out, from ∂loss/∂O = `head_outputs` back to Q, K and V; dS is that of QKᵀ / √d_k.

    `scale` names the row of DIVISORS that the model divides by.
    """
    by = 1 / DIVISORS[scale](query.shape[-1])
    d_value = weights.mT @ head_outputs
    d_weights = head_outputs @ value.mT
    d_scores = weights * (d_weights - (d_weights * weights).sum(-1, keepdim=True))
    return Gradients(
        head_outputs=head_outputs,
        value=d_value,
        weights=d_weights,
        scores=d_scores,
        query=by * d_scores @ key,
        key=by * d_scores.mT @ query,
    )


def through_norm(
    norm: Norm, x: Float[Tensor, "position width"], gradient: Float[Tensor, "position width"]
) -> Float[Tensor, "position width"]:
    """∂loss/∂x of any norm from ∂loss/∂ of its output: by hand for a layer norm, by autograd for the others."""
    if isinstance(norm, LayerNorm):
        return norm_by_hand(norm, x, gradient)
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        (back,) = torch.autograd.grad(norm(leaf[None])[0], leaf, gradient)
    return back


def norm_by_hand(
    norm: LayerNorm, x: Float[Tensor, "position width"], gradient: Float[Tensor, "position width"]
) -> Float[Tensor, "position width"]:
    """∂loss/∂x of a layer norm from ∂loss/∂ of its output: what shifts or stretches a whole token is taken out."""
    deviation = (x.var(-1, correction=0, keepdim=True) + norm.epsilon).sqrt()
    normalized = (x - x.mean(-1, keepdim=True)) / deviation
    inner = gradient * norm.gain
    along = (inner * normalized).mean(-1, keepdim=True)
    through: Tensor = (inner - inner.mean(-1, keepdim=True) - normalized * along) / deviation
    return through


# --- a whole sub-layer ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Routes:
    """∂loss/∂x for the tokens that enter a sub-layer, in the parts that came back by each way; None: no such way."""

    residual: Float[Tensor, "token width"] | None
    value: Float[Tensor, "token width"] | None
    query: Float[Tensor, "token width"] | None
    key: Float[Tensor, "token width"] | None

    @property
    def total(self) -> Float[Tensor, "token width"]:
        """All ways together."""
        return torch.stack(list(self.parts().values())).sum(0)

    def parts(self) -> dict[str, Tensor]:
        """The ways there are, by name."""
        return {part.name: found for part in fields(self) if (found := getattr(self, part.name)) is not None}

    def shares(self) -> dict[str, list[float]]:
        """For each token the length of each part over the sum of their lengths; 0 where nothing came back."""
        lengths = {name: part.norm(dim=-1) for name, part in self.parts().items()}
        whole = torch.stack(list(lengths.values())).sum(0).clamp_min(1e-300)
        return {name: (length / whole).tolist() for name, length in lengths.items()}


@dataclass(frozen=True, eq=False)
class Backward:
    """One pass forth and back, seen from one attention.

    `looking` is what came back to the tokens whose queries look, `looked_at` to those that are looked at: the same
    tokens in self-attention, the encoder's in cross-attention (by this layer's keys and values alone).
    `apart` is the largest difference between hand and autograd for each tensor, `rows` the largest sum of a row of dS.
    """

    loss: float
    query: Float[Tensor, "head query channel"]
    key: Float[Tensor, "head key channel"]
    value: Float[Tensor, "head key channel"]
    scores: Float[Tensor, "head query key"]
    weights: Float[Tensor, "head query key"]
    allowed: Bool[Tensor, "head query key"]
    hand: Gradients
    autograd: Gradients
    looking: Routes
    looked_at: Routes
    apart: dict[str, float]
    rows: float
    scale: str = "root"


def backward(
    network: Transformer, sentence: Sentence, gold: Sequence[int], kind: str, layer: int, place: int | None = None
) -> Backward:
    """Read `gold` with teacher forcing and follow the loss back to attention `kind` of one layer.

    `gold` ends with the end token; the loss is that of one place, or the mean over all.
    """
    attention, norm, after = paths_of(kind, layer)
    names = ("query", "key", "value", "scores", "mask", "weights", "head_outputs")
    inside = {name: f"{attention}.{name}" for name in names} | {"x": f"{norm}.input", "after": after}
    loss, tensors, auto = forth_and_back(network, sentence, gold, inside, place)
    query, key, value, weights = (tensors[name] for name in ("query", "key", "value", "weights"))
    scale = network.config.scale
    hand = by_hand(query, key, value, weights, auto["head_outputs"], scale)
    autograd = Gradients(**{part.name: auto[part.name] for part in fields(Gradients)})
    modules = network.get_submodule(attention), network.get_submodule(norm)
    looking, looked_at = _routes(kind, *modules, tensors["x"], auto["after"], hand, network.config.residual)
    apart = {part.name: _apart(getattr(hand, part.name), auto[part.name]) for part in fields(Gradients)}
    return Backward(
        loss=loss,
        query=query,
        key=key,
        value=value,
        scores=tensors["scores"],
        weights=weights,
        allowed=tensors["mask"].expand_as(weights),
        hand=hand,
        autograd=autograd,
        looking=looking,
        looked_at=looked_at,
        apart=apart | {"x": _apart(looking.total, auto["x"])},
        rows=float(hand.scores.sum(-1).abs().max()),
        scale=scale,
    )


def forth_and_back(
    network: Transformer, sentence: Sentence, gold: Sequence[int], inside: Mapping[str, str], place: int | None
) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """The loss, the tensors at the paths `inside`, and the gradients there as autograd finds them."""
    heard: dict[str, Tensor] = {}
    with torch.enable_grad(), listen(heard.__setitem__, paths=frozenset(inside.values())):
        loss = _loss(network, sentence, gold, place)
        found = {name: heard[path] for name, path in inside.items()}
        asked = {name: value for name, value in found.items() if value.is_floating_point()}
        gradients = torch.autograd.grad(loss, list(asked.values()), allow_unused=True)
    pairs = zip(asked.items(), gradients, strict=True)
    auto = {name: (torch.zeros_like(value) if each is None else each)[0] for (name, value), each in pairs}
    return loss.item(), {name: value.detach()[0] for name, value in found.items()}, auto


def _loss(network: Transformer, sentence: Sentence, gold: Sequence[int], place: int | None) -> Tensor:
    logits = network(sentence.ids, torch.tensor([[sentence.start, *gold[:-1]]]))[0]
    losses = F.cross_entropy(logits, torch.tensor(list(gold)), reduction="none")
    return losses.mean() if place is None else losses[place]


def _routes(
    kind: str,
    attention: torch.nn.Module,
    norm: torch.nn.Module,
    x: Float[Tensor, "token width"],
    after: Float[Tensor, "token width"],
    hand: Gradients,
    residual: str,
) -> tuple[Routes, Routes]:
    if not isinstance(attention, MultiHeadAttention) or not isinstance(norm, Norm):
        raise TypeError("no attention behind a norm")
    around = {"pre-norm": lambda: after, "post-norm": lambda: through_norm(norm, x, after).detach()}.get(residual)
    beside = around() if around else None
    projections = {name: getattr(attention, f"{name}_projection") for name in ("query", "key", "value")}
    back = {
        name: (merge_heads(_turned_back(attention, name, getattr(hand, name))[None])[0] @ projection.weight).detach()
        for name, projection in projections.items()
    }
    if kind == "cross":
        looking = Routes(beside, None, through_norm(norm, x, back["query"]).detach(), None)
        return looking, Routes(None, back["value"], None, back["key"])
    through = {name: through_norm(norm, x, part).detach() for name, part in back.items()}
    both = Routes(beside, through["value"], through["query"], through["key"])
    return both, both


def _turned_back(
    attention: MultiHeadAttention, name: str, gradient: Float[Tensor, "head token channel"]
) -> Float[Tensor, "head token channel"]:
    """The gradient before a query or key was turned by its position; a rotation is undone by the opposite angle."""
    relative = attention.relative
    if name == "value" or not isinstance(relative, Rotations):
        return gradient
    positions = torch.arange(gradient.shape[1], dtype=gradient.dtype)
    return rotate(gradient, -positions[:, None] * relative.frequencies.to(gradient.dtype))


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, over the largest value: gradients of a confident model are tiny themselves."""
    largest = float(other.abs().max())
    return float((one - other).abs().max()) / largest if largest else 0.0


@torch.no_grad()
def finite_difference(
    network: Transformer,
    sentence: Sentence,
    gold: Sequence[int],
    kind: str,
    place: tuple[int, int, int, int],
    wanted: int | None = None,
    step: float = 1e-4,
) -> float:
    """∂loss/∂ of one score, (layer, head, query, key), by making it a little larger and a little smaller."""
    layer, head, query, key = place
    path = f"{paths_of(kind, layer)[0]}.scores"

    def loss(shift: float) -> float:
        def moved(_: str, scores: Tensor) -> Tensor:
            scores = scores.clone()
            scores[0, head, query, key] += shift
            return scores

        with listen(moved, paths={path}):
            return float(_loss(network, sentence, gold, wanted))

    return (loss(step) - loss(-step)) / (2 * step)


# --- what the softmax lets through ----------------------------------------------------------------------------------


def query_jacobian(
    weights: Float[Tensor, " key"],
    key: Float[Tensor, "key channel"],
    value: Float[Tensor, "key width"],
    scale: str = "root",
) -> Float[Tensor, "width channel"]:
    """T16: ∂o/∂q = Cov_p(v, k) / √d_k, the covariance of values and keys under one row of weights."""
    centred = key - weights @ key
    return (weights[:, None] * (value - weights @ value)).mT @ centred / DIVISORS[scale](key.shape[-1])


def score_jacobian(weights: Float[Tensor, " key"], value: Float[Tensor, "key width"]) -> Float[Tensor, "key width"]:
    """T16: ∂o/∂s_j = p_j (v_j − o): a key that already has all the weight, or none, moves nothing."""
    return weights[:, None] * (value - weights @ value)


@dataclass(frozen=True)
class Sharpened:
    """A head whose scores were multiplied: how much gradient reaches its scores and its values (lengths)."""

    factor: int
    scores: float
    value: float
    largest: float


def sharpened(found: Backward, head: int, factors: Sequence[int]) -> list[Sharpened]:
    """Multiply one head's scores and ask again, with ∂loss/∂O held as it is; `largest` is the mean largest weight."""
    allowed, arriving = found.allowed[head], found.hand.head_outputs[head][None]
    rows = []
    for factor in factors:
        weights = masked_softmax(found.scores[head] * factor, allowed)[None]
        parts = (found.query[head][None], found.key[head][None], found.value[head][None])
        back = by_hand(*parts, weights, arriving, found.scale)
        lengths = float(back.scores.norm()), float(back.value.norm())
        rows.append(Sharpened(factor, *lengths, float(weights[0].amax(-1).mean())))
    return rows


# --- the future -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Influence:
    """How long the gradient of each prediction's log-probability is at each token's input, through all layers."""

    source: Float[Tensor, "place source"]
    target: Float[Tensor, "place place"]


def influence(network: Transformer, sentence: Sentence, gold: Sequence[int], most: int = 48) -> Influence:
    """‖∂ log p(token t) / ∂x_j‖ for every place t and every input j of the encoder and of the decoder.

    Only the first `most` places are asked: each is a row of a batch, whose loss is that of its own place.
    """
    wanted = torch.tensor(list(gold)[:most])
    rows, count = torch.arange(len(wanted)), len(wanted)
    read = torch.tensor([[sentence.start, *gold[: count - 1]]]).expand(count, -1)
    ids = sentence.ids.expand(count, -1)
    mask = torch.ones_like(ids, dtype=torch.bool)
    inputs: dict[str, Tensor] = {}

    def leaf(path: str, value: Tensor) -> Tensor:
        inputs[path] = value.detach().requires_grad_(True)
        return inputs[path]

    with torch.enable_grad(), listen(leaf, paths={"source.input", "target.input"}):
        states = network.states(read, network.encode(ids, mask), mask)[rows, rows]
        loss = F.cross_entropy(F.linear(states, network.embedding.weight), wanted, reduction="sum")
        source, target = torch.autograd.grad(loss, [inputs["source.input"], inputs["target.input"]])
    return Influence(source.norm(dim=-1), target.norm(dim=-1))
