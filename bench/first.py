"""The first answer of a fresh process, stage by stage: `python -m bench.first ASSETS` prints milliseconds as JSON."""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

SENTENCE = "The animal did not cross the street because it was too tired."


def stages(assets: Path) -> dict[str, float]:
    """Milliseconds of each stage, in order; meaningful once in a process."""
    clock, taken = time.perf_counter(), {}

    def lap(stage: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        taken[stage], clock = 1_000 * (now - clock), now

    torch, run = import_module("torch"), import_module("core.run")
    torch.set_num_threads(1)
    lap("import torch and core.run")
    import_module("core.tokens").load_tokenizer(assets / "tokenizer.json")
    lap("load the tokenizer")
    model = import_module("core.checkpoint").load("translator", assets=assets)
    lap("load the model")
    run.trace(model, SENTENCE)
    lap("first trace: read, translate, capture")
    run.trace(model, SENTENCE)
    lap("the same trace again")
    return taken


if __name__ == "__main__":
    print(json.dumps(stages(Path(sys.argv[1]))))
