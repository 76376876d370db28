"""The residuals page in six parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.edits import unedited
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.residuals.activations import culprit
from pages.parts.residuals.alike import alike
from pages.parts.residuals.back import way_back
from pages.parts.residuals.depth import by_depth
from pages.parts.residuals.least import at_least_one
from pages.parts.residuals.stream import carried
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "stream": carried,
    "depth": by_depth,
    "least": at_least_one,
    "activations": culprit,
    "alike": alike,
    "back": way_back,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    _ = here.words
    part = choose_part(_, "residual_part", _names(_))
    unedited(here)
    PARTS[part](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "stream": _("1 The stream"),
        "depth": _("2 Gradient by depth"),
        "least": _("3 At least 1?"),
        "activations": _("4 Is it ReLU?"),
        "alike": _("5 Tokens become alike"),
        "back": _("6 The way back"),
    }
