"""Decodings shared by all sessions, keyed by what was asked: the sentence, the edits, and how tokens are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import streamlit as st

from core.decoding import Sampling, by_lot, follow
from core.edits import Edit
from core.experiments import decoding as experiments
from core.experiments.decoding import Beam, Candidates, Lane, Sentence, Writing
from core.tokens import Tokenizer
from core.transformer import Transformer
from pages.parts import models
from pages.parts.frame import Visit

CANDIDATES = 10


class Asked(NamedTuple):
    """A sentence for a model that may have been edited.

    A tuple, because Streamlit hashes what is inside a dataclass without its type, and two edits would look alike.
    """

    sentence: Sentence
    name: str
    edits: tuple[Edit, ...] = ()

    @property
    def network(self) -> Transformer:
        """The model's network, which the edits leave as it is."""
        return models.model(self.name).network


def asked(here: Visit, *, edited: bool = True) -> Asked:
    """The sentence in the bar."""
    tokenizer = here.model.tokenizer
    source = tuple(token.id for token in here.run.source_tokens)
    sentence = Sentence(source, tokenizer.start_id, tokenizer.end_id)
    return Asked(sentence, here.model.name, here.edits if edited else ())


@st.cache_resource(max_entries=64, show_spinner=False)
def written(what: Asked, ids: tuple[int, ...] = ()) -> Writing:
    """The translation that begins with these tokens and goes on greedily."""
    return experiments.watched(what.network, what.sentence, follow(ids), what.edits)


@st.cache_resource(max_entries=64, show_spinner=False)
def drawn(what: Asked, sampling: Sampling, seed: int) -> tuple[Writing, tuple[float, ...]]:
    """A translation drawn by lot, and the random numbers that decided."""
    numbers: list[float] = []
    writing = experiments.watched(what.network, what.sentence, by_lot(sampling, seed, numbers.append), what.edits)
    return writing, tuple(numbers)


@st.cache_resource(max_entries=64, show_spinner=False)
def offered(what: Asked, ids: tuple[int, ...], sampling: Sampling | None, _writing: Writing) -> list[Candidates]:
    """What each step of the translation `ids` could choose from."""
    return experiments.candidates(_writing, CANDIDATES, sampling)


@st.cache_resource(max_entries=64, show_spinner=False)
def draws(what: Asked, sampling: Sampling, seed: int, count: int) -> list[tuple[tuple[int, ...], float]]:
    """Many translations drawn by lot at once, each with its log-probability under the model."""
    return experiments.drawn_often(what.network, what.sentence, sampling, seed, count, what.edits)


@st.cache_resource(max_entries=64, show_spinner=False)
def searched(what: Asked, beams: int, penalty: float) -> Beam:
    """A beam search with its tree."""
    return experiments.searched(what.network, what.sentence, beams, penalty, what.edits)


@st.cache_resource(max_entries=64, show_spinner=False)
def forced(what: Asked, read: tuple[int, ...]) -> Lane:
    """What the decoder expects at each place while it reads given tokens."""
    return experiments.forced(what.network, what.sentence, read, what.edits)


@st.cache_resource(max_entries=64, show_spinner=False)
def free(what: Asked, begun: tuple[int, ...] = ()) -> Lane:
    """What it expects while it reads what it writes itself, after a given beginning."""
    return experiments.free(what.network, what.sentence, begun, what.edits)


def named(tokenizer: Tokenizer, ids: Iterable[int]) -> dict[int, str]:
    """What each of these ids is called on the screen."""
    return {each: tokenizer.tokens([each])[0].piece for each in set(ids)}


def plain(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """The text of a translation, without the token that ends it."""
    return tokenizer.decode([each for each in ids if each != tokenizer.end_id])
