"""The tokens page through the app: every control, and every worked number again in NumPy from the stored weights."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import streamlit as st
import torch
import visits
from safetensors.numpy import load_file
from streamlit.testing.v1 import AppTest
from visits import settled, shown

from core.charts import heatmap
from core.checkpoint import CARD_KEYS, save
from core.measures import context
from core.measures.wordclasses import classified
from core.tokens import load_tokenizer
from core.transformer import Config, Transformer
from pages.parts import models
from pages.parts.tokens import PARTS

ROOT = Path(__file__).parents[1]
SHIPPED = models.assets()
STUDY = "나는 공부하러 독서실에 간다"
CAT = "The cat sees the dog."
GUESSES = {"kin_guess": "25", "row_guess": "same", "pronoun_guess": "half"}
BAD = ("<b>x</b>", "# $x$ *y* [a](b) :red[z]", "a" * 60, "😀", ".", "שלום 世界", "뷁 ㄱㄴ", "cat cat cat", "Zorblax는")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assets folder with a small untrained translator: its figures mean nothing, their arithmetic is right."""
    assets = tmp_path_factory.mktemp("assets")
    shutil.copy(ROOT / "assets" / "tokenizer.json", assets)
    torch.manual_seed(0)
    config = Config(load_tokenizer().size, 32, 32, 4, 64, encoder_layers=2, decoder_layers=2)
    network = Transformer(config)
    end = torch.nn.functional.normalize(network.embedding.weight.data[load_tokenizer().end_id], dim=0)
    network.decoder.final_norm.bias.data += 20 * end  # inclined to end at once: untrained networks babble
    metrics = {"en-ko": {"pronoun": {"antecedent_accuracy": 0.875}}}
    card = dict.fromkeys(CARD_KEYS) | {"name": "translator", "config": config.to_json(), "metrics": metrics}
    save(network, card | {"data_version": context.read_sentences().data_version}, assets / "models" / "translator")
    return assets


