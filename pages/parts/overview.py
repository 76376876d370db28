"""The picture of the whole model, and the way from each of its boxes to a page or to its explanation."""

from typing import Any

import numpy as np
import streamlit as st

from core.charts import diagram as charts
from core.charts.heatmap import to_bytes
from core.run import Run
from pages.parts.address import keep, one_of
from pages.parts.diagram import diagram
from pages.parts.frame import Visit
from pages.parts.selection import KINDS, as_place, of_kind
from pages.parts.words import Words

STEPS = {
    "tokens": ("source", "target", "predicted"),
    "embedding": ("source_embedding", "target_embedding"),
    "norm": ("encoder_norm", "decoder_norm"),
    "feed_forward": ("encoder_feed_forward", "decoder_feed_forward"),
    "memory": ("memory",),
    "output": ("output",),
}
"""The boxes explained on this page, by the step they belong to; all others have a page of their own."""


def picture(here: Visit) -> str:
    """Draw the model; go to the page of the box that was clicked, or return the step to explain here."""
    _ = here.words
    step = keep("box", "tokens", one_of(STEPS))
    data = charts.diagram(
        _sizes(here),
        tokens={
            "source": [token.piece for token in here.run.source_tokens],
            "target": [token.piece for token in here.run.target_tokens],
            "predicted": [token.piece for token in here.run.predicted_tokens],
        },
        maps=[_maps(here.run, kind) for kind in KINDS],
        chosen=STEPS[step],
        words=_box_words(_),
    )
    opened = diagram(data, key="diagram").open
    if opened:
        _follow(opened)
    return step


def _follow(opened: Any) -> None:
    """Go where a click leads; what is no box changes nothing."""
    box = opened.get("box")
    if box in KINDS:
        st.session_state["kind"] = box
        st.session_state["head"] = as_place((opened.get("layer"), opened.get("head"))) or (0, 0)
        st.switch_page("pages/heads.py")
    if box in ("source_position", "target_position"):
        st.switch_page("pages/positions.py")
    step = next((step for step, boxes in STEPS.items() if box in boxes), None)
    if step and step != st.session_state["box"]:
        st.session_state["box"] = step
        st.rerun()


def _sizes(here: Visit) -> charts.Sizes:
    config = here.model.network.config
    return charts.Sizes(
        source=len(here.run.source_tokens),
        target=len(here.run.target_tokens),
        width=config.width,
        content_width=config.content_width,
        inner=config.feed_forward,
        vocabulary=config.vocabulary,
        heads=config.heads,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
    )


def _maps(run: Run, kind: str) -> Any:
    attentions = of_kind(run, kind)
    return to_bytes(np.stack([each.weights.numpy() for each in attentions]), attentions[0].mask.numpy())


def _box_words(_: Words) -> dict[str, str]:
    return {
        "label": _("The encoder and the decoder as boxes; each box leads to its explanation"),
        "layers": _("{count} layers"),
        "heads": _("{heads} heads, {queries} × {keys} each"),
        "source": _("Source tokens"),
        "target": _("Target tokens, shifted right"),
        "predicted": _("Predicted next tokens"),
        "embedding": _("Embedding"),
        "position": _("Positional encoding"),
        "norm": _("Layer norm"),
        "encoder": _("Self-attention"),
        "decoder": _("Masked self-attention"),
        "cross": _("Cross-attention"),
        "feed_forward": _("Feed-forward"),
        "memory": _("Encoder output"),
        "output": _("Linear + softmax"),
    }
