"""What came of it: the log-probability, what a beam search ends with, how different many draws are."""

from __future__ import annotations

import math
from collections import Counter

import streamlit as st

from core.decoding import Hypothesis, Sampling
from core.experiments.decoding import Writing
from pages.parts.decoding.choosing import Chosen
from pages.parts.decoding.made import Asked, draws, plain, written
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.positions.show import predict
from pages.parts.tables import table_height
from pages.parts.words import Words

DRAWS = 20


def outcome(here: Visit, what: Asked, chosen: Chosen) -> None:
    """What there is to say about the translation, by the way it was written."""
    if chosen.beam:
        _hypotheses(here, what, chosen)
    elif chosen.sampling:
        _diversity(here, what, chosen.writing, chosen.sampling, chosen.seed)
    else:
        _figures(here.words, chosen.writing)


def _figures(_: Words, writing: Writing) -> None:
    total = float(writing.log_probabilities.sum())
    values = {
        _("log-probability of this translation"): f"{total:z.3f}",
        _("probability"): f"{math.exp(total):z.3f}",
        _("tokens"): str(len(writing.ids)),
    }
    st.html(facts(values))


def _hypotheses(here: Visit, what: Asked, chosen: Chosen) -> None:
    """The translations that the search ends with, beside the greedy one."""
    _, tokenizer, penalty = here.words, here.model.tokenizer, chosen.penalty
    best, greedy = chosen.beam.best if chosen.beam else (), written(what)
    first = Hypothesis(greedy.ids, float(greedy.log_probabilities.sum()))
    rows = [*best, first]
    names = [*(str(place) for place in range(1, len(best) + 1)), _("greedy")]
    st.markdown(_("**What the search ends with**, best score first; the last row is greedy decoding"))
    number = st.column_config.NumberColumn(format="%.3f")
    table = {
        _("rank"): names,
        _("translation"): [plain(tokenizer, each.ids) for each in rows],
        _("log P"): [each.log_probability for each in rows],
        _("tokens"): [len(each.ids) for each in rows],
        _("score"): [each.score(penalty) for each in rows],
    }
    st.dataframe(
        table,
        hide_index=True,
        height=table_height(len(rows), 360),
        column_config={_("log P"): number, _("score"): number, _("rank"): st.column_config.TextColumn(width="small")},
    )
    st.markdown(_verdict(_, best[0], first, penalty))
    st.latex(r"\text{score} = \log P \,/\, \left(\tfrac{5 + \text{length}}{6}\right)^{\alpha}")
    st.caption(
        _(
            "Each step looks at the {double} likeliest continuations of all beams together and keeps {beams}. A "
            "translation is done when its end token is among the {beams} likeliest; the search stops when {beams} are "
            "done. The score divides by length (Wu et al. 2016), as a longer text always has a smaller probability. "
            "The paper used 4 beams and α = 0.6."
        ).format(double=2 * chosen.beams, beams=chosen.beams)
    )


def _verdict(_: Words, best: Hypothesis, greedy: Hypothesis, penalty: float) -> str:
    gain = best.score(penalty) - greedy.score(penalty)
    if best.ids == greedy.ids:
        return _("Here the search ends with what greedy decoding writes too: on this sentence it gains nothing.")
    if gain > 0:
        return _("The search found a translation that scores better than greedy decoding, by {gain}.").format(
            gain=f"{gain:z.3f}"
        )
    return _(
        "Here greedy decoding scores better, by {gain}: the search pruned its beginning, or stopped before its end."
    ).format(gain=f"{-gain:z.3f}")


def _diversity(here: Visit, what: Asked, writing: Writing, sampling: Sampling, seed: int) -> None:
    """This draw beside the greedy translation, and how many different ones many draws give."""
    _, tokenizer, greedy = here.words, here.model.tokenizer, written(what)
    both = {_("log-probability of this translation"): writing, _("of the greedy one"): greedy}
    st.html(facts({name: f"{float(each.log_probabilities.sum()):z.3f}" for name, each in both.items()}))
    options = {"1": _("just one"), "2-5": _("2 to 5"), "6-15": _("6 to 15"), "16-20": _("16 to 20")}
    question = _("With these settings {draws} translations are drawn. How many **different** ones do you expect?")
    guess = predict(_, "decoding_draws", question.format(draws=DRAWS), options)
    if guess is None:
        return
    found = draws(what, sampling, seed, DRAWS)
    times, scores = Counter(ids for ids, _score in found), dict(found)
    most = times.most_common()
    st.markdown(
        _("You said **{guess}**. It is **{count}**, and {greedy} of the {draws} are the greedy translation.").format(
            guess=options[guess], count=len(most), greedy=times[greedy.ids], draws=DRAWS
        )
    )
    table = {
        _("times"): [count for _ids, count in most],
        _("translation"): [plain(tokenizer, ids) for ids, _count in most],
        _("log P"): [scores[ids] for ids, _count in most],
    }
    number = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(table, hide_index=True, height=table_height(len(most), 360), column_config={_("log P"): number})
    st.caption(
        _("{draws} draws side by side from the seed above. log P is the model's own, at temperature 1.").format(
            draws=DRAWS
        )
    )
