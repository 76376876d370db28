"""Part 2: the logs of all runs, laid over each other by the choice that they vary, with the base always among them."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.charts import training as charts
from core.charts.training import Line
from core.measures.curves import Record, Spread, seeds, spread
from core.measures.unigram import Plateau
from core.training.schedules import CLIP
from core.variants import BASE, VARIANTS
from pages.parts import zoo
from pages.parts.address import keep, one_of
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.training.show import plateau, rate, row_name
from pages.parts.words import Words

STACKS, WHOLE = ("encoder", "decoder"), "whole"
LAYERED = {"gradient_norms": "gradient_norms", "weight_norms": "weight_norms"}
LOSSES, SHARES = ("loss", "validation_loss"), ("accuracy", "validation_exact_match")
LOGARITHMIC = (*LOSSES, "gradient_norm", "gradient_norms")
FIRST = "encoder.0"


@dataclass(frozen=True)
class Asked:
    """What is drawn: a figure of the logs, of a layer where the figure has layers."""

    figure: str
    title: str
    layer: str = ""


def runs(here: Visit) -> None:
    """Choose what is compared and by which figure; then the curves, and where they end."""
    _ = here.words
    names = _choose_rows(_)
    figures = _figures(_)
    figure = choose_one(_("Figure"), "run_figure", figures, "validation_loss", labelled=False)
    found = {name: records for name, records in zoo.logs(_, names).items() if records}
    if not found:
        return
    if figure in LAYERED:
        lines, asked = _by_layer(_, found, Asked(figure, figures[figure]))
    else:
        asked = Asked(figure, figures[figure])
        lines = {row_name(_, name): spread(records, figure) for name, records in found.items()}
    _draw(_, lines, asked, found)
    silent = [name for name, points in lines.items() if not points]
    if silent:
        st.caption(_("Not in the log of: {names}.").format(names=", ".join(silent)))


# --- choosing -------------------------------------------------------------------------------------------------------


def _choose_rows(_: Words) -> list[str]:
    """The base and the rows of a group."""
    groups = {group: name for group, name in zoo.groups(_).items() if group != "grid"} | _grids(_)
    group = keep("run_group", "positions", one_of(groups))
    st.selectbox(_("Runs that vary"), list(groups), format_func=groups.get, key="run_group", persist_state="session")
    in_grid = f"{group}-" if group in _grids(_) else None
    mine = [name for name, row in VARIANTS.items() if (name.startswith(in_grid) if in_grid else row.group == group)]
    return list(dict.fromkeys([BASE, *mine]))


def _grids(_: Words) -> dict[str, str]:
    """The grid in four parts, as twenty-four curves say nothing."""
    places = {"pre-norm": "pre-LN", "post-norm": "post-LN"}
    return {
        f"schedule-{place}-{depth}": _("Warm-up and rate: {place}, {depth} + {depth} layers").format(
            place=said, depth=depth
        )
        for place, said in places.items()
        for depth in (6, 12)
    }


def _figures(_: Words) -> dict[str, str]:
    return {
        "loss": _("Loss, training"),
        "accuracy": _("Tokens right, training"),
        "validation_loss": _("Loss, unseen"),
        "validation_exact_match": _("Sentences right, unseen"),
        "learning_rate": _("Learning rate"),
        "gradient_norm": _("Gradient norm"),
        "gradient_norms": _("Gradient norm per layer"),
        "weight_norms": _("Weight norm per layer"),
    }


def _by_layer(_: Words, found: Mapping[str, Sequence[Record]], asked: Asked) -> tuple[dict[str, list[Spread]], Asked]:
    """One layer of every run, or every layer of one run."""
    ways = {"runs": _("one layer, every run"), "layers": _("every layer, one run")}
    if choose_one(_("Lines"), "run_lines", ways, "runs", labelled=False) == "layers":
        names = {name: row_name(_, name) for name in found}
        name = keep("run_row", next(iter(names)), one_of(names))
        st.selectbox(_("Run"), list(names), format_func=names.get, key="run_row", persist_state="session")
        layers = [layer for layer in layers_of(found[name], asked.figure) if "." in layer]
        return {_layer_name(_, layer): layer_spread(found[name], asked.figure, layer) for layer in layers}, asked
    layers = list(dict.fromkeys(layer for records in found.values() for layer in layers_of(records, asked.figure)))
    if not layers:
        return {row_name(_, name): [] for name in found}, asked
    varied = [layer for name, log in found.items() if name != BASE for layer in layers_of(log, asked.figure)]
    inside = [layer for layer in varied if "." in layer]
    layer = keep("run_layer", FIRST if FIRST in varied else next(iter(inside), layers[0]), one_of(layers))
    st.selectbox(
        _("Layer"), layers, format_func=lambda each: _layer_name(_, each), key="run_layer", persist_state="session"
    )
    lines = {row_name(_, name): layer_spread(records, asked.figure, layer) for name, records in found.items()}
    return lines, Asked(asked.figure, f"{asked.title}: {_layer_name(_, layer)}", layer)


def layers_of(records: Sequence[Record], figure: str) -> list[str]:
    """The parts of the network whose norms a log has, in the network's order."""
    return list(next((norms for record in records if (norms := _norms(record, figure))), {}))


