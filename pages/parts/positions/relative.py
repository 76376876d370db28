"""Part 6: positions inside the attention: RoPE turns queries and keys, ALiBi takes the distance from the scores."""

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import encodings
from core.charts import positions as charts
from core.charts.figures import INDIGO, ORANGE
from core.checkpoint import Model
from core.experiments import relative as experiments
from core.positions import TooLong, rotate, slopes
from core.run import Run
from pages.parts import models
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_number
from pages.parts.positions.show import number, predict
from pages.parts.positions.twins import EVERY, mark_unseen, run_of
from pages.parts.selection import clicked, read_clamped, take_place, write_place
from pages.parts.words import Words
from pages.parts.zoo import at_hand, names

ROTARY, ALIBI = "positions-rotary", "positions-alibi"
LIGHT_INDIGO, LIGHT_ORANGE = "#c9c6ff", "#ffd29a"
FARTHEST = 1_000


def inside_attention(here: Visit) -> None:
    """A head of each kind on this sentence, and what becomes of all scores when the sentence moves on."""
    _ = here.words
    twins = at_hand(_, EVERY)
    if not twins:
        return
    st.markdown(
        _(
            "Nothing need be added to the words: a score compares a query with a key, and can itself be told how far "
            "they are apart. **RoPE** (Su et al. 2021) turns query and key by an angle that grows with their "
            "position; **ALiBi** (Press et al. 2022) takes the distance, times a slope, from the score."
        )
    )
    mark_unseen(here, twins.values())
    guessed = ROTARY not in twins or _rotary(here, twins[ROTARY])
    if ALIBI in twins:
        _alibi(here, twins[ALIBI])
    if guessed:
        _all_moved(here, twins)


def _head(_: Words, twin: Model, key: str) -> tuple[int, int]:
    """The layer and the head of the encoder that are looked at, from 0."""
    config = twin.transformer.config
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        layer = choose_number(_("Encoder layer"), f"{key}_layer", range(1, config.encoder_layers + 1), 1)
        head = choose_number(_("Head"), f"{key}_head", range(1, config.heads + 1), 1)
    return layer - 1, head - 1


def _scores(_: Words, run: Run, scores: np.ndarray, key: str, cell: tuple[int, int]) -> None:
    pieces = [token.piece for token in run.source_tokens]
    count = len(pieces)
    data = charts.matrix(
        scores,
        rows=pieces,
        columns=pieces,
        cell=cell,
        limit=charts.limit_of(scores),
        words={
            "label": _("The scores of this head; arrow keys move from cell to cell"),
            "query": _("query"),
            "key": _("key"),
            "weight": _("score"),
            "sum": _("scores, not weights"),
            "masked": "",
        },
    )

    draw(data, key=f"{key}_map", on_cell=take_place(f"{key}_map", "cell", f"{key}_cell", count, count))


def _cell(run: Run, key: str) -> tuple[int, int]:
    count = len(run.source_tokens)
    chosen = keep(f"{key}_cell", None, read_clamped(count, count), write_place)
    return chosen or (min(2, count - 1), min(4, count - 1))


# --- RoPE -----------------------------------------------------------------------------------------------------------


def _rotary(here: Visit, twin: Model) -> bool:
    """Turned queries and keys, once the visitor has said what a shift does; False as long as they have not."""
    _ = here.words
    st.subheader(_("RoPE: queries and keys are turned"))
    st.latex(
        r"""\begin{aligned} \mathrm{score}_{mn}\sqrt{d_k} &= (R_m\,q)^\top (R_n\,k) \\
        &= q^\top R_m^\top R_n\,k = q^\top R_{n-m}\,k \end{aligned}"""
    )
    guess = predict(
        _,
        "shift_guess",
        _("Both words move on by 100 positions. How much do the scores of a RoPE head change?"),
        _guesses(_),
    )
    if guess is None:
        return False
    run = run_of(here, ROTARY)
    layer, head = _head(_, twin, "rope")
    turned = experiments.turned(run, layer, head)
    cell = _cell(run, "rope")
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown(_("**Scores of this head**, measured on this sentence. Click a cell."))
        _scores(_, run, turned.scores().numpy(), "rope", cell)
    with right:
        _planes(_, run, turned, cell)
    _shift(_, turned, cell, guess)
    return True


