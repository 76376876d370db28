"""The encoder–decoder of Vaswani et al. 2017, with the norm before each sub-layer and after each stack."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import MASKS, Cache, MultiHeadAttention, dropped
from core.hooks import HookPoint, name_hook_points
from core.layers import Choices, DecoderLayer, EncoderLayer
from core.norms import NORMS
from core.positions import POSITIONS


@dataclass(frozen=True)
class Config:
    """Everything that decides the shape of a model; `to_json` and `Config(**fields)` are inverses.

    `width` is the residual stream (d_model), `content_width` the part of it that comes from the embedding; strings
    name rows of POSITIONS, NORMS, RESIDUALS, FEED_FORWARDS, DIVISORS and MASKS.
    """

    vocabulary: int
    width: int
    content_width: int
    heads: int
    feed_forward: int
    encoder_layers: int
    decoder_layers: int
    positions: str = "sinusoidal"
    dropout: float = 0.0
    maximum_positions: int = 256
    padding: int = 0
    norm: str = "layer"
    residual: str = "pre-norm"
    activation: str = "relu"
    scale: str = "root"
    mask: str = "causal"

    @property
    def looks_ahead(self) -> bool:
        """Whether what a target position computes depends on those after it, so that a decoder rereads them all."""
        return self.mask == "open" or NORMS[self.norm].looks_ahead

    @property
    def reach(self) -> int | None:
        """The most positions that a sentence may have, None where there is no bound."""
        return self.maximum_positions if POSITIONS[self.positions].bounded else None

    def layer_choices(self, index: int) -> Choices:
        """What layer `index` of either stack is built from."""
        return Choices(
            norm=self.norm,
            residual=self.residual,
            feed_forward=self.activation,
            scale=self.scale,
            relative=POSITIONS[self.positions].relative,
            dropout=self.dropout,
            first=index == 0,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


class Input(nn.Module):
    """Where a sentence becomes a stream: the embedding, the position, and what enters layer 0."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        row = POSITIONS[config.positions]
        self.positions = row(config.width, config.content_width, config.maximum_positions)
        self.dropout = config.dropout
        self.embedding, self.position, self.input = HookPoint(), HookPoint(), HookPoint()

    def forward(
        self, embedded: Float[Tensor, "batch position content"], first: int = 0
    ) -> Float[Tensor, "batch position width"]:
        embedded = self.embedding(embedded)
        batch, count, _ = embedded.shape
        position = self.position(self.positions(first, count).expand(batch, -1, -1))
        stream = self.positions.combine(embedded, position)
        return self.input(dropped(stream, self.dropout, self.training))


class Encoder(nn.Module):
    """A stack of layers over the source, then a norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = tuple(
            EncoderLayer(config.width, config.heads, config.feed_forward, config.layer_choices(index))
            for index in range(config.encoder_layers)
        )
        for index, layer in enumerate(self.layers):
            self.add_module(str(index), layer)
        self.final_norm = NORMS[config.norm](config.width)

    def forward(
        self, x: Float[Tensor, "batch source width"], mask: Bool[Tensor, "#batch 1 #source source"]
    ) -> Float[Tensor, "batch source width"]:
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.final_norm(x)
        return normed


class Decoder(nn.Module):
    """A stack of layers over the target that also reads the encoder's output, then a norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = tuple(
            DecoderLayer(config.width, config.heads, config.feed_forward, config.layer_choices(index))
            for index in range(config.decoder_layers)
        )
        for index, layer in enumerate(self.layers):
            self.add_module(str(index), layer)
        self.final_norm = NORMS[config.norm](config.width)

    def forward(
        self,
        x: Float[Tensor, "batch target width"],
        memory: Float[Tensor, "batch source width"],
        causal: Bool[Tensor, "1 1 target past"],
        source_mask: Bool[Tensor, "#batch 1 1 source"],
        cache: Cache,
    ) -> Float[Tensor, "batch target width"]:
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer(x, memory, causal, source_mask, kept)
        normed: Tensor = self.final_norm(x)
        return normed


class Transformer(nn.Module):
    """Reads a source sentence and scores every next target token.

    One embedding serves the source, the target and the output (section 3.4). Targets are padded on the right,
    so the causal mask already hides their padding from every real token; only the source needs a mask for it.
    `paths` lists every hook point in the order of the modules, `attentions` every attention by its path.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.content_width)
        self.source, self.target = Input(config), Input(config)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.readout = POSITIONS[config.positions].readout(config.width, config.content_width)
        self.logits = HookPoint()
        self.apply(_initialise)
        self.paths = name_hook_points(self)
        modules = self.named_modules()
        self.attentions = {path: each for path, each in modules if isinstance(each, MultiHeadAttention)}

    def forward(
        self,
        source_ids: Int[Tensor, "batch source"],
        target_ids: Int[Tensor, "batch target"],
        source_mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch target vocab"]:
        """Logits for the token after each target token; `source_mask` is True at real tokens."""
        source_mask = source_ids != self.config.padding if source_mask is None else source_mask
        memory = self.encode(source_ids, source_mask)
        return self.decode(target_ids, memory, source_mask)

    def encode(
        self, source_ids: Int[Tensor, "batch source"], source_mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source width"]:
        """The source as the decoder will read it."""
        memory: Tensor = self.encoder(self.source(self.embed(source_ids)), source_mask[:, None, None])
        return memory

    def decode(
        self,
        target_ids: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source width"],
        source_mask: Bool[Tensor, "batch source"],
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch target vocab"]:
        """Logits of the positions given; with a cache these continue the positions it has already read."""
        states = self.states(target_ids, memory, source_mask, cache)
        return self.logits(F.linear(states, self.embedding.weight))

    def states(
        self,
        target_ids: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source width"],
        source_mask: Bool[Tensor, "batch source"],
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch target content"]:
        """What the tied embedding is multiplied with to score the next token."""
        cache = self.cache() if cache is None else cache
        first, count = cache.length, target_ids.shape[1]
        stream = self.target(self.embed(target_ids), first)
        causal = MASKS[self.config.mask](count, first + count, target_ids.device)[None, None]
        stream = self.decoder(stream, memory, causal, source_mask[:, None, None], cache)
        states: Tensor = self.readout(stream)
        return states

    def cache(self, *, keep: bool = True) -> Cache:
        """Room for one decoding; nothing is kept where later tokens change what earlier ones are."""
        return Cache(self.config.decoder_layers, keep=keep and not self.config.looks_ahead)

    def embed(self, ids: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position content"]:
        """Word vectors times √d, so that they are not drowned by the positions (section 3.4)."""
        embedded: Tensor = self.embedding(ids) * math.sqrt(self.config.content_width)
        return embedded


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
