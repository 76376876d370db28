"""Part 5: encoding or embedding: what a table of learned positions looks like beside the sinusoid."""

from collections.abc import Mapping

import numpy as np
import streamlit as st
import torch

from core.charts import encodings
from core.charts import positions as charts
from core.charts.figures import GREY, INDIGO, ORANGE
from core.checkpoint import Model
from core.experiments import positions as experiments
from core.experiments import tables
from core.measures.curves import exact_matches
from core.positions import sinusoid
from pages.parts import models
from pages.parts.address import keep
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.positions.twins import LEARNED, palette
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.words import Words
from pages.parts.zoo import at_hand, cards, names

RANDOM = 0.95  # share of random tables that lie below the null


def encoding_or_embedding(here: Visit) -> None:
    """The question, a prediction, and the learned table beside the sinusoid and beside chance."""
    _ = here.words
    st.subheader(_("Positional encoding or positional embedding?"))
    st.markdown(
        _(
            "A learner's note asks for the difference. An **encoding** follows a rule, as the sinusoid does; an "
            "**embedding** is a table with a row for each position, trained like the words'. The table has weights to "
            "learn, and nothing to say beyond its last row."
        )
    )
    twins = at_hand(_, LEARNED)
    if not twins:
        return
    guess = predict(
        _,
        "table_guess",
        _("In the sinusoid, likeness depends on the distance alone. Does a learned table find that by itself?"),
        _guesses(_),
    )
    if guess is None:
        return
    name, side = _which(_, twins)
    found = _trained(name, side, str(models.assets()))
    _likeness(_, found, guess)
    _rows(_, name, found.reached)
    _quality(here, list(twins))


def _guesses(_: Words) -> dict[str, str]:
    return {"no": _("no more than chance"), "partly": _("partly"), "exactly": _("exactly")}


def _which(_: Words, twins: Mapping[str, Model]) -> tuple[str, tables.Side]:
    sides = {"source": _("encoder"), "target": _("decoder")}
    titles = {name: names(_)[name] for name in twins}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        name = choose_one(_("Twin"), "table", titles, next(iter(twins)))
        side: tables.Side = choose_one(_("Whose positions"), "table_side", sides, "source")
    return name, side


@st.cache_resource(max_entries=8, show_spinner=False)
def _trained(name: str, side: tables.Side, assets: str) -> tables.Trained:
    return tables.trained(models.model(name), side)


# --- likeness -------------------------------------------------------------------------------------------------------


def _likeness(_: Words, found: tables.Trained, guess: str) -> None:
    count, width = max(found.reached, 3), found.vectors.shape[1]
    rows = {"learned": found.vectors[:count], "rule": sinusoid(torch.arange(count), width)}
    if _measure(_) == "cosines":
        rows = {name: torch.nn.functional.normalize(each, dim=-1) for name, each in rows.items()}
    products = {name: each @ each.T for name, each in rows.items()}
    titles = {"learned": _("**Learned table**, row · row"), "rule": _("**Sinusoid** of the same width")}
    left, right = st.columns(2, gap="large")
    for place, name in ((left, "learned"), (right, "rule")):
        with place:
            st.markdown(titles[name])
            _matrix(_, name, products[name].numpy())
    shares = {name: experiments.toeplitz_share(each) for name, each in products.items()}
    null = _null(count, width)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _by_distance(_, products, 1.96 / width**0.5)
    with right:
        st.html(
            facts(
                {
                    _("learned: explained by distance"): f"{shares['learned']:.1%}",
                    _("sinusoid"): f"{shares['rule']:.1%}",
                    _("random tables, 95% below"): f"{null:.1%}",
                }
            )
        )
        st.markdown(_verdict(_, guess, shares["learned"], null))
        st.caption(
            _(
                "Measured on the stored weights, positions 0 to {last}: the share of the variance of the products of "
                "two different positions that their distance explains, 1 − Var(rest) / Var(all). {draws} random "
                "tables of this size are the null."
            ).format(last=count - 1, draws=tables.DRAWS)
        )


@st.cache_data(max_entries=40, show_spinner=False)
def _null(count: int, width: int) -> float:
    return tables.random_shares(count, width)[int(RANDOM * tables.DRAWS)]


def _verdict(_: Words, guess: str, share: float, null: float) -> str:
    if share <= null:
        said = _("This table's likeness depends on distance **no more than chance** would have it.")
    elif share > 0.99:
        said = _("This table found it **exactly**.")
    else:
        said = _(
            "This table found it **partly**: more than chance, far from the rule. Nothing in the loss asks for it; "
            "a row only has to be of use where it stands."
        )
    return _("You said **{guess}**.").format(guess=_guesses(_)[guess]) + " " + said


