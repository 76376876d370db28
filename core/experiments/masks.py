"""What a mask must hide, measured: five ways to mask, what leaks through them, pads and the future.

A mask is True where a query may look. Everything here lets the network of a run read its tokens again; whoever listens
(`core.hooks.listen`, `core.edits.editing`) edits that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checkpoint import Model
from core.hooks import Listener, listen
from core.run import DERIVED, Run
from core.tokens import SPECIALS, Token
from core.transformer import Transformer

Tokens = tuple[Token, ...]
Way = Callable[[Tensor, Tensor], Tensor]
"""Scores and a mask to weights."""
MORE = 6  # tokens that are written among pads once it is others than without them

# --- E08: five ways to mask -----------------------------------------------------------------------------------------


def infinity(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch query key"]
) -> Float[Tensor, "*batch query key"]:
    """−∞ before the softmax, as in Vaswani et al. 2017, section 3.2.3."""
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


def billion(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch query key"]
) -> Float[Tensor, "*batch query key"]:
    """A very low number before the softmax, as much code has it."""
    return scores.masked_fill(~mask, -1e9).softmax(-1)


def renormalised(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch query key"]
) -> Float[Tensor, "*batch query key"]:
    """0/1 on the weights, and each row scaled back to 1: e^s / Σ e^s over the allowed keys, the same as −∞."""
    kept = scores.softmax(-1) * mask
    return kept / kept.sum(-1, keepdim=True)


def zeroed(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch query key"]
) -> Float[Tensor, "*batch query key"]:
    """0/1 on the weights and nothing else: the hidden keys still count in each row's normaliser."""
    return scores.softmax(-1) * mask


def multiplied(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch query key"]
) -> Float[Tensor, "*batch query key"]:
    """0/1 on the scores: a hidden key has score 0, which is a score like any other."""
    return (scores * mask).softmax(-1)


def unmasked(
    scores: Float[Tensor, "*batch query key"], mask: Bool[Tensor, "*#batch query key"]
) -> Float[Tensor, "*batch query key"]:
    """No mask: what a leak is compared with."""
    return scores.softmax(-1)


WAYS: Mapping[str, Way] = {
    "infinity": infinity,
    "billion": billion,
    "renormalised": renormalised,
    "zeroed": zeroed,
    "multiplied": multiplied,
    "unmasked": unmasked,
}
"""The five ways to mask, and none."""


@dataclass(frozen=True, eq=False)
class Leak:
    """What one way to mask lets through when the target changes from one position on, and what it does besides.

    `outputs` is the largest change of any channel of a head's output at each earlier position; `predictions` the
    largest change of any logit there, with every decoder layer masked this way. The weights are those of every head
    of the unchanged run: lowest and highest sum of a row, and mean weight on hidden keys over rows that have some.
    """

    outputs: Float[Tensor, "layer head before"]
    predictions: float
    lowest_sum: float
    highest_sum: float
    hidden: float
    log_probability: float


def leaks(before: Run, after: Run, first: int, logits: Float[Tensor, "way target vocab"]) -> dict[str, Leak]:
    """Compare a run with one whose target differs from position `first` on; `logits` are `masked_logits(before)`."""
    asked = torch.tensor([[token.id] for token in before.predicted_tokens])
    found = {}
    for name, one, other in zip(WAYS, logits, masked_logits(after), strict=True):
        predictions = float((one - other)[:first].abs().max())
        log_probability = float(one.log_softmax(-1).gather(-1, asked).sum())
        found[name] = _leak(before, after, first, WAYS[name], predictions, log_probability)
    return found


def _leak(before: Run, after: Run, first: int, way: Way, predictions: float, log_probability: float) -> Leak:
    pairs = [(one.self_attention, two.self_attention) for one, two in zip(before.decoder, after.decoder, strict=True)]
    outputs = [way(one.scores, one.mask) @ one.value - way(two.scores, two.mask) @ two.value for one, two in pairs]
    weights = torch.stack([way(one.scores, one.mask) for one, _ in pairs])
    closed, sums = ~pairs[0][0].mask, weights.sum(-1)
    return Leak(
        outputs=torch.stack(outputs)[:, :, :first].abs().amax(-1),
        predictions=predictions,
        lowest_sum=float(sums.min()),
        highest_sum=float(sums.max()),
        hidden=float((weights * closed).sum(-1)[..., closed.any(-1)].mean()),
        log_probability=log_probability,
    )


@torch.inference_mode()
def masked_logits(run: Run) -> Float[Tensor, "way target vocab"]:
    """What comes out where every decoder layer masks in one way: a batch in which each row has its own of WAYS."""
    network, rows, source = run.transformer, len(WAYS), _ids([run.source_tokens])
    mask = torch.ones_like(source, dtype=torch.bool)
    memory = network.encode(source, mask).expand(rows, -1, -1)
    paths = [path for path in network.paths if _looks_ahead(path) and path.endswith((".scores", ".mask", ".weights"))]
    with listen(masking(list(WAYS.values())), paths=frozenset(paths)):
        return network.decode(_ids([run.target_tokens] * rows), memory, mask.expand(rows, -1))


