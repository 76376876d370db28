"""The canvas that draws attention weights; what it draws is packed by core.charts.heatmap."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.words import LANGUAGES, Words, words

_STYLE = """
.headroom-map { position: relative; width: 100%; }
.headroom-map canvas { display: block; cursor: pointer; border-radius: 4px; touch-action: pan-x pan-y; }
.headroom-map canvas:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.tip {
  display: none; position: absolute; z-index: 10; pointer-events: none; max-width: 15rem;
  padding: .35rem .6rem;
  border-radius: 6px; font: 13px/1.45 var(--st-font); color: var(--st-background-color);
  background: var(--st-text-color); box-shadow: 0 2px 10px rgb(0 0 0 / .25); overflow-wrap: anywhere;
}
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""


def grid_words(_: Words) -> dict[str, str]:
    """What the grid of all heads says."""
    return {
        "label": _("All heads; arrow keys choose one"),
        "layer": _("layer"),
        "head": _("head"),
        "edited": _("edited"),
    }


_WORDS = {language: grid_words(words(language)) for language in LANGUAGES}

_canvas = st.components.v2.component(
    "headroom_heatmap",
    html='<div class="headroom-map"></div>',
    css=_STYLE,
    js=f"const WORDS = {json.dumps(_WORDS)}\n" + (Path(__file__).parent / "heatmap.js").read_text(encoding="utf-8"),
)


def heatmap(
    data: bytes,
    *,
    key: str,
    on_head: Callable[[], Any] = lambda: None,
    on_cell: Callable[[], Any] = lambda: None,
    on_toggle: Callable[[], Any] = lambda: None,
) -> Any:
    """Draw `data`; the result's `.head` is the (layer, head) clicked, its `.cell` the (query, key).

    Where cells can be toggled, `.toggle` is the cell, in the run after the click only.
    """
    return _canvas(key=key, data=data, on_head_change=on_head, on_cell_change=on_cell, on_toggle_change=on_toggle)
