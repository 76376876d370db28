"""Models and runs, shared by all sessions: loaded once, traced once per sentence."""

import gc
import os
from pathlib import Path

import streamlit as st
import torch

from core.checkpoint import ASSETS, Model, load
from core.hooks import listen, switch_off
from core.run import Run, trace

TRANSLATOR = "translator"


def assets() -> Path:
    """Where the checkpoints are; HEADROOM_ASSETS may point elsewhere."""
    return Path(os.environ.get("HEADROOM_ASSETS", ASSETS))


@st.cache_resource(max_entries=8, show_spinner=False)
def model(name: str = TRANSLATOR) -> Model:
    """A trained model by name; raises core.checkpoint.CheckpointError, which the frame turns into words."""
    torch.set_num_threads(1)
    loaded = load(name, assets=assets())
    gc.collect()
    gc.freeze()
    return loaded


@st.cache_resource(max_entries=48, show_spinner=False)
def run(
    text: str,
    direction: str,
    name: str = TRANSLATOR,
    off: tuple[tuple[str, int], ...] = (),
    target: str | None = None,
) -> Run:
    """The run of a sentence; `off` names heads to switch off, such as ("decoder.1.cross_attention", 3)."""
    silenced = tuple(switch_off(attention, head) for attention, head in off)
    return trace(model(name), text, target, direction=direction, listeners=silenced)


@st.cache_data(max_entries=64, show_spinner=False)
def scores_without(
    text: str, direction: str, name: str, off: tuple[tuple[str, int], ...], target: str | None = None
) -> list[float]:
    """Log-probabilities of exactly the target tokens of `run(...)`, with the heads in `off` switched off."""
    whole = run(text, direction, name, (), target)
    ids = [torch.tensor([[token.id for token in tokens]]) for tokens in (whole.source_tokens, whole.target_tokens)]
    wanted = torch.tensor([token.id for token in whole.predicted_tokens])
    with torch.inference_mode(), listen(*(switch_off(attention, head) for attention, head in off)):
        logits = model(name).network(*ids)[0]
    scores: list[float] = logits.log_softmax(-1).gather(-1, wanted[:, None])[:, 0].tolist()
    return scores
