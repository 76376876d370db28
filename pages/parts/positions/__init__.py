"""The positions page in four parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.address import keep, one_of, publish
from pages.parts.frame import Visit
from pages.parts.positions.order import worth
from pages.parts.positions.sinusoid import pattern
from pages.parts.positions.size import size
from pages.parts.positions.sums import sum_or_concat
from pages.parts.words import Words

PARTS: dict[str, Callable[[Visit], None]] = {
    "pattern": pattern,
    "size": size,
    "sum": sum_or_concat,
    "order": worth,
}


@st.fragment
def explore(here: Visit) -> None:
    """The part that is open, redrawn on its own."""
    PARTS[_choose(here.words)](here)
    publish()


def _choose(_: Words) -> str:
    part = keep("part", "pattern", one_of(PARTS))
    names = {
        "pattern": _("1 The sinusoid"),
        "size": _("2 How large?"),
        "sum": _("3 Sum or concat?"),
        "order": _("4 What order is worth"),
    }
    st.segmented_control(
        _("Part of this page"),
        list(PARTS),
        format_func=names.get,
        key="part",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    return part
