"""Part 2, the end: where the ways that are equal on paper part, in numbers too small and rows too empty."""

import streamlit as st
import torch
from torch import Tensor

from core.charts import masks as charts
from core.experiments import masks as experiments
from core.run import Run
from core.tokens import Direction
from pages.parts import models
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.masks.show import FIVE, amount, names
from pages.parts.selection import Place
from pages.parts.tables import table_height
from pages.parts.words import Words

WIDEST = 800
GAPS = tuple(float(gap) for gap in range(0, WIDEST + 1, 4))
"""How far the highest hidden score is raised above the highest allowed one."""
PRECISIONS = {"single": torch.float32, "double": torch.float64}


def breakdown(here: Visit, head: Place) -> None:
    """What is left to divide by where hidden scores tower above the allowed ones."""
    _ = here.words
    st.subheader(_("Where renormalising breaks down"))
    st.markdown(
        _(
            "On paper −∞ and renormalising are equal. A computer has a smallest number: where a **hidden** score lies "
            "far above the allowed ones, their weights round to 0 before anything is rescaled, and 0 ÷ 0 remains."
        )
    )
    scores, allowed = _row(here.run, head)
    gap = keep("mask_gap", 60, lambda text: min(max(int(text), 0), WIDEST))
    left, right = st.columns([6, 5], gap="large")
    with right:
        st.slider(
            _("The highest hidden score lies above the highest allowed one by"),
            0,
            WIDEST,
            key="mask_gap",
            persist_state="session",
        )
        _at_gap(_, scores, allowed, gap)
    with left:
        errors, found = _measured(here.run.source_text, here.run.direction, here.model.name, head)
        precisions = _precisions(_)
        st.altair_chart(
            charts.breakdown(
                GAPS,
                {precisions[kind]: each for kind, each in errors.items()},
                {precisions[kind]: end for kind, end in found.items() if end is not None},
                chosen=float(gap),
                words={
                    "gap": _("hidden score − allowed score"),
                    "error": _("largest error of a weight"),
                    "nan": "0 ÷ 0",
                },
            )
        )
    st.caption(
        _(
            "Measured on a row of this head on this sentence, with its hidden scores raised. As the model computes "
            "them, no hidden score of this sentence lies more than {most} above the allowed ones of its row."
        ).format(most=f"{_widest(here.run):z.1f}")
    )


@st.cache_data(max_entries=24, show_spinner=False)
def _measured(
    text: str, direction: Direction, name: str, head: Place
) -> tuple[dict[str, list[float]], dict[str, int | None]]:
    """The error at each of GAPS, and the gap at which nothing is left, in each precision."""
    scores, allowed = _row(models.run(text, direction, name), head)
    errors, found = {}, {}
    for kind, precision in PRECISIONS.items():
        row, gaps = scores.to(precision), torch.tensor(GAPS, dtype=precision)
        errors[kind] = experiments.renormalising_error(row, allowed, gaps).tolist()
        found[kind] = experiments.breaks_at(row, allowed)
    return errors, found


def _precisions(_: Words) -> dict[str, str]:
    return {"single": _("single precision (float32)"), "double": _("double precision (float64)")}


def _row(run: Run, head: Place) -> tuple[Tensor, Tensor]:
    """The scores of the query in the middle, and which of them it may use."""
    attention = run.decoder[head[0]].self_attention
    query = (len(run.target_tokens) - 1) // 2
    return attention.scores[head[1], query], attention.mask[query]


def _widest(run: Run) -> float:
    """How far any hidden score of the decoder lies above the highest allowed one of its row, at most."""
    scores = torch.stack([layer.self_attention.scores for layer in run.decoder])
    mask = run.decoder[0].self_attention.mask
    hidden = scores.masked_fill(mask, -torch.inf).amax(-1)
    return float((hidden - scores.masked_fill(~mask, -torch.inf).amax(-1)).max())


def _at_gap(_: Words, scores: Tensor, allowed: Tensor, gap: int) -> None:
    shown = {}
    for precision, name in _precisions(_).items():
        kind = PRECISIONS[precision]
        row = experiments.raised(scores.to(kind), allowed, torch.tensor([gap], dtype=kind))
        mass = float((row.softmax(-1) * allowed).sum())
        error = float(experiments.renormalising_error(scores.to(kind), allowed, torch.tensor([gap], dtype=kind)))
        shown[_("{precision}: left to divide by").format(precision=name)] = f"{mass:.1e}" if mass else "0"
        shown[_("{precision}: error").format(precision=name)] = "NaN" if error != error else amount(error)
    st.html(facts(shown))


def nothing_allowed(here: Visit, head: Place) -> None:
    """What each way makes of a row that may look at nothing."""
    _ = here.words
    st.subheader(_("A row with nothing allowed"))
    st.markdown(
        _(
            "What if a query may look at nothing at all? There is no right answer, and the ways give different ones. "
            "This app's model then reads nothing: a row of zeros."
        )
    )
    scores, allowed = _row(here.run, head)
    none = torch.zeros_like(allowed)[None]
    found = {way: experiments.WAYS[way](scores[None], none)[0] for way in FIVE}
    table = {
        _("way to mask"): [names(_)[way] for way in FIVE],
        _("weights of the row"): [_spread(each) for each in found.values()],
        _("sum of the row"): [_plain(float(each.sum())) for each in found.values()],
    }
    st.dataframe(table, hide_index=True, height=table_height(len(FIVE), 400))


def _spread(row: Tensor) -> str:
    lowest, highest = _plain(float(row.min())), _plain(float(row.max()))
    return lowest if lowest == highest else f"{lowest} – {highest}"


def _plain(value: float) -> str:
    return "NaN" if value != value else f"{value:z.3f}"
