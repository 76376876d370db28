"""Part 2: the gradient of the loss at every layer's input, with and without residuals, before and after training."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.charts import residuals as charts
from core.charts.positions import COLOURS, RED
from core.experiments import residuals as experiments
from core.experiments.residuals import STACKS, Depths
from core.variants import BASE, VARIANTS
from pages.parts import models, zoo
from pages.parts.curves import learned
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.residuals.show import Question, length, question
from pages.parts.words import Words

DEPTHS = (2, 6, 12)
KINDS = ("pre-norm", "post-norm", "none")
FLOOR = 1e-20
TRAINED = {
    2: {"pre-norm": "depth-2", "none": "depth-2-bare"},
    6: {"pre-norm": "depth-6", "none": "depth-6-bare"},
    12: {"pre-norm": "depth-12", "none": "depth-12-bare"},
}
"""The rows that have so many layers a stack, by what they carry."""


def by_depth(here: Visit) -> None:
    """A prediction, the untrained networks live, the trained ones, and how they learned."""
    _ = here.words
    st.subheader(_("How much gradient reaches the first layer"))
    guess = predict(
        _,
        "residual_depth_guess",
        _(
            "“Residuals let a network be stacked deep”, the notes say. Take 12 + 12 layers **before training, without "
            "residuals**. Of the gradient at the end of the decoder, how much comes back to the decoder's first layer?"
        ),
        _guesses(_),
    )
    if guess is None:
        return
    layers = int(choose_one(_("Layers in each stack"), "residual_layers", {str(n): f"{n} + {n}" for n in DEPTHS}, "12"))
    asked = question(here)
    found = {kind: untrained(here.model.name, asked, layers, kind) for kind in KINDS}
    st.markdown(
        _(
            "**Before training**: {layers} + {layers} layers of {width} channels with random weights (seed 0), "
            "measured on this sentence"
        ).format(layers=layers, width=VARIANTS[BASE].config(0).width)
    )
    _charts(_, found)
    _findings(here, asked, guess)
    st.divider()
    _trained(here, asked, layers)


def _guesses(_: Words) -> dict[str, str]:
    return {
        "all": _("about all"),
        "tenth": _("about a tenth"),
        "millionth": _("about a millionth"),
        "nothing": _("next to nothing"),
    }


def kinds(_: Words) -> dict[str, str]:
    """What is carried around a sub-layer, as it is called on the screen."""
    return {
        "pre-norm": _("residual, pre-LN"),
        "post-norm": _("residual, post-LN"),
        "none": _("no residual"),
    }


def palette(_: Words) -> dict[str, str]:
    """Each kind's colour by its name."""
    return dict(zip(kinds(_).values(), (COLOURS[0], COLOURS[2], RED), strict=True))


@st.cache_data(max_entries=90, show_spinner=False)
def untrained(name: str, asked: Question, layers: int, kind: str) -> Depths:
    """A network of the base row's shape, with so many layers, before training."""
    config = VARIANTS[BASE].config(models.model(name).tokenizer.size)
    return experiments.by_depth(experiments.at_start(config, layers, kind), *asked)


@st.cache_data(max_entries=60, show_spinner=False)
def _of_row(name: str, asked: Question) -> Depths:
    return experiments.by_depth(models.model(name).transformer, *asked)


def _charts(_: Words, found: Mapping[str, Depths]) -> None:
    titles = {"encoder": _("Encoder"), "decoder": _("Decoder")}
    words = {"x": _("layers passed so far"), "y": _("length of ∂ loss / ∂ stream")}
    for column, stack in zip(st.columns(2, gap="large"), STACKS, strict=True):
        series = {kinds(_)[kind]: list(enumerate(each.gradients[stack])) for kind, each in found.items()}
        with column:
            st.markdown(f"**{titles[stack]}**")
            st.vega_lite_chart(
                charts.curves(series, words=words, logarithmic=True, floor=FLOOR, palette=palette(_), height=340)
            )
    st.caption(
        _(
            "Read from right to left: 0 is the input of the first layer, the last number the end of the stack, where "
            "the gradient arrives. Over all tokens; the loss is −log p of this translation. Logarithmic, cut at 10⁻²⁰."
        )
    )


