"""Small things that every part of the positions page needs: a prediction first, and numbers that say what they are."""

from collections.abc import Mapping

import streamlit as st

from pages.parts.address import keep, one_of
from pages.parts.words import Words


def predict(_: Words, key: str, question: str, options: Mapping[str, str]) -> str | None:
    """What the visitor expects, asked before the answer is shown; None as long as they have not said."""
    guess: str | None = keep(key, None, one_of(options), lambda chosen: chosen or "")
    with st.container(border=True):
        st.markdown(question)
        st.pills(
            _("Your prediction"),
            list(options),
            format_func=options.get,
            key=key,
            persist_state="session",
            label_visibility="collapsed",
        )
        if guess is None:
            st.caption(_("Choose what you expect; then it is measured."))
    return guess


def error(value: float) -> str:
    """A relative error, whose size no longer matters beyond 10."""
    return "> 10" if value > 10 else number(value)


def number(value: float) -> str:
    """Three decimals, or one digit and a power of ten where those would say nothing."""
    return f"{value:z.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"
