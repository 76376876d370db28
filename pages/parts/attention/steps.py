"""Part 1: twelve steps from a token's vector to what the head adds to it, each unfolding in place."""

import streamlit as st

from core.charts import heatmap
from core.charts.positions import limit_of, matrix
from core.measures.walk import STEPS, Walk
from pages.parts.address import keep
from pages.parts.attention.choosing import Chosen, choose, look_at, tokens, walk
from pages.parts.attention.pictures import PICTURES
from pages.parts.attention.readings import READINGS, export_command
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.heads import canvas_words
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.positions.show import number
from pages.parts.selection import clicked
from pages.parts.words import Words

STICKY = """<style>@media (min-width: 900px) {
[data-testid="stColumn"]:has(.st-key-attention_left) { position: sticky; top: 3.5rem; align-self: flex-start }
}</style>"""
FIRST_OPEN = ("scores",)


def steps(here: Visit) -> None:
    """The head as a map that stays in sight, and beside it the way of one query through it."""
    _ = here.words
    chosen = choose(here)
    worked = walk(chosen)
    st.html(STICKY)
    left, right = st.columns([5, 7], gap="large")
    with left, st.container(key="attention_left"):
        tokens(_, chosen)
        _map(_, chosen)
        _cell(_, chosen, worked)
    with right:
        reading = _reading(_)
        if reading == "code":
            export_command(here, chosen)
        _timeline(here, chosen, worked, reading)


# --- the map --------------------------------------------------------------------------------------------------------


def _map(_: Words, chosen: Chosen) -> None:
    """The head's weights, or its scores; a click chooses a cell."""
    names = {"weights": _("weights"), "scores": _("scores, before the mask")}
    what = choose_one(_("What the map shows"), "attention_map", names, "weights", labelled=False)
    place, words = chosen.place, canvas_words(_, chosen.place.kind)
    cell, axes = (place.query, place.key), {"queries": chosen.queries, "keys": chosen.keys}
    if what == "weights":
        weights = chosen.attention.weights[place.head].numpy()
        data = heatmap.detail(weights, chosen.allowed, **axes, cell=cell, words=words)
    else:
        scores = chosen.attention.scores[place.head].numpy()
        words |= {"weight": _("score"), "sum": _("scores, not weights")}
        data = matrix(scores, rows=chosen.queries, columns=chosen.keys, cell=cell, limit=limit_of(scores), words=words)
    shape = chosen.attention.weights.shape[-2:]

    def take() -> None:
        found = clicked("attention_matrix", "cell", *shape)
        if found:
            look_at(*found)

    draw(data, key="attention_matrix", on_cell=take)


def _cell(_: Words, chosen: Chosen, worked: Walk) -> None:
    key = chosen.place.key
    weight = figure(float(worked.softmax.weights[key])) if worked.open[key] else _("masked")
    st.html(
        facts(
            {
                _("query · key"): figure(float(worked.raw_scores[key])),
                _score_name(_, worked): figure(float(worked.scores[key])),
                _("weight"): weight,
            }
        )
    )


def _score_name(_: Words, worked: Walk) -> str:
    """How a score comes from the product: divided, and less what distance takes."""
    divided = f"÷ √{len(worked.query)}" if worked.divisor != 1 else _("score, not divided")
    return f"{divided}, " + _("less the distance") if worked.biases.any() else divided


# --- the timeline ---------------------------------------------------------------------------------------------------


def _reading(_: Words) -> str:
    names = {
        "story": _("Story"),
        "numbers": _("Numbers"),
        "formula": _("Formula"),
        "code": _("Code"),
    }
    reading = choose_one(_("How to read each step"), "read", names, "numbers")
    return reading


