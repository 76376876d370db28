"""Part 1: the same sentence through every reader, and how likely each finds the same translation."""

import math
from collections.abc import Mapping

import streamlit as st

from core.charts.recurrence import over_tokens
from core.checkpoint import Model
from core.run import Run
from pages.parts.bar import flagged, marked, seen
from pages.parts.before_attention.rows import READERS, names, palette, reference, run_of
from pages.parts.escape import in_html
from pages.parts.frame import Visit
from pages.parts.words import Words
from pages.parts.zoo import at_hand

COLUMNS = 3


def translations(here: Visit) -> None:
    """Every reader's own translation, and its verdict on one that all are given."""
    _ = here.words
    readers = at_hand(_, READERS)
    if not readers:
        return
    _sentence(here, readers)
    text = reference(here)
    runs = {name: run_of(here, name, text) for name in readers}
    _cards(here, readers, runs)
    _likelihoods(_, text, runs)


def _sentence(here: Visit, readers: Mapping[str, Model]) -> None:
    """The sentence with the pieces that no reader met in training."""
    _, known = here.words, frozenset().union(*map(seen, readers.values()))
    tokens = flagged(here.run.source_tokens, known)
    if any(token.unseen for token in tokens):
        st.html(f'<div style="overflow-wrap:anywhere">{marked(_, here.run.source_text, tokens)}</div>')
        st.caption(_("Underlined: words outside what these models were trained on. There they can only guess."))


def _cards(here: Visit, readers: Mapping[str, Model], runs: Mapping[str, Run]) -> None:
    _ = here.words
    listed = list(readers)
    for first in range(0, len(listed), COLUMNS):
        for column, name in zip(st.columns(COLUMNS, gap="medium"), listed[first : first + COLUMNS], strict=False):
            with column, st.container(border=True):
                _card(_, name, run_of(here, name), seen(readers[name]), runs[name])
    st.caption(
        _(
            "Measured on this sentence: each writes a translation of its own, the likeliest token each time; the "
            "logarithms (natural) say how likely it finds one reference, the same for all."
        )
    )


def _card(_: Words, name: str, own: Run, known: frozenset[int], given: Run) -> None:
    text = marked(_, own.translation, flagged(own.predicted_tokens, known)) if own.translation else "–"
    verdict = _("log P of the reference {total} · {each} per token").format(
        total=f"{_total(given):.1f}", each=f"{_total(given) / len(given.predicted_tokens):.2f}"
    )
    st.html(
        f'<div style="font-weight:600">{in_html(names(_)[name])}</div>'
        f'<div style="font-size:1.15rem;overflow-wrap:anywhere;min-height:3.4rem">{text}</div>'
        f'<div style="font-size:.85rem;opacity:.75">{in_html(verdict)}</div>'
    )


def _likelihoods(_: Words, text: str, runs: Mapping[str, Run]) -> None:
    st.subheader(_("The same reference, token by token"))
    st.html(f'<div style="font-size:1.1rem;overflow-wrap:anywhere">{in_html(text)}</div>')
    any_run = next(iter(runs.values()))
    chance = -math.log(any_run.logits.shape[-1])
    st.vega_lite_chart(
        over_tokens(
            [token.piece for token in any_run.predicted_tokens],
            {names(_)[name]: run.log_probabilities.tolist() for name, run in runs.items()},
            words={"x": _("token of the reference"), "y": _("log probability"), "null": _("guessing among all pieces")},
            palette=palette(_),
            null=chance,
        )
    )
    best = max(runs, key=lambda name: _total(runs[name]))
    worst = min(runs, key=lambda name: _total(runs[name]))
    st.markdown(
        _(
            "Of these, **{best}** finds this reference likeliest ({high} in all) and **{worst}** least likely ({low}). "
            "Guessing among all pieces gives {chance}."
        ).format(
            best=names(_)[best],
            worst=names(_)[worst],
            high=f"{_total(runs[best]):.1f}",
            low=f"{_total(runs[worst]):.1f}",
            chance=f"{chance * len(any_run.predicted_tokens):.1f}",
        )
    )
    st.caption(_("Measured on this sentence: each token's probability after the tokens of the reference before it."))


def _total(run: Run) -> float:
    return float(run.log_probabilities.sum())
