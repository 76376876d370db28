"""Part 6: one backward pass drawn on the architecture: where the gradient of one output token goes."""

from __future__ import annotations

import numpy as np
import streamlit as st
from torch import Tensor

from core.charts import diagram as diagrams
from core.charts import residuals as charts
from core.charts.heatmap import to_bytes
from core.experiments import residuals as experiments
from core.experiments.residuals import STACKS, Returned
from core.run import Run
from pages.parts import models
from pages.parts.address import keep
from pages.parts.decoding.show import whole
from pages.parts.diagram import diagram
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.overview import box_words, sizes
from pages.parts.residuals.show import Question, length, question, sublayer_names, tokens_of
from pages.parts.selection import KINDS


def way_back(here: Visit) -> None:
    """Choose an output token; the diagram holds gradients where the overview's holds tensors."""
    _ = here.words
    st.subheader(_("Where the gradient of one output token goes"))
    place = _choose(here)
    found = _returned(here.model.name, question(here), place)
    left, right = st.columns([3, 2], gap="large")
    with left:
        diagram(_picture(here, found), key="residual_diagram")
        st.caption(
            _(
                "The boxes of the overview, holding **gradients**: how the loss of this token would change with each "
                "number. A row for each token, a column for each of the first {channels} channels, violet above zero, "
                "red below, each picture on a scale of its own. Maps: |∂ loss / ∂ weight|, the strongest of each "
                "kind of attention in full colour."
            ).format(channels=diagrams.COLUMNS)
        )
    with right:
        _reading(here, found, place)


