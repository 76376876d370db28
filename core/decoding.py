"""Writing a translation token by token: the likeliest each time, or a beam of the likeliest so far."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.attention import Cache
from core.checkpoint import Model
from core.tokens import Direction, detect_direction
from core.transformer import Transformer

LENGTH_PENALTY = 0.6  # α of the paper's beam search (section 6.1)


def longest_translation(source_length: int) -> int:
    """How many tokens are written at most: more than a translation needs, so that a babbling model stops."""
    return min(2 * source_length + 20, 120)


@torch.inference_mode()
def greedy(
    network: Transformer,
    memory: Float[Tensor, "batch source width"],
    source_mask: Bool[Tensor, "batch source"],
    *,
    start: int,
    end: int,
    maximum: int | None = None,
) -> list[list[int]]:
    """The likeliest next token, again and again, for each row of what the encoder read.

    A row holds the tokens after `start`, up to and with `end`, or `maximum` tokens if it never comes.
    """
    maximum = longest_translation(memory.shape[1]) if maximum is None else maximum
    cache = Cache(network.config.decoder_layers)
    last = torch.full((len(memory), 1), start, device=memory.device)
    written, unfinished = [last], torch.ones_like(last, dtype=torch.bool)
    while len(written) <= maximum and unfinished.any():
        last = network.decode(last, memory, source_mask, cache)[:, -1:].argmax(-1)
        written.append(last)
        unfinished = unfinished & (last != end)
    return [_through_end(row[1:], end) for row in torch.cat(written, dim=1).tolist()]


def _through_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


@dataclass(frozen=True)
class Hypothesis:
    """A beginning of a translation, or a whole one, and how likely the model finds it (natural logarithm)."""

    ids: tuple[int, ...]
    log_probability: float

    def score(self, penalty: float = LENGTH_PENALTY) -> float:
        """log P / ((5 + length) / 6)^penalty (Wu et al. 2016, equation 14), so that brevity does not win."""
        length_penalty: float = ((5 + len(self.ids)) / 6) ** penalty
        return self.log_probability / length_penalty


@torch.inference_mode()
def beam_search(
    network: Transformer,
    memory: Float[Tensor, "1 source width"],
    source_mask: Bool[Tensor, "1 source"],
    *,
    beams: int,
    start: int,
    end: int,
    maximum: int | None = None,
    penalty: float = LENGTH_PENALTY,
) -> list[Hypothesis]:
    """Translations of one sentence, best score first, from the `beams` likeliest beginnings at each step.

    It stops when `beams` translations have ended; if none has after `maximum` tokens, beginnings come back.
    """
    maximum = longest_translation(memory.shape[1]) if maximum is None else maximum
    cache = Cache(network.config.decoder_layers)
    alive, finished = [Hypothesis((), 0.0)], []
    for _ in range(maximum):
        last = torch.tensor([each.ids[-1:] or (start,) for each in alive], device=memory.device)
        rows = (memory.expand(len(alive), -1, -1), source_mask.expand(len(alive), -1))
        log_probabilities = network.decode(last, *rows, cache)[:, -1].log_softmax(-1)
        longer = continuations(alive, log_probabilities, 2 * beams)
        finished += [each for _, each in longer[:beams] if each.ids[-1] == end]
        if len(finished) >= beams:
            break
        going = [(row, each) for row, each in longer if each.ids[-1] != end][:beams]
        alive = [each for _, each in going]
        cache.reorder(torch.tensor([row for row, _ in going], device=memory.device))
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


@torch.inference_mode()
def translate(model: Model, text: str, *, direction: Direction | None = None, beams: int = 1) -> str:
    """The model's translation of a text, by beam search when `beams` is more than 1.

    Without a direction, a text whose letters are mostly Hangul is taken to be Korean and any other English.
    """
    tokenizer = model.tokenizer
    source = tokenizer.source(text, direction or detect_direction(text))
    ids = torch.tensor([[token.id for token in source]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory = model.network.encode(ids, mask)
    ends = {"start": tokenizer.start_id, "end": tokenizer.end_id}
    best = beam_search(model.network, memory, mask, beams=beams, **ends)[0]
    return tokenizer.decode([each for each in best.ids if each != tokenizer.end_id])
