"""What surrounds every page: its name in the navigation, the language, the sentence bar, the list of edits."""

from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.checkpoint import CheckpointError, Model
from core.edits import Edit
from core.run import Run
from pages.parts.address import keep, one_of
from pages.parts.bar import sentence_bar
from pages.parts.edits import edit_list
from pages.parts.models import Edited
from pages.parts.picker import looks_with_attention
from pages.parts.words import LANGUAGES, Words, preferred, words

_STYLE = """<style>
[data-testid="stMain"] :is(h1, h2, h3, p, li), [data-testid="stHtml"] { word-break: keep-all; overflow-wrap: anywhere }
@media (max-width: 640px) {
.katex-display > .katex { white-space: normal; font-size: 1em }
.katex-display > .katex > .katex-html > .base { margin: .25em 0 }
}</style>"""
"""Korean breaks between words; on a phone a long formula goes on in the next line, at its signs."""

WITHOUT_ATTENTION = ("training", "before_attention", "design_choices")
"""Pages that have something to show of a recurrent network too."""


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


def frame(_: Words, language: str, page: StreamlitPage) -> Visit:
    """Draw the sentence bar and the edits; the run ends here where the page has nothing to show, with the reason."""
    try:
        model, run = sentence_bar(_)
    except CheckpointError as error:
        st.error(_("The trained model cannot be read."), icon=":material/error:")
        st.text(str(error))
        st.stop()
    st.html(_STYLE)
    edits = edit_list(_, model, run)
    if page.url_path not in WITHOUT_ATTENTION and not looks_with_attention(_, model):
        st.stop()
    return Visit(words=_, language=language, model=model, run=run, edits=edits)


def register_pages(_: Words) -> StreamlitPage:
    """The page that this run shows; any call also ends Streamlit's own treatment of the pages folder."""
    groups = {
        _("Explore a run"): {
            "overview": _("Overview"),
            "tokens": _("Tokens"),
            "positions": _("Positions"),
            "attention": _("Attention"),
            "heads": _("Heads"),
            "masks": _("Masks"),
            "decoding": _("Decoding"),
        },
        _("Why it is built so"): {
            "norms": _("Norms"),
            "residuals": _("Residuals and gradients"),
            "feed_forward": _("Feed-forward"),
            "training": _("Training"),
            "before_attention": _("Before attention"),
        },
        _("Models"): {"design_choices": _("Design choices")},
    }
    return st.navigation(
        {
            group: [
                st.Page(f"pages/{name}.py", title=title, default=name == "overview") for name, title in pages.items()
            ]
            for group, pages in groups.items()
        },
        position="top",
    )


def choose_language() -> tuple[Words, str]:
    """The interface language: from the link, else the browser, else English."""
    browser = preferred(st.context.locale)
    language = keep("lang", browser, one_of(LANGUAGES))
    st.session_state["address"]["lang"] = language
    try:
        return words(language), language
    except (OSError, ValueError) as error:
        st.warning(f"The texts in {LANGUAGES[language]} cannot be read; these are the English ones.")
        st.text(str(error))
        return words("en"), language
