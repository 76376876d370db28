"""The least that a page of this process can do: one control, one line of text, the model already loaded."""

import streamlit as st

from pages.parts import models

models.model(models.TRANSLATOR)
st.title("One widget")
st.toggle("Toggle")
st.text(f"before the mask: {st.session_state.setdefault('runs', 0)}")
st.session_state["runs"] += 1
