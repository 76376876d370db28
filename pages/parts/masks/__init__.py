"""The masks page in four parts, of which one is open; the choice lives in the URL."""

from collections.abc import Callable

import streamlit as st

from pages.parts.frame import Visit
from pages.parts.masks.future import future
from pages.parts.masks.padding import padding
from pages.parts.masks.show import why_it_leaks
from pages.parts.masks.three import three
from pages.parts.masks.ways import ways
from pages.parts.options import choose_part

PARTS: dict[str, Callable[[Visit], None]] = {"three": three, "ways": ways, "padding": padding, "future": future}


def explore(here: Visit) -> None:
    """The part that is open. Each redraws on its own, but for the first, whose edits concern the whole page."""
    _ = here.words
    names = {
        "three": _("1 Three masks"),
        "ways": _("2 Five ways to mask"),
        "padding": _("3 Padding lab"),
        "future": _("4 Future test"),
    }
    part = choose_part(_, "mask_part", names)
    why = why_it_leaks(_, here.model.transformer.config)
    if why:
        st.info(why, icon=":material/visibility:")
    PARTS[part](here)