def _choose(here: Visit) -> int | None:
    """The place of the output token from 0, None for the mean over all."""
    _, predicted = here.words, here.run.predicted_tokens
    place = keep("residual_output", len(predicted) // 2 + 1, whole(0, len(predicted)))
    st.selectbox(
        _("Loss: −log p of"),
        range(len(predicted) + 1),
        format_func=lambda number: f"{number}: {predicted[number - 1].piece}" if number else _("all, their mean"),
        key="residual_output",
        persist_state="session",
        width=260,
    )
    return place - 1 if place else None


@st.cache_resource(max_entries=48, show_spinner=False)
def _returned(name: str, asked: Question, place: int | None) -> Returned:
    network = models.model(name).transformer
    layers = [(stack, layer) for stack in STACKS for layer in range(experiments.depth(network.config, stack))]
    others = [f"{stack}.{layer}.feed_forward.activation" for stack, layer in layers]
    others += [f"{stack}.{layer}.self_attention.weights" for stack, layer in layers]
    others += [f"decoder.{layer}.cross_attention.weights" for layer in range(network.config.decoder_layers)]
    others += ["source.embedding", "target.embedding", "logits"]
    return experiments.returned(network, *asked, place, others)


def _picture(here: Visit, found: Returned) -> bytes:
    _, run = here.words, here.run
    return diagrams.diagram(
        sizes(here),
        tokens={
            "source": [token.piece for token in run.source_tokens],
            "target": [token.piece for token in run.target_tokens],
            "predicted": [token.piece for token in run.predicted_tokens],
        },
        maps=[_maps(run, found, kind) for kind in KINDS],
        strips=_strips(found, run),
        words={**box_words(_), "label": _("The model as boxes, with the gradients of one loss")},
    )


def _strips(found: Returned, run: Run) -> dict[str, list[np.ndarray]]:
    """The gradients of what the overview's small pictures show."""
    config, parts = run.transformer.config, found.gradients
    layers = {stack: range(experiments.depth(config, stack)) for stack in STACKS}
    boxes: dict[str, list[Tensor]] = {
        "source_embedding": [parts["source.embedding"]],
        "source_position": [parts["source.input"]],
        "target_embedding": [parts["target.embedding"]],
        "target_position": [parts["target.input"]],
        "memory": [parts["encoder.final_norm.output"]],
        "states": [parts["decoder.final_norm.output"]],
    }
    for stack in STACKS:
        if config.activation != "none":
            boxes[f"{stack}_feed_forward"] = [parts[f"{stack}.{n}.feed_forward.activation"] for n in layers[stack]]
        boxes[f"{stack}_stream"] = [parts[f"{stack}.{n}.after_feed_forward"] for n in layers[stack]]
    shown = {box: [each[:, : diagrams.COLUMNS].numpy() for each in part] for box, part in boxes.items()}
    return shown | {"output": [diagrams.pooled(parts["logits"].abs().numpy())]}


def _maps(run: Run, found: Returned, kind: str) -> np.ndarray:
    stack, name = ("encoder", "self") if kind == "encoder" else ("decoder", "self" if kind == "decoder" else "cross")
    layers = range(experiments.depth(run.transformer.config, stack))
    back = np.stack([found.gradients[f"{stack}.{n}.{name}_attention.weights"].abs().numpy() for n in layers])
    allowed = run.tensor(f"{stack}.0.{name}_attention.mask").numpy()
    back = np.where(allowed, back, 0.0)
    return to_bytes(back / (back.max() or 1.0), allowed)


# --- beside the picture ---------------------------------------------------------------------------------------------


def _reading(here: Visit, found: Returned, place: int | None) -> None:
    _, run = here.words, here.run
    lengths = {stack: found.lengths(stack).numpy() for stack in STACKS}
    totals = {stack: np.sqrt((each**2).sum(1)) for stack, each in lengths.items()}
    shown = {
        _("loss"): length(found.loss),
        _("gradient at the decoder's output"): length(float(totals["decoder"][-1])),
        _("at the decoder's input"): length(float(totals["decoder"][0])),
        _("at the encoder's output"): length(float(totals["encoder"][-1])),
        _("at the encoder's input"): length(float(totals["encoder"][0])),
    }
    st.html(facts(shown))
    _verdict(here, lengths, place)
    stack = choose_one(
        _("Stack"), "residual_back_stack", {"decoder": _("Decoder"), "encoder": _("Encoder")}, "decoder", labelled=False
    )
    tokens = [token.piece for token in tokens_of(run, stack)]
    config = run.transformer.config
    names = [_("input"), *sublayer_names(_, experiments.sublayers(config, stack)), _("final norm")]
    shares = lengths[stack] / np.maximum(lengths[stack].sum(1, keepdims=True), 1e-300)
    shares[lengths[stack] == 0] = np.nan
    words = {"stage": _("after which sub-layer"), "token": _("token"), "value": _("share of the row")}
    st.vega_lite_chart(charts.cells(shares, stages=names, tokens=tokens, words=words))
    st.caption(
        _(
            "Length of ∂ loss / ∂ stream at each token, as a share of its row; rows sum to 1, an even spread would be "
            "{even} each; where it is exactly 0 the cell is empty. Gradient runs downwards. Measured on this sentence, "
            "which is read with its own translation as the right one."
        ).format(even=f"{1 / len(tokens):.2f}")
    )


def _verdict(here: Visit, lengths: dict[str, np.ndarray], place: int | None) -> None:
    _, run = here.words, here.run
    source = lengths["encoder"][0]
    first = run.source_tokens[int(source.argmax())].piece
    share = float(source.max() / max(source.sum(), 1e-300))
    said = _("In the source it reaches **{token}** most ({share} of the lengths there; evenly it would be {even}).")
    lines = [said.format(token=in_markdown(first), share=f"{share:.0%}", even=f"{1 / len(source):.0%}")]
    if place is not None:
        target = lengths["decoder"]
        alone = int((target[-1] > 0).sum())
        reached, later = int((target[0] > 0).sum()), float(target[:, place + 1 :].max(initial=0.0))
        lines.append(
            _(
                "In the decoder it begins at **{begun}** token and reaches **{reached}** at the input; the largest "
                "gradient at a later token is **{later}**."
            ).format(begun=alone, reached=reached, later=length(later))
        )
    st.markdown("\n".join(f"- {line}" for line in lines))
