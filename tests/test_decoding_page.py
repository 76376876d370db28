"""The decoding page through the app: every part and control, its numbers again from the exported npz with NumPy."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import visits
from streamlit.testing.v1 import AppTest
from visits import settled, shown

from core.charts import heatmap
from core.charts.positions import signed_bytes
from core.run import Run
from pages.parts import models
from pages.parts.decoding.made import plain
from pages.parts.decoding.show import REFERENCES

ROOT = Path(__file__).parents[1]
PEAR = "나는 배를 먹는다."
CAT = "I am a cat"
PARTS = ("steps", "input", "forcing", "back", "cache")
ANSWERED = {
    "decoding_draws": "2-5",
    "decoding_recovers": "recovers",
    "decoding_route": "residual",
    "decoding_saved": "5",
}
BAD = ("<b>x</b> # $x$ *y* [a](b)", "a" * 25, "😀", ".", "שלום 世界")
Arrays = dict[str, np.ndarray]


def opened(part: str = "steps", **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    return visits.opened("decoding", **({"text": PEAR, "decoding": part} | address))


def played(app: AppTest, mode: str, number: int = 0) -> dict[str, Any]:
    """What a player on the page was given."""
    found = [json.loads(each.proto.json) for each in app.get("bidi_component") if each.proto.json]
    return [each for each in found if each["mode"] == mode][number]


def canvases(app: AppTest) -> list[tuple[dict[str, Any], np.ndarray]]:
    found = [heatmap.unpack(each.proto.bytes) for each in app.get("bidi_component") if each.proto.bytes]
    return [(header, cells.reshape(header["shape"])) for header, cells in found]


def lines(app: AppTest, chart: int, name: str) -> list[float]:
    """The values of one line, or one colour, of a chart."""
    table = pa.ipc.open_stream(app.get("vega_lite_chart")[chart].proto.data.data).read_all()
    return [row["value"] for row in table.to_pylist() if row["name"] == name]


def run_of(text: str = PEAR, target: str | None = None) -> Run:
    return models.run(text, "ko-en" if text == PEAR else "en-ko", models.TRANSLATOR, (), target)


def exported(run: Run, folder: Path) -> Arrays:
    """The run as anyone else would read it."""
    run.save(folder / "run.npz")
    with np.load(folder / "run.npz") as file:
        return dict(file)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(part: str, language: str) -> None:
    app = opened(part, lang=language, **ANSWERED)
    assert app.segmented_control(key="decoding").value == part
    assert any("가" <= letter <= "힣" for letter in app.title[0].value) == (language == "ko")
    assert app.get("bidi_component")


def test_parts_and_ways_of_choosing_are_one_click_away() -> None:
    app = opened("cache")
    settled(app.segmented_control(key="decoding").set_value("steps").run())
    drawn = {}
    for how in ("beam", "lot", "greedy"):
        settled(app.segmented_control(key="decoding_how").set_value(how).run())
        data = played(app, "writing")
        drawn[how] = data["drawn"], data["tree"] is not None
    assert drawn == {"beam": (False, True), "lot": (True, False), "greedy": (False, False)}


@pytest.mark.parametrize("part", PARTS)
def test_nothing_typed_breaks_a_part(part: str) -> None:
    app = opened(part, **ANSWERED)
    for text in BAD:
        settled(app.text_input(key="text").set_value(text).run())
        if part in ("input", "forcing", "back"):
            settled(app.text_input(key="decoding_gold").set_value(text).run())
            settled(app.text_input(key="decoding_gold").set_value("").run())
        assert "<b>" not in shown(app)


@pytest.mark.parametrize("part", [*PARTS, "sixth"])
def test_a_tampered_link_falls_back(part: str) -> None:
    wild = {"decoding_step": "-7", "decoding_how": "<b>", "decoding_beams": "many", "decoding_alpha": "nan"}
    wild |= {"decoding_temperature": "1e9", "decoding_top_k": "4", "decoding_top_p": "-1", "decoding_seed": "x"}
    wild |= {"decoding_layer": "99", "decoding_head": "-3", "decoding_kind": "none", "decoding_back_head": "0"}
    wild |= {"decoding_loss": "1e3", "decoding_cell": "0.0", "decoding_place": "99", "decoding_wrong": "99"}
    app = opened(part, **wild, decoding_route="no", decoding_recovers="1", decoding_saved="", decoding_draws="3")
    assert not app.warning and not app.error
    assert app.segmented_control(key="decoding").value == (part if part in PARTS else "steps")


@pytest.mark.parametrize(
    ("part", "key", "address"),
    [
        ("steps", "decoding_draws", {"decoding_how": "lot"}),
        ("forcing", "decoding_recovers", {}),
        ("back", "decoding_route", {}),
        ("cache", "decoding_saved", {}),
    ],
)
def test_the_answer_waits_for_a_prediction(part: str, key: str, address: dict[str, str]) -> None:
    app = opened(part, **address)
    assert "You said" not in shown(app)
    settled(app.pills(key=key).set_value(ANSWERED[key]).run())
    assert "You said" in shown(app)


def test_edits_are_heard_and_called_edited() -> None:
    app = opened("steps", edits="off_cross_zero")
    edited = models.run(PEAR, "ko-en", models.TRANSLATOR, app.session_state["edits"])
    data = played(app, "writing")
    assert data["texts"][-1] == edited.translation and "Edited:" in shown(app)
    assert "edits are left out" in shown(opened("cache", edits="off_cross_zero"))


# --- part 1: step by step -------------------------------------------------------------------------------------------


def test_the_steps_are_those_of_the_exported_run(tmp_path: Path) -> None:
    """Candidates, cross-attention and self-attention of every step, from nothing but the npz."""
    data = played(opened("steps"), "writing")
    arrays = exported(run_of(), tmp_path)
    probabilities = np.exp(log_softmax(arrays["logits"]))
    assert data["read"] == arrays["target_tokens"].tolist() and data["written"] == arrays["predicted_tokens"].tolist()
    assert data["texts"][-1] == str(arrays["translation"]) and data["count"] == len(data["written"])
    last = len(models.model().network.decoder.layers) - 1
    cross = arrays[f"decoder.{last}.cross_attention.weights"].mean(0)
    own = arrays[f"decoder.{last}.self_attention.weights"].mean(0)
    for step, found in enumerate(data["candidates"]):
        best = np.sort(probabilities[step])[::-1][:10]
        np.testing.assert_allclose(found["p"][:10], best, atol=1e-5)
        assert found["chosen"] == 0 and found["pieces"][0] == data["written"][step]
        assert found["other"] == pytest.approx(1 - best.sum(), abs=1e-5)
        np.testing.assert_allclose(data["cross"][step], cross[step], atol=1e-4)
        np.testing.assert_allclose(data["own"][step], own[step, : step + 1], atol=1e-4)


def test_a_layer_and_a_head_can_be_chosen(tmp_path: Path) -> None:
    app = opened("steps", decoding_layer="1", decoding_head="2")
    arrays = exported(run_of(), tmp_path)
    np.testing.assert_allclose(
        played(app, "writing")["cross"], arrays["decoder.0.cross_attention.weights"][1], atol=1e-4
    )
    settled(app.segmented_control(key="decoding_head").set_value(1).run())
    data = played(app, "writing")
    np.testing.assert_allclose(data["cross"], arrays["decoder.0.cross_attention.weights"][0], atol=1e-4)
    assert "layer 1, head 1" in data["words"]["cross"]
    settled(app.segmented_control(key="decoding_layer").set_value(2).run())
    np.testing.assert_allclose(
        played(app, "writing")["own"][-1], arrays["decoder.1.self_attention.weights"][0][-1], atol=1e-4
    )


def test_the_step_in_a_link_is_kept_inside_the_translation() -> None:
    assert played(opened("steps", decoding_step="3"), "writing")["step"] == 3
    data = played(opened("steps", decoding_step="999"), "writing")
    assert data["step"] == data["count"]


def test_a_beam_is_drawn_as_a_tree(tmp_path: Path) -> None:
    """Log-probabilities add up along a branch; the best path is there; its score is what the table says."""
    app = opened("steps", decoding_how="beam")
    data = played(app, "writing")
    tree = data["tree"]
    assert data["count"] == len(tree) and all(branch["parent"] == -1 for branch in tree[0])
    for before, branches in pairwise(tree):
        for branch in branches:
            assert before[branch["parent"]]["fate"] == "kept" and branch["p"] <= before[branch["parent"]]["p"]
    path = [branch["piece"] for branches in tree for branch in branches if branch["best"]]
    assert path == data["written"]
    table = app.dataframe[0].value
    assert len(table) == 5 and table["score"].tolist()[:4] == sorted(table["score"].tolist()[:4], reverse=True)
    for _number, row in table.iterrows():
        assert row["score"] == pytest.approx(row["log P"] / ((5 + row["tokens"]) / 6) ** 0.6)
    arrays = exported(run_of(target=table["translation"][0]), tmp_path)
    if arrays["predicted_tokens"].tolist() == data["written"]:  # the text may have another spelling in pieces
        assert table["log P"][0] == pytest.approx(arrays["log_probabilities"].sum(), abs=1e-3)


def test_one_beam_is_greedy() -> None:
    """T37, through the slider."""
    app = opened("steps", decoding_how="beam")
    settled(app.slider(key="decoding_beams").set_value(1).run())
    data = played(app, "writing")
    assert data["texts"][-1] == run_of().translation and all(len(branches) <= 2 for branches in data["tree"])
    settled(app.slider(key="decoding_alpha").set_value(0.0).run())
    table = app.dataframe[0].value
    assert table["score"].tolist() == pytest.approx(table["log P"].tolist())


def test_drawing_follows_temperature_and_cuts() -> None:
    app = opened("steps", decoding_how="lot", **ANSWERED)
    settled(app.slider(key="decoding_temperature").set_value(2.0).run())
    settled(app.select_slider(key="decoding_top_k").set_value(5).run())
    settled(app.slider(key="decoding_top_p").set_value(0.9).run())
    data = played(app, "writing")
    for found in data["candidates"]:
        p, q = np.array(found["p"][:10]), np.array(found["q"][:10])
        hot = np.sqrt(p[:5]) / np.sqrt(p[:5]).sum()
        kept = hot * (np.cumsum(hot) - hot < 0.9)
        np.testing.assert_allclose(q[:5], kept / kept.sum(), atol=1e-6)
        assert (q[5:] == 0).all() and found["low"] <= found["number"] < found["high"]
    assert "draws side by side" in shown(app) and app.dataframe[0].value["times"].sum() == 20


def test_a_seed_draws_the_same_and_the_next_one_another() -> None:
    hot = {"decoding_how": "lot", "decoding_temperature": "3.0"}
    app = opened("steps", decoding_seed="5", **hot)
    first = played(app, "writing")["written"]
    assert played(opened("steps", decoding_seed="5", **hot), "writing")["written"] == first
    settled(app.button[0].click().run())
    assert app.number_input(key="decoding_seed").value == 6
    numbers = [each["number"] for each in played(app, "writing")["candidates"]]
    settled(app.number_input(key="decoding_seed").set_value(5).run())
    assert played(app, "writing")["written"] == first
    assert numbers[0] != played(app, "writing")["candidates"][0]["number"]


def test_the_narrowest_draw_is_greedy() -> None:
    app = opened("steps", decoding_how="lot", decoding_temperature="3.0", decoding_top_k="1", **ANSWERED)
    assert played(app, "writing")["texts"][-1] == run_of().translation
    assert "It is **1**, and 20 of the 20" in shown(app)


# --- gold -----------------------------------------------------------------------------------------------------------


def test_gold_is_the_reference_what_was_typed_or_the_models_own() -> None:
    assert "reference kept" in shown(opened("forcing"))
    app = opened("forcing", text="The dog runs.")
    assert "model's own translation" in shown(app)
    settled(app.text_input(key="decoding_gold").set_value("개가 달린다.").run())
    assert "Gold is what you typed." in shown(app)
    settled(app.text_input(key="decoding_gold").set_value("  ").run())
    assert "model's own translation" in shown(app) and not app.warning


@pytest.mark.parametrize("text", REFERENCES)
def test_references_are_translations_the_tokenizer_knows(text: str) -> None:
    tokenizer = models.model().tokenizer
    tokens = tokenizer.target(REFERENCES[text])
    assert plain(tokenizer, [token.id for token in tokens]) == REFERENCES[text]
    spelled = [token for token in tokens if token.unseen]
    assert not spelled or "Zorblax" in text


def test_a_reference_is_for_one_direction() -> None:
    assert "reference kept" not in shown(opened("forcing", text=CAT, to="en"))


# --- part 2: what is read -------------------------------------------------------------------------------------------


def test_the_inputs_are_shifted_right(tmp_path: Path) -> None:
    app = opened("input")
    training, test = played(app, "turns")["panels"]
    gold = exported(run_of(target=REFERENCES[PEAR]), tmp_path)
    own = exported(run_of(), tmp_path)
    for panel, arrays in ((training, gold), (test, own)):
        assert panel["read"] == arrays["target_tokens"].tolist()[:10]
        assert panel["next"] == arrays["predicted_tokens"].tolist()[:10]
        assert panel["read"][1:] == panel["next"][:-1]
    assert training["all"] and not test["all"]
    loss = -gold["log_probabilities"].mean()
    assert f"{loss:.3f}" in shown(app)


def test_long_inputs_are_cut_and_said() -> None:
    app = opened("input", text="The animal did not cross the street because it was too tired.")
    assert len(played(app, "turns")["panels"][0]["next"]) == 10 and "The first 10 of" in shown(app)


# --- part 3: teacher forcing ----------------------------------------------------------------------------------------


def test_the_lanes_are_those_of_the_exported_runs(tmp_path: Path) -> None:
    app = opened("forcing")
    teacher, alone = played(app, "lanes")["lanes"]
    gold, own = exported(run_of(target=REFERENCES[PEAR]), tmp_path), exported(run_of(), tmp_path)
    assert [cell["read"] for cell in teacher["cells"]] == gold["target_tokens"].tolist()
    assert [cell["expected"] for cell in alone["cells"]] == own["predicted_tokens"].tolist()
    scores = log_softmax(gold["logits"])
    best = scores.max(-1)
    for place, cell in enumerate(teacher["cells"]):
        assert cell["p"] == pytest.approx(gold["log_probabilities"][place], abs=1e-4)
        assert cell["right"] == (cell["expected"] == gold["predicted_tokens"][place])
        if cell["right"]:
            assert cell["p"] == pytest.approx(best[place], abs=1e-4)
    np.testing.assert_allclose([cell["p"] for cell in alone["cells"]], own["log_probabilities"], atol=1e-4)
    assert {cell["kind"] for cell in teacher["cells"]} == {"gold"}
    assert [cell["kind"] for cell in alone["cells"]] == ["gold"] + ["own"] * (len(own["target_tokens"]) - 1)
    assert lines(app, 0, "Teacher forcing") == pytest.approx(gold["log_probabilities"].tolist(), abs=1e-4)
    pairs = zip(gold["predicted_tokens"], own["predicted_tokens"], strict=False)
    place = next((number for number, (one, other) in enumerate(pairs, 1) if one != other), None)
    assert place is None or f"Up to place {place} both read the same" in shown(app)


def test_gold_that_the_model_writes_itself_parts_nowhere() -> None:
    app = opened("forcing", decoding_gold=run_of().translation)
    assert "The model writes gold exactly" in shown(app)


def test_a_wrong_token_goes_where_it_is_put() -> None:
    app = opened("forcing", **ANSWERED)
    settled(app.selectbox(key="decoding_place").set_value(2).run())
    settled(app.selectbox(key="decoding_wrong").set_value(4).run())
    corrected, alone = played(app, "lanes", 1)["lanes"]
    kinds = [cell["kind"] for cell in corrected["cells"]]
    assert kinds == ["gold", "gold", "error"] + ["gold"] * (len(kinds) - 3)
    wrong = corrected["cells"][2]["read"]
    assert alone["cells"][2]["read"] == wrong and alone["cells"][2]["kind"] == "error"
    assert wrong in app.selectbox(key="decoding_wrong").options[4]
    teacher = played(app, "lanes")["lanes"][0]
    before, after = ([cell["p"] for cell in lane["cells"]] for lane in (teacher, corrected))
    assert before[:2] == pytest.approx(after[:2], abs=1e-5)
    falls = np.array(after) - np.array(before)
    assert f">{falls[2:].min():.3f}<" in shown(app).replace("<bdi>", ">").replace("</bdi>", "<").replace(">>", ">")
    assert lines(app, 1, "with the error") == pytest.approx(after)


def test_any_gold_token_but_the_end_can_be_replaced() -> None:
    app = opened("forcing")
    pieces = [token.piece for token in run_of(target=REFERENCES[PEAR]).predicted_tokens]
    numbered = [f"{number}: {piece}" for number, piece in enumerate(pieces[:-1], 1)]
    assert app.selectbox(key="decoding_place").options == numbered
    assert len(set(app.selectbox(key="decoding_wrong").options)) == 5


# --- part 4: backwards ----------------------------------------------------------------------------------------------


def gradients(app: AppTest) -> dict[str, Any]:
    table = app.dataframe[0].value
    return dict(zip(table["gradient"], table.to_dict("records"), strict=True))


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_hand_and_autograd_agree_on_the_page(kind: str) -> None:
    app = opened("back", decoding_kind=kind, **ANSWERED)
    rows = gradients(app)
    assert list(rows) == ["dO", "dV", "dA", "dS", "dQ", "dK", "dX"]
    assert all(row["hand − autograd, relative"] < 1e-10 for row in rows.values())
    shares = [lines(app, 0, name) for name in ("residual", "value (V)", "query (Q)", "key (K)")]
    np.testing.assert_allclose(np.array([each for each in shares if each]).sum(0), 1.0)
    assert len(app.get("vega_lite_chart")) == (3 if kind == "cross" else 2)


def test_every_choice_of_the_way_back_redraws_it() -> None:
    app = opened("back", **ANSWERED)
    before = gradients(app)["dO"]["length"]
    settled(app.segmented_control(key="decoding_back_head").set_value(2).run())
    second = gradients(app)["dO"]["length"]
    settled(app.segmented_control(key="decoding_back_layer").set_value(2).run())
    third = gradients(app)["dO"]["length"]
    settled(app.selectbox(key="decoding_loss").set_value(2).run())
    fourth = gradients(app)["dO"]["length"]
    settled(app.segmented_control(key="decoding_kind").set_value("encoder").run())
    assert len({before, second, third, fourth, gradients(app)["dO"]["length"]}) == 5


def test_the_cell_worked_out_is_the_cell_of_the_map(tmp_path: Path) -> None:
    """A cell's number from the weights of the npz, and beside it what a finite difference finds."""
    app = opened("back", decoding_cell="3.2", decoding_loss="4")
    header, cells = canvases(app)[0]
    assert header["cell"] == [2, 1] and header["signed"] == 1.0
    assert (cells[np.triu_indices(len(cells), 1)] == heatmap.ABSENT).all()
    arrays = exported(run_of(target=REFERENCES[PEAR]), tmp_path)
    weight = arrays["decoder.0.self_attention.weights"][0, 2, 1]
    worked = next(each.value for each in app.latex if r"\times" in each.value)
    factor = float(
        worked.split("=")[1].split(r"\times")[0].replace(r"\cdot 10^{", "e").replace("}", "").replace(" ", "")
    )
    assert factor == pytest.approx(float(weight), rel=2e-3)
    found = [line for line in shown(app).split("\n") if "finite difference" in line]
    hand, auto, finite = (float(part.split("</bdi>")[0]) for part in found[0].split("<bdi>")[2::2])
    assert hand == pytest.approx(auto, rel=1e-6) and hand == pytest.approx(finite, rel=1e-3, abs=1e-11)


