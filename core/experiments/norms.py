"""Whose numbers decide a mean and a variance, measured: on what a norm reads, and on what a whole network says.

A batch is a list of sentences of which the first is the one looked at; everything is computed in double precision
where the caller hands in a network of that precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from core.hooks import listen
from core.norms import GROUPS, NORMS, Norm
from core.run import Run
from core.transformer import Config, Transformer

KINDS = ("batch", "layer", "instance", "group", "rms")
CONSTANT, FACTOR = 5.0, 3.0

# --- a batch --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Batch:
    """Sentences with their translations, filled up with pads; `expected` is what each target position should predict.

    `source_lengths` and `target_lengths` count the tokens before the pads.
    """

    source: Int[Tensor, "batch source"]
    target: Int[Tensor, "batch target"]
    expected: Int[Tensor, "batch target"]
    source_lengths: tuple[int, ...]
    target_lengths: tuple[int, ...]
    padding: int

    @property
    def mask(self) -> Bool[Tensor, "batch source"]:
        """True at the tokens of each source."""
        return self.source != self.padding


def batch_of(runs: Sequence[Run], padding: int, *, source: int = 0, target: int = 0) -> Batch:
    """The tokens of some runs, filled up to the longest of them and at least to the lengths given."""
    sources = [[token.id for token in run.source_tokens] for run in runs]
    targets = [[token.id for token in run.target_tokens] for run in runs]
    expected = [[token.id for token in run.predicted_tokens] for run in runs]
    return Batch(
        source=_filled(sources, source, padding),
        target=_filled(targets, target, padding),
        expected=_filled(expected, target, padding),
        source_lengths=tuple(map(len, sources)),
        target_lengths=tuple(map(len, targets)),
        padding=padding,
    )


def _filled(rows: Sequence[Sequence[int]], least: int, padding: int) -> Int[Tensor, "batch position"]:
    length = max(least, *map(len, rows))
    return torch.tensor([[*row, *[padding] * (length - len(row))] for row in rows])


def sites(network: object) -> tuple[str, ...]:
    """The paths of a network's norms, in the order of the modules; none where there are none."""
    modules = network.named_modules() if isinstance(network, Transformer) else ()
    return tuple(path for path, module in modules if isinstance(module, Norm))


@torch.inference_mode()
def norm_inputs(network: Transformer, batch: Batch) -> dict[str, Float[Tensor, "batch position width"]]:
    """What every norm of a network reads, by the norm's path."""
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__, paths=frozenset(f"{path}.input" for path in sites(network))):
        network.states(batch.target, network.encode(batch.source, batch.mask), batch.mask)
    return {path.removesuffix(".input"): value for path, value in heard.items()}


# --- E13: who shares a mean and a variance --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shared:
    """What one norm makes of a cell; `rows`, `positions` and `channels` are the box of cells that share with it."""

    rows: slice
    positions: slice
    channels: slice
    cells: int
    mean: float
    variance: float
    value: float
    normalized: float


@torch.inference_mode()
def shared(x: Float[Tensor, "batch position width"], kind: str, cell: tuple[int, int, int]) -> Shared:
    """The mean and the variance of a cell (sentence, position, channel) under a norm fresh from the shelf."""
    norm = fresh(kind, x.shape[-1])
    mean, variance = (part.expand(x.shape)[cell] for part in norm.statistics(x))
    value = x[cell]
    box = [_reach(norm, axis, place, count) for axis, place, count in zip(AXES, cell, x.shape, strict=True)]
    rows, positions, channels = box
    return Shared(
        rows=rows,
        positions=positions,
        channels=channels,
        cells=prod(each.stop - each.start for each in box),
        mean=float(mean),
        variance=float(variance),
        value=float(value),
        normalized=float((value - mean) * torch.rsqrt(variance + norm.epsilon)),
    )


AXES = ("batch", "position", "channel")


