"""What each step looks like: vectors as strips, a row of the head as bars that can be clicked."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import streamlit as st

from core.charts import attention as charts
from core.charts.vectors import strips
from core.measures.walk import Normed, Walk, length
from pages.parts.address import keep
from pages.parts.attention.choosing import Chosen, clicked_key, look_at
from pages.parts.heatmap import heatmap as draw
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.words import Words

Array = np.ndarray
Picture = Callable[[Words, Chosen, Walk], None]


def _vector(_: Words, chosen: Chosen, worked: Walk) -> None:
    names = addend_names(_, worked)
    vectors = {names[path]: vector for path, vector in worked.addends.items()}
    _strips(_, "vector", vectors | {_("sum: the token's vector x"): worked.vector})


def addend_names(_: Words, worked: Walk) -> dict[str, str]:
    """What a token's vector is the sum of, as it is called on the screen."""
    forms = {
        "self_attention": _("layer {number}, attention"),
        "cross_attention": _("layer {number}, cross-attention"),
        "feed_forward": _("layer {number}, feed-forward"),
    }
    names = {}
    for path in worked.addends:
        _stack, *rest = path.split(".")
        if rest[0] in ("embedding", "position"):
            names[path] = _("word vector × √d") if rest[0] == "embedding" else _("position vector")
        elif rest[1] not in forms:
            names[path] = _("stream before, normed")
        else:
            names[path] = forms[rest[1]].format(number=int(rest[0]) + 1)
    return names


def _norm(_: Words, chosen: Chosen, worked: Walk) -> None:
    _normed(_, "norm", worked.norm, worked.config.norm)


def _next_norm(_: Words, chosen: Chosen, worked: Walk) -> None:
    _normed(_, "next_norm", worked.next_norm, worked.config.norm)


def _normed(_: Words, key: str, normed: Normed, kind: str) -> None:
    vectors = {
        _("before the norm"): normed.input,
        _("mean 0, variance 1") if kind == "layer" else _("normalized"): normed.normalized,
        _("× gain + bias"): normed.output,
    }
    _strips(_, key, vectors)


def _projections(_: Words, chosen: Chosen, worked: Walk) -> None:
    """The three vectors; a click chooses the channel that the numbers work out."""
    vectors = {
        _("q of “{token}”: what it looks for").format(token=chosen.query): worked.projections["query"].output,
        _("k of “{token}”: what it is found by").format(token=chosen.key): worked.projections["key"].output,
        _("v of “{token}”: what it hands over").format(token=chosen.key): worked.projections["value"].output,
    }
    shape = 3, len(worked.query)
    cell = channel(worked)

    _strips(_, "projections", vectors, cell=cell, on_cell=take_place("strips_projections", "cell", "channel", *shape))


def channel(worked: Walk) -> tuple[int, int]:
    """Which of q, k and v, and which of its channels, the numbers are about."""
    return keep("channel", (0, 0), _or_first(3, len(worked.query)), write_place)


def _or_first(rows: int, columns: int) -> Callable[[str], tuple[int, int]]:
    read = read_clamped(rows, columns)
    return lambda text: read(text) or (0, 0)


def _scores(_: Words, chosen: Chosen, worked: Walk) -> None:
    st.markdown(_("**q · k for every key.** Click a bar to work it out."))
    _bars(_, "scores", chosen, worked.raw_scores, _("q · k"))
    st.markdown(_("**The {count} products of the chosen score**, channel by channel").format(count=len(worked.query)))
    words = {"channel": _("channel"), "value": _("q × k")}
    st.vega_lite_chart(charts.products(worked.products.tolist(), words=words), key="bars_products")


def _scale(_: Words, chosen: Chosen, worked: Walk) -> None:
    _bars(_, "scale", chosen, worked.scores, _("score"), behind=worked.raw_scores.tolist())


def _mask(_: Words, chosen: Chosen, worked: Walk) -> None:
    _bars(_, "mask", chosen, worked.scores, _("score"), allowed=worked.open.tolist())


