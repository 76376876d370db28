"""What context does to a token: whether its states tell its senses apart, and whether "it" finds its noun.

The sentences are held out from training and lie in assets/probes.json, with the character spans of the words that
matter, so that any model can be measured on them without the corpus they came from. States are read in the encoder,
from the row of the table to what the decoder will see.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from core.checkpoint import Model
from core.hooks import listen
from core.tokens import ASSETS, Direction, Token, Tokenizer
from core.transformer import Transformer

FILE = ASSETS / "probes.json"
AT_ONCE = 128  # sentences encoded together
RIDGE = 100.0  # the penalty of the probe
SAME = 1e-5  # cosines closer than this are ties
Span = tuple[int, int]
States = Float[Tensor, "sentence word stage width"]


class SenseSentence(NamedTuple):
    """A sentence with a word of several senses; `sense` says which one it is here."""

    direction: Direction
    text: str
    word: str
    sense: str
    span: Span


class PronounSentence(NamedTuple):
    """An English sentence with "it", the noun it stands for, and another that it might have stood for."""

    text: str
    pronoun: Span
    antecedent: Span
    rival: Span

    @property
    def antecedent_first(self) -> bool:
        """Whether the antecedent comes before the rival."""
        return self.antecedent < self.rival


@dataclass(frozen=True)
class Sentences:
    """What assets/probes.json holds, and the version of the corpus that held it out."""

    data_version: str
    senses: tuple[SenseSentence, ...]
    pronouns: tuple[PronounSentence, ...]


@cache
def read_sentences(path: Path = FILE) -> Sentences:
    """The held-out sentences; raises OSError or ValueError when the file is missing or damaged."""
    content = json.loads(path.read_text(encoding="utf-8"))
    try:
        senses = tuple(
            SenseSentence(way, text, word, sense, (start, end))
            for way, text, word, sense, start, end in content["senses"]
        )
        pronouns = tuple(
            PronounSentence(text, (spots[0], spots[1]), (spots[2], spots[3]), (spots[4], spots[5]))
            for text, *spots in content["pronouns"]
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is damaged") from error
    return Sentences(str(content["data_version"]), senses, pronouns)


# --- states ---------------------------------------------------------------------------------------------------------


def stages(network: Transformer) -> tuple[str, ...]:
    """The paths at which a token is looked at: its row, what enters layer 0, each layer's end, the last norm."""
    layers = (f"encoder.{layer}.after_feed_forward" for layer in range(network.config.encoder_layers))
    return ("source.embedding", "source.input", *layers, "encoder.final_norm.output")


def tokens_of(tokens: Sequence[Token], span: Span) -> list[int]:
    """The tokens that spell what stands at `span`: exactly that, else all that have a part in it."""
    exact = [index for index, token in enumerate(tokens) if not token.special and (token.start, token.end) == span]
    shared = [not token.special and token.start < span[1] and span[0] < token.end for token in tokens]
    return exact or [index for index, part in enumerate(shared) if part]


@torch.inference_mode()
def states(
    network: Transformer,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    directions: Sequence[Direction],
    spans: Sequence[Sequence[Span]],
) -> States:
    """The state of each marked word at every stage; a word of several pieces has their mean."""
    sources = [tokenizer.source(text, way) for text, way in zip(texts, directions, strict=True)]
    order = sorted(range(len(texts)), key=lambda index: len(sources[index]))
    found: dict[int, Tensor] = {}
    for begun in range(0, len(order), AT_ONCE):
        rows = order[begun : begun + AT_ONCE]
        captured = _captured(network, tokenizer, [sources[row] for row in rows])
        for place, row in enumerate(rows):
            words = [tokens_of(sources[row], span) for span in spans[row]]
            found[row] = torch.stack([captured[place, :, each].mean(1) for each in words])
    return torch.stack([found[row] for row in range(len(texts))])


def _captured(
    network: Transformer, tokenizer: Tokenizer, sources: Sequence[tuple[Token, ...]]
) -> Float[Tensor, "sentence stage position width"]:
    longest = max(map(len, sources))
    ids = torch.tensor([[t.id for t in each] + [tokenizer.pad_id] * (longest - len(each)) for each in sources])
    heard: dict[str, Tensor] = {}
    names = stages(network)
    with listen(heard.__setitem__, paths=frozenset(names)):
        network.encode(ids, ids != tokenizer.pad_id)
    width = network.config.width
    return torch.stack([functional.pad(heard[name], (0, width - heard[name].shape[-1])) for name in names], dim=1)


def untrained(model: Model, seed: int = 0) -> Transformer:
    """The same network as it was before training: what its shape alone can do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(model.transformer.config).eval()


# --- senses ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SenseStage:
    """One stage: how often the nearest other sentence means the same, and mean cosines within and between senses."""

    accuracy: float
    shuffled: float
    same: float
    different: float


def sense_stages(found: States, sentences: Sequence[SenseSentence], seed: int = 0) -> list[SenseStage]:
    """How well the marked word's state tells its sense at each stage, word by word and then averaged.

    Nearest is by cosine among the other sentences with that word; equally near ones share the vote. `shuffled` is
    the same with the senses dealt out anew.
    """
    words: dict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(sentences):
        words[f"{each.direction} {each.word}"].append(index)
    generator = torch.Generator().manual_seed(seed)
    tables = []
    for indices in words.values():
        names = sorted({sentences[index].sense for index in indices})
        labels = torch.tensor([names.index(sentences[index].sense) for index in indices])
        dealt = labels[torch.randperm(len(labels), generator=generator)]
        tables.append([_one_stage(found[indices, 0, stage], labels, dealt) for stage in range(found.shape[2])])
    return [_mean(stage) for stage in zip(*tables, strict=True)]


def largest_share(sentences: Sequence[SenseSentence]) -> float:
    """How often one is right who always says a word's commonest sense, averaged over the words."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in sentences:
        counts[f"{each.direction} {each.word}"][each.sense] += 1
    shares = [max(senses.values()) / sum(senses.values()) for senses in counts.values()]
    return sum(shares) / len(shares)


