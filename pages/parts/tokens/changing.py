"""Edits of what enters the first layer: another token's row, another place, or none."""

import streamlit as st

from core.charts.figures import unique
from core.edits import Edit, FreezePosition, RemovePosition, SideEdit, SwapEmbeddings, SwapPositions
from core.tokens import Token
from pages.parts.address import keep
from pages.parts.edits import effect, toggle
from pages.parts.escape import in_markdown
from pages.parts.frame import Visit


def change(here: Visit, side: str, at: int, tokens: tuple[Token, ...]) -> None:
    """Buttons that give the token at `at` (from 0) another one's row or place, and what that comes to."""
    _, count = here.words, len(tokens)
    st.subheader(_("Another word, another place"))
    if count < 2:
        st.markdown(_("This needs two tokens."))
        return
    st.markdown(
        _(
            "Give **{token}** the row or the place of another token, and see what the model then reads and writes. "
            "Press a button again to take the change back."
        ).format(token=in_markdown(tokens[at].piece))
    )
    rest = [place for place in range(1, count + 1) if place != at + 1]
    other = keep("tokens_other", _next_word(tokens, at), {str(place): place for place in rest}.__getitem__) - 1
    names = unique([token.piece for token in tokens])
    left, right = st.columns([2, 5], gap="large", vertical_alignment="bottom")
    left.selectbox(
        _("The other token"),
        rest,
        format_func=lambda place: names[place - 1],
        key="tokens_other",
        persist_state="session",
    )
    edits: dict[str, Edit] = {
        _("Swap their rows"): SwapEmbeddings(side, *sorted((at, other))),
        _("Swap their places"): SwapPositions(side, *sorted((at, other))),
        _("Give it the other's place"): FreezePosition(side, at, other),
        _("Take its place away"): RemovePosition(side, at),
    }
    with right, st.container(horizontal=True, gap="small"):
        for number, (name, edit) in enumerate(edits.items()):
            made = "primary" if edit in here.edits else "secondary"
            st.button(name, key=f"tokens_edit_{number}", type=made, on_click=toggle, args=(edit,))
    if any(isinstance(edit, SideEdit) for edit in here.edits):
        effect(here)


def _next_word(tokens: tuple[Token, ...], at: int) -> int:
    """The place, from 1, of the next word after a token, else of the one before."""
    words = [place for place, token in enumerate(tokens, 1) if not token.special and place != at + 1]
    later = [place for place in words if place > at + 1]
    return [*later, *words[::-1], 2 if at == 0 else 1][0]
