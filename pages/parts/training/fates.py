"""Part 3: where the norm stands, how deep, warm-up or none, how high a rate: which of these runs learn, which die?"""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import product

import streamlit as st

from core.charts import training as charts
from core.charts.training import Fate, Line
from core.experiments.training import MARGIN, dead, final_losses
from core.measures.curves import Record, spread
from core.measures.unigram import Plateau
from core.variants import RATES, VARIANTS
from pages.parts import zoo
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.training.runs import levels
from pages.parts.training.show import plateau
from pages.parts.words import Words

PLACES, DEPTHS, STARTS = {"post-norm": "post-LN", "pre-norm": "pre-LN"}, ("6", "12"), ("cold", "warm")
Logs = Mapping[str, Sequence[Record]]


def alive_or_dead(here: Visit) -> None:
    """Pick a run, say whether it lives, see its curve, then all of them."""
    _ = here.words
    flat = plateau(_)
    st.markdown(
        _(
            "Twenty-four short runs, alike but for four choices. A run that learns nothing from its sentences can "
            "still learn how frequent each token is, and stays at that loss: the **unigram plateau**. If it knows "
            "the language to write as well, it comes a little lower. We call a run dead when its last loss on unseen "
            "pairs is not at least {margin} nats below even that."
        ).format(margin=MARGIN)
    )
    name, cell = _pick(_)
    options = {"alive": _("it learns"), "dead": _("it dies")}
    question = _("{steps} steps: does this run learn, or does it die?").format(steps=VARIANTS[name].recipe.steps)
    guess = predict(_, f"fate_guess_{name}", question, options)
    if guess is None or flat is None:
        return
    found = {each: records for each, records in zoo.logs(_, _names()).items() if final_losses(records)}
    left, right = st.columns(2, gap="large")
    with left:
        _curve(_, name, found, flat, options[guess])
    with right:
        _grid(_, found, cell, flat)
    _reproduced(_, found, flat)
    _literature(_)


def _names() -> list[str]:
    return [name for name, variant in VARIANTS.items() if variant.group == "grid"]


def _pick(_: Words) -> tuple[str, tuple[str, str]]:
    """The run chosen, and its place in the grid."""
    with st.container(horizontal=True, gap="medium"):
        place = choose_one(_("Norm"), "fate_norm", PLACES, "post-norm")
        depth = choose_one(_("Layers"), "fate_depth", {each: f"{each} + {each}" for each in DEPTHS}, "12")
        start = choose_one(_("Warm-up"), "fate_start", _starts(_), "cold")
        word = choose_one(_("Highest rate"), "fate_rate", {each: f"{rate:g}" for each, rate in RATES.items()}, "middle")
    return f"schedule-{place}-{depth}-{start}-{word}", (_row(_, place, depth, start), f"{RATES[word]:g}")


def _starts(_: Words) -> dict[str, str]:
    longest = max(VARIANTS[name].recipe.warmup for name in _names())
    return {"cold": _("no warm-up"), "warm": _("{steps} steps").format(steps=longest)}


def _row(_: Words, place: str, depth: str, start: str) -> str:
    warm = _("with warm-up") if start == "warm" else _("no warm-up")
    return f"{PLACES[place]}, {depth} + {depth}\n{warm}"


