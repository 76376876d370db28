"""Part 3: what of a batch a token notices, norm by norm; and what a norm remembers."""

import streamlit as st

from core.experiments import norms as experiments
from pages.parts import models
from pages.parts.address import keep
from pages.parts.escape import in_html
from pages.parts.frame import Visit
from pages.parts.masks.show import amount
from pages.parts.norms.show import (
    MORE_PADS,
    ROUNDING,
    Asked,
    asked_of,
    change_table,
    choose_site,
    inputs,
    kind_names,
    length_of,
)
from pages.parts.positions.show import predict
from pages.parts.words import Words

UNTOUCHED = ("mates", "pads", "future", "alone", "single", "eval")
"""Interventions that leave the token's own numbers as they are."""


def mates(here: Visit) -> None:
    """A prediction, the measurement, and the question of moving averages."""
    _ = here.words
    st.subheader(_("Does a token notice its batch?"))
    guess = predict(_, "mate_guess", _question(_), _options(_))
    if guess is not None:
        _test(here, guess)
    st.divider()
    _memory(here)


def _question(_: Words) -> str:
    return _(
        "A batch holds your sentence and two others. The **others** are exchanged for different ones; yours stays as "
        "it is. Which norms, in training, give the tokens of **your** sentence other values?"
    )


def _options(_: Words) -> dict[str, str]:
    return {
        "none": _("none of them"),
        "batch": _("batch norm alone"),
        "sentence": _("batch, instance and group norm"),
        "all": _("all of them"),
    }


def _names(_: Words) -> dict[str, str]:
    return {
        "mates": _("other batch-mates"),
        "pads": _("{count} more pads").format(count=MORE_PADS),
        "future": _("another last token"),
        "alone": _("batch of one"),
        "single": _("one token alone"),
        "eval": _("train → eval"),
        "constant": _("all features + {value}").format(value=f"{experiments.CONSTANT:g}"),
        "scale": _("all features × {value}").format(value=f"{experiments.FACTOR:g}"),
        "features": _("each feature × its own"),
    }


def _notes(_: Words) -> dict[str, str]:
    return {
        "mates": _("the other two sentences exchanged"),
        "pads": _("behind every sentence, with the values this model gives them"),
        "future": _("of your sentence, after the token looked at"),
        "alone": _("the other sentences removed"),
        "single": _("batch 1, length 1"),
        "eval": _("after this one batch has been seen"),
        "constant": _("x + c in the whole batch"),
        "scale": _("c · x in the whole batch"),
        "features": _("factors from ½ to 2"),
    }


# --- the test -------------------------------------------------------------------------------------------------------


def _test(here: Visit, guess: str) -> None:
    _ = here.words
    left, right = st.columns(2, gap="large", vertical_alignment="bottom")
    with left:
        path = choose_site(here)
    if path is None:
        return
    with right:
        place = _choose_token(here, path)
    found = _moved(asked_of(here), path, place)
    names, notes, kinds = _names(_), _notes(_), kind_names(_)
    rows = {names[each]: [found[each][kind] for kind in kinds] if each in found else [None] * 5 for each in names}
    left, right = st.columns([8, 5], gap="large")
    left.html(change_table(list(kinds.values()), rows, {names[each]: notes[each] for each in names}))
    left.caption(
        _(
            "Measured live in double precision, in training mode with γ = 1 and β = 0: the **largest change of any "
            "feature of this one token** after the norm. Normalised values have a size of about 1. A bold 0 is exact "
            "to the last bit."
        )
    )
    with right:
        _findings(_, found, guess)


def _choose_token(here: Visit, path: str) -> int:
    """The position of the token looked at; the last is left out where another stands before it."""
    _, run = here.words, here.run
    tokens = run.source_tokens if path.startswith("encoder") else run.target_tokens
    count = max(1, length_of(run, path) - 1)
    key = "mate_source" if path.startswith("encoder") else "mate_target"
    place = keep(key, min(2, count - 1), lambda text: min(max(int(text), 0), count - 1))
    st.selectbox(
        _("The token looked at"),
        list(range(count)),
        format_func=lambda each: f"{each + 1} · {tokens[each].piece}" if each < len(tokens) else str(each + 1),
        key=key,
        persist_state="session",
    )
    return place


