"""What is carried around every sub-layer, and how the loss finds its way back along it."""

import streamlit as st

from pages.parts.frame import enter
from pages.parts.residuals import explore

here = enter()
_ = here.words

st.title(_("Residuals and gradients"))
st.markdown(
    _(
        "A sub-layer does not replace a token's vector: its result is **added** to it. What runs past all sub-layers "
        "is the **residual stream**, $x + f(x)$ again and again. What is in it, and what does it do for the gradient "
        "that comes back?"
    )
)
explore(here)
