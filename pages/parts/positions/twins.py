"""The four trained twins: their names, which are at hand, and which pieces of the sentence they know."""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from core.charts.positions import COLOURS
from core.checkpoint import CheckpointError, Model
from core.measures.curves import Record, read_log
from core.run import Run
from core.tokens import Token
from pages.parts import models
from pages.parts.bar import marked
from pages.parts.frame import Visit
from pages.parts.words import Words

TWINS = ("positions-sum", "positions-concat", "positions-concat-equal", "positions-none")


def names(_: Words) -> dict[str, str]:
    """The twins as they are called on the screen."""
    return {
        "positions-sum": _("Sum"),
        "positions-concat": _("Concat, wider"),
        "positions-concat-equal": _("Concat, equal"),
        "positions-none": _("No positions"),
    }


def palette(_: Words) -> dict[str, str]:
    """Each twin's colour by the name it has on the screen, the same in every chart."""
    return dict(zip(names(_).values(), COLOURS, strict=True))


def at_hand(_: Words) -> dict[str, Model]:
    """The twins that can be read; for each of the others, what is wrong and the command that restores it."""
    found, wrong = {}, {}
    for name in TWINS:
        try:
            found[name] = models.model(name)
        except CheckpointError as error:
            wrong[name] = str(error)
    _complain(_, wrong)
    return found


def logs(_: Words, twins: Mapping[str, Model]) -> dict[str, list[Record]]:
    """The training logs of these twins, as far as they can be read."""
    found, wrong = {}, {}
    for name in twins:
        try:
            found[name] = _log(name, str(models.assets()))
        except CheckpointError as error:
            wrong[name] = str(error)
    _complain(_, wrong)
    return found


@st.cache_resource(max_entries=8, show_spinner=False)
def _log(name: str, assets: str) -> list[Record]:
    return read_log(name, assets=models.assets())


def _complain(_: Words, wrong: Mapping[str, str]) -> None:
    for name, error in wrong.items():
        st.warning(_("{twin} cannot be shown.").format(twin=names(_)[name]), icon=":material/error:")
        st.text(error)


def vocabulary(twins: Mapping[str, Model]) -> int:
    """How many pieces the twins choose from; they share one tokenizer."""
    return next(iter(twins.values())).network.config.vocabulary


def run_of(here: Visit, name: str) -> Run:
    """What a twin makes of the sentence above."""
    return models.run(here.run.source_text, here.run.direction, name)


def introduce(here: Visit, twins: Mapping[str, Model]) -> None:
    """What the twins are, and the sentence with the pieces that they never saw underlined."""
    _ = here.words
    st.markdown(
        _(
            "Four small translators were trained alike (same sentences, same steps, same seeds) and differ only in how "
            "positions join the words: **added** to them, put **beside** them (once with every layer wider for it, "
            "once with the budget of the sum), or left out."
        )
    )
    known = _seen(twins)
    if known:
        text = _("Their sentences were made of {known} of the {pieces} pieces that the tokenizer has.")
        st.markdown(text.format(known=f"{len(known):,}", pieces=f"{vocabulary(twins):,}"))
    tokens = _marked(here.run.source_tokens, known)
    if any(token.unseen for token in tokens):
        st.html(f'<div style="overflow-wrap:anywhere">{marked(_, here.run.source_text, tokens)}</div>')
        st.caption(_("Underlined: words outside what the twins were trained on. There they can only guess."))


def _seen(twins: Mapping[str, Model]) -> frozenset[int]:
    """The pieces in the training of any twin, as far as their cards list them."""
    lists = [twin.card.get("vocabulary_seen", ()) for twin in twins.values()]
    return frozenset(piece for pieces in lists for piece in pieces)


def _marked(tokens: tuple[Token, ...], seen: frozenset[int]) -> tuple[Token, ...]:
    """The tokens, flagged as unseen where they are not among the pieces seen."""
    if not seen:
        return tokens
    return tuple(replace(each, unseen=not each.special and (each.unseen or each.id not in seen)) for each in tokens)
