"""Part 5: gradients of networks that have learned nothing, with the norm before and after each sub-layer."""

import statistics

import streamlit as st

from core.charts import norms as charts
from core.experiments import norms as experiments
from core.tokens import Direction
from core.variants import BASE, VARIANTS
from pages.parts import models
from pages.parts.frame import Visit
from pages.parts.norms.show import batch
from pages.parts.options import choose_number
from pages.parts.positions.show import number, predict
from pages.parts.words import Words
from pages.parts.zoo import first

DEPTHS = (2, 6, 12)
SEEDS = (0, 1, 2)
PLACES = ("post-norm", "pre-norm")
GROWS, EVEN = 2.0, 0.5
Found = dict[tuple[str, int], list[experiments.Initial]]
"""A network of each seed, by where its norm stands and how deep it is."""


def place_names(_: Words) -> dict[str, str]:
    """Where the norm may stand."""
    return {"post-norm": _("Post-LN, as in the paper"), "pre-norm": _("Pre-LN, as in this translator")}


def beginning(here: Visit) -> None:
    """What Xiong et al. derive, a prediction, and what is found here."""
    _ = here.words
    st.subheader(_("Before or after the sub-layer?"))
    left, right = st.columns(2, gap="large")
    left.markdown(_("**Post-LN** (Vaswani et al. 2017): the norm stands **on** the residual path."))
    left.latex(r"x_{l+1} = \mathrm{LN}\bigl(x_l + f(x_l)\bigr)")
    right.markdown(_("**Pre-LN** (most models since): the norm stands **beside** it."))
    right.latex(r"x_{l+1} = x_l + f\bigl(\mathrm{LN}(x_l)\bigr)")
    guess = predict(_, "depth_guess", _question(_), _options(_))
    if guess is not None:
        _measured(here, guess)


def _question(_: Words) -> str:
    return _(
        "Post-LN needs **warm-up**. Xiong et al. (2020) explain it by the gradients **at initialisation**. In a "
        "decoder of 12 layers that has learned nothing, how does the gradient of the feed-forward weights in the "
        "**last** layer compare with that in the **first**, with post-LN?"
    )


def _options(_: Words) -> dict[str, str]:
    return {
        "smaller": _("it is smaller"),
        "same": _("about as large"),
        "larger": _("several times larger"),
        "far": _("more than 20 times larger"),
    }


@st.cache_resource(max_entries=12, show_spinner=False)
def _found(text: str, direction: Direction) -> Found:
    """Networks of the base's shape, on the sentence and its batch-mates with their translations."""
    model = models.model(first())
    config = VARIANTS[BASE].config(model.tokenizer.size)
    read = batch((text, direction, model.name))
    return {
        (place, depth): [
            experiments.at_initialisation(config, read, residual=place, depth=depth, seed=seed) for seed in SEEDS
        ]
        for place in PLACES
        for depth in DEPTHS
    }


def _measured(here: Visit, guess: str) -> None:
    _ = here.words
    with st.spinner(_("Building networks and sending a gradient back through each …")):
        found = _found(here.run.source_text, here.run.direction)
    depth = choose_number(_("Layers of encoder and decoder"), "norm_depth", DEPTHS, DEPTHS[-1])
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**Gradient of W₂**, layer by layer of the decoder"))
        words = {"layer": _("layer of the decoder"), "value": "‖∂loss/∂W₂‖"}
        st.altair_chart(charts.by_layer(_layers(_, found, depth, "gradients"), words=words))
    with right:
        st.markdown(_("**The same in the last layer**, by how many layers there are"))
        _last(_, found)
    _answer(_, found, guess)
    _stream(_, found, depth)


def _layers(_: Words, found: Found, depth: int, what: str) -> dict[str, list[list[float]]]:
    """A figure of each layer over the seeds."""
    return {
        name: [[getattr(each, what)[layer] for each in found[place, depth]] for layer in range(depth)]
        for place, name in place_names(_).items()
    }


