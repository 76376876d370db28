"""What translators were before attention was all: recurrent readers beside a Transformer, on the same sentence."""

import streamlit as st

from pages.parts.before_attention import explore
from pages.parts.frame import enter

here = enter()
_ = here.words

st.title(_("Before attention"))
st.markdown(
    _(
        "Before 2017 a translator read word by word: one **state**, a vector, was changed by each word and handed to "
        "the next step. These five were trained on the same sentences as a small **Transformer**, for as many steps "
        "and with about as many weights: a simple recurrent network (RNN), a GRU and an LSTM, a GRU that reads from "
        "both ends, and the same with Bahdanau's attention."
    )
)
explore(here)
