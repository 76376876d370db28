"""Part 1: a translation as it is written, step by step: the likeliest token, a beam, or one drawn by lot."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from torch import Tensor

from core.charts import decoding as charts
from core.experiments.decoding import Beam, Candidates, Writing
from core.tokens import Tokenizer
from pages.parts.address import keep
from pages.parts.decoding.choosing import Chosen, chosen
from pages.parts.decoding.made import Asked, asked, named, offered, plain
from pages.parts.decoding.outcome import outcome
from pages.parts.decoding.player import chosen_step, player
from pages.parts.decoding.show import kind_of_number, whole
from pages.parts.frame import Visit


def steps(here: Visit) -> None:
    """How tokens are chosen, the player, and what came of it."""
    _, what = here.words, asked(here)
    how = chosen(_, what)
    data = _written(here, what, how)
    player(_, data, key="decoding_player")
    st.caption(f"{kind_of_number(here)} {_null(here)}")
    outcome(here, what, how)


def _written(here: Visit, what: Asked, how: Chosen) -> charts.Payload:
    """Every step of the translation, for the player."""
    tokenizer, writing = here.model.tokenizer, how.writing
    cross, own, where = _attention(here, writing)
    choices = offered(what, writing.ids, how.sampling, writing)
    start = what.sentence.start
    names = named(tokenizer, {start, *(each for found in choices for each in found.ids)})
    tree = _tree(tokenizer, how.beam, how.penalty) if how.beam else None
    numbers = how.numbers or [None] * len(choices)
    return charts.writing(
        source=[token.piece for token in here.run.source_tokens],
        read=[names[each] for each in (start, *writing.ids[:-1])],
        written=[names[each] for each in writing.ids],
        texts=[plain(tokenizer, writing.ids[: count + 1]) for count in range(len(writing.ids))],
        cross=cross.numpy(),
        own=own.numpy(),
        candidates=[_choices(*each, names) for each in zip(choices, writing.ids, numbers, strict=True)],
        tree=tree,
        drawn=how.sampling is not None,
        vocabulary=here.model.network.config.vocabulary,
        step=chosen_step(max(len(writing.ids), len(tree or ()))),
        words=_player_words(here, where),
    )


def _choices(found: Candidates, written: int, number: float | None, names: Mapping[int, str]) -> charts.Choices:
    return charts.Choices(
        pieces=[names[each] for each in found.ids],
        p=found.probabilities,
        q=found.shares,
        chosen=found.ids.index(written),
        other=found.other,
        low=found.low,
        high=found.high,
        number=number,
    )


def _attention(here: Visit, writing: Writing) -> tuple[Tensor, Tensor, str]:
    """Where each new token looked, in the layer and head chosen, and what these are called."""
    _, config = here.words, here.model.network.config
    layers = range(1, config.decoder_layers + 1)
    layer = keep("decoding_layer", config.decoder_layers, whole(1, config.decoder_layers))
    head = keep("decoding_head", 0, whole(0, config.heads))
    with st.container(horizontal=True, gap="medium"):
        st.segmented_control(
            _("Attention of layer"), layers, key="decoding_layer", required=True, persist_state="session", wrap=True
        )
        st.segmented_control(
            _("Head"),
            range(config.heads + 1),
            format_func=lambda number: str(number) if number else _("mean of all"),
            key="decoding_head",
            required=True,
            persist_state="session",
            wrap=True,
        )
    both = writing.cross[:, layer - 1], writing.own[:, layer - 1]
    cross, own = ((each[:, head - 1] if head else each.mean(1)) for each in both)
    name = (
        _("layer {layer}, head {head}").format(layer=layer, head=head)
        if head
        else _("layer {layer}, mean of its {heads} heads").format(layer=layer, heads=config.heads)
    )
    return cross, own, name


def _player_words(here: Visit, where: str) -> dict[str, str]:
    _ = here.words
    uniform = 1 / len(here.run.source_tokens)
    return {
        "after": _("After “{piece}” the model expects"),
        "probability": _("probability"),
        "share": _("draw"),
        "out": _("cut"),
        "other": _("{count} others"),
        "chosen": _("Written: “{piece}”, with probability {probability}."),
        "lot": _("The random number {number} falls between {low} and {high}, the share of “{piece}”."),
        "finished": _("This translation has ended; the search went on with others."),
        "cross": _("Cross-attention: where the new token looks in the source ({where})").format(where=where),
        "cross_null": _("sums to 1; uniform would be {weight} each").format(weight=f"{uniform:.2f}"),
        "own": _("Self-attention: where it looks in what is written ({where})").format(where=where),
        "own_null": _("sums to 1; uniform would be {weight} each"),
        "tree": _("The tree: log-probability of each beginning, likeliest on top; where it ended, → its score"),
        "branch": _("{text} · log P {p} · score {score} · {fate}"),
        "best": _("best in the end"),
        "kept": _("kept"),
        "ended": _("ended"),
        "pruned": _("pruned"),
    }


def _null(here: Visit) -> str:
    _, pieces = here.words, here.model.network.config.vocabulary
    return _("Guessing blindly among {count} pieces would give each {chance}.").format(
        count=f"{pieces:,}", chance=f"{1 / pieces:.5f}"
    )


def _tree(tokenizer: Tokenizer, beam: Beam, penalty: float) -> list[list[charts.Branch]]:
    names = named(tokenizer, {each.hypothesis.ids[-1] for branches in beam.steps for each in branches})
    best = beam.best[0].ids
    return [
        [
            charts.Branch(
                piece=names[each.hypothesis.ids[-1]],
                text=plain(tokenizer, each.hypothesis.ids),
                parent=parent,
                p=each.hypothesis.log_probability,
                score=each.hypothesis.score(penalty),
                fate=each.fate,
                best=best[: len(each.hypothesis.ids)] == each.hypothesis.ids,
            )
            for each, parent in zip(branches, parents, strict=True)
        ]
        for branches, parents in zip(beam.steps, beam.parents, strict=True)
    ]