def _matrix(_: Words, name: str, products: np.ndarray) -> None:
    count, key = len(products), f"table_{name}"
    cell = keep("table_cell", None, read_clamped(count, count), write_place) or (min(10, count - 1), min(12, count - 1))
    positions = [str(position) for position in range(count)]
    data = charts.matrix(
        products,
        rows=positions,
        columns=positions,
        cell=cell,
        limit=charts.limit_of(products),
        words={
            "label": _("Products of every two positions; arrow keys move from cell to cell"),
            "query": _("position"),
            "key": _("other position"),
            "weight": _("product"),
            "sum": "",
            "masked": "",
        },
    )

    draw(data, key=key, on_cell=take_place(key, "cell", "table_cell", count, count))
    st.html(
        facts({_("product of {first} and {second}").format(first=cell[0], second=cell[1]): f"{products[cell]:z.3f}"})
    )


def _measure(_: Words) -> str:
    """What two rows are compared by: a long row has large products with every other."""
    titles = {"products": _("products"), "cosines": _("cosines")}
    return choose_one(_("Rows compared by"), "table_measure", titles, "products", labelled=False)


def _by_distance(_: Words, products: Mapping[str, torch.Tensor], null: float) -> None:
    """Means along the diagonals, each divided by that of the first, which is the length squared."""
    titles = {"learned": _("learned table"), "rule": _("sinusoid"), "null": _("two random vectors (95%)")}
    series = {}
    for name, each in products.items():
        found = experiments.by_distance(each)
        whole = found[0][1]
        series[titles[name]] = [
            (float(distance), *(value / whole for value in row)) for distance, row in enumerate(found)
        ]
    series[titles["null"]] = [(float(distance), -null, 0.0, null) for distance in range(1, len(products["rule"]))]
    colours = dict(zip(titles.values(), (INDIGO, ORANGE, GREY), strict=True))
    words = {"x": _("distance k"), "y": _("product ÷ mean length²")}
    st.altair_chart(encodings.lines(series, words=words, palette=colours, dashed=[titles["null"]]))
    st.caption(
        _("The line is the mean over all pairs at that distance, the band reaches from the lowest to the highest.")
    )


# --- rows never trained ---------------------------------------------------------------------------------------------


def _rows(_: Words, name: str, reached: int) -> None:
    st.markdown(_("**Rows that no sentence reached**"))
    sides = {"source": _("encoder"), "target": _("decoder")}
    found = {side: _trained(name, side, str(models.assets())) for side in ("source", "target")}
    left, right = st.columns([6, 5], gap="large")
    with left:
        series = {
            sides[side]: [(float(row), value, value, value) for row, value in enumerate(each.likeness.tolist())]
            for side, each in found.items()
        }
        words = {
            "x": _("position"),
            "y": _("cosine with the row as it was drawn"),
            "border": _("last row trained"),
        }
        st.altair_chart(encodings.lines(series, words=words, border=found["source"].reached - 0.5))
    with right:
        rows = len(found["source"].vectors)
        st.html(
            facts(
                {
                    _("rows"): str(rows),
                    _("trained, encoder"): str(found["source"].reached),
                    _("trained, decoder"): str(found["target"].reached),
                    _("weights in both tables"): f"{sum(each.vectors.numel() for each in found.values()):,}",
                }
            )
        )
        st.markdown(_beyond(_, found["source"]))
        st.caption(
            _(
                "Measured: the table is drawn again from the seed of the run “{twin}” and compared with the stored one."
            ).format(twin=names(_)[name])
        )


def _beyond(_: Words, found: tables.Trained) -> str:
    """What the rows are worth that no sentence reached, as far as it can be told which these are."""
    rows = len(found.vectors)
    if found.reached == rows:
        return _(
            "Every row differs from what the seed draws here: none was left out, or this PyTorch draws other numbers."
        )
    return _(
        "Beyond the longest training sentence a row points exactly where the random numbers put it: cosine 1. "
        "A sentence that reaches these rows is given noise for positions, and one of more than {rows} tokens "
        "cannot be read at all. The sinusoid has a vector for every position."
    ).format(rows=rows)


# --- how good it is -------------------------------------------------------------------------------------------------


def _quality(here: Visit, tables_at_hand: list[str]) -> None:
    _, direction = here.words, here.run.direction
    st.markdown(
        _("**Sentences translated exactly**, by held-out split, {direction}").format(
            direction="EN → KO" if direction == "en-ko" else "KO → EN"
        )
    )
    splits = {"random": _("new sentences"), "compositional": _("new combinations"), "long": _("longer ones")}
    found = {
        name: exact_matches(card, direction) for name, card in cards(_, ("positions-sum", *tables_at_hand)).items()
    }
    figures = {
        names(_)[name]: {splits[split]: each[split] for split in splits if split in each}
        for name, each in found.items()
    }
    words = {"split": _("held-out split"), "accuracy": _("share translated exactly")}
    st.altair_chart(charts.accuracies(figures, words=words, palette=palette(_)))
    st.caption(
        _(
            "Stored from the evaluation of the training runs: a dot is the median, a line reaches from the lowest to "
            "the highest seed. Vaswani et al. 2017 (table 3, row E) found “nearly identical results”: 25.7 BLEU with "
            "learned positions, 25.8 with the sinusoid."
        )
    )
