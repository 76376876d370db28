"""Part 1: for one token attention is an affine map; what makes it more than that, measured on this model."""

from __future__ import annotations

import streamlit as st

from core.experiments import feed_forward as experiments
from pages.parts import models
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.words import Words

ROUNDING = 1e-9


def affine(here: Visit) -> None:
    """A prediction, the defects of this model's parts, and where its weights are."""
    _ = here.words
    st.subheader(_("What attention does to one token"))
    guess = predict(
        _,
        "feed_affine_guess",
        _(
            "Give this model's attention a sentence of **one** token. Its weight is 1, whatever the query. Is what "
            "comes out an **affine** function of what went in (a matrix and a constant)?"
        ),
        {"yes": _("yes"), "no": _("no")},
    )
    if guess is None:
        return
    config = here.model.transformer.config
    layers = {str(number): str(number) for number in range(1, config.encoder_layers + 1)}
    layer = int(choose_one(_("Layer of the encoder"), "feed_affine_layer", layers, "1")) - 1
    count = len(here.run.source_tokens)
    places = min(1, count - 1), min(2, count - 1)
    found = experiments.defects(models.in_double(here.model.name), here.run, layer, places)
    pieces = [here.run.source_tokens[place].piece for place in places]
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.latex(r"\text{defect} = \frac{\|f(a+b) - f(a) - f(b) + f(0)\|}{\|f(a)-f(0)\| + \|f(b)-f(0)\|}")
        st.dataframe(
            {
                _("part of this layer"): [_names(_)[name] for name in found],
                _("affine defect"): [
                    f"{value:.1e}" if value < ROUNDING else f"{value:.3f}" for value in found.values()
                ],
                _("affine?"): [_("yes") if value < ROUNDING else _("no") for value in found.values()],
            },
            hide_index=True,
            height="content",
        )
        st.caption(
            _(
                "Measured on this sentence in double precision: a and b are the streams of “{a}” and “{b}” as they "
                "enter this layer. An affine map has defect 0; what is left of it is rounding."
            ).format(a=pieces[0], b=pieces[1])
        )
    with right:
        _findings(_, guess, found)
        _weights(here)


def _names(_: Words) -> dict[str, str]:
    return {
        "one": _("attention, one token"),
        "one with residual": _("x + attention, one token"),
        "many": _("attention, the whole sentence"),
        "norm": _("the norm"),
        "feed-forward": _("feed-forward"),
        "no function": _("feed-forward without its function"),
    }


def _findings(_: Words, guess: str, found: dict[str, float]) -> None:
    answer = _("yes") if found["one"] < ROUNDING else _("no")
    said = {"yes": _("yes"), "no": _("no")}[guess]
    st.markdown(_("You said **{guess}**. Measured: **{answer}**.").format(guess=said, answer=answer))
    st.markdown(
        _(
            "The values are linear, the weights of one token are fixed, W_O is linear: no number of such layers can do "
            "more to a token by itself than one matrix. Among **several** tokens attention is no longer affine, for "
            "queries meet keys in a product and a softmax; and the norm divides. But what is to be done to each token "
            "**alone** is the feed-forward network's work, and it is the function between its matrices that does it."
        )
    )


def _weights(here: Visit) -> None:
    _ = here.words
    found = experiments.weights(here.model.transformer)
    layers = found["attention"] + found["feed-forward"]
    names = {
        "embedding": _("embedding"),
        "attention": _("attention"),
        "feed-forward": _("feed-forward"),
        "other": _("the rest"),
    }
    st.html(facts({_("weights: {part}").format(part=names[name]): f"{count:,}" for name, count in found.items()}))
    st.caption(
        _(
            "Counted in this model: of what attention and feed-forward learn, feed-forward has {share}. In the paper's "
            "base model an encoder layer has two thirds there, a decoder layer half (d_ff = 4d)."
        ).format(share=f"{found['feed-forward'] / layers:.0%}")
    )
