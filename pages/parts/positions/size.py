"""Part 2: whether position must be small beside the word, measured on this sentence and with a probe."""

import streamlit as st
from torch import Tensor

from core.charts import positions as charts
from core.experiments import positions as experiments
from pages.parts import models
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_number
from pages.parts.positions.show import predict
from pages.parts.positions.twins import run_of
from pages.parts.words import Words
from pages.parts.zoo import at_hand

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
WIDTHS = (16, 32, 64, 128)


def size(here: Visit) -> None:
    """A learner's claim, a prediction, the measurement, and why the claim cannot be right."""
    _ = here.words
    st.subheader(_("Must position be small beside the word?"))
    guess = predict(_, "size_guess", _question(_), _options(_))
    if guess is None:
        return
    _measured(here, guess)
    st.divider()
    _probe(_)


def _question(_: Words) -> str:
    return _(
        "A learner's note says: “The position's values must be **very small** compared with the word vector, or they "
        "distort it.” How long do you expect a position's vector to be in the trained translator, beside a word's?"
    )


def _options(_: Words) -> dict[str, str]:
    return {
        "hundredth": _("about 1/100"),
        "tenth": _("about 1/10"),
        "half": _("about half"),
        "same": _("about as long"),
        "longer": _("several times longer"),
    }


def _measured(here: Visit, guess: str) -> None:
    _ = here.words
    found = at_hand(_, [models.TRANSLATOR])
    if not found:
        return
    run, config = run_of(here, models.TRANSLATOR), found[models.TRANSLATOR].network.config
    words, places = run.source.embedding.norm(dim=-1), run.source.position.norm(dim=-1)
    series = {_("word vector × √d"): words.tolist(), _("position vector"): places.tolist()}
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown(_("**Length of both vectors for every token**, measured on this sentence"))
        pieces = [token.piece for token in run.source_tokens]
        names = {"token": _("token"), "length": _("length of the vector")}
        st.altair_chart(charts.lengths(pieces, series, words=names))
    with right:
        _figures(_, words, places, config.content_width)
        st.markdown(
            _("You said **{guess}**. Here a position is **{ratio}** times as long as a word, on average.").format(
                guess=_options(_)[guess], ratio=f"{_mean(places) / _mean(words):.2f}"
            )
        )
        st.markdown(
            _(
                "Every pair of a sine and a cosine has length 1, so a position's vector always has length √(d/2). "
                "The embedding is multiplied by √d = {root} before the sum (section 3.4), which is what keeps it "
                "from being drowned; training then decides the rest, word by word."
            ).format(root=f"{config.content_width**0.5:.0f}")
        )


def _figures(_: Words, words: Tensor, places: Tensor, width: int) -> None:
    root = width**0.5
    st.html(
        facts(
            {
                _("word, mean length"): f"{_mean(words):.2f}",
                _("position, mean length"): f"{_mean(places):.2f}",
                _("position ÷ word"): f"{_mean(places) / _mean(words):.2f}",
                _("the same without × √d"): f"{root * _mean(places) / _mean(words):.2f}",
                _("at the start of training, on average"): f"{(width / 2) ** 0.5 / root:.2f}",
            }
        )
    )


def _mean(lengths: Tensor) -> float:
    return float(lengths.mean())


# --- the probe ------------------------------------------------------------------------------------------------------


def _probe(_: Words) -> None:
    st.subheader(_("How small may it be and still be read?"))
    st.markdown(
        _(
            "Mix {tokens} random word vectors with {places} positions, and let a linear probe (ridge regression) read "
            "both back from the one mixed vector: the word at places, and the place beside words, that the probe has "
            "never seen. **Scale 1** is what the paper adds."
        ).format(tokens=experiments.TOKENS, places=experiments.PLACES)
    )
    left, right = st.columns([6, 5], gap="large")
    width = choose_number(_("Width d of the mixed vector"), "probe", WIDTHS, 64)
    found = {scale: _readable(width, scale, "sum") for scale in SCALES}
    concat = _readable(width, 1.0, "concat")
    token, place = _("which word"), _("which position")
    with left:
        st.altair_chart(
            charts.readable(
                SCALES,
                {token: [each.token for each in found.values()], place: [each.place for each in found.values()]},
                {token: concat.token, place: concat.place},
                {token: 1 / experiments.TOKENS, place: 1 / experiments.PLACES},
                words={
                    "scale": _("scale of the positions"),
                    "accuracy": _("share read correctly"),
                    "sum": _("sum"),
                    "concat": _("concat, ¾ word and ¼ position"),
                    "chance": _("guessing"),
                },
            )
        )
    with right:
        _reading(_, found, concat)


@st.cache_data(max_entries=120, show_spinner=False)
def _readable(width: int, scale: float, join: experiments.Join) -> experiments.Readable:
    return experiments.probe(width, scale, join)


def _reading(_: Words, found: dict[float, experiments.Readable], concat: experiments.Readable) -> None:
    st.markdown(
        _(
            "- At scale **{small}** the position is read from {small_place} of the vectors; guessing gets {chance}. "
            "Very small means unreadable.\n"
            "- At scale **1** it is {one_place}, and the word is still read from {one_token}.\n"
            "- At scale **{large}** it is {large_place}; the word, {large_token}. The price shows in narrow vectors "
            "only: try d = 16.\n"
            "- **Concat** reads {concat_place} of the positions and {concat_token} of the words, with the same d."
        ).format(
            small=SCALES[0],
            small_place=_percent(found[SCALES[0]].place),
            chance=_percent(1 / experiments.PLACES),
            one_place=_percent(found[1.0].place),
            one_token=_percent(found[1.0].token),
            large=f"{SCALES[-1]:.0f}",
            large_place=_percent(found[SCALES[-1]].place),
            large_token=_percent(found[SCALES[-1]].token),
            concat_place=_percent(concat.place),
            concat_token=_percent(concat.token),
        )
    )
    st.caption(_("Measured here, on random word vectors (seed 0), not on the translator."))


def _percent(share: float) -> str:
    return f"{share:.1%}"
