"""Part 2: what the decoder reads: the right text shifted right in training, its own text at test time."""

from __future__ import annotations

import streamlit as st

from core.charts import decoding as charts
from core.experiments import decoding as experiments
from pages.parts.decoding.made import Asked, asked, forced, named, written
from pages.parts.decoding.player import chosen_step, player
from pages.parts.decoding.show import Gold, gold, kind_of_number
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.masks.show import why_it_leaks
from pages.parts.positions.show import number

MOST = 10


def reading(here: Visit) -> None:
    """Both inputs row by row, what they cost in passes, and that one pass is as good as many."""
    _, what = here.words, asked(here)
    st.markdown(
        _(
            "“At test time the decoder's input is not known. What is it fed?” a learner's note asks. Each row below is "
            "one prediction: what stands left of the arrow is read, what stands right of it is to come next. In "
            "**training** the right text is known, so the input is that text **shifted right** behind a start token, "
            "and the mask (hatched) hides from each row what it must not know. At **test time** each row ends with "
            "what the row before wrote."
        )
    )
    right = gold(here)
    start = here.model.tokenizer.start_id
    own = written(what)
    names = named(here.model.tokenizer, (start, here.model.tokenizer.end_id, *right.ids, *own.ids))
    panels = [
        charts.Panel(
            title=_("Training: all rows in one pass"),
            note=_("1 pass. Right of the arrow: the gold token, from which the loss is taken."),
            read=[names[each] for each in (start, *right.ids[:-1])][:MOST],
            predicted=[names[each] for each in right.ids][:MOST],
            together=True,
        ),
        charts.Panel(
            title=_("Test time: one row after the other"),
            note=_("Pass {step}. Right of the arrow: what the model writes, and reads in the next row."),
            read=[names[each] for each in (start, *own.ids[:-1])][:MOST],
            predicted=[names[each] for each in own.ids][:MOST],
            together=False,
        ),
    ]
    most = max(len(panel.predicted) for panel in panels)
    player(_, charts.turns(panels, step=chosen_step(most), words={}), key="decoding_turns")
    longest = max(len(right.ids), len(own.ids))
    if longest > MOST:
        st.caption(_("The first {shown} of {rows} rows.").format(shown=MOST, rows=longest))
    _figures(here, what, right, len(own.ids))
    _notes(here, names[start], names[here.model.tokenizer.end_id])


def _figures(here: Visit, what: Asked, right: Gold, passes: int) -> None:
    _, read = here.words, (what.sentence.start, *right.ids[:-1])
    apart, leak = _apart(what, read), why_it_leaks(_, what.network.config)
    loss = -sum(forced(what, read).of(right.ids)) / len(right.ids)
    st.html(
        facts(
            {
                _("decoder passes in training"): "1",
                _("decoder passes at test time"): str(passes),
                _("training's loss here: mean −log p of gold"): number(loss),
                _("one pass against a pass for each row"): number(apart),
            }
        )
    )
    compared = _(
        "The last number is the largest difference of any log-probability between the rows of the one pass and a pass "
        "of its own for each row (unedited model)."
    )
    found = (
        leak + " " + _("So what training asks in one pass is not what writing will meet, row by row.")
        if leak
        else _(
            "It is rounding, and nothing else, because the mask hides the future completely. So training may ask all "
            "rows at once."
        )
    )
    st.caption(" ".join((kind_of_number(here), compared, found)))


@st.cache_data(max_entries=64, show_spinner=False)
def _apart(what: Asked, read: tuple[int, ...]) -> float:
    return experiments.prefixes_apart(what.network, what.sentence, read)


def _notes(here: Visit, start: str, end: str) -> None:
    _ = here.words
    st.markdown(
        _(
            "- **{start}** stands where nothing was written yet, so that the first token can be predicted like any "
            "other. **{end}** is predicted like any other too; writing it ends the translation.\n"
            "- Reading and predicting are one place apart: the row that reads token *t* predicts token *t* + 1. That "
            "is the paper's “outputs shifted right”.\n"
            "- *Sequential or parallel?* Another note struck its own question out. Both: training asks all places at "
            "once, writing goes one by one.\n"
            "- A third has the positional encoding on the *output vocabulary*. It is on the embeddings of this "
            "shifted **sequence**, place by place."
        ).format(start=in_markdown(start), end=in_markdown(end))
    )