def _norms(record: Record, figure: str) -> dict[str, float]:
    """The norm of each part; a stack that was not logged layer by layer is marked as a whole.

    Of a stack in layers what bears its bare name is the rest of it, the norm that follows the last layer.
    """
    norms = record.get(figure)
    if not isinstance(norms, Mapping):
        return {}
    layered = {name.partition(".")[0] for name in norms if "." in name}
    whole = {name: f"{name}.{WHOLE}" for name in STACKS if name not in layered}
    return {whole.get(name, name): norm for name, norm in norms.items()}


def layer_spread(records: Sequence[Record], figure: str, layer: str) -> list[Spread]:
    """The norm of one layer over the seeds."""

    def values() -> Iterator[Record]:
        for record in records:
            if layer in (norms := _norms(record, figure)):
                yield {"step": record["step"], "norm": norms[layer]}

    return spread(values(), "norm")


def _layer_name(_: Words, layer: str) -> str:
    stack, dot, number = layer.partition(".")
    names = {
        "embedding": _("word embedding"),
        "source": _("source: embedding to input"),
        "target": _("target: embedding to input"),
        "encoder": _("encoder, final norm"),
        "decoder": _("decoder, final norm"),
        f"encoder.{WHOLE}": _("whole encoder"),
        f"decoder.{WHOLE}": _("whole decoder"),
        "readout": _("readout"),
    }
    if dot and number.isdigit():
        stacks = {"encoder": _("encoder"), "decoder": _("decoder")}
        return _("{stack}, layer {number}").format(stack=stacks.get(stack, stack), number=int(number) + 1)
    return names.get(layer, layer)


# --- drawing --------------------------------------------------------------------------------------------------------


def _draw(_: Words, lines: Mapping[str, Sequence[Spread]], asked: Asked, found: Mapping[str, Sequence[Record]]) -> None:
    if not any(lines.values()):
        st.markdown(_("None of these logs has this figure."))
        return
    ends = {name: points[-1].step for name, points in lines.items() if points}
    last = max((step for name, step in ends.items() if name != row_name(_, BASE)), default=max(ends.values()))
    cut = {name: [point for point in points if point.step <= last] for name, points in lines.items()}
    shares = asked.figure in SHARES
    st.vega_lite_chart(
        charts.curves(
            [Line(name, points) for name, points in cut.items()],
            words={"step": _("training step"), "figure": asked.title},
            levels=_levels(_, asked.figure, VARIANTS[list(found)[-1]].group),
            logarithmic=asked.figure in LOGARITHMIC,
            domain=[0.0, 1.0] if shares else None,
        )
    )
    st.caption(
        _(
            "Stored from the training runs, seeds {seeds}. A line is the median over the seeds, its band reaches from "
            "the lowest to the highest; with one seed there is no band."
        ).format(seeds=_seeds(_, found))
    )
    _ends(_, cut, found)
    schedules = {name: records for name, records in found.items() if VARIANTS[name].group == "schedule"}
    if schedules:
        _falls(_, schedules)


def _falls(_: Words, found: Mapping[str, Sequence[Record]]) -> None:
    """Whether a rate that falls ended lower than one that stays, and what the literature has on it."""
    every = {name: spread(records, "validation_loss") for name, records in found.items()}
    last = min((points[-1].step for points in every.values() if points), default=0)
    ends = {name: point for name, points in every.items() for point in points if point.step == last}
    if len(ends) < 2:
        return
    ends = dict(sorted(ends.items(), key=lambda each: each[1].middle))
    said = [f"**{row_name(_, name)}** {end.middle:.2f} ({end.low:.2f} – {end.high:.2f})" for name, end in ends.items()]
    st.markdown(
        _("Loss on unseen pairs after {steps} steps, lowest first (lowest – highest seed): {order}.").format(
            steps=last, order=", ".join(said)
        )
    )
    staying = next((end for name, end in ends.items() if VARIANTS[name].recipe.schedule == "constant"), None)
    if staying is None:
        return
    st.markdown(_verdict(_, ends, staying))
    _mean_rates(_, {name: spread(found[name], "learning_rate") for name in ends})
    st.caption(
        _(
            "Literature: in long trainings of language models, at the best peak rate, a straight line to zero ends "
            "lower than other schedules, and the lead grows with the training (Bergsma et al. 2025, *Straight to "
            "Zero*). Our runs share one peak rate, {peak}, and end after {steps} steps: they say nothing of long ones."
        ).format(peak=f"{VARIANTS[next(iter(ends))].recipe.learning_rate:g}", steps=last)
    )