def _softmax(_: Words, chosen: Chosen, worked: Walk) -> None:
    st.markdown(_("**The row's weights**: they sum to 1. Click a bar to work it out."))
    even = 1 / max(int(worked.open.sum()), 1)
    weights, allowed = worked.softmax.weights, worked.open.tolist()
    _bars(_, "softmax", chosen, weights, _("weight"), allowed=allowed, even=even)
    st.caption(_("Dashed: uniform attention over the open keys, {even}.").format(even=f"{even:.4f}"))


def _values(_: Words, chosen: Chosen, worked: Walk) -> None:
    st.markdown(_("**Length of weight × value**, term by term"))
    lengths = np.linalg.norm(worked.terms, axis=-1)
    allowed = worked.open.tolist()
    _bars(_, "values", chosen, lengths, _("‖weight × value‖"), allowed=allowed)
    shown = sorted({chosen.place.key, *np.argsort(-lengths)[:3].tolist()})
    names = {f"{chosen.keys[key]} ({key + 1})": worked.terms[key] for key in shown if worked.open[key]}
    _strips(_, "values", names | {_("sum over all keys: the head's output o"): worked.head_output})


def _slice(_: Words, chosen: Chosen, worked: Walk) -> None:
    _strips(_, "output", {_("head's output o"): worked.head_output})
    _strips(_, "slice", {_("what this head writes: W_O o"): worked.contributions[chosen.place.head]})


def _heads(_: Words, chosen: Chosen, worked: Walk) -> None:
    names = [_("head {head}").format(head=head) for head in range(1, len(worked.contributions) + 1)]
    names[chosen.place.head] = _("head {head}, this one").format(head=chosen.place.head + 1)
    vectors = dict(zip(names, worked.contributions, strict=True))
    _strips(_, "heads", vectors | {_("bias"): worked.output_bias, _("sum: the attention's output"): worked.output})


def _residual(_: Words, chosen: Chosen, worked: Walk) -> None:
    names = {"pre-norm": _("stream before"), "post-norm": _("stream before, normed"), "none": ""}
    before = names[worked.config.residual]
    vectors = {
        **({before: worked.base} if before else {}),
        _("the attention's output"): worked.output,
        _("sum: the stream after"): worked.residual,
    }
    _strips(_, "residual", vectors)


PICTURES: dict[str, Picture] = {
    "vector": _vector,
    "norm": _norm,
    "projections": _projections,
    "scores": _scores,
    "scale": _scale,
    "mask": _mask,
    "softmax": _softmax,
    "values": _values,
    "slice": _slice,
    "heads": _heads,
    "residual": _residual,
    "next_norm": _next_norm,
}


# --- drawing --------------------------------------------------------------------------------------------------------


def _strips(
    _: Words,
    key: str,
    vectors: Mapping[str, Array],
    cell: tuple[int, int] | None = None,
    on_cell: Callable[[], Any] = lambda: None,
) -> None:
    data = strips(
        np.stack(list(vectors.values())),
        labels=list(vectors),
        notes=[f"‖·‖ = {length(vector):.3f}" for vector in vectors.values()],
        cell=cell,
        words={
            "label": _("Vectors as strips; arrow keys move from channel to channel"),
            "channel": _("channel"),
            "value": _("value"),
            "sum": _("one scale for all") if len(vectors) > 1 else "",
        },
    )
    draw(data, key=f"strips_{key}", on_cell=on_cell)


def _bars(_: Words, key: str, chosen: Chosen, values: Array, axis: str, **options: Any) -> None:
    """One row of the head as bars; a click on a bar, or above it, chooses that key."""
    chart = f"bars_{key}"
    words = {
        "key": _("key"),
        "value": axis,
        "masked": _("masked"),
        "behind": _("q · k"),
        "even": _("uniform attention"),
    }
    spec = charts.key_bars(chosen.keys, values.tolist(), chosen=chosen.place.key, words=words, **options)
    read = clicked_key(chart, len(values))

    def take() -> None:
        key = read()
        if key is not None:
            look_at(chosen.place.query, key)

    st.vega_lite_chart(spec, key=chart, on_select=take)
