"""Part 3: the states themselves, and how much of one word is left in them as more words are read."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
import torch

from core.charts.positions import limit_of, matrix
from core.charts.recurrence import over_tokens
from core.checkpoint import Model
from core.experiments.recurrence import Trace, looks_back, read, states_of, trace_of_word
from core.run import Run
from core.tokens import SPECIALS
from core.variants import BASE
from pages.parts import models
from pages.parts.address import keep
from pages.parts.bar import SAMPLES, seen
from pages.parts.before_attention.rows import BOTH, READERS, names, palette, run_of
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.selection import Place, read_clamped, take_place, write_place
from pages.parts.words import Words
from pages.parts.zoo import at_hand

SHORT = SAMPLES[0]
WINDOW = 54  # channels drawn at once
OTHERS = 24  # tokens that are put in a word's place


def states(here: Visit) -> None:
    """The states of one reader, then one word's trace in the states of all."""
    _ = here.words
    readers = at_hand(_, READERS)
    if not readers:
        return
    named = {name: names(_)[name] for name in readers}
    name = choose_one(_("Reader"), "before_reader", named, next(iter(named)), labelled=False)
    run = run_of(here, name)
    values = states_of(run).numpy()
    cell = keep("before_state", (1, 0), read_clamped(*values.shape), write_place) or (1, 0)
    _picture(_, name, run, values, cell)
    _trace(here, readers, cell[0])
    _handed_over(here, readers, cell[0])


def _picture(_: Words, name: str, run: Run, values: Any, cell: Place) -> None:
    st.subheader(_("The states of the reader"))
    tokens = [token.piece for token in run.source_tokens]
    words = {
        "label": _("States of a reader; arrow keys move from cell to cell"),
        "query": _("after the token"),
        "key": _("channel"),
        "weight": _("value"),
        "sum": _("a row is one state"),
        "masked": _("masked"),
    }
    first = _first_channel(_, values.shape[1])
    part = values[:, first : first + WINDOW]
    channels = [str(channel + 1) for channel in range(first, first + part.shape[1])]
    cell = cell[0], min(cell[1], part.shape[1] - 1)
    data = matrix(part, rows=tokens, columns=channels, cell=cell, limit=limit_of(values), words=words)
    draw(data, key="before_states", on_cell=take_place("before_states", "cell", "before_state", *part.shape))
    st.html(
        facts(
            {
                _("after the token"): tokens[cell[0]],
                _("channel"): channels[cell[1]],
                _("value"): f"{part[cell]:z.3f}",
                _("length of this state"): f"{(values[cell[0]] ** 2).sum() ** 0.5:.2f}",
            }
        )
    )
    st.caption(_about(_, name))


def _first_channel(_: Words, channels: int) -> int:
    """Where the channels shown begin; so many at once can be told apart."""
    windows = {str(first): f"{first + 1}–{min(first + WINDOW, channels)}" for first in range(0, channels, WINDOW)}
    return int(choose_one(_("channel"), "before_channels", windows, "0"))


def _about(_: Words, name: str) -> str:
    if name == BASE:
        return _(
            "Measured on this sentence: rows are tokens, columns channels of the encoder's output. Every token has a "
            "state of its own, made from all tokens at once, and the writer may look at each."
        )
    if name == BOTH or name.endswith("attention"):
        return _(
            "Measured on this sentence: the first half of the channels reads from the beginning, the second half from "
            "the end, so the last row holds the first reader's last state and the first row the second's."
        )
    return _(
        "Measured on this sentence: each row was made from the row above and one token, by the same cell with the same "
        "weights. There are not as many networks as words, as a learner's note has it, but one, used again and again. "
        "The writer is given the last row and no other."
    )


# --- what is left of a word -----------------------------------------------------------------------------------------


def _trace(here: Visit, readers: Mapping[str, Model], place: int) -> None:
    _, run = here.words, here.run
    tokens = [token.piece for token in run.source_tokens]
    st.subheader(_("What is left of one word"))
    st.markdown(
        _(
            "Put another word in the place of **{word}** and read again: how far does each state move, beside how far "
            "it moves when **all** words are others? 1: the state knows nothing but this word. 0: no trace of it. "
            "Click another row above to follow another token."
        ).format(word=in_markdown(tokens[place]))
    )
    found = {name: _found(run.source_text, run.direction, name, place) for name in readers if name != BOTH}
    st.vega_lite_chart(
        over_tokens(
            tokens,
            {names(_)[name]: each.states for name, each in found.items()},
            words={"x": _("state after the token"), "y": _("trace of the word"), "null": _("all words others")},
            palette=palette(_),
            null=1.0,
        )
    )
    st.caption(
        _(
            "Measured on this sentence with {count} other tokens in its place, drawn from those of the training; root "
            "mean squares. A reader from both ends is left out where it has no attention: its writer never sees the "
            "states between. Readers with attention or from both ends know of a word before they come to it."
        ).format(count=OTHERS)
    )


@st.cache_data(max_entries=200, show_spinner=False)
def _found(text: str, direction: str, name: str, place: int) -> Trace:
    """One word's trace in one reader."""
    model, run = models.model(name), models.run(text, direction, name)
    ordinary = [index for index, token in enumerate(run.source_tokens) if not token.special]
    return trace_of_word(model, run, place, _others(model, run.source_tokens[place].id), ordinary or [place])


def _others(model: Model, but: int) -> torch.Tensor:
    """Tokens that training knew, spread evenly over its list."""
    known = sorted(seen(model)) or range(model.network.config.vocabulary)
    ordinary = [each for each in known if each >= len(SPECIALS) and each != but]
    return torch.tensor(ordinary[:: max(1, len(ordinary) // OTHERS)][:OTHERS])


def _handed_over(here: Visit, readers: Mapping[str, Model], place: int) -> None:
    """How many numbers the writer is given for a short and for this sentence, and what they know of the word."""
    _, run = here.words, here.run
    st.subheader(_("A short and a long sentence in as many numbers"))
    lengths = (_short(here), len(run.source_tokens))
    rows = [
        _row(_, model, _found(run.source_text, run.direction, name, place), lengths) for name, model in readers.items()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")
    st.caption(
        _(
            "Counted: “{short}” is {few} tokens, the sentence above {many}. Without attention the writer gets one "
            "vector for either, and every word more has less room in it; with attention the numbers grow with the "
            "sentence. The trace is that in the last state, or where the writer may look back, in the state that has "
            "most of it."
        ).format(short=in_markdown(SHORT), few=lengths[0], many=lengths[1])
    )


def _short(here: Visit) -> int:
    return len(here.model.tokenizer.source(SHORT, "en-ko"))


def _row(_: Words, model: Model, trace: Trace, lengths: Sequence[int]) -> dict[str, Any]:
    network = model.network
    content = network.config.content_width
    with torch.inference_mode():
        memory, last = read(network, torch.zeros(1, 1, content))
    width = memory.shape[-1] if looks_back(network) else last.shape[-1]
    handed = [width * (length if looks_back(network) else 1) for length in lengths]
    few, many = (f"{count / length:.0f}" for count, length in zip(handed, lengths, strict=True))
    return {
        _("reader"): names(_)[model.name],
        _("numbers given to the writer, short"): handed[0],
        _("this sentence"): handed[1],
        _("per token, short"): few,
        _("per token, this sentence"): many,
        _("trace of the word"): round(max(trace.states) if looks_back(network) else trace.last, 3),
    }
