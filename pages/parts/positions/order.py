"""Part 4: what is lost without positions: the same words in another order, and positions taken away afterwards."""

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import streamlit as st

from core.charts import positions as charts
from core.checkpoint import Model
from core.experiments import twins as experiments
from core.experiments.positions import word_order
from core.measures.curves import by_seed
from core.run import Run
from core.tokens import Token
from pages.parts import models
from pages.parts.address import keep
from pages.parts.escape import facts, titled
from pages.parts.frame import Visit
from pages.parts.positions.show import number, predict
from pages.parts.positions.twins import EVERY, TWINS, introduce, palette, run_of
from pages.parts.words import Words
from pages.parts.zoo import at_hand, cards, names

CAT, CAT_ORDER = "I am a cat", (0, 4, 1, 3, 2, 5)
ROUNDING = 1e-4
PAIR = ("positions-none", "positions-sum")


def worth(here: Visit) -> None:
    """Four words in two orders, then the sentence above and a shuffled version of it."""
    _ = here.words
    twins = at_hand(_, TWINS)
    if not twins:
        return
    introduce(here, twins)
    st.subheader(_("“I am a cat” and “cat I a am”"))
    guess = predict(
        _,
        "order_guess",
        _(
            "A learner's note says that without positions both are read as the same sentence. In the encoder of the "
            "twin **without positions**, how many of the four words end up with another vector when the order changes?"
        ),
        _guesses(_),
    )
    if guess is None:
        return
    _cat(_, twins, guess)
    st.divider()
    _shuffled(here, twins)
    st.divider()
    _stored(here, [name for name in EVERY if name in twins or name not in TWINS])


# --- four words in two orders ---------------------------------------------------------------------------------------


def _guesses(_: Words) -> dict[str, str]:
    return {"none": _("none"), "some": _("some"), "all": _("all")}


def _cat(_: Words, twins: Mapping[str, Model], guess: str) -> None:
    shown = [name for name in PAIR if name in twins]
    found = {name: _reordered(CAT, "en-ko", name, CAT_ORDER) for name in shown}
    left, right = st.columns([6, 5], gap="large")
    with left:
        run = models.run(CAT, "en-ko", shown[0]) if shown else None
        if run:
            pieces = [run.source_tokens[index].piece for index in CAT_ORDER]
            st.altair_chart(
                charts.lengths(
                    pieces,
                    {names(_)[name]: each.moved for name, each in found.items()},
                    words={"token": _("token"), "length": _("largest change of the state")},
                    palette=palette(_),
                )
            )
    with right:
        st.html(
            facts(
                {
                    _("{twin}: largest change").format(twin=names(_)[name]): number(max(each.moved))
                    for name, each in found.items()
                }
            )
        )
        if "positions-none" in found:
            changed = sum(each > ROUNDING for each in found["positions-none"].moved[1:-1])
            st.markdown(
                _(
                    "You said **{guess}**. Without positions **{changed}** of the four change by more than rounding."
                ).format(guess=_guesses(_)[guess], changed=changed)
            )
        st.markdown(
            _(
                "Without positions the encoder is **equivariant**: permute the words and the same vectors come out, "
                "permuted alike; what is left is rounding. So it cannot know who did what. With positions every "
                "vector changes."
            )
        )
        _mask(_, twins)
    st.caption(
        _(
            "Measured: each token's last encoder state in the second order, minus its state in the first. Both orders "
            "hold the same tokens; “cat” without a capital would add a mark of its own."
        )
    )


def _mask(_: Words, twins: Mapping[str, Model]) -> None:
    """The decoder's side of the story: a causal mask is an order too."""
    name = "positions-none"
    if name not in twins:
        return
    run = models.run(CAT, "en-ko", name)
    units = units_of(run.target_tokens)
    if len({unit for unit in units if unit >= 0}) < 2:
        return
    moved = experiments.reorder_target(twins[name], run, word_order(units, 0))
    st.markdown(
        _(
            "The **decoder** is another matter: its mask lets a word see only those before it, so even without "
            "positions another order gives other states. Largest change there: **{change}**."
        ).format(change=number(max(moved)))
    )


# --- the sentence above ---------------------------------------------------------------------------------------------


def _shuffled(here: Visit, twins: Mapping[str, Model]) -> None:
    _, run = here.words, here.run
    st.subheader(_("Your sentence, shuffled"))
    seed = keep("shuffle", 1, lambda text: min(max(int(text), 1), 9_999))
    order = tuple(word_order(units_of(run.source_tokens), seed))
    if order == tuple(range(len(order))):
        st.markdown(_("This sentence has a single word; type a longer one to shuffle it."))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(_("Shuffle again"), icon=":material/shuffle:", on_click=_again)
        st.html(titled(_("Shuffled"), spelled(run, order)))
    columns = st.columns(2, gap="medium")
    for index, name in enumerate(twins):
        with columns[index % 2], st.container(border=True):
            _side_by_side(here, name, order)
    st.caption(
        _(
            "Measured on this sentence: every twin reads the same tokens in both orders. “Largest change” compares "
            "each token's last encoder state with that of the same token before."
        )
    )


