"""The norms page through the app: every part and its numbers, with untrained twins in the form of trained ones."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import visits
from streamlit.testing.v1 import AppTest
from visits import rows_of, settled, shown

from core.charts import heatmap
from core.checkpoint import CARD_KEYS, save
from core.experiments import norms as experiments
from core.network import build
from core.tokens import load_tokenizer
from core.variants import VARIANTS
from pages.parts import models
from pages.parts.norms.block import EACH, ROWS
from pages.parts.norms.network import TWINS
from pages.parts.norms.show import MORE_PADS, inputs

ROOT = Path(__file__).parents[1]
PARTS = ("block", "statistics", "mates", "network", "depth", "twins")
GUESSES = {
    "spread_guess": "one",
    "mate_guess": "batch",
    "memory_guess": "layer",
    "logit_guess": "both",
    "depth_guess": "same",
    "ship_guess": "yes",
}
WAITING = dict(zip(PARTS[1:], ("spread_guess", "mate_guess", "logit_guess", "depth_guess", "ship_guess"), strict=True))
CAT = "I am a cat"
ASKED = (CAT, "en-ko", "translator")
SITE = "encoder.0.norm_before_feed_forward"
BAD = ("<b>x</b>", "# $x$ *y* [a](b)", "a" * 60, "😀", "Zorblax", ".", "שלום 世界", "cat cat cat " * 8)
LOSSES = dict(zip(TWINS, (0.5, 0.6, 0.52, 0.48, 0.15, 0.4, 0.45), strict=True))
MATCHES = dict(zip(TWINS, (0.5, 0.55, 0.52, 0.2, 0.0, 0.1, 0.6), strict=True))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assets folder with untrained models: what their cards and logs say is invented, the form is right."""
    assets = tmp_path_factory.mktemp("assets")
    shutil.copy(ROOT / "assets" / "tokenizer.json", assets)
    tokenizer = load_tokenizer()
    for name in ("translator", *TWINS, "recurrent-gru"):
        config = VARIANTS[name].config(tokenizer.size)
        if name == "translator":
            config = replace(config, width=32, content_width=32, feed_forward=64, encoder_layers=1, decoder_layers=1)
        torch.manual_seed(0)
        figures = {"random": {"exact_match": MATCHES.get(name, 0.5)}}
        metrics = {"en-ko": figures, "ko-en": figures, "alignment": {}}
        card = dict.fromkeys(CARD_KEYS) | {"name": name, "config": config.to_json(), "metrics": metrics, "seeds": [0]}
        folder = assets / "models" / name
        network = build(config)
        if name == "translator":  # inclined to end its translations at once: untrained ones babble
            last, end = network.decoder.final_norm, network.embedding.weight.data[tokenizer.end_id]
            last.bias.data += 20 * torch.nn.functional.normalize(end, dim=0)
        save(network, card | {"vocabulary_seen": []}, folder)
        lines = [{"seed": 0, "step": step, "loss": LOSSES.get(name, 0.5)} for step in range(25, 300, 25)]
        lines += [{"seed": 0, "step": 300, "validation_loss": 0.7, "validation_exact_match": 0.4}]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return assets


