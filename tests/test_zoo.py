"""All small models in turn: which runs there are, and that a stopped zoo goes on and ships every row."""

import json
import os
import signal
from pathlib import Path

import pytest

from core.training import zoo
from core.training.ship import Order
from core.training.zoo import CURVE_SEEDS, Job, jobs, last_step, progress_bar, train_zoo, zoo_order
from core.variants import VARIANTS

ROWS = ("positions-sum", "schedule-constant")  # weights are kept of one, of the other the curve alone
STEPS = 60


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zoo of two rows, looked after often."""
    monkeypatch.setattr(zoo, "VARIANTS", {name: VARIANTS[name] for name in ROWS})
    monkeypatch.setattr(zoo, "POLL_SECONDS", 0.02)


def test_every_row_has_its_first_seed_before_any_has_its_second() -> None:
    found = jobs((5, 6, 7))
    names = [name for name, row in VARIANTS.items() if row.recipe.slice]
    assert found[: len(names)] == [Job(name, 5) for name in names]
    assert len(found) == len(set(found)) and "translator" not in names
    for name in names:
        kept = [job.seed for job in found if job.name == name]
        assert kept == ([5, 6, 7][:CURVE_SEEDS] if VARIANTS[name].curves_only else [5, 6, 7])


@pytest.mark.usefixtures("two_rows")
@pytest.mark.parametrize("steps", [None, 7])
def test_the_bar_is_as_long_as_all_runs_together(steps: int | None) -> None:
    orders = {name: zoo_order(name, (0, 1), Order("", (), steps=steps)) for name in ROWS}
    with progress_bar(jobs((0, 1)), jobs((0, 1)), orders) as bar:
        assert bar.total == 2 * sum(steps or VARIANTS[name].recipe.steps for name in ROWS)


@pytest.mark.usefixtures("two_rows")
def test_a_stopped_zoo_goes_on_and_ships_both_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row is stopped between two lines of its log, the second has not begun; then both are trained whole."""
    logs = [tmp_path / "runs" / name / "seed-0" / "log.jsonl" for name in ROWS]
    counted = zoo.taken

    def taken(*all_of_it: object) -> int:
        steps = counted(*all_of_it)
        if steps and not stopped:
            stopped.append(steps)
            os.kill(os.getpid(), signal.SIGTERM)
        return steps

    stopped: list[int] = []
    monkeypatch.setattr(zoo, "taken", taken)
    asked = {"processes": 1, "sample": 2, "steps": STEPS, "pairs": 60, "out": tmp_path}
    assert not train_zoo((0,), **asked)
    assert 0 < last_step(logs[0]) < STEPS and last_step(logs[1]) == 0
    assert not list(tmp_path.rglob("card.json"))
    begun = logs[0].read_text().splitlines()
    assert train_zoo((0,), **asked) and len(stopped) == 1
    assert logs[0].read_text().splitlines()[: len(begun)] == begun, "what was done is not done again"
    for folder, log in zip((tmp_path / "models" / ROWS[0], tmp_path / "curves" / ROWS[1]), logs, strict=True):
        card = json.loads((folder / "card.json").read_text())
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert card["steps"] == STEPS and card["seeds"] == [0] and card["command"].endswith(f"{card['name']} --seeds 0")
        assert [line["step"] for line in lines if "loss" in line] == [25, 50] and last_step(log) == 50
        assert (folder / "weights.safetensors").exists() == (folder.parent.name == "models") == bool(card["metrics"])
