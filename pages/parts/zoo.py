"""The trained rows of the variants table: what they are called on the screen, and what their runs stored."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from core.checkpoint import CheckpointError, Model, read_card
from core.measures.curves import Record, read_log
from core.variants import VARIANTS
from pages.parts import models
from pages.parts.words import Words

LISTED = 8  # missing rows that are named one by one


def names(_: Words) -> dict[str, str]:
    """Every row that has a name on the screen; rows of the schedule grid are known by their settings instead."""
    return {
        "translator": _("Translator"),
        "positions-sum": _("Sum"),
        "positions-concat": _("Concat, wider"),
        "positions-concat-equal": _("Concat, equal"),
        "positions-learned": _("Learned, sum"),
        "positions-learned-concat": _("Learned, concat"),
        "positions-rotary": _("RoPE"),
        "positions-alibi": _("ALiBi"),
        "positions-none": _("No positions"),
        "norm-post": _("Post-LN"),
        "norm-rms": _("RMSNorm"),
        "norm-batch": _("Batch norm"),
        "norm-instance": _("Instance norm"),
        "norm-group": _("Group norm"),
        "norm-none": _("No norm"),
        "residual-none": _("No residuals"),
        "heads-1": _("1 head"),
        "heads-2": _("2 heads"),
        "heads-8": _("8 heads"),
        "scale-none": _("Not scaled, d_k 16"),
        "scale-none-wide": _("Not scaled, d_k 64"),
        "feed-forward-gelu": _("GELU"),
        "feed-forward-none": _("No feed-forward"),
        "feed-forward-none-deep": _("No feed-forward, deeper"),
        "mask-none": _("No look-ahead mask"),
        "recurrent-tanh": _("RNN"),
        "recurrent-gru": _("GRU"),
        "recurrent-lstm": _("LSTM"),
        "recurrent-bidirectional": _("BiGRU"),
        "recurrent-attention": _("BiGRU with attention"),
        "depth-2": _("2 + 2 layers"),
        "depth-6": _("6 + 6 layers"),
        "depth-12": _("12 + 12 layers"),
        "depth-2-bare": _("2 + 2 layers, no residuals"),
        "depth-6-bare": _("6 + 6 layers, no residuals"),
        "depth-12-bare": _("12 + 12 layers, no residuals"),
        "time-lapse": _("Time-lapse"),
        "schedule-linear": _("Linear decay"),
        "schedule-inverse-square-root": _("Inverse square root"),
        "schedule-cosine": _("Cosine decay"),
        "schedule-constant": _("Constant"),
    }


def differences(_: Words) -> dict[str, str]:
    """What sets each row apart: small models from the base, which is the sum of words and sinusoids."""
    return {
        "translator": _("Larger than the others, and trained on every sentence; they share a small vocabulary."),
        "positions-sum": _("The base: sinusoids added to the words. Each other small model differs in one choice."),
        "positions-concat": _("Sinusoids stand beside the words, and every layer is wider for it."),
        "positions-concat-equal": _("Sinusoids stand beside narrower words: as many weights as the sum."),
        "positions-learned": _("A trained vector is added for each position; beyond the last there is none."),
        "positions-learned-concat": _("A trained vector for each position stands beside narrower words."),
        "positions-rotary": _("Queries and keys are turned by their position; nothing is added to the words."),
        "positions-alibi": _("Scores fall with distance; nothing is added to the words."),
        "positions-none": _("Nothing says where a word stands."),
        "norm-post": _("The sum after each sub-layer is normed, as in the paper, and not what enters it."),
        "norm-rms": _("Each token is divided by its root mean square; no mean is subtracted."),
        "norm-batch": _("Mean and variance are those of all tokens of a batch."),
        "norm-instance": _("Mean and variance are those of the tokens of the sentence, channel by channel."),
        "norm-group": _("Mean and variance are those of the sentence, over groups of channels."),
        "norm-none": _("Nothing is normed."),
        "residual-none": _("What a sub-layer gives takes the place of the stream."),
        "heads-1": _("One head in place of four."),
        "heads-2": _("Two heads in place of four."),
        "heads-8": _("Eight heads in place of four."),
        "scale-none": _("Scores are not divided by √d_k."),
        "scale-none-wide": _("One head of 64 channels, whose scores are not divided by √d_k."),
        "feed-forward-gelu": _("GELU in place of ReLU."),
        "feed-forward-none": _("Attention alone, and so fewer weights."),
        "feed-forward-none-deep": _("Attention alone, with more layers: as many weights as the base."),
        "mask-none": _("In training the decoder saw the word that it was to predict."),
        "recurrent-tanh": _("A simple recurrent network reads, another writes; no attention."),
        "recurrent-gru": _("Gated recurrent units read and write; no attention."),
        "recurrent-lstm": _("Long short-term memories read and write; no attention."),
        "recurrent-bidirectional": _("Gated recurrent units read from both ends; no attention."),
        "recurrent-attention": _("Gated recurrent units read from both ends; the writer looks back by attention."),
        "depth-2": _("Two layers in each stack, trained for as few steps as the deeper ones."),
        "depth-6": _("Six layers in each stack in place of two; trained for fewer steps than the base."),
        "depth-12": _("Twelve layers in each stack in place of two; trained for fewer steps than the base."),
        "depth-2-bare": _("Two layers in each stack, and no residuals; trained for fewer steps than the base."),
        "depth-6-bare": _("Six layers in each stack, and no residuals; trained for fewer steps than the base."),
        "depth-12-bare": _("Twelve layers in each stack, and no residuals; trained for fewer steps than the base."),
        "time-lapse": _("A narrower base, kept at many steps of its training."),
    }


def on_the_shelf() -> list[str]:
    """The rows whose weights are there, in the order of the table; whether they can be read shows when they are."""
    rows = (name for name, row in VARIANTS.items() if not row.curves_only)
    return [name for name in rows if (models.assets() / "models" / name / "weights.safetensors").exists()]


def first() -> str:
    """The model that a visit begins with: the translator, or the first row that can be read where that cannot.

    Raises CheckpointError, the translator's own, where no row can be read.
    """
    try:
        return models.model(models.TRANSLATOR).name
    except CheckpointError:
        for name in on_the_shelf():
            with suppress(CheckpointError):
                return models.model(name).name
        raise


def groups(_: Words) -> dict[str, str]:
    """The choices that the rows vary, in the order of the table."""
    return {
        "translator": _("Translator"),
        "positions": _("Positions"),
        "norms": _("Norms"),
        "residuals": _("Residuals"),
        "heads": _("Heads"),
        "scale": _("Scale"),
        "feed-forward": _("Feed-forward"),
        "masks": _("Masks"),
        "before attention": _("Before attention"),
        "depth": _("Depth"),
        "time-lapse": _("Time-lapse"),
        "schedule": _("Schedule"),
        "grid": _("Norm, depth, warm-up and rate"),
    }


def at_hand(_: Words, wanted: Iterable[str]) -> dict[str, Model]:
    """The models of these rows that can be read; for each of the others, the command that trains it."""
    return _readable(_, wanted, models.model)


def cards(_: Words, wanted: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The cards of these rows, as far as they can be read; for each of the others, the command that trains it."""
    return _readable(_, wanted, lambda name: card(name, str(models.assets())))


