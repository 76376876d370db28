"""How the next token is chosen: the controls of greedy decoding, beam search and sampling, and what they lead to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.decoding import LENGTH_PENALTY, Sampling
from core.experiments.decoding import Beam, Writing
from pages.parts.address import keep
from pages.parts.decoding.made import Asked, drawn, searched, written
from pages.parts.decoding.show import whole
from pages.parts.options import choose_one
from pages.parts.words import Words

MOST_BEAMS, MOST_SEED = 8, 9_999
TOP_K = (0, 1, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True)
class Chosen:
    """A translation and how its tokens were chosen; `numbers` are the random numbers of a draw."""

    writing: Writing
    beam: Beam | None = None
    beams: int = 1
    penalty: float = LENGTH_PENALTY
    sampling: Sampling | None = None
    seed: int = 0
    numbers: Sequence[float | None] = ()


def chosen(_: Words, what: Asked) -> Chosen:
    """Ask how, and write the translation."""
    return CHOOSERS[_how(_)](_, what)


def _how(_: Words) -> str:
    names = {"greedy": _("Greedy"), "beam": _("Beam search"), "lot": _("Sampling")}
    notes = {
        "greedy": _("**Greedy**: the likeliest token, every time."),
        "beam": _(
            "**Beam search**: the few likeliest *beginnings* are kept, not one. Each step continues all of them, and "
            "keeps the best of the continuations; the others are pruned. The player follows the translation that is "
            "best in the end, and under it the tree grows."
        ),
        "lot": _(
            "**Sampling**: the next token is drawn by lot. Temperature sharpens or flattens the probabilities, top-k "
            "and top-p cut off the tail; a random number then decides. At top-k = 1 it is greedy again."
        ),
    }
    how = choose_one(_("How the next token is chosen"), "decoding_how", names, "greedy")
    st.markdown(notes[how])
    return how


def _greedy(_: Words, what: Asked) -> Chosen:
    return Chosen(written(what))


def _beam(_: Words, what: Asked) -> Chosen:
    beams = keep("decoding_beams", 4, whole(1, MOST_BEAMS))
    penalty = keep("decoding_alpha", LENGTH_PENALTY, _number(0.0, 1.0), lambda value: f"{value:g}")
    left, right = st.columns(2, gap="large")
    left.slider(_("Beams"), 1, MOST_BEAMS, key="decoding_beams", persist_state="session")
    right.slider(
        _("Length penalty α"), 0.0, 1.0, step=0.1, key="decoding_alpha", persist_state="session", format="%.1f"
    )
    beam = searched(what, beams, penalty)
    return Chosen(written(what, beam.best[0].ids), beam=beam, beams=beams, penalty=penalty)


def _lot(_: Words, what: Asked) -> Chosen:
    temperature = keep("decoding_temperature", 1.0, _number(0.1, 3.0), lambda value: f"{value:g}")
    top_k = keep("decoding_top_k", 0, {str(each): each for each in TOP_K}.__getitem__)
    top_p = keep("decoding_top_p", 1.0, _number(0.05, 1.0), lambda value: f"{value:g}")
    seed = keep("decoding_seed", 1, whole(0, MOST_SEED))
    first, second, third, fourth = st.columns([3, 3, 3, 2], gap="large", vertical_alignment="bottom")
    first.slider(_("Temperature"), 0.1, 3.0, step=0.1, key="decoding_temperature", persist_state="session")
    second.select_slider(
        _("Top-k"),
        TOP_K,
        format_func=lambda count: str(count) if count else _("all pieces"),
        key="decoding_top_k",
        persist_state="session",
    )
    third.slider(_("Top-p"), 0.05, 1.0, step=0.05, key="decoding_top_p", persist_state="session")
    fourth.number_input(_("Seed"), 0, MOST_SEED, key="decoding_seed", persist_state="session")
    st.button(_("Draw again"), icon=":material/casino:", on_click=_next_seed)
    sampling = Sampling(temperature, top_k, 0.0 if top_p >= 1.0 else top_p)
    writing, numbers = drawn(what, sampling, seed)
    return Chosen(writing, sampling=sampling, seed=seed, numbers=numbers)


CHOOSERS = {"greedy": _greedy, "beam": _beam, "lot": _lot}


def _next_seed() -> None:
    st.session_state["decoding_seed"] = (st.session_state["decoding_seed"] + 1) % (MOST_SEED + 1)


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not low <= float(text) <= high:
            raise ValueError(text)
        return round(float(text), 2)

    return read
