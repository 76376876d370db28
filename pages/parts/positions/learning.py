"""How well the twins learned: curves with the spread over seeds, and accuracy on held-out sentences."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.charts import positions as charts
from core.checkpoint import Model
from core.measures.curves import exact_matches, seeds, spread
from pages.parts.curves import winner
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.positions.twins import TWINS, palette, vocabulary
from pages.parts.words import Words
from pages.parts.zoo import logs, names


def learning(here: Visit, twins: Mapping[str, Model]) -> None:
    """A prediction, then what the training runs stored."""
    _ = here.words
    st.subheader(_("How well they learn"))
    question = _("Which one translates unseen sentences best in the end?")
    guess = predict(_, "twin_guess", question, {name: names(_)[name] for name in TWINS})
    if guess is None:
        return
    left, right = st.columns(2, gap="large")
    with left:
        _curves(_, logs(_, twins), vocabulary(twins))
    with right:
        _accuracies(here, twins, guess)


def _curves(_: Words, found: Mapping[str, Sequence[Mapping[str, Any]]], pieces: int) -> None:
    titles = {
        "validation_loss": _("Loss, unseen"),
        "validation_accuracy": _("Tokens right, unseen"),
        "validation_exact_match": _("Sentences right, unseen"),
        "loss": _("Loss, training"),
    }
    figure = choose_one(_("Figure"), "curve", titles, "validation_loss", labelled=False)
    curves = {names(_)[name]: spread(records, figure) for name, records in found.items()}
    losses = figure in ("validation_loss", "loss")
    st.altair_chart(
        charts.learning(
            curves,
            words={"step": _("training step"), "figure": titles[figure], "null": _("guessing among all pieces")},
            palette=palette(_),
            guessing=math.log(pieces) if losses else None,
        )
    )
    st.caption(
        _(
            "Stored from the training runs, seeds {seeds}: the line is the median, the band reaches from the lowest "
            "to the highest. Loss in nats per token."
        ).format(seeds=_seeds(_, found))
    )


def _seeds(_: Words, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The seeds of the runs, each twin's own where they differ."""
    listed = {names(_)[name]: ", ".join(map(str, seeds(records))) or "–" for name, records in found.items()}
    if len(set(listed.values())) == 1:
        return next(iter(listed.values()))
    return "; ".join(f"{name}: {numbers}" for name, numbers in listed.items())


def _accuracies(here: Visit, twins: Mapping[str, Model], guess: str) -> None:
    _, direction = here.words, here.run.direction
    found = {names(_)[name]: exact_matches(twin.card, direction) for name, twin in twins.items()}
    splits = split_names(_)
    figures = {name: {splits[split]: each[split] for split in splits if split in each} for name, each in found.items()}
    st.markdown(
        _("**Sentences translated exactly**, by held-out split, {direction}").format(
            direction="EN → KO" if direction == "en-ko" else "KO → EN"
        )
    )
    words = {"split": _("held-out split"), "accuracy": _("share translated exactly")}
    st.altair_chart(charts.accuracies(figures, words=words, palette=palette(_)))
    st.caption(
        _(
            "Stored from the evaluation of the training runs: a dot is the median, a line reaches from the lowest to "
            "the highest seed. “New combinations” are of words and places that never met in training; “longer ones” "
            "are longer than any in training."
        )
    )
    shares = {name: each["random"] for name, each in found.items() if "random" in each}
    if shares:
        st.markdown(winner(_, names(_)[guess], shares))


def split_names(_: Words) -> dict[str, str]:
    """The held-out splits as they are called on the screen."""
    return {
        "random": _("new sentences"),
        "compositional": _("new combinations"),
        "long": _("longer ones"),
        "ambiguous": _("ambiguous words"),
        "pronoun": _("pronouns"),
        "copy": _("invented words"),
    }
