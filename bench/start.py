"""What a fresh process waits for before its first answer: imports, tokenizer, model, first trace."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench.first import SENTENCE
from bench.models import assets
from bench.table import Section

ROOT = Path(__file__).parents[1]
HEADER = ("", "milliseconds", "least–most")


def measured(rounds: int = 7) -> Section:
    """Fresh processes, one after the other."""
    with assets() as folder:
        taken = [fresh(folder) for _ in range(rounds)]
    rows = []
    for stage in taken[0]:
        times = [each[stage] for each in taken]
        rows.append((stage, f"{statistics.median(times):.0f}", f"{min(times):.0f}–{max(times):.0f}"))
    about = f"Medians of {rounds} fresh processes on one thread; the sentence is “{SENTENCE}”"
    return Section("Start", about, HEADER, tuple(rows))


def fresh(assets: Path) -> dict[str, float]:
    """Milliseconds by stage of one process."""
    command = [sys.executable, "-m", "bench.first", str(assets)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return dict(json.loads(done.stdout))
