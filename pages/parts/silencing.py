"""Switching heads off, and what the model can no longer do without them."""

import streamlit as st

from core.charts import figures
from core.run import Run
from pages.parts import models
from pages.parts.escape import facts, in_html, large
from pages.parts.frame import Visit
from pages.parts.selection import PATHS, Choice, kind_names
from pages.parts.tables import table_height
from pages.parts.words import Words


def switch(_: Words, choice: Choice) -> None:
    """A switch for the chosen head; which heads are off outlives the choice."""

    def flip() -> None:
        rest = set(choice.off) ^ {choice.chosen}
        st.session_state["off"] = tuple(sorted(rest))

    st.session_state["silent"] = choice.chosen in choice.off
    st.toggle(_("Switch this head off (its output becomes zero)"), key="silent", on_change=flip)


def without(here: Visit, run: Run, choice: Choice) -> None:
    """The run with the heads in `choice.off` silenced, beside the run as it is."""
    _ = here.words
    st.subheader(_("What changes without it"))
    if not choice.off:
        st.markdown(_("Switch a head off, here or in several layers, and see what the translation loses."))
        return
    target = None if run is here.run else run.translation
    asked = (run.source_text, run.direction, here.model.name)
    off = tuple((PATHS[kind].format(layer), head) for kind, layer, head in choice.off)
    silenced = models.run(*asked, off)
    before, after = run.log_probabilities.tolist(), models.scores_without(*asked, off, target)
    left, right = st.columns([5, 6], gap="large")
    with left:
        _silenced_heads(_, choice)
        _translations(_, here.run, silenced)
        _totals(_, before, after)
    with right:
        _changes(_, run, before, after)


def _silenced_heads(_: Words, choice: Choice) -> None:
    names = kind_names(_)
    listed = [
        _("{kind}, layer {layer}, head {head}").format(kind=names[kind], layer=layer + 1, head=head + 1)
        for kind, layer, head in choice.off
    ]
    st.markdown(_("**Off:** {heads}").format(heads=" · ".join(listed)))
    st.button(_("Switch all heads on"), icon=":material/restart_alt:", on_click=_switch_all_on)


def _switch_all_on() -> None:
    st.session_state["off"] = ()


def _translations(_: Words, before: Run, after: Run) -> None:
    rows = ((_("Translation before"), before.translation), (_("Translation after"), after.translation))
    for name, text in rows:
        st.html(f'<div style="font-size:.8rem;opacity:.7">{in_html(name)}</div>{large(text)}')
    same = before.translation == after.translation
    st.markdown(_("The translation stays the same.") if same else _("The translation changes."))


def _totals(_: Words, before: list[float], after: list[float]) -> None:
    values = {
        _("before"): sum(before),
        _("after"): sum(after),
        _("difference"): sum(after) - sum(before),
    }
    st.markdown(_("Log-probability of the whole translation that was read (natural logarithm):"))
    st.html(facts({name: f"{value:.3f}" for name, value in values.items()}))


def _changes(_: Words, run: Run, before: list[float], after: list[float]) -> None:
    pieces = [token.piece for token in run.predicted_tokens]
    words = {
        "token": _("target token"),
        "before": _("before"),
        "after": _("after"),
        "difference": _("difference"),
        "axis": _("log-probability"),
    }
    st.markdown(_("**Log-probability of every target token**, measured on this sentence"))
    st.altair_chart(figures.differences(pieces, before, after, words=words))
    table = figures.difference_table(pieces, before, after, words=words)
    number = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        table,
        hide_index=True,
        height=table_height(len(pieces), 360),
        column_config={words[name]: number for name in ("before", "after", "difference")},
    )
