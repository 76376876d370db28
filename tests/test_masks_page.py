"""The masks page through the app: every part and control, with the numbers of the shipped model."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import visits
from streamlit.testing.v1 import AppTest
from visits import rows_of, settled, shown

from core.charts import heatmap
from core.experiments import masks as experiments
from core.hooks import listen
from core.run import Run
from pages.parts import models
from pages.parts.masks.code import body
from pages.parts.masks.show import FIVE
from pages.parts.selection import KINDS, of_kind

ROOT = Path(__file__).parents[1]
CAT = "I am a cat"
PARTS = ("three", "ways", "padding", "future")
ANSWERED = {"mask_measured": "1", "mask_code": "1", "pad_guess": "none", "future_guess": "all"}
BAD = (
    "",
    "<b>x</b>",
    "# $x$ *y* [a](b)",
    "a" * 200,
    "😀",
    ".",
    "שלום 世界",
    "cat cat cat",
    "나는 공부하러 독서실에 간다",
)


def opened(part: str = "three", **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    return visits.opened("masks", **({"text": CAT, "mask_part": part} | address))


def canvases(app: AppTest) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """What the canvases were given, by the beginning of their label: headers and cells."""
    found = {}
    for component in app.get("bidi_component"):
        if component.proto.bytes:
            header, cells = heatmap.unpack(component.proto.bytes)
            found[header["words"]["label"].split(";")[0]] = header, cells.reshape(header["shape"])
    return found


def run_of(text: str = CAT) -> Run:
    return models.run(text, "en-ko")


def padded(pads: int) -> Run:
    run = run_of()
    return experiments.padded(run, len(run.source_tokens) + pads, len(run.target_tokens) + pads)


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(part: str, language: str) -> None:
    app = opened(part, lang=language, **ANSWERED)
    assert app.segmented_control(key="mask_part").value == part
    assert any("가" <= letter <= "힣" for letter in app.title[0].value) == (language == "ko")
    assert canvases(app) or app.get("vega_lite_chart")


@pytest.mark.parametrize("part", PARTS)
def test_nothing_typed_breaks_a_part(part: str) -> None:
    app = opened(part, **ANSWERED)
    for text in BAD:
        settled(app.text_input(key="text").set_value(text).run())
        assert "<b>" not in shown(app)


@pytest.mark.parametrize("part", [*PARTS, "fifth"])
def test_a_tampered_link_falls_back(part: str) -> None:
    wild = {"mask_kind": "x", "mask_layer": "99", "mask_head": "-1", "mask_pads": "many", "mask_form": "<b>"}
    wild |= {"mask_scope": "all", "mask_cell": "0.x", "mask_guess": "a-b", "mask_from": "1e9", "mask_gap": "?"}
    wild |= {"pad_mode": "x", "pad_count": "0", "pad_beside": "x", "future_other": "<b>", "future_cell": "99.99"}
    wild |= {
        "mask_meter": "9.9",
        "mask_way": "7",
        "board_cell": "1.1.1",
        "mask_tile": "5.5",
        "edits": "cell_x_1_2_open",
    }
    app = opened(part, **(ANSWERED | wild))
    assert not app.warning and not app.error
    assert app.segmented_control(key="mask_part").value == (part if part in PARTS else "three")


def test_the_parts_are_one_click_apart() -> None:
    app = opened()
    for part in reversed(PARTS):
        settled(app.segmented_control(key="mask_part").set_value(part).run())
        assert app.subheader


# --- part 1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pads", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_mask_and_weights_are_those_of_the_run(kind: str, pads: int) -> None:
    app = opened(mask_kind=kind, mask_layer="2", mask_head="3", mask_pads=str(pads))
    attention = of_kind(padded(pads), kind)[1]
    scores, weights, allowed = attention.scores[2].numpy(), attention.weights[2].numpy(), attention.mask.numpy()
    drawn = canvases(app)
    header, cells = drawn["Scores"]
    middle = heatmap.STEPS / 2
    assert np.abs((cells / middle - 1) * header["signed"] - scores).max() <= 0.51 * header["signed"] / middle
    assert ((drawn["The mask"][1] == heatmap.ABSENT) == ~allowed).all()
    cells = drawn["Weights"][1]
    assert ((cells == heatmap.ABSENT) == ~allowed).all()
    assert np.abs(cells / heatmap.STEPS - weights)[allowed].max() <= 0.51 / heatmap.STEPS
    assert (~allowed).any() == (kind == "decoder" or pads > 0)


def test_controls_change_what_is_drawn() -> None:
    app = opened(mask_pads="2")
    assert canvases(app)["The mask"][0]["marks"] == ["1", "0"]
    settled(app.segmented_control(key="mask_form").set_value("infinity").run())
    assert canvases(app)["The mask"][0]["marks"] == ["0", "−∞"]
    before = len(canvases(app)["The mask"][1])
    settled(app.slider(key="mask_pads").set_value(5).run())
    assert len(canvases(app)["The mask"][1]) == before + 3
    for key, value in (("mask_layer", 2), ("mask_head", 2)):
        scores = canvases(app)["Scores"][1]
        settled(app.segmented_control(key=key).set_value(value).run())
        assert (canvases(app)["Scores"][1] != scores).any()
    settled(app.segmented_control(key="mask_kind").set_value("cross").run())
    assert canvases(app)["The mask"][1].shape == (len(run_of().target_tokens) + 5, len(run_of().source_tokens) + 5)
    settled(app.segmented_control(key="mask_scope").set_value("head").run())
    assert app.segmented_control(key="mask_scope").value == "head"


@pytest.mark.parametrize("cell", [(2, 1), (1, 2)])
def test_the_cell_is_worked_out_from_its_score(cell: tuple[int, int]) -> None:
    query, key = cell
    app = opened(mask_cell=f"{query + 1}.{key + 1}", mask_pads="0")
    attention = run_of().decoder[0].self_attention
    row = attention.scores[0, query, : query + 1].double().exp()
    score = float(attention.scores[0, query, key])
    expected = [f"{score:.3f}", f"{float(row.sum()):.4g}"]
    expected += [f"{math.exp(score):.4g}", f"{math.exp(score) / float(row.sum()):.4f}"] if key <= query else ["−∞"]
    assert all(each in shown(app) for each in expected)


def test_all_masks_lie_on_one_board() -> None:
    cells = canvases(opened(mask_pads="2"))["All masks on one board"][1] != heatmap.ABSENT
    run = run_of()
    source, target = len(run.source_tokens), len(run.target_tokens)
    rows = np.arange(source + target + 4)
    assert (cells[:, :source].all()) and not cells[:, source : source + 2].any()
    assert not cells[: source + 2, source + 2 :].any()
    below = rows[source + 2 :]
    assert (cells[source + 2 :, source + 2 :] == (below[:, None] >= below)).all()


def test_combining_hides_only_what_pads_see() -> None:
    app = opened(mask_pads="3")
    ahead, shut, both = canvases(app)["Masks alone and combined"][1][0] != heatmap.ABSENT
    assert (both == (ahead & shut)).all()
    real = len(run_of().target_tokens)
    assert (both[:real] == ahead[:real]).all() and (both[real:] != ahead[real:]).any()


def test_an_opened_cell_shows_the_leak() -> None:
    app = opened(edits="cell_decoder_2_4_open", mask_cell="2.4", mask_pads="0")
    assert (1, 3) in [tuple(each) for each in canvases(app)["The mask"][0]["edited"]]
    difference, values = canvases(app)["Difference of the weights"]
    change = (values / (heatmap.STEPS / 2) - 1) * difference["signed"]
    assert change[1, 3] > 0 and np.abs(np.delete(change, 1, axis=0)).max() < 0.51 * difference["signed"]
    assert "**The leak**" in shown(app) and "**Edited**" in shown(app)
    leaks = [row["value"] for row in rows_of(app, 0)]
    assert len(leaks) == 3 and leaks[0] == 0 and leaks[1] > 0


def test_a_closed_cell_is_no_leak() -> None:
    app = opened(edits="cell_decoder_3_1_closed", mask_pads="0")
    assert canvases(app)["The mask"][1][2, 0] == heatmap.ABSENT
    assert "**The leak**" not in shown(app) and "What your edits change" in shown(app)
    settled(app.button(key="undo").click().run())
    assert "What your edits change" not in shown(app)
    assert canvases(app)["The mask"][1][2, 0] != heatmap.ABSENT


def test_an_edit_of_one_head_leaves_the_others() -> None:
    edits = "cell_decoder.1.2_2_3_open"
    for head, there in (("1", False), ("2", True)):
        app = opened(edits=edits, mask_head=head, mask_pads="0")
        assert (canvases(app)["The mask"][1][1, 2] != heatmap.ABSENT) == there


# --- part 2 ---------------------------------------------------------------------------------------------------------


def test_the_leak_meter_waits_for_a_prediction() -> None:
    app = opened("ways")
    assert not canvases(app) and not app.dataframe
    app.pills(key="mask_guess").set_value(["zeroed", "multiplied"])
    settled(app.run())
    assert not app.dataframe
    settled(app.button[-1].click().run())
    assert "That was right." in shown(app) and not app.code


def test_the_leak_meter_shows_the_measured_leaks() -> None:
    app = opened("ways", mask_measured="1", mask_from="3")
    run = run_of()
    after = experiments.with_target(run, experiments.exchanged(run, range(2, len(run.target_tokens)), models.model()))
    header, cells = canvases(app)["The leak of each way at each position"]
    assert (cells[:, 2:] == heatmap.ABSENT).all() and (cells[:, :2] != heatmap.ABSENT).all()
    leaks = experiments.leaks(run, after, 2, experiments.masked_logits(run))
    for row, name in enumerate((*FIVE, "unmasked")):
        found = cells[row, :2] / heatmap.STEPS * header["most"]
        assert np.abs(found - leaks[name].outputs.amax((0, 1)).numpy()).max() <= 0.51 * header["most"] / heatmap.STEPS
        if name in ("infinity", "billion"):
            assert (cells[row, :2] == 0).all()
    said = app.dataframe[0].value["leak: largest change of a head's output"].tolist()
    assert said[:2] == ["0", "0"] and all(float(each) > 0.01 for each in said[3:])


def test_another_place_is_measured_anew() -> None:
    app = opened("ways", mask_measured="1")
    settled(app.slider(key="mask_from").set_value(2).run())
    cells = canvases(app)["The leak of each way at each position"][1]
    assert (cells[:, 1:] == heatmap.ABSENT).all()


def test_the_code_shown_is_the_code_that_ran() -> None:
    app = opened("ways", mask_measured="1")
    settled(app.toggle(key="mask_code").set_value(True).run())
    assert [each.value for each in app.code] == [body(name) for name in FIVE]
    assert app.code[0].value == "return scores.masked_fill(~mask, -math.inf).softmax(-1)"
    settled(app.segmented_control(key="mask_layer").set_value(2).run())
    settled(app.segmented_control(key="mask_head").set_value(2).run())
    attention = run_of().decoder[1].self_attention
    _header, cells = canvases(app)["Weights under each way to mask"]
    for place, name in enumerate((*FIVE, "unmasked")):
        weights = experiments.WAYS[name](attention.scores[1], attention.mask).numpy()
        drawn = cells.reshape(6, *weights.shape)[place]
        assert np.abs(np.where(drawn == heatmap.ABSENT, 0, drawn / heatmap.STEPS) - weights).max() < 0.003
        hidden = drawn[~attention.mask.numpy()] == heatmap.ABSENT
        assert hidden.all() if name not in ("multiplied", "unmasked") else not hidden.any()


def test_renormalising_is_taken_to_its_end() -> None:
    app = opened("ways", **ANSWERED, mask_gap="20")
    assert "NaN" not in "".join(block.proto.body for block in app.get("html"))
    settled(app.slider(key="mask_gap").set_value(120).run())
    assert "NaN" in "".join(block.proto.body for block in app.get("html"))
    ends = {row["name"]: row["gap"] for row in rows_of(app, 0) if "text" in row}
    assert 80 < ends["single precision (float32)"] < 110 < 700 < ends["double precision (float64)"] < 760


def test_a_row_with_nothing_allowed_has_five_answers() -> None:
    app = opened("ways", **ANSWERED)
    table = app.dataframe[-1].value
    assert table["sum of the row"].tolist() == ["NaN", "1.000", "NaN", "0.000", "1.000"]


# --- part 3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "key"), [("padding", "pad_guess"), ("future", "future_guess")])
def test_the_answer_waits_for_a_prediction(part: str, key: str) -> None:
    app = opened(part)
    assert not canvases(app) and not app.get("vega_lite_chart")
    settled(app.pills(key=key).set_value("none").run())
    assert "You said" in shown(app)


def test_the_padding_mask_leaves_no_change() -> None:
    app = opened("padding", pad_guess="none")
    settled(app.slider(key="pad_count").set_value(7).run())
    table = app.dataframe[0].value
    run = experiments.read_by(experiments.doubled(models.model().network), run_of())
    longer = len(run.source_tokens) + 7, len(run.target_tokens) + 7
    found = experiments.drift(run, experiments.padded(run, *longer, masked=False))
    assert table["mask off"].tolist() == pytest.approx([each.change for each in found])
    assert max(table["mask on"]) < 5e-7 and min(table["mask off"]) > 1e-3
    assert "0.000000" in "".join(block.proto.body for block in app.get("html"))
    values = [row["value"] for row in rows_of(app, 0)]
    stages = len(experiments.stages(run.network))
    assert values[stages : 2 * stages] == pytest.approx([each.change for each in found])


def test_a_batch_with_a_longer_sentence() -> None:
    app = opened("padding", pad_guess="none", pad_mode="batch")
    assert max(app.dataframe[0].value["mask on"]) < 5e-7
    chosen = app.selectbox(key="pad_beside").options
    settled(app.selectbox(key="pad_beside").set_value(chosen[0]).run())
    assert max(app.dataframe[0].value["mask on"]) < 5e-7 < 1e-3 < min(app.dataframe[0].value["mask off"])
    settled(app.segmented_control(key="pad_mode").set_value("pads").run())
    assert app.slider(key="pad_count").value == 4


def test_no_sample_is_longer_than_a_long_sentence() -> None:
    app = opened("padding", pad_guess="none", pad_mode="batch", text="cat " * 30)
    assert "None of the samples is longer" in shown(app) and app.slider(key="pad_count").value == 4


# --- part 4 ---------------------------------------------------------------------------------------------------------


def test_the_past_does_not_notice() -> None:
    app = opened("future", future_guess="none")
    run, stages = run_of(), experiments.decoder_stages(run_of().network)
    assert "0, bit for bit" in shown(app) and "**0** change with the mask" in shown(app)
    _header, cells = canvases(app)["Changes at each layer and position"]
    assert cells.shape == (len(stages), len(run.target_tokens)) and (cells[:, -1] == heatmap.ABSENT).all()


def test_any_word_can_take_the_last_place() -> None:
    app = opened("future", future_guess="none")
    settled(app.text_input(key="future_other").set_value("street cat").run())
    run, model = run_of(), models.model()
    other = model.tokenizer.encode("street cat")[0]
    with listen(experiments.see_everything):
        found = experiments.future_changes(run, (*run.target_tokens[:-1], other))
    assert f"{float(found[:, :-1].max()):.3f}" in shown(app) and "the first" in shown(app)
    settled(app.text_input(key="future_other").set_value("<b>*x*</b> $y$").run())
    assert "0, bit for bit" in shown(app) and "<b>" not in shown(app)


def test_edits_are_left_out_of_the_labs_and_it_is_said() -> None:
    for part in PARTS[1:]:
        app = opened(part, **ANSWERED, edits="cell_decoder_2_4_open")
        assert "your edits are left out" in shown(app)


# --- models whose past sees the future ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["mask-none", "norm-instance", "norm-group"])
def test_what_is_said_of_a_mask_fits_a_model_that_looks_ahead_all_the_same(model: str) -> None:
    text = "The animal did not cross the street because it was too tired."
    found = {part: opened(part, model=model, text=text, **ANSWERED) for part in PARTS}
    for app in found.values():
        assert "past sees the future" in shown(app) or "the future is known" in shown(app)
    padding = shown(found["padding"])
    assert "so nothing moves" not in padding and "rounding differs" not in padding and "tokens move" in padding
    assert "every way would seem to leak" in shown(found["ways"]) and not found["ways"].get("dataframe")
    assert "could not be trained fairly" in shown(found["future"])
    if model == "mask-none":
        assert "has none" in shown(found["three"]) and "look-ahead alone" not in shown(found["three"])
        assert len(canvases(found["future"])) == 1 and "hides them already" not in padding