def opened(part: str, **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    return visits.opened("norms", **({"text": CAT, "norm_part": part} | address))


def canvas(app: AppTest) -> tuple[dict[str, Any], np.ndarray]:
    """The block's header, and the values that its bytes stand for."""
    for component in app.get("bidi_component"):
        header, cells = heatmap.unpack(component.proto.bytes) if component.proto.bytes else ({}, np.zeros(0))
        if "lit" in header:
            return header, (cells.reshape(header["shape"]) / (heatmap.STEPS / 2) - 1) * header["signed"]
    raise AssertionError("no block on this page")


def table(app: AppTest) -> dict[str, list[str]]:
    """The rows of the table of changes, by the words at their beginning."""
    body = next(block.proto.body for block in app.get("html") if "<table" in block.proto.body)
    rows = re.findall(r'<th scope="row"[^>]*><bdi>(.*?)</bdi>.*?</th>(.*?)</tr>', body, re.DOTALL)
    return {name: [re.sub("<[^>]+>", "", each) for each in re.findall("<td.*?</td>", cells)] for name, cells in rows}


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(part: str, language: str) -> None:
    app = opened(part, lang=language, **GUESSES)
    assert app.segmented_control(key="norm_part").value == part
    assert any("가" <= letter <= "힣" for letter in app.title[0].value) == (language == "ko")
    assert app.get("vega_lite_chart") or app.get("bidi_component") or table(app)
    assert not app.warning and not app.error


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", PARTS[1:])
def test_the_answer_waits_for_a_prediction(part: str) -> None:
    app, key = opened(part), WAITING[part]
    assert "You said" not in shown(app)
    settled(app.pills(key=key).set_value(GUESSES[key]).run())
    assert "You said" in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", PARTS)
def test_nothing_typed_breaks_a_part(part: str) -> None:
    app = opened(part, **GUESSES)
    for text in BAD[:4] if part == "depth" else BAD:
        settled(app.text_input(key="text").set_value(text).run())
        assert "<b>x" not in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", [*PARTS, "seventh"])
def test_a_tampered_link_falls_back(part: str) -> None:
    wild = {"norm_at": "<b>", "norm_kind": "batchnorm", "norm_cell": "99.x", "mate_source": "many", "norm_depth": "7"}
    app = opened(part, **wild, norm_curve="gain", **dict.fromkeys(GUESSES, "perhaps"))
    assert not app.warning and not app.error
    assert app.segmented_control(key="norm_part").value == (part if part in PARTS else "block")


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", PARTS[:3])
def test_a_model_without_norms_says_so(part: str) -> None:
    app = opened(part, model="recurrent-gru", **GUESSES)
    assert "is a recurrent network" in shown(app)


# --- part 1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("kind", experiments.KINDS)
def test_the_cells_that_share_light_up(kind: str) -> None:
    app = opened("block", norm_kind=kind, norm_cell="3.7", norm_at=SITE)
    x = inputs(ASKED)[SITE]
    header, drawn = canvas(app)
    positions = min(ROWS, x.shape[1])
    channel = x.shape[-1] // 4 + x.shape[-1] // 4 // EACH
    rows = {"batch": [0, 3 * positions], "layer": [2, 3], "rms": [2, 3]}.get(kind, [0, positions])
    columns = {"batch": [6, 7], "instance": [6, 7], "group": [EACH, 2 * EACH]}.get(kind, [0, 4 * EACH])
    assert header["lit"] == [rows, columns] and header["cell"] == [2, 6]
    assert header["rules"] == [positions, 2 * positions] and header["keys"][6] == str(channel + 1)
    values = x[:, :positions, [int(each) - 1 for each in header["keys"]]].flatten(0, 1).numpy()
    inside = np.abs(values) < header["signed"]
    assert inside.mean() > 0.9
    assert np.abs(drawn - values)[inside].max() <= 0.51 * header["signed"] / (heatmap.STEPS / 2)
    found = experiments.shared(x, kind, (0, 2, channel))
    assert all(f"{each:.4f}" in shown(app) for each in (found.mean, found.variance, found.value, found.normalized))
    becomes = app.dataframe[0].value["becomes"].tolist()
    assert becomes[list(experiments.KINDS).index(kind)] == pytest.approx(found.normalized)
    assert becomes[-1] == pytest.approx(found.value)


@pytest.mark.usefixtures("assets")
def test_pads_are_named_and_counted() -> None:
    app = opened("block", norm_kind="instance", text="cat")
    header, _drawn = canvas(app)
    assert "<pad>" in header["queries"]
    assert "are pads" in shown(app)


@pytest.mark.usefixtures("assets")
def test_the_model_goes_on_with_its_own_gain_and_bias() -> None:
    norm = models.model(models.TRANSLATOR).transformer.get_submodule(SITE)
    with torch.no_grad():
        norm.gain[0], norm.bias[0] = 1.75, -0.625
    app = opened("block", norm_kind="layer", norm_cell="2.1", norm_at=SITE)
    found = experiments.shared(inputs(ASKED)[SITE], "layer", (0, 1, 0))
    assert "1.7500" in shown(app) and "-0.6250" in shown(app)
    assert f"{1.75 * found.normalized - 0.625:.4f}" in shown(app)


# --- part 2 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_statistics_are_those_of_the_run() -> None:
    app = opened("statistics", norm_at=SITE, **GUESSES)
    found = experiments.by_token(models.run(CAT, "en-ko"), SITE)
    rows = [row for row in rows_of(app, 2) if "token" in row]
    read = [row["value"] for row in rows if row["name"] == "what the norm reads"]
    given = [row["value"] for row in rows if row["name"] != "what the norm reads"]
    assert read == pytest.approx(found.deviation_before.tolist())
    assert given == pytest.approx(found.deviation_after.tolist())
    gains = rows_of(app, 4)
    assert {row["value"] for row in gains} == {1.0}, "an untrained norm has γ = 1"


# --- part 3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_the_batch_mate_test_is_the_measurement() -> None:
    app = opened("mates", norm_at=SITE, mate_source="1", **GUESSES)
    x, others, longer = inputs(ASKED)[SITE], inputs(ASKED, "others")[SITE], inputs(ASKED, pads=MORE_PADS)[SITE]
    length = len(models.run(CAT, "en-ko").source_tokens)
    changed = experiments.interventions(x, others[1:], longer[:, x.shape[1] :], 1, length)
    found = experiments.moved(x, 1, changed)
    rows = table(app)
    layer = list(experiments.KINDS).index("layer")
    for name in ("other batch-mates", f"{MORE_PADS} more pads", "another last token", "batch of one", "train → eval"):
        assert rows[name][layer] == "0" and float(rows[name][0]) > 0
    for name, kind in (
        ("other batch-mates", "batch"),
        ("another last token", "instance"),
        ("one token alone", "group"),
    ):
        key = {"other batch-mates": "mates", "another last token": "future", "one token alone": "single"}[name]
        assert float(rows[name][list(experiments.KINDS).index(kind)]) == pytest.approx(
            found[key][kind], rel=0.05, abs=1e-3
        )
    assert float(rows["all features + 5"][-1]) > 0.01
    assert "running_mean (32), running_variance (32)" in shown(app)


@pytest.mark.usefixtures("assets")
def test_another_token_is_another_measurement() -> None:
    app = opened("mates", norm_at=SITE, **GUESSES)
    before = table(app)
    settled(app.selectbox(key="mate_source").set_value(0).run())
    assert table(app) != before


# --- part 4 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_only_batch_norm_in_training_notices_a_batch_mate() -> None:
    rows = table(opened("network", **GUESSES))
    assert len(rows) == len(TWINS) + 1
    moving = {name for name, cells in rows.items() if float(cells[0]) > 1e-9}
    assert moving == {"Batch norm, training mode"}
    assert all(cells[0] == "0" for name, cells in rows.items() if name not in moving)
    padded = {name for name, cells in rows.items() if float(cells[1]) > 1e-6}
    assert padded == {"Batch norm, training mode", "Instance norm", "Group norm"}
    worded = {name for name, cells in rows.items() if float(cells[2]) > 1e-6}
    alone = {"Batch norm, training mode", "Instance norm"}
    assert worded == rows.keys() - alone, "the mean over a target of one token is that token: the bias is left"


# --- part 5 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_gradients_at_initialisation_are_drawn_by_layer() -> None:
    app = opened("depth", **GUESSES, norm_depth="6")
    rows = [row for row in rows_of(app, 0) if "layer" in row]
    assert len(rows) == 2 * 6 and all(0 < row["low"] <= row["value"] <= row["high"] for row in rows)
    stream = [row["value"] for row in rows_of(app, 2) if row["name"].startswith("Post-LN")]
    assert stream == pytest.approx([1.0] * 6, abs=1e-3)
    settled(app.segmented_control(key="norm_depth").set_value(2).run())
    assert len(rows_of(app, 0)) == 2 * 2


# --- part 6 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_the_quiz_is_asked_of_the_lowest_loss_and_answered_by_the_card() -> None:
    app = opened("twins")
    assert "**Instance norm** has by far the lowest training loss: 0.150" in shown(app)
    assert "0.0%" not in shown(app)
    settled(app.pills(key="ship_guess").set_value("cheats").run())
    assert "**Instance norm** gets **0.0%**" in shown(app) and "**No norm** gets 60.0%" in shown(app)
    assert "those to come included" in shown(app)
    points = {row["name"]: (row["loss"], row["value"]) for row in rows_of(app, 1) if "value" in row}
    assert points["Batch norm"] == pytest.approx((0.48, 0.2))


def test_an_honest_winner_is_not_accused(assets: Path) -> None:
    for name in ("norm-instance", "norm-group"):
        path = assets / "models" / name / "log.jsonl"
        path.write_text(path.read_text().replace(f'"loss": {LOSSES[name]}', '"loss": 0.9'))
    app = opened("twins", **GUESSES)
    assert "**No norm** has the lowest training loss: 0.450" in shown(app)
    assert "also writes best" in shown(app) and "those to come included" not in shown(app)


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["network", "twins"])
@pytest.mark.parametrize("name", ["positions-sum", "norm-batch"])
def test_a_missing_twin_is_named_and_the_others_are_shown(assets: Path, part: str, name: str) -> None:
    shutil.rmtree(assets / "models" / name)
    app = opened(part, **GUESSES)
    assert len(app.warning) == 1 and f"python -m core train {name}" in shown(app)
    assert "You said" in shown(app) or part == "network"
    assert app.get("vega_lite_chart") or table(app)


@pytest.mark.parametrize("part", PARTS)
def test_without_any_twin_the_rest_works(assets: Path, part: str) -> None:
    for name in TWINS:
        shutil.rmtree(assets / "models" / name)
    app = opened(part, **GUESSES)
    assert len(app.warning) == (1 if part in ("network", "twins") else 0)
