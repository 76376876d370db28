"""The decoding page in five parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.decoding.backward import way_back
from pages.parts.decoding.cache import caching
from pages.parts.decoding.forcing import forcing
from pages.parts.decoding.reading import reading
from pages.parts.decoding.steps import steps
from pages.parts.frame import Visit
from pages.parts.options import choose_part
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
    PARTS[choose_part(here.words, "decoding", _names(here.words))](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "steps": _("1 Token by token"),
        "input": _("2 What the decoder reads"),
        "forcing": _("3 Teacher forcing"),
        "back": _("4 Back-propagation"),
        "cache": _("5 The KV cache"),
    }
