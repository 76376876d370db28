"""Part 3: whether a residual guarantees a gradient of at least 1, on random blocks and on this model's own."""

from __future__ import annotations

import statistics

import streamlit as st

from core.charts import residuals as charts
from core.experiments import residuals as experiments
from core.experiments.residuals import Block, Spectrum, Stretch
from pages.parts import models
from pages.parts.address import keep
from pages.parts.decoding.show import whole
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.residuals.show import Question, choose_stack, length, question, sublayer_names, tokens_of
from pages.parts.tokens.alone import alone
from pages.parts.training.show import dial
from pages.parts.words import Words

SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5)
BLOCKS = (1, 3, 6, 12, 24, 48)
FLOOR = 1e-20


def at_least_one(here: Visit) -> None:
    """A claim and a prediction, a block with dials, then this model's own sub-layers."""
    _blocks(here)
    st.divider()
    _own(here)


@alone
def _blocks(here: Visit) -> None:
    _ = here.words
    st.subheader(_("“The residual guarantees a gradient of at least 1”"))
    st.latex(
        r"y = x + f(x) \quad\Rightarrow\quad \frac{\partial L}{\partial x} = J^\top \frac{\partial L}{\partial y},"
        r"\qquad J = I + \frac{\partial f}{\partial x}"
    )
    guess = predict(
        _,
        "residual_least_guess",
        _(
            "So says a learner's note: the identity contributes a 1. A gradient comes back longer or shorter by "
            "direction, between the smallest and the largest **singular value** of J. For f(x) = Wx with small random "
            "weights (σ = 0.1): in how many of {draws} draws is the smallest at least 1?"
        ).format(draws=experiments.DRAWS),
        {"all": _("in all"), "most": _("in most"), "few": _("in a few"), "none": _("in none")},
    )
    if guess is None:
        return
    block, count = _dials(_)
    found, claim = _stretch(block, count), _stretch(Block(0.1), 1)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _chart(_, block, found)
    with right:
        _figures(_, found, count)
        at_least = sum(each >= 1 for each in claim.smallest)
        said = {"all": _("in all"), "most": _("in most"), "few": _("in a few"), "none": _("in none")}
        st.markdown(
            _(
                "You said **{guess}**. With f(x) = Wx and σ = 0.1 it is in **{count} of {draws}**. A 1 in a matrix is "
                "not a 1 for the gradient: W adds to it in some directions and takes from it in others. And with "
                "f(x) = −x nothing is left at all."
            ).format(guess=said[guess], count=at_least, draws=len(claim.smallest))
        )
        st.markdown(
            _(
                "What He et al. (2016, eq. 5) do say: the identity is an **added** term, so the gradient is “unlikely "
                "to be canceled”, and does not vanish when the weights are small. Turn the residual off to see what it "
                "is worth; turn σ up to see it **explode**; then add a norm."
            )
        )


def _dials(_: Words) -> tuple[Block, int]:
    branches = {"linear": "Wx", "tanh": "tanh(Wx)", "relu": "ReLU(Wx)", "minus": "−σx"}
    norms = {"none": _("no norm"), "before": _("norm before f"), "after": _("norm after the sum")}
    skips = {"on": _("with residual"), "off": _("without")}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        branch = choose_one("f(x)", "residual_branch", branches, "linear")
        norm = choose_one(_("Norm"), "residual_norm", norms, "none")
        skip = choose_one(_("Residual"), "residual_skip", skips, "on")
    left, right = st.columns(2, gap="large")
    with left:
        sigma = dial(_("σ, size of the weights"), "residual_sigma", SIGMAS, 0.5)
    with right:
        count = int(dial(_("Blocks in a row"), "residual_blocks", BLOCKS, 48))
    where = {"none": "none", "before": "before", "after": "after"}[norm]
    return Block(sigma, branch, where, skip == "on"), count  # type: ignore[arg-type]


@st.cache_data(max_entries=300, show_spinner=False)
def _stretch(block: Block, count: int) -> Stretch:
    return experiments.stretch(block, count)


