"""Why there is a feed-forward network: what is affine without it, what cannot be learnt, what its neurons do (E11)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from core.checkpoint import Model
from core.decoding import greedy
from core.hooks import listen
from core.layers import FeedForward
from core.measures.context import read_sentences
from core.run import Run
from core.tokens import Direction, Token
from core.transformer import Transformer

# --- affine, or not -------------------------------------------------------------------------------------------------


@torch.no_grad()
def affine_defect(
    function: Callable[[Tensor], Tensor],
    first: Float[Tensor, "token width"],
    second: Float[Tensor, "token width"],
) -> float:
    """‖f(a + b) − f(a) − f(b) + f(0)‖ over ‖f(a) − f(0)‖ + ‖f(b) − f(0)‖: 0 for every affine f."""
    nothing = function(torch.zeros_like(first))
    one, other, both = (function(each) - nothing for each in (first, second, first + second))
    return float((both - one - other).norm() / (one.norm() + other.norm()))


@torch.no_grad()
def defects(network: Transformer, run: Run, layer: int, tokens: tuple[int, int]) -> dict[str, float]:
    """The defect of the parts of an encoder layer, for two tokens of a run as it entered that layer.

    "one" is attention over a single token, "many" attention over the sentence (its tokens, and the same moved on by
    one). The network is best in double precision.
    """
    parts = network.encoder.layers[layer]
    stream = run.tensor(f"encoder.{layer}.norm_before_attention.input").double()
    first, second = (stream[token : token + 1] for token in tokens)

    def attend(x: Tensor) -> Tensor:
        looked: Tensor = parts.self_attention(x[None], x[None], torch.ones(1, 1, len(x), len(x), dtype=torch.bool))[0]
        return looked

    found = {
        "one": affine_defect(attend, first, second),
        "one with residual": affine_defect(lambda x: x + attend(x), first, second),
        "many": affine_defect(attend, stream, stream.roll(1, 0)),
        "norm": affine_defect(lambda x: parts.norm_before_feed_forward(x[None])[0], first, second),
    }
    network_inside = parts.feed_forward
    if isinstance(network_inside, FeedForward):
        found["feed-forward"] = affine_defect(network_inside, first, second)
        found["no function"] = affine_defect(lambda x: network_inside.outer(network_inside.inner(x)), first, second)
    return found


# --- XOR ------------------------------------------------------------------------------------------------------------

WIDTH, INNER = 16, 32
SEEDS, STEPS, RATE, EVERY = 3, 500, 1e-2, 25
SEQUENCES = 48  # of random bits, that many tokens learn from; as many unseen ones grade them


@dataclass(frozen=True)
class Setting:
    """A tiny network for XOR: how many tokens stand together, and what there is beside attention."""

    tokens: int = 1
    feed_forward: bool = False
    norm: bool = False


SETTINGS = {
    "attention": Setting(),
    "feed-forward": Setting(feed_forward=True),
    "norm": Setting(norm=True),
    "many": Setting(tokens=6),
}


class Tiny(nn.Module):
    """Two bits become a vector; attention with one head, perhaps feed-forward, perhaps a norm; one number comes out.

    Networks of several seeds stand side by side and share nothing.
    """

    def __init__(self, setting: Setting, seeds: int) -> None:
        super().__init__()
        self.setting = setting
        shapes = dict.fromkeys(("query", "key", "value", "output"), (WIDTH, WIDTH))
        shapes |= {"embedding": (2, WIDTH), "readout": (WIDTH, 1)}
        shapes |= {"inner": (WIDTH, INNER), "outer": (INNER, WIDTH)} if setting.feed_forward else {}
        drawn = {name: torch.randn(seeds, 1, *shape) / shape[0] ** 0.5 for name, shape in shapes.items()}
        drawn |= {f"{name}_bias": torch.zeros(seeds, 1, 1, shape[1]) for name, shape in shapes.items()}
        self.weights = nn.ParameterDict({name: nn.Parameter(each) for name, each in drawn.items()})

    def linear(self, name: str, x: Float[Tensor, "seed batch token _"]) -> Float[Tensor, "seed batch token _"]:
        """x W + b of each seed's own."""
        mapped: Tensor = x @ self.weights[name] + self.weights[f"{name}_bias"]
        return mapped

    def forward(self, bits: Float[Tensor, "seed batch token 2"]) -> Float[Tensor, "seed batch token"]:
        """The logit of "exactly one of my two bits is 1", for every token."""
        x = self.linear("embedding", bits)
        query, key, value = (self.linear(name, x) for name in ("query", "key", "value"))
        weights = (query @ key.mT / WIDTH**0.5).softmax(-1)
        x = x + self.linear("output", weights @ value)
        if self.setting.feed_forward:
            x = x + self.linear("outer", torch.relu(self.linear("inner", x)))
        if self.setting.norm:
            x = F.layer_norm(x, (WIDTH,))
        return self.linear("readout", x)[..., 0]


