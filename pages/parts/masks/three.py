"""Part 1: the three masks of this sentence as matrices, whose cells open and close at a click."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.charts import heatmap
from core.charts import masks as charts
from core.charts import positions as signed
from core.editing import Reading, editing
from core.edits import Cell, Edit, EditError, check
from core.experiments import masks as experiments
from core.run import AttentionRun, Run
from core.tokens import Direction
from pages.parts import models
from pages.parts.address import keep, publish
from pages.parts.edits import effect, put, remove
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.masks.leak import leak
from pages.parts.masks.show import which_head
from pages.parts.masks.together import together
from pages.parts.options import choose_one
from pages.parts.selection import Place, clicked, of_kind, read_clamped, take_place, write_place
from pages.parts.words import Words

MOST_PADS = 8
FORMS = {"binary": ("1", "0"), "infinity": ("0", "−∞")}
"""What is written into an open cell and into a hidden one."""
SCOPES = ("kind", "layer", "head")
Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Shown:
    """One head with pads behind both sentences, before and after the visitor's edits.

    `real` are the numbers of queries and of keys that are no pads.
    """

    kind: str
    layer: int
    head: int
    before: AttentionRun
    after: AttentionRun
    queries: list[str]
    keys: list[str]
    real: Place
    cell: Place

    def allowed(self, attention: AttentionRun) -> Array:
        """The mask of this head, which it shares with the others unless an edit is about it alone."""
        mask: Array = attention.mask.numpy()
        return mask if mask.ndim == 2 else mask[self.head]


def three(here: Visit) -> None:
    """Scores, mask and weights of one head side by side; what an opened cell lets out; all masks together."""
    _ = here.words
    kind, place, pads = _choose(here)
    before, after = _padded(here, (), pads), _padded(here, here.edits, pads)
    shown = _shown(kind, place, before, after, here.run)
    open_ahead = kind == "decoder" and here.model.transformer.config.mask == "open"
    st.markdown(_without(_) if open_ahead else _explanations(_)[kind])
    _matrices(here, shown)
    if here.edits:
        _edited(here, shown)
    st.divider()
    together(here, before)
    publish()


# --- choosing -------------------------------------------------------------------------------------------------------


def mask_names(_: Words) -> dict[str, str]:
    """The three masks as the screen calls them, by the kind of attention that they belong to."""
    return {
        "encoder": _("Source padding"),
        "decoder": _("Look-ahead"),
        "cross": _("Cross padding"),
    }


def _explanations(_: Words) -> dict[str, str]:
    return {
        "encoder": _(
            "**Source padding**, in the encoder's self-attention: no token looks at a `<pad>`. What a pad's own row "
            "says matters to nobody, because nobody looks at it."
        ),
        "decoder": _(
            "**Look-ahead**, in the decoder's self-attention: a token looks at itself and at those before it. The "
            "token one to the right is the very one that its row must predict."
        ),
        "cross": _(
            "**Cross padding**, where the decoder reads the encoder: the translation looks at every token of the "
            "source sentence and at none of its pads."
        ),
    }


def _without(_: Words) -> str:
    return _(
        "**Look-ahead**: this model has none. In its decoder's self-attention a token looks at all others, those that "
        "its row must predict and the pads among them."
    )


def _choose(here: Visit) -> tuple[str, Place, int]:
    """The kind of attention, the layer and head, and the number of pads."""
    _ = here.words
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kind = choose_one(_("Mask"), "mask_kind", mask_names(_), "decoder")
        place = which_head(here, len(of_kind(here.run, kind)))
        pads = keep("mask_pads", 2, lambda text: min(max(int(text), 0), MOST_PADS))
        st.slider(
            _("Pads behind the sentence and its translation"),
            0,
            MOST_PADS,
            key="mask_pads",
            persist_state="session",
            width=300,
        )
    return kind, place, pads


def _form(_: Words) -> str:
    names = {"binary": _("as 0/1"), "infinity": _("as 0/−∞")}
    form = choose_one(_("The mask written"), "mask_form", names, "binary")
    return form


def _scope(_: Words, shown: Shown) -> str:
    """Which heads a click on a cell is about, as `where` of an edit."""
    names = {"kind": _("all layers and heads"), "layer": _("this layer"), "head": _("this head")}
    scope = choose_one(_("A click opens or closes the cell in"), "mask_scope", names, "kind")
    numbers = {"kind": (), "layer": (shown.layer,), "head": (shown.layer, shown.head)}[scope]
    return ".".join([shown.kind, *(str(number + 1) for number in numbers)])


@st.cache_resource(max_entries=24, show_spinner=False)
def _padded_run(text: str, direction: Direction, name: str, edits: tuple[Edit, ...], pads: int) -> Run:
    run = models.run(text, direction, name)
    with editing(edits, Reading(run.network)):
        return experiments.padded(run, len(run.source_tokens) + pads, len(run.target_tokens) + pads)


def _padded(here: Visit, edits: tuple[Edit, ...], pads: int) -> Run:
    return _padded_run(here.run.source_text, here.run.direction, here.model.name, edits, pads)


def _shown(kind: str, place: Place, before: Run, after: Run, run: Run) -> Shown:
    layer, head = place
    source, target = ([token.piece for token in tokens] for tokens in (before.source_tokens, before.target_tokens))
    rows = len(run.source_tokens if kind == "encoder" else run.target_tokens)
    columns = len(run.target_tokens if kind == "decoder" else run.source_tokens)
    queries, keys = source if kind == "encoder" else target, target if kind == "decoder" else source
    start = (rows // 2, min(rows // 2 + 1, len(keys) - 1)) if kind == "decoder" else (0, len(keys) - 1)
    return Shown(
        kind=kind,
        layer=layer,
        head=head,
        before=of_kind(before, kind)[layer],
        after=of_kind(after, kind)[layer],
        queries=queries,
        keys=keys,
        real=(rows, columns),
        cell=keep("mask_cell", None, read_clamped(len(queries), len(keys)), write_place) or start,
    )


# --- the matrices ---------------------------------------------------------------------------------------------------


def _matrices(here: Visit, shown: Shown) -> None:
    """Scores, mask, weights: one cell and one pointer for all three."""
    _ = here.words
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        form, where = _form(_), _scope(_, shown)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.markdown(_("**Scores**, before the mask"))
        _scores(_, shown)
    with middle:
        st.markdown(_("**The mask**: click a cell to open or close it"))
        _mask(here, shown, form, where)
    with right:
        st.markdown(_("**Weights**, after mask and softmax"))
        _weights(_, shown, shown.after, "mask_weights")
    _refused(here)
    _read_out(_, shown, form)
    _origin(here)


def _axes(_: Words, kind: str) -> dict[str, str]:
    source, target = _("source sentence"), _("translation")
    axis = _("{role} ({sentence})")
    return {
        "query": _("query"),
        "key": _("key"),
        "queries": axis.format(role=_("query"), sentence=source if kind == "encoder" else target),
        "keys": axis.format(role=_("key"), sentence=target if kind == "decoder" else source),
        "masked": _("masked"),
    }


def _take(component: str, shown: Shown) -> Callable[[], None]:
    return take_place(component, "cell", "mask_cell", len(shown.queries), len(shown.keys))


def _scores(_: Words, shown: Shown) -> None:
    scores = shown.after.scores[shown.head].numpy()
    data = signed.matrix(
        scores,
        rows=shown.queries,
        columns=shown.keys,
        cell=shown.cell,
        limit=signed.limit_of(scores),
        words={
            **_axes(_, shown.kind),
            "label": _("Scores; arrow keys move from cell to cell"),
            "weight": _("score"),
            "sum": _("scores, not weights"),
        },
    )
    draw(data, key="mask_scores", on_cell=_take("mask_scores", shown))


def _mask(here: Visit, shown: Shown, form: str, where: str) -> None:
    _ = here.words
    mark = FORMS[form]
    now, was = shown.allowed(shown.after), shown.allowed(shown.before)
    data = charts.mask(
        now,
        queries=shown.queries,
        keys=shown.keys,
        cell=shown.cell,
        marks=mark,
        strong=form == "binary",
        edited=[(int(query), int(key)) for query, key in np.argwhere(now != was)],
        toggles=True,
        words={
            **_axes(_, shown.kind),
            "label": _("The mask; arrow keys choose a cell, Enter opens or closes it"),
            "open": _("{mark}: may look").format(mark=mark[0]),
            "masked": _("{mark}: masked").format(mark=mark[1]),
            "sum": _("added to the scores") if form == "infinity" else "",
        },
    )

    def flip() -> None:
        place = clicked("mask_map", "toggle", len(shown.queries), len(shown.keys))
        if place:
            st.session_state["mask_cell"] = place
            toggle_cell(here, shown, where, place)

    draw(data, key="mask_map", on_cell=_take("mask_map", shown), on_toggle=flip)


def toggle_cell(here: Visit, shown: Shown, where: str, place: Place) -> None:
    """Open a closed cell or close an open one; what cannot be is said instead, by the reason in "mask_refused"."""
    run = here.run
    if place[0] >= shown.real[0] or place[1] >= shown.real[1]:
        st.session_state["mask_refused"] = "pad"
        return
    edit = Cell(where, *place, open=not shown.allowed(shown.after)[place])
    others = tuple(each for each in here.edits if each.spot != edit.spot)
    try:
        check((*others, edit), here.model.network.config, len(run.source_tokens), len(run.target_tokens))
    except EditError as error:
        st.session_state["mask_refused"] = error.reason
        return
    there = [each for each in here.edits if each.spot == edit.spot]
    if there and shown.allowed(shown.before)[place] == edit.open:
        remove(there[0])
    else:
        put(edit)


def _refused(here: Visit) -> None:
    _ = here.words
    reason = st.session_state.pop("mask_refused", None)
    reasons = {
        "pad": _("This cell belongs to a pad, which is no part of the sentence. Cells of real tokens can be changed."),
        "row": _(
            "This cell stays open: it is the last one of its row. A softmax over nothing is 0 ÷ 0, so a query with "
            "nothing allowed has no weights at all."
        ),
    }
    if reason:
        st.warning(reasons.get(reason, _("This cell cannot be changed.")), icon=":material/block:")


def _weights(_: Words, shown: Shown, attention: AttentionRun, key: str) -> None:
    data = heatmap.detail(
        attention.weights[shown.head].numpy(),
        shown.allowed(attention),
        queries=shown.queries,
        keys=shown.keys,
        cell=shown.cell,
        words={
            **_axes(_, shown.kind),
            "label": _("Weights; arrow keys move from cell to cell"),
            "weight": _("weight"),
            "sum": _("each row sums to 1"),
        },
    )
    draw(data, key=key, on_cell=_take(key, shown))


def _read_out(_: Words, shown: Shown, form: str) -> None:
    """The cell's way from score to weight, in numbers."""
    query, key = shown.cell
    attention, head = shown.after, shown.head
    score, weight = float(attention.scores[head, query, key]), float(attention.weights[head, query, key])
    allowed = shown.allowed(attention)
    is_open = bool(allowed[query, key])
    row = attention.scores[head, query].double().exp().numpy()
    total = float(row[allowed[query]].sum())
    st.html(
        facts(
            {
                _("query"): f"{shown.queries[query]}",
                _("key"): f"{shown.keys[key]}",
                _("score"): f"{score:z.3f}",
                _("mask"): FORMS[form][0 if is_open else 1],
                _("score after the mask"): f"{score:z.3f}" if is_open else "−∞",
                _("e to that"): f"{row[key]:.4g}" if is_open else "0",
                _("sum of the row"): f"{total:.4g}",
                _("weight"): f"{weight:.4f}",
            }
        )
    )


