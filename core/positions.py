"""How a model learns where a token stands: the sinusoid of section 3.5 and ways to join it to the words."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def sinusoid(
    positions: Int[Tensor, " position"], width: int, base: float = 10_000.0
) -> Float[Tensor, "position {width}"]:
    """PE(p, 2i) = sin(p / base^(2i/width)), PE(p, 2i+1) = cos of the same angle (section 3.5), in float64.

    Each pair of channels is a clock hand; moving on by k turns a hand by an angle that depends on k alone.
    """
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=positions.device) / width)
    angles = positions[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]


class Positions(nn.Module, ABC):
    """What every row of POSITIONS decides: a position's vector, how it joins the embedding, and the way back.

    `width` is the stream's, `content_width` the embedding's; a row refuses a pair that it cannot join.
    """

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


class NoPositions(Positions):
    """Zeros are added: without a mask the model sees a bag of words."""

    nothing: Tensor

    def __init__(self, width: int, content_width: int, maximum_positions: int) -> None:
        super().__init__(width, content_width, maximum_positions)
        _require_equal(width, content_width)
        self.register_buffer("nothing", torch.zeros(width), persistent=False)

    def forward(self, first: int, count: int) -> Float[Tensor, "position channel"]:
        return self.nothing.expand(count, -1)


def _require_equal(width: int, content_width: int) -> None:
    if width != content_width:
        raise ValueError(f"the stream ({width}) must be as wide as the embedding ({content_width}) it is")


POSITIONS: dict[str, type[Positions]] = {
    "sinusoidal": Sinusoidal,
    "sinusoidal-concat": SinusoidalConcat,
    "none": NoPositions,
}