def _curve(_: Words, name: str, found: Logs, flat: Plateau, guess: str) -> None:
    if name not in found:
        st.markdown(_("This run's log is not here yet; the grid beside shows those that are."))
        return
    records, losses = found[name], final_losses(found[name])
    lines = [
        Line(_("unseen pairs"), spread(records, "validation_loss")),
        Line(_("training batches"), spread(records, "loss"), dashed=True),
    ]
    known = {_("frequencies in each language"): flat.held_out_by_language}
    st.vega_lite_chart(
        charts.curves(
            lines,
            words={"step": _("training step"), "figure": _("loss (nats per token)")},
            levels=levels(_, "validation_loss", flat) | known,
        )
    )
    died = sum(dead(loss, flat.held_out_by_language) for loss in losses.values())
    verdict = _("it learns") if not died else _("it dies") if died == len(losses) else _("some seeds learn, some die")
    st.markdown(
        _(
            "You said **{guess}**. Measured: **{verdict}**. Last loss {losses}; the plateau is at {plateau}, with the "
            "language known at {lower}."
        ).format(
            guess=guess,
            verdict=verdict,
            losses=_said(list(losses.values())),
            plateau=f"{flat.held_out_loss:.2f}",
            lower=f"{flat.held_out_by_language:.2f}",
        )
    )
    best = _best(records)
    if died and best and not dead(best[1], flat.held_out_by_language):
        st.markdown(
            _("It was alive once: at step {step} its loss was {loss}.").format(step=best[0], loss=f"{best[1]:.2f}")
        )
    st.caption(
        _(
            "Stored from the run “{name}”, seeds {seeds}. The second line below the plateau is what one reaches who "
            "also knows which language to write."
        ).format(name=name, seeds=", ".join(map(str, losses)))
    )


def _best(records: Sequence[Record]) -> tuple[int, float] | None:
    """The lowest loss on unseen pairs that any seed ever had, and its step."""
    seen = [(int(each["step"]), float(each["validation_loss"])) for each in records if "validation_loss" in each]
    return min((each for each in seen if math.isfinite(each[1])), key=lambda each: each[1], default=None)


def _grid(_: Words, found: Logs, chosen: tuple[str, str], flat: Plateau) -> None:
    cells = [
        _fate(_row(_, place, depth, start), f"{RATES[word]:g}", found.get(name), flat)
        for place, depth, start, word in product(PLACES, DEPTHS, STARTS, RATES)
        for name in [f"schedule-{place}-{depth}-{start}-{word}"]
    ]
    words = {
        "row": _("norm, layers and warm-up"),
        "column": _("highest learning rate"),
        "loss": _("last loss on unseen pairs"),
        "dead": _("dead seeds"),
    }
    st.markdown(
        _("**All twenty-four**: the last loss of each seed; the darker, the nearer to the plateau; ✕ marks the dead")
    )
    st.vega_lite_chart(charts.fates(cells, chosen, flat.held_out_loss, words=words))
    _summary(_, found, flat)


def _fate(row: str, column: str, records: Sequence[Record] | None, flat: Plateau) -> Fate:
    losses = list(final_losses(records or ()).values())
    if not losses:
        return Fate(row, column, None, "–", 0, 0)
    died = [dead(loss, flat.held_out_by_language) for loss in losses]
    known = [loss for loss in losses if math.isfinite(loss)]
    middle = statistics.median(known) if known else flat.held_out_loss
    said = "\n".join(f"{_loss(loss)}{' ✕' if gone else ''}" for loss, gone in zip(losses, died, strict=True))
    return Fate(row, column, middle, said, sum(died), len(losses))


def _loss(loss: float) -> str:
    return f"{loss:.2f}" if math.isfinite(loss) else "NaN"


def _said(losses: Sequence[float]) -> str:
    return " / ".join(map(_loss, losses))


def _summary(_: Words, found: Logs, flat: Plateau) -> None:
    """How many died on each side of each choice, as far as the runs are here."""
    choices = {
        **{name: f"-{place}-" for place, name in PLACES.items()},
        **{f"{depth} + {depth}": f"-{depth}-" for depth in DEPTHS},
        _("no warm-up"): "-cold-",
        _("with warm-up"): "-warm-",
    }
    said = []
    for name, part in choices.items():
        losses = [loss for each, records in found.items() if part in each for loss in final_losses(records).values()]
        if losses:
            died = sum(dead(loss, flat.held_out_by_language) for loss in losses)
            said.append(_("{name} {died} of {count}").format(name=name, died=died, count=len(losses)))
    if said:
        st.markdown(_("Dead: {counts}.").format(counts=" · ".join(said)))
        missing = len(_names()) - len(found)
        seeds = sum(len(final_losses(records)) for records in found.values())
        st.caption(_("Stored from {runs} runs of the grid, {missing} not here.").format(runs=seeds, missing=missing))


