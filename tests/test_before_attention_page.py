"""The page on recurrent networks through the app: every part and its numbers, with untrained models."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from visits import ROOT, opened, rows_of, settled, shown

from core.charts import heatmap
from core.checkpoint import CARD_KEYS, save
from core.experiments import recurrence
from core.network import Network, build
from core.tokens import load_tokenizer
from core.transformer import Transformer
from core.variants import BASE, VARIANTS
from pages.parts import models
from pages.parts.before_attention.gradients import LENGTH
from pages.parts.before_attention.rows import ATTENTIVE, GRU, LSTM, READERS, RNN

PARTS = ("same", "alignment", "states", "gradients", "length", "steps")
CAT = "I am a cat"
BAD = ("<b>x</b> # $x$ *y* [a](b) 😀", ".")
GUESSES = {"before_guess": "more", "before_longer": RNN, "before_waiting": "reading"}
LENGTHS = (5, 20)
NAMES = dict(zip(READERS, ("RNN", "GRU", "LSTM", "BiGRU", "BiGRU with attention", "Transformer"), strict=True))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Assets whose models are untrained and whose cards say invented things in the right form."""
    assets = tmp_path_factory.mktemp("assets")
    for name in ("tokenizer.json", "unigram.json"):
        shutil.copy(ROOT / "assets" / name, assets)
    tokenizer = load_tokenizer()
    seen = sorted({token.id for token in tokenizer.encode("I am a cat because it was too tired to cross the street")})
    for number, name in enumerate(("translator", *READERS)):
        config = VARIANTS[name].config(tokenizer.size)
        if name == "translator":
            config = replace(config, width=32, content_width=32, feed_forward=64, encoder_layers=1, decoder_layers=1)
        torch.manual_seed(number)
        network = brief(build(config), tokenizer.end_id)
        table = [
            {
                "from": length,
                "count": 50,
                "exact_match": 0.9 - 0.01 * length,
                "token_accuracy": 0.99 - 0.002 * number * length,
            }
            for length in LENGTHS
        ]
        metrics = {direction: {"random": {"exact_match": 0.5}} for direction in ("en-ko", "ko-en")}
        metrics |= {
            "alignment": {"best_head": "decoder.1.cross_attention.2"} if name == BASE else {},
            "by_length": table,
        }
        card = dict.fromkeys(CARD_KEYS) | {"name": name, "config": config.to_json(), "metrics": metrics, "seeds": [0]}
        save(network, card | {"vocabulary_seen": seen}, assets / "models" / name)
    return assets


def brief(network: Network, end: int) -> Network:
    """The network, inclined to end its translations at once: untrained ones babble for as long as they may."""
    last = network.decoder.final_norm if isinstance(network, Transformer) else network.decoder.readout
    last.bias.data += 20 * torch.nn.functional.normalize(network.embedding.weight.data[end], dim=0)
    return network


def page(part: str, **address: str) -> AppTest:
    return opened("before_attention", before=part, **({"text": CAT} | GUESSES | address))