def masking(ways: Sequence[Way]) -> Listener:
    """A listener that masks every self-attention of the decoder, each row of a batch in a way of its own."""
    heard: dict[str, Tensor] = {}

    def mask(path: str, value: Tensor) -> Tensor | None:
        if not _looks_ahead(path):
            return None
        name = path.rpartition(".")[2]
        heard[name] = value
        if name != "weights":
            return None
        allowed = heard["mask"].expand(len(ways), -1, -1, -1)
        return torch.stack([way(*row) for way, *row in zip(ways, heard["scores"], allowed, strict=True)])

    return mask


def exchanged(run: Run, places: Sequence[int], model: Model, seed: int = 0) -> Tokens:
    """The target tokens with those at some places exchanged for others that training saw, drawn at random."""
    random, seen = Random(seed), sorted(model.tokenizer.seen - set(range(len(SPECIALS))))
    others = list(run.target_tokens)
    for place in places:
        pair = random.sample(seen, 2)
        others[place] = model.tokenizer.tokens([pair[pair[0] == others[place].id]])[0]
    return tuple(others)


# --- where renormalising ends ---------------------------------------------------------------------------------------


def raised(
    scores: Float[Tensor, " key"], allowed: Bool[Tensor, " key"], gaps: Float[Tensor, " gap"]
) -> Float[Tensor, "gap key"]:
    """A row of scores whose highest hidden score lies so far above its highest allowed one."""
    shift = scores[allowed].max() - scores[~allowed].max()
    return torch.where(allowed, scores, scores + shift + gaps[:, None])


def renormalising_error(
    scores: Float[Tensor, " key"], allowed: Bool[Tensor, " key"], gaps: Float[Tensor, " gap"]
) -> Float[Tensor, " gap"]:
    """The largest difference between renormalised weights and those of −∞; NaN where 0 is divided by 0."""
    rows = raised(scores, allowed, gaps)
    mask = allowed.expand(rows.shape)
    return (renormalised(rows, mask) - infinity(rows, mask)).abs().amax(-1)


def breaks_at(scores: Float[Tensor, " key"], allowed: Bool[Tensor, " key"], most: int = 1_000) -> int | None:
    """The smallest whole gap at which renormalising has nothing left to divide; None if there is none up to `most`."""
    errors = renormalising_error(scores, allowed, torch.arange(most, dtype=scores.dtype))
    return int(errors.isnan().int().argmax()) if errors.isnan().any() else None


# --- T11: the future ------------------------------------------------------------------------------------------------


def see_everything(path: str, value: Tensor) -> Tensor | None:
    """A listener that takes the look-ahead mask away."""
    return torch.ones_like(value) if _looks_ahead(path) and path.endswith(".mask") else None


def decoder_stages(network: Transformer) -> tuple[str, ...]:
    """The stream after each layer of the decoder, and what comes out."""
    layers = tuple(f"decoder.{index}.after_feed_forward" for index in range(network.config.decoder_layers))
    return (*layers, "logits")


def stages(network: Transformer) -> tuple[str, ...]:
    """The stream after each layer of both stacks, what the decoder reads of the encoder, and what comes out."""
    layers = tuple(f"encoder.{index}.after_feed_forward" for index in range(network.config.encoder_layers))
    return (*layers, "encoder.final_norm.output", *decoder_stages(network))


def changes(before: Run, after: Run, path: str) -> Float[Tensor, " position"]:
    """The largest change of any number at each position of `before`; `after` may have more positions."""
    was = before.tensor(path)
    largest: Tensor = (after.tensor(path)[: len(was)] - was).abs().amax(-1)
    return largest


def future_changes(run: Run, target: Tokens) -> Float[Tensor, "stage position"]:
    """What another target of the same length changes at each stage of the decoder and each position."""
    before, after = (with_target(run, tokens) for tokens in (run.target_tokens, target))
    return torch.stack([changes(before, after, path) for path in decoder_stages(run.transformer)])


@dataclass(frozen=True)
class Noticed:
    """What each position makes of another target: the largest change of a logit, and that of what it is asked for."""

    logits: list[float]
    log_probabilities: list[float]


def noticed(run: Run, target: Tokens) -> Noticed:
    """The predictions of a run beside those with another target of the same length."""
    before, after = (with_target(run, tokens) for tokens in (run.target_tokens, target))
    asked = after.log_probabilities - before.log_probabilities
    return Noticed(changes(before, after, "logits").tolist(), asked.tolist())


def with_target(run: Run, target: Tokens) -> Run:
    """The same source with another target of the same length; what each position is asked for stays."""
    return _read([replace(run, target_tokens=target)], len(run.source_tokens), len(target), masked=True)