def test_a_masked_cell_is_exactly_zero() -> None:
    assert "masked: its weight is 0" in shown(opened("back", decoding_cell="1.3"))


def test_the_triangle_of_the_future_is_empty() -> None:
    app = opened("back")
    header, cells = canvases(app)[1]
    count = len(cells)
    assert header["cell"] == [0, count - 1] and (cells[np.triu_indices(count, 1)] == 0).all()
    assert (cells.astype(float).sum(-1) > 0).all()
    assert "largest of them</bdi>" in shown(app)


def test_a_cell_of_the_future_and_one_of_the_past_are_read_out() -> None:
    app = opened("back", decoding_from="3.2", decoding_from_source="2.4")
    (_, first), (target, _), (source, _) = canvases(app)
    assert first.shape == (len(first), len(first)) and target["cell"] == [2, 1] and source["cell"] == [1, 3]
    read = [line for line in shown(app).split("\n") if "length of the gradient" in line]
    assert [target["queries"][2] in read[0], target["keys"][1] in read[0]] == [True, True]
    assert [source["queries"][1] in read[1], source["keys"][3] in read[1]] == [True, True]
    lengths = [
        float(line.split("length of the gradient</bdi>")[1].split("<bdi>")[1].split("</bdi>")[0]) for line in read
    ]
    assert min(lengths) > 0


