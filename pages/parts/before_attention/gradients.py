"""Part 4: how far back the gradient of the end reaches, before training and in the trained readers (E09)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.charts.recurrence import Points, lines, over_tokens
from core.experiments.recurrence import SINGLE, fall, output_reaches, reaches_at_start, reaches_of
from core.tokens import Direction, Token
from core.variants import BASE, VARIANTS
from pages.parts import models
from pages.parts.address import keep
from pages.parts.before_attention.rows import GRU, LSTM, READERS, RNN, names, palette, reference
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import number, predict
from pages.parts.words import Words
from pages.parts.zoo import at_hand

LENGTH, FAR = 48, 32
BIASES, RADII = (-2.0, 5.0), (0.5, 2.0)
LOWEST = 1e-12


def gradients(here: Visit) -> None:
    """A prediction, the experiment before training, then the trained readers on this sentence."""
    _ = here.words
    st.markdown(
        _(
            "A learner's note says that long-term dependency makes gradients vanish. It is the other way round: on the "
            "way back through time the gradient is multiplied by one matrix at every step, and what shrinks at each "
            "step is soon gone. **That** is why a dependency over many steps is hard to learn (Hochreiter 1991; Bengio "
            "et al. 1994)."
        )
    )
    st.latex(
        r"\frac{\partial h_T}{\partial x_{T-k}} = "
        r"\underbrace{\frac{\partial h_T}{\partial h_{T-1}} \cdots \frac{\partial h_{T-k+1}}{\partial h_{T-k}}}"
        r"_{k \text{ factors}} \; \frac{\partial h_{T-k}}{\partial x_{T-k}}"
    )
    _at_start(_)
    st.divider()
    _trained(here)


# --- before training ------------------------------------------------------------------------------------------------


def _at_start(_: Words) -> None:
    st.subheader(_("Before training"))
    guess = predict(
        _,
        "before_guess",
        _(
            "The LSTM was invented so that gradients survive. Freshly initialised, with its forget bias at **0**, does "
            "more of the gradient arrive {far} tokens back than in a simple RNN?"
        ).format(far=FAR),
        _guesses(_),
    )
    if guess is None:
        return
    left, right = st.columns(2, gap="large")
    bias = _slider(left, _("Forget bias of the LSTM"), "before_bias", 0.0, BIASES)
    radius = _slider(right, _("Length of the eigenvalues of U in the RNN"), "before_radius", 1.0, RADII)
    found = {
        RNN: _reaches(RNN, radius=radius),
        LSTM: _reaches(LSTM, bias=bias),
        GRU: _reaches(GRU),
        BASE: _reaches(BASE),
    }
    titles = names(_) | {BASE: _("Self-attention")}
    colours = {titles[name]: palette(_)[names(_)[name]] for name in found}
    st.vega_lite_chart(
        lines(
            {titles[name]: points(values) for name, values in found.items()},
            words={
                "x": _("tokens back from the last"),
                "y": _("movement of the last state (% per %)"),
                "null": _("lost beside 1 in single precision"),
            },
            palette=colours,
            null=SINGLE,
            up="log",
        )
    )
    st.html(
        facts({_("{name}: per token").format(name=titles[name]): f"× {fall(each):.2f}" for name, each in found.items()})
    )
    st.caption(
        _(
            "Measured on fresh networks of the very rows trained here, {length} random word vectors, middle of two "
            "seeds. Push a word by 1% of its length in a random direction: the last state moves by so many % of its "
            "own. “Per token” is the factor from one distance to the next (a line through the logarithms)."
        ).format(length=LENGTH)
    )
    _verdict(_, guess, bias, found)


def _guesses(_: Words) -> dict[str, str]:
    return {"more": _("more in the LSTM"), "less": _("less in the LSTM"), "same": _("about the same")}


def _slider(
    place: st.delta_generator.DeltaGenerator, label: str, key: str, default: float, ends: tuple[float, float]
) -> float:
    def inside(text: str) -> float:
        value = round(2 * float(text)) / 2 if math.isfinite(float(text)) else default
        return min(max(value, ends[0]), ends[1])

    value = keep(key, default, inside)
    place.slider(label, *ends, step=0.5, key=key, persist_state="session")
    return value


@st.cache_data(max_entries=64, show_spinner=False)
def _reaches(name: str, bias: float | None = None, radius: float = 1.0) -> list[float]:
    config = VARIANTS[name].config(2)
    return reaches_at_start(config, LENGTH, forget_bias=bias, radius=radius)


def points(values: Sequence[float]) -> Points:
    """Values by distance, as far as the chart goes down."""
    return [(distance, value) for distance, value in enumerate(values) if value >= LOWEST]


def _verdict(_: Words, guess: str, bias: float, found: Mapping[str, list[float]]) -> None:
    """The prediction against the measured, whatever the sliders show; then what the slider did."""
    closed, simple = _reaches(LSTM, bias=0.0)[FAR], _reaches(RNN)[FAR]
    ratio = closed / simple
    answer = "same" if 0.5 < ratio < 2 else "more" if ratio > 1 else "less"
    st.markdown(
        _(
            "You said **{guess}**; measured: **{answer}**. {far} tokens back {lstm} arrives in the LSTM with forget "
            "bias 0 and {rnn} in the RNN whose U is a rotation."
        ).format(guess=_guesses(_)[guess], answer=_guesses(_)[answer], far=FAR, lstm=number(closed), rnn=number(simple))
    )
    gate = 1 / (1 + math.exp(-bias))
    st.markdown(
        _(
            "An LSTM's memory is multiplied by its forget gate at each step, and a bias of {bias} opens that to about "
            "σ({bias}) = **{gate}**: after {far} steps {kept} is left along the memory. At this setting the RNN's "
            "gradient at that distance is {times} times the LSTM's. Bias 0 is about what many libraries begin with; "
            "Gers et al. 2000 opened the gate, Jozefowicz et al. 2015 recommend 1, as in the training here."
        ).format(
            bias=f"{bias:g}",
            gate=f"{gate:.2f}",
            far=FAR,
            kept=number(gate**FAR),
            times=number(found[RNN][FAR] / found[LSTM][FAR]),
        )
    )
    flat, near = found[BASE][FAR], found[BASE][0]
    mean = sum(found[BASE][1:]) / (len(found[BASE]) - 1)
    st.markdown(
        _(
            "Self-attention reaches every token in one step, so its curve hardly falls: {flat} at {far} tokens back, "
            "{mean} on average over all others, but {near} for the token itself. Flat is not large: each of {length} "
            "tokens gets about one in {length} of what comes through attention."
        ).format(flat=number(flat), far=FAR, mean=number(mean), near=number(near), length=LENGTH)
    )


# --- after training -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What came of pushing each token: how far the end moved, and the factor per token on the way back.

    Where the output was asked, also the probability that moved.
    """

    values: list[float]
    probability: float | None = None

    @property
    def fall(self) -> float:
        return fall(self.values[::-1])


