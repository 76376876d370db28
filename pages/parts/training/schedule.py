"""Part 1: the schedule as the paper's formula, what its dials do, and the rates that the runs really used."""

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.charts import training as charts
from core.charts.training import Line
from core.experiments import training as experiments
from core.measures.curves import Record, spread
from core.training.schedules import SCHEDULES, paper_rate
from core.variants import VARIANTS, Recipe
from pages.parts import zoo
from pages.parts.address import keep, one_of
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.training.show import dial, rate
from pages.parts.words import Words

WIDTHS, WARMUPS = (64, 128, 256, 512, 1024), (100, 200, 400, 1000, 2000, 4000, 8000)
PEAKS = (1e-4, 3e-4, 7e-4, 1e-3, 3e-3, 1e-2)
PAPER_WIDTH, PAPER_WARMUP = 512, 4000
SHOWN_STEPS = 20_000
DRAWN = 150  # steps that a curve is drawn through


def schedule(here: Visit) -> None:
    """The formula with its dials, then what the runs logged."""
    _formula(here.words)
    st.divider()
    _used(here.words)


# --- the formula ----------------------------------------------------------------------------------------------------


def _formula(_: Words) -> None:
    st.subheader(_("The paper's formula"))
    st.latex(
        r"\begin{aligned}\text{rate} = d_{\text{model}}^{-0.5}\cdot\min\bigl(&\text{step}^{-0.5},\\"
        r"&\text{step}\cdot\text{warmup}^{-1.5}\bigr)\end{aligned}"
    )
    options = {"half": _("half as high"), "root": _("÷ √2"), "same": _("the same"), "double": _("twice as high")}
    question = _("The rate rises during **warm-up**, then falls. With twice the warm-up, how high is the peak?")
    guess = predict(_, "peak_guess", question, options)
    if guess is None:
        return
    left, right = st.columns([2, 5], gap="large")
    with left:
        by_hand = choose_one(_("Peak"), "peak_by", {"formula": _("from d_model"), "hand": _("set by hand")}, "formula")
        shape, width, peak = "inverse-square-root", PAPER_WIDTH, 7e-4
        if by_hand == "hand":
            peak = dial(_("Highest rate"), "peak", PEAKS, peak)
            shape = choose_one(_("Shape"), "shape", _shapes(_), shape)
        else:
            width = int(dial("d_model", "rate_width", WIDTHS, width))
        warmup = int(dial(_("Warm-up (steps)"), "warmup", WARMUPS, PAPER_WARMUP))
        along = choose_one(_("Axes"), "rate_axes", {"linear": _("linear"), "log": _("logarithmic")}, "linear")
    with right:
        if by_hand == "hand":
            _by_hand(_, peak, warmup, shape, along)
        else:
            _by_formula(_, width, warmup, along, options[guess])
    _why(_)


def _shapes(_: Words) -> dict[str, str]:
    return {name: zoo.names(_)[f"schedule-{name}"] for name in SCHEDULES}


def _by_formula(_: Words, width: int, warmup: int, along: str, guess: str) -> None:
    steps = experiments.spaced(SHOWN_STEPS, DRAWN)
    here = _("d_model {width}, warm-up {warmup}").format(width=width, warmup=f"{warmup:,}")
    lines = [Line(here, _points(steps, [paper_rate(float(step), width, warmup) for step in steps]))]
    if (width, warmup) != (PAPER_WIDTH, PAPER_WARMUP):
        paper = _("the paper's base model")
        values = [paper_rate(float(step), PAPER_WIDTH, PAPER_WARMUP) for step in steps]
        lines.append(Line(paper, _points(steps, values), dashed=True))
    at, peak = experiments.highest(width, warmup)
    _chart(_, lines, along, (_("peak, step {step}").format(step=f"{at:,}"), float(at), peak))
    twice = paper_rate(2.0 * warmup, width, 2 * warmup)
    st.markdown(
        _(
            "The peak is at step **{at}**, where the warm-up ends: **{peak}**. You said **{guess}**: with twice the "
            "warm-up it is {twice}, that is × {ratio}, because the peak is 1 ⁄ √(d_model · warmup)."
        ).format(at=f"{at:,}", peak=rate(peak), guess=guess, twice=rate(twice), ratio=f"{twice / peak:.3f}")
    )
    _table(_, {each: paper_rate(float(each), width, warmup) for each in _told(warmup)})
    st.caption(_("Computed from the formula (Vaswani et al. 2017, section 5.3, equation 3)."))


def _by_hand(_: Words, peak: float, warmup: int, shape: str, along: str) -> None:
    recipe = Recipe(SHOWN_STEPS, 0, peak, warmup, 0, schedule=shape)
    steps = experiments.spaced(SHOWN_STEPS, DRAWN)
    values = experiments.rates(recipe, steps, SHOWN_STEPS)
    _chart(_, [Line(_shapes(_)[shape], _points(steps, values))], along, None)
    told = [step for step in _told(warmup) if step <= SHOWN_STEPS]
    _table(_, dict(zip(told, experiments.rates(recipe, told, SHOWN_STEPS), strict=True)))
    st.caption(
        _(
            "Computed from the schedules that our training code has (core/training/schedules.py), for a run of "
            "{steps} steps. A recipe sets the peak by hand; the formula above ties it to d_model and warm-up."
        ).format(steps=f"{SHOWN_STEPS:,}")
    )