# --- T21: padding ---------------------------------------------------------------------------------------------------


def doubled(network: Transformer) -> Transformer:
    """A copy in double precision, in which what is left of a hidden pad does not drown in rounding."""
    return deepcopy(network).double()


def read_by(network: Transformer, run: Run) -> Run:
    """The tokens of a run as another network reads them."""
    return with_target(replace(run, network=network), run.target_tokens)


def padded(run: Run, source: int, target: int, *, beside: Run | None = None, masked: bool = True) -> Run:
    """The run's tokens followed by pads up to the lengths given, alone or as one row of a batch beside another run.

    With `masked` False the source's pads are not hidden: not in the encoder, and not from the decoder. The target's
    need no mask of their own, because they come after every real token.
    """
    return _read([run] if beside is None else [run, beside], source, target, masked=masked)


@torch.inference_mode()
def padded_translation(model: Model, run: Run, among_pads: Run, *, masked: bool) -> str:
    """What the model writes where `run` is read `among_pads`, the pads hidden or not.

    Unless the decoder looks ahead, a single pass tells how far the run's own translation stays the likeliest, word
    after word. At most MORE tokens are written once they are others, and "…" says that it would go on.
    """
    network, tokenizer, own = model.transformer, model.tokenizer, [token.id for token in run.predicted_tokens]
    likeliest = among_pads.tensor("logits")[: len(own)].argmax(-1).tolist()
    written = [] if network.config.looks_ahead else own[: _shared(likeliest, own)]
    if written == own:
        return run.translation
    ids = _ids([among_pads.source_tokens])
    mask = ids != network.config.padding if masked else torch.ones_like(ids, dtype=torch.bool)
    memory, cache = network.encode(ids, mask), network.cache()
    done = False
    while not done and len(written) - _shared(written, own) < MORE:
        read = [tokenizer.start_id, *written][cache.length :]
        written.append(int(network.decode(torch.tensor([read]), memory, mask, cache)[0, -1].argmax()))
        done = written[-1] == tokenizer.end_id or written == own
    return tokenizer.decode(written) + ("" if done else " …")


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two translations begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (mine, its) in pairs if mine != its), min(len(one), len(other)))


@dataclass(frozen=True)
class Drift:
    """How far pads move one stage at the real tokens: the largest change, beside how large the numbers there are."""

    path: str
    change: float
    size: float


def drift(alone: Run, among_pads: Run) -> list[Drift]:
    """Every stage of a run beside the same with pads; `size` is the root of the mean square."""
    paths = stages(alone.transformer)
    sizes = [float(alone.tensor(path).square().mean().sqrt()) for path in paths]
    moved = [float(changes(alone, among_pads, path).max()) for path in paths]
    return [Drift(*each) for each in zip(paths, moved, sizes, strict=True)]


def weight_on_pads(run: Run, real: int) -> tuple[float, float]:
    """Mean weight that real queries put on pads of the source: in the encoder, and in cross-attention."""
    own = torch.stack([layer.self_attention.weights for layer in run.encoder])[:, :, :real, real:]
    cross = torch.stack([layer.cross_attention.weights for layer in run.decoder])[..., real:]
    return float(own.sum(-1).mean()), float(cross.sum(-1).mean())


# --- reading again --------------------------------------------------------------------------------------------------


@torch.inference_mode()
def _read(runs: Sequence[Run], source: int, target: int, *, masked: bool) -> Run:
    """The first of some runs, read as the first row of a batch."""
    first, network = runs[0], runs[0].transformer
    sources = [_filled(run.source_tokens, source, network) for run in runs]
    targets = [_filled(run.target_tokens, target, network) for run in runs]
    ids = _ids(sources)
    mask = ids != network.config.padding if masked else torch.ones_like(ids, dtype=torch.bool)
    kept = frozenset(path for path in network.paths if path.rpartition(".")[2] not in DERIVED)
    captured: dict[str, Tensor] = {}
    with listen(captured.__setitem__, paths=kept):
        network(ids, _ids(targets), mask)
    return replace(
        first,
        captured=captured,
        source_tokens=sources[0],
        target_tokens=targets[0],
        predicted_tokens=_filled(first.predicted_tokens, target, network),
    )


def _filled(tokens: Tokens, length: int, network: Transformer) -> Tokens:
    """Tokens and as many pads as are missing."""
    pad = Token(network.config.padding, SPECIALS[0], 0, 0, False, -1, True)
    return (*tokens, *[pad] * (length - len(tokens)))


def _ids(rows: Sequence[Tokens]) -> Tensor:
    return torch.tensor([[token.id for token in row] for row in rows])


def _looks_ahead(path: str) -> bool:
    """Whether a hook point belongs to the decoder's self-attention."""
    return path.startswith("decoder.") and ".self_attention." in path
