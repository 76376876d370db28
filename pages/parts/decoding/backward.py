"""Part 4: back-propagation through one attention: by hand, by autograd, by which way, and never from the future."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from torch import Tensor

from core.experiments import backward as experiments
from core.experiments.backward import Backward, Influence
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.decoding.cell import score_gradients
from pages.parts.decoding.future import future
from pages.parts.decoding.made import Asked, asked, named
from pages.parts.decoding.routes import routes, saturated
from pages.parts.decoding.show import gold, whole
from pages.parts.edits import unedited
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.selection import KINDS, kind_names
from pages.parts.words import Words


def way_back(here: Visit) -> None:
    """Choose a head and a loss; then the formulas, one cell, the routes, a saturated softmax, and the future."""
    _, what = here.words, asked(here, edited=False)
    st.markdown(
        _(
            "“How does back-propagation go through it?” a learner's note asks. Training wants to know of every number: "
            "if it were a little larger, how much would the loss change? The chain rule answers from the loss "
            "backwards, and through attention that is a few matrix products. Here they are, by hand, for a head of "
            "this model on this sentence, beside what PyTorch's autograd says."
        )
    )
    unedited(here)
    right = gold(here).ids
    kind, layer, head, place = _choose(here, right)
    found = _backward(what, right, kind, layer, place)
    names = named(here.model.tokenizer, (what.sentence.start, *right))
    reads = [names[each] for each in (what.sentence.start, *right[:-1])]
    sources = [token.piece for token in here.run.source_tokens]
    queries, keys = (sources if kind == "encoder" else reads), (reads if kind == "decoder" else sources)
    _formulas(here, found, head)
    score_gradients(here, found, head, queries, keys, _probe(what, right, kind, layer, place))
    st.divider()
    routes(here, found, kind, queries, keys)
    st.divider()
    saturated(here, found, head)
    st.divider()
    future(here, _influence(what, right), reads, sources, [names[each] for each in right])


# --- choosing -------------------------------------------------------------------------------------------------------


def _choose(here: Visit, right: tuple[int, ...]) -> tuple[str, int, int, int | None]:
    """Kind, layer and head from 0, and the place whose loss is followed; None for the mean of all."""
    _, config = here.words, here.model.network.config
    kind = keep("decoding_kind", "decoder", one_of(KINDS))
    layers = config.encoder_layers if kind == "encoder" else config.decoder_layers
    layer = keep("decoding_back_layer", 1, whole(1, layers))
    head = keep("decoding_back_head", 1, whole(1, config.heads))
    place = keep("decoding_loss", 0, whole(0, len(right)))
    names = named(here.model.tokenizer, right)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.segmented_control(
            _("Kind of attention"),
            KINDS,
            format_func=kind_names(_).get,
            key="decoding_kind",
            required=True,
            persist_state="session",
            wrap=True,
        )
        for label, key, count in (
            (_("Layer"), "decoding_back_layer", layers),
            (_("Head"), "decoding_back_head", config.heads),
        ):
            st.segmented_control(label, range(1, count + 1), key=key, required=True, persist_state="session", wrap=True)
        st.selectbox(
            _("Loss: −log p of"),
            range(len(right) + 1),
            format_func=lambda number: f"{number}: {names[right[number - 1]]}" if number else _("all, their mean"),
            key="decoding_loss",
            persist_state="session",
            width=230,
        )
    return kind, layer - 1, head - 1, place - 1 if place else None


@st.cache_resource(max_entries=64, show_spinner=False)
def _backward(what: Asked, right: tuple[int, ...], kind: str, layer: int, place: int | None) -> Backward:
    return experiments.backward(models.in_double(what.name), what.sentence, right, kind, layer, place)


@st.cache_resource(max_entries=32, show_spinner=False)
def _influence(what: Asked, right: tuple[int, ...]) -> Influence:
    return experiments.influence(what.network, what.sentence, right)


def _probe(
    what: Asked, right: tuple[int, ...], kind: str, layer: int, place: int | None
) -> Callable[[int, int, int], float]:
    """∂loss/∂ of the score at a head, query and key, without any formula."""
    return lambda *cell: _difference(what, right, kind, (layer, *cell), place)


@st.cache_data(max_entries=256, show_spinner=False)
def _difference(
    what: Asked, right: tuple[int, ...], kind: str, place: tuple[int, int, int, int], wanted: int | None
) -> float:
    return experiments.finite_difference(models.in_double(what.name), what.sentence, right, kind, place, wanted)


# --- the formulas ---------------------------------------------------------------------------------------------------


def _formulas(here: Visit, found: Backward, head: int) -> None:
    _ = here.words
    st.subheader(_("By hand and by autograd"))
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.latex(
            r"\begin{aligned} dV &= A^\top dO \\ dA &= dO\,V^\top \\ "
            r"dS &= A \odot \bigl(dA - \mathrm{rowsum}(dA \odot A)\bigr) \\ "
            r"dQ &= dS\,K / \sqrt{d_k} \\ dK &= dS^\top Q / \sqrt{d_k} \end{aligned}"
        )
        st.markdown(
            _(
                "$S = QK^\\top/\\sqrt{d_k}$ are the scores, $A = \\mathrm{softmax}(S)$ the weights, $O = AV$ the "
                "head's output; $dX$ is the gradient of the loss with respect to X. $dO$ comes from the layers above."
            )
        )
        if found.scale != "root":
            st.markdown(_("This model does not divide: in its formulas, read 1 in place of $\\sqrt{d_k}$."))
    with right:
        rows = _rows(_, found, head)
        small = st.column_config.NumberColumn(format="%.2e")
        st.dataframe(
            rows,
            hide_index=True,
            height="content",
            column_config={_("length"): small, _("hand − autograd, relative"): small},
        )
        st.html(
            facts(
                {
                    _("loss"): f"{found.loss:.3g}",
                    _("largest sum of a row of dS"): f"{found.rows:.0e}",
                }
            )
        )
        st.caption(
            _(
                "Measured on this sentence in double precision. The last column is the largest difference over the "
                "largest value, over all heads of the layer. Rows of dS sum to 0: a softmax cannot raise all weights "
                "of a row, so what one score gains the others lose."
            )
        )


def _rows(_: Words, found: Backward, head: int) -> dict[str, list[object]]:
    tensors = {"dO": "head_outputs", "dV": "value", "dA": "weights", "dS": "scores", "dQ": "query", "dK": "key"}
    shown = {name: getattr(found.hand, attribute)[head] for name, attribute in tensors.items()}
    return {
        _("gradient"): [*shown, "dX"],
        _("shape"): [*(_shape(each) for each in shown.values()), _shape(found.looking.total)],
        _("length"): [*(float(each.norm()) for each in shown.values()), float(found.looking.total.norm())],
        _("hand − autograd, relative"): [*(found.apart[each] for each in tensors.values()), found.apart["x"]],
    }


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape))
