"""Part 3: concat is a sum too, what each costs, how well each learns, and what the first scores are made of."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.checkpoint import Model
from core.experiments.positions import concat_error
from core.experiments.twins import Cost, race
from core.transformer import Config
from pages.parts import models
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.positions.learning import learning
from pages.parts.positions.scores import inside
from pages.parts.positions.show import number
from pages.parts.positions.twins import TWINS, introduce, run_of, vocabulary
from pages.parts.words import Words
from pages.parts.zoo import at_hand, names

ROUNDS = 25


def sum_or_concat(here: Visit) -> None:
    """The identity, the cost, the learning, and inside the first scores."""
    _ = here.words
    twins = at_hand(_, TWINS)
    if not twins:
        return
    introduce(here, twins)
    _identity(here, twins)
    _costs(here, twins)
    learning(here, twins)
    inside(here, twins)


# --- concat is a sum ------------------------------------------------------------------------------------------------


def _identity(here: Visit, twins: Mapping[str, Model]) -> None:
    _ = here.words
    st.subheader(_("Concat, then linear, is a sum too"))
    st.markdown(
        _(
            "Whatever comes next multiplies by a matrix W, and its columns fall into two blocks: one meets the word "
            "x, one the position p. So concat adds as well, after a map of each one's own; the sum is the case in "
            "which both maps are the same."
        )
    )
    st.latex(r"\begin{aligned} W\,[x;\,p] &= W_x\,x + W_p\,p \\ W\,(x + p) &= W\,x + W\,p \end{aligned}")
    name = "positions-concat"
    if name in twins:
        run = run_of(here, name)
        weight = twins[name].network.encoder.layers[0].self_attention.query_projection.weight.detach()
        error = concat_error(run.source.embedding.double(), run.source.position.double(), weight.double())
        st.html(facts({_("largest difference of the two sides"): number(error)}))
        st.caption(
            _(
                "Measured on this sentence in double precision: W is W_Q of the first layer of “{twin}”, "
                "x its word vectors, p its positions. A layer norm stands between them in the model."
            ).format(twin=names(_)[name])
        )


# --- cost -----------------------------------------------------------------------------------------------------------


def _costs(here: Visit, twins: Mapping[str, Model]) -> None:
    _, run = here.words, here.run
    st.subheader(_("What they cost"))
    source, target = len(run.source_tokens), len(run.target_tokens)
    costs = _race(tuple(twins), source, target)
    table = pd.DataFrame([_row(_, twins[name], costs[name], costs.get("positions-sum")) for name in twins])
    st.dataframe(table, hide_index=True, height="content", column_config=_formats(_))
    st.caption(
        _(
            "One pass over this sentence and its translation ({source} and {target} tokens). Parameters and "
            "multiply–adds are counted; milliseconds and memory are measured on this computer, all twins in turn in "
            "one run, the shortest of {rounds} rounds. Memory is the weights, and the most that was held at once "
            "besides; nearly all of that is the scores of all {vocabulary} pieces."
        ).format(
            source=source,
            target=target,
            rounds=ROUNDS,
            vocabulary=f"{vocabulary(twins):,}",
        )
    )


@st.cache_data(max_entries=60, show_spinner=False)
def _race(twins: tuple[str, ...], source: int, target: int) -> dict[str, Cost]:
    return race({name: models.model(name).network for name in twins}, source, target, ROUNDS)


def _row(_: Words, twin: Model, cost: Cost, reference: Cost | None) -> dict[str, Any]:
    row = {
        _("twin"): names(_)[twin.name],
        _("channels"): _channels(twin.network.config),
        _("parameters"): cost.parameters,
        _("multiply–adds (millions)"): cost.multiply_adds / 1e6,
        _("milliseconds"): cost.milliseconds,
        _("weights (MB)"): cost.weight_bytes / 1e6,
        _("held besides (MB)"): cost.working_bytes / 1e6,
    }
    if reference:
        row[_("time ÷ sum")] = cost.milliseconds / reference.milliseconds
        row[_("multiply–adds ÷ sum")] = cost.multiply_adds / reference.multiply_adds
    return row


def _channels(config: Config) -> str:
    """The width of the stream, and what it is made of where words and positions have channels of their own."""
    beside = config.width - config.content_width
    return f"{config.content_width} + {beside}" if beside else str(config.width)


def _formats(_: Words) -> dict[str, Any]:
    two = st.column_config.NumberColumn(format="%.2f")
    decimals = ("multiply–adds (millions)", "milliseconds", "weights (MB)", "held besides (MB)", "time ÷ sum")
    return {_(name): two for name in (*decimals, "multiply–adds ÷ sum")} | {
        _("parameters"): st.column_config.NumberColumn(format="localized")
    }
