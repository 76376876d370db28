"""Part 2, opened: the code of each way to mask, the weights it makes, and a learner's note about it."""

import inspect
import textwrap
from collections.abc import Collection

import numpy as np
import streamlit as st

from core.charts import masks as charts
from core.experiments import masks as experiments
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.masks.show import FIVE, NULL, amount, names, short_names
from pages.parts.positions.show import number
from pages.parts.selection import Place, read_clamped, take_place, write_place


def code(here: Visit, cheats: Collection[str], head: Place) -> None:
    """What ran, and the weights that each way makes of one head's scores."""
    _ = here.words
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown(_("**The code that was measured**: `scores` are q·k/√d, `mask` is True where a query may look."))
        for way in FIVE:
            mark = ":material/visibility:" if way in cheats else ":material/lock:"
            st.markdown(f"{mark} {names(_)[way]}")
            st.code(body(way), language="python")
    with right:
        _maps(here, head)


def body(way: str) -> str:
    """The lines of a way as they ran, without its signature and docstring."""
    source = inspect.getsource(experiments.WAYS[way])
    return textwrap.dedent(source.split('"""')[-1]).strip()


def _maps(here: Visit, head: Place) -> None:
    _ = here.words
    layer, index = head
    attention = here.run.decoder[layer].self_attention
    tiles = ((*FIVE[:3],), (*FIVE[3:], NULL))
    weights = np.array(
        [[experiments.WAYS[way](attention.scores[index], attention.mask).numpy() for way in row] for row in tiles]
    )
    allowed = attention.mask.numpy() | (weights > 0)
    st.markdown(
        _("**The weights that each makes of the same scores** (layer {layer}, head {head}); hatched: weight 0").format(
            layer=layer + 1, head=index + 1
        )
    )
    place = keep("mask_way", (1, 1), read_clamped(2, 3), write_place) or (1, 1)
    data = charts.maps(
        weights,
        allowed,
        titles=[[short_names(_)[way] for way in row] for row in tiles],
        chosen=place,
        words={"label": _("Weights under each way to mask; arrow keys choose one")},
    )
    draw(data, key="mask_way_maps", on_head=take_place("mask_way_maps", "head", "mask_way", 2, 3))
    way = tiles[place[0]][place[1]]
    sums = weights[place].sum(-1)
    st.html(
        facts(
            {
                _("way to mask"): names(_)[way],
                _("sums of the rows"): f"{sums.min():.3f} – {sums.max():.3f}",
                _("largest weight on a hidden token"): amount(float((weights[place] * ~attention.mask.numpy()).max())),
            }
        )
    )
    st.markdown(
        _(
            "- **weights × 0/1** alone: the softmax has divided by a sum over *all* keys, so what the future scored "
            "still decides how much is left for the past. Nothing hidden is read, and yet it shows.\n"
            "- **scores × 0/1**: a hidden score becomes 0, and 0 is a score like any other: each hidden key adds "
            "e⁰ = 1 to the sum of its row, and takes its share of the weight."
        )
    )


def note(here: Visit) -> None:
    """What a learner wrote about it, and how far it is right."""
    _ = here.words
    rows = [(layer.self_attention.scores, layer.self_attention.mask) for layer in here.run.decoder]
    worst = max(float((experiments.renormalised(*each) - experiments.infinity(*each)).abs().max()) for each in rows)
    with st.container(border=True):
        st.markdown(
            _(
                "**A learner's note** masks so: fill a matrix with 1 and 0, “multiply it with the decoder's final "
                "result (내적)”, and scale what is left to a sum of 1, so that “only later values can be seen”."
            )
        )
        st.markdown(
            _(
                "The heart of it is **right**: 0/1 on the weights and rescaled is e^s ÷ Σ e^s over the allowed keys, "
                "which is −∞ exactly. Largest difference over all heads here: **{worst}**, which is rounding. Three "
                "words need changing: it happens **in every masked self-attention**, in each layer and head, and not "
                "once at the end; the product is **element by element**, no dot product (내적); and what stays visible "
                "is the **earlier** tokens."
            ).format(worst=number(worst))
        )
