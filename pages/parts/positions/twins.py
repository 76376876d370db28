"""The twins whose positions differ: which are compared, which of them can take the sentence, and what they know."""

from collections.abc import Iterable, Mapping

import streamlit as st

from core.charts.positions import COLOURS
from core.checkpoint import Model
from core.run import Run
from pages.parts import models
from pages.parts.bar import flagged, marked
from pages.parts.frame import Visit
from pages.parts.words import Words
from pages.parts.zoo import names

TWINS = ("positions-sum", "positions-concat", "positions-concat-equal", "positions-none")
"""Those that compare adding with putting beside, and with nothing."""
LEARNED = ("positions-learned", "positions-learned-concat")
EVERY = (*TWINS[:3], *LEARNED, "positions-rotary", "positions-alibi", "positions-none")
_COLOURS = dict(zip((*TWINS, *LEARNED, "positions-rotary", "positions-alibi"), COLOURS, strict=True))


def palette(_: Words) -> dict[str, str]:
    """Each twin's colour by the name it has on the screen, the same in every chart."""
    return {names(_)[name]: colour for name, colour in _COLOURS.items()}


def vocabulary(twins: Mapping[str, Model]) -> int:
    """How many pieces the twins choose from; they share one tokenizer."""
    return next(iter(twins.values())).network.config.vocabulary


def run_of(here: Visit, name: str) -> Run:
    """What a twin makes of the sentence above."""
    return models.run(here.run.source_text, here.run.direction, name)


def able(_: Words, twins: Mapping[str, Model], tokens: int) -> dict[str, Model]:
    """The twins that have a position for each of so many tokens; what the others lack is said."""
    found = {name: each for name, each in twins.items() if tokens <= (each.network.config.reach or tokens)}
    for name, each in twins.items():
        if name not in found:
            st.warning(
                _(
                    "“{twin}” knows {most} positions and no more; this sentence or its translation needs {needed}. "
                    "These can take it: {others}."
                ).format(
                    twin=names(_)[name],
                    most=each.network.config.reach,
                    needed=tokens,
                    others=", ".join(names(_)[other] for other in found) or "–",
                ),
                icon=":material/straighten:",
            )
    return found


def introduce(here: Visit, twins: Mapping[str, Model]) -> None:
    """What the first four twins are, and the sentence with the pieces that they never saw underlined."""
    _ = here.words
    st.markdown(
        _(
            "Small translators, {count} of them, were trained alike (same sentences, same steps) and differ only in "
            "how positions join the words: {ways}."
        ).format(count=len(twins), ways="; ".join(said for name, said in _ways(_).items() if name in twins))
    )
    known = _seen(twins.values())
    if known:
        text = _("Their sentences were made of {known} of the {pieces} pieces that the tokenizer has.")
        st.markdown(text.format(known=f"{len(known):,}", pieces=f"{vocabulary(twins):,}"))
    mark_unseen(here, twins.values())


def _ways(_: Words) -> dict[str, str]:
    """What each of the first four does with positions."""
    return {
        "positions-sum": _("**added** to them"),
        "positions-concat": _("put **beside** them, with every layer wider for it"),
        "positions-concat-equal": _("put **beside** them, with the budget of the sum"),
        "positions-none": _("left out"),
    }


def mark_unseen(here: Visit, twins: Iterable[Model]) -> None:
    """The sentence with the pieces underlined that these twins never saw, if there are any."""
    _ = here.words
    tokens = flagged(here.run.source_tokens, _seen(twins))
    if any(token.unseen for token in tokens):
        st.html(f'<div style="overflow-wrap:anywhere">{marked(_, here.run.source_text, tokens)}</div>')
        st.caption(_("Underlined: words outside what the twins were trained on. There they can only guess."))


def _seen(twins: Iterable[Model]) -> frozenset[int]:
    """The pieces in the training of any twin, as far as their cards list them."""
    lists = [twin.card.get("vocabulary_seen", ()) for twin in twins]
    return frozenset(piece for pieces in lists for piece in pieces)