def test_signed_values_keep_their_sign() -> None:
    assert signed_bytes(np.array([-1.0, 0.0, 1.0]), 1.0).tolist() == [0, 127, 254]


# --- part 5: the cache ----------------------------------------------------------------------------------------------


def test_what_a_step_computes_is_drawn() -> None:
    data = played(opened("cache"), "work")
    run, config = run_of(), models.model().network.config
    channels, source = config.width // config.heads, len(run.source_tokens)
    rows = {each["name"]: each for each in data["tensors"]}
    assert data["count"] == len(run.target_tokens)
    assert rows["self-attention: key"]["kept"][2] == [f"1 × {channels} + 2 recalled", 1, 2]
    assert rows["self-attention: key"]["anew"][2] == [f"3 × {channels}", 3, 0]
    assert rows["self-attention: scores"]["anew"][2] == ["3 × 3", 3, 0]
    assert rows["cross-attention: key"]["kept"][:2] == [
        [f"{source} × {channels}", source, 0],
        [f"{source} recalled", 0, source],
    ]
    assert rows["cross-attention: key"]["anew"][1] == [f"{source} × {channels}", source, 0]
    assert rows["logits"]["kept"][2] == [f"1 × {config.vocabulary}", 1, 0]


def test_products_are_counted_by_hand() -> None:
    """One cached step: projections, two attentions, the feed-forward network, the vocabulary."""
    app = opened("cache", **ANSWERED)
    config, source = models.model().network.config, len(run_of().source_tokens)
    kept, anew = lines(app, 0, "with a cache"), lines(app, 0, "without")
    width, layers = config.width, config.decoder_layers
    third = layers * (6 * width**2 + 2 * (3 + source) * width + 2 * width * config.feed_forward)
    assert kept[2] == pytest.approx((third + width * config.vocabulary) / 1e6)
    assert anew[0] == kept[0] and anew == sorted(anew) and sum(anew) > sum(kept)
    assert f"**{sum(anew) / sum(kept):.1f} times**" in shown(app)


def test_milliseconds_are_measured_when_asked() -> None:
    app = opened("cache", **ANSWERED)
    assert len(app.get("vega_lite_chart")) == 1
    settled(app.button[0].click().run())
    assert len(app.get("vega_lite_chart")) == 2 and min(lines(app, 1, "without")) > 0
    assert "Measured live on this computer" in shown(app)
    settled(app.text_input(key="text").set_value(CAT).run())
    assert len(app.get("vega_lite_chart")) == 1, "another sentence has not been measured"


@pytest.mark.parametrize("model", ["mask-none", "norm-instance"])
def test_a_model_that_looks_ahead_keeps_nothing_and_is_not_called_exact(model: str) -> None:
    reading, cache = shown(opened("input", model=model)), opened("cache", model=model)
    assert "nothing else, because the mask hides" not in reading and "row by row" in reading
    assert "none can be kept" in shown(cache) and not cache.get("vega_lite_chart")
