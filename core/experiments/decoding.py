"""How a translation comes about: written step by step and watched, beside a given one, and after a wrong token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.decoding import LENGTH_PENALTY, Branch, Choose, Hypothesis, Sampling, beam_search, by_lot, follow, write
from core.editing import Reading, editing
from core.edits import Edit
from core.hooks import listen
from core.transformer import Transformer

HURT = 0.1  # nats: a fall in log-probability that counts as felt


@dataclass(frozen=True)
class Sentence:
    """What a network reads and how its translations begin and end; `maximum` tokens are written at most."""

    source: tuple[int, ...]
    start: int
    end: int
    maximum: int | None = None

    @property
    def ids(self) -> Int[Tensor, "1 source"]:
        """The source as the encoder takes it."""
        return torch.tensor([self.source])


# --- written step by step -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Writing:
    """A translation as it was written: what each step chose from, and where its query looked.

    `own` is the decoder's self-attention; what was not written yet has weight 0 there.
    """

    ids: tuple[int, ...]
    logits: Float[Tensor, "step vocab"]
    cross: Float[Tensor, "step layer head source"]
    own: Float[Tensor, "step layer head step"]

    @property
    def log_probabilities(self) -> Float[Tensor, " step"]:
        """Natural logarithm of the probability that the model gave to each token written."""
        return self.logits.log_softmax(-1).gather(-1, torch.tensor(self.ids)[:, None])[:, 0]


@torch.inference_mode()
def watched(network: Transformer, sentence: Sentence, choose: Choose, edits: Sequence[Edit] = ()) -> Writing:
    """Write a translation as `core.decoding.write` does, and keep what the newest token of every step computed."""
    layers = range(network.config.decoder_layers)
    cross = [f"decoder.{layer}.cross_attention.weights" for layer in layers]
    own = [f"decoder.{layer}.self_attention.weights" for layer in layers]
    heard: dict[str, list[Tensor]] = {path: [] for path in (*cross, *own, "logits")}
    reading, mask = Reading(network), torch.ones_like(sentence.ids, dtype=torch.bool)
    with editing(edits, reading):
        memory = network.encode(sentence.ids, mask)
        cache, ends = reading.begin(edits), {"start": sentence.start, "end": sentence.end}
        with listen(lambda path, value: heard[path].append(value[0, ..., -1, :]), paths=heard.keys()):
            ids = write(network, memory, mask, choose, **ends, maximum=sentence.maximum, cache=cache)[0]
    return Writing(
        ids=tuple(ids),
        logits=torch.stack(heard["logits"]),
        cross=torch.stack([torch.stack(heard[path]) for path in cross], dim=1),
        own=torch.stack([_square(heard[path]) for path in own], dim=1),
    )


def _square(rows: Sequence[Float[Tensor, "head _"]]) -> Float[Tensor, "step head step"]:
    """The growing rows of one attention as one matrix, with zeros for what was not there yet."""
    return torch.stack([torch.nn.functional.pad(row, (0, len(rows) - row.shape[-1])) for row in rows])


@dataclass(frozen=True)
class Candidates:
    """The likeliest next tokens of one step and, at the end where it is none of these, the one that was written.

    `probabilities` are the model's, `shares` those of the draw; `other` is the model's probability of all the rest.
    On the line from 0 to 1 the token written lay from `low` to `high`, likelier ones before it.
    """

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    shares: tuple[float, ...]
    other: float
    low: float
    high: float


def candidates(writing: Writing, count: int, sampling: Sampling | None = None) -> list[Candidates]:
    """What each step could choose from; without `sampling` the shares of the draw are the probabilities."""
    probabilities = writing.logits.double().softmax(-1)
    shares = sampling.probabilities(writing.logits.double()) if sampling else probabilities
    best = probabilities.topk(min(count, probabilities.shape[-1])).indices
    found = []
    for row, (written, ids) in enumerate(zip(writing.ids, best.tolist(), strict=True)):
        shown = ids if written in ids else [*ids, written]
        ahead = shares[row][shares[row] > shares[row, written]].sum().item()
        found.append(
            Candidates(
                ids=tuple(shown),
                probabilities=tuple(probabilities[row, shown].tolist()),
                shares=tuple(shares[row, shown].tolist()),
                other=max(0.0, 1.0 - probabilities[row, shown].sum().item()),
                low=ahead,
                high=ahead + shares[row, written].item(),
            )
        )
    return found


@torch.inference_mode()
def drawn_often(
    network: Transformer,
    sentence: Sentence,
    sampling: Sampling,
    seed: int,
    count: int,
    edits: Sequence[Edit] = (),
) -> list[tuple[tuple[int, ...], float]]:
    """So many translations drawn by lot side by side, each with its log-probability under the model."""
    reading, mask = Reading(network), torch.ones_like(sentence.ids, dtype=torch.bool).expand(count, -1)
    draw, found = by_lot(sampling, seed), []

    def choose(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
        ids = draw(logits)
        found.append(logits.log_softmax(-1).gather(-1, ids[:, None])[:, 0])
        return ids

    with editing(edits, reading):
        memory = network.encode(sentence.ids, mask[:1]).expand(count, -1, -1)
        cache, ends = reading.begin(edits), {"start": sentence.start, "end": sentence.end}
        rows = write(network, memory, mask, choose, **ends, maximum=sentence.maximum, cache=cache)
    steps = torch.stack(found, dim=1)
    return [(tuple(row), float(steps[each, : len(row)].sum())) for each, row in enumerate(rows)]


@dataclass(frozen=True)
class Beam:
    """A beam search as it went: what each step considered, and the translations it ends with, best score first."""

    steps: tuple[tuple[Branch, ...], ...]
    best: tuple[Hypothesis, ...]

    @property
    def parents(self) -> list[list[int]]:
        """For each branch of each step the place of what it continues among the branches of the step before, or −1."""
        found: list[list[int]] = []
        kept = [-1]
        for branches in self.steps:
            found.append([kept[each.row] for each in branches])
            kept = [place for place, each in enumerate(branches) if each.fate == "kept"]
        return found


@torch.inference_mode()
def searched(
    network: Transformer,
    sentence: Sentence,
    beams: int,
    penalty: float = LENGTH_PENALTY,
    edits: Sequence[Edit] = (),
) -> Beam:
    """`core.decoding.beam_search`, with its tree."""
    steps: list[tuple[Branch, ...]] = []
    reading, mask = Reading(network), torch.ones_like(sentence.ids, dtype=torch.bool)
    with editing(edits, reading):
        best = beam_search(
            network,
            network.encode(sentence.ids, mask),
            mask,
            beams=beams,
            start=sentence.start,
            end=sentence.end,
            maximum=sentence.maximum,
            penalty=penalty,
            watch=lambda branches: steps.append(tuple(branches)),
            cache=reading.begin(edits),
        )
    return Beam(tuple(steps), tuple(best))


# --- a given translation --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Lane:
    """A decoder that is told what to read at each place, and what it expects next there."""

    read: tuple[int, ...]
    log_probabilities: Float[Tensor, "place vocab"]

    @property
    def expected(self) -> tuple[int, ...]:
        """The likeliest next token at each place."""
        return tuple(self.log_probabilities.argmax(-1).tolist())

    def of(self, wanted: Sequence[int]) -> list[float]:
        """Natural logarithm of the probability of a wanted token at each place."""
        rows = self.log_probabilities[: len(wanted)]
        found: list[float] = rows.gather(-1, torch.tensor(wanted)[:, None])[:, 0].tolist()
        return found


@torch.inference_mode()
def forced(network: Transformer, sentence: Sentence, read: Sequence[int], edits: Sequence[Edit] = ()) -> Lane:
    """All places in one pass, as in training: the mask lets none look ahead (teacher forcing)."""
    with editing(edits, Reading(network)):
        logits = network(sentence.ids, torch.tensor([list(read)]), torch.ones_like(sentence.ids, dtype=torch.bool))
    return Lane(tuple(read), logits[0].log_softmax(-1))


def free(network: Transformer, sentence: Sentence, begun: Sequence[int] = (), edits: Sequence[Edit] = ()) -> Lane:
    """The model reads what it writes itself, after a beginning that is given, whatever it thinks of that."""
    writing = watched(network, sentence, follow(begun), edits)
    return Lane((sentence.start, *writing.ids), writing.logits.log_softmax(-1))


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """The first place where two sequences have not the same token, or only one has any; None if they are equal."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other)) if len(one) != len(other) else None