def logs(_: Words, wanted: Iterable[str]) -> dict[str, list[Record]]:
    """The training logs of these rows, of all seeds, as far as they can be read; see `cards`."""
    return _readable(_, wanted, lambda name: log(name, str(models.assets())))


@st.cache_resource(max_entries=80, show_spinner=False)
def card(name: str, assets: str) -> Mapping[str, Any]:
    """A card as it is in `assets`; raises CheckpointError."""
    return read_card(name, assets=models.assets())


@st.cache_resource(max_entries=80, show_spinner=False)
def log(name: str, assets: str) -> list[Record]:
    """A log as it is in `assets`; raises CheckpointError."""
    return read_log(name, assets=models.assets())


def _readable(_: Words, wanted: Iterable[str], read: Any) -> dict[str, Any]:
    found, wrong = {}, {}
    for name in wanted:
        try:
            found[name] = read(name)
        except CheckpointError as error:
            wrong[name] = str(error)
    if wrong:
        _complain(_, wrong)
    return found


def _complain(_: Words, wrong: Mapping[str, str]) -> None:
    said = " · ".join(names(_).get(name, name) for name in wrong)
    many = _("{count} training runs").format(count=len(wrong))
    st.warning(_("Not here: {names}.").format(names=said if len(wrong) <= LISTED else many), icon=":material/error:")
    with st.expander(_("What is missing, and the commands that restore it")):
        st.text("\n".join(wrong.values()))
