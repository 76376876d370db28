"""Sections that redraw on their own: a click in one leaves the others as they are."""

from collections.abc import Callable
from functools import wraps

import streamlit as st

from pages.parts.address import publish
from pages.parts.frame import Visit

Section = Callable[[Visit], None]


def alone(section: Section) -> Section:
    """A section as a fragment that brings the link up to date itself."""

    @st.fragment
    @wraps(section)
    def drawn(here: Visit) -> None:
        section(here)
        publish()

    return drawn
