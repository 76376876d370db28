"""The stepper with play; what it shows is laid out by core.charts.decoding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.address import keep
from pages.parts.decoding.show import whole
from pages.parts.words import Words

_HERE = Path(__file__).parent
_player = st.components.v2.component(
    "headroom_player",
    html='<div class="headroom-player"></div>',
    css=(_HERE / "player.css").read_text(encoding="utf-8"),
    js=(_HERE / "player.js").read_text(encoding="utf-8"),
)


STEP = "decoding_step"


def chosen_step(count: int, name: str = STEP) -> int:
    """The step at which a player rests, from 1, kept inside what there is; players of one name rest together."""
    return keep(name, 1, whole(1, count))


def player(_: Words, data: Mapping[str, Any], *, key: str, name: str = STEP) -> None:
    """Draw `data`, and keep the step at which it comes to rest for the link, as `name`."""

    def take() -> None:
        step = getattr(st.session_state.get(key), "step", None)
        if isinstance(step, int | float) and 1 <= step <= data["count"]:
            st.session_state[name] = int(step)

    _player(key=key, data={**data, "words": {**controls(_), **data["words"]}}, on_step_change=take)


def controls(_: Words) -> dict[str, str]:
    """What the buttons are called."""
    return {
        "label": _("Step"),
        "first": _("First step"),
        "previous": _("Step back"),
        "play": _("Play"),
        "pause": _("Pause"),
        "next": _("Next step"),
        "last": _("Last step"),
        "step": _("Step {step} of {count}"),
    }
