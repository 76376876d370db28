"""What the grid of all heads weighs on its way to the browser, beside its bare bytes and beside other forms."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from streamlit.testing.v1 import AppTest

from bench.models import ENGLISH, assets, beginning
from bench.table import Section, limit
from core.charts import heatmap
from core.tokens import load_tokenizer

ROOT = Path(__file__).parents[1]
PIECES = (4, 14, 62)
LANGUAGES = {"en": "the page, in English", "ko": "the page, in Korean"}
LIMIT = 1.25


def measured() -> Section:
    """The messages that the page itself sends, for sentences of three lengths and in both languages."""
    logging.disable(logging.WARNING)
    texts = [beginning(" ".join([ENGLISH] * 4), pieces, load_tokenizer()) for pieces in PIECES]
    grids = [{language: sent(text, language) for language in LANGUAGES} for text in texts]
    columns = [ratios(grid) for grid in grids]
    shapes = [" × ".join(map(str, grid["en"][1].shape)) for grid in grids]
    rows = [(form, *(f"{column[form]:.2f}" for column in columns), verdict(form, columns)) for form in columns[0]]
    about = (
        "Bytes, as multiples of one byte for each cell of each head (layers × heads × queries × keys); encoder "
        "self-attention. The page's messages are those it hands to the browser; the others are the cells alone."
    )
    return Section("Payload of the grid of all heads", about, ("", *shapes, "limit"), tuple(rows))


def sent(text: str, language: str) -> tuple[bytes, np.ndarray]:
    """The grid's message as the heads page hands it to the browser, and its cells (layer, head, query, key)."""
    with assets() as folder:
        os.environ["HEADROOM_ASSETS"] = str(folder)
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        app.query_params["text"], app.query_params["lang"] = text, language
        app.run()
        app.switch_page("pages/heads.py").run()
    for message in (bytes(component.proto.bytes) for component in app.get("bidi_component")):
        header, cells = heatmap.unpack(message) if message else ({}, np.zeros(0))
        if header.get("mode") == "grid":
            return message, cells.reshape(header["shape"])
    raise LookupError("the page sent no grid")


def ratios(grid: dict[str, tuple[bytes, np.ndarray]]) -> dict[str, float]:
    """Each form's size over that of the cells at one byte each."""
    cells = grid["en"][1]
    layers, heads, queries, keys = cells.shape
    mosaic = cells.transpose(0, 2, 1, 3).reshape(layers * queries, heads * keys)
    sizes = {name: len(grid[language][0]) for language, name in LANGUAGES.items()}
    sizes["Plotly, one heatmap of all, uint8"] = len(go.Figure(go.Heatmap(z=mosaic)).to_json().encode())
    sizes["numbers of four bytes"] = 4 * cells.size
    sizes["JSON with two decimals"] = len(json.dumps((cells / heatmap.STEPS).round(2).tolist()).encode())
    return {form: size / cells.size for form, size in sizes.items()}


def verdict(form: str, columns: list[dict[str, float]]) -> str:
    """The longest message of the page must keep the limit."""
    return limit(max(column[form] for column in columns), LIMIT if form in LANGUAGES.values() else None)
