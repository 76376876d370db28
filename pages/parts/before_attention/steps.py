"""Part 6: what must wait for what: steps counted, milliseconds measured, and where recurrence is the cheaper way."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.charts.recurrence import lines
from core.experiments.recurrence import Times, Turns, dearer_from, next_token, times, turns
from core.variants import BASE, VARIANTS
from pages.parts.before_attention.rows import GRU, READERS, names, palette
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.words import Words

LENGTHS = (4, 8, 16, 32, 64)
PASTS = (1, 8, 32, 64, 128, 256, 512)
ROUNDS = 3
KINDS = ("reading", "learning", "writing")


def sequential(here: Visit) -> None:
    """A prediction, the count, the clock, and the other side of the account."""
    _ = here.words
    st.subheader(_("Sequential? Parallel?"))
    st.markdown(
        _(
            "A learner asked this and struck the question out. The answer depends on what is done: reading a sentence, "
            "learning from a translation that is given, or writing one."
        )
    )
    guess = predict(
        _,
        "before_waiting",
        _("For which of these must the **Transformer** use its weights once per token, one use after the other?"),
        _kinds(_),
    )
    if guess is None:
        return
    found = _counts(_, here, guess)
    _clock(_)
    _dearer(_, here, found)


def _kinds(_: Words) -> dict[str, str]:
    return {"reading": _("reading"), "learning": _("learning (translation given)"), "writing": _("writing")}


# --- counted --------------------------------------------------------------------------------------------------------


@st.cache_data(max_entries=60, show_spinner=False)
def _turns(source: int, target: int) -> dict[str, Turns]:
    return {name: turns(VARIANTS[name].config(2), source, target) for name in READERS}


def _counts(_: Words, here: Visit, guess: str) -> dict[str, Turns]:
    source, target = len(here.run.source_tokens), len(here.run.target_tokens)
    found = _turns(source, target)
    rows: list[dict[str, Any]] = [
        {
            _("reader"): names(_)[name],
            _("reading"): each.reading,
            _("learning (translation given)"): each.learning,
            _("writing"): each.writing,
            _("longest chain of operations, reading"): each.chain,
        }
        for name, each in found.items()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")
    st.caption(
        _(
            "Counted for this sentence ({source} tokens, {target} to write): how often the same weights are used one "
            "time after the other, and in the graph of the computation the most operations of which each needs the one "
            "before. Sentences of a batch and the two directions run side by side."
        ).format(source=source, target=target)
    )
    base = found[BASE]
    waits = [kind for kind in KINDS if getattr(base, kind) > 1]
    st.markdown(
        _(
            "You said **{guess}**; counted: **{answer}**. The Transformer uses each weight {reading} time to read "
            "{source} tokens, {learning} time to learn from {target} (its mask keeps each from what comes later) and "
            "{writing} times to write them; the GRU {gru} times to read. A note says of the RNN that it cannot be "
            "parallelised: along the sentence it cannot, over the sentences of a batch it can."
        ).format(
            guess=_kinds(_)[guess],
            answer=", ".join(_kinds(_)[kind] for kind in waits) or "–",
            source=source,
            target=target,
            reading=base.reading,
            learning=base.learning,
            writing=base.writing,
            gru=found[GRU].reading,
        )
    )
    return found


# --- measured -------------------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _times() -> dict[str, list[Times]]:
    return times({name: VARIANTS[name].config(2) for name in READERS}, LENGTHS, ROUNDS)


def _clock(_: Words) -> None:
    st.subheader(_("Milliseconds by length"))
    kind = choose_one(_("What is timed"), "before_kind", _kinds(_), KINDS[0], labelled=False)
    with st.spinner(_("Measuring on this computer…")):
        found = _times()
    series = {name: [getattr(each, kind) for each in at_lengths] for name, at_lengths in found.items()}
    st.vega_lite_chart(
        lines(
            {names(_)[name]: list(zip(LENGTHS, values, strict=True)) for name, values in series.items()},
            words={"x": _("tokens"), "y": _("milliseconds")},
            palette=palette(_),
            across="log",
            up="log",
        )
    )
    fastest = min(series, key=lambda name: series[name][-1])
    st.markdown(
        _(
            "**{kind}**: {times} times as many tokens, and the time grows by {factors}. With {many} tokens "
            "**{fastest}** is fastest."
        ).format(
            times=LENGTHS[-1] // LENGTHS[0],
            many=LENGTHS[-1],
            kind=_kinds(_)[kind].capitalize(),
            factors=", ".join(f"{names(_)[name]} × {values[-1] / values[0]:.1f}" for name, values in series.items()),
            fastest=names(_)[fastest],
        )
    )
    st.caption(
        _(
            "Measured once on this computer, all in turn, the shortest of {rounds} rounds: processor time of one "
            "thread. Networks of the trained sizes with a vocabulary of two, so that the output layer does not drown "
            "the rest. Both axes logarithmic. A graphics card gains most where nothing has to wait."
        ).format(rounds=ROUNDS)
    )


# --- the other side -------------------------------------------------------------------------------------------------


def _dearer(_: Words, here: Visit, found: Mapping[str, Turns]) -> None:
    """Where a recurrent writer is the cheaper one: its next token costs the same however many came before."""
    source = len(here.run.source_tokens)
    configs = {name: VARIANTS[name].config(2) for name in READERS}
    st.subheader(_("Where recurrence is cheaper"))
    st.vega_lite_chart(
        lines(
            {
                names(_)[name]: [(past, next_token(config, source, past)) for past in PASTS]
                for name, config in configs.items()
            },
            words={"x": _("tokens already written"), "y": _("multiply–adds of the next token")},
            palette=palette(_),
            across="log",
        )
    )
    sooner = {name: dearer_from(configs[BASE], config, source) for name, config in configs.items() if name != BASE}
    said = {
        name: _("never up to {most}").format(most=4_096) if each is None else str(each) for name, each in sooner.items()
    }
    st.markdown(
        _(
            "A state has one size, so a recurrent writer's next token costs the same after 5 words or 5,000, and "
            "nothing but the state is kept. A Transformer looks at all that it wrote and keeps keys and values for it "
            "({numbers} numbers per token here). So its next token is the dearer one from this many tokens on: {found}."
        ).format(
            numbers=f"{2 * configs[BASE].decoder_layers * configs[BASE].width:,}",
            found=", ".join(f"{names(_)[name]} {each}" for name, each in said.items()),
        )
    )
    st.caption(
        _(
            "Counted by formula for these sizes, with a vocabulary of two and {source} source tokens. Vaswani et al. "
            "2017, table 1: a layer of self-attention costs n²·d and one sequential step, a recurrent one n·d² and n "
            "steps; the first is the dearer one where n exceeds d. “Faster than an RNN”, as a note says, holds for "
            "learning, not for every length and every kind of work."
        ).format(source=source)
    )
