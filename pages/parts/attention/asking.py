"""Part 3: what query, key and value are, by replacing one of them and seeing what moves (E15a)."""

import numpy as np
import streamlit as st

from core.charts import attention as charts
from core.charts import figures
from core.charts.positions import limit_of, matrix
from core.experiments import replacing as experiments
from core.hooks import Listener, listen
from core.measures.walk import sublayer
from core.run import Run, reread
from pages.parts import models
from pages.parts.address import keep
from pages.parts.attention.choosing import Asked, Chosen, choose, numbered, run_of, tokens
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.heads import canvas_words
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.positions.show import number, predict
from pages.parts.words import Words


def asking(here: Visit) -> None:
    """Choose what to replace, say what will move, and see."""
    _ = here.words
    st.subheader(_("What are query, key and value?"))
    st.markdown(
        _(
            "A soft look-up in a dictionary: a **query** is what a token looks for, a **key** what a token can be "
            "found by, a **value** what it hands over if it is found. Is that so in the trained model? Replace one of "
            "them, for one token, in one head, and see what moves."
        )
    )
    chosen = choose(here)
    what, other = _replacement(_, chosen)
    guess = predict(_, f"moved_{what}", _question(_, chosen, what, other), _guesses(_))
    if guess is None:
        return
    after = _after(
        chosen.asked, chosen.place.kind, chosen.place.layer, chosen.place.head, what, _token(chosen, what), other
    )
    moved = experiments.moved(
        chosen.run, after, sublayer(chosen.place.kind, chosen.place.layer).attention, chosen.place.head
    )
    _verdict(_, chosen, moved, after, what, guess)
    _maps(_, chosen, moved)
    _further(_, chosen, moved, after)


# --- choosing -------------------------------------------------------------------------------------------------------


def what_names(_: Words) -> dict[str, str]:
    """What can be replaced, as the screen calls it."""
    return {
        "query": _("the query of one token"),
        "key": _("the key of one token"),
        "value": _("the value of one token"),
        "all_keys": _("every key: add one vector to all"),
        "all_queries": _("every query: add one vector to all"),
    }


def _replacement(_: Words, chosen: Chosen) -> tuple[str, int]:
    """What is replaced, and the token whose vector takes its place or is added."""
    what = choose_one(_("Replace"), "replace", what_names(_), "value")
    pieces = chosen.queries if "quer" in what else chosen.keys
    first = len(pieces) if _token(chosen, what) == 0 else 1
    other = keep("replace_by", first, lambda text: min(max(int(text), 1), len(pieces)))
    labels = ["", *numbered(pieces)]
    with st.container(horizontal=True, gap="small"):
        if what in experiments.PARTS:
            tokens(_, chosen, axes=("query",) if what == "query" else ("key",))
        st.selectbox(
            _("gets that of") if what in experiments.PARTS else _("the one of"),
            range(1, len(pieces) + 1),
            format_func=labels.__getitem__,
            key="replace_by",
            persist_state="session",
            width=210,
        )
    return what, other - 1


def _token(chosen: Chosen, what: str) -> int:
    """The token that is replaced, which is the chosen query or key."""
    return chosen.place.query if "quer" in what else chosen.place.key


def _question(_: Words, chosen: Chosen, what: str, other: int) -> str:
    pieces = chosen.queries if "quer" in what else chosen.keys
    names = {"token": in_markdown(pieces[_token(chosen, what)]), "other": in_markdown(pieces[other])}
    questions = {
        "query": _("The **query** of **{token}** becomes that of **{other}**. Which of this head's weights move?"),
        "key": _("The **key** of **{token}** becomes that of **{other}**. Which of this head's scores move?"),
        "value": _(
            "A learner's note says that the value turns scores into weights. The **value** of **{token}** becomes that "
            "of **{other}**. Which of this head's weights move?"
        ),
        "all_keys": _("The key of **{other}** is added to **every** key. Which of this head's weights move?"),
        "all_queries": _("The query of **{other}** is added to **every** query. Which of this head's weights move?"),
    }
    return questions[what].format(**names)


def _guesses(_: Words) -> dict[str, str]:
    return {"none": _("none"), "row": _("one row"), "column": _("one column"), "all": _("all over")}


# --- replacing ------------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=60, show_spinner=False)
def _after(asked: Asked, kind: str, layer: int, head: int, what: str, token: int, other: int) -> Run:
    """The same tokens read again while one head finds something replaced."""
    run, path = run_of(asked), sublayer(kind, layer).attention
    with listen(_listener(run, path, head, what, token, other)):
        return reread(models.model(asked[2]), run, asked[3])


def _listener(run: Run, path: str, head: int, what: str, token: int, other: int) -> Listener:
    if what in experiments.PARTS:
        return experiments.replaced(path, head, what, token, other)
    part = {"all_keys": "key", "all_queries": "query"}[what]
    return experiments.added(path, head, part, run.tensor(f"{path}.{part}")[head, other])


