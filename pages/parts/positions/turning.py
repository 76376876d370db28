"""Moving on by k positions is one rotation, whatever the position: the matrix, one pair by hand, and the error."""

import numpy as np
import streamlit as st
import torch

from core.charts import positions as charts
from core.experiments import positions as experiments
from core.positions import sinusoid
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.heatmap import heatmap as draw
from pages.parts.positions.show import error, number
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.words import Words

CHANNELS, POSITIONS, START = 16, 200, 10


def turning(_: Words, width: int, base: float) -> None:
    """The matrix beside what it does."""
    st.subheader(_("Moving on is turning"))
    left, right = st.columns([6, 5], gap="large")
    with right:
        st.markdown(
            _(
                "To move on by k positions is to **turn** each pair by a fixed angle, wherever one stands: "
                "$PE(pos{+}k) = R_k\\, PE(pos)$. So one matrix serves all positions, which is what the paper hoped "
                "attention would use to look k words back. It takes both: a sine alone cannot be turned."
            )
        )
        by = keep("shift", 7, lambda text: min(max(int(text), 1), 100))
        st.slider(_("Move on by k positions"), 1, 100, key="shift", persist_state="session")
    with left:
        pair = _matrix(_, experiments.rotation(by, width, base).numpy(), by)
    with right:
        _by_hand(_, width, base, by, pair)
        _errors(_, width, base, by)


def _matrix(_: Words, rotation: np.ndarray, by: int) -> int:
    """The first channels of R_k; the pair that the chosen cell belongs to."""
    shown = rotation[:CHANNELS, :CHANNELS]
    count = len(shown)
    row, column = keep("turn", None, read_clamped(count, count), write_place) or (2, 3)
    st.markdown(_("**R_k**, its first {count} channels, computed from the formula. Click a pair.").format(count=count))
    names = [str(channel) for channel in range(count)]
    data = charts.matrix(
        shown,
        rows=names,
        columns=names,
        cell=(row, column),
        limit=1.0,
        words={
            "label": _("The rotation matrix; arrow keys move from cell to cell"),
            "query": _("channel of the result"),
            "key": _("channel of PE(pos)"),
            "weight": _("value"),
            "sum": "",
            "masked": "",
        },
    )

    draw(data, key="rotation", on_cell=take_place("rotation", "cell", "turn", count, count))
    st.caption(
        _("Turning by {by} positions: the angle k·ω is large in the first pairs and hardly there in the last.").format(
            by=by
        )
    )
    return row // 2


def _by_hand(_: Words, width: int, base: float, by: int, pair: int) -> None:
    """One pair of one position, turned and looked up."""
    here, there = (
        sinusoid(torch.tensor([each]), width, base)[0, 2 * pair : 2 * pair + 2].tolist() for each in (START, START + by)
    )
    angle = by * float(experiments.frequencies(width, base)[pair])
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = cosine * here[0] + sine * here[1], -sine * here[0] + cosine * here[1]
    st.latex(
        rf"""\begin{{aligned}}
        \begin{{pmatrix}} {cosine:z.3f} & {sine:z.3f} \\ {-sine:z.3f} & {cosine:z.3f} \end{{pmatrix}}
        \begin{{pmatrix}} {here[0]:z.3f} \\ {here[1]:z.3f} \end{{pmatrix}}
        &= \begin{{pmatrix}} {turned[0]:z.3f} \\ {turned[1]:z.3f} \end{{pmatrix}} \\
        PE({START + by})_{{{2 * pair},{2 * pair + 1}}} &=
        \begin{{pmatrix}} {there[0]:z.3f} \\ {there[1]:z.3f} \end{{pmatrix}}
        \end{{aligned}}"""
    )
    st.caption(
        _(
            "Channels {first} and {second}: position {start} turned by k·ω = {angle} radians, and position {end} "
            "looked up."
        ).format(first=2 * pair, second=2 * pair + 1, start=START, angle=f"{angle:z.3f}", end=START + by)
    )


def _errors(_: Words, width: int, base: float, by: int) -> None:
    vectors = sinusoid(torch.arange(POSITIONS), width, base)
    lengths = vectors.norm(dim=-1)
    st.html(
        facts(
            {
                _("largest error of R_k PE(pos)"): number(experiments.rotation_error(vectors, by, base)),
                _("length of every vector"): f"{lengths.min():z.3f} – {lengths.max():z.3f}",
                _("√(d/2), what it should be"): f"{(width / 2) ** 0.5:z.3f}",
                _("best map of the sines alone: error"): error(experiments.shift_error(vectors[:, 0::2], by)),
            }
        )
    )
    st.caption(
        _(
            "Computed for positions 0 to {last} in double precision: the first error is rounding. The last is of the "
            "best affine map that the first 50 positions teach, tried on the others: 0 is exact, 1 as bad as the mean."
        ).format(last=POSITIONS - 1)
    )