@dataclass(frozen=True)
class Learnt:
    """Training with one seed: the loss by step, and the share of tokens answered right in the end.

    `answers` are the probabilities of 1 for 00, 01, 10 and 11, where a token stands alone.
    """

    losses: tuple[tuple[int, float], ...]
    accuracy: float
    answers: tuple[float, ...]


@torch.enable_grad()
def learn_xor(setting: Setting, seeds: int = SEEDS) -> list[Learnt]:
    """Train tiny networks on XOR; a lone token has only four inputs, which are what it learns from and is asked."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Tiny(setting, seeds)
        bits, unseen = _bits(setting.tokens, seeds), _bits(setting.tokens, seeds)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    losses: list[list[tuple[int, float]]] = [[] for _ in range(seeds)]
    for step in range(STEPS + 1):
        each = F.binary_cross_entropy_with_logits(network(bits), _xor(bits), reduction="none").mean((1, 2))
        if step % EVERY == 0:
            for curve, loss in zip(losses, each.tolist(), strict=True):
                curve.append((step, loss))
        optimizer.zero_grad()
        each.sum().backward()
        optimizer.step()
    with torch.no_grad():
        logits = network(unseen)
    right = ((logits > 0) == (_xor(unseen) > 0)).double().mean((1, 2)).tolist()
    alone = setting.tokens == 1
    answers = [tuple(each[:, 0].tolist()) if alone else () for each in logits.sigmoid()]
    return [Learnt(tuple(curve), *rest) for curve, *rest in zip(losses, right, answers, strict=True)]


def _bits(tokens: int, seeds: int) -> Float[Tensor, "seed batch token 2"]:
    if tokens == 1:
        every = torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]], [[1.0, 1.0]]])
        return every.expand(seeds, -1, -1, -1)
    return torch.randint(0, 2, (seeds, SEQUENCES, tokens, 2)).float()


def _xor(bits: Float[Tensor, "seed batch token 2"]) -> Float[Tensor, "seed batch token"]:
    return (bits.sum(-1) == 1).float()


# --- neurons --------------------------------------------------------------------------------------------------------

AT_ONCE = 64  # sentences together
MOST = 12  # contexts that are kept of each neuron
WRITTEN = 240  # held-out sentences that the decoder is read on; it has to write their translations first


@dataclass(frozen=True, eq=False)
class Firing:
    """The neurons of one layer over held-out sentences: where each fires most, strongest first.

    `sentence` and `place` say where; `open` is the share of tokens at which a neuron is above 0.
    """

    activation: Float[Tensor, "neuron context"]
    sentence: Int[Tensor, "neuron context"]
    place: Int[Tensor, "neuron context"]
    open: Float[Tensor, " neuron"]


@dataclass(frozen=True, eq=False)
class Survey:
    """What was read, as tokens, and what the neurons of each layer of a stack did there."""

    sentences: tuple[tuple[Token, ...], ...]
    layers: tuple[Firing, ...]

    @property
    def tokens(self) -> int:
        """How many tokens were read."""
        return sum(map(len, self.sentences))

    def pieces(self, layer: int, neuron: int) -> list[str]:
        """The tokens at which a neuron fires most."""
        fired = self.layers[layer]
        places = zip(fired.sentence[neuron].tolist(), fired.place[neuron].tolist(), strict=True)
        return [self.sentences[sentence][place].piece for sentence, place in places]


def probe_texts(count: int | None = None) -> list[tuple[str, Direction]]:
    """The held-out sentences of assets/probes.json, or so many of them evenly spread; raises OSError or ValueError."""
    found = read_sentences()
    texts = [(row.text, row.direction) for row in found.senses] + [(row.text, "en-ko") for row in found.pronouns]
    texts = list(dict.fromkeys(texts))
    step = 1 if count is None else max(1, len(texts) // count)
    return texts[::step][:count]


@torch.inference_mode()
def survey(model: Model, stack: str, texts: Sequence[tuple[str, Direction]]) -> Survey:
    """Read the sentences (the decoder its own translations of them) and keep where every neuron fires most."""
    network, tokenizer = model.transformer, model.tokenizer
    layers = network.config.encoder_layers if stack == "encoder" else network.config.decoder_layers
    names = [f"{stack}.{layer}.feed_forward.activation" for layer in range(layers)]
    sources = sorted((tokenizer.source(text, way) for text, way in texts), key=len)
    read: list[tuple[Token, ...]] = []
    kept: list[list[Tensor]] = [[] for _ in names]
    opened = [torch.zeros(network.config.feed_forward) for _ in names]
    for begun in range(0, len(sources), AT_ONCE):
        heard, batch, real = _heard(model, stack, sources[begun : begun + AT_ONCE], frozenset(names))
        where = torch.stack(
            [torch.arange(len(batch))[:, None].expand_as(real), torch.arange(real.shape[1]).expand_as(real)]
        )
        spots = where[:, real] + torch.tensor([[len(read)], [0]])
        for layer, name in enumerate(names):
            values = heard[name][real]
            opened[layer] += (values > 0).sum(0)
            kept[layer] = _strongest(kept[layer], values.T, spots)
        read += batch
    total = sum(map(len, read))
    firings = [Firing(best[0], best[1], best[2], count / total) for best, count in zip(kept, opened, strict=True)]
    return Survey(tuple(read), tuple(firings))


def _heard(
    model: Model, stack: str, sources: Sequence[tuple[Token, ...]], paths: frozenset[str]
) -> tuple[dict[str, Tensor], list[tuple[Token, ...]], Bool[Tensor, "sentence position"]]:
    """What passes `paths` while a stack reads a batch, its tokens, and which positions are real."""
    network, tokenizer = model.transformer, model.tokenizer
    ids = _padded(sources, tokenizer.pad_id)
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__, paths=paths):
        memory = network.encode(ids, ids != tokenizer.pad_id)
    if stack == "encoder":
        return heard, list(sources), ids != tokenizer.pad_id
    written = greedy(network, memory, ids != tokenizer.pad_id, start=tokenizer.start_id, end=tokenizer.end_id)
    targets = [tokenizer.tokens([tokenizer.start_id, *row])[:-1] for row in written]
    read = _padded(targets, tokenizer.pad_id)
    with listen(heard.__setitem__, paths=paths):
        network.states(read, memory, ids != tokenizer.pad_id)
    return heard, targets, read != tokenizer.pad_id


def _padded(rows: Sequence[tuple[Token, ...]], padding: int) -> Int[Tensor, "sentence position"]:
    longest = max(map(len, rows))
    return torch.tensor([[token.id for token in row] + [padding] * (longest - len(row)) for row in rows])


def _strongest(
    kept: list[Tensor], values: Float[Tensor, "neuron token"], spots: Int[Tensor, "2 token"]
) -> list[Tensor]:
    """The strongest of what was kept and of what is new: values, sentences and places."""
    new = [values, spots[0].expand_as(values), spots[1].expand_as(values)]
    together = [torch.cat(pair, dim=1) for pair in zip(kept, new, strict=True)] if kept else new
    best = together[0].topk(min(MOST, together[0].shape[1]), dim=1)
    return [each.gather(1, best.indices) for each in together]


def commonest(pieces: Sequence[str]) -> tuple[str, float]:
    """The commonest of some tokens, and its share."""
    piece, times = Counter(pieces).most_common(1)[0]
    return piece, times / len(pieces)


def commonest_by_chance(found: Survey, draws: int = 200, seed: int = 0) -> float:
    """The mean share of the commonest among as many tokens drawn at random from what was read."""
    pieces, random = [token.piece for row in found.sentences for token in row], Random(seed)
    return sum(commonest(random.choices(pieces, k=MOST))[1] for _ in range(draws)) / draws


@dataclass(frozen=True)
class Promoted:
    """Tokens by how much a neuron's row of W₂ raises their logit, and how much a random row would raise its best."""

    best: tuple[tuple[int, float], ...]
    worst: tuple[tuple[int, float], ...]
    chance: float


