"""Small things that every part of the training page needs: a number, what a row is called."""

from collections.abc import Sequence

import streamlit as st

from core.checkpoint import CheckpointError
from core.measures.unigram import Plateau, read_plateau
from pages.parts import models, zoo
from pages.parts.address import keep, one_of
from pages.parts.words import Words


def dial(label: str, key: str, options: Sequence[float], default: float, *, write: str = "g") -> float:
    """One of some numbers on a slider."""
    named = {format(option, write): option for option in options}
    keep(key, format(default, write), one_of(named))
    chosen: str = st.select_slider(label, list(named), key=key, persist_state="session")
    return named[chosen]


def rate(value: float) -> str:
    """A learning rate: three digits and a power of ten."""
    digits, power = f"{value:.2e}".split("e")
    return f"{digits} · 10{str(int(power)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def row_name(_: Words, name: str) -> str:
    """What a row is called on the screen; rows of the grid by their settings."""
    parts = name.split("-")
    if name in zoo.names(_) or len(parts) != 6:
        return zoo.names(_).get(name, name)
    warm = parts[4] == "warm"
    return f"{_('with warm-up') if warm else _('no warm-up')}, {rate_name(_, parts[5])}"


def rate_name(_: Words, word: str) -> str:
    """The three highest rates of the grid."""
    return {"low": _("rate 0.001"), "middle": _("rate 0.003"), "high": _("rate 0.01")}[word]


def plateau(_: Words) -> Plateau | None:
    """The loss of who only knows frequencies; None, and the command that measures it, where it is not at hand."""
    try:
        return _plateau(str(models.assets()))
    except CheckpointError as error:
        st.warning(_("The unigram plateau is not here; its line is left out."), icon=":material/error:")
        st.text(str(error))
        return None


@st.cache_resource(max_entries=4, show_spinner=False)
def _plateau(assets: str) -> Plateau:
    return read_plateau(models.assets())
