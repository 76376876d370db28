"""Part 8: every twin on the same sentence, as typed and with one word in another place."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from core.charts import encodings
from core.charts.figures import differences
from core.experiments import twins as experiments
from core.experiments.positions import word_moved
from core.tokens import Direction, Token
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.escape import in_markdown, titled
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.positions.order import spelled, units_of
from pages.parts.positions.show import predict
from pages.parts.positions.twins import EVERY, able, mark_unseen
from pages.parts.selection import read_place, take_place, write_place
from pages.parts.words import Words
from pages.parts.zoo import at_hand, names

NOT = {"not", "안"}
AUXILIARIES = {
    "am",
    "is",
    "are",
    "was",
    "were",
    "do",
    "does",
    "did",
    "has",
    "have",
    "had",
    "can",
    "could",
    "will",
    "would",
}
FRONT = "–"
ROUNDING = 1e-3


def side_by_side(here: Visit) -> None:
    """The choice of a word and its place, a prediction, and what every twin makes of both sentences."""
    _, run = here.words, here.run
    st.subheader(_("All twins on one sentence, and a word elsewhere"))
    st.markdown(
        _(
            "A learner's note says that the meaning of a sentence depends on where “not” stands. Move a word: the "
            "tokens stay the same and only their order changes. Who notices?"
        )
    )
    twins = at_hand(_, EVERY)
    if not twins:
        return
    mark_unseen(here, twins.values())
    words = words_of(run.source_tokens, run.source_text)
    if len(words) < 2:
        st.markdown(_("This sentence has a single word; type a longer one to move a word in it."))
        return
    twins = able(_, twins, max(len(run.source_tokens), len(here.model.tokenizer.target(run.translation)) - 1))
    order = _choose(here, words)
    guess = predict(
        _,
        "moved_guess",
        _("Which twin finds the old translation exactly as likely for the new order?"),
        {name: names(_)[name] for name in twins},
    )
    if guess is None or not twins:
        return
    found = {name: (_read(here, name, range(len(order))), _read(here, name, order)) for name in twins}
    _likelihoods(here, found, guess)
    _each(here, found)


def words_of(tokens: Sequence[Token], text: str) -> dict[str, int]:
    """The words of a sentence as typed, all spelled differently, with the number that their tokens carry."""
    found: dict[str, int] = {}
    units = units_of(tokens)
    for unit in dict.fromkeys(each for each in units if each >= 0):
        own = [token for token, each in zip(tokens, units, strict=True) if each == unit]
        spelling = text[min(each.start for each in own) : max(each.end for each in own)]
        again = sum(label.split(" · ")[0] == spelling for label in found)
        found[f"{spelling} · {again + 1}" if again else spelling] = unit
    return found


# --- choosing -------------------------------------------------------------------------------------------------------


def _choose(here: Visit, words: Mapping[str, int]) -> tuple[int, ...]:
    """The order of the tokens after the move."""
    _, tokens = here.words, here.run.source_tokens
    labels = list(words)
    word = keep("moved_word", next((each for each in labels if each.lower() in NOT), labels[0]), one_of(labels))
    st.pills(
        _("The word that moves"),
        labels,
        format_func=in_markdown,
        key="moved_word",
        required=True,
        persist_state="session",
    )
    others = [each for each in labels if each != word]
    before = labels.index(word)
    places = [place for place in range(len(labels)) if place != before]
    orders = {
        (others[place - 1] if place else FRONT): tuple(word_moved(units_of(tokens), words[word], place))
        for place in places
    }
    after = keep("moved_after", _default(list(orders)), one_of(orders))
    st.selectbox(
        _("Where it goes"),
        list(orders),
        format_func=lambda label: spelled(here.run, orders[label]),
        key="moved_after",
        persist_state="session",
    )
    return orders[after]


def _default(places: Sequence[str]) -> str:
    """Behind another auxiliary verb, where English would have a “not”, else before the last word."""
    return next(
        (each for each in reversed(places) if each.lower() in AUXILIARIES), places[-2 if len(places) > 1 else -1]
    )


def _read(here: Visit, name: str, order: Sequence[int]) -> experiments.Reading:
    run = here.run
    return _cached(run.source_text, run.direction, name, tuple(order), run.translation)


@st.cache_resource(max_entries=200, show_spinner=False)
def _cached(text: str, direction: Direction, name: str, order: tuple[int, ...], reference: str) -> experiments.Reading:
    twin = models.model(name)
    return experiments.read_in_order(twin, twin.tokenizer.source(text, direction), order, reference)


# --- what they make of it -------------------------------------------------------------------------------------------

Found = Mapping[str, tuple[experiments.Reading, experiments.Reading]]


def _likelihoods(here: Visit, found: Found, guess: str) -> None:
    _ = here.words
    st.html(
        titled(
            _("The translation whose probability is measured, that of “{model}” for the sentence as typed").format(
                model=names(_).get(here.model.name, here.model.name)
            ),
            here.run.translation,
        )
    )
    words = {
        "before": _("as typed"),
        "after": _("moved"),
        "difference": _("difference"),
        "token": _("twin"),
        "axis": _("log-probability (nats)"),
    }
    before, after = ([each[side].reference for each in found.values()] for side in (0, 1))
    st.vega_lite_chart(differences([names(_)[name] for name in found], before, after, words=words))
    changes = {name: after.reference - before.reference for name, (before, after) in found.items()}
    same = [names(_)[name] for name, change in changes.items() if abs(change) < ROUNDING]
    most = max(changes, key=lambda name: abs(changes[name]))
    st.markdown(
        _(
            "You said **{guess}**. No difference beyond rounding: **{same}**. The largest is that of **{most}**: "
            "{change} nats."
        ).format(
            guess=names(_)[guess],
            same=", ".join(same) or _("none of them"),
            most=names(_)[most],
            change=f"{changes[most]:+z.2f}",
        )
    )
    st.caption(
        _(
            "Measured on this sentence: the sum over all tokens of the same translation. To a twin without positions "
            "both orders are one and the same bag of words, so its difference is the null."
        )
    )


def _each(here: Visit, found: Found) -> None:
    _ = here.words
    heads = next(iter(found.values()))[0].weights.shape[0]
    chosen = keep("moved_head", (0, 0), read_place(2, heads), write_place)
    columns = st.columns(2, gap="medium")
    for index, (name, (before, after)) in enumerate(found.items()):
        with columns[index % 2], st.container(border=True):
            st.markdown(f"**{names(_)[name]}**")
            st.html(titled(_("as typed"), before.translation) + titled(_("moved"), after.translation))
            _heads(_, name, before, after, chosen)
    st.caption(
        _(
            "Measured on this sentence. Above the heads of the first encoder layer as typed, below with the word "
            "moved: queries run down, keys across, each row sums to 1, and the tokens stand in the order read."
        )
    )


def _heads(
    _: Words, name: str, before: experiments.Reading, after: experiments.Reading, chosen: tuple[int, int]
) -> None:
    weights = np.stack([each.weights.numpy() for each in (before, after)])
    rows = (_("as typed"), _("moved"))
    heads = weights.shape[1]
    key = f"heads_{name}"

    data = encodings.heads(
        weights,
        titles=[[f"{row} · {head}" for head in range(1, heads + 1)] for row in rows],
        chosen=chosen if chosen[1] < heads else (0, 0),
        words={"label": _("Heads of the first layer in both orders; arrow keys choose one")},
    )
    draw(data, key=key, on_head=take_place(key, "head", "moved_head", 2, heads))
