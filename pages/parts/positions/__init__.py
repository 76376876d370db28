"""The positions page in eight parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import publish
from pages.parts.edits import unedited
from pages.parts.frame import Visit
from pages.parts.options import choose_part
from pages.parts.positions.learned import encoding_or_embedding
from pages.parts.positions.longer import longer
from pages.parts.positions.order import worth
from pages.parts.positions.relative import inside_attention
from pages.parts.positions.sinusoid import pattern
from pages.parts.positions.size import size
from pages.parts.positions.sums import sum_or_concat
from pages.parts.positions.together import side_by_side
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "pattern": pattern,
    "size": size,
    "sum": sum_or_concat,
    "order": worth,
    "table": encoding_or_embedding,
    "relative": inside_attention,
    "longer": longer,
    "together": side_by_side,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    part = choose_part(here.words, "part", _names(here.words))
    if part != "pattern":
        unedited(here)
    PARTS[part](here)
    publish()


def _names(_: Words) -> dict[str, str]:
    return {
        "pattern": _("1 The sinusoid"),
        "size": _("2 How large?"),
        "sum": _("3 Sum or concat?"),
        "order": _("4 What order is worth"),
        "table": _("5 Encoding or embedding?"),
        "relative": _("6 RoPE and ALiBi"),
        "longer": _("7 Longer sentences"),
        "together": _("8 Side by side"),
    }
