"""The feed-forward page in four parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.edits import unedited
from pages.parts.feed_forward.affine import affine
from pages.parts.feed_forward.neurons import neurons
from pages.parts.feed_forward.twins import twins
from pages.parts.feed_forward.xor import exclusive_or
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "affine": affine,
    "xor": exclusive_or,
    "neurons": neurons,
    "twins": twins,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    _ = here.words
    part = choose_part(_, "feed_part", _names(_))
    unedited(here)
    PARTS[part](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "affine": _("1 One token alone"),
        "xor": _("2 What cannot be learnt"),
        "neurons": _("3 Neurons"),
        "twins": _("4 Without it"),
    }
