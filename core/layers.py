"""The layers of section 3.1 with the norm before each sub-layer: x + Sublayer(LayerNorm(x)).

With the norm after the sum, as in the paper, LayerNorm(x + Sublayer(x)), the norm that follows one sub-layer is the one
that precedes the next: the only difference is that the sum then begins from the normed stream.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import LayerCache, MultiHeadAttention, Relative, dropped
from core.hooks import HookPoint
from core.norms import NORMS, Norm


class FeedForward(nn.Module):
    """max(0, xW₁ + b₁)W₂ + b₂, the same for every position (section 3.3), or another function in place of max."""

    def __init__(self, width: int, inner_width: int, function: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.function = function
        self.inner = nn.Linear(width, inner_width)
        self.outer = nn.Linear(inner_width, width)
        self.preactivation, self.activation, self.output = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        preactivation = self.preactivation(self.inner(x))
        activation = self.activation(self.function(preactivation))
        return self.output(self.outer(activation))


class NoFeedForward(nn.Module):
    """Nothing is worked out for a token alone: no neuron, and zeros for the stream."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.preactivation, self.activation, self.output = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        self.activation(self.preactivation(x[..., :0]))
        return self.output(torch.zeros_like(x))


FEED_FORWARDS: dict[str, Callable[[int, int], nn.Module]] = {
    "relu": FeedForward,
    "gelu": partial(FeedForward, function=F.gelu),
    "none": NoFeedForward,
}


Join = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The stream after a sub-layer from the stream before it, the same normed, and what the sub-layer gives."""


@dataclass(frozen=True)
class Residual:
    """A row of RESIDUALS; `norms_input` is whether the first layer norms what enters the stack."""

    join: Join
    norms_input: bool = True


RESIDUALS: dict[str, Residual] = {
    "pre-norm": Residual(lambda stream, normed, change: stream + change),
    "post-norm": Residual(lambda stream, normed, change: normed + change, norms_input=False),
    "none": Residual(lambda stream, normed, change: change.to(stream.dtype)),
}


@dataclass(frozen=True)
class Choices:
    """The rows that a layer is built from, by name, and its place in the stack."""

    norm: str = "layer"
    residual: str = "pre-norm"
    feed_forward: str = "relu"
    scale: str = "root"
    relative: type[Relative] = Relative
    dropout: float = 0.0
    first: bool = False

    def make_norm(self, width: int, *, enters: bool = False) -> Norm:
        """A norm; `enters` marks the one before a layer's first sub-layer."""
        skipped = enters and self.first and not RESIDUALS[self.residual].norms_input
        return NORMS["none" if skipped else self.norm](width)

    def make_norm_before_feed_forward(self, width: int) -> Norm:
        """None where there is no feed-forward network to norm for."""
        return NORMS["none" if self.feed_forward == "none" else self.norm](width)


class Layer(nn.Module):
    """What both kinds of layer share: how a sub-layer's change, with dropout (section 5.4), joins the stream."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self.dropout = choices.dropout
        self.join = RESIDUALS[choices.residual].join

    def add(
        self,
        stream: Float[Tensor, "*batch width"],
        normed: Float[Tensor, "*batch width"],
        change: Float[Tensor, "*batch width"],
    ) -> Float[Tensor, "*batch width"]:
        """The stream after a sub-layer."""
        return self.join(stream, normed, dropped(change, self.dropout, self.training))


class EncoderLayer(Layer):
    """Source tokens look at each other, then each is worked on alone."""

    def __init__(self, width: int, heads: int, inner_width: int, choices: Choices) -> None:
        super().__init__(choices)
        attention = partial(MultiHeadAttention, width, heads, choices.dropout, scale=choices.scale)
        self.norm_before_attention = choices.make_norm(width, enters=True)
        self.self_attention = attention(relative=choices.relative)
        self.after_attention = HookPoint()
        self.norm_before_feed_forward = choices.make_norm_before_feed_forward(width)
        self.feed_forward = FEED_FORWARDS[choices.feed_forward](width, inner_width)
        self.after_feed_forward = HookPoint()

    def forward(
        self, x: Float[Tensor, "batch source width"], mask: Bool[Tensor, "#batch 1 #source source"]
    ) -> Float[Tensor, "batch source width"]:
        normed = self.norm_before_attention(x)
        x = self.after_attention(self.add(x, normed, self.self_attention(normed, normed, mask)))
        normed = self.norm_before_feed_forward(x)
        x = self.after_feed_forward(self.add(x, normed, self.feed_forward(normed)))
        return x


class DecoderLayer(Layer):
    """Target tokens look at themselves and before, then at the source, then each is worked on alone."""

    def __init__(self, width: int, heads: int, inner_width: int, choices: Choices) -> None:
        super().__init__(choices)
        attention = partial(MultiHeadAttention, width, heads, choices.dropout, scale=choices.scale)
        self.norm_before_self_attention = choices.make_norm(width, enters=True)
        self.self_attention = attention(relative=choices.relative)
        self.after_self_attention = HookPoint()
        self.norm_before_cross_attention = choices.make_norm(width)
        self.cross_attention = attention()
        self.after_cross_attention = HookPoint()
        self.norm_before_feed_forward = choices.make_norm_before_feed_forward(width)
        self.feed_forward = FEED_FORWARDS[choices.feed_forward](width, inner_width)
        self.after_feed_forward = HookPoint()

    def forward(
        self,
        x: Float[Tensor, "batch target width"],
        memory: Float[Tensor, "batch source width"],
        causal: Bool[Tensor, "1 1 target past"],
        source_mask: Bool[Tensor, "#batch 1 1 source"],
        cache: LayerCache,
    ) -> Float[Tensor, "batch target width"]:
        normed = self.norm_before_self_attention(x)
        attended = self.self_attention(normed, normed, causal, cache.self_attention)
        x = self.after_self_attention(self.add(x, normed, attended))
        normed = self.norm_before_cross_attention(x)
        attended = self.cross_attention(normed, memory, source_mask, cache.cross_attention)
        x = self.after_cross_attention(self.add(x, normed, attended))
        normed = self.norm_before_feed_forward(x)
        x = self.after_feed_forward(self.add(x, normed, self.feed_forward(normed)))
        return x
