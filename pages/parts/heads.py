"""The part of the heads page that redraws on its own: choose a head, look inside it, change it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st

from core.charts import heatmap
from core.charts.positions import limit_of, matrix
from core.charts.view import View, side, strongest, view
from core.edits import HeadEdit, HeadOff, Pattern
from core.run import Run
from pages.parts import models, selection
from pages.parts.address import flag, keep, publish, write_flag
from pages.parts.bar import LONGEST, read_sentence
from pages.parts.changing import change, touched
from pages.parts.edits import effect
from pages.parts.escape import facts
from pages.parts.figures import draw_figures
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.selection import KINDS, Choice, Place, kind_names, of_kind
from pages.parts.words import Words


@st.fragment
def explore(here: Visit) -> None:
    """All heads, the chosen one large, its figures, and what becomes of it when something is edited."""
    _ = here.words
    choice, run = _choose(here)
    shown = view_of(run, choice)
    cell = _cell(shown, choice)
    left, right = st.columns([5, 6], gap="large")
    with left:
        _grid(here, shown, choice)
        change(here, choice)
        draw_figures(_, here.model, run, choice)
    with right:
        _head(_, run, shown, choice, cell)
    _edited(here, run, shown, choice, cell)
    _lines(_, shown, choice, cell)
    publish()


# ---- choosing ---------------------------------------------------------------------------------------------


def _choose(here: Visit) -> tuple[Choice, Run]:
    _ = here.words
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        kind = choose_kind(_)
        without_special = _option("plain", _("Hide special tokens"))
        merged = _option("words", _("Merge pieces into words"))
        run = read_run(here)
    network = here.model.network.config
    layers = dict.fromkeys(KINDS, network.decoder_layers) | {"encoder": network.encoder_layers}
    layer, head = keep("head", (0, 0), selection.read_place(layers[kind], network.heads), selection.write_place)
    return Choice(kind, layer, head, merged, without_special), run


def choose_kind(_: Words) -> str:
    """The kind of attention looked at."""
    kind = choose_one(_("Kind of attention"), "kind", kind_names(_), "encoder", labelled=False)
    return kind


def _option(key: str, label: str) -> bool:
    value = keep(key, False, flag, write_flag)
    st.toggle(label, key=key, persist_state="session")
    return value


def read_run(here: Visit) -> Run:
    """The run to look into: of the model's own translation, or of one typed in (teacher forcing)."""
    _ = here.words
    typed = keep("target", "", lambda text: text[:LONGEST])
    target, complaint = read_sentence(_, typed, here.model) if typed.strip() else ("", "")
    with st.popover(_("Other translation"), icon=":material/edit:"):
        st.text_input(
            _("Let the decoder read this translation instead of its own (teacher forcing)"),
            key="target",
            persist_state="session",
            placeholder=here.run.translation,
        )
        if complaint:
            st.warning(complaint, icon=":material/edit_note:")
    if not target:
        return here.run
    return models.run(here.run.source_text, here.run.direction, here.model.name, (), target)


def view_of(run: Run, choice: Choice, *, only: bool = False) -> View:
    """All heads of a kind, or the chosen one `only`, as edits may give each a mask of its own."""
    source = side(run.source_tokens, run.source_text, words=choice.merged)
    target = side(run.target_tokens, run.translation, words=choice.merged)
    attentions = of_kind(run, choice.kind)
    weights = np.stack([attention.weights.numpy() for attention in attentions])
    allowed = attentions[choice.layer].mask.numpy()
    if only:
        weights = weights[None, None, choice.layer, choice.head]
        allowed = allowed if allowed.ndim == 2 else allowed[choice.head]
    return view(
        weights,
        allowed,
        queries=source if choice.kind == "encoder" else target,
        keys=target if choice.kind == "decoder" else source,
        without_special=choice.without_special,
    )


def _cell(shown: View, choice: Choice) -> Place:
    """The cell looked at; as long as nobody chose one, the strongest."""
    rows, columns = shown.weights.shape[-2:]
    chosen = keep("cell", None, selection.read_clamped(rows, columns), selection.write_place)
    return chosen or strongest(shown, choice.layer, choice.head)


def _take(component: str, name: str, rows: int, columns: int) -> Callable[[], None]:
    """What a click in a component does: the place it reports becomes the choice of that name."""

    return selection.take_place(component, name, name, rows, columns)


# ---- drawing ----------------------------------------------------------------------------------------------


def _grid(here: Visit, shown: View, choice: Choice) -> None:
    _, (layers, heads) = here.words, shown.weights.shape[:2]
    st.markdown(_("**All heads**: layers from top to bottom, heads from left to right. Click one."))
    data = heatmap.grid(
        shown.weights,
        shown.allowed,
        chosen=(choice.layer, choice.head),
        off=touched(here, choice.kind, HeadOff, Pattern),
        edited=touched(here, choice.kind, HeadEdit),
        language=here.language,
    )
    draw(data, key="grid", on_head=_take("grid", "head", layers, heads))