def _chart(_: Words, block: Block, found: Stretch) -> None:
    name = _("a random gradient of length 1")
    middle = [(place, value) for place, (_low, value, _high) in enumerate(found.lengths)]
    bands = {
        name: [(place, max(low, 1e-300), max(high, 1e-300)) for place, (low, _middle, high) in enumerate(found.lengths)]
    }
    st.markdown(_("**What is left of a gradient after so many blocks**, going back"))
    if not any(value > 0 for _place, value in middle[1:]):
        st.info(_("After the first block exactly **0** is left."), icon=":material/info:")
        return
    words = {"x": _("blocks passed on the way back"), "y": _("length")}
    level = (1.0, _("at least 1?"))
    st.vega_lite_chart(
        charts.curves({name: middle}, words=words, logarithmic=True, floor=FLOOR, level=level, bands=bands)
    )
    st.caption(
        _(
            "Measured here: {draws} draws of {width} × {width} weights from N(0, σ²/{width}) (seed 0), inputs from "
            "N(0, 1). Median and, as a band, lowest to highest."
        ).format(draws=experiments.DRAWS, width=experiments.WIDTH)
    )


def _figures(_: Words, found: Stretch, count: int) -> None:
    st.html(
        facts(
            {
                _("one block: smallest singular value"): f"{statistics.median(found.smallest):.3f}",
                _("largest"): f"{statistics.median(found.largest):.3f}",
                _("draws with a smallest below 1"): f"{found.below:.0%}",
                _("left after {count} blocks").format(count=count): length(found.lengths[-1][1]),
            }
        )
    )


# --- this model's own sub-layers ------------------------------------------------------------------------------------


@alone
def _own(here: Visit) -> None:
    _ = here.words
    st.subheader(_("This model's own sub-layers"))
    stack = choose_stack(_, "residual_own_stack")
    tokens = tokens_of(here.run, stack)
    place = keep("residual_token", 2, whole(1, len(tokens)))
    st.selectbox(
        _("Token"),
        range(1, len(tokens) + 1),
        format_func=lambda number: f"{number}: {tokens[number - 1].piece}",
        key="residual_token",
        persist_state="session",
        width=260,
    )
    with st.spinner(_("One gradient for each channel of each sub-layer …")):
        found = _spectra(here.model.name, question(here), stack, place - 1)
    names = sublayer_names(_, [(each.place, each.layer) for each in found])
    ranges = {
        name: (max(each.smallest, 1e-6), each.median, each.largest) for name, each in zip(names, found, strict=True)
    }
    words = {
        "name": _("sub-layer"),
        "value": _("singular values of ∂ stream after / ∂ stream before"),
        "smallest": _("smallest"),
        "median": _("median"),
        "largest": _("largest"),
    }
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.vega_lite_chart(charts.spans(ranges, words=words, level=(1.0, _("at least 1?"))))
    with right:
        _reading(here, found)
    st.caption(
        _("Measured on this sentence, for this token alone: all other tokens are held as they are. Dot: the median.")
    )


@st.cache_data(max_entries=120, show_spinner=False)
def _spectra(name: str, asked: Question, stack: str, token: int) -> list[Spectrum]:
    return experiments.spectra(models.model(name).transformer, *asked, stack, token)


def _reading(here: Visit, found: list[Spectrum]) -> None:
    _ = here.words
    below = sum(each.smallest < 1 for each in found)
    st.html(
        facts(
            {
                _("sub-layers with a smallest below 1"): _("{below} of {all}").format(below=below, all=len(found)),
                _("smallest of all"): length(min(each.smallest for each in found)),
                _("largest of all"): length(max(each.largest for each in found)),
                _("largest of a branch alone"): length(max(each.branch for each in found)),
            }
        )
    )
    median = statistics.median(each.median for each in found)
    residual = here.model.transformer.config.residual
    if residual == "pre-norm":
        st.markdown(
            _(
                "The median is **{median}**: in most directions the trained sub-layers let a gradient pass as it is, "
                "and that is the identity at work. In some they shorten it, in some they stretch it: that is what the "
                "branch learned to do."
            ).format(median=f"{median:.3f}")
        )
    elif residual == "post-norm":
        st.markdown(
            _(
                "The median is **{median}**. With the norm after the sum there is no free way past: the norm's own "
                "Jacobian multiplies the identity too, dividing by the deviation of the sum, and what shifts or "
                "stretches a token is always lost."
            ).format(median=f"{median:.3f}")
        )
    else:
        st.markdown(
            _("The median is **{median}**: without a residual there is nothing but the branch.").format(
                median=length(median)
            )
        )
