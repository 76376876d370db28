"""Headroom: type a sentence, see every attention head of a trained Transformer (streamlit run app.py)."""

import streamlit as st

from pages.parts import address, tour
from pages.parts.frame import choose_language, frame, register_pages

address.begin()
_, language = choose_language()
page = register_pages(_)
address.follow()
st.set_page_config(page_title=f"{page.title} · Headroom", page_icon="🔎", layout="wide")
try:
    st.session_state["visit"] = frame(_, language, page)
    tour.bar(_, page)
    page.run()
finally:
    address.publish()
