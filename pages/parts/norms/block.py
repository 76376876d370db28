"""Part 1: a batch as a block of tokens and features; the cells that share a mean and a variance light up."""

import numpy as np
import streamlit as st
from torch import Tensor

from core.charts import norms as charts
from core.experiments import norms as experiments
from core.norms import GROUPS
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.norms.show import asked_of, choose_site, inputs, kind_names, length_of, runs_of
from pages.parts.options import choose_one
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.words import Words

EACH = 5  # features drawn of each group
ROWS = 20  # tokens drawn of each sentence


def block(here: Visit) -> None:
    """The block on the left; on the right the norm, its mean and variance, and the cell worked out."""
    _ = here.words
    st.subheader(_("Which cells share a mean and a variance?"))
    st.markdown(
        _(
            "Three sentences make a batch: yours and two samples. Each is a sheet of **tokens × features**, filled up "
            "with `<pad>`. Choose a cell and a norm: what lights up is averaged **together**."
        )
    )
    path = choose_site(here)
    if path is None:
        return
    x = inputs(asked_of(here))[path]
    left, right = st.columns([2, 3], gap="large")
    with right:
        kind = choose_one(_("Norm"), "norm_kind", kind_names(_), "layer")
    rows, channels = _drawn_rows(x), _drawn_channels(x.shape[-1])
    row, column = keep("norm_cell", None, read_clamped(len(rows), len(channels)), write_place) or (2, EACH)
    row = min(row, len(rows) - 1)
    cell = (*rows[row], channels[column])
    with left:
        _picture(here, path, x, kind, (row, column))
    with right:
        _worked(here, path, x, kind, cell)


def _drawn_rows(x: Tensor) -> list[tuple[int, int]]:
    """Sentence and position of each row."""
    return [(sentence, position) for sentence in range(x.shape[0]) for position in range(min(ROWS, x.shape[1]))]