def _trained(here: Visit) -> None:
    _ = here.words
    st.subheader(_("After training, on this sentence"))
    readers = at_hand(_, READERS)
    if not readers:
        return
    end = choose_one(_("The gradient"), "before_end", _ends(_), "state")
    asked = here.run.source_text, here.run.direction
    if end == "state":
        found = {name: Found(_reaches_trained(*asked, name)) for name in readers}
    else:
        text = reference(here)
        found = {name: Found(*_outputs(*asked, name, text)) for name in readers}
    _by_token(here, end, found)
    if end == "state":
        _before_and_after(_, found)
    else:
        _probabilities(_, found)
    _first_word(_, end, here.run.source_tokens, {name: each.values for name, each in found.items()})


def _ends(_: Words) -> dict[str, str]:
    """What the gradient is of."""
    return {"state": _("of the last state"), "output": _("of the last output")}


def _by_token(here: Visit, end: str, found: Mapping[str, Found]) -> None:
    _ = here.words
    moved = {
        "state": _("movement of the last state (% per %)"),
        "output": _("movement of the last output (% per %)"),
    }
    st.vega_lite_chart(
        over_tokens(
            [token.piece for token in here.run.source_tokens],
            {names(_)[name]: each.values for name, each in found.items()},
            words={
                "x": _("token that is pushed (last: 0 back)"),
                "y": moved[end],
                "null": _("lost beside 1 in single precision"),
            },
            palette=palette(_),
            null=SINGLE,
            up="log",
        )
    )
    captions = {
        "state": _(
            "Measured on this sentence. The last state is what the writer begins from; of two directions both last "
            "states together, of the Transformer, whose writer reads all states, that of the end token."
        ),
        "output": _(
            "Measured on this sentence, all reading the same reference. The last output is the probability p of the "
            "end token after all words of the reference. The length of ∂ log p / ∂ word is taken times the word's own "
            "length over √channels: push a word by 1% of its length in a random direction, and p moves by so many % "
            "of itself. Who is sure (p near 1) is hardly moved by anything: compare the slopes, not the heights."
        ),
    }
    st.caption(captions[end])


def _before_and_after(_: Words, found: Mapping[str, Found]) -> None:
    for name in (name for name in (RNN, GRU, LSTM) if name in found):
        st.markdown(
            _("**{name}**: × {fresh} per token before training, × {trained} after it on this sentence.").format(
                name=names(_)[name], fresh=f"{fall(_reaches(name)):.2f}", trained=f"{found[name].fall:.2f}"
            )
        )


def _probabilities(_: Words, found: Mapping[str, Found]) -> None:
    """How sure each reader is of the last token, and by how much its gradient falls on the way back."""
    rows = [
        {
            _("reader"): names(_)[name],
            _("p of the last token"): each.probability,
            _("per token back"): f"× {each.fall:.2f}",
        }
        for name, each in found.items()
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        column_config={_("p of the last token"): st.column_config.NumberColumn(format="%.4f")},
    )


def _first_word(_: Words, end: str, tokens: Sequence[Token], found: Mapping[str, Sequence[float]]) -> None:
    """Which reader listens most and least to the first word in the end, beside the word it listens to most."""
    first = next((index for index, token in enumerate(tokens) if not token.special), 0)
    shares = {name: values[first] / max(values) for name, values in found.items() if max(values) > 0}
    if len(shares) < 2:
        return
    least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    said = {
        "state": _(
            "The push of the first word beside the strongest push in the sentence, by the last state: most is left in "
            "**{most}** ({high}), least in **{least}** ({low})."
        ),
        "output": _(
            "The push of the first word beside the strongest push in the sentence, by the last output: most is left in "
            "**{most}** ({high}), least in **{least}** ({low})."
        ),
    }
    st.markdown(
        said[end].format(
            most=names(_)[most],
            high=number(shares[most]),
            least=names(_)[least],
            low=number(shares[least]),
        )
    )


@st.cache_data(max_entries=120, show_spinner=False)
def _reaches_trained(text: str, direction: Direction, name: str) -> list[float]:
    values: list[float] = reaches_of(models.run(text, direction, name)).tolist()
    return values


@st.cache_data(max_entries=120, show_spinner=False)
def _outputs(text: str, direction: Direction, name: str, target: str) -> tuple[list[float], float]:
    moved, probability = output_reaches(models.run(text, direction, name, (), target))
    return moved.tolist(), probability
