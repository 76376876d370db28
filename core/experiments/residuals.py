"""What the residual stream carries, and how the loss comes back along it: E11b, E12, E12b and E14b.

Networks "at the start" are seeded and untrained; lengths are Euclidean; everything random is in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import MASKS, MultiHeadAttention
from core.edits import SUBLAYERS
from core.experiments.backward import forth_and_back
from core.experiments.decoding import Sentence
from core.hooks import listen
from core.layers import FeedForward, Layer
from core.run import Run
from core.transformer import Config, Transformer

Part = TypeVar("Part", bound=nn.Module)

STACKS = ("encoder", "decoder")
WIDTH, DRAWS = 32, 24  # of the random blocks
TOKENS = 64  # that the feed-forward blocks are tried on
WIDE, HEADS, WORDS = 64, 4, 12  # of the stacks in which tokens become alike


def depth(config: Config, stack: str) -> int:
    """How many layers a stack has."""
    return config.encoder_layers if stack == "encoder" else config.decoder_layers


def sublayers(config: Config, stack: str) -> list[tuple[str, int]]:
    """The sub-layers of a stack in the order of the pass: a row of SUBLAYERS and the layer's number."""
    places = [place for place in SUBLAYERS if place.startswith(f"{stack}.")]
    return [(place, layer) for layer in range(depth(config, stack)) for place in places]


def paths(place: str, layer: int) -> tuple[str, str, str]:
    """What a sub-layer gives, what enters the norm before it, and the stream after it."""
    stack = place.split(".")[0]
    inside, norm, after = SUBLAYERS[place]
    return f"{stack}.{layer}.{inside}.output", f"{stack}.{layer}.{norm}.input", f"{stack}.{layer}.{after}"


# --- what is in the stream ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Written:
    """One sub-layer on one sentence: after = carried + written; nothing is carried where there are no residuals."""

    place: str
    layer: int
    written: Float[Tensor, "token width"]
    after: Float[Tensor, "token width"]

    @property
    def carried(self) -> Float[Tensor, "token width"]:
        """What went around the sub-layer: the stream, or with the norm after the sum the normed stream."""
        return self.after - self.written


def stream(run: Run, stack: str) -> list[Written]:
    """What each sub-layer of a stack wrote on this sentence, in the order of the pass."""
    found = []
    for place, layer in sublayers(run.transformer.config, stack):
        output, _, after = paths(place, layer)
        found.append(Written(place, layer, run.tensor(output), run.tensor(after)))
    return found


def unrelated(start: Float[Tensor, "token width"], steps: Sequence[Written]) -> list[float]:
    """How long the stream would be, over the tokens, if nothing written had a direction in common with the rest.

    Squares then add: ‖x_l‖² = ‖x_0‖² + Σ ‖written‖². Random vectors of many channels come near that.
    """
    squares = [start.square().sum(-1), *(step.written.square().sum(-1) for step in steps)]
    return [float(each.sqrt().mean()) for each in torch.stack(squares).cumsum(0)]


# --- the gradient at every layer ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Depths:
    """How long ∂loss/∂x is at each layer's input and at the end of each stack, and ‖x‖²/d there (mean over tokens)."""

    loss: float
    gradients: Mapping[str, tuple[float, ...]]
    squares: Mapping[str, tuple[float, ...]]

    def kept(self, stack: str) -> float:
        """The gradient at the first layer's input, over that at the end of the stack."""
        lengths = self.gradients[stack]
        return lengths[0] / lengths[-1] if lengths[-1] else math.nan


def by_depth(network: Transformer, sentence: Sentence, gold: Sequence[int]) -> Depths:
    """Read `gold` with teacher forcing and follow the mean loss back through both stacks."""
    config = network.config
    inside = {}
    for stack in STACKS:
        first = next(place for place in SUBLAYERS if place.startswith(f"{stack}."))
        for layer in range(depth(config, stack)):
            inside[f"{stack} {layer}"] = paths(first, layer)[1]
        inside[f"{stack} {depth(config, stack)}"] = f"{stack}.final_norm.input"
    loss, tensors, gradients = forth_and_back(network, sentence, gold, inside, None)
    names = {stack: [name for name in inside if name.startswith(f"{stack} ")] for stack in STACKS}
    return Depths(
        loss=loss,
        gradients={stack: tuple(float(gradients[name].norm()) for name in names[stack]) for stack in STACKS},
        squares={stack: tuple(float(tensors[name].square().mean()) for name in names[stack]) for stack in STACKS},
    )


