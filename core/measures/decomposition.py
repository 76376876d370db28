"""Why the first layer looks where it looks: each score as content and position asking content and position.

A query in layer 0 is a linear map of word plus place, so every score is a sum of four products (Ke et al. 2021,
equation 6) and a remainder that biases bring in. The layer norm before attention is linear too once its standard
deviation is known, so the split is exact for one run, and says nothing about another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor, nn

from core.run import EmbeddingRun, Run
from core.transformer import Input, Transformer

Stack = Literal["encoder", "decoder"]
Scores = Float[Array, "head query key"]
Stream = Float[Array, "token width"]


@dataclass(frozen=True, eq=False)
class ScoreParts:
    """Addends of the scaled scores, before the mask; `position_content` is a place asking for a word."""

    content_content: Scores
    content_position: Scores
    position_content: Scores
    position_position: Scores
    remainder: Scores

    @property
    def total(self) -> Scores:
        """The sum, which is what the model computed."""
        parts: list[Scores] = [getattr(self, part.name) for part in fields(self)]
        return np.asarray(np.sum(parts, axis=0))


@dataclass(frozen=True, eq=False)
class Projection:
    """The map from a normalized token to the queries or the keys of all heads."""

    weight: Float[Array, "joined width"]
    bias: Float[Array, " joined"]
    heads: int

    def linear(self, stream: Stream) -> Float[Array, "head token channel"]:
        """The heads' shares of W x."""
        joined: Array = stream @ self.weight.T
        return joined.reshape(len(stream), self.heads, -1).transpose(1, 0, 2)

    def constant(self, offset: Float[Array, " width"]) -> Float[Array, "head 1 channel"]:
        """The heads' shares of W offset + bias, which every token has alike."""
        joined: Array = self.weight @ offset + self.bias
        return joined.reshape(self.heads, 1, -1)


def normalized_part(part: Stream, deviation: Float[Array, "token 1"], gain: Float[Array, " width"]) -> Stream:
    """What one addend of a stream becomes in a layer norm whose standard deviation is given; its bias left out."""
    normalized: Stream = (part - part.mean(-1, keepdims=True)) / deviation * gain
    return normalized


def split_scores(
    content: Stream,
    position: Stream,
    *,
    deviation: Float[Array, "token 1"],
    gain: Float[Array, " width"],
    offset: Float[Array, " width"],
    query: Projection,
    key: Projection,
) -> ScoreParts:
    """The scores of a stream content + position after a norm with this deviation, gain and offset (its bias)."""
    parts = [normalized_part(part, deviation, gain) for part in (content, position)]
    asking, asked = [query.linear(part) for part in parts], [key.linear(part) for part in parts]
    words, places = ([scaled(one, other) for other in asked] for one in asking)
    whole_query = asking[0] + asking[1] + query.constant(offset)
    whole_key = asked[0] + asked[1] + key.constant(offset)
    remainder = scaled(whole_query, key.constant(offset)) + scaled(query.constant(offset), whole_key)
    remainder = remainder - scaled(query.constant(offset), key.constant(offset))
    return ScoreParts(words[0], words[1], places[0], places[1], remainder)


def scaled(query: Float[Array, "head query channel"], key: Float[Array, "head key channel"]) -> Scores:
    """q kᵀ / √d_k."""
    scores: Scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
    return scores


def first_layer_parts(network: Transformer, run: Run, stack: Stack = "encoder") -> ScoreParts:
    """The split of the first self-attention of a stack in one run, in double precision.

    Where positions stand beside the embedding instead of being added, each part is zero in the other's channels.
    A run in which someone edited the sum, the norm or the projections no longer is what its parts say.
    """
    source = stack == "encoder"
    layer = (network.encoder if source else network.decoder).layers[0]
    name = "norm_before_attention" if source else "norm_before_self_attention"
    norm, attention = getattr(layer, name), layer.self_attention
    content, position = streams(*(network.source, run.source) if source else (network.target, run.target))
    return split_scores(
        content,
        position,
        deviation=np.sqrt(numbers(run.tensor(f"{stack}.0.{name}.variance")) + norm.epsilon),
        gain=numbers(norm.gain),
        offset=numbers(norm.bias),
        query=projection(attention.query_projection, attention.heads),
        key=projection(attention.key_projection, attention.heads),
    )


def streams(layer: Input, run: EmbeddingRun) -> tuple[Stream, Stream]:
    """The content's and the position's addend of what enters layer 0."""
    content, position = run.embedding[None], run.position[None]
    combine = layer.positions.combine
    addends = combine(content, torch.zeros_like(position)), combine(torch.zeros_like(content), position)
    return numbers(addends[0][0]), numbers(addends[1][0])


def projection(linear: nn.Linear, heads: int) -> Projection:
    return Projection(numbers(linear.weight), numbers(linear.bias), heads)


def numbers(tensor: Tensor) -> Array:
    values: Array = tensor.detach().double().cpu().numpy()
    return values
