"""What the visitor changed inside the model: the list under the sentence bar, and what the changes come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.charts import figures
from core.checkpoint import Model
from core.edits import Edit, EditError, fitting, read_edits, write_edits
from core.run import Run
from core.transformer import Config
from pages.parts.address import keep
from pages.parts.edit_words import describe
from pages.parts.escape import facts, in_markdown, titled
from pages.parts.models import Edited
from pages.parts.tables import table_height
from pages.parts.words import Words

if TYPE_CHECKING:
    from pages.parts.frame import Visit

KEY = "edits"
_WRAPPED = "<style>.st-key-edit_list button * { white-space: normal; text-align: start }</style>"


# ---- changing the list ----------------------------------------------------------------------------------------------


def current() -> tuple[Edit, ...]:
    """The edits of this session, in the order in which they were made."""
    made: tuple[Edit, ...] = st.session_state.get(KEY, ())
    return made


def put(edit: Edit) -> None:
    """Add an edit; one that contradicts it goes. A callback, like all of these: the whole page follows."""
    _change((*(each for each in current() if each.spot != edit.spot), edit))


def remove(edit: Edit) -> None:
    """Take an edit back."""
    _change(tuple(each for each in current() if each != edit))


def toggle(edit: Edit) -> None:
    """Take an edit back if it is there, else put it."""
    (remove if edit in current() else put)(edit)


def undo() -> None:
    """Take the last edit back."""
    _change(current()[:-1])


def remove_all() -> None:
    """Take every edit back."""
    _change(())


def _change(edits: tuple[Edit, ...]) -> None:
    st.session_state[KEY] = edits
    st.rerun()  # even where a fragment alone would run again: the list of edits is above it


# ---- the list under the bar -----------------------------------------------------------------------------------------


def edit_list(_: Words, model: Model, run: Run) -> tuple[Edit, ...]:
    """Draw the edits, each with a button that takes it back, and return those that fit the sentence."""
    config, dropped = model.network.config, []

    def read(text: str) -> tuple[Edit, ...]:
        found, unreadable = _readable(text)
        kept, misfits = fitting(found, config, len(run.source_tokens), len(run.target_tokens))
        dropped[:] = [*unreadable, *misfits]
        return kept

    edits = keep(KEY, (), read, write_edits)
    about = (run.source_text, run.direction, edits)
    if dropped:
        st.session_state["dropped_edits"] = about, dropped
    noted, errors = st.session_state.get("dropped_edits", (None, []))
    if edits:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="edit_list"):
            st.html(_WRAPPED)
            _chips(_, edits, run, config)
    for error in errors if noted == about else ():
        st.caption(f":material/info: {_dropped(_, error, run, config)}")
    return edits


def _readable(text: str) -> tuple[list[Edit], list[EditError]]:
    found: list[Edit] = []
    wrong: list[EditError] = []
    for part in text.split("~"):
        try:
            found += read_edits(part)
        except EditError as error:
            wrong.append(error)
    return found, wrong


def _chips(_: Words, edits: tuple[Edit, ...], run: Run, config: Config) -> None:
    st.badge(_("edited"), icon=":material/edit:", color="orange")
    for number, edit in enumerate(edits):
        st.button(
            in_markdown(describe(_, edit, run, config)),
            icon=":material/close:",
            help=_("Take this edit back"),
            key=f"edit_{number}",
            on_click=remove,
            args=(edit,),
        )
    st.button(_("Undo last"), icon=":material/undo:", key="undo", type="tertiary", on_click=undo)
    st.button(_("Remove all"), icon=":material/restart_alt:", key="remove_all", type="tertiary", on_click=remove_all)


def _dropped(_: Words, error: EditError, run: Run, config: Config) -> str:
    reasons = {
        "model": _("this model has no such part"),
        "layer": _("the model has no such layer"),
        "head": _("the model has no such head"),
        "token": _("the sentence has no such token"),
        "row": _("its query would have nothing left to look at"),
    }
    if error.edit is None or error.reason not in reasons:
        return _("An edit in the link could not be read and was dropped.")
    named = in_markdown(describe(_, error.edit, run, config))
    return _("Dropped: {edit} ({reason}).").format(edit=named, reason=reasons[error.reason])


# ---- what the edits come to -----------------------------------------------------------------------------------------


def effect(here: Visit, edited: Edited | None = None) -> None:
    """Before, after and difference: the translation, and the log-probability of every token of the one before.

    `edited` is by default the sentence in the bar; a page that lets the decoder read another target gives its own.
    """
    _ = here.words
    edited = edited or here.edited
    if edited is None:
        st.markdown(_("Change something inside the model, here or on another page, and see what becomes of it."))
        return
    run, after = edited.run, edited.forced.log_probabilities.tolist()
    before = run.log_probabilities.tolist()
    left, right = st.columns([5, 6], gap="large")
    with left:
        _translations(_, here.run, edited.free)
        _totals(_, before, after)
    with right:
        _changes(_, run, before, after)


def _translations(_: Words, before: Run, after: Run) -> None:
    rows = ((_("Translation before"), before.translation), (_("Translation after (edited)"), after.translation))
    for name, text in rows:
        st.html(titled(name, text))
    same = before.translation == after.translation
    st.markdown(_("The translation stays the same.") if same else _("The translation changes."))


def _totals(_: Words, before: list[float], after: list[float]) -> None:
    values = {
        _("before"): sum(before),
        _("after (edited)"): sum(after),
        _("difference"): sum(after) - sum(before),
    }
    st.markdown(_("Log-probability of the whole translation that was read (natural logarithm):"))
    st.html(facts({name: f"{value:z.3f}" for name, value in values.items()}))


def _changes(_: Words, run: Run, before: list[float], after: list[float]) -> None:
    pieces = [token.piece for token in run.predicted_tokens]
    words = {
        "token": _("target token"),
        "before": _("before"),
        "after": _("after (edited)"),
        "difference": _("difference"),
        "axis": _("log-probability"),
    }
    st.markdown(_("**Log-probability of every target token**: before is measured on this sentence, after is *edited*"))
    st.vega_lite_chart(figures.differences(pieces, before, after, words=words))
    table = figures.difference_table(pieces, before, after, words=words)
    number = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        table,
        hide_index=True,
        height=table_height(len(pieces), 360),
        column_config={words[name]: number for name in ("before", "after", "difference")},
    )


def unedited(here: Visit) -> None:
    """Say that the visitor's edits are left out, where there are any: for what shows the model as it was trained."""
    _ = here.words
    if here.edits:
        st.caption(_("Measured on the model as it was trained: your edits are left out here."))
