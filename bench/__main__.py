"""`python -m bench` measures everything and writes bench/RESULTS.md; `python -m bench trace` measures one part."""

import argparse
import gc
import os
import platform
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import torch

from bench.measuring import processor
from bench.table import Section, document

PARTS = ("trace", "decoding", "payload", "screen", "edits", "start", "zoo")
RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("torch", "numpy", "streamlit", "tokenizers")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print each part as it is done; all of them together are also written down."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, help="measure this alone; only zoo writes, assets/costs.json")
    part = parser.parse_args(arguments).part
    torch.set_num_threads(1)
    busy = os.getloadavg()[0]
    sections = []
    for name in (part,) if part else PARTS:
        sections.append(measured(name))
        print(sections[-1].markdown(), flush=True)
    if not part:
        RESULTS.write_text(document(circumstances(busy), sections), encoding="utf-8")


def measured(name: str) -> Section:
    """One part, with what is alive already out of the collector's sight, as in the app."""
    part = import_module(f"bench.{name}")
    gc.collect()
    gc.freeze()
    section: Section = part.measured()
    return section


def circumstances(busy: float) -> str:
    """When, with what and on what; `busy` is the load before the measuring began."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    loads = f"load average {busy:.1f} before and {os.getloadavg()[0]:.1f} after"
    return (
        f"Measured on {today} with Python {platform.python_version()}, {packages}; one torch thread on "
        f"{processor()}, {os.cpu_count()} cores, {loads}."
    )


if __name__ == "__main__":
    main()
