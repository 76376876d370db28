"""How a model knows where a word stands: the sinusoid, how large it is, sum or concat, and what order is worth."""

import streamlit as st

from pages.parts.frame import enter
from pages.parts.positions import explore

here = enter()
_ = here.words

st.title(_("Positions"))
st.markdown(
    _(
        "Attention compares every token with every other, and would do so in any order: to it a sentence is a "
        "bag of words. So each position gets a vector of its own, the **positional encoding**, which joins the "
        "word vector before the first layer."
    )
)
explore(here)
