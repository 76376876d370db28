"""The tokens page in three parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.edits import unedited
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.tokens.context import in_context
from pages.parts.tokens.pieces import from_text_to_rows
from pages.parts.tokens.space import rows_in_space
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "pieces": from_text_to_rows,
    "space": rows_in_space,
    "context": in_context,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    part = choose_part(here.words, "tokens_part", _names(here.words))
    if part != "pieces":
        unedited(here)
    PARTS[part](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "pieces": _("1 From text to rows"),
        "space": _("2 The space of the rows"),
        "context": _("3 The same token in context"),
    }
