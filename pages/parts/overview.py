"""The picture of the whole model with the tensors of this sentence, and what stands behind each of its boxes."""

from typing import Any

import numpy as np
import streamlit as st
from torch import Tensor

from core.charts import diagram as charts
from core.charts.heatmap import to_bytes
from core.measures.cost import inner_width
from core.run import Run
from pages.parts.address import go, keep, one_of
from pages.parts.diagram import diagram
from pages.parts.frame import Visit
from pages.parts.selection import KINDS, as_place, of_kind, write_place
from pages.parts.words import Words

STEPS = {
    "tokens": ("source", "target", "predicted"),
    "embedding": ("source_embedding", "target_embedding"),
    "position": ("source_position", "target_position"),
    "encoder": ("encoder",),
    "decoder": ("decoder",),
    "cross": ("cross",),
    "norm": ("encoder_norm", "decoder_norm"),
    "residual": ("encoder_stream", "decoder_stream"),
    "feed_forward": ("encoder_feed_forward", "decoder_feed_forward"),
    "memory": ("memory",),
    "output": ("states", "output"),
}
"""The boxes by the step they belong to, in the order of the pass."""


def picture(here: Visit) -> str:
    """Draw the model; return the step whose box was clicked last, or go to the head whose map was."""
    _ = here.words
    step = keep("box", "tokens", one_of(STEPS))
    data = charts.diagram(
        sizes(here),
        tokens={
            "source": [token.piece for token in here.run.source_tokens],
            "target": [token.piece for token in here.run.target_tokens],
            "predicted": [token.piece for token in here.run.predicted_tokens],
        },
        maps=[_maps(here.run, kind) for kind in KINDS],
        strips=tensors(here.run),
        chosen=STEPS[step],
        words=box_words(_, here.model.transformer.config.norm),
    )
    opened = diagram(data, key="diagram").open
    if opened:
        _follow(opened)
    return step


def tensors(run: Run) -> dict[str, list[np.ndarray]]:
    """What the small pictures show: the first channels of each token's vector, layer beside layer."""
    found: dict[str, list[Tensor]] = {
        "source_embedding": [run.source.embedding],
        "source_position": [run.source.position],
        "target_embedding": [run.target.embedding],
        "target_position": [run.target.position],
        "encoder_feed_forward": [layer.feed_forward.activation for layer in run.encoder],
        "decoder_feed_forward": [layer.feed_forward.activation for layer in run.decoder],
        "encoder_stream": [layer.after_feed_forward for layer in run.encoder],
        "decoder_stream": [layer.after_feed_forward for layer in run.decoder],
        "memory": [run.encoder.final_norm.output],
        "states": [run.decoder.final_norm.output],
    }
    shown = {
        box: [each[:, : charts.COLUMNS].numpy() for each in part]
        for box, part in found.items()
        if all(each.shape[1] for each in part)
    }
    return shown | {"output": [charts.pooled(run.logits.numpy())]}


def _follow(opened: Any) -> None:
    """Go where a click leads; what is no box changes nothing."""
    box, place = opened.get("box"), as_place((opened.get("layer"), opened.get("head")))
    if box in KINDS and place:
        go("pages/heads.py", {"kind": box, "head": write_place(place)})
        st.rerun()
    step = next((step for step, boxes in STEPS.items() if box in boxes), None)
    if step and step != st.session_state["box"]:
        st.session_state["box"] = step
        st.rerun()


def sizes(here: Visit) -> charts.Sizes:
    config = here.model.transformer.config
    return charts.Sizes(
        source=len(here.run.source_tokens),
        target=len(here.run.target_tokens),
        width=config.width,
        content_width=config.content_width,
        inner=inner_width(config),
        vocabulary=config.vocabulary,
        heads=config.heads,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
    )


def _maps(run: Run, kind: str) -> Any:
    attentions = of_kind(run, kind)
    return to_bytes(np.stack([each.weights.numpy() for each in attentions]), attentions[0].mask.numpy())


def box_words(_: Words, norm: str = "layer") -> dict[str, str]:
    """What the boxes are called, in a model with this norm."""
    norms = {
        "layer": _("Layer norm"),
        "rms": _("RMSNorm"),
        "batch": _("Batch norm"),
        "instance": _("Instance norm"),
        "group": _("Group norm"),
        "none": _("No norm"),
    }
    return {
        "label": _("The encoder and the decoder as boxes; each box leads to its explanation"),
        "layers": _("{count} layers"),
        "heads": _("{heads} heads, {queries} × {keys} each"),
        "source": _("Source tokens"),
        "target": _("Target tokens, shifted right"),
        "predicted": _("Predicted next tokens"),
        "embedding": _("Embedding"),
        "position": _("Positional encoding"),
        "norm": norms[norm],
        "encoder": _("Self-attention"),
        "decoder": _("Masked self-attention"),
        "cross": _("Cross-attention"),
        "feed_forward": _("Feed-forward"),
        "stream": _("Residual stream, layer by layer"),
        "memory": _("Encoder output"),
        "states": _("Decoder output"),
        "output": _("Linear + softmax"),
    }
