"""How text becomes vectors: pieces, numbers, rows of a table, their space, and what context makes of them."""

import streamlit as st

from pages.parts.frame import enter
from pages.parts.tokens import explore

here = enter()
_ = here.words

st.title(_("Tokens and embeddings"))
st.markdown(
    _(
        "A model reads no letters. The **tokenizer** cuts the text into pieces and gives each its number; the "
        "**embedding** looks that number up in a table with one row of numbers for each piece. What a piece means "
        "is nowhere written down: training moved the rows."
    )
)
explore(here)
