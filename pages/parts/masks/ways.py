"""Part 2: five ways to mask: a prediction, the leak meter, and only then the code."""

from collections.abc import Mapping

import numpy as np
import streamlit as st
from torch import Tensor

from core.charts import masks as charts
from core.experiments import masks as experiments
from core.run import Run
from core.tokens import Direction
from pages.parts import models
from pages.parts.address import flag, keep, publish, write_flag
from pages.parts.edits import unedited
from pages.parts.escape import facts, in_html
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.masks.code import code, note
from pages.parts.masks.limits import breakdown, nothing_allowed
from pages.parts.masks.show import (
    FIVE,
    NULL,
    amount,
    change_words,
    names,
    short_names,
    which_head,
    why_it_leaks,
)
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.tables import table_height
from pages.parts.words import Words

LEAKING = 1e-3  # of what no mask lets through: far above rounding, far below any leak

Leaks = Mapping[str, experiments.Leak]


@st.fragment
def ways(here: Visit) -> None:
    """Guess, measure, read the code, and see where the three right ways part."""
    _, run = here.words, here.run
    st.subheader(_("Which of these let the future through?"))
    if why_it_leaks(_, here.model.transformer.config):
        st.markdown(
            _(
                "In this model every way would seem to leak, for a reason that has nothing to do with the way. Choose "
                "a model with a look-ahead mask and a norm of each token's own, such as the translator, in the list "
                "above."
            )
        )
        return publish()
    if len(run.target_tokens) < 3:
        st.markdown(_("This needs a translation of two tokens or more; type another sentence."))
        return publish()
    guess = _guess(_)
    if guess is not None:
        first = _first(here)
        leaks = _leaks(run.source_text, run.direction, here.model.name, first)
        _meter(here, leaks, first)
        _table(_, leaks)
        _verdict(_, leaks, guess)
        unedited(here)
        if _opened(_):
            with st.container(horizontal=True, gap="medium"):
                head = which_head(here, here.model.network.config.decoder_layers)
            code(here, cheating(leaks), head)
            note(here)
            st.divider()
            breakdown(here, head)
            st.divider()
            nothing_allowed(here, head)
    publish()
    return None


def _opened(_: Words) -> bool:
    opened = keep("mask_code", False, flag, write_flag)
    st.toggle(_("Show the code and the weights of each way"), key="mask_code", persist_state="session")
    return opened


# --- the prediction -------------------------------------------------------------------------------------------------


def _guess(_: Words) -> list[str] | None:
    """The ways that the visitor expects to leak; None as long as they have not asked for the measurement."""
    guess = keep("mask_guess", [], _read_ways, "-".join)
    measured = keep("mask_measured", False, flag, write_flag)
    with st.container(border=True):
        st.markdown(
            _(
                "A decoder must not see words that come later. Here are five ways to see to that: two fill in the "
                "**scores** before the softmax, two multiply the **weights** after it, one multiplies the scores. "
                "Which of them **let later words through** all the same? Choose all that you expect to."
            )
        )
        st.pills(
            _("Your prediction"),
            FIVE,
            format_func=names(_).get,
            selection_mode="multi",
            key="mask_guess",
            persist_state="session",
            label_visibility="collapsed",
        )
        if not measured:
            st.button(_("Measure it"), icon=":material/speed:", type="primary", on_click=_measure)
    return guess if measured else None


def _read_ways(text: str) -> list[str]:
    chosen = list(filter(None, text.split("-")))
    if not set(chosen) <= set(FIVE):
        raise ValueError(text)
    return chosen


def _measure() -> None:
    st.session_state["mask_measured"] = True


# --- the leak meter -------------------------------------------------------------------------------------------------


