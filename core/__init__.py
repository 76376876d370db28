"""Headroom's core: a Transformer that reads like the paper, and everything it computes on the way.

The names below are imported when they are first used, so that charts and sentences load without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.checkpoint import CheckpointError, Model, load, save
    from core.decoding import translate
    from core.run import Run, trace

__all__ = ["CheckpointError", "Model", "Run", "load", "save", "trace", "translate"]

_HOMES = {
    "CheckpointError": "core.checkpoint",
    "Model": "core.checkpoint",
    "Run": "core.run",
    "load": "core.checkpoint",
    "save": "core.checkpoint",
    "trace": "core.run",
    "translate": "core.decoding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