def _again() -> None:
    st.session_state["shuffle"] = st.session_state.get("shuffle", 1) % 9_999 + 1


def _side_by_side(here: Visit, name: str, order: tuple[int, ...]) -> None:
    _ = here.words
    before = run_of(here, name)
    after = _reordered(before.source_text, before.direction, name, order)
    st.markdown(f"**{names(_)[name]}**")
    st.html(titled(_("as typed"), before.translation) + titled(_("shuffled"), after.translation))
    same = before.translation == after.translation
    verdict = _("same translation") if same else _("another translation")
    st.markdown(_("{verdict} · largest change **{change}**").format(verdict=verdict, change=number(max(after.moved))))


@st.cache_data(max_entries=120, show_spinner=False)
def _reordered(text: str, direction: str, name: str, order: tuple[int, ...]) -> experiments.Reordered:
    return experiments.reorder(models.model(name), models.run(text, direction, name), order)


def units_of(tokens: Sequence[Token]) -> list[int]:
    """The word each token moves with; specials and punctuation stay where they are."""
    return [token.word if any(map(str.isalnum, token.piece)) else -1 for token in tokens]


def spelled(run: Run, order: tuple[int, ...]) -> str:
    """The sentence in the new order, its words as they were typed."""
    tokens = [run.source_tokens[index] for index in order if not run.source_tokens[index].special]
    words: list[tuple[int, int, int]] = []
    for token in tokens:
        if words and words[-1][0] == token.word:
            words[-1] = (token.word, min(words[-1][1], token.start), max(words[-1][2], token.end))
        else:
            words.append((token.word, token.start, token.end))
    return re.sub(r" (?=[.,?!]( |$))", "", " ".join(run.source_text[start:end] for _word, start, end in words))


# --- taken away after training --------------------------------------------------------------------------------------


def _stored(here: Visit, wanted: Sequence[str]) -> None:
    """Accuracy of every twin as typed, with its encoder's positions removed, and with the pieces shuffled."""
    _ = here.words
    st.subheader(_("Positions taken away after training"))
    found = {name: _orders(card) for name, card in cards(_, wanted).items()}
    shown = {name: each for name, each in found.items() if each}
    if without := [names(_)[name] for name in found if name not in shown]:
        st.caption(_("Stored without these figures: {names}.").format(names=", ".join(without)))
    if not shown:
        return
    ways = {"typed": _("as typed"), "removed": _("positions removed"), "shuffled": _("pieces shuffled")}
    figures = {
        title: {names(_)[name]: [each[f"{way}_exact_match"] for each in seeds] for name, seeds in shown.items()}
        for way, title in ways.items()
    }
    left, right = st.columns([6, 5], gap="large")
    with left:
        words = {"split": _("model"), "accuracy": _("share translated exactly")}
        st.altair_chart(charts.accuracies(figures, words=words))
    with right:
        st.markdown(_lost(_, shown))
        st.caption(
            _(
                "Stored from the evaluation of the training runs, both directions, held-out new sentences: a dot is "
                "the median over the seeds. “Removed” sets the encoder's sinusoids, learned rows, angles or biases to "
                "0; “shuffled” reads the pieces in a random order and still expects the translation of the sentence as "
                "typed. The twin without positions is the null: there is nothing to remove."
            )
        )


def _orders(card: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """The figures of all seeds that have them."""
    return [each["order"] for each in by_seed(card) if each.get("order")]


def _lost(_: Words, shown: Mapping[str, list[Mapping[str, float]]]) -> str:
    """Who loses most and least of those that have positions, and what that says."""
    medians = {
        name: {way: median(each[f"{way}_exact_match"] for each in seeds) for way in ("typed", "removed", "shuffled")}
        for name, seeds in shown.items()
    }
    losses = {name: each["typed"] - each["removed"] for name, each in medians.items() if name != PAIR[0]}
    said = []
    if losses:
        most, least = max(losses, key=losses.__getitem__), min(losses, key=losses.__getitem__)
        said.append(
            _("Without the positions it was trained with, **{most}** falls from {typed} to {removed}.").format(
                most=names(_)[most], typed=f"{medians[most]['typed']:.0%}", removed=f"{medians[most]['removed']:.0%}"
            )
        )
        if least != most:
            said.append(
                _("**{least}** loses least: from {typed} to {removed}.").format(
                    least=names(_)[least],
                    typed=f"{medians[least]['typed']:.0%}",
                    removed=f"{medians[least]['removed']:.0%}",
                )
            )
    if PAIR[0] in medians:
        null = medians[PAIR[0]]
        said.append(
            _("A twin that never had positions gets {typed}, and {shuffled} with the pieces shuffled.").format(
                typed=f"{null['typed']:.0%}", shuffled=f"{null['shuffled']:.0%}"
            )
        )
    return " ".join(said)