def _head(_: Words, run: Run, shown: View, choice: Choice, cell: Place) -> None:
    title = _("Layer {layer}, head {head}").format(layer=choice.layer + 1, head=choice.head + 1)
    st.markdown(f"**{title}** · {kind_names(_)[choice.kind]}")
    weights = shown.weights[choice.layer, choice.head]
    data = heatmap.detail(
        weights,
        shown.allowed,
        queries=shown.queries.labels,
        keys=shown.keys.labels,
        cell=cell,
        words=canvas_words(_, choice.kind),
    )
    draw(data, key="matrix", on_cell=_take("matrix", "cell", *weights.shape))
    _read_out(_, run, shown, choice, cell)
    st.page_link("pages/attention.py", label=_("Work this cell out, step by step"), icon=":material/arrow_forward:")
    _rows(_, shown, choice)


def _edited(here: Visit, run: Run, shown: View, choice: Choice, cell: Place) -> None:
    _, edited = here.words, here.edited
    st.subheader(_("What the edits come to"))
    if edited and run is not here.run:
        edited = replace(edited, run=run, target=run.translation)
    if edited:
        _maps(_, shown, view_of(edited.forced, choice, only=True), choice, cell)
    effect(here, edited)


def _maps(_: Words, before: View, after: View, choice: Choice, cell: Place) -> None:
    """The chosen head before and after the edits, and the difference of each weight."""
    weights, edited = before.weights[choice.layer, choice.head], after.weights[0, 0]
    difference, either = edited - weights, before.allowed | after.allowed
    axes = {"queries": before.queries.labels, "keys": before.keys.labels}
    words = canvas_words(_, choice.kind)
    unit = {**words, "weight": _("difference"), "sum": _("each row sums to 0")}
    maps = {
        _("before"): heatmap.detail(weights, before.allowed, **axes, cell=cell, words=words),
        _("after (edited)"): heatmap.detail(edited, after.allowed, **axes, cell=cell, words=words),
        _("difference"): matrix(
            difference,
            rows=axes["queries"],
            columns=axes["keys"],
            cell=cell,
            limit=limit_of(difference),
            words=unit,
            allowed=either,
        ),
    }
    title = _("Layer {layer}, head {head}").format(layer=choice.layer + 1, head=choice.head + 1)
    for number, (column, (name, data)) in enumerate(zip(st.columns(3, gap="medium"), maps.items(), strict=True)):
        with column:
            st.markdown(f"{title}: **{name}**")
            draw(data, key=f"map_{number}", on_cell=_take(f"map_{number}", "cell", *weights.shape))


def _lines(_: Words, shown: View, choice: Choice, cell: Place) -> None:
    st.markdown(_("**The same head as lines**: from each query to the keys it looks at."))
    weights = shown.weights[choice.layer, choice.head]
    data = heatmap.detail(
        weights,
        shown.allowed,
        queries=shown.queries.labels,
        keys=shown.keys.labels,
        cell=cell,
        words=canvas_words(_, choice.kind),
        mode="lines",
    )
    draw(data, key="lines", on_cell=_take("lines", "cell", *weights.shape))


def canvas_words(_: Words, kind: str) -> dict[str, str]:
    source, target = _("source sentence"), _("translation")
    axis = _("{role} ({sentence})")
    return {
        "queries": axis.format(role=_("query"), sentence=source if kind == "encoder" else target),
        "keys": axis.format(role=_("key"), sentence=target if kind == "decoder" else source),
        "label": _("One head; arrow keys move from cell to cell"),
        "query": _("query"),
        "key": _("key"),
        "weight": _("weight"),
        "sum": _("each row sums to 1"),
        "masked": _("masked"),
    }


def _read_out(_: Words, run: Run, shown: View, choice: Choice, cell: Place) -> None:
    """The cell in words and exact numbers, which is also what a screen reader can reach."""
    query, key = cell
    weight = shown.weights[choice.layer, choice.head, query, key]
    st.html(
        facts(
            {
                _("query"): shown.queries.labels[query],
                _("key"): shown.keys.labels[key],
                _("weight"): f"{weight:.4f}" if shown.allowed[query, key] else _("masked"),
                _score_name(_, run): _score(_, run, shown, choice, cell),
            }
        )
    )


def _score_name(_: Words, run: Run) -> str:
    """What a score is in this model: the paper's, unless it is made otherwise."""
    config = run.transformer.config
    if config.scale == "root" and config.positions != "alibi":
        return _("score q·k/√d, before the mask")
    return _("score, before the mask")


def _score(_: Words, run: Run, shown: View, choice: Choice, cell: Place) -> str:
    queries, keys = shown.queries.positions[cell[0]], shown.keys.positions[cell[1]]
    scores = of_kind(run, choice.kind)[choice.layer].scores[choice.head]
    found = [scores[query, key].item() for query in queries for key in keys]
    if len(found) == 1:
        return f"{found[0]:.3f}"
    return _("{lowest} to {highest}, over {count} pairs of pieces").format(
        count=len(found), lowest=f"{min(found):.3f}", highest=f"{max(found):.3f}"
    )


def _rows(_: Words, shown: View, choice: Choice) -> None:
    """What merging and hiding did to the rows, so that nobody takes them for the model's own numbers."""
    if choice.merged:
        st.caption(
            _("Words: weight is summed over a key's pieces and averaged over a query's, so each row still sums to 1.")
        )
    if choice.without_special:
        kept = shown.kept[choice.layer, choice.head].mean()
        st.caption(
            _(
                "Special tokens are hidden and each row is scaled back to 1; on average {share} of a row's "
                "weight was on the tokens shown."
            ).format(share=f"{kept:.0%}")
        )
