"""What the parts of the masks page share: which head, what a canvas is told, and what edits have to do with it."""

from collections.abc import Callable

import streamlit as st

from core.transformer import Config
from pages.parts.address import keep
from pages.parts.frame import Visit
from pages.parts.positions.show import number
from pages.parts.words import Words

FIVE = ("infinity", "billion", "renormalised", "zeroed", "multiplied")
NULL = "unmasked"


def short_names(_: Words) -> dict[str, str]:
    """The ways where there is little room."""
    return {
        "infinity": "−∞",
        "billion": "−10⁹",
        "renormalised": _("weights × 0/1 ÷ Σ"),
        "zeroed": _("weights × 0/1"),
        "multiplied": _("scores × 0/1"),
        "unmasked": _("no mask"),
    }


def names(_: Words) -> dict[str, str]:
    """The ways as the screen calls them."""
    return {
        "infinity": _("scores: hidden ones become −∞"),
        "billion": _("scores: hidden ones become −10⁹"),
        "renormalised": _("weights × 0/1, each row scaled back to 1"),
        "zeroed": _("weights × 0/1, and nothing else"),
        "multiplied": _("scores × 0/1"),
        "unmasked": _("no mask at all"),
    }


def which_head(here: Visit, layers: int) -> tuple[int, int]:
    """A layer and a head, both from 0, chosen among so many layers; kept from part to part."""
    _, heads = here.words, here.model.network.config.heads
    layer = keep("mask_layer", 1, _count(layers))
    head = keep("mask_head", 1, _count(heads))
    for name, key, count in ((_("Layer"), "mask_layer", layers), (_("Head"), "mask_head", heads)):
        numbers = list(range(1, count + 1))
        st.segmented_control(name, numbers, key=key, required=True, persist_state="session")
    return layer - 1, head - 1


def change_words(_: Words) -> dict[str, str]:
    """What `core.charts.masks.changes` needs besides a label."""
    return {
        "key": _("position"),
        "keys": _("position in the translation"),
        "weight": _("largest change"),
        "masked": _("may change"),
        "sum": "",
    }


def amount(value: float) -> str:
    """A number in which none at all is told apart from very little."""
    return "0" if value == 0 else number(value)


def why_it_leaks(_: Words, config: Config) -> str:
    """Why the past notices the future in this very model; "" where it does not."""
    if config.mask == "open":
        return _(
            "This model was trained **without** a look-ahead mask, and reads without one: its past sees the future."
        )
    if config.looks_ahead:
        return _(
            "This model's **norm** takes its mean and variance over all tokens, those to come too: past its norms the "
            "future is known, whatever the mask hides."
        )
    return ""


def exact(_: Words, value: float) -> str:
    """A change, and whether it is none at all, not even in the last bit."""
    return _("0, bit for bit") if value == 0 else number(value)


def _count(most: int) -> Callable[[str], int]:
    return {str(number): number for number in range(1, most + 1)}.__getitem__