def _one_stage(
    rows: Float[Tensor, "sentence width"], labels: Tensor, dealt: Tensor
) -> tuple[float, float, float, float]:
    directions = functional.normalize(rows, dim=-1)
    likeness = directions @ directions.T
    alike, others = labels[:, None] == labels, ~torch.eye(len(rows), dtype=torch.bool)
    return (
        _voted(likeness, alike),
        _voted(likeness, dealt[:, None] == dealt),
        float(likeness[alike & others].mean()),
        float(likeness[~alike].mean()),
    )


def _voted(likeness: Float[Tensor, "sentence sentence"], alike: Bool[Tensor, "sentence sentence"]) -> float:
    rest = likeness.clone().fill_diagonal_(-torch.inf)
    near = rest >= rest.max(-1, keepdim=True).values - SAME
    return float(((near & alike).sum(-1) / near.sum(-1)).mean())


def _mean(figures: Sequence[tuple[float, float, float, float]]) -> SenseStage:
    return SenseStage(*(sum(column) / len(figures) for column in zip(*figures, strict=True)))


# --- antecedents ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AntecedentStage:
    """One stage: how much nearer "it" is to its noun than to the other, and how well a probe reads which it is.

    Both are means of two halves, antecedent first and antecedent last, so that standing nearer gains nothing:
    guessing is right half the time.
    """

    nearer: float
    difference: float
    probe: float
    shuffled: float


def antecedent_stages(found: States, sentences: Sequence[PronounSentence], seed: int = 0) -> list[AntecedentStage]:
    """The words of each sentence are its pronoun, its antecedent and its rival, in this order."""
    first = torch.tensor([each.antecedent_first for each in sentences])
    dealt = first[torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))]
    table = []
    for stage in range(found.shape[2]):
        pronoun, antecedent, rival = found[:, :, stage].unbind(1)
        nearer = functional.cosine_similarity(pronoun, antecedent) - functional.cosine_similarity(pronoun, rival)
        votes = (nearer > SAME).float() + 0.5 * (nearer.abs() <= SAME).float()
        table.append(
            AntecedentStage(
                nearer=_balanced(votes, first),
                difference=_balanced(nearer, first),
                probe=_balanced((read_out(pronoun, first) == first).float(), first),
                shuffled=_balanced((read_out(pronoun, dealt) == dealt).float(), dealt),
            )
        )
    return table


def _balanced(values: Float[Tensor, " sentence"], first: Bool[Tensor, " sentence"]) -> float:
    return float(values[first].mean() + values[~first].mean()) / 2


def read_out(rows: Float[Tensor, "sentence width"], labels: Bool[Tensor, " sentence"]) -> Bool[Tensor, " sentence"]:
    """What a linear probe says of each sentence after learning from all others.

    The probe is a ridge regression on standardised rows, without a constant, for both answers shall be as frequent.
    Leaving one sentence out needs no fit of its own: with H the matrix that turns answers into fitted values, the
    value without it is y − (y − Hy) / (1 − H_ii).
    """
    rows = rows.double()
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-6)
    penalised = rows.T @ rows + RIDGE * torch.eye(rows.shape[1], dtype=rows.dtype)
    hat = rows @ torch.linalg.solve(penalised, rows.T)
    wanted = labels.double() * 2 - 1
    said: Tensor = wanted - (wanted - hat @ wanted) / (1 - hat.diagonal()) > 0
    return said


# --- one model ------------------------------------------------------------------------------------------------------


def sense_report(model: Model, sentences: Sequence[SenseSentence]) -> dict[str, list[SenseStage]]:
    """Every stage of the model ("trained") and of the same network as it was before training ("untrained")."""
    ways, spans = [row.direction for row in sentences], [[row.span] for row in sentences]
    found = _both(model, [row.text for row in sentences], ways, spans)
    return {name: sense_stages(each, sentences) for name, each in found.items()}


def antecedent_report(model: Model, sentences: Sequence[PronounSentence]) -> dict[str, list[AntecedentStage]]:
    """The same for the pronouns."""
    ways: list[Direction] = ["en-ko"] * len(sentences)
    found = _both(model, [row.text for row in sentences], ways, [row[1:] for row in sentences])
    return {name: antecedent_stages(each, sentences) for name, each in found.items()}


def _both(
    model: Model, texts: Sequence[str], directions: Sequence[Direction], spans: Sequence[Sequence[Span]]
) -> dict[str, States]:
    networks = {"trained": model.transformer, "untrained": untrained(model)}
    return {name: states(network, model.tokenizer, texts, directions, spans) for name, network in networks.items()}