@st.cache_data(max_entries=120, show_spinner=False)
def _moved(asked: Asked, path: str, place: int) -> experiments.Moved:
    x, others, longer = inputs(asked)[path], inputs(asked, "others")[path], inputs(asked, pads=MORE_PADS)[path]
    length = _length(asked, path)
    changed = experiments.interventions(x, others[1:], longer[:, x.shape[1] :], place, length)
    return experiments.moved(x, place, changed)


def _length(asked: Asked, path: str) -> int:
    return length_of(models.run(*asked), path)


def _findings(_: Words, found: experiments.Moved, guess: str) -> None:
    kinds = kind_names(_)
    noticed = [kinds[kind] for kind, change in found["mates"].items() if change > ROUNDING]
    st.markdown(
        _("You said **{guess}**. Exchanging the batch-mates moves the token under: **{noticed}**.").format(
            guess=_options(_)[guess], noticed=", ".join(noticed) or _("none of them")
        )
    )
    exact = {kind for kind in kinds if all(found[each][kind] == 0 for each in UNTOUCHED if each in found)}
    if exact:
        st.markdown(
            _(
                "- **{names}**: exactly 0 in every row that leaves the token's own numbers alone. That is why a "
                "sentence may be computed in any batch, with any padding, and one token at a time."
            ).format(names=", ".join(kinds[kind] for kind in kinds if kind in exact))
        )
    seen = {kind: found["future"][kind] for kind in kinds if "future" in found and found["future"][kind] > ROUNDING}
    if seen:
        st.markdown(
            _(
                "- **{names}** notice a token that comes **later** (by up to {most}). In a decoder that is a leak: see "
                "the trained twins."
            ).format(names=", ".join(kinds[kind] for kind in seen), most=amount(max(seen.values())))
        )
    shifted = [kinds[kind] for kind, change in found["constant"].items() if change > ROUNDING]
    st.markdown(
        _(
            "- A **constant** added to all features is noticed by: {shifted}. RMSNorm subtracts no mean; the others "
            "do. **Scaling** moves nothing beyond {left}, and that is ε, the 10⁻⁵ under the root. Scaling **each "
            "feature** differently is invisible only to norms that treat each feature apart."
        ).format(shifted=", ".join(shifted) or _("none of them"), left=amount(max(found["scale"].values())))
    )


# --- what a norm remembers ------------------------------------------------------------------------------------------


def _memory(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Does layer norm keep a moving average?"))
    question = _(
        "A learner's note on layer norm says: “mean and variance are obtained from a **moving average**.” Which of "
        "these norms store one?"
    )
    options = {
        "layer": _("layer norm alone"),
        "batch": _("batch norm alone"),
        "both": _("both of them"),
        "none": _("none of them"),
    }
    guess = predict(_, "memory_guess", question, options)
    if guess is None:
        return
    width = here.model.network.config.width
    kinds = kind_names(_)
    kept = {kind: experiments.stored(kind, width) for kind in kinds}
    table = {
        _("norm"): list(kinds.values()),
        _("learned"): [_listed(learned) for learned, _buffers in kept.values()],
        _("remembered from batches"): [_listed(buffers) for _learned, buffers in kept.values()],
    }
    st.html(_table(table))
    remembering = [kinds[kind] for kind, (_learned, buffers) in kept.items() if buffers]
    st.markdown(
        _(
            "You said **{guess}**. What is kept beside the weights: **{names}**. Layer norm computes mean and variance "
            "anew from each token, in training and after; the moving average in the note belongs to batch norm, which "
            "needs it because at inference there may be no batch."
        ).format(guess=options[guess], names=", ".join(remembering) or "–")
    )
    st.caption(
        _(
            "Read from the modules themselves, built for {width} features: what a checkpoint of each would hold. "
            "PyTorch says the same of its LayerNorm: it “uses statistics computed from input data in both training and "
            "evaluation modes”."
        ).format(width=width)
    )


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in parts.items()) or "–"


def _table(columns: dict[str, list[str]]) -> str:
    """HTML of a small table of words, which wraps where the screen is narrow."""
    cell = "padding:.35rem .9rem .35rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere"
    head = "".join(f'<th scope="col" style="{cell};font-size:.85rem">{in_html(name)}</th>' for name in columns)
    rows = "".join(
        "<tr>" + "".join(f'<td style="{cell}">{in_html(value)}</td>' for value in row) + "</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    return f"<table><tr>{head}</tr>{rows}</table>"