def _chart(_: Words, lines: Sequence[Line], along: str, mark: tuple[str, float, float] | None) -> None:
    st.vega_lite_chart(
        charts.curves(
            lines,
            words={"step": _("training step"), "figure": _("learning rate")},
            marks=[mark] if mark else [],
            logarithmic=along == "log",
            along="log" if along == "log" else "linear",
        )
    )


def _points(steps: Sequence[int], values: Sequence[float]) -> list[charts.Point]:
    return [(step, value, value, value) for step, value in zip(steps, values, strict=True)]


def _told(warmup: int) -> list[int]:
    """Steps whose rate is written out."""
    return sorted({1, warmup // 2, warmup, 4 * warmup, 100_000})


def _table(_: Words, found: dict[int, float]) -> None:
    row = {f"{step:,}": rate(value) for step, value in found.items()}
    st.dataframe(pd.DataFrame([row], index=[_("rate at step")]), height="content")


def _why(_: Words) -> None:
    with st.expander(_("What a schedule is for")):
        st.markdown(
            _(
                "A learner's note says: *a scheduler, to reach the global optimum*. No schedule promises that. What "
                "the literature does report:\n"
                "- **Warm-up guards the first steps.** With the norm after each sub-layer (post-LN), gradients near "
                "the output are large at the start; without warm-up a 6-layer translator got 8.45 BLEU in place of "
                "about 34, with the norm before it none was needed (Xiong et al. 2020, IWSLT14 German–English).\n"
                "- **Adam's own averages are unsure at first**: its estimate of the squared gradient rests on a few "
                "steps and varies widely (Liu et al. 2020, RAdam).\n"
                "- **The fall at the end** lets the weights settle: small steps average out the noise of the batches.\n"
                "\n"
                "On our own runs, part 3 of this page tries the first claim and part 2, under “Schedule”, the last."
            )
        )


# --- what the runs used ---------------------------------------------------------------------------------------------


def _used(_: Words) -> None:
    st.subheader(_("The rates that our runs really used"))
    names = _recipes(_)
    name = keep("rate_run", "translator", one_of(names))
    st.selectbox(_("Run"), list(names), format_func=names.get, key="rate_run", persist_state="session")
    found, cards = zoo.logs(_, [name]), zoo.cards(_, [name])
    if name in found and name in cards:
        _logged(_, name, found[name], int(cards[name]["steps"] or 0), str(cards[name]["command"]))


def _recipes(_: Words) -> dict[str, str]:
    """A row for each way to set the rate, the first of those that share it, with its settings."""
    first: dict[tuple[object, ...], str] = {}
    for name, variant in VARIANTS.items():
        recipe = variant.recipe
        first.setdefault((recipe.schedule, recipe.steps, recipe.learning_rate, recipe.warmup), name)
    return {name: _described(_, name) for name in first.values()}


def _described(_: Words, name: str) -> str:
    recipe = VARIANTS[name].recipe
    title = _("Grid of part 3") if VARIANTS[name].group == "grid" else zoo.names(_).get(name, name)
    settings = _("{shape}, peak {peak}, warm-up {warmup}, {steps} steps").format(
        shape=_shapes(_)[recipe.schedule], peak=recipe.learning_rate, warmup=recipe.warmup, steps=f"{recipe.steps:,}"
    )
    return f"{title}: {settings}"


def _logged(_: Words, name: str, records: Sequence[Record], total: int, command: str) -> None:
    recipe, points = VARIANTS[name].recipe, spread(records, "learning_rate")
    if not points or not total:
        st.markdown(_("This run's log has no learning rates."))
        return
    steps = [point.step for point in points]
    formula = experiments.rates(recipe, steps, total)
    others = {
        shape: experiments.rates(Recipe(**{**vars(recipe), "schedule": shape}), steps, total)
        for shape in SCHEDULES
        if shape != recipe.schedule
    }
    lines = [
        Line(_("logged by the run"), points, dots=True),
        Line(_("{shape}: its formula").format(shape=_shapes(_)[recipe.schedule]), _points(steps, formula)),
        *(Line(_shapes(_)[shape], _points(steps, values), dashed=True) for shape, values in others.items()),
    ]
    _chart(_, lines, "linear", None)
    off = max(abs(point.middle - value) for point, value in zip(points, formula, strict=True))
    peak = max(points, key=lambda point: point.middle)
    tied = paper_rate(float(recipe.warmup), _width(name), recipe.warmup) if recipe.warmup else math.nan
    st.html(
        facts(
            {
                _("highest logged rate"): rate(peak.middle),
                _("at step"): f"{peak.step:,}",
                _("largest difference from the formula"): rate(off) if off else "0",
                _("the paper's formula would peak at"): rate(tied) if math.isfinite(tied) else "–",
            }
        )
    )
    if "--minutes" in command:
        st.markdown(
            _(
                "This run had a limit in minutes, and its schedule followed whichever was further, the steps or the "
                "clock: so the logged rates may fall sooner than the formula by steps alone."
            )
        )
    st.caption(
        _(
            "Dots: stored in the log of “{name}”. Lines: the four schedules with the same peak and warm-up, computed; "
            "those that this run did not use are broken."
        ).format(name=name)
    )


def _width(name: str) -> int:
    width: int = VARIANTS[name].config(1).width
    return width
