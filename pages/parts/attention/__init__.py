"""The attention page in five parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.attention.asking import asking
from pages.parts.attention.exponential import exponential
from pages.parts.attention.itself import itself
from pages.parts.attention.scaling import scaling
from pages.parts.attention.steps import steps
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "steps": steps,
    "scaling": scaling,
    "asking": asking,
    "exp": exponential,
    "itself": itself,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    PARTS[choose_part(here.words, "attention", _names(here.words))](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "steps": _("1 Step by step"),
        "scaling": _("2 Why ÷ √d?"),
        "asking": _("3 Query, key, value"),
        "exp": _("4 exp and expectation"),
        "itself": _("5 Always on itself?"),
    }
