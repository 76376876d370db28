"""Part 5: accuracy by length of every reader, as the training runs stored it."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.charts import encodings
from core.checkpoint import CheckpointError
from core.measures.unigram import read_plateau
from core.variants import BASE, LONGEST_TRAINED
from pages.parts import models
from pages.parts.before_attention.rows import ATTENTIVE, BOTH, GRU, LSTM, READERS, RNN, names, palette
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.longer import ENOUGH, FIGURE, STEP, points, rows_of_seeds
from pages.parts.positions.show import predict
from pages.parts.words import Words
from pages.parts.zoo import cards

PLAIN = (RNN, GRU, LSTM, BOTH)
"""Readers whose writer has one vector for the whole sentence."""
Curves = Mapping[str, Sequence[encodings.Point]]


def by_length(here: Visit) -> None:
    """A prediction, the curves, and what a learner's note says of them."""
    _ = here.words
    st.subheader(_("Does a longer sentence fit into one vector?"))
    stored = {name: rows_of_seeds(card) for name, card in cards(_, READERS).items()}
    shown = {name: each for name, each in stored.items() if each}
    if without := [names(_)[name] for name in stored if name not in shown]:
        st.caption(_("Stored without accuracy by length: {names}.").format(names=", ".join(without)))
    if not shown:
        return
    question = _("Which one loses most from the shortest to the longest sentences?")
    guess = predict(_, "before_longer", question, names(_))
    if guess is None:
        return
    titles = {"token_accuracy": _("Tokens right, reading the reference"), "exact_match": _("Sentences right")}
    figure = choose_one(_("Figure"), "before_figure", titles, FIGURE, labelled=False)
    curves = {name: points(tables, figure) for name, tables in shown.items()}
    _draw(_, curves, titles[figure], figure)
    _verdict(_, {name: points(tables, FIGURE) for name, tables in shown.items()}, guess)
    _note(_, {name: points(tables, "exact_match") for name, tables in shown.items()})


def _draw(_: Words, curves: Curves, title: str, figure: str) -> None:
    series = {names(_)[name]: curve for name, curve in curves.items()}
    across = [point[0] for curve in curves.values() for point in curve]
    null = _null(figure)
    name = _("knows only how frequent pieces are")
    if null is not None and across:
        series[name] = [(place, null, null, null) for place in (min(across), max(across))]
    st.altair_chart(
        encodings.lines(
            series,
            words={"x": _("source tokens"), "y": title, "border": _("longest in training")},
            palette=palette(_) | {name: "#888888"},
            dashed=[name],
            border=LONGEST_TRAINED + 0.5,
            domain=(0.0, 1.0),
        )
    )
    st.caption(
        _(
            "Stored from the evaluation of the training runs: both directions, held-out sentences new and longer ones, "
            "in steps of {step} tokens with at least {enough} sentences; the line is the median over the seeds, the "
            "band reaches from the lowest to the highest. Dashed, the null: always the most frequent piece, which "
            "never makes a sentence."
        ).format(step=STEP, enough=ENOUGH)
    )


def _null(figure: str) -> float | None:
    """What is right by chance; None where it was not measured."""
    if figure == "exact_match":
        return 0.0
    try:
        return read_plateau(models.assets()).held_out_accuracy
    except CheckpointError:
        return None


def _verdict(_: Words, found: Curves, guess: str) -> None:
    drops = {name: curve[0][2] - curve[-1][2] for name, curve in found.items() if len(curve) > 1}
    if not drops:
        return
    most, least = max(drops, key=drops.__getitem__), min(drops, key=drops.__getitem__)
    st.markdown(
        _(
            "You said **{guess}**. From the shortest to the longest, **{most}** loses most of its right tokens "
            "({high} points) and **{least}** least ({low})."
        ).format(
            guess=names(_)[guess],
            most=names(_)[most],
            high=f"{100 * drops[most]:.0f}",
            least=names(_)[least],
            low=f"{100 * drops[least]:.0f}",
        )
    )
    groups = {name: [drops[each] for each in rows if each in drops] for name, rows in _kinds(_).items()}
    means = {name: sum(each) / len(each) for name, each in groups.items() if each}
    if len(means) == len(groups):
        one, many = means.values()
        said = (
            _(
                "The readers that hand over one vector lose {one} points on average, those that are looked back at "
                "{many}."
            )
            if one > many
            else _(
                "Here the bottleneck does not show: readers that hand over one vector lose {one} points on average, "
                "those that are looked back at {many}."
            )
        )
        st.markdown(said.format(one=f"{100 * one:.0f}", many=f"{100 * many:.0f}"))
    st.caption(
        _(
            "Cho et al. 2014 and Bahdanau et al. 2015 (figure 2) report for English–French that without attention "
            "translation falls steeply beyond some 20 words, and with it hardly at all."
        )
    )


def _kinds(_: Words) -> dict[str, tuple[str, ...]]:
    return {"one": PLAIN, "many": (ATTENTIVE, BASE)}


def _note(_: Words, found: Curves) -> None:
    """“Long-term dependency completely solved”, against the Transformer's own longest sentences."""
    curve = found.get(BASE, ())
    if len(curve) < 2:
        return
    st.markdown(
        _(
            "A learner's note says that the Transformer solves long-term dependency *completely*. This one translates "
            "{short} of the sentences of about {few} tokens exactly and {long} of those of about {many}."
        ).format(
            short=f"{curve[0][2]:.0%}", few=f"{curve[0][0]:.0f}", long=f"{curve[-1][2]:.0%}", many=f"{curve[-1][0]:.0f}"
        )
        + " "
        + (
            _("Every token is one step away, and long sentences are still harder: one step is no solution by itself.")
            if curve[-1][2] < curve[0][2]
            else _("Here nothing is lost with length.")
        )
    )
