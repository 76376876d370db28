"""The whole forward pass of the typed sentence at one glance; every box leads on, and the tour begins here."""

import streamlit as st

from core.charts.diagram import COLUMNS
from pages.parts import tour
from pages.parts.edits import unedited
from pages.parts.frame import enter
from pages.parts.overview import picture
from pages.parts.steps import explain

here = enter()
_ = here.words

st.title(_("From a sentence to its translation"))
st.markdown(
    _(
        "The **encoder** (left) reads the sentence, the **decoder** (right) writes the translation, one "
        "piece after the other. Shapes are rows × columns for the sentence above: one row for each token. "
        "Click a box to see what it holds and where to take it apart."
    )
)
tour.offer(_)
unedited(here)
left, right = st.columns([3, 2], gap="large")
with left:
    step = picture(here)
    st.caption(
        _(
            "Small pictures are the real tensors of this sentence: a row for each token, a column for each of the "
            "first {channels} channels; violet is above zero, red below, each picture on a scale of its own. Under "
            "“Linear + softmax” a column is the largest score of one stretch of the vocabulary. Attention maps: the "
            "stronger the colour, the more weight; empty cells are masked."
        ).format(channels=COLUMNS)
    )
with right:
    explain(here, step)
