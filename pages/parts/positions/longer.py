"""Part 7: accuracy by length for every twin, up to the longest training sentence and beyond."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.charts import encodings
from core.measures.curves import by_seed
from core.variants import LONGEST_TRAINED
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.positions.twins import EVERY, palette
from pages.parts.words import Words
from pages.parts.zoo import cards, names

FIGURE = "token_accuracy"  # the one the verdict is about
STEP, ENOUGH = 5, 10  # source tokens that a row spans, and sentences that it needs to be shown
NULL = "positions-none"
Row = Mapping[str, float]


def longer(here: Visit) -> None:
    """A prediction, then what the training runs stored."""
    _ = here.words
    st.subheader(_("Longer than any sentence in training"))
    st.markdown(
        _(
            "A rule gives every position a vector, a table does not; RoPE and ALiBi see distances, and most distances "
            "of a long sentence are those of a short one. Does that carry a twin past the longest sentence it was "
            "trained on?"
        )
    )
    stored = {name: rows_of_seeds(card) for name, card in cards(_, EVERY).items()}
    shown = {name: each for name, each in stored.items() if each}
    if without := [names(_)[name] for name in stored if name not in shown]:
        st.caption(_("Stored without accuracy by length: {names}.").format(names=", ".join(without)))
    if not shown:
        return
    question = _("Which one gets most tokens right in the longest sentences?")
    guess = predict(_, "longer_guess", question, {name: names(_)[name] for name in EVERY})
    if guess is None:
        return
    left, right = st.columns([6, 5], gap="large")
    with left:
        _curves(_, shown)
    with right:
        _verdict(_, shown, guess)


def rows_of_seeds(card: Mapping[str, Any]) -> list[Sequence[Row]]:
    """The tables of all seeds that have one."""
    return [each["by_length"] for each in by_seed(card) if each.get("by_length")]


def points(tables: Sequence[Sequence[Row]], figure: str) -> list[encodings.Point]:
    """Middle of each row's lengths, and lowest, median and highest of a figure over the seeds."""
    values: dict[float, list[float]] = defaultdict(list)
    for table in tables:
        for row in table:
            if row["count"] >= ENOUGH:
                values[row["from"] + (STEP - 1) / 2].append(row[figure])
    return [(middle, min(each), statistics.median(each), max(each)) for middle, each in sorted(values.items())]


def _curves(_: Words, shown: Mapping[str, list[Sequence[Row]]]) -> None:
    titles = {"token_accuracy": _("Tokens right, reading the reference"), "exact_match": _("Sentences right")}
    figure = choose_one(_("Figure"), "longer_figure", titles, FIGURE, labelled=False)
    series = {names(_)[name]: points(tables, figure) for name, tables in shown.items()}
    words = {"x": _("source tokens"), "y": titles[figure], "border": _("longest in training")}
    st.altair_chart(
        encodings.lines(
            series,
            words=words,
            palette=palette(_),
            dashed=[names(_)[NULL]],
            border=LONGEST_TRAINED + 0.5,
            domain=(0.0, 1.0),
        )
    )
    seeds = sorted({len(tables) for tables in shown.values()})
    st.caption(
        _(
            "Stored from the evaluation of the training runs, seeds each: {seeds}. Both directions, held-out sentences "
            "new and longer, in steps of {step} tokens, where at least {enough} sentences fall into a step. The line "
            "is the median over the seeds, the band reaches from the lowest to the highest; the dashed line, without "
            "positions, is the null. The longest training sentence has {longest} tokens."
        ).format(seeds="–".join(map(str, seeds)), step=STEP, enough=ENOUGH, longest=LONGEST_TRAINED)
    )


def _verdict(_: Words, shown: Mapping[str, list[Sequence[Row]]], guess: str) -> None:
    """Who is best where sentences are longest, and how much everyone loses on the way there."""
    found = {name: points(tables, FIGURE) for name, tables in shown.items()}
    last = max((each[-1][0] for each in found.values() if each), default=None)
    ends = {name: each[-1][2] for name, each in found.items() if each and each[-1][0] == last}
    if last is None or not ends:
        return
    best = max(ends, key=ends.__getitem__)
    drops = {name: each[0][2] - each[-1][2] for name, each in found.items() if name in ends}
    steady = min(drops, key=drops.__getitem__)
    beyond = last > LONGEST_TRAINED
    where = _("beyond the longest training sentence") if beyond else _("at the longest lengths with enough sentences")
    st.markdown(
        _(
            "You said **{guess}**. With {length} tokens, {where}, **{best}** gets {share} of the tokens right. From "
            "the shortest to the longest, **{steady}** loses least: {loss} points."
        ).format(
            guess=names(_)[guess],
            length=f"{last - (STEP - 1) / 2:.0f}–{last + (STEP - 1) / 2:.0f}",
            where=where,
            best=names(_)[best],
            share=f"{ends[best]:.1%}",
            steady=names(_)[steady],
            loss=f"{100 * drops[steady]:.0f}",
        )
    )
    if NULL in ends:
        st.markdown(_("Without positions it is {null}.").format(null=f"{ends[NULL]:.1%}"))
    st.caption(
        _(
            "Press et al. 2022 report of language models: a sinusoid lasts some 20 to 50 tokens beyond the "
            "training length, RoPE 100 to 200, and ALiBi hardly falls at all. They measured perplexity, and longer "
            "texts; here the longest sentences also have constructions of their own."
        )
    )