def _reach(norm: Norm, axis: str, place: int, count: int) -> slice:
    """The part of an axis that shares statistics with a place."""
    if axis in norm.shared:
        return slice(0, count)
    if axis == "channel" and "group" in norm.shared:
        each = count // GROUPS
        return slice(place // each * each, (place // each + 1) * each)
    return slice(place, place + 1)


def fresh(kind: str, width: int) -> Norm:
    """A norm in training mode that has learned nothing: gain 1, bias 0, in double precision."""
    return NORMS[kind](width).double().train()


# --- before and after -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ByToken:
    """Mean and standard deviation of one norm's numbers over the channels of each token, before and after."""

    mean_before: Float[Tensor, " position"]
    deviation_before: Float[Tensor, " position"]
    mean_after: Float[Tensor, " position"]
    deviation_after: Float[Tensor, " position"]


def by_token(run: Run, path: str) -> ByToken:
    """One norm on the tokens of a run: what it read, and what it gave after its gain and bias."""
    before, after = run.tensor(f"{path}.input"), run.tensor(f"{path}.output")
    return ByToken(before.mean(-1), _deviation(before), after.mean(-1), _deviation(after))


def _deviation(x: Float[Tensor, "position width"]) -> Float[Tensor, " position"]:
    return x.std(-1, correction=0)


# --- E13: the batch-mate test ---------------------------------------------------------------------------------------

Changed = tuple[Float[Tensor, "batch position width"], int]
"""What a norm reads after an intervention, and where the token looked at then stands in the first sentence."""
Moved = dict[str, dict[str, float]]
"""Changes by intervention and norm."""


def interventions(
    x: Float[Tensor, "batch position width"],
    others: Float[Tensor, "others position width"],
    pads: Float[Tensor, "batch pads width"],
    place: int,
    length: int,
) -> dict[str, Changed]:
    """What may be done to a batch without touching, or by shifting or scaling, the token at `place`.

    `others` are other sentences for the rows from 1 on, `pads` more positions, `length` the tokens of the first
    sentence; the future can only be changed where there is some.
    """
    scales = torch.linspace(0.5, 2.0, x.shape[-1], dtype=x.dtype)[_shuffle(x.shape[-1])]
    found = {
        "mates": (torch.cat((x[:1], others)), place),
        "pads": (torch.cat((x, pads), dim=1), place),
        "future": (_other_future(x, length - 1), place),
        "alone": (x[:1], place),
        "single": (x[:1, place : place + 1], 0),
        "constant": (x + CONSTANT, place),
        "scale": (x * FACTOR, place),
        "features": (x * scales, place),
    }
    return found if place < length - 1 else {name: each for name, each in found.items() if name != "future"}


def _shuffle(count: int) -> Int[Tensor, " channel"]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def _other_future(x: Float[Tensor, "batch position width"], last: int) -> Float[Tensor, "batch position width"]:
    """The first sentence's last token exchanged for the one of another sentence that is least like it."""
    strangers = x[1:].flatten(0, 1)
    farthest = strangers[int((strangers - x[0, last]).norm(dim=-1).argmax())]
    changed = x.clone()
    changed[0, last] = farthest
    return changed


@torch.inference_mode()
def moved(x: Float[Tensor, "batch position width"], place: int, changed: Mapping[str, Changed]) -> Moved:
    """The largest change of any feature of the token looked at, by intervention and norm.

    "eval" is what happens when a norm that has seen this one batch leaves training.
    """
    before = {kind: fresh(kind, x.shape[-1])(x)[0, place] for kind in KINDS}
    found = {
        name: {kind: _change(fresh(kind, x.shape[-1])(after)[0, now], before[kind]) for kind in KINDS}
        for name, (after, now) in changed.items()
    }
    return found | {"eval": {kind: _change(_evaluated(kind, x)[0, place], before[kind]) for kind in KINDS}}


def _change(after: Float[Tensor, " width"], before: Float[Tensor, " width"]) -> float:
    return float((after - before).abs().max())


def _evaluated(kind: str, x: Float[Tensor, "batch position width"]) -> Float[Tensor, "batch position width"]:
    norm = fresh(kind, x.shape[-1])
    norm(x)
    output: Tensor = norm.eval()(x)
    return output


def stored(kind: str, width: int) -> tuple[dict[str, int], dict[str, int]]:
    """What a norm keeps in a checkpoint: sizes of what it learns, and of the statistics it remembers (its buffers)."""
    norm = NORMS[kind](width)
    learned = {name: each.numel() for name, each in norm.named_parameters()}
    kept = {name: each.numel() for name, each in norm.state_dict().items()}
    return learned, {name: count for name, count in kept.items() if name not in learned}


# --- the whole network ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shift:
    """How far the first sentence's predictions move: the largest change of a logit, and how many tokens change."""

    logits: float
    tokens: int


def shifts(network: Transformer, run: Run, mates: Sequence[Run], pads: int, *, training: bool) -> dict[str, Shift]:
    """What other sentences of a batch do to the logits of one, whose target is given.

    "mates" puts each sentence beside it, cut or filled up to its length, and takes the largest change; "pads" fills it
    up; "word" exchanges a word of its own, for comparison. What they are compared with is the sentence beside a copy
    of itself, which has the statistics of the sentence alone. The network is left as it was.
    """
    own = deepcopy(network).train(training)
    padding = own.config.padding
    lone = batch_of([run, run], padding)
    before = _logits(own, lone)
    beside = [_logits(own, _beside(lone, mate)) for mate in mates]
    longer = batch_of([run, run], padding, source=lone.source.shape[1] + pads, target=lone.target.shape[1] + pads)
    after = {"pads": [_logits(own, longer)], "mates": beside, "word": [_logits(own, _reworded(lone, mates[0]))]}
    return {name: max((_shift(before, each) for each in found), key=_size) for name, found in after.items() if found}


def _size(shift: Shift) -> float:
    return shift.logits


def _shift(before: Float[Tensor, "target vocab"], after: Float[Tensor, "target vocab"]) -> Shift:
    tokens = int((before.argmax(-1) != after.argmax(-1)).sum())
    return Shift(float((after - before).abs().max()), tokens)


@torch.inference_mode()
def _logits(network: Transformer, batch: Batch) -> Float[Tensor, "target vocab"]:
    logits: Tensor = network(batch.source, batch.target, batch.mask)[0, : batch.target_lengths[0]]
    return logits


def _beside(lone: Batch, mate: Run) -> Batch:
    """The first sentence beside another, of which as much is taken as fits."""
    source, target = lone.source.clone(), lone.target.clone()
    for rows, tokens in ((source, mate.source_tokens), (target, mate.target_tokens)):
        ids = torch.tensor([token.id for token in tokens])[: rows.shape[1]]
        rows[1] = lone.padding
        rows[1, : len(ids)] = ids
    return replace(lone, source=source, target=target)


def _reworded(lone: Batch, donor: Run) -> Batch:
    """Both copies of the sentence with the token in their middle exchanged for the one in the middle of another."""
    middle = lone.source.shape[1] // 2
    ids = [token.id for token in donor.source_tokens]
    wanted = ids[len(ids) // 2 :] + ids
    source = lone.source.clone()
    source[:, middle] = next(each for each in wanted if each != int(source[0, middle]))
    return replace(lone, source=source)


# --- E14b: gradients at initialisation ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Initial:
    """A decoder that has learned nothing, by layer: ‖∂loss/∂W₂‖ of its feed-forward, and the stream's mean square."""

    gradients: tuple[float, ...]
    stream: tuple[float, ...]


def at_initialisation(config: Config, batch: Batch, *, residual: str, depth: int, seed: int) -> Initial:
    """One backward pass through so many layers a stack, the norm where `residual` says (Xiong et al. 2020).

    The stream is what the next layer adds to: with the norm after each sub-layer, what the last norm gave.
    """
    shape = replace(config, residual=residual, encoder_layers=depth, decoder_layers=depth)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Transformer(shape)
    streams = [_stream_after(residual, layer, depth) for layer in range(depth)]
    heard: dict[str, Tensor] = {}
    with listen(lambda path, value: heard.update({path: value.detach()}), paths=frozenset(streams)):
        logits = network(batch.source, batch.target, batch.mask)
    loss = F.cross_entropy(logits.flatten(0, 1), batch.expected.flatten(), ignore_index=batch.padding)
    parameters = dict(network.named_parameters())
    wanted = [parameters[f"decoder.{layer}.feed_forward.outer.weight"] for layer in range(depth)]
    gradients = torch.autograd.grad(loss, wanted)
    real = batch.target != batch.padding
    return Initial(
        gradients=tuple(float(each.norm()) for each in gradients),
        stream=tuple(float(heard[path][real].square().mean()) for path in streams),
    )


def _stream_after(residual: str, layer: int, depth: int) -> str:
    if residual != "post-norm":
        return f"decoder.{layer}.after_feed_forward"
    following = f"decoder.{layer + 1}.norm_before_self_attention" if layer + 1 < depth else "decoder.final_norm"
    return f"{following}.output"