def at_start(config: Config, layers: int, residual: str, seed: int = 0) -> Transformer:
    """A network of this shape before training, with so many layers a stack, in double precision."""
    changed = replace(config, encoder_layers=layers, decoder_layers=layers, residual=residual, dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(changed).double().eval()


# --- where one prediction's gradient goes ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Returned:
    """The gradient of one loss at every tensor of the pass; `stages` are the paths along each stack's stream."""

    loss: float
    stages: Mapping[str, tuple[str, ...]]
    gradients: Mapping[str, Tensor]

    def lengths(self, stack: str) -> Float[Tensor, "stage token"]:
        """How long the gradient is at every stage and token of a stack."""
        return torch.stack([self.gradients[path].norm(dim=-1) for path in self.stages[stack]])


def stages(config: Config, stack: str) -> tuple[str, ...]:
    """The stream from what enters layer 0 to the norm at the end of a stack."""
    side = "source" if stack == "encoder" else "target"
    after = (paths(place, layer)[2] for place, layer in sublayers(config, stack))
    return (f"{side}.input", *after, f"{stack}.final_norm.output")


def returned(
    network: Transformer, sentence: Sentence, gold: Sequence[int], place: int | None, others: Sequence[str] = ()
) -> Returned:
    """Follow −log p of one token of `gold` (None: of all, their mean) back to the streams and to the paths `others`."""
    along = {stack: stages(network.config, stack) for stack in STACKS}
    wanted = {path: path for path in (*along["encoder"], *along["decoder"], *others)}
    loss, _, gradients = forth_and_back(network, sentence, gold, wanted, place)
    return Returned(loss, along, gradients)


# --- is it at least 1? ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spectrum:
    """The singular values of a sub-layer's Jacobian for one token: by how much it stretches a gradient.

    `branch` is the largest of the sub-layer without what is carried around it.
    """

    place: str
    layer: int
    smallest: float
    median: float
    largest: float
    branch: float


@dataclass(frozen=True, eq=False)
class Sublayer:
    """One sub-layer as a function of the stream that enters it, with everything else of the pass held fixed."""

    place: str
    layer: int
    network: Transformer
    before: Float[Tensor, "1 token width"]
    memory: Float[Tensor, "1 source width"]

    def parts(self, x: Float[Tensor, "batch token width"]) -> tuple[Tensor, Tensor]:
        """What it gives, and what is carried around it; their sum is the stream after it."""
        stack = self.place.split(".")[0]
        inside, norm, _ = SUBLAYERS[self.place]
        layer = self.network.get_submodule(f"{stack}.{self.layer}")
        if not isinstance(layer, Layer):
            raise TypeError(f"{stack}.{self.layer} is no layer")
        sublayer, entering = getattr(layer, inside), getattr(layer, norm)(x)
        if inside == "feed_forward":
            given = sublayer(entering)
        elif inside == "cross_attention":
            given = sublayer(entering, self.memory.expand(len(x), -1, -1), torch.ones(1, 1, 1, 1, dtype=torch.bool))
        else:
            look = MASKS["open" if stack == "encoder" else self.network.config.mask]
            given = sublayer(entering, entering, look(x.shape[1], x.shape[1], None)[None, None])
        return given, layer.add(x, entering, torch.zeros_like(given))

    def jacobians(self, token: int) -> tuple[Float[Tensor, "width width"], Float[Tensor, "width width"]]:
        """∂given/∂x and ∂carried/∂x at one token: each row is the gradient of a channel of its own copy."""
        width = self.before.shape[-1]
        x = self.before.detach().expand(width, -1, -1)
        if self.place.endswith("feedforward") and not self.network.config.looks_ahead:
            x, token = x[:, token : token + 1], 0
        with torch.enable_grad():
            x = x.clone().requires_grad_(True)
            found = []
            for part in self.parts(x):
                channels = part[:, token].diagonal().sum()
                asked = part.requires_grad
                found.append(torch.autograd.grad(channels, x, retain_graph=True)[0] if asked else torch.zeros_like(x))
        return found[0][:, token], found[1][:, token]


def spectra(network: Transformer, sentence: Sentence, gold: Sequence[int], stack: str, token: int) -> list[Spectrum]:
    """∂(stream after)/∂(stream before) of every sub-layer at one token, the other tokens held as they are."""
    heard: dict[str, Tensor] = {}
    wanted = {paths(place, layer)[1] for place, layer in sublayers(network.config, stack)}
    with torch.no_grad(), listen(heard.__setitem__, paths=wanted | {"encoder.final_norm.output"}):
        network(sentence.ids, torch.tensor([[sentence.start, *gold[:-1]]]))
    memory, found = heard["encoder.final_norm.output"], []
    for place, layer in sublayers(network.config, stack):
        sublayer = Sublayer(place, layer, network, heard[paths(place, layer)[1]], memory)
        given, carried = sublayer.jacobians(token)
        values, branch = torch.linalg.svdvals(given + carried), torch.linalg.svdvals(given)
        ends = float(values[-1]), float(values.median()), float(values[0])
        found.append(Spectrum(place, layer, *ends, float(branch[0])))
    return found


# --- a block with dials (E12) ---------------------------------------------------------------------------------------

Where = Literal["none", "before", "after"]
BRANCHES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": lambda x, weight: x @ weight.mT,
    "tanh": lambda x, weight: torch.tanh(x @ weight.mT),
    "relu": lambda x, weight: torch.relu(x @ weight.mT),
    "minus": lambda x, weight: -x @ weight.mT,
}
"""What a block computes beside the identity; W has entries from N(0, σ²/d), and is σ I for "minus"."""


