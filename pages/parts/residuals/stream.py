"""Part 1: how long the stream is at every token, and what each sub-layer writes into it."""

from __future__ import annotations

import numpy as np
import streamlit as st
from torch import Tensor
from torch.nn import functional

from core.charts import embeddings, figures
from core.charts import residuals as charts
from core.charts.embeddings import Line
from core.experiments import residuals as experiments
from core.experiments.residuals import Written
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.residuals.show import choose_stack, length, sublayer_names, tokens_of
from pages.parts.words import Words

SMALL = 0.2  # written over carried, up to which the difference is called small


def carried(here: Visit) -> None:
    """A prediction; then the stream's length along the stack, and what was written, sub-layer by sub-layer."""
    _ = here.words
    st.subheader(_("What each sub-layer writes"))
    guess = predict(
        _,
        "residual_share_guess",
        _(
            "A learner's note says that with residuals attention need only make “the **difference**”. How long is what "
            "one sub-layer of this model writes, beside what is carried around it, on average?"
        ),
        _guesses(_),
    )
    if guess is None:
        return
    stack = choose_stack(_, "residual_stack")
    steps = experiments.stream(here.run, stack)
    ratio = _mean_ratio(experiments.stream(here.run, "encoder") + experiments.stream(here.run, "decoder"))
    left, right = st.columns(2, gap="large")
    with left:
        _growth(here, stack, steps)
    with right:
        _shares(_, steps)
        _verdict(_, guess, ratio)
    _every_token(here, stack, steps)


def _guesses(_: Words) -> dict[str, str]:
    return {"tenth": _("about a tenth"), "half": _("about half"), "same": _("about as long"), "more": _("longer")}


def _mean_ratio(steps: list[Written]) -> float:
    """Length written over length carried, mean over tokens and sub-layers; infinite where nothing is carried."""
    ratios = [step.written.norm(dim=-1) / step.carried.norm(dim=-1) for step in steps]
    return float(np.mean([float(each.mean()) for each in ratios]))


def _growth(here: Visit, stack: str, steps: list[Written]) -> None:
    _, run = here.words, here.run
    start = run.tensor(experiments.stages(run.transformer.config, stack)[0])
    names = [_("input"), *sublayer_names(_, [(step.place, step.layer) for step in steps])]
    measured = [_mean(start), *(_mean(step.after) for step in steps)]
    lines = [Line(_("stream"), measured, figures.INDIGO)]
    if run.transformer.config.residual == "pre-norm":
        null = _("if all that is written were unrelated")
        lines.append(Line(null, experiments.unrelated(start, steps), figures.GREY, null=True))
    st.markdown(_("**Length of the stream**, mean over the tokens, measured on this sentence"))
    st.vega_lite_chart(embeddings.by_stage(lines, names, axis=_("length"), stage=_("after which sub-layer")))
    if len(lines) > 1:
        last = measured[-1] / lines[1].values[-1]
        said = (
            _("The stream ends up **longer** than that ({ratio} times): sub-layers write in directions already taken.")
            if last > 1.02
            else _("The stream ends up **shorter** than that ({ratio} times): sub-layers also take things back out.")
            if last < 0.98
            else _("The stream ends up as long as that ({ratio} times).")
        )
        st.caption(_("Grey: squares added, as for random directions.") + " " + said.format(ratio=f"{last:.2f}"))


def _shares(_: Words, steps: list[Written]) -> None:
    st.markdown(_("**What is carried around a sub-layer, and what it writes**, mean length over the tokens"))
    series = {
        _("carried"): [_mean(step.carried) for step in steps],
        _("written"): [_mean(step.written) for step in steps],
    }
    names = sublayer_names(_, [(step.place, step.layer) for step in steps])
    words = {"name": _("sub-layer"), "value": _("length")}
    st.vega_lite_chart(charts.bars(series, names, words=words, colours=(figures.GREY, figures.ORANGE)))


def _verdict(_: Words, guess: str, ratio: float) -> None:
    if not np.isfinite(ratio) or ratio > 1e4:
        st.markdown(_("This model carries **nothing** around its sub-layers: what they write is all there is."))
        return
    measured = _("You said **{guess}**. It is **{ratio}** times as long, over all sub-layers of both stacks.")
    said = (
        _("So what is written is a small difference: each step changes a token a little.")
        if ratio < SMALL
        else _("So what is written is a difference, though no small one: on average the longer part is carried.")
        if ratio < 1
        else _("So what is written is more than a difference: on average it is longer than what it is added to.")
    )
    st.markdown(measured.format(guess=_guesses(_)[guess], ratio=f"{ratio:.2f}") + " " + said)


def _every_token(here: Visit, stack: str, steps: list[Written]) -> None:
    _, run = here.words, here.run
    st.subheader(_("Token by token"))
    kinds = {
        "after": _("length of the stream"),
        "written": _("length of what is written"),
        "share": _("written ÷ carried"),
        "turn": _("cosine of written and carried"),
    }
    kind = choose_one(_("What is shown"), "residual_cells", kinds, "after", labelled=False)
    if run.transformer.config.residual == "none" and kind in ("share", "turn"):
        st.info(_("Nothing is carried here, so there is nothing to compare with."), icon=":material/info:")
        return
    values = np.stack([_figure(kind, step).numpy() for step in steps])
    names = sublayer_names(_, [(step.place, step.layer) for step in steps])
    tokens = [token.piece for token in tokens_of(run, stack)]
    words = {"stage": _("sub-layer"), "token": _("token"), "value": kinds[kind]}
    st.vega_lite_chart(charts.cells(values, stages=names, tokens=tokens, words=words))
    row, column = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    st.html(
        facts(
            {
                _("largest"): length(float(values[row, column])),
                _("at"): f"{names[row]}, {tokens[column]}",
                _("mean"): length(float(values.mean())),
            }
        )
    )
    if kind == "turn":
        st.caption(
            _(
                "Measured on this sentence. A cosine of 0 is a new direction, −1 takes back what was there. Two random "
                "vectors of {width} channels have one of ±{chance} or so."
            ).format(width=run.transformer.config.width, chance=f"{run.transformer.config.width**-0.5:.2f}")
        )
    else:
        st.caption(_("Measured on this sentence, edits left out."))


def _figure(kind: str, step: Written) -> Tensor:
    if kind == "turn":
        return functional.cosine_similarity(step.written, step.carried, dim=-1)
    if kind == "share":
        return step.written.norm(dim=-1) / step.carried.norm(dim=-1)
    return (step.after if kind == "after" else step.written).norm(dim=-1)


def _mean(vectors: Tensor) -> float:
    return float(vectors.norm(dim=-1).mean())
