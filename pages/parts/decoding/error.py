"""One wrong token in the right translation, and whether the model finds back: told the truth again, or on its own."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import streamlit as st

from core.charts import decoding as charts
from core.experiments.decoding import HURT, Aftermath, Lane, aftermath
from core.tokens import Tokenizer
from pages.parts.address import keep
from pages.parts.decoding.lanes import key_of_lanes, lane, longest, pairs
from pages.parts.decoding.made import Asked, forced, free, named, plain
from pages.parts.decoding.player import chosen_step, player
from pages.parts.decoding.show import whole
from pages.parts.escape import facts, large
from pages.parts.frame import Visit
from pages.parts.positions.show import predict
from pages.parts.words import Words

ERROR_STEP = "decoding_error_step"
LIKELY, STRANGE = 3, 2  # wrong tokens on offer: likely ones, and ones drawn from the vocabulary


def wrong_token(here: Visit, what: Asked, teacher: Lane, right: tuple[int, ...]) -> None:
    """Replace one gold token, and watch both ways of going on."""
    _, tokenizer = here.words, here.model.tokenizer
    st.subheader(_("One wrong token"))
    if len(right) < 2:
        st.markdown(_("There is no token to replace in so short a translation."))
        return
    st.markdown(
        _(
            "In training the decoder only ever reads right texts; in use, one wrong choice is read in every later step "
            "(**exposure bias**). Put a wrong token into gold: does the model find its way back?"
        )
    )
    place, wrong = _slip(here, teacher, right)
    guess = predict(_, "decoding_recovers", _question(_), _answers(_))
    if guess is None:
        return
    told = (*right[:place], wrong, *right[place + 1 :])
    corrected = forced(what, (what.sentence.start, *told[:-1]))
    alone = free(what, told[: place + 1])
    own = alone.read[1:]
    names = named(tokenizer, (what.sentence.start, *told, *own, *corrected.expected, *alone.expected, *right))
    after = aftermath(teacher, corrected, right, place)
    kinds = ["error" if each == place + 1 else "gold" for each in range(len(right))]
    free_kinds = ["error" if each == place + 1 else "gold" if each <= place else "own" for each in range(len(own))]
    shown = [
        lane(_("Gold with the error"), _("reads gold but for one token"), corrected, right, names, kinds),
        lane(_("On its own after the error"), _("reads itself"), alone, right, names, free_kinds, own),
    ]
    step = chosen_step(longest(shown), ERROR_STEP)
    player(_, charts.lanes(shown, step=step, words={}, key=key_of_lanes(_)), key="decoding_error", name=ERROR_STEP)
    _found(here, guess, after, place, own, right)
    st.markdown(_("**Log-probability of each gold token**, with and without the error"))
    series = {
        _("gold as it is"): pairs(names, right, teacher.of(right)),
        _("with the error"): pairs(names, right, corrected.of(right)),
    }
    words = {"place": _("place"), "axis": _("log-probability"), "marked": _("the wrong token is read from here on")}
    st.vega_lite_chart(charts.lane_curves(series, place + 1, words=words))


def _slip(here: Visit, teacher: Lane, right: tuple[int, ...]) -> tuple[int, int]:
    """Which gold token is replaced, and by what."""
    _, tokenizer = here.words, here.model.tokenizer
    places = len(right) - 1
    place = keep("decoding_place", 1, whole(1, places))
    names = named(tokenizer, right)
    left, middle = st.columns(2, gap="large")
    left.selectbox(
        _("Gold token to replace"),
        range(1, places + 1),
        format_func=lambda number: f"{number}: {names[right[number - 1]]}",
        key="decoding_place",
        persist_state="session",
    )
    offered = _offered(tokenizer, teacher, right, place - 1)
    labels = named(tokenizer, offered)
    slip = keep("decoding_wrong", 0, whole(0, len(offered) - 1))
    kinds = {True: _("likely"), False: _("drawn at random")}
    middle.selectbox(
        _("Replace it with"),
        range(len(offered)),
        format_func=lambda index: f"{labels[offered[index]]} ({kinds[index < LIKELY]})",
        key="decoding_wrong",
        persist_state="session",
    )
    return place - 1, offered[slip]


def _offered(tokenizer: Tokenizer, teacher: Lane, right: tuple[int, ...], place: int) -> list[int]:
    """Wrong tokens: the likeliest others at that place, then some that have nothing to do with it."""
    specials = {tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id, tokenizer.to_korean_id, tokenizer.to_english_id}
    barred = specials | {right[place]}
    ranked = teacher.log_probabilities[place].topk(LIKELY + len(barred)).indices.tolist()
    likely = [each for each in ranked if each not in barred][:LIKELY]
    known = sorted(tokenizer.seen - barred - set(likely))
    return likely + Random(place).sample(known, min(STRANGE, len(known)))


def _question(_: Words) -> str:
    return _(
        "After the wrong token the decoder reads gold again. What do you expect of the gold tokens that follow, "
        "compared with gold as it is?"
    )


def _answers(_: Words) -> dict[str, str]:
    return {
        "nothing": _("nothing changes"),
        "recovers": _("a stumble, then as before"),
        "lost": _("still worse at the end"),
    }


def _found(here: Visit, guess: str, after: Aftermath, place: int, own: Sequence[int], right: Sequence[int]) -> None:
    _, tokenizer = here.words, here.model.tokenizer
    truth = "nothing" if not after.felt else "recovers" if after.recovered else "lost"
    answers = _answers(_)
    st.html(
        facts(
            {
                _("places after it"): str(len(after.falls)),
                _("of these less likely by more than {nats} nats").format(nats=HURT): str(len(after.felt)),
                _("no longer expected first"): str(len(after.missed)),
                _("largest fall (nats)"): f"{min(after.falls, default=0.0):z.3f}",
                _("change at the last place"): f"{after.falls[-1] if after.falls else 0.0:z.3f}",
            }
        )
    )
    st.markdown(_("You said **{guess}**. Measured: **{truth}**.").format(guess=answers[guess], truth=answers[truth]))
    same = own[place + 1 :] == tuple(right[place + 1 :])
    verdict = (
        _("On its own after the error it goes on exactly as gold does: the error stays one token.")
        if same
        else _("On its own after the error it writes this:")
    )
    st.markdown(verdict)
    st.html(large(plain(tokenizer, own)))
