"""Whose numbers a norm shares: batch, layer, instance, group and RMS norm on this sentence and in trained twins."""

import streamlit as st

from pages.parts.frame import enter
from pages.parts.norms import explore

here = enter()
_ = here.words

st.title(_("Norms"))
st.markdown(
    _(
        "Every **norm** does the same: subtract a mean, divide by a standard deviation, then scale by a learned γ and "
        "shift by a learned β. They differ in one thing alone: **which numbers share** a mean and a variance."
    )
)
explore(here)