@pytest.fixture(autouse=True)
def assets(stored: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app reads from the small translator, and forgets it afterwards."""
    monkeypatch.setenv("HEADROOM_ASSETS", str(stored))
    models.model.clear()
    models.run.clear()
    yield stored
    st.cache_data.clear()
    st.cache_resource.clear()


def weights(assets: Path) -> dict[str, np.ndarray]:
    """The stored weights, read without the model."""
    found = load_file(assets / "models" / "translator" / "weights.safetensors")
    return {name: array.astype(np.float64) for name, array in found.items()}


def opened(part: str, **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    return visits.opened("tokens", **({"tokens_part": part, "text": CAT} | address))


def specs(app: AppTest) -> list[dict[str, Any]]:
    """Every chart, with the rows of its tables under `rows`."""
    return [json.loads(chart.proto.spec) | {"rows": tables(chart.proto)} for chart in app.get("vega_lite_chart")]


def tables(chart: Any) -> list[dict[str, Any]]:
    held = [each.data.data for each in chart.datasets] + [chart.data.data]
    return [row for data in held if data for row in pa.ipc.open_stream(data).read_all().to_pylist()]


def values_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a chart, whichever layer they belong to."""
    return spec["rows"] + [row for layer in spec.get("layer", []) for row in layer.get("data", {}).get("values", [])]


def chart_with(app: AppTest, field: str, value: str) -> dict[str, Any]:
    return next(spec for spec in specs(app) if any(row.get(field) == value for row in values_of(spec)))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(part: str, language: str) -> None:
    app = opened(part, lang=language, text=STUDY, **GUESSES)
    assert app.segmented_control(key="tokens_part").value == part
    assert any("가" <= letter <= "힣" for letter in app.title[0].value) == (language == "ko")
    assert app.subheader


def test_the_parts_are_one_click_apart() -> None:
    app = opened("pieces")
    for part in ("space", "context", "pieces"):
        settled(app.segmented_control(key="tokens_part").set_value(part).run())
        assert app.segmented_control(key="tokens_part").value == part


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("part", PARTS)
def test_nothing_typed_breaks_a_part(part: str, text: str) -> None:
    app = opened(part, text=text, near_word=text, own_sentence=text, **GUESSES)
    assert "<b>x" not in shown(app)


@pytest.mark.parametrize(
    "address",
    [
        {"tokens_part": "none"},
        {"tokens_side": "middle", "tokens_at": "x", "tokens_channel": "1e9", "tokens_other": "-1"},
        {"near": "<b>", "kin_guess": "7", "kin_language": "fr", "space_map": "x", "space_dimensions": "4"},
        {"sense_word": "x", "sense_stage": "99", "row_guess": "?", "pronoun_guess": "?"},
        {"tokens_stage": "-3", "tokens_pair": "99.99"},
        {"tour": "nowhere"},
    ],
)
@pytest.mark.parametrize("part", PARTS)
def test_a_tampered_link_falls_back(part: str, address: dict[str, str]) -> None:
    app = opened(part, **({"tokens_part": part} | address))
    assert not app.warning and not app.error


# --- from text to rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["source", "target"])
def test_pieces_ids_and_rows_are_those_of_the_tables(side: str, assets: Path) -> None:
    app = opened("pieces", text=STUDY, tokens_side=side)
    run = models.run(STUDY, "ko-en")
    tokens = run.source_tokens if side == "source" else run.target_tokens
    table = app.dataframe[0].value
    assert table["piece"].tolist() == [token.piece for token in tokens]
    ids = table["id = row of the table"].tolist()
    assert ids == [token.id for token in tokens]
    lengths = np.linalg.norm(weights(assets)["embedding.weight"][ids], axis=1)
    assert table["length of the row"].tolist() == pytest.approx(lengths, rel=1e-5)
    assert all(f">{token.id}</div>" in shown(app) for token in tokens)


def test_offsets_stand_in_the_text() -> None:
    app = opened("pieces", text=STUDY)
    letters = re.findall(r"grid-row:1;text-align[^>]*><bdi>(.)</bdi><div[^>]*>(\d+)</div>", shown(app))
    wanted = [(letter, str(at)) for at, letter in enumerate(STUDY) if letter != " "]
    assert letters == wanted
    table = app.dataframe[0].value
    for where, text in zip(table["characters"], table["text there"], strict=True):
        if where != "–":
            start, end = map(int, where.split("–"))
            assert STUDY[start:end] == text


@pytest.mark.parametrize(("at", "channel"), [(2, 1), (3, 8), (5, 31)])
def test_the_worked_channel_is_recomputed(at: int, channel: int, assets: Path) -> None:
    app = opened("pieces", tokens_at=str(at), tokens_channel=str(channel))
    run = models.run(CAT, "en-ko")
    width = 32
    row = weights(assets)["embedding.weight"][run.source_tokens[at - 1].id, channel - 1]
    angle = (at - 1) / 10_000 ** (2 * ((channel - 1) // 2) / width)
    place = np.cos(angle) if (channel - 1) % 2 else np.sin(angle)
    total = row * np.sqrt(width) + place
    written = [float(number) for number in re.findall(r"[+-]?\d+\.\d+", app.latex[0].value)]
    assert written == pytest.approx([row, place, total], abs=6e-6)
    assert run.arrays()["source.input"][at - 1, channel - 1] == pytest.approx(total, abs=1e-5)
    assert f"{run.source.input[at - 1, channel - 1]:.5f}" in shown(app)


def test_a_token_and_a_channel_can_be_chosen() -> None:
    app = opened("pieces")
    before = app.latex[0].value
    settled(app.slider(key="tokens_channel").set_value(9).run())
    assert app.latex[0].value != before
    pills = next(each for each in app.pills if each.key == "tokens_at")
    settled(pills.set_value(1).run())
    special = models.run(CAT, "en-ko").source_tokens[0].id
    assert f"row {special} of the table" in shown(app)
    settled(app.segmented_control(key="tokens_side").set_value("target").run())
    assert app.dataframe[0].value["piece"].tolist()[0] == "<start>"


def test_korean_is_taken_apart_on_whichever_side_it_is() -> None:
    app = opened("pieces", text=STUDY)
    for letter in "ㄱㅏㄴㄷ":
        assert f"<bdi>{letter}</bdi>" in shown(app)
    assert "<bdi>ㄴ다</bdi>" in shown(app)
    assert "Neither sentence" in shown(opened("pieces", text="The cat", to="en"))


def test_rows_and_places_can_be_exchanged_and_taken_back() -> None:
    app = opened("pieces", tokens_at="3", tokens_other="6")
    assert "what enters, edited" not in shown(app)
    settled(app.button(key="tokens_edit_0").click().run())
    before, after = models.run(CAT, "en-ko"), app.session_state["edits"]
    assert [type(edit).__name__ for edit in after] == ["SwapEmbeddings"]
    text = shown(app)
    assert "what enters, edited" in text and "Translation after" in text
    edited = models.forced(CAT, "en-ko", "translator", after)
    expected = before.source.embedding[5] + before.source.position[2]
    assert torch.allclose(edited.source.input[2], expected, atol=1e-6)
    settled(app.button(key="tokens_edit_0").click().run())
    assert not app.session_state["edits"] and "what enters, edited" not in shown(app)
    for number in (1, 2, 3):
        settled(app.button(key=f"tokens_edit_{number}").click().run())
    assert [type(edit).__name__ for edit in app.session_state["edits"]] == ["SwapPositions", "RemovePosition"]
    settled(app.selectbox(key="tokens_other").set_value(2).run())


# --- the space ------------------------------------------------------------------------------------------------------


def test_neighbours_are_recomputed(assets: Path) -> None:
    app = opened("space", near="dog")
    tokenizer = load_tokenizer()
    directions = unit(weights(assets)["embedding.weight"])
    piece = next(token.id for token in models.run(CAT, "en-ko").source_tokens if token.piece == "dog")
    likeness = directions @ directions[piece]
    likeness[piece] = -2
    best = np.argsort(-likeness)[:10]
    rows = values_of(specs(app)[0])
    assert [row["name"].rstrip("\u200b") for row in rows] == [tokenizer.tokens([int(i)])[0].piece for i in best]
    assert [row["value"] for row in rows] == pytest.approx(likeness[best], abs=1e-4)
    assert all(0 < row["null"] < 1 for row in rows)


def test_any_word_can_be_looked_up() -> None:
    app = opened("space")
    settled(app.text_input(key="near_word").set_value("horse").run())
    assert "“horse”" in shown(app)
    settled(app.text_input(key="near_word").set_value("피곤하다").run())
    assert "is cut into" in shown(app)
    settled(app.text_input(key="near_word").set_value("").run())
    pills = next(each for each in app.pills if each.key == "near")
    settled(pills.set_value("sees").run())
    assert "“sees”" in shown(app)


def test_how_often_kin_are_nearest_waits_for_a_prediction_and_is_recomputed(assets: Path) -> None:
    app = opened("space")
    assert not any(row.get("mark") for spec in specs(app) for row in values_of(spec))
    settled(next(each for each in app.pills if each.key == "kin_guess").set_value("50").run())
    chart = chart_with(app, "mark", "trained table")
    found = {(row["name"], row["mark"]): row.get("value") for row in values_of(chart)}
    directions = unit(weights(assets)["embedding.weight"])
    tokenizer = load_tokenizer()
    unused = [tokenizer.backend.token_to_id(f"<0x{value:02X}>") for value in range(256)]
    drift = directions[unused].mean(0)
    words = [word for word in classified(tokenizer) if word.base and directions[word.piece] @ unit(drift) <= 0.5]
    nouns = [word for word in words if word.language == "ko" and word.kinds == {"noun"}]
    near = directions[[word.piece for word in nouns]]
    likeness = near @ near.T
    np.fill_diagonal(likeness, -2)
    shares = np.array([[bool(one.classes & other.classes) for other in nouns] for one in nouns])
    observed = shares[np.arange(len(nouns)), likeness.argmax(1)].mean()
    chance = shares[~np.eye(len(nouns), dtype=bool)].mean()
    assert found["Korean nouns, same class", "trained table"] == pytest.approx(observed, abs=3e-3)
    assert found["Korean nouns, same class", "chance: all pairs"] == pytest.approx(chance, abs=1e-6)
    settled(app.segmented_control(key="kin_language").set_value("ko").run())


@pytest.mark.parametrize("group", ["kinds", "language", "en", "ko"])
def test_the_map_shows_the_first_components(group: str, assets: Path) -> None:
    app = opened("space", space_map=group)
    chart = chart_with(app, "name", "dog")
    placed = {row["name"]: (row["x"], row["y"]) for row in values_of(chart)}
    assert {"dog", "cat"} <= set(placed)
    assert chart["layer"][0]["encoding"]["color"]["scale"]["domain"]
    if group == "en":
        words = [word for word in classified(load_tokenizer()) if word.base and word.language == "en"]
        table = weights(assets)["embedding.weight"]
        nouns = [word for word in words if word.kinds == {"noun"} and word.text in placed]
        rows = table[[word.piece for word in nouns]]
        centred = rows - rows.mean(0)
        directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
        mine = np.array([placed[word.text] for word in nouns])
        assert np.abs(mine) == pytest.approx(np.abs(centred @ directions.T), abs=2e-2)


def test_the_map_has_a_third_dimension() -> None:
    app = opened("space")
    settled(app.segmented_control(key="space_dimensions").set_value("3").run())
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert {trace["type"] for trace in figure["data"]} == {"scatter3d"}
    assert figure["data"][-1]["name"] == "your sentence" and "dog" in figure["data"][-1]["text"]
    settled(app.segmented_control(key="space_map").set_value("language").run())


# --- in context -----------------------------------------------------------------------------------------------------


def test_answers_wait_for_predictions() -> None:
    app = opened("context")
    assert "Over all words" not in shown(app) and "linear probe" not in shown(app)
    settled(next(each for each in app.pills if each.key == "pronoun_guess").set_value("nearer").run())
    assert "linear probe" in shown(app)


def test_a_model_that_translates_nothing_right_is_not_asked_about_meanings() -> None:
    app = opened("context", row_guess="near")
    assert "translates too few" in shown(app)
    for word in ("bat", "눈"):
        settled(app.segmented_control(key="sense_word").set_value(word).run())


def test_antecedents_are_those_of_the_report(assets: Path) -> None:
    app = opened("context", pronoun_guess="half")
    report = context.antecedent_report(models.model(), context.read_sentences().pronouns)
    charts = [spec for spec in specs(app) if any(row.get("name") == "untrained network" for row in values_of(spec))]
    for spec, field in zip(charts[-2:], ("nearer", "probe"), strict=True):
        rows = [row["value"] for row in values_of(spec) if row["name"] == "trained"]
        assert rows == pytest.approx([getattr(stage, field) for stage in report["trained"]])
    assert "88%" in shown(app) and "another version" not in shown(app)


def test_tokens_of_the_sentence_are_compared_at_every_stage() -> None:
    app = opened("context", tokens_pair="3.6")
    run = models.run(CAT, "en-ko")
    states = {path: unit(run.arrays()[path].astype(float)) for path in context.stages(run.network)}
    rows = [row["value"] for row in values_of(chart_with(app, "name", "these two")) if row["name"] == "these two"]
    assert rows == pytest.approx([each[2] @ each[5] for each in states.values()], abs=1e-4)
    for stage, path in enumerate(states, 1):
        settled(app.select_slider(key="tokens_stage").set_value(stage).run())
        header, cells = canvas(app)
        found = (cells.reshape(header["shape"]) / (heatmap.STEPS / 2) - 1) * header["signed"]
        assert np.abs(found - states[path] @ states[path].T).max() < 0.01
    app.session_state["token_map"] = {"cell": [0, 1]}
    settled(app.run())


def canvas(app: AppTest) -> tuple[dict[str, Any], np.ndarray]:
    return next(
        (header, cells)
        for header, cells in (
            heatmap.unpack(each.proto.bytes) for each in app.get("bidi_component") if each.proto.bytes
        )
        if header.get("signed") == 1.0
    )


def test_a_missing_file_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(context, "FILE", tmp_path / "probes.json")
    app = opened("context", pronoun_guess="half")
    assert "python -m core corpus probes" in shown(app)


# --- with the shipped translator ------------------------------------------------------------------------------------


def test_meanings_of_a_word_part_in_the_shipped_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_ASSETS", str(SHIPPED))
    models.model.clear()
    app = opened("context", row_guess="same", own_sentence="나는 배를 판다.", text=STUDY)
    chart = chart_with(app, "name", "other meaning")
    lines = {row["name"]: [] for row in values_of(chart)}
    for row in values_of(chart):
        lines[row["name"]].append(row["value"])
    assert lines["other meaning"][0] == pytest.approx(1, abs=1e-5)
    assert lines["same meaning, other sentence"][-1] > lines["other meaning"][-1]
    assert sum(name.startswith("yours and") for name in lines) > 1
    assert "Over all words" in shown(app)
    settled(app.select_slider(key="sense_stage").set_value(1).run())
    settled(app.text_input(key="own_sentence").set_value("고양이는 잔다.").run())
    assert "There is no 배" in shown(app)