def _findings(here: Visit, asked: Question, guess: str) -> None:
    _ = here.words
    found = {(layers, kind): untrained(here.model.name, asked, layers, kind) for layers in DEPTHS for kind in KINDS}
    rows: dict[str, list[str]] = {_("layers"): [f"{layers} + {layers}" for layers in DEPTHS]}
    for kind in KINDS:
        for stack, title in (("encoder", _("encoder")), ("decoder", _("decoder"))):
            name = f"{kinds(_)[kind]}: {title}"
            rows[name] = [length(found[layers, kind].kept(stack)) for layers in DEPTHS]
    st.markdown(_("**Gradient at the first layer ÷ gradient at the end of the stack**"))
    st.dataframe(rows, hide_index=True, height="content")
    deepest = found[DEPTHS[-1], "none"]
    st.markdown(
        _("You said **{guess}**. With 12 + 12 layers and no residuals it is **{ratio}** of it.").format(
            guess=_guesses(_)[guess], ratio=length(deepest.kept("decoder"))
        )
    )
    if deepest.kept("encoder") > 0.1 > deepest.kept("decoder"):
        st.markdown(
            _(
                "But look at the encoder: there the length **survives** even so ({ratio}), because the norm before "
                "each sub-layer blows up again whatever the one below has shrunk. What is lost there is another thing: "
                "the tokens become alike (part 5). A decoder that reads tokens which are all alike does not depend on "
                "what it asks them: nothing comes back through its queries, and there is no other way."
            ).format(ratio=length(deepest.kept("encoder")))
        )
    after = found[DEPTHS[-1], "post-norm"].kept("decoder")
    if after < 0.1:
        st.markdown(
            _(
                "With the norm **after** the sum a residual is no free way either: in the decoder {ratio} is left, "
                "since each norm divides the identity path too (part 3)."
            ).format(ratio=length(after))
        )
    _stream_growth(_, found)


def _stream_growth(_: Words, found: Mapping[tuple[int, str], Depths]) -> None:
    with st.expander(_("How the stream itself grows before training (Xiong et al. 2020)")):
        deepest = {kind: found[DEPTHS[-1], kind].squares["decoder"] for kind in ("pre-norm", "post-norm")}
        series = {kinds(_)[kind]: list(enumerate(values)) for kind, values in deepest.items()}
        words = {"x": _("layers passed so far"), "y": _("‖x‖² ÷ d, mean over the tokens")}
        st.vega_lite_chart(charts.curves(series, words=words, palette=palette(_), height=320))
        before, after = deepest["pre-norm"], deepest["post-norm"]
        st.markdown(
            _(
                "Decoder of 12 layers: with the norm before each sub-layer ‖x‖²/d goes from {first} to {last}; with "
                "the norm after the sum from {first_post} to {last_post}. Xiong et al. (lemma 2) prove the first grows "
                "in proportion to depth for a stack of attention and feed-forward, by a half to one and a half per "
                "layer; a decoder layer has a cross-attention more. A longer stream means a smaller gradient of the "
                "norms that read it, which is why pre-LN starts gently at any depth."
            ).format(
                first=f"{before[0]:.2f}",
                last=f"{before[-1]:.2f}",
                first_post=f"{after[0]:.2f}",
                last_post=f"{after[-1]:.2f}",
            )
        )


# --- trained --------------------------------------------------------------------------------------------------------


def _trained(here: Visit, asked: Question, layers: int) -> None:
    _ = here.words
    st.subheader(_("After training"))
    wanted = TRAINED[layers]
    twins = zoo.at_hand(_, wanted.values())
    found = {kind: _of_row(name, asked) for kind, name in wanted.items() if name in twins}
    if found:
        _charts(_, found)
        kept = "; ".join(
            f"{kinds(_)[kind]}: {length(each.kept('encoder'))} / {length(each.kept('decoder'))}"
            for kind, each in found.items()
        )
        st.markdown(
            _("Gradient at the first layer ÷ at the end, encoder / decoder: {kept}. The loss here: {losses}.").format(
                kept=kept, losses="; ".join(f"{kinds(_)[kind]} {each.loss:.3g}" for kind, each in found.items())
            )
        )
        st.caption(
            _(
                "Trained rows: {rows}. Measured on this sentence; each reads the translation above as the right one, "
                "so lengths depend on how surprised it is by it."
            ).format(rows="; ".join(zoo.names(_)[wanted[kind]] for kind in found))
        )
    learned(here, list(twins), key="residual_curve", note=_note(_, layers))


def _note(_: Words, layers: int) -> str:
    rows = [VARIANTS[name].recipe.steps for name in TRAINED[layers].values()]
    return _("Each was trained for {steps} steps.").format(steps=f"{max(rows):,}")
