"""What may not be looked at: the masks of this sentence, ways to apply them, and what leaks without."""

import streamlit as st

from pages.parts.frame import enter
from pages.parts.masks import explore

here = enter()
_ = here.words

st.title(_("Masks"))
st.markdown(
    _(
        "Attention would let every token look at every other one. A **mask** says where it may not: nobody looks at "
        "**padding**, the filler that makes the sentences of a batch equally long, and in the translation nobody looks "
        "at **the future**, the words that are yet to be predicted."
    )
)
explore(here)
