"""What tests of pages with twins share: assets in the right form, a page opened by link, what it shows."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import visits
from streamlit.testing.v1 import AppTest

from core.checkpoint import CARD_KEYS, save
from core.tokens import load_tokenizer
from core.transformer import Transformer
from core.variants import VARIANTS

ROOT = Path(__file__).parents[1]
CAT = "I am a cat"
BAD = ("<b>x</b>", "# $x$ *y* [a](b)", "😀", ".", "cat")


def write_models(assets: Path, names: Sequence[str], **changes: Mapping[str, Any]) -> None:
    """Untrained models in `assets` that end their translations at once; their cards and logs have the right form."""
    shutil.copy(ROOT / "assets" / "tokenizer.json", assets)
    tokenizer = load_tokenizer()
    for number, name in enumerate(names):
        torch.manual_seed(number)
        config = replace(VARIANTS[name].config(tokenizer.size), **changes.get(name.replace("-", "_"), {}))
        network = Transformer(config)
        bias = network.decoder.final_norm.bias
        bias.data += 20 * torch.nn.functional.normalize(network.embedding.weight.data[tokenizer.end_id], dim=0)
        figures = {"random": {"exact_match": 0.9 - number / 10}, "copy": {"exact_match": math.nan}}
        metrics = {"en-ko": figures, "ko-en": figures, "alignment": {}}
        card = dict.fromkeys(CARD_KEYS) | {"name": name, "config": config.to_json(), "metrics": metrics, "seeds": [0]}
        save(network, card | {"vocabulary_seen": []}, assets / "models" / name)
        lines = [{"seed": 0, "step": step, "loss": 9 - step / 100, "validation_loss": 8.0} for step in (25, 50, 75)]
        (assets / "models" / name / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def opened(page: str, **address: str) -> AppTest:
    """A page opened through a link, as on a fresh server."""
    return visits.opened(page, **({"text": CAT} | address))
