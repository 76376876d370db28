"""Part 4: another last word in the translation: what notices it, with the look-ahead mask and without."""

import numpy as np
import streamlit as st

from core.charts import masks as charts
from core.experiments import masks as experiments
from core.hooks import listen
from core.tokens import Direction, Token
from pages.parts import models
from pages.parts.address import keep, publish
from pages.parts.bar import clean
from pages.parts.edits import unedited
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.masks.show import change_words, exact
from pages.parts.positions.show import number, predict
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.words import Words

LONGEST = 40


@st.fragment
def future(here: Visit) -> None:
    """A prediction, then every earlier position in every layer with the last token exchanged."""
    _ = here.words
    st.subheader(_("Does the past notice the future?"))
    if len(here.run.target_tokens) < 2:
        st.markdown(_("This needs a translation of one token or more; type another sentence."))
        return publish()
    guess = predict(_, "future_guess", _question(_), _options(_))
    if guess is not None:
        token = _other(here)
        _compare(here, token, guess)
    publish()
    return None


def _question(_: Words) -> str:
    return _(
        "In training the decoder reads the whole translation **at once**, and each position predicts the next word. "
        "Now the **last** token that it reads is exchanged for any other. Where, before it, does some number in some "
        "layer change?"
    )


def _options(_: Words) -> dict[str, str]:
    return {"none": _("nowhere"), "near": _("at the nearest tokens"), "all": _("everywhere")}


def _other(here: Visit) -> Token:
    """The token that takes the last one's place: typed, or else the likeliest other one."""
    _, run, tokenizer = here.words, here.run, here.model.tokenizer
    last = run.target_tokens[-1]
    likely = run.logits[-2].topk(12).indices.tolist()
    spare = next(each for each in tokenizer.tokens(likely) if each.id != last.id and not each.special)
    typed = keep("future_other", "", lambda text: text[:LONGEST])
    st.text_input(
        _("Exchange the last token, “{token}”, for").format(token=in_markdown(last.piece)),
        key="future_other",
        persist_state="session",
        placeholder=spare.piece,
        width=420,
    )
    pieces = tokenizer.encode(clean(typed))
    if pieces and pieces[0].id == last.id:
        st.caption(_("That is the token already there; the likeliest other one is taken instead."))
    elif len(pieces) > 1:
        st.caption(
            _("This is several pieces; the first, {piece}, is taken.").format(piece=in_markdown(pieces[0].piece))
        )
    else:
        st.caption(_("Any word will do; left empty, it is the likeliest other token."))
    return pieces[0] if pieces and pieces[0].id != last.id else spare


@st.cache_resource(max_entries=24, show_spinner=False)
def _changes(text: str, direction: Direction, name: str, other: int, masked: bool) -> np.ndarray:
    run = models.run(text, direction, name)
    target = (*run.target_tokens[:-1], *models.model(name).tokenizer.tokens([other]))
    with listen(*([] if masked else [experiments.see_everything])):
        return experiments.future_changes(run, target).numpy()


def _compare(here: Visit, other: Token, guess: str) -> None:
    _, run = here.words, here.run
    asked = (run.source_text, run.direction, here.model.name, other.id)
    masked = here.model.transformer.config.mask == "causal"
    with_mask = _changes(*asked, True)
    without = _changes(*asked, False) if masked else with_mask
    most = max(float(each[:, :-1].max()) for each in (with_mask, without)) or 1.0
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**With the look-ahead mask**") if masked else _("**As this model is: without a mask**"))
        _map(here, "future_with", with_mask, most)
    if masked:
        with right:
            st.markdown(_("**Without it**"))
            _map(here, "future_without", without, most)
    largest = float(with_mask[:, :-1].max())
    moved = int((with_mask[:, :-1] > 0).any(0).sum())
    figures = {_("largest change before the last token"): exact(_, largest)}
    if masked:
        figures = {
            _("with the mask: largest change before the last token"): exact(_, largest),
            _("without it"): number(float(without[:, :-1].max())),
        }
    st.html(facts({**figures, _("at the last token itself"): number(float(with_mask[:, -1].max()))}))
    said = _(
        "You said **{guess}**. Of the {count} earlier positions, **{moved}** change with the mask, in any layer; "
        "without it, **{others}** do."
    )
    if not masked:
        said = _("You said **{guess}**. Of the {count} earlier positions, **{moved}** change: there is no mask.")
    st.markdown(
        said.format(
            guess=_options(_)[guess],
            count=len(run.target_tokens) - 1,
            moved=moved,
            others=int((without[:, :-1] > 0).any(0).sum()),
        )
    )
    if largest == 0:
        st.markdown(
            _(
                "That is why all positions can be trained in one pass: each one's prediction is what it would be if "
                "nothing came after it. It is also why, once written, a token's keys and values can be kept."
            )
        )
    else:
        st.markdown(
            _(
                "So this model could not be trained fairly in one pass: a prediction may lean on the very word that "
                "it is asked for, and when it writes by itself that word is not there yet. Nor can keys and values be "
                "kept."
            )
        )
    caption = _(
        "Measured on this sentence: the largest change of any number of the residual stream after each layer, and of "
        "any logit."
    )
    reads = _("The model was trained with the mask; without it, it reads something it never saw.") if masked else ""
    st.caption(f"{caption} {reads}")
    unedited(here)


def _map(here: Visit, key: str, values: np.ndarray, most: float) -> None:
    _, run = here.words, here.run
    rows, columns = values.shape
    cell = keep("future_cell", None, read_clamped(rows, columns), write_place) or (rows - 1, columns - 2)
    layers = run.network.config.decoder_layers
    stages = [*(_("layer {number}").format(number=layer + 1) for layer in range(layers)), _("logits")]
    data = charts.changes(
        values,
        np.broadcast_to(np.arange(columns) < columns - 1, values.shape),
        rows=stages,
        positions=[token.piece for token in run.target_tokens],
        cell=cell,
        most=most,
        words={
            "label": _("Changes at each layer and position; arrow keys move from cell to cell"),
            "query": _("stage"),
            "queries": _("decoder"),
            **change_words(_),
        },
    )

    draw(data, key=key, on_cell=take_place(key, "cell", "future_cell", rows, columns))
    st.html(
        facts(
            {
                _("stage"): stages[cell[0]],
                _("position"): f"{cell[1] + 1} · {run.target_tokens[cell[1]].piece}",
                _("largest change"): exact(_, float(values[cell])),
            }
        )
    )
