"""Small things that every part of the decoding page needs: what kind of number this is, and the gold translation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from core.tokens import detect_direction
from pages.parts.address import keep
from pages.parts.bar import LONGEST, read_sentence
from pages.parts.frame import Visit
from pages.parts.words import Words

REFERENCES = {
    "I am a cat": "나는 고양이다",
    "나는 공부하러 독서실에 간다": "I go to the library to study",
    "The animal did not cross the street because it was too tired.": "동물은 너무 피곤했기 때문에 길을 건너지 않았다.",
    "The animal did not cross the street because it was too wide.": "동물은 길이 너무 넓었기 때문에 건너지 않았다.",
    "My cat Zorblax sleeps on the sofa.": "내 고양이 Zorblax는 소파에서 잔다.",
    "나는 배를 먹는다.": "I eat a pear.",
    "나는 배를 탄다.": "I take a boat.",
}
"""Good translations of sample sentences, none of them written by the model; often there are others."""


@dataclass(frozen=True)
class Gold:
    """The translation that counts as right, up to and with the end token, and where it comes from."""

    ids: tuple[int, ...]
    origin: Literal["typed", "reference", "own"]


def gold(here: Visit) -> Gold:
    """Ask for the right translation: what was typed, else the reference of a sample sentence, else the model's own."""
    _, tokenizer = here.words, here.model.tokenizer
    text = here.run.source_text
    reference = REFERENCES.get(text, "") if here.run.direction == detect_direction(text) else ""
    typed = keep("decoding_gold", "", lambda text: text[:LONGEST])
    target, complaint = read_sentence(_, typed, here.model) if typed.strip() else ("", "")
    st.text_input(
        _("The right translation (gold)"),
        key="decoding_gold",
        persist_state="session",
        placeholder=reference or here.run.translation,
        help=_("Type any translation; leave it empty for the one that stands there in grey."),
    )
    if complaint:
        st.warning(complaint, icon=":material/edit_note:")
    known = target or reference
    ids = tokenizer.target(known)[1:] if known else here.run.predicted_tokens
    found = Gold(tuple(token.id for token in ids), "typed" if target else "reference" if reference else "own")
    st.caption(_origins(_)[found.origin])
    return found


def _origins(_: Words) -> dict[str, str]:
    return {
        "typed": _("Gold is what you typed."),
        "reference": _("Gold is the reference kept for this sample sentence; the model did not write it."),
        "own": _("There is no reference for this sentence, so gold is the model's own translation. Type a better one."),
    }


def kind_of_number(here: Visit) -> str:
    """Measured, or edited where the visitor changed the model."""
    _ = here.words
    return _("Edited: measured on this sentence with your edits.") if here.edits else _("Measured on this sentence.")


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers, moved to the nearest end where they are beyond it."""
    return lambda text: min(max(int(text), low), high)
