"""Part 3: pads behind the sentence, hidden and not: what moves in which layer."""

import streamlit as st

from core.charts.embeddings import Line, by_stage
from core.charts.figures import GREY, INDIGO, ORANGE
from core.experiments import masks as experiments
from core.run import Run
from core.tokens import Direction, detect_direction
from pages.parts import models
from pages.parts.address import keep, one_of, publish
from pages.parts.bar import SAMPLES
from pages.parts.edits import unedited
from pages.parts.escape import facts, in_html, large
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import number, predict
from pages.parts.tables import table_height
from pages.parts.words import Words

MOST_PADS = 20
NOTHING = 1e-9  # in double precision, a change below is rounding
Asked = tuple[str, Direction, str]
"""Text, direction and model of a run."""


@st.fragment
def padding(here: Visit) -> None:
    """A prediction, then this sentence with pads or beside a longer one, with the padding mask and without."""
    _ = here.words
    st.subheader(_("Does padding change anything?"))
    guess = predict(_, "pad_guess", _question(_), _options(_))
    if guess is not None:
        _lab(here, guess)
    publish()


def _question(_: Words) -> str:
    return _(
        "Sentences are computed in batches, and shorter ones are filled up with `<pad>`. A pad is a token like any "
        "other: it has an embedding, a query, a key, a value. The padding mask hides it from everybody. With the mask "
        "**on**, how much do pads change the real tokens, layer by layer?"
    )


def _options(_: Words) -> dict[str, str]:
    return {"none": _("not at all"), "grows": _("a little, more with every layer"), "much": _("a lot")}


def _lab(here: Visit, guess: str) -> None:
    _, run = here.words, here.run
    asked = (run.source_text, run.direction, here.model.name)
    source, target, beside = _filling(here)
    on, off = (_drift(asked, source, target, beside, masked) for masked in (True, False))
    left, right = st.columns([6, 5], gap="large")
    with left:
        stages = stage_names(_, [each.path for each in on])
        st.markdown(_("**Largest change of any number at a real token**, against the sentence alone"))
        lines = [
            Line(_("mask on"), [each.change for each in on], INDIGO),
            Line(_("mask off"), [each.change for each in off], ORANGE),
            Line(_("typical size there (root mean square)"), [each.size for each in on], GREY, null=True),
        ]
        st.vega_lite_chart(by_stage(lines, stages, axis=_("largest change"), stage=_("stage")), key="pad_drift")
    with right:
        _found(here, guess, on, off, (source, target, beside))
    _table(_, stages, on, off)
    if here.model.transformer.config.mask == "causal":
        st.caption(
            _(
                "The **translation** is padded too, and there no padding mask is needed: its pads come after every "
                "real token, so the look-ahead mask hides them already."
            )
        )
    unedited(here)


def _filling(here: Visit) -> tuple[int, int, str]:
    """The lengths that source and target are filled up to, and the longer sentence of the batch ("" for none)."""
    _, run = here.words, here.run
    real, written = len(run.source_tokens), len(run.target_tokens)
    tokenizer = here.model.tokenizer
    longer = [text for text in SAMPLES if len(tokenizer.source(text, detect_direction(text))) > real]
    modes = {"pads": _("Add pads"), "batch": _("In a batch with a longer sentence")}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        mode = choose_one(_("How"), "pad_mode", modes, "pads")
        if mode == "batch" and longer:
            chosen = keep("pad_beside", longer[-1], one_of(longer))
            st.selectbox(_("The other sentence"), longer, key="pad_beside", persist_state="session", width=480)
            other = models.run(chosen, detect_direction(chosen), here.model.name)
            return len(other.source_tokens), max(written, len(other.target_tokens)), chosen
        pads = keep("pad_count", 4, lambda text: min(max(int(text), 1), MOST_PADS))
        st.slider(_("Number of pads"), 1, MOST_PADS, key="pad_count", persist_state="session", width=320)
    if mode == "batch":
        st.caption(_("None of the samples is longer than this sentence, so pads are added instead."))
    return real + pads, written + pads, ""


@st.cache_resource(max_entries=8, show_spinner=False)
def _in_double(asked: Asked) -> Run:
    return experiments.read_by(models.in_double(asked[2]), models.run(*asked))


@st.cache_resource(max_entries=24, show_spinner=False)
def _padded(asked: Asked, source: int, target: int, beside: str, masked: bool, double: bool) -> Run:
    run = _in_double(asked) if double else models.run(*asked)
    other = models.run(beside, detect_direction(beside), asked[2]) if beside else None
    return experiments.padded(run, source, target, beside=other, masked=masked)