def _guesses(_: Words) -> dict[str, str]:
    return {"none": _("not at all"), "little": _("a little"), "much": _("beyond recognition")}


def _planes(_: Words, run: Run, turned: experiments.Turned, cell: tuple[int, int]) -> None:
    pieces = [token.piece for token in run.source_tokens]
    st.markdown(_("**The query and the key of that cell**, pair by pair of channels, before and after turning"))
    query, key = turned.query[cell[0]], turned.key[cell[1]]
    vectors = {
        _("query"): query,
        _("query, turned"): rotate(query[None], turned.angles(1, cell[0]))[0],
        _("key"): key,
        _("key, turned"): rotate(key[None], turned.angles(1, cell[1]))[0],
    }
    shades = (LIGHT_INDIGO, INDIGO, LIGHT_ORANGE, ORANGE)
    words = {"pair": _("pair"), "x": _("even channel"), "y": _("odd channel")}
    st.altair_chart(
        encodings.planes({name: each.numpy() for name, each in vectors.items()}, shades=shades, words=words),
        width="content",
    )
    st.html(
        facts(
            {
                _("query"): f"{pieces[cell[0]]} · {cell[0]}",
                _("key"): f"{pieces[cell[1]]} · {cell[1]}",
                _("score before turning"): f"{_product(turned, cell):z.3f}",
                _("score"): f"{float(turned.scores()[cell]):z.3f}",
            }
        )
    )


def _product(turned: experiments.Turned, cell: tuple[int, int]) -> float:
    """The scaled score of a query and a key that stand at the same place."""
    query, key = turned.query[cell[0]], turned.key[cell[1]]
    return float(query @ key / len(query) ** 0.5)


def _shift(_: Words, turned: experiments.Turned, cell: tuple[int, int], guess: str) -> None:
    by = keep("rope_by", 100, lambda text: min(max(int(text), 1), FARTHEST))
    st.slider(_("Move on by s positions"), 1, FARTHEST, key="rope_by", persist_state="session")
    scores = turned.scores()
    together = float((turned.scores(by, by) - scores).abs().max())
    alone = float((turned.scores(by) - scores).abs().max())
    st.html(
        facts(
            {
                _("score of the cell"): f"{float(scores[cell]):z.6f}",
                _("the same, both {by} farther on").format(by=by): f"{float(turned.scores(by, by)[cell]):z.6f}",
                _("largest change, both moved"): number(together),
                _("largest change, queries alone"): number(alone),
                _("largest score"): f"{float(scores.abs().max()):z.3f}",
            }
        )
    )
    st.markdown(
        _(
            "You said **{guess}**. Moved together, no score of this head changes by more than {together}: only the "
            "distance counts. Moved alone, the queries change a score by up to {alone}."
        ).format(guess=_guesses(_)[guess], together=number(together), alone=number(alone))
    )
    st.caption(_("Measured on this head's own queries and keys, turned in double precision."))


# --- ALiBi ----------------------------------------------------------------------------------------------------------


