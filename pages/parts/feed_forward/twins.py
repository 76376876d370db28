"""Part 4: models trained without it, at equal depth and with equal weights, beside the base and GELU."""

from __future__ import annotations

import statistics

import streamlit as st

from core.experiments.feed_forward import weights
from core.measures.choices import noise
from core.measures.curves import exact_matches
from core.variants import BASE
from pages.parts import models, zoo
from pages.parts.curves import learned, winner
from pages.parts.escape import titled
from pages.parts.frame import Visit
from pages.parts.positions.show import predict

TWINS = (BASE, "feed-forward-none", "feed-forward-none-deep", "feed-forward-gelu")


def twins(here: Visit) -> None:
    """A prediction, cost and translations, then what the runs stored."""
    _, names = here.words, zoo.names(here.words)
    st.subheader(_("Trained without it"))
    st.markdown(
        _(
            "The same data and steps as the base: once without feed-forward networks at the same depth, once "
            "with more layers of attention instead, so that it has as many weights, once with GELU in place of ReLU."
        )
    )
    guess = predict(
        _,
        "feed_twin_guess",
        _("Which translates unseen sentences best?"),
        {name: names[name] for name in TWINS},
    )
    if guess is None:
        return
    found = zoo.at_hand(_, TWINS)
    if not found:
        return
    st.dataframe(
        {
            _("model"): [names[name] for name in found],
            _("layers"): [
                f"{each.transformer.config.encoder_layers} + {each.transformer.config.decoder_layers}"
                for each in found.values()
            ],
            _("parameters"): [sum(weights(each.transformer).values()) for each in found.values()],
            _("in feed-forward"): [weights(each.transformer)["feed-forward"] for each in found.values()],
        },
        hide_index=True,
        height="content",
    )
    learned(here, list(found), key="feed_curve")
    _verdict(here, guess, list(found))
    st.markdown(_("**This sentence**, by each of them"))
    for column, name in zip(st.columns(len(found)), found, strict=True):
        run = models.run(here.run.source_text, here.run.direction, name)
        column.html(titled(names[name], run.translation))


def _verdict(here: Visit, guess: str, rows: list[str]) -> None:
    _, names = here.words, zoo.names(here.words)
    shares = {
        name: each
        for name, card in zoo.cards(_, rows).items()
        if (each := exact_matches(card, here.run.direction).get("random"))
    }
    if len(shares) < 2:
        return
    st.markdown(winner(_, names[guess], {names[name]: each for name, each in shares.items()}))
    if BASE in shares and "feed-forward-none" in shares:
        medians = {name: statistics.median(each) for name, each in shares.items()}
        lost = medians[BASE] - medians["feed-forward-none"]
        said = (
            _("Without feed-forward at the same depth {lost} points are lost.")
            if lost > (least := noise(shares[BASE], shares["feed-forward-none"]))
            else _("Without feed-forward at the same depth {gained} points are gained.")
            if lost < -least
            else _("Without feed-forward at the same depth no difference shows ({lost} points, too few to count).")
        ).format(lost=f"{100 * lost:.1f}", gained=f"{-100 * lost:.1f}")
        if "feed-forward-none-deep" in shares:
            deep = medians[BASE] - medians["feed-forward-none-deep"]
            said += " " + _("With attention in its place, and as many weights, {lost} points.").format(
                lost=f"{100 * deep:.1f}"
            )
        st.markdown(said)
        st.caption(
            _(
                "Vaswani et al. (table 3, row C) varied its width instead: d_ff of 1,024, 2,048 and 4,096 gave BLEU "
                "25.4, 25.8 and 26.2 on English–German."
            )
        )
