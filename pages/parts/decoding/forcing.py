"""Part 3: teacher forcing beside free running in lockstep, and what one wrong token does to both."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.charts import decoding as charts
from core.experiments.decoding import Lane, first_difference
from pages.parts.decoding.error import wrong_token
from pages.parts.decoding.lanes import key_of_lanes, lane, longest, pairs
from pages.parts.decoding.made import asked, forced, free, named, plain
from pages.parts.decoding.player import chosen_step, player
from pages.parts.decoding.show import gold, kind_of_number
from pages.parts.escape import facts, in_html, in_markdown, large
from pages.parts.frame import Visit


def forcing(here: Visit) -> None:
    """The two lanes, where they part, and the lanes with an error."""
    _, what = here.words, asked(here)
    st.markdown(
        _(
            "**Teacher forcing**: the decoder reads the right text whatever it predicted, as in training. **Free "
            "running**: it reads what it wrote itself, as in use. Both run in lockstep over the same places."
        )
    )
    right = gold(here).ids
    read = (what.sentence.start, *right[:-1])
    teacher, alone = forced(what, read), free(what)
    names = named(here.model.tokenizer, (*read, *right, *alone.read, *teacher.expected))
    own = alone.read[1:]
    shown = [
        lane(_("Teacher forcing"), _("reads gold"), teacher, right, names, ["gold"] * len(read)),
        lane(_("Free running"), _("reads itself"), alone, right, names, ["gold"] + ["own"] * (len(own) - 1), own),
    ]
    player(
        _, charts.lanes(shown, step=chosen_step(longest(shown)), words={}, key=key_of_lanes(_)), key="decoding_lanes"
    )
    st.caption(
        kind_of_number(here)
        + " "
        + _(
            "Top: what is read; below: what is expected most; under it: the log-probability of gold's token, or, where "
            "the model runs free, of the one written."
        )
    )
    _parting(here, teacher, alone, right)
    st.divider()
    wrong_token(here, what, teacher, right)


def _parting(here: Visit, teacher: Lane, alone: Lane, right: Sequence[int]) -> None:
    """Where the two first differ, and how likely each whole text is."""
    _, tokenizer, own = here.words, here.model.tokenizer, alone.read[1:]
    place = first_difference(own, right)
    names = named(tokenizer, (*own, *right))
    left, column = st.columns([6, 5], gap="large")
    with left:
        series = {
            _("Teacher forcing"): pairs(names, right, teacher.of(right)),
            _("Free running"): pairs(names, own, alone.of(own)),
        }
        words = {"place": _("place"), "axis": _("log-probability"), "marked": _("first difference")}
        st.vega_lite_chart(charts.lane_curves(series, place, words=words))
    with column:
        _together(here, teacher, alone, right, place)
        if place is None:
            st.markdown(
                _(
                    "The model writes gold exactly, so both lanes read the same and are the same. Type another right "
                    "translation above, or put in a wrong token below."
                )
            )
            return
        pair = [in_markdown(names[text[place]]) if place < len(text) else "–" for text in (own, right)]
        st.markdown(
            _(
                "Up to place {place} both read the same. There the model writes **{own}** where gold has **{gold}**; "
                "from then on one lane is corrected at every step and the other lives with its choice. A different "
                "text is not yet a wrong one: read them both."
            ).format(place=place + 1, own=pair[0], gold=pair[1])
        )
        for name, text in ((_("gold"), right), (_("its own"), own)):
            st.html(f'<div style="font-size:.8rem;opacity:.7">{in_html(name)}</div>{large(plain(tokenizer, text))}')


def _together(here: Visit, teacher: Lane, alone: Lane, right: Sequence[int], place: int | None) -> None:
    _, own = here.words, alone.read[1:]
    hits = sum(one == other for one, other in zip(teacher.expected, right, strict=True))
    st.html(
        facts(
            {
                _("first difference at place"): "–" if place is None else str(place + 1),
                _("log P of gold"): f"{sum(teacher.of(right)):.3f}",
                _("log P of its own text"): f"{sum(alone.of(own)):.3f}",
                _("gold tokens expected under teacher forcing"): f"{hits} / {len(right)}",
                _("tokens at gold's place, on its own"): f"{_agree(own, right)} / {len(right)}",
            }
        )
    )


def _agree(own: Sequence[int], right: Sequence[int]) -> int:
    return sum(one == other for one, other in zip(own, right, strict=False))