@dataclass(frozen=True)
class Block:
    """One setting of the dials: y = x + f(x), with a norm before f or after the sum, or without the x."""

    sigma: float
    branch: str = "linear"
    norm: Where = "none"
    skip: bool = True

    def apply(
        self, x: Float[Tensor, "draw row width"], weight: Float[Tensor, "draw width width"]
    ) -> Float[Tensor, "draw row width"]:
        """One pass through it, with a matrix for each draw."""
        entering = normed(x) if self.norm == "before" else x
        change = BRANCHES[self.branch](entering, weight)
        total = x + change if self.skip else change
        return normed(total) if self.norm == "after" else total

    def weights(self, draws: int, generator: torch.Generator) -> Float[Tensor, "draw width width"]:
        """One matrix for each draw."""
        if self.branch == "minus":
            return self.sigma * torch.eye(WIDTH, dtype=torch.float64).expand(draws, -1, -1)
        drawn = torch.randn(draws, WIDTH, WIDTH, dtype=torch.float64, generator=generator)
        return self.sigma / math.sqrt(WIDTH) * drawn


def normed(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """A layer norm with nothing learned yet."""
    return F.layer_norm(x, x.shape[-1:])


@dataclass(frozen=True)
class Stretch:
    """Random draws of one block, and of many in a row.

    `smallest` and `largest` are the singular values at the ends of one block's Jacobian, a number for each draw;
    `lengths` is what is left of a gradient of length 1 after 0, 1, 2 .. blocks (lowest, median and highest draw).
    """

    smallest: tuple[float, ...]
    largest: tuple[float, ...]
    lengths: tuple[tuple[float, float, float], ...]

    @property
    def below(self) -> float:
        """The share of draws in which some direction comes back shorter than 1."""
        return sum(each < 1 - 1e-9 for each in self.smallest) / len(self.smallest)


@torch.enable_grad()
def stretch(block: Block, blocks: int, draws: int = DRAWS, seed: int = 0) -> Stretch:
    """Measure a block on inputs from N(0, 1), and send a random gradient of length 1 back through `blocks` of them."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(draws, 1, WIDTH, dtype=torch.float64, generator=generator)
    arriving = F.normalize(torch.randn(draws, 1, WIDTH, dtype=torch.float64, generator=generator), dim=-1)
    weights = [block.weights(draws, generator) for _ in range(blocks)]
    copies = start.expand(-1, WIDTH, -1).clone().requires_grad_(True)
    channels = block.apply(copies, weights[0]).diagonal(dim1=1, dim2=2).sum()
    values = torch.linalg.svdvals(torch.autograd.grad(channels, copies)[0])
    streams = [start.requires_grad_(True)]
    for weight in weights:
        streams.append(block.apply(streams[-1], weight))
    back = torch.autograd.grad(streams[-1], streams, arriving)
    lengths = torch.stack([each.norm(dim=-1)[:, 0] for each in reversed(back)])
    ends = (lengths.amin(1).tolist(), lengths.median(1).values.tolist(), lengths.amax(1).tolist())
    return Stretch(tuple(values[:, -1].tolist()), tuple(values[:, 0].tolist()), tuple(zip(*ends, strict=True)))


# --- is ReLU to blame? (E12b) ---------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class Activation:
    """Feed-forward blocks in a row: the median length of a gradient after 0, 1, 2 .. of them.

    `open` is the share of preactivations above 0, `dead` the share of neurons that are above 0 for no token.
    """

    lengths: tuple[float, ...]
    open: float
    dead: float


def activation(name: str, blocks: int, *, skip: bool, seed: int = 0) -> Activation:
    """Untrained blocks of ours with one function of FUNCTIONS; with `skip` a norm stands before each, as in pre-LN."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        layers = [_fresh(FeedForward(WIDE, 4 * WIDE, FUNCTIONS[name])) for _ in range(blocks)]
        streams = [torch.randn(TOKENS, WIDE, dtype=torch.float64).requires_grad_(True)]
        arriving = F.normalize(torch.randn(TOKENS, WIDE, dtype=torch.float64), dim=-1)
        opened = []
        for layer in layers:
            entering = normed(streams[-1]) if skip else streams[-1]
            opened.append(layer.inner(entering) > 0)
            streams.append(streams[-1] + layer(entering) if skip else layer(entering))
        back = torch.autograd.grad(streams[-1], streams, arriving)
    above = torch.stack(opened)
    return Activation(
        lengths=tuple(float(each.norm(dim=-1).median()) for each in reversed(back)),
        open=float(above.double().mean()),
        dead=float((~above.any(1)).double().mean()),
    )


def _fresh(module: Part) -> Part:
    """Weights as an untrained model of ours has them."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            nn.init.xavier_uniform_(each.weight)
            nn.init.zeros_(each.bias)
    return module.double()


# --- tokens become alike (E11b) -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """What a stack is built from beside attention."""

    skip: bool = False
    norm: Where = "none"
    feed_forward: bool = False


STACKED = {
    "attention": Parts(),
    "feed-forward": Parts(feed_forward=True),
    "norm": Parts(norm="after"),
    "residual": Parts(skip=True),
    "whole": Parts(skip=True, norm="before", feed_forward=True),
}


def unlike(rows: Float[Tensor, "token width"]) -> float:
    """‖X − 1x̄ᵀ‖ / ‖X‖: 0 where all tokens have become the same vector (Dong et al. 2021 measure its like)."""
    return float((rows - rows.mean(0)).norm() / rows.norm())


@torch.no_grad()
def collapse(parts: Parts, layers: int, seed: int = 0) -> list[float]:
    """How unlike random tokens are after 0, 1, 2 .. untrained layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        x = torch.randn(1, WORDS, WIDE, dtype=torch.float64)
        found = [unlike(x[0])]
        for _ in range(layers):
            looking = _fresh(MultiHeadAttention(WIDE, HEADS, 0.0))
            x = _joined(parts, x, partial(_look, looking))
            if parts.feed_forward:
                x = _joined(parts, x, _fresh(FeedForward(WIDE, 4 * WIDE)))
            found.append(unlike(x[0]))
    return found


def _look(attention: nn.Module, x: Tensor) -> Tensor:
    looked: Tensor = attention(x, x, torch.ones(1, 1, WORDS, WORDS, dtype=torch.bool))
    return looked


def _joined(parts: Parts, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
    change = sublayer(normed(x) if parts.norm == "before" else x)
    total = x + change if parts.skip else change
    return normed(total) if parts.norm == "after" else total


def alike_by_layer(run: Run, stack: str) -> list[float]:
    """The same on a sentence: what enters layer 0, then each layer's end."""
    ends = [f"{stack}.{layer}.after_feed_forward" for layer in range(depth(run.transformer.config, stack))]
    return [unlike(run.tensor(path).double()) for path in (stages(run.transformer.config, stack)[0], *ends)]
