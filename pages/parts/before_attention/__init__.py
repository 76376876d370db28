"""The page on recurrent networks in six parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.before_attention.alignment import alignments
from pages.parts.before_attention.gradients import gradients
from pages.parts.before_attention.lengths import by_length
from pages.parts.before_attention.states import states
from pages.parts.before_attention.steps import sequential
from pages.parts.before_attention.translations import translations
from pages.parts.edits import unedited
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "same": translations,
    "alignment": alignments,
    "states": states,
    "gradients": gradients,
    "length": by_length,
    "steps": sequential,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    part = choose_part(here.words, "before", _names(here.words))
    unedited(here)
    PARTS[part](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "same": _("1 The same sentence"),
        "alignment": _("2 Where they look"),
        "states": _("3 What a state keeps"),
        "gradients": _("4 How far gradients reach"),
        "length": _("5 Longer sentences"),
        "steps": _("6 What must wait"),
    }
