"""How a model learns where a token stands: the sinusoid of section 3.5 and ways to join it to the words."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.attention import Relative
from core.hooks import HookPoint


def sinusoid(
    positions: Int[Tensor, " position"], width: int, base: float = 10_000.0
) -> Float[Tensor, "position {width}"]:
    """PE(p, 2i) = sin(p / base^(2i/width)), PE(p, 2i+1) = cos of the same angle (section 3.5), in float64.

    Each pair of channels is a clock hand; moving on by k turns a hand by an angle that depends on k alone.
    """
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=positions.device) / width)
    angles = positions[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]


class TooLong(ValueError):
    """A sentence reaches beyond the positions that a model knows; `most` is how many it knows."""

    def __init__(self, most: int) -> None:
        super().__init__(f"this model knows {most} positions and no more")
        self.most = most


class Positions(nn.Module, ABC):
    """What every row of POSITIONS decides: a position's vector, how it joins the embedding, and the way back.

    `width` is the stream's, `content_width` the embedding's; a row refuses a pair that it cannot join. `relative`
    is what its self-attentions do; `bounded` says that positions beyond `maximum_positions` raise TooLong.
    """

    relative: ClassVar[type[Relative]] = Relative
    bounded: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, width: int, content_width: int, maximum_positions: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, first: int, count: int) -> Float[Tensor, "position channel"]:
        """Vectors of the positions first .. first + count - 1."""

    def combine(
        self,
        content: Float[Tensor, "batch position content"],
        position: Float[Tensor, "batch position channel"],
    ) -> Float[Tensor, "batch position width"]:
        """The stream that enters layer 0."""
        return content + position

    @staticmethod
    def readout(width: int, content_width: int) -> nn.Module:
        """The map from the last stream to the space of the embeddings, where words are compared."""
        return nn.Identity()


class Sinusoidal(Positions):
    """Embedding plus sinusoid, as in the paper: both share every channel.

    The first `maximum_positions` vectors are kept ready; those beyond are computed when asked for.
    """

    table: Tensor

    def __init__(self, width: int, content_width: int, maximum_positions: int) -> None:
        super().__init__(width, content_width, maximum_positions)
        table = sinusoid(torch.arange(maximum_positions), self.position_width(width, content_width))
        self.register_buffer("table", table.to(torch.get_default_dtype()), persistent=False)

    @staticmethod
    def position_width(width: int, content_width: int) -> int:
        """Channels of a position's vector."""
        _require_equal(width, content_width)
        return width

    def forward(self, first: int, count: int) -> Float[Tensor, "position channel"]:
        known, channels = self.table.shape
        if first + count <= known:
            return self.table[first : first + count]
        asked = torch.arange(first, first + count, device=self.table.device)
        return sinusoid(asked, channels).to(self.table.dtype)


class SinusoidalConcat(Sinusoidal):
    """Embedding and sinusoid side by side: the stream is as wide as both together, and nothing is shared."""

    @staticmethod
    def position_width(width: int, content_width: int) -> int:
        if width <= content_width:
            raise ValueError(f"a stream of {width} has no channel for positions beside {content_width} for words")
        return width - content_width

    def combine(
        self,
        content: Float[Tensor, "batch position content"],
        position: Float[Tensor, "batch position channel"],
    ) -> Float[Tensor, "batch position width"]:
        return torch.cat((content, position), dim=-1)

    @staticmethod
    def readout(width: int, content_width: int) -> nn.Module:
        return nn.Linear(width, content_width)


class Learned(Positions):
    """Embedding plus a trained vector for each position, as Gehring et al. 2017: there is none beyond the last."""

    bounded = True

    def __init__(self, width: int, content_width: int, maximum_positions: int) -> None:
        super().__init__(width, content_width, maximum_positions)
        self.table = nn.Embedding(maximum_positions, self.position_width(width, content_width))

    @staticmethod
    def position_width(width: int, content_width: int) -> int:
        """Channels of a position's vector."""
        _require_equal(width, content_width)
        return width

    def forward(self, first: int, count: int) -> Float[Tensor, "position channel"]:
        if first + count > self.table.num_embeddings:
            raise TooLong(self.table.num_embeddings)
        return self.table.weight[first : first + count]


