"""Part 4: one small model saved many times on its way, so that any sentence can be seen through its whole childhood."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import streamlit as st
import torch
from safetensors import SafetensorError

from core.charts import training as charts
from core.charts.view import side, strongest, view
from core.checkpoint import CheckpointError, Model, read_weights
from core.experiments import training as experiments
from core.experiments.training import Childhood
from core.tokens import Direction
from pages.parts import models, selection, zoo
from pages.parts.address import keep
from pages.parts.decoding.player import chosen_step, player
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.heads import canvas_words
from pages.parts.heatmap import heatmap as draw
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.selection import KINDS, kind_names
from pages.parts.training.panels import NAME, Graded, Look, error_of, panels
from pages.parts.words import Words

PACE = 650  # milliseconds for each snapshot while playing


def lapse(here: Visit) -> None:
    """A prediction; the player with the loss, the scores and the translation; the heads that follow it."""
    _ = here.words
    st.markdown(
        _(
            "One small model was saved at steps spread evenly over the logarithm of its training. Here it reads your "
            "sentence at every one of them. Press play, or drag."
        )
    )
    try:
        grown = _childhood(here.run.source_text, here.run.direction, str(models.assets()))
    except CheckpointError as error:
        st.warning(_("The snapshots cannot be read; the other parts of this page work."), icon=":material/error:")
        st.text(str(error))
        return
    graded = _graded(_, grown.steps)
    if graded and not _predicted(_, graded):
        return
    _show(here, grown, graded)


@st.cache_resource(max_entries=2, show_spinner=False)
def _snapshots(assets: str) -> dict[int, Model]:
    """The model at each step that was kept; raises CheckpointError."""
    torch.set_num_threads(1)
    last = models.model(NAME)
    folder = models.assets() / "models" / NAME
    found: dict[int, Model] = {}
    for path in folder.glob("step-*.safetensors"):
        try:
            step = int(path.stem.removeprefix("step-"))
            network = read_weights(path, last.network.config)
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise _broken(f"{path} is damaged ({error})") from error
        found[step] = Model(name=last.name, network=network, tokenizer=last.tokenizer, card=last.card)
    if not found:
        raise _broken(f"{folder}/step-*.safetensors are missing")
    return found


def _broken(problem: str) -> CheckpointError:
    return CheckpointError(f"{problem}. Restore it with: python -m core train {NAME}")


@st.cache_resource(max_entries=16, show_spinner=False)
def _childhood(text: str, direction: Direction, assets: str) -> Childhood:
    return experiments.childhood(_snapshots(assets), text, direction)


def _graded(_: Words, steps: Sequence[int]) -> Graded:
    """The figures on the card for each snapshot, where it has them for all."""
    graded = zoo.cards(_, [NAME]).get(NAME, {}).get("metrics", {}).get("snapshots", ())
    by_step = {each["step"]: each for each in graded}
    return {step: by_step[step] for step in steps} if by_step.keys() >= set(steps) else {}


# --- the prediction -------------------------------------------------------------------------------------------------


def _predicted(_: Words, graded: Graded) -> bool:
    """Which is half way first? False as long as nobody has said."""
    series: dict[str, dict[int, float | None]] = {
        "loss": {step: each["validation_loss"] for step, each in graded.items()},
        "heads": {step: error_of(each) for step, each in graded.items()},
        "sentences": {step: each["validation_exact_match"] for step, each in graded.items()},
    }
    options = {
        "loss": _("the loss"),
        "heads": _("the head that points best at the right words"),
        "sentences": _("whole sentences translated right"),
    }
    question = _("Three figures improve during training. Which one has gone half of its way first?")
    guess = predict(_, "lapse_guess", question, options)
    if guess is None:
        return False
    found = {name: experiments.halfway(values) for name, values in series.items()}
    said = ", ".join(
        _("{figure}: step {step}").format(figure=options[name], step=f"{step:,}" if step else "–")
        for name, step in found.items()
    )
    st.markdown(_("You said **{guess}**. Half way on held-out pairs: {said}.").format(guess=options[guess], said=said))
    return True


# --- the player and its maps ----------------------------------------------------------------------------------------


def _show(here: Visit, grown: Childhood, graded: Graded) -> None:
    _ = here.words
    kind = choose_one(_("Kind of attention"), "lapse_kind", {each: kind_names(_)[each] for each in KINDS}, "cross")
    look = _look(grown, graded, kind)
    step = chosen_step(len(grown.steps), "lapse_step")
    data = charts.childhood(
        steps=grown.steps,
        texts=grown.translations,
        notes=[_note(_, grown, index) for index in range(len(grown.steps))],
        panels=panels(_, grown, graded, look),
        step=step,
        words={
            "step": _("Step {at} ({step} of {count})"),
            "translation": _("Its translation at that step"),
            "axis": _("training step, logarithmic"),
        },
    )
    player(_, {**data, "pace": PACE}, key="lapse_player", name="lapse_step")
    left, right = st.columns([5, 6], gap="large")
    with left:
        _grid(here, grown, look)
    with right:
        _head(_, grown, look, step)
    st.caption(
        _(
            "Measured on this sentence by the {count} snapshots of “{name}”, seed {seed}. For the maps all of them "
            "read the same translation, the last one's, so that rows and columns stay; the translation above the "
            "maps is each one's own."
        ).format(count=len(grown.steps), name=NAME, seed=grown.seed)
    )
    _all_translations(_, grown)


def _look(grown: Childhood, graded: Graded, kind: str) -> Look:
    """The head and the cell looked at; as long as nobody chose, the one that aligns best, and its strongest cell."""
    last, run = grown.weights[kind][-1], grown.last
    layers, heads, rows, columns = last.shape
    source = side(run.source_tokens, run.source_text, words=False)
    target = side(run.target_tokens, run.translation, words=False)
    everything = np.ones((rows, columns), dtype=bool)
    shown = view(
        last,
        np.tril(everything) if kind == "decoder" else everything,
        source if kind == "encoder" else target,
        target if kind == "decoder" else source,
        without_special=False,
    )
    best = graded[grown.steps[-1]]["alignment"].get("best_head", "") if graded else ""
    parts = best.split(".")  # decoder.1.cross_attention.2
    first = (int(parts[1]), int(parts[3])) if kind == "cross" and len(parts) == 4 else (0, 0)
    head = keep("lapse_head", first, selection.read_place(layers, heads), selection.write_place)
    chosen = keep("lapse_cell", None, selection.read_clamped(rows, columns), selection.write_place)
    return Look(kind, head, chosen or strongest(shown, *head), shown)


def _grid(here: Visit, grown: Childhood, look: Look) -> None:
    _, weights = here.words, grown.weights[look.kind]
    st.markdown(_("**All heads** at that step: layers from top to bottom, heads from left to right. Click one."))
    data = charts.grids(weights, look.shown.allowed, chosen=look.head, language=here.language)
    draw(data, key="lapse_grid", on_head=_take("lapse_grid", "head", *weights.shape[1:3]))


def _head(_: Words, grown: Childhood, look: Look, step: int) -> None:
    layer, head = look.head
    title = _("Layer {layer}, head {head}").format(layer=layer + 1, head=head + 1)
    st.markdown(f"**{title}** · {kind_names(_)[look.kind]}")
    weights, (query, key) = grown.weights[look.kind][:, layer, head], look.cell
    data = charts.details(
        weights,
        look.shown.allowed,
        queries=look.shown.queries.labels,
        keys=look.shown.keys.labels,
        cell=look.cell,
        words=canvas_words(_, look.kind),
    )
    draw(data, key="lapse_matrix", on_cell=_take("lapse_matrix", "cell", *weights.shape[1:]))
    weight = f"{weights[step - 1, query, key]:.4f}" if look.shown.allowed[query, key] else _("masked")
    st.html(
        facts(
            {
                _("query"): look.shown.queries.labels[query],
                _("key"): look.shown.keys.labels[key],
                _("weight at step {step}").format(step=f"{grown.steps[step - 1]:,}"): weight,
            }
        )
    )


def _take(component: str, name: str, rows: int, columns: int) -> Callable[[], None]:
    """What a click in a map does: the place it reports becomes the choice of that name."""

    return selection.take_place(component, name, f"lapse_{name}", rows, columns)


def _note(_: Words, grown: Childhood, index: int) -> str:
    note = _("The last snapshot's translation costs it {loss} nats per token.")
    said = note.format(loss=f"{grown.losses[index]:.2f}")
    cut = _("Its own did not come to an end and was cut off.")
    return f"{said} {cut}" if grown.cut[index] else said


def _all_translations(_: Words, grown: Childhood) -> None:
    since = grown.steps[experiments.settled(grown.translations)]
    st.markdown(_("From step **{step}** on it writes what it writes in the end.").format(step=f"{since:,}"))
    with st.expander(_("All translations, one below the other")):
        texts = [text + (" …" if cut else "") for text, cut in zip(grown.translations, grown.cut, strict=True)]
        loss = _("loss of the last translation")
        rows = {_("step"): list(grown.steps), _("translation"): texts, loss: list(grown.losses)}
        number = {loss: st.column_config.NumberColumn(format="%.2f")}
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", column_config=number)
