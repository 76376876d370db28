"""What the feed-forward network is for: what attention alone cannot do, and what single neurons answer to."""

import streamlit as st

from pages.parts.feed_forward import explore
from pages.parts.frame import enter

here = enter()
_ = here.words

st.title(_("Feed-forward"))
st.markdown(
    _(
        "After attention every token passes, alone, through two matrices with a function between them: "
        "$\\max(0,\\,xW_1 + b_1)\\,W_2 + b_2$. “**Why feed-forward?**” a learner's note asks."
    )
)
explore(here)
