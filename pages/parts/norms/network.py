"""Part 4: what the rest of a batch does to this sentence's logits in the trained twins, in training mode and after."""

from collections.abc import Mapping

import streamlit as st

from core.checkpoint import Model
from core.experiments import norms as experiments
from core.run import Run
from core.tokens import Direction, detect_direction
from pages.parts import models, zoo
from pages.parts.frame import Visit
from pages.parts.masks.show import amount
from pages.parts.norms.show import MORE_PADS, ROUNDING, change_table, companions, in_double
from pages.parts.positions.show import predict
from pages.parts.words import Words

TWINS = ("positions-sum", "norm-post", "norm-rms", "norm-batch", "norm-instance", "norm-group", "norm-none")
WAYS = ("mates", "pads", "word")
Found = dict[tuple[str, bool], dict[str, experiments.Shift]]
"""Shifts of a twin, by its name and whether it was in training mode."""


def twin_names(_: Words) -> dict[str, str]:
    """The twins by the norm in which they differ."""
    names = zoo.names(_)
    return {name: names[name] for name in TWINS} | {"positions-sum": _("Layer norm, pre-LN")}


def network(here: Visit) -> None:
    """A prediction, then the largest change of a logit for every twin."""
    _ = here.words
    st.subheader(_("How far do this sentence's logits move?"))
    st.markdown(
        _(
            "Now whole networks: small translators that were trained alike and differ in their norm or its place "
            "alone. Each reads your sentence and the translation above, beside **another sentence**, or with **pads** "
            "behind it, and scores every next token."
        )
    )
    twins = zoo.at_hand(_, TWINS)
    if not twins:
        return
    guess = predict(_, "logit_guess", _question(_), _options(_))
    if guess is not None:
        _measured(here, twins, guess)


def _question(_: Words) -> str:
    return _(
        "The twin with **batch norm**, first in training mode, then in evaluation mode, as it would be used. In which "
        "of them does another batch-mate change what it predicts for **your** sentence?"
    )


def _options(_: Words) -> dict[str, str]:
    return {
        "both": _("in both"),
        "training": _("in training mode alone"),
        "evaluation": _("in evaluation mode alone"),
        "neither": _("in neither"),
    }


def _measured(here: Visit, twins: Mapping[str, Model], guess: str) -> None:
    _, names = here.words, twin_names(here.words)
    found: Found = {}
    for name, twin in twins.items():
        modes = (False, True) if twin.transformer.config.norm == "batch" else (False,)
        for training in modes:
            found[name, training] = _shifts(here.run.source_text, here.run.direction, name, training)
    heads = [_("another batch-mate"), _("{count} pads").format(count=MORE_PADS), _("another word of its own")]
    rows, notes = {}, {}
    count = len(_read_by(here.run.source_text, here.run.direction, next(iter(twins))).target_tokens)
    for (name, training), shifts in found.items():
        title = names[name]
        if (name, not training) in found:
            title = (_("{name}, training mode") if training else _("{name}, evaluation mode")).format(name=title)
        rows[title] = [shifts[way].logits for way in WAYS]
        changed = " · ".join(str(shifts[way].tokens) for way in WAYS)
        notes[title] = _("likeliest tokens that change: {changed} of {count}").format(changed=changed, count=count)
    left, right = st.columns([8, 5], gap="large")
    left.html(change_table(heads, rows, notes))
    left.caption(
        _(
            "Measured on this sentence in double precision: the **largest change of any logit**, against the sentence "
            "beside a copy of itself, which has the same mean and variance as the sentence alone. The batch-mate is "
            "cut or filled up to its length; of two, the one that moves it more counts. The last column is there to "
            "compare with: one token in the middle of the source exchanged."
        )
    )
    with right:
        _findings(_, found, guess)


def _findings(_: Words, found: Found, guess: str) -> None:
    names = twin_names(_)
    batch = {training: shifts["mates"].logits for (name, training), shifts in found.items() if name == "norm-batch"}
    if batch:
        moves = {training for training, change in batch.items() if change > ROUNDING}
        answers = {(True, True): "both", (True, False): "training", (False, True): "evaluation"}
        st.markdown(
            _(
                "You said **{guess}**. Batch norm moves **{answer}**: by {training} in training mode, by {after} in "
                "evaluation mode."
            ).format(
                guess=_options(_)[guess],
                answer=_options(_)[answers.get((True in moves, False in moves), "neither")],
                training=amount(batch[True]),
                after=amount(batch[False]),
            )
        )
    still = [names[name] for (name, training), shifts in found.items() if not training and shifts["mates"].logits == 0]
    if still:
        st.markdown(
            _("- Exactly **0** beside any batch-mate, as they are used: {names}.").format(names=", ".join(still))
        )
    padded = [
        names[name] for (name, training), shifts in found.items() if not training and shifts["pads"].logits > ROUNDING
    ]
    if padded:
        st.markdown(
            _(
                "- **Pads** move: {names}. Attention hides pads behind its mask; these norms average over positions "
                "and have no mask, so a sentence is translated differently beside a longer one."
            ).format(names=", ".join(padded))
        )


@st.cache_data(max_entries=80, show_spinner=False)
def _shifts(text: str, direction: Direction, name: str, training: bool) -> dict[str, experiments.Shift]:
    mates = [_read_by(each, detect_direction(each), name) for each in companions(text)[:2]]
    run = _read_by(text, direction, name)
    return experiments.shifts(in_double(name), run, mates, MORE_PADS, training=training)


def _read_by(text: str, direction: Direction, name: str) -> Run:
    """A sentence and the translator's translation of it, as a twin reads them: all of them the same tokens."""
    return models.run(text, direction, name, (), models.run(text, direction, zoo.first()).translation)
