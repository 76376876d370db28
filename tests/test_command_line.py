"""The command line as it is typed: a model trained from nothing, and everything that can be asked of it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main, table
from core.checkpoint import CARD_KEYS

SPLITS = {"random", "compositional", "long", "ambiguous", "pronoun", "copy"}
TRAIN = ["train", "positions-sum", "--steps", "2", "--pairs", "20", "--sample", "2"]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of two steps each, trained by the real command."""
    out = tmp_path_factory.mktemp("out")
    assert main([*TRAIN, "--seeds", "3,4", "--out", str(out)]) == 0
    return out


def test_train_writes_a_whole_model(assets: Path) -> None:
    """Weights, a card with its figures by seed, and the logs of both seeds."""
    folder = assets / "models" / "positions-sum"
    card = json.loads((folder / "card.json").read_text())
    assert card.keys() >= CARD_KEYS and card["seeds"] == [3, 4] and card["steps"] == 2
    assert card["metrics"] == card["metrics_by_seed"]["3"] != {}
    assert (folder / "weights.safetensors").stat().st_size > 100_000
    assert (folder / "log.jsonl").exists()
    assert not list(assets.rglob(".*.safetensors"))


def test_resuming_a_finished_run_changes_nothing(assets: Path) -> None:
    """Weights stay as they are; without a stored state there is nothing to resume."""
    weights = assets / "models" / "positions-sum" / "weights.safetensors"
    before = weights.read_bytes()
    assert main([*TRAIN, "--seeds", "3,4", "--resume", "--out", str(assets)]) == 0
    assert weights.read_bytes() == before


def test_evaluate_prints_every_figure(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object of the agreed form; without --json, lines for people with the same figures."""
    assert main(["evaluate", "positions-sum", "--sample", "2", "--assets", str(assets), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.keys() == {"en-ko", "ko-en", "alignment", "self_attention", "by_length", "order"}
    assert sum(row["count"] for row in report["by_length"]) >= 8
    assert {row["from"] % 5 for row in report["by_length"]} == {1}
    assert all(0.0 <= share <= 1.0 for share in report["order"].values())
    for direction in ("en-ko", "ko-en"):
        assert report[direction].keys() == SPLITS
        assert all("exact_match" in figures for figures in report[direction].values())
        assert "antecedent_accuracy" in report[direction]["pronoun"]
        assert "sense_accuracy" in report[direction]["ambiguous"] and "copied" in report[direction]["copy"]
    assert report["alignment"]["best_head"].split(".")[2] == "cross_attention"
    assert 0.0 <= report["alignment"]["best_head_error_rate"] <= 1.0
    lines = table(report).splitlines()
    assert len(lines) > 2 * len(SPLITS) and any("permutation error rate" in line for line in lines)


def test_evaluate_can_put_its_figures_on_the_card(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is what the card then says, of its first seed; nothing else on it changes."""
    file = assets / "models" / "positions-sum" / "card.json"
    before = json.loads(file.read_text())
    assert main(["evaluate", "positions-sum", "--sample", "3", "--assets", str(assets), "--json", "--save"]) == 0
    report, after = json.loads(capsys.readouterr().out), json.loads(file.read_text())
    assert after["metrics"] == after["metrics_by_seed"]["3"] == report
    assert after["metrics_by_seed"]["4"] == before["metrics_by_seed"]["4"]
    assert {name for name in after if after[name] != before[name]} <= {"metrics", "metrics_by_seed"}
    heads = report["self_attention"]["heads"]
    assert report["self_attention"]["sentences"] == 12 and all(
        0 <= each["weight_on_itself"] <= 1 for each in heads.values()
    )


def test_translate_answers_line_by_line(
    assets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many lines come out as went in, empty ones empty."""
    monkeypatch.setattr("sys.stdin", io.StringIO("The cat sleeps.\n\n고양이가 잔다.\n"))
    command = ["translate", "--model", "positions-sum", "--assets", str(assets), "--to", "en", "--beams", "2"]
    assert main(command) == 0
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) == 4 and lines[1] == lines[3] == ""


def test_trace_writes_arrays(assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file holds the tensors under their paths; the given target is what was read."""
    file = tmp_path / "run.npz"
    command = ["trace", "The cat sleeps.", "--model", "positions-sum", "--assets", str(assets)]
    assert main([*command, "--out", str(file), "--to", "ko", "--target", "고양이가 잔다."]) == 0
    assert capsys.readouterr().out == "고양이가 잔다.\n"
    with np.load(file) as arrays:
        np.testing.assert_allclose(arrays["encoder.0.self_attention.weights"].sum(-1), 1.0, atol=1e-5)
        assert str(arrays["translation"]) == "고양이가 잔다."


def test_edits_of_a_link_work_in_the_shell(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrays are edited and say so; what does not fit is one line on stderr."""
    common = ["--model", "positions-sum", "--assets", str(assets), "--to", "ko", "--edits"]
    command = ["trace", "The cat sleeps.", "--out", str(tmp_path / "run.npz"), *common]
    assert main([*command, "off_cross.2.1_zero~pattern_encoder.1.2_uniform"]) == 0
    with np.load(tmp_path / "run.npz") as arrays:
        assert (arrays["decoder.1.cross_attention.head_outputs"][0] == 0).all()
        weights = arrays["encoder.0.self_attention.weights"][1]
        np.testing.assert_allclose(weights, 1 / len(weights), atol=1e-6)
        assert str(arrays["edits"]) == "off_cross.2.1_zero~pattern_encoder.1.2_uniform"
    monkeypatch.setattr("sys.stdin", io.StringIO("The cat sleeps.\n"))
    assert main(["translate", *common, "off_cross_zero"]) == 0
    capsys.readouterr()
    for wrong, said in (("off_cross.9_zero", "layer 9"), ("remove_source_40", "token 40"), ("off", "'off'")):
        assert main([*command, wrong]) == 2
        assert said in capsys.readouterr().err


def test_corpus_sample_shows_gold(capsys: pytest.CaptureFixture[str]) -> None:
    """Both sentences, then what is known about them; the same seed says the same."""
    said = []
    for _ in range(2):
        assert main(["corpus", "sample", "--count", "3", "--seed", "2"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    blocks = said[0].strip().split("\n\n")
    assert len(blocks) == 3 and all("  sure" in block for block in blocks)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "nothing-like-it"],
        [*TRAIN, "--resume"],
        [*TRAIN, "--device", "teapot"],
        ["train"],
        ["train", "positions-sum", "--zoo"],
        ["train", "positions-sum", "--steps", "0"],
        ["evaluate", "positions-sum"],
        ["translate", "--model", "positions-sum"],
        ["translate", "--to", "fr"],
        ["trace", " ", "--out", "run.npz"],
        ["corpus", "sample", "--count", "many"],
        [],
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line that says what is wrong; never a traceback."""
    folder = {"train": ["--out", str(tmp_path)], "evaluate": ["--assets", str(tmp_path)]}
    folder["translate"] = folder["trace"] = folder["evaluate"]
    try:
        code = main([*arguments, *folder.get(arguments[0], [])] if arguments else [])
    except SystemExit as stopped:
        code = stopped.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    assert captured.err.count("\n") == 1 and "Traceback" not in captured.err


def test_a_file_that_cannot_be_written_is_a_mistake(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no" / "such" / "folder.npz"
    command = ["trace", "The cat sleeps.", "--model", "positions-sum", "--assets", str(assets)]
    assert main([*command, "--out", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
