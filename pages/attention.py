"""One head at one token, from the embedding to what it writes: every number worked out and checked."""

import streamlit as st

from pages.parts.attention import explore
from pages.parts.frame import enter

here = enter()
_ = here.words

st.title(_("Attention, step by step"))
st.markdown(
    _(
        "Follow one token through one head of the trained model: from its vector to query, key and value, to scores, "
        "to weights, to what it reads, and back into the stream. Click any cell, score or weight to work out that "
        "very number."
    )
)
explore(here)
