"""The decoding page in five parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import keep, one_of, publish
from pages.parts.decoding.backward import way_back
from pages.parts.decoding.cache import caching
from pages.parts.decoding.forcing import forcing
from pages.parts.decoding.reading import reading
from pages.parts.decoding.steps import steps
from pages.parts.frame import Visit
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "steps": steps,
    "input": reading,
    "forcing": forcing,
    "back": way_back,
    "cache": caching,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    PARTS[_choose(here.words)](here)
    publish()


def _choose(_: Words) -> str:
    part = keep("decoding", "steps", one_of(PARTS))
    names = {
        "steps": _("1 Token by token"),
        "input": _("2 What the decoder reads"),
        "forcing": _("3 Teacher forcing"),
        "back": _("4 Back-propagation"),
        "cache": _("5 The KV cache"),
    }
    st.segmented_control(
        _("Part of this page"),
        list(PARTS),
        format_func=names.get,
        key="decoding",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    return part
