"""Part 4: whether ReLU makes gradients vanish: other functions in its place, with and without residuals."""

from __future__ import annotations

import streamlit as st

from core.charts import residuals as charts
from core.experiments import residuals as experiments
from core.experiments.residuals import FUNCTIONS, Activation
from core.run import Run
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.residuals.show import length
from pages.parts.words import Words

BLOCKS = 24
NAMES = {"linear": "linear", "relu": "ReLU", "gelu": "GELU", "tanh": "tanh"}


def culprit(here: Visit) -> None:
    """A claim, a prediction, feed-forward blocks in a row, and how many neurons are shut."""
    _ = here.words
    st.subheader(_("“Gradients vanish because of the ReLU in the feed-forward block”"))
    guess = predict(
        _,
        "residual_relu_guess",
        _(
            "Says a learner's note. Put {blocks} untrained feed-forward blocks in a row, once with each function, and "
            "no residual. Through which does **least** gradient come back?"
        ).format(blocks=BLOCKS),
        NAMES,
    )
    if guess is None:
        return
    skips = {"off": _("without residual"), "on": _("with residual and norm (pre-LN)")}
    skip = choose_one(_("Residual"), "residual_relu_skip", skips, "off", labelled=False)
    found = {way: {NAMES[name]: _activation(name, skip=way == "on") for name in FUNCTIONS} for way in ("off", "on")}
    left, right = st.columns([6, 5], gap="large")
    with left:
        series = {name: list(enumerate(each.lengths)) for name, each in found[skip].items()}
        words = {"x": _("blocks passed on the way back"), "y": _("median length of the gradient")}
        level = (1.0, _("as it arrived"))
        st.vega_lite_chart(charts.curves(series, words=words, logarithmic=True, level=level))
        st.caption(
            _(
                "Measured here: {tokens} random tokens of {width} channels, weights as ours are before training "
                "(seed 0). “linear” has no function at all."
            ).format(tokens=experiments.TOKENS, width=experiments.WIDE)
        )
    with right:
        _table(_, found)
        _verdict(_, guess, found)
    st.divider()
    _shut(here)


@st.cache_data(max_entries=16, show_spinner=False)
def _activation(name: str, *, skip: bool) -> Activation:
    return experiments.activation(name, BLOCKS, skip=skip)


def _table(_: Words, found: dict[str, dict[str, Activation]]) -> None:
    st.markdown(_("**Left of a gradient of length 1 after {blocks} blocks**").format(blocks=BLOCKS))
    st.dataframe(
        {
            _("function"): list(found["off"]),
            _("no residual"): [length(each.lengths[-1]) for each in found["off"].values()],
            _("with residual"): [length(each.lengths[-1]) for each in found["on"].values()],
            _("neurons dead for all tokens"): [
                f"{each.dead:.1%}" if name == "ReLU" else "–" for name, each in found["off"].items()
            ],
        },
        hide_index=True,
        height="content",
    )


def _verdict(_: Words, guess: str, found: dict[str, dict[str, Activation]]) -> None:
    bare = {name: each.lengths[-1] for name, each in found["off"].items()}
    kept = [each.lengths[-1] for each in found["on"].values()]
    least = min(bare, key=bare.__getitem__)
    st.markdown(
        _("You said **{guess}**. Least comes back through **{least}**.").format(guess=NAMES[guess], least=least)
    )
    steps = {name: value ** (1 / BLOCKS) for name, value in bare.items()}
    st.markdown(
        _(
            "Without a residual the gradient shrinks through **every** one of them, even with no function at all "
            "(by {linear} per block; through ReLU by {relu}): what multiplies is the whole block, weights included. "
            "With the residual all of them end between {low} and {high}: whatever the function, the way around it "
            "stays open. So ReLU is not the culprit; it was brought in **against** vanishing, as its slope is 1 "
            "wherever a neuron is open (Glorot et al. 2011)."
        ).format(
            linear=f"× {steps['linear']:.2f}",
            relu=f"× {steps['ReLU']:.2f}",
            low=length(min(kept)),
            high=length(max(kept)),
        )
    )


def _shut(here: Visit) -> None:
    """The neurons of this model on this sentence."""
    _ = here.words
    config = here.model.transformer.config
    if config.activation == "none":
        st.info(_("This model has no feed-forward network, so no neuron to look at."), icon=":material/info:")
        return
    st.subheader(_("Shut neurons in this model"))
    rows = [_layer(here.run, stack, layer) for stack, layer in _layers(here)]
    st.dataframe(
        {
            _("layer"): [
                f"{_('Encoder') if stack == 'encoder' else _('Decoder')} {layer + 1}" for stack, layer in _layers(here)
            ],
            _("open, over tokens and neurons"): [f"{each[0]:.1%}" for each in rows],
            _("neurons open at no token"): [f"{each[1]:.1%}" for each in rows],
        },
        hide_index=True,
        height="content",
    )
    st.caption(
        _(
            "Measured on this sentence; a neuron is open where its preactivation is above 0. One that is shut here may "
            "open in another sentence: gradient passes through those that are open, and through the residual always."
        )
    )


def _layers(here: Visit) -> list[tuple[str, int]]:
    config = here.model.transformer.config
    return [(stack, layer) for stack in experiments.STACKS for layer in range(experiments.depth(config, stack))]


def _layer(run: Run, stack: str, layer: int) -> tuple[float, float]:
    above = run.tensor(f"{stack}.{layer}.feed_forward.preactivation") > 0
    return float(above.float().mean()), float((~above.any(0)).float().mean())
