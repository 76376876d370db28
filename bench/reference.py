"""The same computation in plain PyTorch, to compare with: attention in one fused kernel, nothing to listen to."""

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import MultiHeadAttention
from core.layers import DecoderLayer, EncoderLayer
from core.positions import sinusoid
from core.transformer import Config, Transformer

Pair = tuple[Tensor, Tensor]
RENAMED = {".gain": ".weight", "encoder.final_norm": "encoder_norm", "decoder.final_norm": "decoder_norm"}


class FusedAttention(nn.Module):
    """Multi-head attention through F.scaled_dot_product_attention, which shows neither scores nor weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_projection, self.key_projection = nn.Linear(width, width), nn.Linear(width, width)
        self.value_projection, self.output_projection = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, keys_values: Pair, causal: bool = False) -> Tensor:
        query = self.split(self.query_projection(x))
        mixed = F.scaled_dot_product_attention(query, *keys_values, is_causal=causal)
        return self.output_projection(mixed.transpose(1, 2).flatten(2))

    def project(self, x: Tensor) -> Pair:
        return self.split(self.key_projection(x)), self.split(self.value_projection(x))

    def split(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        return x.view(batch, count, self.heads, width // self.heads).transpose(1, 2)


class FusedFeedForward(nn.Module):
    """Linear, ReLU, linear."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, config.feed_forward)
        self.outer = nn.Linear(config.feed_forward, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu())


class FusedEncoderLayer(nn.Module):
    """Norm first, as in core.layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm_before_attention = nn.LayerNorm(config.width)
        self.self_attention = FusedAttention(config.width, config.heads)
        self.norm_before_feed_forward = nn.LayerNorm(config.width)
        self.feed_forward = FusedFeedForward(config)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm_before_attention(x)
        x = x + self.self_attention(normed, self.self_attention.project(normed))
        return x + self.feed_forward(self.norm_before_feed_forward(x))


class FusedDecoderLayer(nn.Module):
    """Norm first; takes the keys and values of the source and of the target so far, returns the latter grown."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm_before_self_attention = nn.LayerNorm(config.width)
        self.self_attention = FusedAttention(config.width, config.heads)
        self.norm_before_cross_attention = nn.LayerNorm(config.width)
        self.cross_attention = FusedAttention(config.width, config.heads)
        self.norm_before_feed_forward = nn.LayerNorm(config.width)
        self.feed_forward = FusedFeedForward(config)

    def forward(self, x: Tensor, source: Pair, past: Pair | None) -> tuple[Tensor, Pair]:
        normed = self.norm_before_self_attention(x)
        own = self.self_attention.project(normed)
        if past is not None:
            own = torch.cat((past[0], own[0]), dim=2), torch.cat((past[1], own[1]), dim=2)
        x = x + self.self_attention(normed, own, causal=past is None)
        x = x + self.cross_attention(self.norm_before_cross_attention(x), source)
        return x + self.feed_forward(self.norm_before_feed_forward(x)), own


class FusedTransformer(nn.Module):
    """The model of core.transformer for one sentence at a time, whose lack of padding needs no mask."""

    position: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = math.sqrt(config.width)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        table = sinusoid(torch.arange(config.maximum_positions), config.width)
        self.register_buffer("position", table.to(torch.get_default_dtype()), persistent=False)
        self.encoder = nn.ModuleList(FusedEncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(FusedDecoderLayer(config) for _ in range(config.decoder_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(target, self.encode(source), None)[0]

    def embed(self, ids: Tensor, first: int = 0) -> Tensor:
        return self.embedding(ids) * self.scale + self.position[first : first + ids.shape[1]]

    def encode(self, source: Tensor) -> list[Pair]:
        """The keys and values of the source, one pair for each decoder layer."""
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x)
        memory = self.encoder_norm(x)
        return [layer.cross_attention.project(memory) for layer in self.decoder]

    def decode(self, ids: Tensor, sources: list[Pair], pasts: list[Pair] | None) -> tuple[Tensor, list[Pair]]:
        """Logits of the positions given, and the keys and values of the target so far."""
        x, kept = self.embed(ids, pasts[0][0].shape[2] if pasts else 0), []
        for layer, source, past in zip(self.decoder, sources, pasts or [None] * len(sources), strict=True):
            x, own = layer(x, source, past)
            kept.append(own)
        return F.linear(self.decoder_norm(x), self.embedding.weight), kept

    def greedy(self, source: Tensor, start: int, steps: int) -> list[int]:
        """The likeliest next token, exactly `steps` times, each step with what the earlier ones kept."""
        sources, pasts = self.encode(source), None
        written = [torch.full((1, 1), start)]
        for _ in range(steps):
            logits, pasts = self.decode(written[-1], sources, pasts)
            written.append(logits[:, -1:].argmax(-1))
        return torch.cat(written[1:], dim=1)[0].tolist()


def fused(network: Transformer) -> FusedTransformer:
    """The fused model on the very tensors of ours, so that memory is equally warm; RuntimeError if shapes differ."""
    copy = FusedTransformer(network.config).to(network.embedding.weight.dtype)
    weights = network.state_dict()
    for name in list(weights):
        renamed = name
        for ours, theirs in RENAMED.items():
            renamed = renamed.replace(ours, theirs)
        weights[renamed] = weights.pop(name)
    copy.load_state_dict(weights, assign=True)
    return copy.eval()


class Pytorch(nn.Module):
    """PyTorch's own nn.Transformer between our embedding and our tied output."""

    def __init__(self, network: Transformer) -> None:
        super().__init__()
        config = network.config
        self.network = network
        shape = (config.width, config.heads, config.encoder_layers, config.decoder_layers, config.feed_forward)
        with warnings.catch_warnings(action="ignore"):  # that norm first rules out nested tensors
            self.stacks = nn.Transformer(*shape, dropout=0.0, batch_first=True, norm_first=True)
        self.stacks.to(network.embedding.weight.dtype)
        with torch.no_grad():
            copy_stacks(network, self.stacks)
        self.eval()

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        network, count = self.network, target.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(count, dtype=network.embedding.weight.dtype)
        read, asked = network.source(network.embed(source)), network.target(network.embed(target))
        states = self.stacks(read, asked, tgt_mask=mask, tgt_is_causal=True)
        return F.linear(states, network.embedding.weight)


def copy_stacks(network: Transformer, stacks: nn.Transformer) -> None:
    """Give PyTorch's layers our weights."""
    for ours, theirs in ((network.encoder, stacks.encoder), (network.decoder, stacks.decoder)):
        for layer, copy in zip(ours.layers, theirs.layers, strict=True):
            copy_layer(layer, copy)
        copy_norm(ours.final_norm, theirs.norm)


def copy_layer(ours: EncoderLayer | DecoderLayer, theirs: nn.Module) -> None:
    copy_attention(ours.self_attention, theirs.self_attn)
    if isinstance(ours, DecoderLayer):
        copy_attention(ours.cross_attention, theirs.multihead_attn)
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    norms = [each for name, each in ours.named_children() if name.startswith("norm_before")]
    for number, norm in enumerate(norms, start=1):
        copy_norm(norm, getattr(theirs, f"norm{number}"))


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query_projection, ours.key_projection, ours.value_projection)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.output_projection.state_dict())


def copy_norm(ours: nn.Module, theirs: nn.Module) -> None:
    theirs.weight.copy_(ours.gain)
    theirs.bias.copy_(ours.bias)
