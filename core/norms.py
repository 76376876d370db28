"""Normalisation in rows: the formula is one, (x − mean) / √(variance + ε) · gain + bias; the rows differ in which cells
of batch × position × channel share a mean and a variance (Wu & He 2018, figure 2)."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.hooks import HookPoint

GROUPS = 4  # of channels, in the row "group"
MOMENTUM = 0.1  # of batch norm's running statistics, PyTorch's default

Axes = frozenset[str]


class Norm(nn.Module, ABC):
    """What every row of NORMS decides: whose mean and variance a cell is normalised with.

    `shared` names the axes along which cells share them; where position is among them, a token's value depends on the
    tokens after it. Mean and variance broadcast to the input. Statistics count padding as any other token.
    """

    shared: ClassVar[Axes]
    looks_ahead: ClassVar[bool] = False
    gain: Tensor
    bias: Tensor

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.make_weights(width)
        self.input, self.mean, self.variance = HookPoint(), HookPoint(), HookPoint()
        self.normalized, self.output = HookPoint(), HookPoint()

    def make_weights(self, width: int) -> None:
        """A learned gain and bias for each channel."""
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    @abstractmethod
    def statistics(
        self, x: Float[Tensor, "batch position width"]
    ) -> tuple[Float[Tensor, "#batch #position #width"], Float[Tensor, "#batch #position #width"]]:
        """The mean and the variance that each cell is normalised with."""

    def forward(self, x: Float[Tensor, "batch position width"]) -> Float[Tensor, "batch position width"]:
        x = self.input(x)
        mean, variance = self.statistics(x)
        mean, variance = self.mean(mean), self.variance(variance)
        normalized = self.normalized((x - mean) * torch.rsqrt(variance + self.epsilon))
        return self.output(normalized * self.gain + self.bias)


class LayerNorm(Norm):
    """Brings each token to mean 0 and variance 1 over its channels, then to a learned gain and bias (Ba et al. 2016).

    Nothing is stored between calls. One kernel computes the formula; its parts are written out for whoever listens,
    and take the kernel's place where a listener edits one. An edited norm's gradients hold the statistics fixed.
    """

    shared = frozenset({"channel"})

    def statistics(
        self, x: Float[Tensor, "*batch width"]
    ) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]]:
        variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        return mean, variance

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


class RMSNorm(Norm):
    """Divides each token by its root mean square and subtracts nothing (Zhang & Sennrich 2019): no mean, no bias.

    The variance shown is the mean square, the spread around the 0 that stands in for the mean.
    """

    shared = frozenset({"channel"})

    def make_weights(self, width: int) -> None:
        self.gain = nn.Parameter(torch.ones(width))
        self.register_buffer("bias", torch.zeros(width), persistent=False)

    def statistics(
        self, x: Float[Tensor, "batch position width"]
    ) -> tuple[Float[Tensor, "batch position 1"], Float[Tensor, "batch position 1"]]:
        square = x.square().mean(-1, keepdim=True)
        return torch.zeros_like(square), square


class BatchNorm(Norm):
    """Each channel shares its statistics over all tokens of all sentences of the batch (Ioffe & Szegedy 2015).

    Outside training the running statistics take their place, so that a sentence no longer depends on its batch; they
    start at mean 0 and variance 1, and hold PyTorch's unbiased variance.
    """

    shared = frozenset({"batch", "position"})
    running_mean: Tensor
    running_variance: Tensor

    def make_weights(self, width: int) -> None:
        super().make_weights(width)
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))

    def statistics(
        self, x: Float[Tensor, "batch position width"]
    ) -> tuple[Float[Tensor, "1 1 width"], Float[Tensor, "1 1 width"]]:
        if not self.training:
            return self.running_mean[None, None], self.running_variance[None, None]
        variance, mean = torch.var_mean(x, (0, 1), correction=0, keepdim=True)
        with torch.no_grad():
            count = x.shape[0] * x.shape[1]
            unbiased = variance[0, 0] * (count / max(1, count - 1))
            self.running_mean.lerp_(mean[0, 0].to(self.running_mean), MOMENTUM)
            self.running_variance.lerp_(unbiased.to(self.running_variance), MOMENTUM)
        return mean, variance


class InstanceNorm(Norm):
    """Each channel shares its statistics over the tokens of its own sentence (Ulyanov et al. 2016).

    In a decoder that is a leak: the mean over all positions knows the words to come.
    """

    shared = frozenset({"position"})
    looks_ahead = True

    def statistics(
        self, x: Float[Tensor, "batch position width"]
    ) -> tuple[Float[Tensor, "batch 1 width"], Float[Tensor, "batch 1 width"]]:
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        return mean, variance


class GroupNorm(Norm):
    """Groups of channels share their statistics over all tokens of the sentence (Wu & He 2018): the same leak.

    With one group this is called layer normalisation in vision; it is not the Transformer's, which keeps tokens apart.
    """

    shared = frozenset({"position", "group"})
    looks_ahead = True

    def statistics(
        self, x: Float[Tensor, "batch position width"]
    ) -> tuple[Float[Tensor, "batch 1 width"], Float[Tensor, "batch 1 width"]]:
        each = x.shape[-1] // GROUPS
        variance, mean = torch.var_mean(x.unflatten(-1, (GROUPS, each)), (1, 3), correction=0)
        return tuple(part.repeat_interleave(each, -1)[:, None] for part in (mean, variance))  # type: ignore[return-value]


class NoNorm(Norm):
    """Leaves everything as it is: mean 0, variance 1, ε 0, nothing learned."""

    shared: ClassVar[Axes] = frozenset()

    def __init__(self, width: int, epsilon: float = 0.0) -> None:
        super().__init__(width, epsilon)

    def make_weights(self, width: int) -> None:
        self.register_buffer("gain", torch.ones(width), persistent=False)
        self.register_buffer("bias", torch.zeros(width), persistent=False)

    def statistics(
        self, x: Float[Tensor, "batch position width"]
    ) -> tuple[Float[Tensor, "batch position 1"], Float[Tensor, "batch position 1"]]:
        nothing = torch.zeros_like(x[..., :1])
        return nothing, nothing + 1.0


NORMS: dict[str, type[Norm]] = {
    "layer": LayerNorm,
    "rms": RMSNorm,
    "batch": BatchNorm,
    "instance": InstanceNorm,
    "group": GroupNorm,
    "none": NoNorm,
}
