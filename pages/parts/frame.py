"""What surrounds every page: its name in the navigation, the language, the sentence bar, the list of edits."""

from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.checkpoint import CheckpointError, Model
from core.edits import Edit
from core.run import Run
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.bar import sentence_bar
from pages.parts.edits import edit_list
from pages.parts.models import Edited
from pages.parts.words import LANGUAGES, Words, preferred, words


@dataclass(frozen=True)
class Visit:
    """What a page needs: its words, the model's run of the sentence in the bar, and what the visitor edited.

    `run` is never edited; `edited` is the same sentence with the edits, computed when a page asks for it.
    """

    words: Words
    language: str
    model: Model
    run: Run
    edits: tuple[Edit, ...] = ()

    @property
    def edited(self) -> Edited | None:
        """The edited model on the sentence in the bar; None without edits."""
        return Edited(self.run, self.edits) if self.edits else None


def enter() -> Visit:
    """What a page needs, as its first line; hands the run back to app.py when a deep link skipped that."""
    visit: Visit | None = st.session_state.pop("visit", None)
    if visit is None:
        register_pages(words("en"))
        st.rerun()
    return visit


def frame(_: Words, language: str) -> Visit:
    """Draw the sentence bar and the edits; a model that cannot be read ends the run with what would restore it."""
    try:
        model = models.model(models.TRANSLATOR)
    except CheckpointError as error:
        st.error(_("The trained model cannot be read."), icon=":material/error:")
        st.text(str(error))
        st.stop()
    run = sentence_bar(_, model)
    return Visit(words=_, language=language, model=model, run=run, edits=edit_list(_, model, run))


def register_pages(_: Words) -> StreamlitPage:
    """The page that this run shows; any call also ends Streamlit's own treatment of the pages folder."""
    return st.navigation(
        [
            st.Page("pages/overview.py", title=_("Overview"), default=True),
            st.Page("pages/tokens.py", title=_("Tokens")),
            st.Page("pages/positions.py", title=_("Positions")),
            st.Page("pages/attention.py", title=_("Attention")),
            st.Page("pages/heads.py", title=_("Heads")),
            st.Page("pages/masks.py", title=_("Masks")),
            st.Page("pages/decoding.py", title=_("Decoding")),
        ],
        position="top",
    )


def choose_language() -> tuple[Words, str]:
    """The interface language: from the link, else the browser, else English."""
    browser = preferred(st.context.locale)
    language = keep("lang", browser, one_of(LANGUAGES))
    st.session_state["address"]["lang"] = language
    return words(language), language
