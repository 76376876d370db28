"""One word in sentences that mean different things by it: its states beside each other, from the row to the memory.

The sentences are our own. A model is only asked about those that it translates right, so that what its states show is
a meaning that it found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from core.measures.context import Span, stages, tokens_of
from core.run import Run
from core.tokens import Direction


class Sense(NamedTuple):
    """One meaning of a word: what a right translation says, and sentences to try, the plainest first."""

    name: str
    wanted: tuple[str, ...]
    texts: tuple[str, ...]


class Ambiguous(NamedTuple):
    """A word and its meanings."""

    word: str
    direction: Direction
    senses: tuple[Sense, ...]


WORDS = (
    Ambiguous(
        "배",
        "ko-en",
        (
            Sense("pear", ("pear", "pears"), ("나는 배를 먹는다.", "그는 배를 먹었다.", "배는 달다.")),
            Sense("ship", ("ship", "ships", "boat"), ("나는 배를 탄다.", "그는 배를 탔다.", "배는 느리다.")),
            Sense(
                "stomach",
                ("stomach", "belly"),
                ("나는 배가 아프다.", "나는 배를 긁는다.", "그는 배를 긁었다.", "배는 가렵다."),
            ),
        ),
    ),
    Ambiguous(
        "눈",
        "ko-en",
        (
            Sense("eye", ("eye", "eyes"), ("눈은 가렵다.", "눈은 크다.", "그는 눈을 다쳤다.")),
            Sense("snow", ("snow",), ("눈은 녹는다.", "눈은 미끄럽다.", "그는 눈을 봤다.")),
        ),
    ),
    Ambiguous(
        "말",
        "ko-en",
        (
            Sense("horse", ("horse", "horses"), ("나는 말을 탔다.", "그는 말을 탔다.", "말은 느리다.")),
            Sense("speech", ("speech", "speeches"), ("나는 말을 잊었다.", "그는 말을 잊었다.", "말은 길다.")),
        ),
    ),
    Ambiguous(
        "bat",
        "en-ko",
        (
            Sense("animal", ("박쥐",), ("The bat flies.", "The bat sleeps.", "A bat died.")),
            Sense("club", ("방망이",), ("The bat is cheap.", "The bat is new.", "I keep the bat.")),
        ),
    ),
    Ambiguous(
        "bank",
        "en-ko",
        (
            Sense("money", ("은행",), ("I visit the bank.", "We visit the bank.", "I go to the bank.")),
            Sense("river", ("강둑",), ("I draw the bank.", "We draw the bank.", "The bank is green.")),
        ),
    ),
    Ambiguous(
        "letter",
        "en-ko",
        (
            Sense("mail", ("편지",), ("I write a letter.", "I send a letter.", "I want a letter.")),
            Sense("character", ("글자",), ("I memorize a letter.", "I erase a letter.", "The letter is tiny.")),
        ),
    ),
)


def is_right(translation: str, sense: Sense, direction: Direction) -> bool:
    """Whether a translation says the noun of a sense; into Korean a particle may follow it."""
    if direction == "en-ko":
        return any(form in translation for form in sense.wanted)
    return not set(sense.wanted).isdisjoint(re.findall(r"[a-z]+", translation.lower()))


def where(text: str, word: str) -> Span | None:
    """The first place at which a word begins a word of the text."""
    found = re.search(rf"(?<!\w){re.escape(word)}", text, re.IGNORECASE)
    return found.span() if found else None


@dataclass(frozen=True, eq=False)
class Occurrence:
    """A word in a run: what it means there ("" if nobody said), and its state at every stage."""

    text: str
    translation: str
    sense: str
    states: Float[Tensor, "stage width"]
    others: Float[Tensor, "stage other width"]


def occurrence(run: Run, word: str, sense: str = "") -> Occurrence | None:
    """The word's states in a run's encoder, and those of the other tokens there; None where the word is not."""
    span = where(run.source_text, word)
    mine = tokens_of(run.source_tokens, span) if span else []
    if not mine:
        return None
    rest = [index for index in range(len(run.source_tokens)) if index not in mine]
    whole = torch.stack([run.tensor(path) for path in stages(run.transformer)])
    return Occurrence(run.source_text, run.translation, sense, whole[:, mine].mean(1), whole[:, rest])


def likeness(one: Occurrence, other: Occurrence) -> list[float]:
    """The cosine of the word's two states, at each stage."""
    found: list[float] = functional.cosine_similarity(one.states, other.states, dim=-1).tolist()
    return found


def unrelated(one: Occurrence) -> list[float]:
    """The mean cosine of the word's state with those of the other tokens of its sentence, at each stage."""
    found: list[float] = functional.cosine_similarity(one.states[:, None], one.others, dim=-1).mean(-1).tolist()
    return found


@dataclass(frozen=True)
class Pairs:
    """Mean cosine at each stage over pairs of sentences, empty where there is no such pair."""

    same: tuple[float, ...]
    different: tuple[float, ...]
    unrelated: tuple[float, ...]


def pairs(occurrences: Sequence[Occurrence]) -> Pairs:
    """Pairs that mean the same, pairs that do not, and the word against everything else."""
    same: list[list[float]] = []
    different: list[list[float]] = []
    for index, one in enumerate(occurrences):
        for other in occurrences[:index]:
            (same if one.sense == other.sense else different).append(likeness(one, other))
    return Pairs(_mean(same), _mean(different), _mean([unrelated(each) for each in occurrences]))


def _mean(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))
