"""The two kinds of translator, as one type, and how either is made from its configuration."""

from collections.abc import Mapping
from typing import Any

from core.recurrent import RecurrentConfig, RecurrentTranslator
from core.transformer import Config, Transformer

Network = Transformer | RecurrentTranslator
AnyConfig = Config | RecurrentConfig


def read_config(fields: Mapping[str, Any]) -> AnyConfig:
    """The configuration that `to_json` wrote; only a recurrent one names a cell. Raises TypeError at other fields."""
    return RecurrentConfig(**fields) if "cell" in fields else Config(**fields)


def build(config: AnyConfig) -> Network:
    """A network with fresh weights."""
    return RecurrentTranslator(config) if isinstance(config, RecurrentConfig) else Transformer(config)


def transformer(network: Network) -> Transformer:
    """A network that is asked what only a Transformer can answer; raises TypeError for a recurrent one."""
    if not isinstance(network, Transformer):
        raise TypeError("a recurrent network has no layers of attention to look into")
    return network
