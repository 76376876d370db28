"""Small things that every part of the residuals page needs: what is asked, and what stages are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.experiments.decoding import Sentence
from core.run import Run
from core.tokens import Token
from pages.parts.decoding.made import asked
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.words import Words


class Question(NamedTuple):
    """A sentence and the translation whose loss is followed; a tuple, because caches hash what is inside."""

    sentence: Sentence
    gold: tuple[int, ...]


def question(here: Visit) -> Question:
    """The sentence in the bar, with the translation that stands there as what is expected."""
    return Question(asked(here, edited=False).sentence, tuple(token.id for token in here.run.predicted_tokens))


def choose_stack(_: Words, key: str) -> str:
    """The encoder or the decoder."""
    return choose_one(_("Stack"), key, {"encoder": _("Encoder"), "decoder": _("Decoder")}, "encoder", labelled=False)


def tokens_of(run: Run, stack: str) -> tuple[Token, ...]:
    """The tokens that run through a stack."""
    return run.source_tokens if stack == "encoder" else run.target_tokens


def sublayer_names(_: Words, places: Sequence[tuple[str, int]]) -> list[str]:
    """Sub-layers as they are called on the screen, layers counted from 1."""
    names = {
        "encoder.attention": _("self-attention"),
        "encoder.feedforward": _("feed-forward"),
        "decoder.attention": _("masked self-attention"),
        "decoder.cross": _("cross-attention"),
        "decoder.feedforward": _("feed-forward"),
    }
    return [f"{layer + 1} {names[place]}" for place, layer in places]


def length(value: float) -> str:
    """Two digits, with a power of ten where it is very small or large; none at all is 0."""
    short = f"{value:.2g}"
    return f"{float(short):g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else short
