"""Part 1, after an edit: whether earlier predictions now depend on a later token."""

import streamlit as st

from core.charts import masks as charts
from core.editing import Reading, editing
from core.edits import Cell, Edit
from core.experiments import masks as experiments
from core.tokens import Direction
from pages.parts import models
from pages.parts.escape import in_markdown
from pages.parts.frame import Visit
from pages.parts.masks.show import exact
from pages.parts.positions.show import number


def opened_ahead(edits: tuple[Edit, ...]) -> int | None:
    """The last token of the future that an edit lets some earlier query see; None if all stays shut."""
    ahead = [each.key for each in edits if isinstance(each, Cell) and each.whole]
    return max(ahead, default=None)


def leak(here: Visit) -> None:
    """Whether earlier predictions now depend on a later token: it is exchanged, and they are asked again."""
    _, run = here.words, here.run
    later = opened_ahead(here.edits)
    if later is None:
        return
    asked = (run.source_text, run.direction, here.model.name)
    target = _exchanged(*asked, later)
    with_edits, without = (_noticed(*asked, edits, later) for edits in (here.edits, ()))
    changed, unchanged = (max(each.logits[:later]) for each in (with_edits, without))
    names = {"old": in_markdown(run.target_tokens[later].piece), "new": in_markdown(target[later].piece)}
    exchange = _("“{old}” (token {number}) is exchanged for “{new}”, drawn at random.").format(
        **names, number=later + 1
    )
    if not changed:
        closed = _("No prediction before it notices: no head that may look there passes on what it sees.")
        st.markdown(_("**No leak**: {exchange} {found}").format(exchange=exchange, found=closed))
        return
    found = _(
        "Predictions before it must not notice. As you changed the model, **{count}** of {all} do: their logits change "
        "by up to **{changed}**. With the mask as it was, by {unchanged}."
    ).format(
        count=sum(value > 0 for value in with_edits.logits[:later]),
        all=later,
        changed=number(changed),
        unchanged=exact(_, unchanged),
    )
    st.markdown(_("**The leak**: {exchange} {found}").format(exchange=exchange, found=found))
    words = {
        "token": _("predicted token"),
        "change": _("largest change of a logit"),
        "asked": _("change of its log-probability"),
    }
    st.altair_chart(
        charts.noticed(
            [token.piece for token in run.predicted_tokens[:later]],
            with_edits.logits[:later],
            with_edits.log_probabilities[:later],
            words=words,
        )
    )


@st.cache_data(max_entries=48, show_spinner=False)
def _exchanged(text: str, direction: Direction, name: str, later: int) -> experiments.Tokens:
    return experiments.exchanged(models.run(text, direction, name), [later], models.model(name))


@st.cache_data(max_entries=48, show_spinner=False)
def _noticed(text: str, direction: Direction, name: str, edits: tuple[Edit, ...], later: int) -> experiments.Noticed:
    run = models.run(text, direction, name)
    with editing(edits, Reading(run.network)):
        return experiments.noticed(run, _exchanged(text, direction, name, later))
