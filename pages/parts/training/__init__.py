"""The training page in four parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.edits import unedited
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.training.fates import alive_or_dead
from pages.parts.training.lapse import lapse
from pages.parts.training.runs import runs
from pages.parts.training.schedule import schedule
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "schedule": schedule,
    "runs": runs,
    "fates": alive_or_dead,
    "lapse": lapse,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    part = choose_part(here.words, "training", _names(here.words))
    if part == "lapse":
        unedited(here)
    PARTS[part](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "schedule": _("1 The learning rate"),
        "runs": _("2 The curves of all runs"),
        "fates": _("3 Alive or dead?"),
        "lapse": _("4 Time-lapse"),
    }