def maps(app: AppTest) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Header and bytes of every canvas."""
    unpacked = [heatmap.unpack(each.proto.bytes) for each in app.get("bidi_component") if each.proto.bytes]
    return [(header, cells.reshape(header["shape"])) for header, cells in unpacked]


def series(app: AppTest, chart: int) -> dict[str, list[float]]:
    """The values of each line of a chart, in order."""
    found: dict[str, list[float]] = {}
    for row in (each for each in rows_of(app, chart) if "value" in each):
        found.setdefault(row["name"], []).append(row["value"])
    return found


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_korean_and_whatever_is_typed(part: str) -> None:
    app = page(part, lang="ko")
    assert any("가" <= letter <= "힣" for letter in app.title[0].value)
    for text in BAD:
        settled(app.text_input(key="text").set_value(text).run())
        assert "<b>" not in shown(app) and not app.error


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize(
    ("part", "key"), [("gradients", "before_guess"), ("length", "before_longer"), ("steps", "before_waiting")]
)
def test_the_answer_waits_for_a_prediction(part: str, key: str) -> None:
    app = opened("before_attention", before=part, text=CAT)
    before = len(app.get("vega_lite_chart"))
    assert "You said" not in shown(app)
    settled(app.pills(key=key).set_value(GUESSES[key]).run())
    assert len(app.get("vega_lite_chart")) > before and "You said" in shown(app)


@pytest.mark.usefixtures("assets")
def test_a_tampered_link_falls_back() -> None:
    wild = {"before_bias": "nan", "before_radius": "1e9", "before_cell": "99.x", "before_state": "0.0"}
    wild |= {"before_end": "x"}
    wild |= {
        "before_reader": "gpt",
        "before_end": "x",
        "before_channels": "7",
        "before_figure": "<b>",
        "before_kind": "0",
    }
    app = page("states", **wild, before_reference="😀")
    assert not app.warning and not app.error
    assert app.segmented_control(key="before_reader").value == RNN
    assert settled(page("gradients", **wild)).slider(key="before_bias").value == 0.0


def test_what_is_missing_is_named_and_the_rest_is_shown(assets: Path) -> None:
    for name in (GRU, ATTENTIVE):
        shutil.rmtree(assets / "models" / name)
    app = page("same")
    for part in PARTS:
        settled(app.segmented_control(key="before").set_value(part).run())
        named = f"python -m core train {ATTENTIVE}" in shown(app)
        assert named == (part != "steps"), "counting steps needs the sizes alone"
        assert app.get("vega_lite_chart") or maps(app)


def test_without_any_reader_nothing_breaks(assets: Path) -> None:
    for name in READERS:
        shutil.rmtree(assets / "models" / name)
    app = page("same")
    for part in PARTS:
        settled(app.segmented_control(key="before").set_value(part).run())


def test_cards_without_lengths_are_left_out(assets: Path) -> None:
    path = assets / "models" / GRU / "card.json"
    card = json.loads(path.read_text())
    del card["metrics"]["by_length"]
    path.write_text(json.dumps(card))
    app = page("length")
    assert "Stored without accuracy by length: GRU" in shown(app)
    assert "GRU" not in series(app, 0) and "LSTM" in series(app, 0)


# --- the numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_all_are_asked_about_the_same_reference() -> None:
    app = page("same", before_reference="나는 고양이다")
    found = series(app, 0)
    for name, title in NAMES.items():
        run = models.run(CAT, "en-ko", name, (), "나는 고양이다")
        assert found[title] == pytest.approx(run.log_probabilities.tolist(), abs=1e-5)
        assert f"{float(run.log_probabilities.sum()):.1f}" in shown(app)


@pytest.mark.usefixtures("assets")
def test_unseen_words_are_marked() -> None:
    assert "Underlined: words outside what these" not in shown(page("same"))
    assert "Underlined: words outside what these" in shown(page("same", text="I am a bank"))


@pytest.mark.usefixtures("assets")
def test_the_maps_are_the_weights_over_the_reference() -> None:
    app = page("alignment", before_reference="나는 고양이다")
    (attentive, weights), (plain, cross) = maps(app)
    bahdanau = models.run(CAT, "en-ko", ATTENTIVE, (), "나는 고양이다")
    transformer = models.run(CAT, "en-ko", BASE, (), "나는 고양이다")
    expected = bahdanau.tensor("decoder.cross_attention.weights")[0].numpy()
    assert np.abs(weights / heatmap.STEPS - expected).max() <= 0.51 / heatmap.STEPS
    expected = transformer.decoder[1].cross_attention.weights[2].numpy()
    assert np.abs(cross / heatmap.STEPS - expected).max() <= 0.51 / heatmap.STEPS
    assert attentive["queries"] == plain["queries"] == [each.piece for each in bahdanau.predicted_tokens]
    assert "layer 2, head 3" in shown(app)


@pytest.mark.usefixtures("assets")
def test_states_and_traces_are_those_of_the_runs() -> None:
    app = page("states", before_reader=LSTM, before_state="3.2", before_channels="54")
    header, cells = maps(app)[0]
    states = recurrence.states_of(models.run(CAT, "en-ko", LSTM)).numpy()[:, 54:]
    drawn = (cells / (heatmap.STEPS / 2) - 1) * header["signed"]
    assert np.abs(drawn - states).max() <= 0.51 * header["signed"] / (heatmap.STEPS / 2)
    assert header["keys"][0] == "55" and header["cell"] == [2, 1]
    found = series(app, 0)
    assert "BiGRU" not in found and max(found["LSTM"][:2]) < 1e-5 < 0.01 < found["LSTM"][2]
    table = app.dataframe[0].value.set_index("reader")
    tokens = len(models.run(CAT, "en-ko", LSTM).source_tokens)
    assert table.loc["LSTM", "this sentence"] == 108
    assert table.loc["BiGRU with attention", "this sentence"] == 184 * tokens


@pytest.mark.usefixtures("assets")
def test_the_slider_opens_the_forget_gate() -> None:
    app = page("gradients")
    closed = series(app, 0)
    config = VARIANTS[LSTM].config(2)
    assert closed["LSTM"] == pytest.approx(recurrence.reaches_at_start(config, LENGTH, forget_bias=0.0), rel=1e-4)
    assert closed["LSTM"][32] < closed["RNN"][32] < closed["Self-attention"][32]
    assert "measured: **less in the LSTM**" in shown(app)
    settled(app.slider(key="before_bias").set_value(3.0).run())
    opened_gate = series(app, 0)
    assert opened_gate["LSTM"][32] > 1e3 * closed["LSTM"][32] and opened_gate["RNN"] == closed["RNN"]
    trained = recurrence.reaches_of(models.run(CAT, "en-ko", GRU)).tolist()
    assert series(app, 1)["GRU"] == pytest.approx(trained, rel=1e-4)


@pytest.mark.usefixtures("assets")
def test_the_gradient_of_the_last_output_is_drawn_too() -> None:
    app = page("gradients", before_end="output", before_reference="나는 고양이다")
    found, table = series(app, 1), app.dataframe[0].value.set_index("reader")
    for name, title in NAMES.items():
        run = models.run(CAT, "en-ko", name, (), "나는 고양이다")
        values, probability = recurrence.output_reaches(run)
        assert found[title] == pytest.approx(values.tolist(), rel=1e-6)
        assert table.loc[title, "p of the last token"] == pytest.approx(probability)
    assert "by the last output" in shown(app) and app.session_state["address"]["before_end"] == "output"
    settled(app.segmented_control(key="before_end").set_value("state").run())
    assert "by the last state" in shown(app) and series(app, 1) != found


@pytest.mark.usefixtures("assets")
def test_accuracy_by_length_is_the_stored_one() -> None:
    app = page("length")
    found = [row for row in rows_of(app, 0) if row.get("name") == "Transformer" and "value" in row]
    assert sorted({(row["x"], round(row["value"], 3)) for row in found}) == [(7.0, 0.93), (22.0, 0.75)]
    assert "**Transformer** loses most of its right tokens (18 points) and **RNN** least (3)" in shown(app)
    assert "Here the bottleneck does not show" in shown(app) and "still harder" in shown(app)


@pytest.mark.usefixtures("assets")
def test_steps_are_counted_for_this_sentence() -> None:
    app = page("steps")
    table = app.dataframe[0].value.set_index("reader")
    run = models.run(CAT, "en-ko")
    source, target = len(run.source_tokens), len(run.target_tokens)
    for title in NAMES.values():
        waits = title != "Transformer"
        expected = [source if waits else 1, target if waits else 1, target]
        assert table.loc[title, ["reading", "learning (translation given)", "writing"]].tolist() == expected
    assert {len(values) for values in series(app, 0).values()} == {5}
    assert list(series(app, 0)) == list(NAMES.values())
    dear = series(app, 1)
    assert len(set(dear["GRU"])) == 1 and dear["Transformer"] == sorted(set(dear["Transformer"]))