def _origin(here: Visit) -> None:
    _ = here.words
    if here.edits:
        st.caption(_("**Edited**: measured on this sentence, in the model as you changed it."))
    else:
        st.caption(_("Measured on this sentence."))


# --- what an edit changes -------------------------------------------------------------------------------------------


def _edited(here: Visit, shown: Shown) -> None:
    """This head before and after, and what the predictions make of it."""
    _ = here.words
    st.subheader(_("What your edits change"))
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.markdown(_("**Weights before**"))
        _weights(_, shown, shown.before, "mask_weights_before")
    with middle:
        st.markdown(_("**Weights after**"))
        _weights(_, shown, shown.after, "mask_weights_after")
    with right:
        st.markdown(_("**Difference**, after − before"))
        change = (shown.after.weights - shown.before.weights)[shown.head].numpy()
        data = signed.matrix(
            change,
            rows=shown.queries,
            columns=shown.keys,
            cell=shown.cell,
            limit=signed.limit_of(change),
            words={
                **_axes(_, shown.kind),
                "label": _("Difference of the weights; arrow keys move from cell to cell"),
                "weight": _("difference"),
                "sum": _("each row sums to 0"),
            },
        )
        draw(data, key="mask_difference", on_cell=_take("mask_difference", shown))
    leak(here)
    effect(here)