def _first(here: Visit) -> int:
    """The position, from 0, from which on the translation is exchanged."""
    _, count = here.words, len(here.run.target_tokens)
    place = keep("mask_from", count // 2 + 1, lambda text: min(max(int(text), 2), count))
    st.slider(
        _("Exchange the translation from its token"), 2, count, key="mask_from", persist_state="session", width=420
    )
    return place - 1


@st.cache_resource(max_entries=24, show_spinner=False)
def _leaks(text: str, direction: Direction, name: str, first: int) -> dict[str, experiments.Leak]:
    run = models.run(text, direction, name)
    after = _exchanged(text, direction, name, first)
    return experiments.leaks(run, after, first, _masked_logits(text, direction, name))


@st.cache_resource(max_entries=4, show_spinner=False)
def _masked_logits(text: str, direction: Direction, name: str) -> Tensor:
    return experiments.masked_logits(models.run(text, direction, name))


@st.cache_resource(max_entries=24, show_spinner=False)
def _exchanged(text: str, direction: Direction, name: str, first: int) -> Run:
    run = models.run(text, direction, name)
    later = range(first, len(run.target_tokens))
    return experiments.with_target(run, experiments.exchanged(run, later, models.model(name)))


def _meter(here: Visit, leaks: Leaks, first: int) -> None:
    _, run = here.words, here.run
    after = _exchanged(run.source_text, run.direction, here.model.name, first)
    st.markdown(
        _(
            "**The leak meter**: every token from there on is exchanged for another, drawn at random, and each way "
            "masks the same scores. How much does a head's output change at the positions **before**, which should not "
            "notice?"
        )
    )
    lines = {_("as translated"): run.target_tokens, _("exchanged"): after.target_tokens}
    st.html("".join(_line(name, [token.piece for token in tokens], first) for name, tokens in lines.items()))
    count = len(run.target_tokens)
    cell = keep("mask_meter", None, read_clamped(len(FIVE) + 1, count), write_place) or (3, first - 1)
    values = np.zeros((len(FIVE) + 1, count), dtype=np.float32)
    rows = (*FIVE, NULL)
    for row, way in enumerate(rows):
        values[row, :first] = leaks[way].outputs.amax((0, 1)).numpy()
    counted = np.broadcast_to(np.arange(count) < first, values.shape)
    most = float(np.nanmax(values)) or 1.0
    data = charts.changes(
        values,
        counted,
        rows=[short_names(_)[way] for way in rows],
        positions=[token.piece for token in run.target_tokens],
        cell=cell,
        most=most,
        words={
            "label": _("The leak of each way at each position; arrow keys move from cell to cell"),
            "query": _("way"),
            "queries": _("way to mask"),
            **change_words(_),
        },
    )

    draw(data, key="mask_meter_map", on_cell=take_place("mask_meter_map", "cell", "mask_meter", len(rows), count))
    row, position = cell
    st.html(
        facts(
            {
                _("way to mask"): names(_)[rows[row]],
                _("position"): f"{position + 1} · {run.target_tokens[position].piece}",
                _("largest change of any head's output"): amount(float(values[cell]))
                if counted[cell]
                else _("exchanged, may change"),
            }
        )
    )


def _line(name: str, pieces: list[str], first: int) -> str:
    before, after = " ".join(pieces[:first]), " ".join(pieces[first:])
    return (
        f'<div style="margin-bottom:.2rem"><span style="font-size:.8rem;opacity:.7">{in_html(name)}</span> '
        f'{in_html(before)} <span style="text-decoration:underline dotted;text-underline-offset:4px">'
        f"{in_html(after)}</span></div>"
    )


def _table(_: Words, leaks: Leaks) -> None:
    rows = (*FIVE, NULL)
    table = {
        _("way to mask"): [names(_)[way] for way in rows],
        _("leak: largest change of a head's output"): [amount(float(leaks[way].outputs.max())) for way in rows],
        _("largest change of a logit"): [amount(leaks[way].predictions) for way in rows],
        _("weight on hidden tokens"): [f"{leaks[way].hidden:.1%}" for way in rows],
        _("sums of the rows"): [f"{leaks[way].lowest_sum:.3f} – {leaks[way].highest_sum:.3f}" for way in rows],
        _("log-probability of the translation"): [f"{leaks[way].log_probability:.3f}" for way in rows],
    }
    st.dataframe(table, hide_index=True, height=table_height(len(rows), 400))
    st.caption(
        _(
            "Measured on this sentence, over all heads of the decoder's self-attention; compare a leak with “no "
            "mask at all”. For the two columns about logits and log-probability, every layer of the model "
            "masks that way. The model was trained with −∞."
        )
    )


def _verdict(_: Words, leaks: Leaks, guess: list[str]) -> None:
    cheats = cheating(leaks)
    said = " · ".join(names(_)[way] for way in FIVE if way in guess) or _("none of them")
    found = " · ".join(names(_)[way] for way in FIVE if way in cheats) or _("none of them")
    right = set(guess) == cheats
    st.markdown(
        _("You said: **{said}**. Measured, the future comes through in: **{found}**.").format(said=said, found=found)
        + " "
        + (_("That was right.") if right else _("Read the code to see why."))
    )


def cheating(leaks: Leaks) -> set[str]:
    """The ways that let through more than rounding could."""
    null = float(leaks[NULL].outputs.max())
    return {way for way in FIVE if float(leaks[way].outputs.max()) > LEAKING * null}
