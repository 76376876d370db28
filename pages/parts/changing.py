"""The controls that change the chosen head, and the layer it is in."""

from collections.abc import Callable

import streamlit as st

from core.attention import DIVISORS
from core.edits import Edit, HeadEdit, HeadOff, Pattern, Scale, SkipNorm, SkipResidual, Temperature, heads
from core.transformer import Config
from pages.parts.edit_words import factor_in_words, instead_names
from pages.parts.edits import put, remove, toggle
from pages.parts.escape import titled
from pages.parts.frame import Visit
from pages.parts.selection import Choice, Place

AS_IT_IS = "as_it_is"
TEMPERATURES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0)


def touched(here: Visit, kind: str, *edits: type[HeadEdit]) -> list[Place]:
    """Layer and head of every head of a kind that one of these edits names."""
    config = here.model.network.config
    named = [edit for edit in here.edits if isinstance(edit, edits) and edit.kind == kind]
    found = {place for edit in named for place in heads(edit.where).in_model(config)}
    return sorted((int(path.split(".")[1]), head) for path, head in found)


def change(here: Visit, choice: Choice) -> None:
    """What this head does instead, how sharply it looks, and what its layer goes without."""
    _ = here.words
    with st.container(border=True, key="change"):
        st.markdown(_("**Change this head**, and see below what becomes of it"))
        _instead(here, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _scale(here, choice)
        with right:
            _temperature(here, choice)
        _layer(here, choice)
        if here.edited:
            st.html(titled(_("Translation after (edited)"), here.edited.free.translation))


def _instead(here: Visit, choice: Choice) -> None:
    _ = here.words
    names = {AS_IT_IS: _("as it is"), **instead_names(_)}
    made = _last(here, choice, HeadOff, Pattern)
    now = made.how if isinstance(made, HeadOff) else made.pattern if isinstance(made, Pattern) else AS_IT_IS

    def edit(chosen: str) -> Edit:
        return HeadOff(choice.where, chosen) if chosen in HeadOff.HOW else Pattern(choice.where, chosen)

    st.session_state["instead"] = now
    st.segmented_control(
        _("What it does instead"),
        list(names),
        format_func=names.get,
        key="instead",
        required=True,
        wrap=True,
        on_change=_set("instead", AS_IT_IS, made, edit),
    )


def _scale(here: Visit, choice: Choice) -> None:
    _, config = here.words, here.model.network.config
    made = _last(here, choice, Scale)
    own, channels = own_factor(config), config.width // config.heads
    factors = dict.fromkeys((own, 1.0, 1 / channels, made.factor if isinstance(made, Scale) else own))
    st.session_state["scale"] = made.factor if isinstance(made, Scale) else own
    st.segmented_control(
        _("Scale of q·k"),
        list(factors),
        format_func=lambda factor: factor_in_words(factor, config),
        key="scale",
        required=True,
        on_change=_set("scale", own, made, lambda factor: Scale(choice.where, factor)),
    )


def _temperature(here: Visit, choice: Choice) -> None:
    _ = here.words
    made = _last(here, choice, Temperature)
    now = made.value if isinstance(made, Temperature) else 1.0
    st.session_state["temperature"] = now
    st.select_slider(
        _("Temperature of the softmax"),
        sorted({*TEMPERATURES, now}),
        format_func=lambda value: f"{value:g}",
        key="temperature",
        on_change=_set("temperature", 1.0, made, lambda value: Temperature(choice.where, value)),
    )


def _layer(here: Visit, choice: Choice) -> None:
    """Residual connections and norms are not a head's but its layer's."""
    _ = here.words
    stack = "encoder" if choice.kind == "encoder" else "decoder"
    attention = "cross" if choice.kind == "cross" else "attention"
    skips = {
        _("attention without its residual connection"): SkipResidual(f"{stack}.{choice.layer + 1}.{attention}"),
        _("attention without its norm"): SkipNorm(f"{stack}.{choice.layer + 1}.{attention}"),
        _("feed-forward without its residual connection"): SkipResidual(f"{stack}.{choice.layer + 1}.feedforward"),
        _("feed-forward without its norm"): SkipNorm(f"{stack}.{choice.layer + 1}.feedforward"),
    }
    with st.popover(_("Change layer {layer}").format(layer=choice.layer + 1), icon=":material/layers:"):
        for number, (name, edit) in enumerate(skips.items()):
            st.session_state[f"skip_{number}"] = edit in here.edits
            st.toggle(name, key=f"skip_{number}", on_change=toggle, args=(edit,))


def own_factor(config: Config) -> float:
    """1/√d_k, what the model multiplies q·k with."""
    return 1 / DIVISORS[config.scale](config.width // config.heads)


def _last(here: Visit, choice: Choice, *kinds: type[Edit]) -> Edit | None:
    """The edit of these kinds that counts for the chosen head."""
    mine = (choice.where, choice.where.rpartition(".")[0], choice.kind)
    named = [edit for edit in here.edits if isinstance(edit, HeadEdit) and edit.where in mine]
    return next((edit for edit in reversed(named) if isinstance(edit, kinds)), None)


def _set(key: str, own: object, made: Edit | None, edit: Callable[..., Edit]) -> Callable[[], None]:
    """What a change of the widget `key` does: its value becomes an edit, unless it is the model's own."""

    def set_() -> None:
        value = st.session_state[key]
        if value != own:
            put(edit(value))
        elif made is not None:
            remove(made)

    return set_
