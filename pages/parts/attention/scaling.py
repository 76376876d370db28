"""Part 2: a dial for what the scores of this head are divided by."""

from math import isclose

import streamlit as st

from core.attention import DIVISORS
from core.charts import attention as charts
from core.charts import figures, heatmap
from core.edits import Scale
from core.experiments import scaling as experiments
from pages.parts.address import keep
from pages.parts.attention.choosing import Chosen, choose
from pages.parts.attention.undivided import trained_without
from pages.parts.attention.variance import why
from pages.parts.edits import effect, put, remove
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heads import canvas_words
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.words import Words

NOTCHES = range(-4, 21)  # divisors d_k^(notch / 16): 0 divides by 1, 8 by √d_k, 16 by d_k
ROOT = 8


def scaling(here: Visit) -> None:
    """The dial on the chosen head and in the model, the experiment behind the square root, and training without it."""
    chosen = choose(here)
    _dial(here, chosen)
    st.divider()
    why(here.words, chosen)
    st.divider()
    trained_without(here)


# --- the dial -------------------------------------------------------------------------------------------------------


def _dial(here: Visit, chosen: Chosen) -> None:
    _, channels = here.words, chosen.attention.query.shape[-1]
    st.subheader(_("A dial for the scale of this head"))
    own = ROOT if here.model.transformer.config.scale == "root" else 0
    notch = keep("dial", own, lambda text: NOTCHES[NOTCHES.index(int(text))])
    divisor = divisor_at(notch, channels)
    found = {each: _rows(chosen, divisor_at(each, channels)) for each in NOTCHES}
    left, right = st.columns([5, 7], gap="large")
    with left:
        st.select_slider(
            _("Divide every q · k of this head by"),
            list(NOTCHES),
            format_func=lambda each: _named(each, channels),
            key="dial",
            persist_state="session",
        )
        cell = chosen.place.query, chosen.place.key
        data = heatmap.detail(
            found[notch].weights.numpy(),
            chosen.allowed,
            queries=chosen.queries,
            keys=chosen.keys,
            cell=cell,
            words=canvas_words(_, chosen.place.kind),
        )
        draw(data, key="dial_map")
        _in_the_model(here, chosen, divisor)
    with right:
        _curves(_, found, divisor, own, channels)
        _means(_, found[own], found[notch])
        if here.model.transformer.config.positions == "alibi":
            st.caption(_("This model's biases of the distance are left out on this dial."))
        _each_row(_, chosen, found[own], found[notch])
    if here.edits:
        effect(here)


def divisor_at(notch: int, channels: int) -> float:
    """What the scores are divided by at a notch of the dial."""
    return float(channels ** (notch / (2 * ROOT)))


def _named(notch: int, channels: int) -> str:
    special = {0: "1", ROOT: f"√{channels}", 2 * ROOT: str(channels)}
    return special.get(notch, f"{divisor_at(notch, channels):.3g}")


def _rows(chosen: Chosen, divisor: float) -> experiments.Rows:
    attention, head = chosen.attention, chosen.place.head
    query, key = attention.query[head].double(), attention.key[head].double()
    mask = attention.mask if attention.mask.ndim == 2 else attention.mask[head]
    return experiments.rows(query, key, mask, 1 / divisor)


def _curves(_: Words, found: dict[int, experiments.Rows], divisor: float, own: int, channels: int) -> None:
    st.markdown(_("**Means over this head's rows**, by what the scores are divided by"))
    names = _row_names(_)
    curves = {name: [float(getattr(each, field).mean()) for each in found.values()] for field, name in names.items()}
    words = {
        "x": _("q · k divided by"),
        "y": _("mean over the rows"),
        "trained": _("trained with {divisor}").format(divisor=_named(own, channels)),
        "chosen": _("the dial"),
    }
    divisors = [divisor_at(notch, channels) for notch in found]
    st.vega_lite_chart(
        charts.dial(divisors, curves, trained=divisor_at(own, channels), chosen=divisor, words=words), key="dial_curves"
    )


def _row_names(_: Words) -> dict[str, str]:
    return {
        "entropy": _("entropy ÷ its maximum"),
        "largest": _("largest weight"),
        "jacobian": _("norm of the softmax Jacobian"),
    }


def _means(_: Words, before: experiments.Rows, after: experiments.Rows) -> None:
    shown = {
        name: f"{float(getattr(before, field).mean()):.3f} → {float(getattr(after, field).mean()):.3f}"
        for field, name in _row_names(_).items()
    }
    st.html(facts(shown))
    st.caption(
        _(
            "As trained → with the dial. Computed on this sentence from this head's own q and k; trained with another "
            "divisor, the matrices would be others. The Jacobian diag(p) − ppᵀ says how far a small change of "
            "the scores moves the weights: where it is 0, no gradient reaches query or key."
        )
    )


def _each_row(_: Words, chosen: Chosen, before: experiments.Rows, after: experiments.Rows) -> None:
    names = _row_names(_)
    field = choose_one(_("Row by row"), "dial_row", names, "entropy")
    words = {
        "token": _("query"),
        "before": _("as trained"),
        "after": _("with the dial"),
        "difference": _("difference"),
        "axis": names[field],
    }
    values = [getattr(each, field).tolist() for each in (before, after)]
    st.vega_lite_chart(figures.differences(chosen.queries, *values, words=words))


def _in_the_model(here: Visit, chosen: Chosen, divisor: float) -> None:
    """The dial as an edit of the model, and what the translation becomes with it."""
    _, edit = here.words, Scale(chosen.where, 1 / divisor)
    config = here.model.transformer.config
    own = 1 / DIVISORS[config.scale](config.width // config.heads)
    mine = [each for each in here.edits if isinstance(each, Scale) and each.where == chosen.where]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            _("Run the model with this scale in this head"),
            icon=":material/play_arrow:",
            disabled=isclose(own, edit.factor) or edit in mine,
            on_click=put,
            args=(edit,),
        )
        if mine:
            st.button(_("Take it back"), icon=":material/undo:", on_click=remove, args=(mine[-1],))