@st.cache_data(max_entries=60, show_spinner=False)
def _drift(
    asked: Asked, source: int, target: int, beside: str, masked: bool, double: bool = True
) -> list[experiments.Drift]:
    alone = _in_double(asked) if double else models.run(*asked)
    return experiments.drift(alone, _padded(asked, source, target, beside, masked, double))


@st.cache_data(max_entries=60, show_spinner=False)
def _translation(asked: Asked, source: int, target: int, beside: str, masked: bool) -> str:
    among_pads = _padded(asked, source, target, beside, masked, True)
    return experiments.padded_translation(models.model(asked[2]), models.run(*asked), among_pads, masked=masked)


def stage_names(_: Words, paths: list[str]) -> list[str]:
    """Stages of the model as the screen calls them."""
    named = []
    for path in paths:
        stack, _dot, rest = path.partition(".")
        if rest.startswith("final_norm"):
            named.append(_("encoder output"))
        elif not rest:
            named.append(_("logits"))
        else:
            form = _("encoder, layer {number}") if stack == "encoder" else _("decoder, layer {number}")
            named.append(form.format(number=int(rest.split(".")[0]) + 1))
    return named


def _found(
    here: Visit,
    guess: str,
    on: list[experiments.Drift],
    off: list[experiments.Drift],
    filling: tuple[int, int, str],
) -> None:
    _, run = here.words, here.run
    asked = (run.source_text, run.direction, here.model.name)
    rounded = max(each.change for each in _drift(asked, *filling, True, False))
    real, pads = len(run.source_tokens), filling[0] - len(run.source_tokens)
    st.html(
        facts(
            {
                _("mask on: largest change in any layer"): f"{max(each.change for each in on):.6f}",
                _("mask off: largest change in any layer"): f"{max(each.change for each in off):.6f}",
            }
        )
    )
    if max(each.change for each in on) < NOTHING:
        said = _("You said **{guess}**. With the mask on, a pad weighs exactly 0 in every row, so nothing moves.")
        single = _(
            "Measured on this sentence, in double precision. In single precision, in which the rest of this app "
            "computes, the largest change is {rounded}: longer rows add up in another order, so rounding differs."
        )
    else:
        said = (
            _(
                "You said **{guess}**. With the padding mask on, the encoder's pads weigh exactly 0, and yet the real "
                "tokens move: this model's **decoder** has no look-ahead mask, so the pads behind the translation are "
                "seen."
            )
            if here.model.transformer.config.mask == "open"
            else _(
                "You said **{guess}**. With the mask on, a pad weighs exactly 0 in every row of attention, and yet the "
                "real tokens move: the **norms** of this model take their mean and variance over other tokens too, and "
                "no mask keeps the pads out of those."
            )
        )
        single = _("Measured on this sentence, in double precision; in single precision the change is {rounded}.")
    st.markdown(said.format(guess=_options(_)[guess]))
    st.caption(single.format(rounded=number(rounded)))
    exposed = _padded(asked, *filling, False, True)
    own, cross = experiments.weight_on_pads(exposed, real)
    st.markdown(
        _(
            "With the mask **off**, {pads} pads draw **{own}** of the weight in the encoder and **{cross}** in "
            "cross-attention (if all keys were alike it would be {even})."
        ).format(pads=pads, own=f"{own:.1%}", cross=f"{cross:.1%}", even=f"{pads / (real + pads):.1%}")
    )
    texts = {
        _("alone"): run.translation,
        _("with pads, mask on"): _translation(asked, *filling, True),
        _("with pads, mask off"): _translation(asked, *filling, False),
    }
    for name, text in texts.items():
        st.html(f'<div style="font-size:.8rem;opacity:.7">{in_html(name)}</div>{large(text)}')


def _table(_: Words, stages: list[str], on: list[experiments.Drift], off: list[experiments.Drift]) -> None:
    table = {
        _("stage"): stages,
        _("mask on"): [each.change for each in on],
        _("mask off"): [each.change for each in off],
        _("typical size there (root mean square)"): [each.size for each in on],
    }
    column = st.column_config.NumberColumn(format="%.6f")
    st.dataframe(
        table,
        hide_index=True,
        height=table_height(len(stages), 420),
        column_config=dict.fromkeys(list(table)[1:], column),
    )