def _drawn_channels(width: int) -> list[int]:
    """As many features of each group, spread evenly."""
    each = width // GROUPS
    return [group * each + place * each // EACH for group in range(GROUPS) for place in range(EACH)]


def _picture(here: Visit, path: str, x: Tensor, kind: str, place: tuple[int, int]) -> None:
    _ = here.words
    rows, channels = _drawn_rows(x), _drawn_channels(x.shape[-1])
    found = experiments.shared(x, kind, (*rows[place[0]], channels[place[1]]))
    values = x[[each[0] for each in rows], [each[1] for each in rows]][:, channels].numpy()
    data = charts.block(
        values,
        rows=_labels(here, path, rows),
        channels=[str(channel + 1) for channel in channels],
        cell=place,
        lit=(_range(rows, found), _span(channels, found.channels)),
        rules=[index for index, (_sentence, position) in enumerate(rows) if position == 0 and index],
        words={
            "label": _("A batch: tokens by features; arrow keys move from cell to cell"),
            "query": _("token"),
            "queries": _("tokens of three sentences"),
            "key": _("feature"),
            "keys": _("feature"),
            "weight": _("value"),
            "sum": _("colours end at the strongest 3 %"),
            "masked": "",
        },
    )
    draw(data, key="norm_block", on_cell=take_place("norm_block", "cell", "norm_cell", len(rows), len(channels)))
    _caption(_, x, len(channels))


def _caption(_: Words, x: Tensor, drawn: int) -> None:
    st.caption(
        _(
            "Measured on this sentence: what this norm reads. {drawn} of the {width} features are drawn, {each} from "
            "each of {groups} groups; mean and variance are over all of them."
        ).format(drawn=drawn, width=x.shape[-1], each=EACH, groups=GROUPS)
    )
    if x.shape[1] > ROWS:
        st.caption(_("The first {rows} tokens of each sentence are drawn.").format(rows=ROWS))


def _labels(here: Visit, path: str, rows: list[tuple[int, int]]) -> list[str]:
    """The piece of each row, and the name of the filler where a sentence has ended."""
    source = path.startswith("encoder")
    pieces = [
        [token.piece for token in (run.source_tokens if source else run.target_tokens)]
        for run in runs_of(asked_of(here), "mates")
    ]
    return [pieces[sentence][position] if position < len(pieces[sentence]) else "<pad>" for sentence, position in rows]


def _range(rows: list[tuple[int, int]], found: experiments.Shared) -> tuple[int, int]:
    """The first of the drawn rows that share, and the one after the last."""
    inside = [
        index
        for index, (sentence, position) in enumerate(rows)
        if found.rows.start <= sentence < found.rows.stop and found.positions.start <= position < found.positions.stop
    ]
    return inside[0], inside[-1] + 1


def _span(channels: list[int], shared: slice) -> tuple[int, int]:
    inside = np.flatnonzero([shared.start <= channel < shared.stop for channel in channels])
    return int(inside[0]), int(inside[-1]) + 1


# --- worked out -----------------------------------------------------------------------------------------------------


def _worked(here: Visit, path: str, x: Tensor, kind: str, cell: tuple[int, int, int]) -> None:
    _ = here.words
    found = experiments.shared(x, kind, cell)
    sizes = " × ".join(str(each.stop - each.start) for each in (found.rows, found.positions, found.channels))
    st.markdown(_said(_)[kind])
    st.html(
        facts(
            {
                _("cells that share"): _("{sizes} = {cells} of {all}").format(
                    sizes=sizes, cells=f"{found.cells:,}", all=f"{x.numel():,}"
                ),
                _("their mean μ"): f"{found.mean:z.4f}",
                _("their variance σ²"): f"{found.variance:z.4f}",
                _("this cell x"): f"{found.value:z.4f}",
            }
        )
    )
    st.latex(
        rf"\hat x = \frac{{x - \mu}}{{\sqrt{{\sigma^2 + \varepsilon}}}} = \frac{{{found.value:z.4f} - "
        rf"{_signed(found.mean)}}}{{\sqrt{{{found.variance:z.4f} + 10^{{-5}}}}}} = {found.normalized:z.4f}"
    )
    _learned(here, path, found, cell[2])
    _all_kinds(_, x, cell)
    _pads(here, path, x, kind)


def _signed(value: float) -> str:
    shown = f"{value:z.4f}"
    return f"({shown})" if shown.startswith("-") else shown


def _said(_: Words) -> dict[str, str]:
    return {
        "batch": _(
            "**Batch norm**: one feature over every token of every sentence. Whoever shares the batch has a say; at "
            "inference a moving average from training takes their place."
        ),
        "layer": _(
            "**Layer norm**, the Transformer's: all features of **one token**. A learner's note says it normalises "
            "“per layer”; there is one such norm at each place of the network, but every token has its own mean and "
            "variance."
        ),
        "instance": _(
            "**Instance norm**: one feature over all tokens of one sentence, those to come and pads included."
        ),
        "group": _(
            "**Group norm**: a quarter of the features over all tokens of one sentence. With one group, vision calls "
            "this layer norm; it is not the Transformer's, which keeps tokens apart."
        ),
        "rms": _(
            "**RMSNorm**: all features of one token, and nothing is subtracted. What is shown as variance is the mean "
            "square."
        ),
    }


def _learned(here: Visit, path: str, found: experiments.Shared, channel: int) -> None:
    """What the model itself goes on to do with its own norm's value."""
    _, network = here.words, here.model.transformer
    norm = network.get_submodule(path)
    own = network.config.norm
    if own not in experiments.KINDS or not list(norm.parameters()):
        return
    gain, bias = (float(part.detach()[channel]) for part in (norm.gain, norm.bias))
    if st.session_state["norm_kind"] == own and own != "batch":
        st.latex(
            rf"\gamma\,\hat x + \beta = {gain:z.4f} \cdot {_signed(found.normalized)} + {_signed(bias)} = "
            rf"{gain * found.normalized + bias:z.4f}"
        )
        st.caption(
            _("This model uses {norm} here; it learned γ and β for feature {feature}.").format(
                norm=kind_names(_)[own], feature=channel + 1
            )
        )


def _all_kinds(_: Words, x: Tensor, cell: tuple[int, int, int]) -> None:
    """The same cell under every norm, and left alone."""
    found = {name: experiments.shared(x, kind, cell) for kind, name in kind_names(_).items()}
    table = {
        _("norm"): [*found, _("none (for comparison)")],
        _("cells"): [*(each.cells for each in found.values()), 0],
        _("mean"): [*(each.mean for each in found.values()), 0.0],
        _("variance"): [*(each.variance for each in found.values()), 1.0],
        _("becomes"): [*(each.normalized for each in found.values()), float(x[cell])],
    }
    digits = st.column_config.NumberColumn(format="%.3f")
    columns = {_("mean"): digits, _("variance"): digits, _("becomes"): digits}
    st.dataframe(table, hide_index=True, height="content", column_config=columns)


def _pads(here: Visit, path: str, x: Tensor, kind: str) -> None:
    """How much of what is averaged is filler."""
    _, runs = here.words, runs_of(asked_of(here), "mates")
    positions = x.shape[1]
    if kind not in ("batch", "instance", "group"):
        return
    pads = [positions - length_of(run, path) for run in (runs if kind == "batch" else runs[:1])]
    share = sum(pads) / (positions * len(pads))
    where = _("the batch") if kind == "batch" else _("your sentence")
    st.caption(
        _("Of the tokens of {where}, {share} are pads, and they count: a norm does not know the mask.").format(
            where=where, share=f"{share:.0%}"
        )
    )
