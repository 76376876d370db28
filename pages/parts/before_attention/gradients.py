"""Part 4: how far back the gradient of the last state reaches, before training and in the trained readers (E09)."""

import math
from collections.abc import Mapping, Sequence

import streamlit as st

from core.charts.recurrence import Points, lines, over_tokens
from core.experiments.recurrence import SINGLE, fall, reaches_at_start, reaches_of
from core.tokens import Token
from core.variants import BASE, VARIANTS
from pages.parts import models
from pages.parts.address import keep
from pages.parts.before_attention.rows import GRU, LSTM, READERS, RNN, names, palette
from pages.parts.escape import facts
from pages.parts.frame import Visit
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


def _trained(here: Visit) -> None:
    _ = here.words
    st.subheader(_("After training, on this sentence"))
    readers = at_hand(_, READERS)
    if not readers:
        return
    tokens = [token.piece for token in here.run.source_tokens]
    found = {name: _reaches_trained(here.run.source_text, here.run.direction, name) for name in readers}
    st.vega_lite_chart(
        over_tokens(
            tokens,
            {names(_)[name]: values for name, values in found.items()},
            words={
                "x": _("token that is pushed"),
                "y": _("movement of the last state (% per %)"),
                "null": _("lost beside 1 in single precision"),
            },
            palette=palette(_),
            null=SINGLE,
            up="log",
        )
    )
    st.caption(
        _(
            "Measured on this sentence. The last state is what the writer begins from; of two directions both last "
            "states together, of the Transformer, whose writer reads all states, that of the end token."
        )
    )
    slopes = {name: (fall(_reaches(name)), fall(found[name][::-1])) for name in (RNN, GRU, LSTM) if name in found}
    for name, (fresh, trained) in slopes.items():
        st.markdown(
            _("**{name}**: × {fresh} per token before training, × {trained} after it on this sentence.").format(
                name=names(_)[name], fresh=f"{fresh:.2f}", trained=f"{trained:.2f}"
            )
        )
    _first_word(_, here.run.source_tokens, found)


def _first_word(_: Words, tokens: Sequence[Token], found: Mapping[str, Sequence[float]]) -> None:
    """Which reader's last state listens most and least to the first word, beside the word it listens to most."""
    first = next((index for index, token in enumerate(tokens) if not token.special), 0)
    shares = {name: values[first] / max(values) for name, values in found.items() if max(values) > 0}
    if len(shares) < 2:
        return
    least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    st.markdown(
        _(
            "The push of the first word beside the strongest push in the sentence: most is left in **{most}** "
            "({high}), least in **{least}** ({low})."
        ).format(
            most=names(_)[most],
            high=number(shares[most]),
            least=names(_)[least],
            low=number(shares[least]),
        )
    )


@st.cache_data(max_entries=120, show_spinner=False)
def _reaches_trained(text: str, direction: str, name: str) -> list[float]:
    values: list[float] = reaches_of(models.run(text, direction, name)).tolist()
    return values
