"""How a translation is written, token by token, and what training and a cache have to do with it."""

import streamlit as st

from pages.parts.decoding import explore
from pages.parts.frame import enter

here = enter()
_ = here.words

st.title(_("Decoding"))
st.markdown(
    _(
        "The decoder writes **one token at a time**: it reads what stands there so far, gives every piece of the "
        "vocabulary a probability, one of them is chosen, and the longer text is read again. In training it is told "
        "the right text instead. Everything here is this model on the sentence above."
    )
)
explore(here)
