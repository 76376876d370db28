"""One of several, as a row of buttons; the choice lives in the URL."""

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.parts.address import keep, one_of
from pages.parts.words import Words


def choose_one(label: str, key: str, options: Mapping[str, str], default: str, *, labelled: bool = True) -> str:
    """One of some options, with what the screen calls each."""
    chosen = keep(key, default, one_of(options))
    st.segmented_control(
        label,
        list(options),
        format_func=options.get,
        key=key,
        required=True,
        persist_state="session",
        label_visibility="visible" if labelled else "collapsed",
        wrap=True,
    )
    return chosen


def choose_number(label: str, key: str, numbers: Sequence[int], default: int) -> int:
    """One of some numbers."""
    chosen = keep(key, default, {str(number): number for number in numbers}.__getitem__)
    st.segmented_control(
        label, numbers, format_func="{:,}".format, key=key, required=True, persist_state="session", wrap=True
    )
    return chosen


def choose_part(_: Words, key: str, names: Mapping[str, str]) -> str:
    """The part of a page that is open: the first, as long as nobody chose another."""
    return choose_one(_("Part of this page"), key, names, next(iter(names)), labelled=False)