class LearnedConcat(Learned):
    """Embedding and trained vector side by side."""

    position_width = staticmethod(SinusoidalConcat.position_width)
    combine = SinusoidalConcat.combine
    readout = staticmethod(SinusoidalConcat.readout)


class NoPositions(Positions):
    """Zeros are added: without a mask the model sees a bag of words."""

    nothing: Tensor

    def __init__(self, width: int, content_width: int, maximum_positions: int) -> None:
        super().__init__(width, content_width, maximum_positions)
        _require_equal(width, content_width)
        self.register_buffer("nothing", torch.zeros(width), persistent=False)

    def forward(self, first: int, count: int) -> Float[Tensor, "position channel"]:
        return self.nothing.expand(count, -1)


class Rotations(Relative):
    """Turns each pair of channels of a query or key by an angle that grows with its position (RoPE, Su et al. 2021).

    Turning both by the same angle changes no product, so a score depends on the distance alone. `angles` are in
    radians; frequencies are those of the sinusoid.
    """

    frequencies: Tensor

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__(heads, channels)
        exponents = -torch.arange(0, channels, 2, dtype=torch.float64) / channels
        self.register_buffer("frequencies", (10_000.0**exponents).to(torch.get_default_dtype()), persistent=False)
        self.angles = HookPoint()

    def turn(
        self, vectors: Float[Tensor, "batch head position channel"], first: int
    ) -> Float[Tensor, "batch head position channel"]:
        positions = torch.arange(first, first + vectors.shape[2], device=vectors.device)
        return rotate(vectors, self.angles((positions[:, None] * self.frequencies)[None])[0])


def rotate(
    vectors: Float[Tensor, "*batch position channel"], angles: Float[Tensor, "position pair"]
) -> Float[Tensor, "*batch position channel"]:
    """Turn channels 2i and 2i+1 of each vector, as one point of the plane, by their angle (RoFormer, equation 15)."""
    even, odd = vectors[..., 0::2], vectors[..., 1::2]
    cosine, sine = angles.cos(), angles.sin()
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)


class LinearBiases(Relative):
    """Takes from each score the distance of query and key times the head's slope (ALiBi, Press et al. 2022).

    Nothing is learned, and the bias is not divided by √d_k. In an encoder the distance counts both ways alike.
    """

    slopes: Tensor

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__(heads, channels)
        self.register_buffer("slopes", slopes(heads), persistent=False)
        self.bias = HookPoint()

    def shift(self, scores: Float[Tensor, "batch head query key"], first: int) -> Float[Tensor, "batch head query key"]:
        queries, keys = scores.shape[-2:]
        positions = torch.arange(max(keys, first + queries), device=scores.device)
        distance = (positions[first : first + queries, None] - positions[:keys]).abs()
        return scores + self.bias(-self.slopes[:, None, None] * distance[None, None])


def slopes(heads: int) -> Float[Tensor, " {heads}"]:
    """2^(−8h/n) for head h of n (Press et al. 2022, section 3)."""
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)


class Rotary(NoPositions):
    """Nothing is added to the words; queries and keys are turned in every self-attention."""

    relative = Rotations


class Alibi(NoPositions):
    """Nothing is added to the words; far keys lose score in every self-attention."""

    relative = LinearBiases


def _require_equal(width: int, content_width: int) -> None:
    if width != content_width:
        raise ValueError(f"the stream ({width}) must be as wide as the embedding ({content_width}) it is")


POSITIONS: dict[str, type[Positions]] = {
    "sinusoidal": Sinusoidal,
    "sinusoidal-concat": SinusoidalConcat,
    "learned": Learned,
    "learned-concat": LearnedConcat,
    "rotary": Rotary,
    "alibi": Alibi,
    "none": NoPositions,
}
