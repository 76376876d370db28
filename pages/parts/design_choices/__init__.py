"""The page of design choices: the table with its cards, cost beside accuracy, and the textbook tested."""

from collections.abc import Mapping
from contextlib import suppress

import streamlit as st

from core.checkpoint import CheckpointError
from core.measures.choices import BY_LOSS, LENGTH, Choice, Costs, choice, read_costs
from core.measures.unigram import Plateau, read_plateau
from core.variants import BASE, VARIANTS
from pages.parts import models, picker, zoo
from pages.parts.address import publish
from pages.parts.design_choices.findings import textbook
from pages.parts.design_choices.scatter import beside
from pages.parts.design_choices.table import card_of, table
from pages.parts.frame import Visit
from pages.parts.options import choose_one

ALL = "all"


@st.fragment
def explore(here: Visit) -> None:
    """A choice or all of them, then everything that is known of its rows."""
    if "going" in st.session_state or st.session_state[picker.KEY] != here.model.name:
        st.rerun()  # a button of the card concerns what stands above this fragment too
    _ = here.words
    cards, costs = zoo.cards(_, trained()), read_costs(models.assets() / "costs.json")
    logs = zoo.logs(_, [name for name in BY_LOSS if name in cards])
    choices = {name: choice(name, card, costs, logs.get(name, ())) for name, card in cards.items()}
    if not choices:
        return publish()
    there = {VARIANTS[name].group for name in choices}
    groups = {ALL: _("All")} | {group: said for group, said in zoo.groups(_).items() if group in there}
    group = choose_one(_("Choice"), "choices_group", groups, ALL, labelled=False)
    shown = _of(choices, group)
    opened = table(here, shown, choices.get(BASE))
    _measured_on(here, costs)
    if opened:
        card_of(here, opened, cards[opened], choices)
    st.divider()
    beside(here, shown)
    st.divider()
    textbook(here, choices, _plateau())
    publish()
    return None


def _plateau() -> Plateau | None:
    """What a model reaches that learned nothing; None where it was not measured."""
    with suppress(CheckpointError):
        return read_plateau(models.assets())
    return None


def trained() -> list[str]:
    """Every row that keeps weights; schedules keep curves alone, and are on the page of training."""
    return [name for name, row in VARIANTS.items() if not row.curves_only]


def _of(choices: Mapping[str, Choice], group: str) -> dict[str, Choice]:
    """The rows of a group, with the base beside them, or all."""
    return {name: each for name, each in choices.items() if group in (ALL, VARIANTS[name].group) or name == BASE}


def _measured_on(here: Visit, costs: Costs | None) -> None:
    _ = here.words
    text = _(
        "Exact match is stored from each training run: the share of held-out sentences translated exactly, the mean of "
        "both directions, the median of the seeds. Multiply–adds are counted for {length} tokens read and {length} "
        "written."
    )
    said = text.format(length=LENGTH)
    if costs:
        timed = _("Milliseconds and memory were measured in one run, all models in turn, on: {machine}.")
        said += " " + timed.format(machine=costs.measured_on)
    else:
        said += " " + _("Milliseconds and memory have not been measured yet: `python -m bench zoo` does.")
    st.caption(said)
