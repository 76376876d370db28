"""Writing a translation token by token: the likeliest each time, one drawn by lot, or a beam of the likeliest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.attention import Cache
from core.checkpoint import Model
from core.editing import Reading, editing
from core.edits import Edit, check
from core.network import Network
from core.tokens import Direction, detect_direction

LONGEST = 120
LENGTH_PENALTY = 0.6  # α of the paper's beam search (section 6.1)


def longest_translation(source_length: int) -> int:
    """How many tokens are written at most: more than a translation needs, so that a babbling model stops."""
    return min(2 * source_length + 20, LONGEST)


def _most(network: Network, memory: Tensor, maximum: int | None) -> int:
    """How many tokens a decoding writes: no more than the network has positions for."""
    wanted = longest_translation(memory.shape[1]) if maximum is None else maximum
    return min(wanted, network.config.reach or wanted)


Choose = Callable[[Float[Tensor, "batch vocab"]], Int[Tensor, " batch"]]
"""Decides on the next token of each row from its logits."""


@torch.inference_mode()
def write(
    network: Network,
    memory: Float[Tensor, "batch source width"],
    source_mask: Bool[Tensor, "batch source"],
    choose: Choose,
    *,
    start: int,
    end: int,
    maximum: int | None = None,
    cache: Cache | None = None,
) -> list[list[int]]:
    """One token after the other, as `choose` decides, for each row of what the encoder read.

    A row holds the tokens after `start`, up to and with `end`, or `maximum` tokens if it never comes.
    """
    maximum = _most(network, memory, maximum)
    cache = cache or network.cache()
    written = torch.full((len(memory), 1), start, device=memory.device)
    unfinished = torch.ones_like(written, dtype=torch.bool)
    while written.shape[1] <= maximum and unfinished.any():
        last = choose(network.decode(written[:, cache.length :], memory, source_mask, cache)[:, -1])[:, None]
        written = torch.cat((written, last), dim=1)
        unfinished = unfinished & (last != end)
    return [_through_end(row[1:], end) for row in written.tolist()]


def greedy(
    network: Network,
    memory: Float[Tensor, "batch source width"],
    source_mask: Bool[Tensor, "batch source"],
    *,
    start: int,
    end: int,
    maximum: int | None = None,
    cache: Cache | None = None,
) -> list[list[int]]:
    """The likeliest next token, again and again."""
    return write(network, memory, source_mask, likeliest, start=start, end=end, maximum=maximum, cache=cache)


def likeliest(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
    """The token with the highest logit."""
    return logits.argmax(-1)


def follow(ids: Sequence[int]) -> Choose:
    """Tokens that are given, whatever the logits say, and after them the likeliest."""
    left = iter(ids)

    def choose(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
        given = next(left, None)
        return likeliest(logits) if given is None else logits.new_full(logits.shape[:1], given, dtype=torch.long)

    return choose


def _through_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


# --- by lot ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: at 0 each of `top_k` and `top_p` leaves all tokens in the draw.

    A temperature below 1 favours likely tokens; `top_k` keeps the k likeliest (Fan et al. 2018); `top_p` keeps the
    fewest that together have at least that probability (nucleus sampling, Holtzman et al. 2020). In this order, and
    what is left is scaled back to 1 after each.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.0

    def probabilities(self, logits: Float[Tensor, "*batch vocab"]) -> Float[Tensor, "*batch vocab"]:
        """The probabilities with which each token is drawn; 0 for those left out."""
        shares = (logits / self.temperature).softmax(-1)
        ordered, order = shares.sort(dim=-1, descending=True, stable=True)
        if self.top_k:
            ordered[..., self.top_k :] = 0.0
            ordered = ordered / ordered.sum(-1, keepdim=True)
        if 0.0 < self.top_p < 1.0:
            before = ordered.cumsum(-1) - ordered
            ordered = ordered.masked_fill(before >= self.top_p, 0.0)
        return torch.zeros_like(shares).scatter(-1, order, ordered / ordered.sum(-1, keepdim=True))


def drawn(probabilities: Float[Tensor, "batch vocab"], numbers: Float[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The token in whose share of the line from 0 to 1 a number falls, likely tokens laid out first."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    places = torch.searchsorted(ordered.cumsum(-1), numbers[:, None].to(ordered), right=True)
    last = (ordered > 0).sum(-1, keepdim=True) - 1  # where rounding leaves the sum below the number
    return order.gather(-1, torch.minimum(places, last))[:, 0]


def by_lot(sampling: Sampling, seed: int, heard: Callable[[float], None] = lambda _: None) -> Choose:
    """Draw each next token; the same seed draws the same. `heard` is told each random number of the first row."""
    generator = torch.Generator().manual_seed(seed)

    def choose(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
        numbers = torch.rand(len(logits), generator=generator, dtype=torch.float64)
        heard(numbers[0].item())
        return drawn(sampling.probabilities(logits), numbers.to(logits.device))

    return choose


# --- a beam ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hypothesis:
    """A beginning of a translation, or a whole one, and how likely the model finds it (natural logarithm)."""

    ids: tuple[int, ...]
    log_probability: float

    def score(self, penalty: float = LENGTH_PENALTY) -> float:
        """log P / ((5 + length) / 6)^penalty (Wu et al. 2016, equation 14), so that brevity does not win."""
        length_penalty: float = ((5 + len(self.ids)) / 6) ** penalty
        return self.log_probability / length_penalty


Fate = Literal["kept", "ended", "pruned"]


@dataclass(frozen=True)
class Branch:
    """What a step of a beam search considered, which of the hypotheses kept before it continues, and its fate."""

    row: int
    hypothesis: Hypothesis
    fate: Fate


@torch.inference_mode()
def beam_search(
    network: Network,
    memory: Float[Tensor, "1 source width"],
    source_mask: Bool[Tensor, "1 source"],
    *,
    beams: int,
    start: int,
    end: int,
    maximum: int | None = None,
    penalty: float = LENGTH_PENALTY,
    watch: Callable[[list[Branch]], None] = lambda _: None,
    cache: Cache | None = None,
) -> list[Hypothesis]:
    """Translations of one sentence, best score first, from the `beams` likeliest beginnings at each step.

    It stops when `beams` translations have ended; if none has after `maximum` tokens, beginnings come back.
    `watch` is told the branches of each step, likeliest first.
    """
    maximum = _most(network, memory, maximum)
    cache = cache or network.cache()
    alive, finished = [Hypothesis((), 0.0)], []
    for _ in range(maximum):
        written = torch.tensor([(start, *each.ids) for each in alive], device=memory.device)
        rows = (memory.expand(len(alive), -1, -1), source_mask.expand(len(alive), -1))
        log_probabilities = network.decode(written[:, cache.length :], *rows, cache)[:, -1].log_softmax(-1)
        branches = judged(continuations(alive, log_probabilities, 2 * beams), beams, end)
        watch(branches)
        finished += [each.hypothesis for each in branches if each.fate == "ended"]
        kept = [each for each in branches if each.fate == "kept"]
        alive = [each.hypothesis for each in kept]
        if len(finished) >= beams:
            break
        cache.reorder(torch.tensor([each.row for each in kept], device=memory.device))
    return sorted(finished or alive, key=lambda each: each.score(penalty), reverse=True)[:beams]


def continuations(
    alive: list[Hypothesis], log_probabilities: Float[Tensor, "beam vocab"], count: int
) -> list[tuple[int, Hypothesis]]:
    """The `count` likeliest hypotheses one token longer, likeliest first, each with the row it continues.

    Of `2 · beams` continuations at most `beams` end the sentence, so as many go on.
    """
    so_far = log_probabilities.new_tensor([each.log_probability for each in alive])
    totals = (so_far[:, None] + log_probabilities).flatten()
    best = totals.topk(min(count, len(totals)))
    found = []
    for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        row, token = divmod(place, log_probabilities.shape[1])
        found.append((row, Hypothesis((*alive[row].ids, token), total)))
    return found


def judged(longer: Sequence[tuple[int, Hypothesis]], beams: int, end: int) -> list[Branch]:
    """What becomes of the continuations of one step, likeliest first.

    An end among the `beams` likeliest is a translation; of the others the `beams` likeliest go on.
    """
    branches, going = [], 0
    for place, (row, each) in enumerate(longer):
        ends = each.ids[-1] == end
        stays = place < beams if ends else going < beams
        going += stays and not ends
        fate: Fate = "pruned" if not stays else "ended" if ends else "kept"
        branches.append(Branch(row, each, fate))
    return branches


@torch.inference_mode()
def translate(
    model: Model, text: str, *, direction: Direction | None = None, beams: int = 1, edits: Sequence[Edit] = ()
) -> str:
    """The translation of a text by a model, or an edited one, by beam search when `beams` is more than 1.

    Without a direction, a text whose letters are mostly Hangul is taken to be Korean and any other English. Raises
    EditError when an edit does not fit.
    """
    tokenizer = model.tokenizer
    source = tokenizer.source(text, direction or detect_direction(text))
    ids = torch.tensor([[token.id for token in source]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    start, end = tokenizer.start_id, tokenizer.end_id
    check(edits, model.network.config, len(source))
    reading = Reading(model.network)
    with editing(edits, reading):
        memory = model.network.encode(ids, mask)
        cache = reading.begin(edits)
        best = beam_search(model.network, memory, mask, beams=beams, start=start, end=end, cache=cache)[0]
    return tokenizer.decode([each for each in best.ids if each != end])
