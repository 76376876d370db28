"""Every trained model in one table: what its choice costs, what it buys, and what the textbook says of it."""

import streamlit as st

from pages.parts.design_choices import explore
from pages.parts.frame import enter

here = enter()
_ = here.words

st.title(_("Design choices"))
st.markdown(
    _(
        "Small translators, trained alike on the same sentences; each differs from the **base** in one choice. So what "
        "a choice costs and what it buys can be read off. Sort by a column; choose a row to open its card and to take "
        "that model to every other page."
    )
)
explore(here)
