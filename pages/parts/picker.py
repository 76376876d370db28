"""The choice of a model above every page: all rows with weights at hand, and what the chosen one is."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.checkpoint import CheckpointError, Model
from core.recurrent import RecurrentTranslator
from core.variants import VARIANTS
from pages.parts import models
from pages.parts.address import keep
from pages.parts.escape import facts, in_html, in_markdown
from pages.parts.words import Words
from pages.parts.zoo import at_hand, differences, first, groups, names, on_the_shelf

KEY = "model"
LISTED = 260  # pixels in which all models are listed
TRAIN_THEM = "python -m core train --zoo"
TURNED_DOWN = "model_turned_down"  # what a link asked for in vain, and why


def choose(_: Words) -> Model:
    """The model of every page: the one in the link if it can be read, else the one to begin with.

    Raises CheckpointError where no model can be read.
    """
    name = keep(KEY, first(), _read)
    st.session_state[KEY] = name  # the browser holds a title, and after a change of language that of another one
    options = dict.fromkeys((first(), *on_the_shelf(), name))
    titles = {each: title(_, each) for each in options}
    with st.container(horizontal=True, gap="small", width="content"):
        st.selectbox(
            _("Model"),
            options,
            format_func=titles.get,
            key=KEY,
            persist_state="session",
            label_visibility="collapsed",
            on_change=_forget,
            width=200,
        )
        model = models.model(name)
        with st.popover(_("About it"), icon=":material/badge:"):
            about(_, name, model.card)
    return model


def title(_: Words, name: str) -> str:
    """A row as the list has it: the choice it varies, and its name."""
    group, own = groups(_)[VARIANTS[name].group], names(_)[name]
    return own if own == group else f"{group} · {own}"


def note(_: Words) -> None:
    """Why the model is not the one that was asked for, as long as nobody chose another, or not the translator."""
    if first() != models.TRANSLATOR:
        at_hand(_, [models.TRANSLATOR])
    asked, why = st.session_state.get(TURNED_DOWN, ("", ""))
    if not asked:
        return
    said = (
        _("The model “{name}” cannot be read; this is “{shown}”.")
        if why
        else _("There is no model called “{name}” here; this is “{shown}”.")
    )
    st.warning(said.format(name=in_markdown(asked), shown=names(_)[first()]), icon=":material/help:")
    if why:
        st.text(why)


def introduce(_: Words, model: Model) -> None:
    """What sets a model apart from the others, wherever it is not the translator."""
    if model.name != models.TRANSLATOR:
        st.caption(f":material/science: **{names(_)[model.name]}**: {differences(_)[model.name]}")


def about(_: Words, name: str, card: Mapping[str, Any]) -> None:
    """The key facts of a card, the command that trains it again, and the way to all others."""
    st.markdown(f"**{names(_)[name]}** · {differences(_)[name]}")
    st.html(facts(key_facts(_, card)))
    st.caption(_("Stored from the training run; exact match on held-out sentences. The command that trains it again:"))
    st.text(card["command"])
    with st.container(height=LISTED, border=True):
        what_differs(_)
    st.page_link("pages/design_choices.py", label=_("Compare all models"), icon=":material/arrow_forward:")


def what_differs(_: Words) -> None:
    """Every model of the list with what sets it apart; those whose weights are missing, and what trains them."""
    listed, titles, apart = on_the_shelf(), groups(_), differences(_)
    shelves: dict[str, dict[str, str]] = {}
    for name in listed:
        shelves.setdefault(titles[VARIANTS[name].group], {})[names(_)[name]] = apart[name]
    st.markdown(_("**What differs in each model of the list**"))
    st.html("".join(_shelf(title, rows) for title, rows in shelves.items()))
    away = [name for name, row in VARIANTS.items() if not row.curves_only and name not in (models.TRANSLATOR, *listed)]
    if away:
        st.caption(_("Not here: {names}.").format(names=" · ".join(names(_)[name] for name in away)))
        st.text(TRAIN_THEM)


def _shelf(title: str, rows: Mapping[str, str]) -> str:
    """HTML of the models that vary one choice."""
    said = "".join(
        f'<div style="font-size:.875rem"><span style="font-weight:600">{in_html(name)}</span>: {in_html(differs)}</div>'
        for name, differs in rows.items()
    )
    return f'<div style="font-size:.8rem;opacity:.7;margin-top:.6rem">{in_html(title)}</div>{said}'


def key_facts(_: Words, card: Mapping[str, Any]) -> dict[str, str]:
    """Steps, seeds, parameters and accuracy, as far as the card has them."""
    stored: dict[str, Any] = {
        _("parameters"): card["parameters"],
        _("training steps"): card["steps"],
        _("pairs of sentences"): card.get("pairs"),
        _("pieces seen in training"): len(card.get("vocabulary_seen", ())),
    }
    found = {name: f"{value:,}" for name, value in stored.items() if value}
    found |= {_("seeds"): ", ".join(map(str, card["seeds"]))} if card["seeds"] else {}
    for direction, said in {"en-ko": "EN → KO", "ko-en": "KO → EN"}.items():
        share = (card["metrics"] or {}).get(direction, {}).get("random", {}).get("exact_match")
        found |= {} if share is None else {_("exact match, {direction}").format(direction=said): f"{share:.2f}"}
    return found


def looks_with_attention(_: Words, model: Model) -> bool:
    """Whether there are layers of attention to look into; says so where there are none."""
    if not isinstance(model.network, RecurrentTranslator):
        return True
    st.info(
        _(
            "“{name}” is a recurrent network: it has no layers of attention, norms or heads for this page to open."
        ).format(name=names(_)[model.name]),
        icon=":material/visibility_off:",
    )
    with st.container(horizontal=True, gap="small"):
        st.page_link("pages/before_attention.py", label=_("See inside it: Before attention"))
        st.button(_("Back to the translator"), icon=":material/undo:", key="to_translator", on_click=_to_translator)
    return False


def _read(name: str) -> str:
    """A name whose model can be read; raises ValueError for any other, and remembers why."""
    if name not in VARIANTS or VARIANTS[name].curves_only:
        st.session_state[TURNED_DOWN] = name[:60], ""
        raise ValueError(name)
    try:
        return models.model(name).name
    except CheckpointError as error:
        st.session_state[TURNED_DOWN] = name, str(error)
        raise ValueError(name) from error


def _forget() -> None:
    st.session_state.pop(TURNED_DOWN, None)


def _to_translator() -> None:
    st.session_state[KEY] = first()
    _forget()
