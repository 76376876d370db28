"""Which head and which cell a visitor looks at: read from links and clicks, and kept inside what exists."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.edits import Heads
from core.run import AttentionRun, Run
from pages.parts.words import Words

KINDS = ("encoder", "decoder", "cross")
Place = tuple[int, int]


@dataclass(frozen=True)
class Choice:
    """What is looked at: a kind of attention, one of its heads, and how tokens are shown."""

    kind: str
    layer: int
    head: int
    merged: bool
    without_special: bool

    @property
    def where(self) -> str:
        """The head as edits name it."""
        return str(Heads(self.kind, self.layer, self.head))


def of_kind(run: Run, kind: str) -> list[AttentionRun]:
    """The attentions of one kind, layer by layer."""
    if kind == "encoder":
        return [layer.self_attention for layer in run.encoder]
    return [layer.self_attention if kind == "decoder" else layer.cross_attention for layer in run.decoder]


def kind_names(_: Words) -> dict[str, str]:
    """The three kinds of attention as they are called on the screen."""
    return {
        "encoder": _("Encoder self-attention"),
        "decoder": _("Masked decoder self-attention"),
        "cross": _("Cross-attention"),
    }


def read_place(rows: int, columns: int) -> Callable[[str], Place]:
    """A reader of "2.5" as (1, 4): links count from 1, as the screen does."""

    def read(text: str) -> Place:
        row, column = (int(number) - 1 for number in text.split("."))
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(text)
        return row, column

    return read


def read_clamped(rows: int, columns: int) -> Callable[[str], Place | None]:
    """Like `read_place`, but an index beyond the edge is moved to it: sentences differ in length."""

    def read(text: str) -> Place | None:
        if not text:
            return None
        row, column = (int(number) - 1 for number in text.split("."))
        return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)

    return read


def write_place(place: Place | None) -> str:
    """(1, 4) as "2.5"."""
    return "" if place is None else f"{place[0] + 1}.{place[1] + 1}"


def clicked(component: str, name: str, rows: int, columns: int) -> Place | None:
    """What a component reports as clicked, if it is a place that exists."""
    state: Any = st.session_state.get(component)
    place = as_place(state.get(name)) if state is not None else None
    return place if place and place[0] < rows and place[1] < columns else None


def as_place(value: Any) -> Place | None:
    """Two counts from a browser, which may send anything; None for what is not that."""
    try:
        row, column = (int(index) for index in value)
    except (TypeError, ValueError):
        return None
    return (row, column) if min(row, column) >= 0 else None


def take_place(component: str, name: str, key: str, rows: int, columns: int) -> Callable[[], None]:
    """A callback: the place that a component reports as clicked under `name` becomes the choice of that `key`."""

    def take() -> None:
        if place := clicked(component, name, rows, columns):
            st.session_state[key] = place

    return take
