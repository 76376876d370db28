"""What training runs stored, for any rows of the table: curves over their seeds, and accuracy on held-out sentences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import streamlit as st

from core.charts import positions as charts
from core.measures.choices import LEAST, Values, leaders
from core.measures.curves import Record, exact_matches, seeds, spread
from pages.parts import zoo
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.words import Words

LOSSES = ("validation_loss", "loss")


def learned(here: Visit, rows: Sequence[str], *, key: str, note: str = "") -> None:
    """Curves on the left, accuracies on the right, of the rows at hand; `key` is the curve's in the address."""
    if not rows:
        return
    left, right = st.columns(2, gap="large")
    with left:
        _curves(here, zoo.logs(here.words, rows), key, note)
    with right:
        _accuracies(here, rows)


def _curves(here: Visit, found: Mapping[str, Sequence[Record]], key: str, note: str) -> None:
    _ = here.words
    titles = {
        "validation_loss": _("Loss, unseen"),
        "validation_accuracy": _("Tokens right, unseen"),
        "validation_exact_match": _("Sentences right, unseen"),
        "loss": _("Loss, training"),
    }
    figure = choose_one(_("Figure"), key, titles, "validation_loss", labelled=False)
    names = zoo.names(_)
    curves = {names[name]: points for name, records in found.items() if (points := spread(records, figure))}
    if not curves:
        st.info(_("These runs did not store this figure."), icon=":material/info:")
        return
    st.altair_chart(
        charts.learning(
            curves,
            words={"step": _("training step"), "figure": titles[figure], "null": _("guessing among all pieces")},
            palette=palette(_, found),
            guessing=math.log(here.model.tokenizer.size) if figure in LOSSES else None,
        )
    )
    listed = {names[name]: ", ".join(map(str, seeds(records))) or "–" for name, records in found.items()}
    said = "; ".join(f"{name}: {numbers}" for name, numbers in listed.items())
    if len(set(listed.values())) == 1:
        said = next(iter(listed.values()))
    caption = _(
        "Stored from the training runs, seeds {seeds}: the line is the median, the band reaches from the lowest "
        "to the highest. Loss in nats per token."
    )
    st.caption(" ".join([caption.format(seeds=said), note]))


def _accuracies(here: Visit, rows: Sequence[str]) -> None:
    _, direction = here.words, here.run.direction
    splits = {
        "random": _("new sentences"),
        "compositional": _("new combinations"),
        "long": _("longer ones"),
        "copy": _("invented words"),
    }
    found = {name: exact_matches(card, direction) for name, card in zoo.cards(_, rows).items()}
    names = zoo.names(_)
    figures = {
        names[name]: {splits[split]: each[split] for split in splits if split in each} for name, each in found.items()
    }
    if not any(figures.values()):
        return
    st.markdown(
        _("**Sentences translated exactly**, by held-out split, {direction}").format(
            direction="EN → KO" if direction == "en-ko" else "KO → EN"
        )
    )
    words = {"split": _("held-out split"), "accuracy": _("share translated exactly")}
    st.altair_chart(charts.accuracies(figures, words=words, palette=palette(_, found)))
    st.caption(
        _("Stored from the evaluation of the training runs: a dot is the median, a line the span over the seeds.")
    )


def winner(_: Words, guess: str, shares: Mapping[str, Values]) -> str:
    """Who translates new sentences best, a share for each seed by names on the screen; and who is not told from it."""
    first, *near = leaders(shares)
    said = (
        _(
            "You said **{guess}**. On new sentences **{best}** has the highest median, {share} of them right, but what "
            "sets it apart from {others} is no larger than {least} points or the spread over the seeds: no difference."
        )
        if near
        else _("You said **{guess}**. On new sentences **{best}** is best: {share} of them are right.")
    )
    share = f"{statistics.median(shares[first]):.1%}"
    return said.format(guess=guess, best=first, share=share, others=", ".join(near), least=f"{100 * LEAST:.0f}")


def palette(_: Words, rows: Sequence[str] | Mapping[str, object]) -> dict[str, str]:
    """A colour for each row by its name on the screen, in the order given."""
    names = zoo.names(_)
    return {names[name]: charts.COLOURS[place % len(charts.COLOURS)] for place, name in enumerate(rows)}
