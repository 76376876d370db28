"""The norms page in six parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.edits import unedited
from pages.parts.frame import Visit
from pages.parts.norms.beginning import beginning
from pages.parts.norms.block import block
from pages.parts.norms.mates import mates
from pages.parts.norms.network import network
from pages.parts.norms.statistics import statistics
from pages.parts.norms.twins import twins
from pages.parts.options import choose_part
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "block": block,
    "statistics": statistics,
    "mates": mates,
    "network": network,
    "depth": beginning,
    "twins": twins,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    PARTS[choose_part(here.words, "norm_part", _names(here.words))](here)
    unedited(here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "block": _("1 Who shares"),
        "statistics": _("2 Before and after"),
        "mates": _("3 Batch-mate test"),
        "network": _("4 Whole network"),
        "depth": _("5 Pre-LN or post-LN"),
        "twins": _("6 Trained twins"),
    }