# --- what moved -----------------------------------------------------------------------------------------------------


def _verdict(_: Words, chosen: Chosen, moved: experiments.Moved, after: Run, what: str, guess: str) -> None:
    rows, columns = moved.rows, moved.columns
    st.markdown(
        _("You said **{guess}**. {found}").format(guess=_guesses(_)[guess], found=_found(_, chosen, moved, after, what))
    )
    st.html(
        facts(
            {
                _("rows with a weight that moved"): f"{len(rows)} / {len(chosen.queries)}",
                _("columns with a score that moved"): f"{len(columns)} / {len(chosen.keys)}",
                _("largest change of a score"): number(float(moved.scores.abs().max())),
                _("largest change of a weight"): number(float(moved.weights.abs().max())),
                _("largest change of an output (length)"): number(float(moved.outputs.max())),
            }
        )
    )


def _found(_: Words, chosen: Chosen, moved: experiments.Moved, after: Run, what: str) -> str:
    """What the measurement shows, said from the numbers."""
    largest = float(moved.weights.abs().max())
    if what == "value":
        said = _(
            "**No weight moved** (largest change: {largest}): a value is what is handed over, and has no say in how "
            "much of it. Softmax alone makes weights of scores. What changed are the outputs, of each query as much as "
            "it looks at this token."
        )
        return said.format(largest=number(largest))
    if what == "query":
        return _(
            "**One row** can move, that of the query itself: {rows} of {count} rows did. What the other tokens look "
            "for is their own."
        ).format(rows=len(moved.rows), count=len(chosen.queries))
    if what == "key":
        return _(
            "**One column** of scores moved, that of the key itself; {columns} of {count} did. Of the weights, the "
            "others in a row must make room or fill up, as the row sums to 1, but they keep their proportions: they "
            "differ from one common factor by {error}."
        ).format(columns=len(moved.columns), count=len(chosen.keys), error=number(_ratio(chosen, after)))
    if what == "all_keys":
        return _(
            "**No weight moved** (largest change: {largest}), although scores moved by up to {scores}. The same vector "
            "on every key adds the same number to all scores of a row, and softmax sees only differences. So the bias "
            "of the keys is without effect in every attention."
        ).format(largest=number(largest), scores=number(float(moved.scores.abs().max())))
    return _(
        "Weights moved by up to {largest}. The same vector on every query adds to each score a number that depends on "
        "the **key**, and softmax sees that. Query and key are not interchangeable."
    ).format(largest=number(largest))


def _ratio(chosen: Chosen, after: Run) -> float:
    place, path = chosen.place, sublayer(chosen.place.kind, chosen.place.layer).attention
    weights = after.tensor(f"{path}.weights")[place.head]
    return experiments.ratio_error(chosen.attention.weights[place.head], weights, place.key)


def _maps(_: Words, chosen: Chosen, moved: experiments.Moved) -> None:
    words = canvas_words(_, chosen.place.kind) | {"weight": _("difference"), "sum": _("after − before")}
    cell = chosen.place.query, chosen.place.key
    for column, (name, change) in zip(
        st.columns(2, gap="large"),
        {_("**Scores**, after − before"): moved.scores, _("**Weights**, after − before"): moved.weights}.items(),
        strict=True,
    ):
        values = change.numpy()
        shown = np.where(np.abs(values) > experiments.ROUNDING, values, 0.0)
        data = matrix(
            shown,
            rows=chosen.queries,
            columns=chosen.keys,
            cell=cell,
            limit=limit_of(shown),
            words=words,
            allowed=chosen.allowed,
        )
        with column:
            st.markdown(name)
            draw(data, key=f"moved_{len(name)}_{name[2]}")


def _further(_: Words, chosen: Chosen, moved: experiments.Moved, after: Run) -> None:
    """What the head reads now, and what that comes to at the end of the model."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**How far each query's output moved** (length of the difference)"))
        words = {"key": _("query"), "value": _("‖difference‖")}
        lengths = [each if each > experiments.ROUNDING else 0.0 for each in moved.outputs.tolist()]
        spec = charts.key_bars(chosen.queries, lengths, chosen=chosen.place.query, words=words)
        st.vega_lite_chart(spec, key="moved_outputs")
    with right:
        st.markdown(_("**What it comes to**: log-probability of every target token"))
        before, later = chosen.run.log_probabilities.tolist(), after.log_probabilities.tolist()
        words = {
            "token": _("target token"),
            "before": _("before"),
            "after": _("after (edited)"),
            "difference": _("difference"),
            "axis": _("log-probability"),
        }
        pieces = [token.piece for token in chosen.run.predicted_tokens]
        st.vega_lite_chart(figures.differences(pieces, before, later, words=words))
    st.caption(
        _(
            "Before is measured on this sentence, after is *edited*: the model reads the same tokens again, with the "
            "replacement in this one head. Changes below {rounding} are drawn as 0: they are rounding."
        ).format(rounding=experiments.ROUNDING)
    )
