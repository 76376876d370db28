"""The table of all models, and the card of the one that is opened."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.measures.choices import Choice, gain
from core.variants import BASE, VARIANTS
from pages.parts import models, picker, zoo
from pages.parts.address import COMMON, go, keep, one_of
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.tables import table_height

OPENED = "choice"
TABLE = "choices_table"
SPLITS = ("random", "compositional", "long")


def table(here: Visit, choices: Mapping[str, Choice], base: Choice | None) -> str:
    """Draw one row for each model; the name of the one that is opened, "" for none."""
    _ = here.words
    opened = keep(OPENED, "", one_of(("", *choices)))
    rows = pd.DataFrame([_row(here, each, base) for each in choices.values()])
    rows = rows.dropna(axis="columns", how="all")
    names = list(choices)

    def take() -> None:
        chosen = st.session_state[TABLE]["selection"]["rows"]
        st.session_state[OPENED] = names[chosen[0]] if chosen and chosen[0] < len(names) else ""

    st.dataframe(
        rows,
        key=TABLE,
        hide_index=True,
        height=table_height(len(rows), 560),
        column_config=_formats(here),
        placeholder="–",
        on_select=take,
        selection_mode="single-row",
    )
    return opened


def split_names(here: Visit) -> dict[str, str]:
    """The held-out splits that the table has, as the screen calls them."""
    _ = here.words
    return {"random": _("new sentences"), "compositional": _("new combinations"), "long": _("longer ones")}


def _row(here: Visit, each: Choice, base: Choice | None) -> dict[str, Any]:
    _, splits = here.words, split_names(here)
    cost = each.cost
    same = base is not None and each.steps == base.steps and each.name != models.TRANSLATOR
    return {
        _("model"): zoo.names(_)[each.name],
        _("choice"): zoo.groups(_)[VARIANTS[each.name].group],
        splits["random"]: each.median("random"),
        _("− base"): gain(each, base, "random") if same and base else None,
        _("± seeds"): each.spread("random"),
        splits["compositional"]: each.median("compositional"),
        splits["long"]: each.median("long"),
        _("alignment error"): each.alignment,
        _("parameters"): each.parameters,
        _("multiply–adds (millions)"): each.multiply_adds / 1e6,
        _("milliseconds"): cost.milliseconds if cost else None,
        _("memory (MB)"): (cost.weight_bytes + cost.working_bytes) / 1e6 if cost else None,
        _("steps"): each.steps,
        _("seeds"): len(each.seeds),
        _("open"): _link(here, each.name),
        _("what differs"): zoo.differences(_)[each.name],
    }


def _link(here: Visit, name: str) -> str:
    """The address of the first page that shows this model, with the sentence and the language of now."""
    kept = {key: value for key, value in st.session_state["address"].items() if key in COMMON and value}
    return f"./{page_of(name)}?{urlencode(kept | {'model': name})}"


def page_of(name: str) -> str:
    """Where a model is seen at work, as in an address: a recurrent one has no layers for the overview."""
    return "before_attention" if VARIANTS[name].group == "before attention" else ""


def _formats(here: Visit) -> dict[str, Any]:
    _, number = here.words, st.column_config.NumberColumn
    share = number(format="%.2f", min_value=0.0, max_value=1.0)
    return {
        **dict.fromkeys(split_names(here).values(), share),
        _("model"): st.column_config.TextColumn(pinned=True),
        _("− base"): number(format="%+.2f", help=_("New sentences: this model's share less the base's.")),
        _("± seeds"): number(format="%.2f", help=_("Highest less lowest seed; empty where there is one seed.")),
        _("alignment error"): number(
            format="%.2f", help=_("Alignment error rate of the best cross-attention head against gold; 0 is best.")
        ),
        _("parameters"): number(format="localized"),
        _("multiply–adds (millions)"): number(format="%.1f"),
        _("milliseconds"): number(format="%.1f"),
        _("memory (MB)"): number(format="%.1f"),
        _("open"): st.column_config.LinkColumn(
            display_text=":material/open_in_new:", help=_("Opens the app with this model, in a new tab."), width="small"
        ),
        _("what differs"): st.column_config.TextColumn(width="large"),
    }


def card_of(here: Visit, name: str, card: Mapping[str, Any], choices: Mapping[str, Choice]) -> None:
    """The whole card of a model, and the ways to see it at work."""
    _ = here.words
    with st.container(border=True, key="choices_card"):
        left, right = st.columns([5, 6], gap="large")
        with left:
            st.subheader(zoo.names(_)[name])
            st.markdown(zoo.differences(_)[name])
            st.html(facts(picker.key_facts(_, card)))
            _compared(here, choices[name], choices.get(BASE))
            with st.container(horizontal=True, gap="small"):
                page = f"pages/{page_of(name) or 'overview'}.py"
                st.button(
                    _("See it at work"),
                    icon=":material/arrow_forward:",
                    type="primary",
                    key="choices_go",
                    on_click=go,
                    args=(page, {picker.KEY: name}),
                )
                st.button(
                    _("Take it to every page"),
                    icon=":material/check:",
                    key="choices_use",
                    on_click=_take_along,
                    args=(name,),
                )
        with right:
            st.markdown(_("**Its configuration**"))
            config = {key: str(value) for key, value in card["config"].items()}
            st.dataframe(
                {_("field"): list(config), _("value"): list(config.values())},
                hide_index=True,
                height=table_height(len(config), 320),
            )
            st.caption(_("The command that trains it again:"))
            st.code(card["command"], language="sh", wrap_lines=True)


def _take_along(name: str) -> None:
    st.session_state[picker.KEY] = name


def _compared(here: Visit, each: Choice, base: Choice | None) -> None:
    """Every split of this model beside the base."""
    _ = here.words
    if not each.exact:
        return
    names = split_names(here) | {
        "ambiguous": _("ambiguous words"),
        "pronoun": _("pronouns"),
        "copy": _("invented words"),
    }
    splits = [split for split in names if split in each.exact]
    columns: dict[str, list[Any]] = {
        _("held-out split"): [names[split] for split in splits],
        _("this model"): [each.median(split) for split in splits],
        _("± seeds"): [each.spread(split) for split in splits],
    }
    if base and base.name != each.name:
        columns[_("base")] = [base.median(split) for split in splits]
    config = {name: st.column_config.NumberColumn(format="%.2f") for name in list(columns)[1:]}
    st.dataframe(columns, hide_index=True, height="content", column_config=config, placeholder="–")
