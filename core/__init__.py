"""Headroom's core: a Transformer that reads like the paper, and everything it computes on the way.

The names below are imported when they are first used, so that charts and sentences load without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.checkpoint import CheckpointError, Model, load, save
    from core.decoding import translate
    from core.edits import EditError, read_edits, write_edits
    from core.run import Run, trace

__all__ = [
    "CheckpointError",
    "EditError",
    "Model",
    "Run",
    "load",
    "read_edits",
    "save",
    "trace",
    "translate",
    "write_edits",
]

_HOMES = {
    "CheckpointError": "core.checkpoint",
    "EditError": "core.edits",
    "Model": "core.checkpoint",
    "Run": "core.run",
    "load": "core.checkpoint",
    "read_edits": "core.edits",
    "save": "core.checkpoint",
    "trace": "core.run",
    "translate": "core.decoding",
    "write_edits": "core.edits",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
