"""How the models came to be: the rate they learned at, the curves of all runs, which die, and one growing up."""

import streamlit as st

from pages.parts.frame import enter
from pages.parts.training import explore

here = enter()
_ = here.words

st.title(_("Training"))
st.markdown(
    _(
        "Every model here learned from sentence pairs, step by step: guess each next token, measure the **loss** "
        "(nats per token), move all weights a little against its gradient. How far is the **learning rate**."
    )
)
explore(here)