def _alibi(here: Visit, twin: Model) -> None:
    _ = here.words
    st.subheader(_("ALiBi: distance costs score"))
    run = run_of(here, ALIBI)
    layer, head = _head(_, twin, "alibi")
    found = experiments.biased(run, layer, head)
    heads = twin.transformer.config.heads
    st.latex(
        r"""\begin{aligned} \mathrm{score}_{ij} &= q_i \cdot k_j \,/ \sqrt{d_k} - m_h\,|i - j| \\
        m_h &= 2^{-8h/n} \end{aligned}"""
    )
    st.html(
        facts(
            {
                _("slope of head {head}").format(head=each): f"{value:g}"
                for each, value in enumerate(slopes(heads).tolist(), 1)
            }
        )
    )
    parts = [found.products, found.biases, found.scores]
    titles = [_("products"), _("biases"), _("sum = scores")]
    part = keep("alibi_part", 2, {"1": 0, "2": 1, "3": 2}.__getitem__, lambda chosen: str(chosen + 1))
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown(_("**This head's scores taken apart**, on one scale. Click one."))
        maps = np.stack([each.float().numpy() for each in parts])

        def take() -> None:
            place = clicked("alibi_tiles", "head", 1, 3)
            if place:
                st.session_state["alibi_part"] = place[1]

        data = charts.tiles(
            maps[None],
            titles=[titles],
            chosen=(0, part),
            limit=charts.limit_of(maps),
            words={"label": _("The parts of the scores; arrow keys choose one")},
        )
        draw(data, key="alibi_tiles", on_head=take)
        _reach(_, run, layer, heads, twin)
    with right:
        cell = _cell(run, "alibi")
        st.markdown(f"**{titles[part]}**")
        _scores(_, run, maps[part], "alibi", cell)
        st.html(
            facts(
                {
                    titles[0]: f"{float(found.products[cell]):z.3f}",
                    titles[1]: f"{float(found.biases[cell]):z.3f}",
                    titles[2]: f"{float(found.scores[cell]):z.3f}",
                    _("weight with the bias"): f"{float(found.weights[cell]):.1%}",
                    _("without it"): f"{float(found.unbiased[cell]):.1%}",
                }
            )
        )


def _reach(_: Words, run: Run, layer: int, heads: int, twin: Model) -> None:
    """How far each head of the layer looks, with its bias and without."""
    found = [experiments.biased(run, layer, head) for head in range(heads)]
    count = len(run.source_tokens)
    uniform = experiments.mean_distance(found[0].weights * 0 + 1 / count)
    series = {
        _("with the bias"): [experiments.mean_distance(each.weights) for each in found],
        _("without it"): [experiments.mean_distance(each.unbiased) for each in found],
        _("uniform attention"): [uniform] * heads,
    }
    st.altair_chart(
        charts.lengths(
            [_("head {head}").format(head=head) for head in range(1, heads + 1)],
            series,
            words={"token": _("head"), "length": _("mean distance |query − key|")},
        )
    )
    st.caption(
        _(
            "Measured on this sentence: how far the heads of layer {layer} look, averaged with their weights. “Without "
            "it” is the softmax of the products alone; the model was trained with the bias."
        ).format(layer=layer + 1)
    )


# --- all moved on ---------------------------------------------------------------------------------------------------


def _all_moved(here: Visit, twins: dict[str, Model]) -> None:
    _ = here.words
    st.subheader(_("The whole sentence, farther on"))
    by = keep("moved_by", 20, lambda text: min(max(int(text), 1), FARTHEST))
    st.slider(_("All source tokens stand s positions farther on"), 1, FARTHEST, key="moved_by", persist_state="session")
    rows = [_row(here, name, each, by) for name, each in twins.items()]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")
    st.caption(
        _(
            "Measured in the models themselves, in single precision: every twin reads this sentence as if it began at "
            "position {by}. What depends on distance alone changes by rounding; the twin without positions cannot "
            "change at all."
        ).format(by=by)
    )


def _row(here: Visit, name: str, twin: Model, by: int) -> dict[str, str]:
    _ = here.words
    row, layer = {_("twin"): names(_)[name]}, _("largest change of a score, layer {layer}")
    changes, largest = _moved(here.run.source_text, here.run.direction, name, by) or ([], 0.0)
    for each in range(twin.transformer.config.encoder_layers):
        shown = (
            number(changes[each]) if changes else _("has {most} positions only").format(most=twin.network.config.reach)
        )
        row[layer.format(layer=each + 1)] = shown
    row[_("largest score, layer 1")] = f"{largest:z.2f}" if changes else "–"
    return row


@st.cache_data(max_entries=200, show_spinner=False)
def _moved(text: str, direction: str, name: str, by: int) -> tuple[list[float], float] | None:
    """The changes, and the largest score of the first layer; None where the twin has no such positions."""
    try:
        run = models.run(text, direction, name)
        return experiments.shifted(run, by), float(run.encoder[0].self_attention.scores.abs().max())
    except TooLong:
        return None