@torch.no_grad()
def promoted(network: Transformer, stack: str, layer: int, neuron: int, count: int = 8) -> Promoted:
    """The neuron's row of W₂ times the unembedding, through the gain of the last norm (its division left out).

    The output reads the decoder's stream alone; an encoder's row is compared with the same table.
    """
    part = network.get_submodule(f"{stack}.{layer}.feed_forward")
    if not isinstance(part, FeedForward):
        raise TypeError(f"layer {layer} of the {stack} has no neurons")
    row = part.outer.weight[:, neuron]
    scores = _read(network, stack, row)
    generator = torch.Generator().manual_seed(0)
    random = [F.normalize(torch.randn(len(row), generator=generator), dim=0) * row.norm() for _ in range(20)]
    chance = sum(float(_read(network, stack, each).max()) for each in random) / len(random)
    best, worst = scores.topk(count), scores.topk(count, largest=False)
    pairs = [tuple(zip(each.indices.tolist(), each.values.tolist(), strict=True)) for each in (best, worst)]
    return Promoted(pairs[0], pairs[1], chance)


def _read(network: Transformer, stack: str, row: Float[Tensor, " width"]) -> Float[Tensor, " vocab"]:
    norm = network.get_submodule(f"{stack}.final_norm")
    stretched = row * norm.get_parameter("gain") if isinstance(getattr(norm, "gain", None), nn.Parameter) else row
    shown: Tensor = network.readout(stretched) - network.readout(torch.zeros_like(stretched))
    scores: Tensor = network.embedding.weight @ shown
    return scores


