"""The layers of section 3.1 with the norm before each sub-layer: x + Sublayer(LayerNorm(x))."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from core.attention import LayerCache, MultiHeadAttention, dropped
from core.hooks import HookPoint


class LayerNorm(nn.Module):
    """Brings each token to mean 0 and variance 1 over its channels, then to a learned gain and bias.

    Nothing is stored between calls. One kernel computes (x − mean) / √(variance + ε) · gain + bias (Ba et al.
    2016); the parts of the formula are written out for whoever listens, and take the kernel's place where a
    listener edits one. Mean and variance keep a last axis of 1; an edited norm's gradients hold them fixed.
    """

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.input, self.mean, self.variance = HookPoint(), HookPoint(), HookPoint()
        self.normalized, self.output = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        x = self.input(x)
        shape = self.gain.shape
        output, mean, inverse = torch.native_layer_norm(x, shape, self.gain, self.bias, self.epsilon)
        if self.mean.heard or self.variance.heard or self.normalized.heard:
            output = self.written_out(x, mean, inverse, output)
        return self.output(output)

    def written_out(
        self,
        x: Float[Tensor, "*batch width"],
        mean: Float[Tensor, "*batch 1"],
        inverse: Float[Tensor, "*batch 1"],
        output: Float[Tensor, "*batch width"],
    ) -> Float[Tensor, "*batch width"]:
        """Show the parts; `inverse` is 1 / √(variance + ε), and `output` stands if nobody edits."""
        variance = inverse.pow(-2) - self.epsilon
        heard_mean, heard_variance = self.mean(mean), self.variance(variance)
        if heard_variance is not variance:
            inverse = torch.rsqrt(heard_variance + self.epsilon)
        normalized = (x - heard_mean) * inverse
        heard = self.normalized(normalized)
        unedited = heard_mean is mean and heard_variance is variance and heard is normalized
        return output if unedited else heard * self.gain + self.bias


class FeedForward(nn.Module):
    """max(0, xW₁ + b₁)W₂ + b₂, the same for every position (section 3.3)."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, inner_width)
        self.outer = nn.Linear(inner_width, width)
        self.preactivation, self.activation, self.output = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        preactivation = self.preactivation(self.inner(x))
        activation = self.activation(preactivation.relu())
        return self.output(self.outer(activation))


class Layer(nn.Module):
    """What both kinds of layer share: dropout on what a sub-layer adds to the stream (section 5.4)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def drop(self, change: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Zero a share of the channels in training."""
        return dropped(change, self.dropout, self.training)


class EncoderLayer(Layer):
    """Source tokens look at each other, then each is worked on alone."""

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__(dropout)
        self.norm_before_attention = LayerNorm(width)
        self.self_attention = MultiHeadAttention(width, heads, dropout)
        self.after_attention = HookPoint()
        self.norm_before_feed_forward = LayerNorm(width)
        self.feed_forward = FeedForward(width, inner_width)
        self.after_feed_forward = HookPoint()

    def forward(
        self, x: Float[Tensor, "batch source width"], mask: Bool[Tensor, "#batch 1 #source source"]
    ) -> Float[Tensor, "batch source width"]:
        normed = self.norm_before_attention(x)
        x = self.after_attention(x + self.drop(self.self_attention(normed, normed, mask)))
        normed = self.norm_before_feed_forward(x)
        x = self.after_feed_forward(x + self.drop(self.feed_forward(normed)))
        return x


class DecoderLayer(Layer):
    """Target tokens look at themselves and before, then at the source, then each is worked on alone."""

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__(dropout)
        self.norm_before_self_attention = LayerNorm(width)
        self.self_attention = MultiHeadAttention(width, heads, dropout)
        self.after_self_attention = HookPoint()
        self.norm_before_cross_attention = LayerNorm(width)
        self.cross_attention = MultiHeadAttention(width, heads, dropout)
        self.after_cross_attention = HookPoint()
        self.norm_before_feed_forward = LayerNorm(width)
        self.feed_forward = FeedForward(width, inner_width)
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
        x = self.after_self_attention(x + self.drop(attended))
        normed = self.norm_before_cross_attention(x)
        attended = self.cross_attention(normed, memory, source_mask, cache.cross_attention)
        x = self.after_cross_attention(x + self.drop(attended))
        normed = self.norm_before_feed_forward(x)
        x = self.after_feed_forward(x + self.drop(self.feed_forward(normed)))
        return x
