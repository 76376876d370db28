"""The picture of the whole model; where its boxes lie and what they say is decided by core.charts.diagram."""

from pathlib import Path
from typing import Any

import streamlit as st

_STYLE = """
.headroom-diagram { width: 100%; }
.headroom-diagram svg { font-family: var(--st-font); overflow: visible; }
.box { cursor: pointer; outline: none; }
.box:hover .face, .box:focus-visible .face { stroke: var(--st-primary-color); stroke-width: 2.4; }
.edge:hover { stroke: var(--st-orange-color); stroke-width: 2.5; }
"""

_picture = st.components.v2.component(
    "headroom_diagram",
    html='<div class="headroom-diagram"></div>',
    css=_STYLE,
    js=(Path(__file__).parent / "diagram.js").read_text(encoding="utf-8"),
)


def diagram(data: bytes, *, key: str) -> Any:
    """Draw `data`; the result's `.open` is what was just clicked: {"box": ..., "layer": ..., "head": ...}."""
    return _picture(key=key, data=data, on_open_change=lambda: None)
