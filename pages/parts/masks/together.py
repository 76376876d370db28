"""Part 1, the end: all masks of the model on one board, and masks combined."""

import numpy as np
import streamlit as st

from core.charts import masks as charts
from core.run import Run
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.selection import of_kind, read_clamped, take_place, write_place
from pages.parts.words import Words

Array = np.ndarray


def together(here: Visit, padded: Run) -> None:
    """All masks on one board, and what a padding mask would add to the look-ahead mask."""
    _ = here.words
    st.subheader(_("Alone and combined"))
    left, right = st.columns([6, 5], gap="large")
    with left:
        _board(_, padded)
    if here.model.transformer.config.mask == "causal":
        with right:
            _and(here, padded)


def board(run: Run) -> Array:
    """Who may look at whom in the whole model: source tokens, then target tokens, as queries and as keys.

    The encoder never looks at the translation, so that corner has no attention at all.
    """
    own, cross, ahead = (of_kind(run, kind)[0].mask.numpy() for kind in ("encoder", "cross", "decoder"))
    return np.block([[own, np.zeros((len(own), len(ahead)), dtype=bool)], [cross, ahead]])


def _board(_: Words, padded: Run) -> None:
    pieces = [token.piece for token in (*padded.source_tokens, *padded.target_tokens)]
    st.markdown(
        _(
            "**All three on one board**: the source sentence and then the translation, as queries (down) and as keys "
            "(across). Upper left: the encoder. Lower left: the translation reading it. Lower right: the translation "
            "reading itself. Upper right: nothing; the encoder never sees the translation."
        )
    )
    cell = keep("board_cell", None, read_clamped(len(pieces), len(pieces)), write_place) or (0, 0)
    data = charts.mask(
        board(padded),
        queries=pieces,
        keys=pieces,
        cell=cell,
        marks=("", ""),
        strong=True,
        edited=(),
        toggles=False,
        splits=(len(padded.source_tokens),) * 2,
        words={
            "label": _("All masks on one board; arrow keys move from cell to cell"),
            "query": _("query"),
            "key": _("key"),
            "queries": _("query (source, then translation)"),
            "keys": _("key (source, then translation)"),
            "open": _("may look"),
            "masked": _("masked"),
            "sum": "",
        },
    )
    draw(data, key="mask_board", on_cell=take_place("mask_board", "cell", "board_cell", len(pieces), len(pieces)))


def _and(here: Visit, padded: Run) -> None:
    _ = here.words
    ahead = of_kind(padded, "decoder")[0].mask.numpy()
    real = len(here.run.target_tokens)
    shut = np.broadcast_to(np.arange(len(ahead)) < real, ahead.shape)
    tiles = np.stack([ahead, shut, ahead & shut])[None]
    place = keep("mask_tile", (0, 2), read_clamped(1, 3), write_place) or (0, 2)
    st.markdown(_("**Combining is “and”**: 0/1 multiply, 0/−∞ add. Here for the translation and its own pads:"))
    names = [_("look-ahead"), _("its padding"), _("both")]
    data = charts.maps(
        tiles * np.float32(charts.STRONG),
        tiles,
        titles=[names],
        chosen=place,
        words={"label": _("Masks alone and combined; arrow keys choose one")},
    )
    draw(data, key="mask_and", on_head=take_place("mask_and", "head", "mask_tile", 1, 3))
    st.html(
        facts(
            {
                names[place[1]]: _("{count} cells open").format(count=int(tiles[place].sum())),
                _("cells that both hide and look-ahead alone does not"): str(int((ahead & ~shut).sum())),
                _("of these, in rows of real tokens"): str(int((ahead & ~shut)[:real].sum())),
            }
        )
    )
    st.markdown(
        _(
            "Many tutorials give the decoder both masks. This model uses look-ahead alone: pads come **last**, so to "
            "every real token they are the future, and hidden already."
        )
    )