def _verdict(_: Words, ends: Mapping[str, Spread], staying: Spread) -> str:
    falling = {row_name(_, name): end for name, end in ends.items() if end is not staying}
    ahead = [name for name, end in falling.items() if end.high < staying.low]
    if ahead:
        said = _("The fall pays even in so short a run: every seed of {names} ends below the constant rate's.")
        return said.format(names=", ".join(ahead))
    if all(end.low > staying.high for end in falling.values()):
        return _("So short a run punishes the fall: every seed of the falling rates ends above the constant rate's.")
    return _("No falling rate ends below the constant one with every seed, nor do all end above it.")


def _mean_rates(_: Words, rates: Mapping[str, Sequence[Spread]]) -> None:
    """Whether the runs, the lowest loss first, stand in the order of how far they went."""
    means = [statistics.fmean(point.middle for point in points) for points in rates.values() if points]
    if len(means) == len(rates) and means == sorted(means, reverse=True):
        st.markdown(
            _(
                "The order is that of the mean logged rate ({means}): the sooner a rate fell, the less was learned."
            ).format(means=", ".join(map(rate, means)))
        )


def _levels(_: Words, figure: str, group: str) -> dict[str, float]:
    """The null lines of a figure: what guessing gives, or the norm at which gradients are clipped."""
    if figure == "gradient_norm":
        return {_("clipped to this"): CLIP}
    if figure not in (*LOSSES, "accuracy") or group == "translator":
        return {}
    flat = plateau(_)
    return levels(_, figure, flat) if flat else {}


def levels(_: Words, figure: str, flat: Plateau) -> dict[str, float]:
    """What who guesses blindly, and who knows how frequent each token is, reaches in this figure."""
    if figure == "accuracy":
        return {_("always the most frequent token"): flat.accuracy}
    unseen = figure == "validation_loss"
    return {
        _("guessing among all pieces (ln V)"): math.log(flat.vocabulary),
        _("unigram plateau: frequencies alone"): flat.held_out_loss if unseen else flat.loss,
    }


def _seeds(_: Words, found: Mapping[str, Sequence[Record]]) -> str:
    """The seeds of the runs, and whose they are where they differ."""
    own: dict[str, list[str]] = {}
    for name, records in found.items():
        own.setdefault(", ".join(map(str, seeds(records))) or "–", []).append(row_name(_, name))
    return (
        next(iter(own)) if len(own) == 1 else "; ".join(f"{each} ({', '.join(names)})" for each, names in own.items())
    )


def _ends(_: Words, lines: Mapping[str, Sequence[Spread]], found: Mapping[str, Sequence[Record]]) -> None:
    """Where each line ends, beside the base at that very step."""
    base = lines.get(row_name(_, BASE), [])
    at = {point.step: point.middle for point in base}
    rows = []
    for name, points in lines.items():
        if points:
            step, low, middle, high = points[-1]
            row = {_("run"): name, _("last step"): step, _("median"): middle, _("lowest"): low, _("highest"): high}
            beside = {_("minus the base at that step"): middle - at[step]} if step in at else {}
            rows.append(row | beside)
    number = st.column_config.NumberColumn(format="%.4g")
    formats = {_(name): number for name in ("median", "lowest", "highest", "minus the base at that step")}
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", column_config=formats)
    if base and len(rows) > 1:
        st.markdown(_apart(_, lines, base, {row_name(_, name): len(seeds(log)) or 1 for name, log in found.items()}))


def _apart(_: Words, lines: Mapping[str, Sequence[Spread]], base: Sequence[Spread], count: Mapping[str, int]) -> str:
    """Which runs end with every seed on one side of all of the base's, and how often an equal run would do so."""
    at, own = {point.step: point for point in base}, count[row_name(_, BASE)]
    others = [points[-1].step for name, points in lines.items() if points and name != row_name(_, BASE)]
    if not any(step in at for step in others):
        return _("The base's log has no value at their last step: nothing is said of how they differ from it.")
    found: dict[int, list[str]] = {}
    for name, points in lines.items():
        end = points[-1] if points else None
        beside = at.get(end.step) if end else None
        if end and beside and (end.low > beside.high or end.high < beside.low):
            found.setdefault(math.comb(count[name] + own, own) // 2, []).append(name)
    if not found:
        return _("At their last step the seeds of every run overlap with the base's: no difference to speak of.")
    said = [
        _("{names} (an equal run does so 1 time in {times})").format(names=f"**{', '.join(names)}**", times=times)
        for times, names in sorted(found.items(), reverse=True)
    ]
    return _("Every seed ends on one side of all of the base's: {runs}.").format(runs="; ".join(said))
