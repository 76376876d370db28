"""The figures of one head on the typed sentence, among all heads of its kind and beside uniform attention."""

from collections.abc import Callable

import numpy as np
import streamlit as st
from torch import Tensor

from core.charts.strips import Figure, strips
from core.checkpoint import Model
from core.measures import heads as measures
from core.run import AttentionRun, Run
from pages.parts.selection import Choice, of_kind
from pages.parts.words import Words

Array = np.ndarray


def draw_figures(_: Words, model: Model, run: Run, choice: Choice) -> None:
    """Each figure as a row: this head, all other heads, and a head that looks everywhere alike."""
    st.markdown(_("**This head in numbers**, measured on this sentence"))
    words = {
        "this": _("this head"),
        "others": _("other heads"),
        "null": _("uniform attention"),
        "figure": _("figure"),
        "value": _("value"),
    }
    st.vega_lite_chart(strips(figures_of(_, model, run, choice), words=words))
    st.caption(
        _(
            "Over all pieces, special tokens included. Grey is a head that spreads its weight evenly over all it "
            "may look at (uniform attention). Each row spans its own range."
        )
    )


def figures_of(_: Words, model: Model, run: Run, choice: Choice) -> list[Figure]:
    """The figures of the chosen head; `others` are those of every head of its kind."""
    attentions = of_kind(run, choice.kind)
    weights = np.stack([attention.weights.numpy() for attention in attentions])
    allowed = attentions[0].mask.numpy()
    uniform = (allowed / allowed.sum(-1, keepdims=True)).astype(weights.dtype)
    place = (choice.layer, choice.head)

    def figure(name: str, measure: Callable[[Array], Array], highest: float | None = None) -> Figure:
        found, null = measure(weights), float(measure(uniform))
        return _figure(name, found, null, place, highest)

    figures = [
        figure(_("entropy (nats)"), lambda each: measures.entropy(each).mean(-1), float(np.log(allowed.shape[1]))),
        figure(_("mean distance |query − key|"), measures.mean_distance),
        figure(_("rows strongest on the diagonal"), measures.diagonal_share, 1.0),
        figure(_("weight on the first token"), lambda each: measures.share_on(each, 0), 1.0),
    ]
    if choice.kind != "decoder":  # the decoder never reads an end token
        figures.append(figure(_("weight on the end token"), lambda each: measures.share_on(each, -1), 1.0))
    lengths, alone = _contributions(model, attentions, uniform, choice)
    figures.append(_figure(_("length of its contribution through W_O"), lengths, alone, place, None))
    return figures


def _figure(name: str, found: Array, null: float, place: tuple[int, int], highest: float | None) -> Figure:
    return Figure(
        name=name,
        value=float(found[place]),
        null=null,
        others=tuple(found.ravel().tolist()),
        lowest=0.0,
        highest=max(float(found.max()), null) if highest is None else highest,
    )


def _contributions(model: Model, attentions: list[AttentionRun], uniform: Array, choice: Choice) -> tuple[Array, float]:
    """Mean length of what each head writes, (layer, head), and of what the chosen one would write if uniform."""
    projections = [_output_projection(model, choice.kind, layer) for layer in range(len(attentions))]
    lengths = [
        measures.contribution_norms(attention.head_outputs.numpy(), projection).mean(-1)
        for attention, projection in zip(attentions, projections, strict=True)
    ]
    outputs = uniform @ attentions[choice.layer].value.numpy()
    alone = measures.contribution_norms(outputs, projections[choice.layer]).mean(-1)
    return np.stack(lengths), float(alone[choice.head])


def _output_projection(model: Model, kind: str, layer: int) -> Array:
    stack = model.network.encoder if kind == "encoder" else model.network.decoder
    attention = stack.layers[layer].cross_attention if kind == "cross" else stack.layers[layer].self_attention
    weight: Tensor = attention.output_projection.weight
    return weight.detach().numpy()
