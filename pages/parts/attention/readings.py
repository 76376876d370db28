"""The four ways to read a step: as a story, in numbers, as a formula, as code that runs."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.edits import write_edits
from core.measures.snippets import holds, snippet
from core.measures.walk import Normed, Walk, length
from pages.parts import models
from pages.parts.attention.choosing import Chosen, numbered
from pages.parts.attention.formulas import FORMULAS
from pages.parts.attention.pictures import addend_names, channel
from pages.parts.attention.stories import STORIES
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.positions.show import number
from pages.parts.tables import table_height
from pages.parts.words import Words
from pages.parts.zoo import names

Table = Mapping[str, Sequence[Any]]
TO = {"en-ko": "ko", "ko-en": "en"}


def _story(here: Visit, chosen: Chosen, worked: Walk, step: str) -> None:
    st.markdown(STORIES[step](here.words, chosen, worked))


def _numbers(here: Visit, chosen: Chosen, worked: Walk, step: str) -> None:
    NUMBERS[step](here.words, chosen, worked)


def _formula(here: Visit, chosen: Chosen, worked: Walk, step: str) -> None:
    st.latex(FORMULAS[step](chosen, worked))


def _code(here: Visit, chosen: Chosen, worked: Walk, step: str) -> None:
    _ = here.words
    if not holds(step, worked.config):
        st.markdown(
            _(
                "The code of this step is written for the translator, and “{name}” computes it otherwise. The numbers, "
                "the formula and the story are this model's own."
            ).format(name=names(_)[here.model.name])
        )
        return
    masks = chosen.attention.mask.ndim == 3
    st.code(snippet(step, chosen.place, channels=len(worked.query), model=here.model.name, head_masks=masks))
    printed = ", ".join(f"{value:.6g}" for value in worked.figures(step))
    st.caption(_("It prints **{printed}** (to rounding in single precision).").format(printed=printed))


READINGS: dict[str, Callable[[Visit, Chosen, Walk, str], None]] = {
    "story": _story,
    "numbers": _numbers,
    "formula": _formula,
    "code": _code,
}


def export_command(here: Visit, chosen: Chosen) -> None:
    """What to type first, so that the code of the steps finds this very run."""
    _, run = here.words, chosen.run
    words = ["python", "-m", "core", "trace", run.source_text, "--to", TO[run.direction], "--out", "run.npz"]
    if run.translation != here.run.translation or chosen.edited:
        words += ["--target", run.translation]
    if here.model.name != models.TRANSLATOR:
        words += ["--model", here.model.name]
    if chosen.edited:
        words += ["--edits", write_edits(here.edits)]
    st.markdown(_("Export this run first; the code of every step below then runs as it stands:"))
    st.code(shlex.join(words), language="bash", wrap_lines=True)


# --- in numbers -----------------------------------------------------------------------------------------------------


def _vector(_: Words, chosen: Chosen, worked: Walk) -> None:
    named = addend_names(_, worked)
    lengths = [length(each) for each in worked.addends.values()]
    cosines = [
        float(each @ worked.vector) / (length(each) * length(worked.vector) or 1.0) for each in worked.addends.values()
    ]
    columns = {
        _("part"): [named[path] for path in worked.addends],
        _("length"): lengths,
        _("cosine with the sum"): cosines,
    }
    _table(columns, "%.4f")


def _normed(name: str) -> Callable[[Words, Chosen, Walk], None]:
    def draw(_: Words, chosen: Chosen, worked: Walk) -> None:
        norm: Normed = getattr(worked, name)
        _facts({_("mean μ"): _spread(norm.mean), _("variance σ²"): _spread(norm.variance)})
        columns = {
            _("channel"): list(range(1, len(norm.input) + 1)),
            "x": norm.input,
            "(x − μ) / √(σ² + ε)": norm.normalized,
            _("gain γ"): norm.gain,
            _("bias β"): norm.bias,
            _("output"): norm.output,
        }
        _table(columns, "%.4f", whole=(_("channel"),))

    return draw


def _spread(values: np.ndarray) -> float | str:
    """One number, or from the least to the largest where every channel has its own."""
    if len(values) == 1:
        return float(values[0])
    return f"{_text(float(values.min()))} … {_text(float(values.max()))}"


def _projections(_: Words, chosen: Chosen, worked: Walk) -> None:
    row, at = channel(worked)
    name = list(worked.projections)[row]
    part = worked.projections[name]
    products = part.weight[at] * part.input
    st.markdown(
        _(
            "**{vector}, channel {channel}**: row {channel} of this head's {matrix} meets the {width} numbers. Click "
            "another channel above."
        ).format(vector=name[0], channel=at + 1, matrix=rf"W\_{name[0]}", width=len(part.input))
    )
    _facts(
        {
            _("Σ weight × input"): float(products.sum()),
            _("bias"): float(part.bias[at]),
            _("sum"): float(part.mapped[at]),
            **({} if part.angles is None else {_("after the turn (RoPE)"): float(part.output[at])}),
        }
    )
    columns = {
        _("input channel"): list(range(1, len(products) + 1)),
        _("weight"): part.weight[at],
        _("input"): part.input,
        _("product"): products,
    }
    _table(columns, "%.5f", whole=(_("input channel"),))


def _scores(_: Words, chosen: Chosen, worked: Walk) -> None:
    products = worked.products
    own = float(chosen.attention.scores[chosen.place.head, chosen.place.query, chosen.place.key])
    bias = float(worked.biases[chosen.place.key])
    scaled = float(products.sum()) / worked.divisor + bias
    _facts(
        {
            _("sum of the positive products"): float(products[products > 0].sum()),
            _("sum of the negative products"): float(products[products < 0].sum()),
            _("their sum, q · k"): float(products.sum()),
            **({_("bias of the distance (ALiBi)"): bias} if worked.biases.any() else {}),
            _("÷ √d, from these products") if worked.divisor != 1 else _("not divided"): scaled,
            _("the model's own score"): own,
            _("difference"): abs(scaled - own),
        }
    )
    columns = {
        _("channel"): list(range(1, len(products) + 1)),
        "q": worked.query,
        "k": worked.keys[chosen.place.key],
        "q × k": products,
        _("sum so far"): np.cumsum(products),
    }
    _table(columns, "%.4f", whole=(_("channel"),))


def _scale(_: Words, chosen: Chosen, worked: Walk) -> None:
    _facts(
        {
            "√d" if worked.divisor != 1 else _("divisor"): worked.divisor,
            _("standard deviation of the row, before"): float(worked.raw_scores.std()),
            _("after"): float(worked.scores.std()),
        }
    )
    columns = {_("key"): numbered(chosen.keys), "q · k": worked.raw_scores}
    columns |= {_("bias of the distance (ALiBi)"): worked.biases} if worked.biases.any() else {}
    _table(columns | {_("score"): worked.scores}, "%.4f")


def _mask(_: Words, chosen: Chosen, worked: Walk) -> None:
    _facts({_("open keys"): int(worked.open.sum()), _("masked keys"): int((~worked.open).sum())})
    masked = [figure if shown else "−∞" for figure, shown in zip(_texts(worked.scores), worked.open, strict=True)]
    states = [_("open") if shown else _("masked") for shown in worked.open]
    columns = {
        _("key"): numbered(chosen.keys),
        _("score"): _texts(worked.scores),
        _("mask"): states,
        _("after the mask"): masked,
    }
    st.dataframe(columns, hide_index=True, height=table_height(len(masked), 320))


def _softmax(_: Words, chosen: Chosen, worked: Walk) -> None:
    row, key = worked.softmax, chosen.place.key
    _facts(
        {
            _("largest score of the row, m"): row.largest,
            _("exp(score − m)"): float(row.exponentials[key]),
            _("normaliser: the sum of the row"): row.normaliser,
            _("weight"): float(row.weights[key]),
            _("sum of the weights"): float(row.weights.sum()),
        }
    )
    columns = {
        _("key"): numbered(chosen.keys),
        _("score"): np.where(worked.open, worked.scores, np.nan),
        "exp(s − m)": row.exponentials,
        _("÷ normaliser = weight"): row.weights,
    }
    _table(columns, "%.5f")


def _values(_: Words, chosen: Chosen, worked: Walk) -> None:
    _facts(
        {
            _("length of the sum: ‖o‖"): length(worked.head_output),
            _("sum of the terms' lengths"): float(np.linalg.norm(worked.terms, axis=-1).sum()),
        }
    )
    columns = {
        _("key"): numbered(chosen.keys),
        _("weight"): worked.softmax.weights,
        _("‖value‖"): np.linalg.norm(worked.values, axis=-1),
        _("‖weight × value‖"): np.linalg.norm(worked.terms, axis=-1),
        _("cosine with the sum"): [
            float(term @ worked.head_output) / (length(term) * length(worked.head_output) or 1.0)
            for term in worked.terms
        ],
    }
    _table(columns, "%.4f")


def _slice(_: Words, chosen: Chosen, worked: Walk) -> None:
    first = chosen.place.head * len(worked.query)
    _facts(
        {
            _("columns of W_O"): f"{first + 1} – {first + len(worked.query)}",
            _("length in"): length(worked.head_output),
            _("length out"): length(worked.contributions[chosen.place.head]),
        }
    )


def _heads(_: Words, chosen: Chosen, worked: Walk) -> None:
    written, total = worked.contributions, worked.output
    columns = {
        _("head"): list(range(1, len(written) + 1)),
        _("length"): np.linalg.norm(written, axis=-1),
        _("share of the sum"): written @ total / float(total @ total),
    }
    _table(columns, "%.4f", whole=(_("head"),))
    st.caption(
        _(
            "The share of the sum is the part of each contribution that points along it: with the bias ({bias}) the "
            "shares add up to 1, and one may be negative."
        ).format(bias=f"{float(worked.output_bias @ total) / float(total @ total):z.4f}")
    )


def _residual(_: Words, chosen: Chosen, worked: Walk) -> None:
    before, change = worked.base, worked.output
    _facts(
        {
            _("length before"): length(before),
            _("length of what is added"): length(change),
            _("cosine"): float(before @ change) / (length(before) * length(change) or 1.0),
            _("length after"): length(worked.residual),
        }
    )


NUMBERS: dict[str, Callable[[Words, Chosen, Walk], None]] = {
    "vector": _vector,
    "norm": _normed("norm"),
    "projections": _projections,
    "scores": _scores,
    "scale": _scale,
    "mask": _mask,
    "softmax": _softmax,
    "values": _values,
    "slice": _slice,
    "heads": _heads,
    "residual": _residual,
    "next_norm": _normed("next_norm"),
}


def _facts(values: Mapping[str, float | int | str]) -> None:
    st.html(facts({name: value if isinstance(value, str) else _text(value) for name, value in values.items()}))


def _text(value: float | int) -> str:
    return str(value) if isinstance(value, int) else number(value).replace("-", "−")


def _texts(values: Sequence[float] | np.ndarray) -> list[str]:
    return [f"{value:z.4f}".replace("-", "−") for value in values]


def _table(columns: Table, form: str, whole: Sequence[str] = ()) -> None:
    """Numbers in columns; those named `whole` are counts."""
    count = len(next(iter(columns.values())))
    numeric = [name for name, values in columns.items() if not isinstance(values[0], str) and name not in whole]
    config = {name: st.column_config.NumberColumn(format=form) for name in numeric}
    st.dataframe(dict(columns), hide_index=True, height=table_height(count, 320), column_config=config)
