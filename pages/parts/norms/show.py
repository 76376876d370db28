"""What the parts of the norms page share: which norm is looked at, in which batch, and how a change is written."""

from collections.abc import Mapping, Sequence

import streamlit as st
from torch import Tensor

from core.experiments import norms as experiments
from core.experiments.masks import doubled
from core.run import Run
from core.tokens import Direction, detect_direction
from core.transformer import Transformer
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.bar import SAMPLES
from pages.parts.escape import in_html
from pages.parts.frame import Visit
from pages.parts.masks.show import amount
from pages.parts.words import Words

POOL = (SAMPLES[0], SAMPLES[6], SAMPLES[2], SAMPLES[5], SAMPLES[7])
MATES = 2
MORE_PADS = 8
ROUNDING = 1e-9
Asked = tuple[str, Direction, str]
"""Text, direction and model of a run."""


def kind_names(_: Words) -> dict[str, str]:
    """The rows of NORMS that the page compares."""
    return {
        "batch": _("Batch norm"),
        "layer": _("Layer norm"),
        "instance": _("Instance norm"),
        "group": _("Group norm"),
        "rms": _("RMSNorm"),
    }


def asked_of(here: Visit) -> Asked:
    """The sentence above, as caches are asked for it."""
    return here.run.source_text, here.run.direction, here.model.name


# --- which norm -----------------------------------------------------------------------------------------------------


def choose_site(here: Visit) -> str | None:
    """The path of the norm that is looked at; None, and a word about it, where the model has none."""
    _ = here.words
    names = site_names(_, experiments.sites(here.model.network))
    if not names:
        st.info(_("This model has no norms; choose a Transformer above."))
        return None
    paths = list(names)
    path = keep("norm_at", paths[0], one_of(paths))
    st.selectbox(
        _("Which norm of the model"),
        paths,
        format_func=lambda each: names.get(each, each),
        key="norm_at",
        persist_state="session",
        width=420,
    )
    return path


def site_names(_: Words, paths: Sequence[str]) -> dict[str, str]:
    """Norms as the screen calls them, by their paths."""
    subs = {
        "norm_before_attention": _("before attention"),
        "norm_before_self_attention": _("before masked attention"),
        "norm_before_cross_attention": _("before cross-attention"),
        "norm_before_feed_forward": _("before feed-forward"),
    }
    ends = {"encoder": _("encoder, after the last layer"), "decoder": _("decoder, after the last layer")}
    forms = {"encoder": _("encoder {number}, {place}"), "decoder": _("decoder {number}, {place}")}
    found = {}
    for path in paths:
        stack, *rest = path.split(".")
        found[path] = (
            ends[stack] if len(rest) == 1 else forms[stack].format(number=int(rest[0]) + 1, place=subs[rest[1]])
        )
    return found


def short_site(_: Words, path: str) -> str:
    """A norm where there is little room, on the axis of its stack."""
    forms = {
        "norm_before_attention": _("{number} attention"),
        "norm_before_self_attention": _("{number} masked"),
        "norm_before_cross_attention": _("{number} cross"),
        "norm_before_feed_forward": _("{number} feed-forward"),
        "final_norm": _("after the last"),
    }
    _stack, *rest = path.split(".")
    return forms[rest[-1]].format(number=int(rest[0]) + 1 if len(rest) > 1 else "")


# --- which batch ----------------------------------------------------------------------------------------------------


def companions(text: str) -> tuple[str, ...]:
    """Sample sentences other than a text: the first MATES share its batch, the next ones may take their place."""
    return tuple(each for each in POOL if each != text)[: 2 * MATES]


@st.cache_resource(max_entries=4, show_spinner=False)
def in_double(name: str) -> Transformer:
    """A model in double precision, in which an exact 0 can be told from rounding."""
    return doubled(models.model(name).transformer)


def runs_of(asked: Asked, which: str) -> list[Run]:
    """The sentence and its batch-mates ("mates"), or the sentence and "others"."""
    text, direction, name = asked
    chosen = companions(text)
    others = chosen[:MATES] if which == "mates" else chosen[MATES:]
    return [models.run(text, direction, name), *(models.run(each, detect_direction(each), name) for each in others)]


def batch(asked: Asked, which: str = "mates", pads: int = 0) -> experiments.Batch:
    """A batch as long as the longest of all sentences that may be in it, and so many pads."""
    everyone = [*runs_of(asked, "mates"), *runs_of(asked, "others")[1:]]
    source = max(len(run.source_tokens) for run in everyone) + pads
    target = max(len(run.target_tokens) for run in everyone) + pads
    padding = models.model(asked[2]).network.config.padding
    return experiments.batch_of(runs_of(asked, which), padding, source=source, target=target)


@st.cache_resource(max_entries=24, show_spinner=False)
def inputs(asked: Asked, which: str = "mates", pads: int = 0) -> Mapping[str, Tensor]:
    """What every norm reads for such a batch, in double precision."""
    return experiments.norm_inputs(in_double(asked[2]), batch(asked, which, pads))


def length_of(run: Run, path: str) -> int:
    """How many tokens of a sentence a norm reads."""
    return len(run.source_tokens if path.startswith("encoder") else run.target_tokens)


# --- numbers --------------------------------------------------------------------------------------------------------


def change_table(heads: Sequence[str], rows: Mapping[str, Sequence[float | None]], notes: Mapping[str, str]) -> str:
    """HTML of changes, tinted by size: nothing for an exact 0, the more the larger; what a row is about below it.

    A change below ROUNDING is written small. None stands for what cannot be asked.
    """
    cell = "padding:.35rem .6rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
    head = "padding:.35rem .6rem;text-align:right;font-weight:600;font-size:.85rem"
    lines = [
        "<tr><th></th>" + "".join(f'<th scope="col" style="{head}">{in_html(each)}</th>' for each in heads) + "</tr>"
    ]
    for name, values in rows.items():
        note = f'<div style="font-size:.8rem;opacity:.7;font-weight:400">{in_html(notes.get(name, ""))}</div>'
        cells = "".join(f'<td style="{cell};{_tint(value)}">{_written(value)}</td>' for value in values)
        side = "padding:.35rem .6rem .35rem 0;text-align:left;font-weight:600;min-width:9rem"
        lines.append(f'<tr><th scope="row" style="{side}">{in_html(name)}{note}</th>{cells}</tr>')
    table = f'<table style="border-collapse:separate;border-spacing:3px">{"".join(lines)}</table>'
    return f'<div style="overflow-x:auto">{table}</div>'


def _tint(value: float | None) -> str:
    if not value or value < ROUNDING:
        return "border-radius:6px;background:rgba(127,127,127,.10)"
    strength = min(0.55, 0.16 + 0.2 * value) if value > 1e-3 else 0.12
    return f"border-radius:6px;background:rgba(240,140,0,{strength:.2f})"


def _written(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0:
        return "<b>0</b>"
    return f'<span style="opacity:.6">{amount(value)}</span>' if value < ROUNDING else amount(value)