@dataclass(frozen=True)
class Aftermath:
    """What a wrong token does to the gold tokens after it: how much less likely each is, and which are missed.

    `falls` are differences of log-probabilities in nats, one for each place after the wrong token; `missed` are the
    places where gold was the likeliest before and no longer is; `felt` the places that fall by more than `HURT`.
    """

    falls: tuple[float, ...]
    missed: tuple[int, ...]
    felt: tuple[int, ...]

    @property
    def recovered(self) -> bool:
        """Whether the last place no longer feels it."""
        return not self.falls or self.falls[-1] > -HURT


def aftermath(before: Lane, after: Lane, gold: Sequence[int], wrong: int) -> Aftermath:
    """Two lanes over the same gold, of which `after` read something else in place of gold token number `wrong`."""
    places = range(wrong + 1, len(gold))
    falls = [late - early for early, late in zip(before.of(gold), after.of(gold), strict=True)]
    right, still = before.expected, after.expected
    return Aftermath(
        falls=tuple(falls[place] for place in places),
        missed=tuple(place for place in places if right[place] == gold[place] != still[place]),
        felt=tuple(place for place in places if falls[place] < -HURT),
    )


@torch.inference_mode()
def prefixes_apart(network: Transformer, sentence: Sentence, read: Sequence[int]) -> float:
    """T14: the largest difference between one pass over all places and a pass of its own over each beginning.

    In log-probability, over every piece of the vocabulary.
    """
    together = forced(network, sentence, read).log_probabilities
    mask = torch.ones_like(sentence.ids, dtype=torch.bool)
    memory = network.encode(sentence.ids, mask)
    largest = 0.0
    for count in range(1, len(read) + 1):
        alone = network.decode(torch.tensor([list(read[:count])]), memory, mask)[0, -1].log_softmax(-1)
        largest = max(largest, float((alone - together[count - 1]).abs().max()))
    return largest
