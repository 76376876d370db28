"""The whole model at one glance, with the shapes of the typed sentence; every box leads on."""

import streamlit as st

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
        "Click a box to go there."
    )
)
left, right = st.columns([3, 2], gap="large")
with left:
    step = picture(here)
with right:
    explain(here, step)
