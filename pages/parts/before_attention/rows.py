"""The readers that are compared, five recurrent ones and the Transformer, and the translation all are asked about."""

import streamlit as st

from core.charts.figures import GREY, INDIGO, ORANGE
from core.charts.positions import TEAL
from core.run import Run
from core.variants import BASE
from pages.parts import models, zoo
from pages.parts.address import keep
from pages.parts.bar import LONGEST, read_sentence
from pages.parts.frame import Visit
from pages.parts.words import Words

RNN, GRU, LSTM = "recurrent-tanh", "recurrent-gru", "recurrent-lstm"
BOTH, ATTENTIVE = "recurrent-bidirectional", "recurrent-attention"
READERS = (RNN, GRU, LSTM, BOTH, ATTENTIVE, BASE)
COLOURS = (GREY, ORANGE, "#e5484d", "#3e9fd8", TEAL, INDIGO)


def names(_: Words) -> dict[str, str]:
    """The readers as they are called here; the Transformer is the row that all twins differ from."""
    return {name: zoo.names(_)[name] for name in READERS} | {BASE: _("Transformer")}


def palette(_: Words) -> dict[str, str]:
    """Each reader's colour by the name it has on the screen, the same in every chart."""
    return dict(zip(names(_).values(), COLOURS, strict=True))


def run_of(here: Visit, name: str, target: str | None = None) -> Run:
    """What a reader makes of the sentence above, or of a translation that it is given."""
    return models.run(here.run.source_text, here.run.direction, name, (), target)


def reference(here: Visit) -> str:
    """The translation that all are asked about: the translator's own, unless another is typed."""
    _ = here.words
    own = models.run(here.run.source_text, here.run.direction, zoo.first()).translation
    typed = keep("before_reference", "", lambda text: text[:LONGEST])
    text, complaint = read_sentence(_, typed, here.model) if typed else ("", "")
    with st.popover(_("Other reference"), icon=":material/edit:"):
        st.text_input(
            _("Let all of them read this translation instead of the translator's"),
            key="before_reference",
            max_chars=LONGEST,
            persist_state="session",
            placeholder=own,
        )
        if complaint:
            st.warning(complaint, icon=":material/edit_note:")
    return text or own