def _timeline(here: Visit, chosen: Chosen, worked: Walk, reading: str) -> None:
    _, names = here.words, step_names(here.words, divided=worked.divisor != 1)
    opened = keep("open", FIRST_OPEN, _read_steps, _write_steps)
    with st.container(horizontal=True, gap="small"):
        st.button(_("Unfold all"), icon=":material/unfold_more:", type="tertiary", on_click=_open, args=(STEPS,))
        st.button(_("Fold all"), icon=":material/unfold_less:", type="tertiary", on_click=_open, args=((),))
    with st.container(gap="xsmall"):
        for count, step in enumerate(STEPS, 1):
            unfolded = step in opened
            with st.container(border=True, key=f"step_{step}", gap="small"):
                st.button(
                    f"**{count} · {names[step]}**   {result(worked, step)}",
                    icon=":material/expand_less:" if unfolded else ":material/expand_more:",
                    type="tertiary",
                    key=f"fold_{step}",
                    on_click=_fold,
                    args=(step, opened),
                )
                if unfolded:
                    PICTURES[step](_, chosen, worked)
                    READINGS[reading](here, chosen, worked, step)
                    _difference(_, chosen, worked, step)


def step_names(_: Words, *, divided: bool = True) -> dict[str, str]:
    """The steps as they are called on the screen."""
    return {
        "vector": _("The token's vector"),
        "norm": _("Norm, before the attention"),
        "projections": _("Query, key and value"),
        "scores": _("Score: query · key"),
        "scale": _("Divided by √d") if divided else _("Not divided by √d"),
        "mask": _("Mask"),
        "softmax": _("Softmax"),
        "values": _("Weighted values"),
        "slice": _("Its slice of W_O"),
        "heads": _("All heads summed"),
        "residual": _("Back into the stream"),
        "next_norm": _("Norm, before what comes next"),
    }


def result(worked: Walk, step: str) -> str:
    """What a step comes to, for its title."""
    shown = {
        "vector": "‖x‖ = {}",
        "norm": "‖norm(x)‖ = {}",
        "projections": "‖q‖ = {}, ‖k‖ = {}, ‖v‖ = {}",
        "scores": "q · k = {}",
        "scale": "s = {}",
        "mask": "s = {}",
        "softmax": "w = {}",
        "values": "‖o‖ = {}",
        "slice": "‖W_O o‖ = {}",
        "heads": "‖Σ‖ = {}",
        "residual": "‖x′‖ = {}",
        "next_norm": "‖norm(x′)‖ = {}",
    }
    return in_markdown(shown[step].format(*(figure(each) for each in worked.figures(step))))


def figure(value: float) -> str:
    """A number as the steps write it."""
    if value == float("-inf"):
        return "−∞"
    return number(value).replace("-", "−")


def _difference(_: Words, chosen: Chosen, worked: Walk, step: str) -> None:
    """How far the step worked out here is from the model's own tensor, and what the numbers are."""
    error = worked.error(step)
    if chosen.edited and error >= 1e-5:
        st.caption(
            _(
                "This step differs from the edited model's own tensor by **{error}**: an edit changed that tensor on "
                "the way. *Edited.*"
            ).format(error=f"{error:.2g}")
        )
        return
    source = _("edited model, this sentence") if chosen.edited else _("measured on this sentence")
    st.caption(
        _("Largest difference from the model's own tensor: **{error}** ({source}).").format(
            error=f"{error:.1e}" if error else "0", source=source
        )
    )


def _read_steps(text: str) -> tuple[str, ...]:
    wanted = [int(count) - 1 for count in filter(None, text.split("-"))] if text != "none" else []
    if not all(0 <= count < len(STEPS) for count in wanted):
        raise ValueError(text)
    return tuple(STEPS[count] for count in sorted(set(wanted)))


def _write_steps(opened: tuple[str, ...]) -> str:
    return "-".join(str(STEPS.index(step) + 1) for step in opened) or "none"


def _open(wanted: tuple[str, ...]) -> None:
    st.session_state["open"] = wanted


def _fold(step: str, opened: tuple[str, ...]) -> None:
    """What a click on a step's title does."""
    st.session_state["open"] = tuple(each for each in STEPS if (each in opened) != (each == step))