def _reproduced(_: Words, found: Logs, flat: Plateau) -> None:
    """What Xiong et al. say of warm-up, held against the fates of our runs, depth by depth."""
    claims = {
        ("post-norm", "cold"): (_("without warm-up, post-LN dies"), True),
        ("post-norm", "warm"): (_("with warm-up, post-LN learns"), False),
        ("pre-norm", "cold"): (_("pre-LN learns without warm-up too"), False),
    }
    for (place, start), (claim, dies) in claims.items():
        died = {depth: _died(found, place, depth, start, flat) for depth in DEPTHS}
        known = {depth: list(each.values()) for depth, each in died.items() if each}
        if known:
            most = [sum(each) > len(each) / 2 if dies else sum(each) < len(each) / 2 for each in known.values()]
            counts = [
                _("{died} of {count} with {depth} + {depth} layers").format(
                    depth=depth, died=sum(each), count=len(each)
                )
                for depth, each in known.items()
            ]
            said = (
                _("**Reproduced**: {claim}. Dead: {counts}.")
                if all(most)
                else _("**Not reproduced**: {claim}. Dead: {counts}.")
            )
            st.markdown("- " + said.format(claim=claim, counts=" · ".join(counts)))
    _rescued(_, found, flat)


def _died(found: Logs, place: str, depth: str, start: str, flat: Plateau) -> dict[tuple[str, int], bool]:
    """Whether it died, for each rate and seed."""
    return {
        (word, seed): dead(loss, flat.held_out_by_language)
        for word in RATES
        for seed, loss in final_losses(found.get(f"schedule-{place}-{depth}-{start}-{word}", ())).items()
    }


def _rescued(_: Words, found: Logs, flat: Plateau) -> None:
    """How many post-LN runs warm-up alone brings to life, and why ours need not be as the paper's."""
    fates = [
        (_died(found, "post-norm", depth, "cold", flat), _died(found, "post-norm", depth, "warm", flat))
        for depth in DEPTHS
    ]
    pairs = [(gone, warm[run]) for cold, warm in fates for run, gone in cold.items() if run in warm]
    without = [gone for cold, gone in pairs if cold]
    if not without:
        return
    recipes = [VARIANTS[name].recipe for name in _names()]
    st.caption(
        _(
            "Warm-up alone, at the same rate and seed, brings {saved} of the {count} post-LN runs to life that die "
            "without it. “Reproduced” asks for more than half of the runs at every depth. Our runs take {steps} "
            "steps, {warmup} of them warm-up, at rates of {rates}. That is a hard test: with 500 steps of warm-up the "
            "paper's own post-LN failed at 0.001 too, and what is dead here might have come alive in a longer run."
        ).format(
            count=len(without),
            saved=without.count(False),
            steps=max(recipe.steps for recipe in recipes),
            warmup=max(recipe.warmup for recipe in recipes),
            rates=", ".join(f"{rate:g}" for rate in RATES.values()),
        )
    )


def _literature(_: Words) -> None:
    with st.expander(_("What the literature reports")):
        st.markdown(
            _(
                "Xiong et al. 2020 (*On Layer Normalization in the Transformer Architecture*): with the norm after "
                "each sub-layer the gradient of the last layer does not shrink with depth, with the norm before it "
                "falls as 1 ⁄ √layers. Their post-LN translator (IWSLT14 German–English) reached 8.45 BLEU without "
                "warm-up and about 34 with it; with 500 steps of it, 31.16 at a rate of 0.0005 and 2.77 at 0.001. "
                "Pre-LN needed none. Our runs are smaller and shorter; whether they agree is counted above."
            )
        )
