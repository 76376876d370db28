"""Which head, which query and which key: the same choice as on the page of heads, and in the same link."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import streamlit as st

from core.charts.view import strongest
from core.edits import Edit
from core.measures.walk import Kind, Place, Walk
from core.run import AttentionRun, Run
from core.tokens import Direction
from pages.parts import models, selection
from pages.parts.address import flag, keep, write_flag
from pages.parts.frame import Visit
from pages.parts.heads import choose_kind, read_run, view_of
from pages.parts.options import choose_one
from pages.parts.selection import Choice, of_kind
from pages.parts.words import Words

Array = np.ndarray
Asked = tuple[str, Direction, str, tuple[Edit, ...], str | None]
"""Text, direction, model, edits and target: what names a run."""
AXES = ("query", "key")


@dataclass(frozen=True)
class Chosen:
    """A cell of a head in the run that is looked at, which is the edited one where `edited`."""

    run: Run
    place: Place
    queries: list[str]
    keys: list[str]
    asked: Asked

    @property
    def edited(self) -> bool:
        """Whether the run is of the edited model."""
        return bool(self.asked[3])

    @property
    def attention(self) -> AttentionRun:
        """The attention that the head belongs to."""
        return of_kind(self.run, self.place.kind)[self.place.layer]

    @property
    def allowed(self) -> Array:
        """The head's mask, True where a query may look."""
        mask: Array = self.attention.mask.numpy()
        return mask if mask.ndim == 2 else mask[self.place.head]

    @property
    def query(self) -> str:
        """The piece that looks."""
        return self.queries[self.place.query]

    @property
    def key(self) -> str:
        """The piece that is looked at."""
        return self.keys[self.place.key]

    @property
    def where(self) -> str:
        """The head as edits name it."""
        return Choice(self.place.kind, self.place.layer, self.place.head, False, False).where


def choose(here: Visit) -> Chosen:
    """The controls of the head and of the run, and what they come to; a cell is chosen in the map of weights."""
    _, config = here.words, here.model.network.config
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kind = choose_kind(_)
        layers = config.encoder_layers if kind == "encoder" else config.decoder_layers
        place = keep("head", (0, 0), selection.read_place(layers, config.heads), selection.write_place)
        _numbers(_("Layer"), "attention_layer", layers, place, 0)
        _numbers(_("Head"), "attention_head", config.heads, place, 1)
        run = read_run(here)
        edited = bool(here.edits) and _edited(_)
    target = None if run is here.run else run.translation
    asked = (run.source_text, run.direction, here.model.name, here.edits if edited else (), target)
    return _chosen(asked, cast(Kind, kind), place)


def run_of(asked: Asked) -> Run:
    """The run that a choice is about; caches name it by this."""
    edits, target = asked[3:]
    return models.forced(*asked) if edits else models.run(*asked) if target else models.run(*asked[:3])


def walk(chosen: Chosen) -> Walk:
    """The steps at the chosen cell."""
    return Walk(chosen.run, chosen.place)


def tokens(_: Words, chosen: Chosen, *, axes: Sequence[str] = AXES) -> None:
    """Lists for those who would rather name the tokens than point at them: of queries, of keys, or of both."""
    with st.container(horizontal=True, gap="small", width="content"):
        if "query" in axes:
            _token(_("Query"), "attention_query", chosen.queries, chosen, 0)
        if "key" in axes:
            _token(_("Key"), "attention_key", chosen.keys, chosen, 1)


def look_at(query: int, key: int) -> None:
    """Choose a cell; a callback."""
    st.session_state["cell"] = (query, key)


def numbered(pieces: Sequence[str]) -> list[str]:
    """Pieces with their places, counted from 1."""
    return [f"{number} {piece}" for number, piece in enumerate(pieces, 1)]


def _chosen(asked: Asked, kind: Kind, place: tuple[int, int]) -> Chosen:
    run = run_of(asked)
    source, target = ([token.piece for token in tokens] for tokens in (run.source_tokens, run.target_tokens))
    queries, keys = source if kind == "encoder" else target, target if kind == "decoder" else source
    query, key = _cell(run, kind, place)
    return Chosen(run, Place(kind, *place, query, key), queries, keys, asked)


def _cell(run: Run, kind: Kind, place: tuple[int, int]) -> tuple[int, int]:
    """The cell looked at, in pieces; one chosen among words or without special tokens becomes its first piece."""
    merged, hidden = (keep(name, False, flag, write_flag) for name in ("words", "plain"))
    shown = view_of(run, Choice(kind, *place, merged, hidden), only=True)
    rows, columns = shown.weights.shape[-2:]
    row, column = keep("cell", None, selection.read_clamped(rows, columns), selection.write_place) or strongest(
        shown, 0, 0
    )
    cell = shown.queries.positions[row][0], shown.keys.positions[column][0]
    if merged or hidden:
        st.session_state.update(words=False, plain=False, cell=cell)
        return _cell(run, kind, place)
    return cell


def _numbers(label: str, key: str, count: int, place: tuple[int, int], axis: int) -> None:
    """One axis of the head as buttons; a press changes that axis of the choice."""

    def take() -> None:
        changed = list(place)
        changed[axis] = st.session_state[key] - 1
        st.session_state["head"] = tuple(changed)

    st.session_state[key] = place[axis] + 1
    st.segmented_control(label, range(1, count + 1), key=key, required=True, on_change=take)


def _token(label: str, key: str, pieces: Sequence[str], chosen: Chosen, axis: int) -> None:
    def take() -> None:
        changed = [chosen.place.query, chosen.place.key]
        changed[axis] = st.session_state[key]
        look_at(*changed)

    names = numbered(pieces)
    st.session_state[key] = (chosen.place.query, chosen.place.key)[axis]
    st.selectbox(label, range(len(pieces)), format_func=names.__getitem__, key=key, on_change=take, width=210)


def _edited(_: Words) -> bool:
    """Whether to look into the edited model, where there is one."""
    names = {"trained": _("as trained"), "edited": _("edited")}
    which = choose_one(_("Which model"), "attention_run", names, "edited")
    return which == "edited"


def clicked_key(chart: str, count: int) -> Callable[[], int | None]:
    """A reader of the key whose column was clicked in a chart over so many keys."""

    def read() -> int | None:
        state = st.session_state.get(chart)
        picked = state["selection"].get("key") if state else None
        if not isinstance(picked, list) or not picked:
            return None
        index = picked[0].get("index")
        return index if isinstance(index, int) and 0 <= index < count else None

    return read
