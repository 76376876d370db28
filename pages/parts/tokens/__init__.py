"""The tokens page in three parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import keep, one_of, publish
from pages.parts.frame import Visit
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
    PARTS[_choose(here.words)](here)
    publish()


def _choose(_: Words) -> str:
    part = keep("tokens_part", "pieces", one_of(PARTS))
    names = {
        "pieces": _("1 From text to rows"),
        "space": _("2 The space of the rows"),
        "context": _("3 The same token in context"),
    }
    st.segmented_control(
        _("Part of this page"),
        list(PARTS),
        format_func=names.get,
        key="tokens_part",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    return part
