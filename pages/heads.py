"""Every head on the typed sentence: where it looks, what that comes to, and what it is needed for."""

import streamlit as st

from pages.parts import heads
from pages.parts.frame import enter

here = enter()
_ = here.words

st.title(_("Attention heads"))
st.markdown(
    _(
        "Each small map is one head. A row is a token that looks (**query**), a column a token that is "
        "looked at (**key**); the stronger the colour, the more **attention weight** goes there, and each row "
        "sums to 1. What is not marked *edited* is measured on the sentence above."
    )
)
heads.explore(here)
