"""Cost beside accuracy: is what a choice buys worth what it costs?"""

from collections.abc import Callable, Mapping

import streamlit as st

from core.charts import design_choices as charts
from core.measures.choices import Choice
from core.variants import BASE, VARIANTS
from pages.parts import models, zoo
from pages.parts.design_choices.table import split_names
from pages.parts.frame import Visit
from pages.parts.options import choose_one

FEW = 10  # names beside the dots


def beside(here: Visit, choices: Mapping[str, Choice]) -> None:
    """A dot for each model that was trained as long as the base; the translator is of another size besides."""
    _ = here.words
    st.subheader(_("Is it worth it?"))
    costs: dict[str, tuple[str, Callable[[Choice], float | None]]] = {
        "parameters": (_("parameters"), lambda each: each.parameters),
        "products": (_("multiply–adds"), lambda each: each.multiply_adds),
        "time": (_("milliseconds"), lambda each: each.cost.milliseconds if each.cost else None),
    }
    steps = choices[BASE].steps if BASE in choices else None
    alike = {name: each for name, each in choices.items() if name != models.TRANSLATOR}
    twins = {name: each for name, each in alike.items() if steps in (None, each.steps)}
    known = {key: said for key, (said, read) in costs.items() if any(read(each) for each in twins.values())}
    if not known:
        return
    with st.container(horizontal=True, gap="medium"):
        cost = choose_one(_("Cost"), "choices_cost", known, next(iter(known)))
        split = choose_one(_("Exact match on"), "choices_split", split_names(here), "random")
    names, groups = zoo.names(_), zoo.groups(_)
    dots = [
        charts.Dot(
            names[name], groups[VARIANTS[name].group], float(value), min(found), middle, max(found), name == BASE
        )
        for name, each in twins.items()
        if (value := costs[cost][1](each))
        and (found := each.exact.get(split))
        and (middle := each.median(split)) is not None
    ]
    if not dots:
        st.info(_("None of these models was measured on this."), icon=":material/info:")
        return
    words = {"cost": known[cost], "accuracy": _("share translated exactly"), "base": _("base")}
    present = [group for group in groups.values() if any(dot.group == group for dot in dots)]
    st.vega_lite_chart(charts.scatter(dots, present, words=words, named=len(dots) <= FEW), key="choices_scatter")
    st.caption(
        _(
            "A dot is the median of a model's seeds, a line reaches from the lowest to the highest; the dashed line is "
            "the base. Costs are on a logarithmic scale."
        )
    )
    if others := [names[name] for name in alike if name not in twins]:
        st.caption(_("Trained for other numbers of steps, and left out here: {names}.").format(names="; ".join(others)))
