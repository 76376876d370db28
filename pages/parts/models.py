"""Models and runs, shared by all sessions: loaded once, traced once per sentence."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch

from core.checkpoint import ASSETS, Model, load
from core.edits import Edit
from core.experiments.masks import doubled
from core.run import Run, reread, trace
from core.tokens import Direction
from core.transformer import Transformer

TRANSLATOR = "translator"


def assets() -> Path:
    """Where the checkpoints are; HEADROOM_ASSETS may point elsewhere."""
    return Path(os.environ.get("HEADROOM_ASSETS", ASSETS))


@st.cache_resource(max_entries=64, show_spinner=False)
def model(name: str = TRANSLATOR) -> Model:
    """A trained model by name; raises core.checkpoint.CheckpointError, which the frame turns into words."""
    torch.set_num_threads(1)
    loaded = load(name, assets=assets())
    gc.collect()
    gc.freeze()
    return loaded


@st.cache_resource(max_entries=1, show_spinner=False)
def in_double(name: str) -> Transformer:
    """A model's network in double precision, so that rounding hides neither a wrong formula nor a small change."""
    return doubled(model(name).transformer)


@st.cache_resource(max_entries=48, show_spinner=False)
def run(
    text: str,
    direction: Direction,
    name: str = TRANSLATOR,
    edits: tuple[Edit, ...] = (),
    target: str | None = None,
) -> Run:
    """The run of a sentence by a model or an edited one, which writes its own translation or reads `target`."""
    return trace(model(name), text, target, direction=direction, edits=edits)


@st.cache_resource(max_entries=48, show_spinner=False)
def forced(text: str, direction: Direction, name: str, edits: tuple[Edit, ...], target: str | None = None) -> Run:
    """The edited model as it reads exactly the tokens of the unedited `run(text, direction, name, (), target)`."""
    return reread(model(name), run(text, direction, name, (), target), edits)


@dataclass(frozen=True)
class Edited:
    """An edited model beside the run that was not edited; each pass is made when it is first asked for."""

    run: Run
    edits: tuple[Edit, ...]
    target: str | None = None

    @property
    def forced(self) -> Run:
        """It reads the same target tokens as `run`: every tensor has the same shape."""
        return forced(self.run.source_text, self.run.direction, self.run.model_name, self.edits, self.target)

    @property
    def free(self) -> Run:
        """It writes a translation of its own."""
        return run(self.run.source_text, self.run.direction, self.run.model_name, self.edits)
