"""Part 2, the end: what became of models that were trained without the division (E01b)."""

import statistics
from collections.abc import Mapping, Sequence

import streamlit as st

from core.measures.curves import at_the_end
from core.variants import BASE
from pages.parts import zoo
from pages.parts.curves import learned
from pages.parts.frame import Visit
from pages.parts.positions.show import predict
from pages.parts.words import Words

PAIRS = {16: (BASE, "scale-none"), 64: ("heads-1", "scale-none-wide")}
"""The channels of a head, and the rows that divide by their root and do not."""


def trained_without(here: Visit) -> None:
    """A prediction, then the stored curves of both pairs and what it cost each not to divide."""
    _ = here.words
    st.subheader(_("Trained without the division"))
    options = {
        "16": _("the one with 16 channels"),
        "64": _("the one with 64 channels"),
        "neither": _("neither: training makes up for it"),
    }
    guess = predict(
        _,
        "undivided_guess",
        _(
            "Two small models were trained **without** dividing, all else as in a twin that divides: one has four "
            "heads of 16 channels, the other a single head of 64. Which of them loses more against its twin?"
        ),
        options,
    )
    if guess is None:
        return
    found = zoo.logs(_, [name for pair in PAIRS.values() for name in pair])
    names = zoo.names(_)
    note = _("Divided: {base} (four heads of 16 channels), {wide} (one head of 64).")
    note = note.format(base=names[PAIRS[16][0]], wide=names[PAIRS[64][0]])
    learned(here, list(found), key="undivided_curve", note=note)
    _verdict(_, {name: at_the_end(log, "validation_loss", 1) for name, log in found.items()}, options[guess])


def _verdict(_: Words, ends: Mapping[str, Sequence[float]], guess: str) -> None:
    """What each pair's last losses say, the median over the seeds."""
    lost = {}
    said = [_("You said **{guess}**. Loss on unseen sentences at the end of training:").format(guess=guess)]
    line = _("**{channels} channels**: {divided} nats divided by √d, {undivided} not divided ({cost}).")
    for channels, pair in PAIRS.items():
        if not all(ends.get(name) for name in pair):
            continue
        divided, undivided = (statistics.median(ends[name]) for name in pair)
        lost[channels] = undivided - divided
        losses = {"divided": f"{divided:.2f}", "undivided": f"{undivided:.2f}", "cost": f"{lost[channels]:+z.2f}"}
        said.append("- " + line.format(channels=channels, **losses))
    if lost:
        st.markdown("\n".join(said))
    if len(lost) == len(PAIRS) and lost[64] > lost[16] > 0:
        st.markdown(
            _(
                "Both are worse for it, and the head with more channels is worse off: its scores begin farther apart, "
                "where softmax lets hardly any gradient through to most queries, as random vectors show."
            )
        )