@torch.inference_mode()
def without(network: Transformer, run: Run, stack: str, layer: int, neuron: int) -> Float[Tensor, " target"]:
    """How much log p of each predicted token changes when one neuron is held at 0."""
    source, target, wanted = (
        torch.tensor([[token.id for token in tokens]])
        for tokens in (run.source_tokens, run.target_tokens, run.predicted_tokens)
    )

    def silence(_: str, activation: Tensor) -> Tensor:
        silent = activation.clone()
        silent[..., neuron] = 0.0
        return silent

    def read() -> Tensor:
        logits = network(source, target)[0].log_softmax(-1)
        found: Tensor = logits.gather(-1, wanted[0][:, None])[:, 0]
        return found

    before = read()
    with listen(silence, paths={f"{stack}.{layer}.feed_forward.activation"}):
        after = read()
    return after - before


def strongest_here(run: Run, stack: str, layer: int, count: int) -> list[int]:
    """The neurons that write most on this sentence: largest activation times the length of their row of W₂."""
    part = run.transformer.get_submodule(f"{stack}.{layer}.feed_forward")
    if not isinstance(part, FeedForward):
        return []
    activation = run.tensor(f"{stack}.{layer}.feed_forward.activation")
    written = activation.abs().amax(0) * part.outer.weight.detach().norm(dim=0)
    order: list[int] = written.topk(min(count, len(written))).indices.tolist()
    return order


# --- where the weights are ------------------------------------------------------------------------------------------


def weights(network: Transformer) -> dict[str, int]:
    """How many numbers are learned in the table of embeddings, in attention, in feed-forward, in what is left."""
    found = {"embedding": 0, "attention": 0, "feed-forward": 0, "other": 0}
    for name, parameter in network.named_parameters():
        kind = (
            "attention"
            if "attention." in name and "norm" not in name
            else "feed-forward"
            if ".feed_forward." in name
            else "embedding"
            if name.startswith("embedding")
            else "other"
        )
        found[kind] += math.prod(parameter.shape)
    return found