def _last(_: Words, found: Found) -> None:
    names = place_names(_)
    measured = {
        name: [[each.gradients[-1] for each in found[place, depth]] for depth in DEPTHS]
        for place, name in names.items()
    }
    begin = {name: statistics.median(values[0]) for name, values in measured.items()}
    theory = {
        names["post-norm"]: [begin[names["post-norm"]]] * len(DEPTHS),
        names["pre-norm"]: [begin[names["pre-norm"]] * (DEPTHS[0] / depth) ** 0.5 for depth in DEPTHS],
    }
    words = {"depth": _("layers"), "value": "‖∂loss/∂W₂‖", "theory": _("bound of Xiong et al., relative")}
    st.altair_chart(charts.by_depth(DEPTHS, measured, theory, words=words))
    st.caption(
        _(
            "The bound of Xiong et al. says how the gradient changes with depth, not how large it is: the dashed lines "
            "begin at what was measured with {shallow} layers."
        ).format(shallow=DEPTHS[0])
    )


def _ratio(found: Found, place: str, depth: int) -> float:
    """The last layer's gradient over the first's, the median of the seeds."""
    return statistics.median(each.gradients[-1] / each.gradients[0] for each in found[place, depth])


def _end(found: Found, place: str, depth: int) -> float:
    return statistics.median(each.gradients[-1] for each in found[place, depth])


def _answer(_: Words, found: Found, guess: str) -> None:
    deep, shallow = DEPTHS[-1], DEPTHS[0]
    post, pre = (_ratio(found, place, deep) for place in PLACES)
    st.markdown(
        _(
            "You said **{guess}**. With {deep} layers the last layer's gradient is **{post}** times the first's with "
            "post-LN, **{pre}** times with pre-LN."
        ).format(guess=_options(_)[guess], deep=deep, post=_times(post), pre=_times(pre))
    )
    kept, shrunk = (_end(found, place, deep) / _end(found, place, shallow) for place in PLACES)
    first = (
        _(
            "**Reproduced**: with post-LN the gradient grows towards the output, with pre-LN it does not. It takes "
            "depth: with {shallow} layers, post-LN's last is × {few} its first."
        )
        if post > GROWS > pre
        else _(
            "**Not reproduced**: the gradient should grow towards the output with post-LN and not with pre-LN. With "
            "{shallow} layers, post-LN's last is × {few} its first."
        )
    )
    second = (
        _(
            "**Reproduced**: from {shallow} to {deep} layers the last layer's gradient stays with post-LN (× {kept}) "
            "and shrinks with pre-LN (× {shrunk}; the bound, 1/√L, says × {bound})."
        )
        if EVEN < kept < GROWS and shrunk < kept
        else _(
            "**Not reproduced**: from {shallow} to {deep} layers the last layer's gradient changes × {kept} with "
            "post-LN and × {shrunk} with pre-LN (the bound, 1/√L, says × {bound})."
        )
    )
    st.markdown("- " + first.format(shallow=shallow, few=_times(_ratio(found, "post-norm", shallow))))
    st.markdown(
        "- "
        + second.format(
            shallow=shallow,
            deep=deep,
            kept=f"{kept:.2f}",
            shrunk=f"{shrunk:.2f}",
            bound=f"{(shallow / deep) ** 0.5:.2f}",
        )
    )
    st.caption(
        _(
            "Measured: networks of the twins' shape with fresh weights (seeds {seeds}; the line is the median, the "
            "band the range), the loss of this sentence and two samples. Xiong et al. 2020, theorem 1: the last "
            "layer's gradient is O(d√ln d) with post-LN, however many layers there are, and O(d√(ln d / L)) with "
            "pre-LN."
        ).format(seeds=", ".join(map(str, SEEDS)))
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"


def _stream(_: Words, found: Found, depth: int) -> None:
    st.subheader(_("Why: what the norm does to the stream"))
    left, right = st.columns([6, 5], gap="large")
    with left:
        words = {"layer": _("layer of the decoder"), "value": _("mean square of the residual stream")}
        st.altair_chart(charts.by_layer(_layers(_, found, depth, "stream"), words=words))
    first, last = (
        statistics.median(each.stream[layer] for each in found["pre-norm", depth]) for layer in (0, depth - 1)
    )
    right.markdown(
        _(
            "With **pre-LN** nobody norms the stream itself: every sub-layer adds to it, and its mean square grows "
            "from {first} to {last}. The later a norm stands, the more it divides by, and the smaller the gradient "
            "behind it. With **post-LN** every sum is brought back to {one}: each layer counts as much as the last, "
            "and a gradient on its way down passes every norm, each of which divides it."
        ).format(
            first=f"{first:.2f}",
            last=f"{last:.2f}",
            one=number(statistics.median(each.stream[-1] for each in found["post-norm", depth])),
        )
    )
