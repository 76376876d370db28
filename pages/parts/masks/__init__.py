"""The masks page in four parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import keep, one_of
from pages.parts.frame import Visit
from pages.parts.masks.future import future
from pages.parts.masks.padding import padding
from pages.parts.masks.three import three
from pages.parts.masks.ways import ways

PARTS: dict[str, Callable[[Visit], None]] = {"three": three, "ways": ways, "padding": padding, "future": future}


def explore(here: Visit) -> None:
    """The part that is open. Each redraws on its own, but for the first, whose edits concern the whole page."""
    _ = here.words
    part = keep("mask_part", "three", one_of(PARTS))
    names = {
        "three": _("1 Three masks"),
        "ways": _("2 Five ways to mask"),
        "padding": _("3 Padding lab"),
        "future": _("4 Future test"),
    }
    st.segmented_control(
        _("Part of this page"),
        list(PARTS),
        format_func=names.get,
        key="mask_part",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    PARTS[part](here)
