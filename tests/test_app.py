"""Every page and control through the app itself, with the shipped model, and everything people may type."""

import json
import subprocess
import sys
import unicodedata
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.charts import heatmap
from core.edits import HeadOff, write_edits
from core.run import Run, reread, trace
from pages.parts import models
from pages.parts.bar import FIRST, LONGEST, SAMPLES, clean
from pages.parts.overview import STEPS
from pages.parts.selection import of_kind

ROOT = Path(__file__).parents[1]
SHIPPED = models.assets()
PAGES = ["pages/overview.py", "pages/heads.py", "pages/attention.py", "pages/positions.py", "pages/decoding.py"]
BAD = {
    "empty": "",
    "blanks": "   \t  ",
    "control characters": "\x00\x07\x1b\x08",
    "only emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "right to left": "שלום עולם مرحبا",
    "turned around": "I am \u202e a cat \u202c",
    "html": "<script>alert(1)</script><b>bold</b><img src=x onerror=alert(1)>",
    "markdown": "# title *bold* [link](http://x.y) ![i](http://x.y/z.png) `code` :red[x] :material/home:",
    "latex": r"$\frac{1}{0}$ \begin{x} $$",
    "one endless word": "a" * 200,
    "endless hangul": "가" * 200,
    "mixed scripts": "I ate 사과 and 배를 yesterday 日本語 Ωμέγα",
    "decomposed hangul": unicodedata.normalize("NFD", "나는 공부하러 독서실에 간다"),
    "half a syllable": "ㄱㄴㄷ ㅏㅑ 뷁",
    "marks of our own": "▁ \ue001 \ue002 <start> <end> <to-korean> <0x41>",
    "one full stop": ".",
    "too many emoji": "🏳️‍🌈" * 30,
    "quotes and braces": "{text} {0} %s ' \" \\ \\n",
}


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def opened(app: AppTest, page: str = "pages/heads.py", **address: str) -> AppTest:
    """A page opened through a link, as on a fresh server."""
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    return settled(app.switch_page(page).run())


def settled(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def drawn(app: AppTest, mode: str) -> tuple[dict, np.ndarray]:
    """What a canvas on the page was given: its header and its cells."""
    for component in app.get("bidi_component"):
        data = component.proto.bytes
        header, cells = heatmap.unpack(data) if data else ({}, np.zeros(0))
        if header.get("mode") == mode:
            return header, cells
    raise AssertionError(f"no {mode} on this page")


def shown(app: AppTest) -> str:
    """All text on the page, as one string."""
    kinds = ("title", "subheader", "markdown", "caption", "html", "warning", "error", "text", "metric")
    blocks = [block for kind in kinds for block in app.get(kind)]
    return "\n".join(str(getattr(block, "value", "") or getattr(block.proto, "body", "")) for block in blocks)


def translation(app: AppTest) -> str:
    """The sentence's pieces and its translation, as the bar shows them."""
    return "\n".join(block.proto.body for block in app.get("html") if "<bdi>" in block.proto.body)


def run_of(text: str, direction: str) -> Run:
    return models.run(text, direction)


# ---- pages and languages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_in_both_languages(app: AppTest, page: str, language: str) -> None:
    opened(app, page, lang=language)
    assert app.title[0].value
    hangul = any("가" <= letter <= "힣" for letter in app.title[0].value)
    assert hangul == (language == "ko")


def test_the_language_changes_in_place(app: AppTest) -> None:
    opened(app, lang="en")
    settled(app.segmented_control(key="lang").set_value("ko").run())
    assert app.title[0].value == "어텐션 헤드(attention head)"


def test_a_page_opened_without_the_frame_gets_it(app: AppTest) -> None:
    app.switch_page("pages/heads.py").run()
    settled(app)
    assert app.text_input(key="text").value == FIRST


def test_a_page_keeps_its_choices_while_another_is_open(app: AppTest) -> None:
    opened(app, kind="cross", head="2.3")
    settled(app.switch_page("pages/overview.py").run())
    settled(app.switch_page("pages/heads.py").run())
    assert app.segmented_control(key="kind").value == "cross"
    assert drawn(app, "grid")[0]["chosen"] == [1, 2]


@pytest.mark.parametrize("step", list(STEPS))
def test_every_box_has_its_explanation(app: AppTest, step: str) -> None:
    opened(app, "pages/overview.py", lang="en", box=step)
    assert app.subheader[0].value


def test_the_diagram_shows_the_shapes_of_the_sentence(app: AppTest) -> None:
    opened(app, "pages/overview.py", text="I am a cat", lang="en")
    data = app.get("bidi_component")[0].proto.bytes
    header, _cells = heatmap.unpack(data)
    run = run_of("I am a cat", "en-ko")
    boxes = {box["id"]: box for box in header["pictures"]["wide"]["boxes"]}
    width = models.model(models.TRANSLATOR).network.config.width
    assert boxes["memory"]["note"] == f"{len(run.source_tokens)} × {width}"
    assert boxes["source"]["labels"] == [token.piece for token in run.source_tokens]


# ---- the sentence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", SAMPLES)
def test_samples_are_one_click_away(app: AppTest, text: str) -> None:
    opened(app)
    settled(app.pills(key="sample").set_value(text).run())
    assert app.text_input(key="text").value == text
    header, cells = drawn(app, "grid")
    run = run_of(text, "ko-en" if any("가" <= each <= "힣" for each in text) else "en-ko")
    weights = np.stack([layer.self_attention.weights.numpy() for layer in run.encoder])
    assert header["shape"] == list(weights.shape)
    assert np.abs(cells.reshape(weights.shape) / heatmap.STEPS - weights).max() <= 0.51 / heatmap.STEPS


def test_the_direction_can_be_chosen(app: AppTest) -> None:
    opened(app, text="I am a cat", to="en")
    assert drawn(app, "detail")[0]["queries"][0] == "<to-english>"
    settled(app.segmented_control(key="to").set_value("ko").run())
    assert drawn(app, "detail")[0]["queries"][0] == "<to-korean>"


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("page", PAGES)
def test_nothing_typed_breaks_a_page(app: AppTest, page: str, name: str) -> None:
    opened(app, page, text="The dog runs.", lang="en")
    before = translation(app)
    settled(app.text_input(key="text").set_value(BAD[name]).run())
    if app.warning:
        assert translation(app) == before, "the last good view stays"
    assert "<script" not in shown(app) and "<img" not in shown(app)


@pytest.mark.parametrize("name", ["empty", "blanks", "control characters", "one endless word", "endless hangul"])
def test_what_cannot_be_shown_is_said(app: AppTest, name: str) -> None:
    opened(app, text=BAD[name], lang="ko")
    if not app.warning:
        settled(app.text_input(key="text").set_value(BAD[name]).run())
    assert "문장" in app.warning[0].value


def test_a_text_too_long_for_a_link_is_cut_and_said(app: AppTest) -> None:
    opened(app, text="I am a cat and " * 40, lang="en")
    assert len(app.text_input(key="text").value) == LONGEST
    assert str(LONGEST) in app.warning[0].value


def test_the_marks_of_pieces_are_explained(app: AppTest) -> None:
    opened(app, text="cat I a am", lang="en")
    assert any("↓" in each.value for each in app.caption)
    settled(app.text_input(key="text").set_value("I am a cat").run())
    assert not any("↓" in each.value for each in app.caption)


def test_blanks_in_place_of_another_translation_are_none(app: AppTest) -> None:
    opened(app, text="I am a cat", target="   ", lang="en")
    assert not app.warning and translation(app)


def test_typed_markup_is_shown_and_not_obeyed(app: AppTest) -> None:
    opened(app, text="<b>cat</b> & 'dog'", lang="en")
    assert "<b>" not in shown(app)


def test_text_becomes_one_clean_line() -> None:
    assert clean(" a\u202eb\n\tc\x00 ") == "a b c"
    assert clean("나는\u00a0간다") == "나는 간다"
    assert clean("👩‍👧") == "👩‍👧"
    assert clean("half \ud83d a pair") == "half a pair"


# ---- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        {"head": "99.1"},
        {"head": "abc"},
        {"head": "0.0"},
        {"head": "-1.-1"},
        {"head": "1.2.3"},
        {"kind": "none"},
        {"cell": "x.y"},
        {"cell": "1"},
        {"edits": "off_cross.9.9_zero~zzz"},
        {"edits": "....."},
        {"to": "fr"},
        {"lang": "de"},
        {"words": "maybe", "plain": "2"},
        {"model": "gpt-7"},
        {"box": "<b>"},
        {"place": "1e9"},
    ],
)
@pytest.mark.parametrize("page", PAGES)
def test_a_tampered_link_falls_back(app: AppTest, page: str, address: dict[str, str]) -> None:
    opened(app, page, **address)
    assert bool(app.warning) == ("model" in address) and not app.error
    if page == "pages/heads.py":
        header, _cells = drawn(app, "grid")
        assert header["chosen"] == [0, 0] and "off" not in header


def test_a_link_reproduces_the_view(app: AppTest) -> None:
    opened(
        app,
        text="나는 공부하러 독서실에 간다",
        kind="cross",
        head="2.3",
        cell="3.2",
        edits="off_cross.2.3_zero",
        lang="ko",
    )
    grid, matrix = drawn(app, "grid")[0], drawn(app, "detail")[0]
    assert grid["chosen"] == [1, 2] and grid["off"] == [[1, 2]] and matrix["cell"] == [2, 1]
    assert app.text_input(key="text").value == "나는 공부하러 독서실에 간다"


def test_a_cell_beyond_a_shorter_sentence_moves_inside(app: AppTest) -> None:
    opened(app, cell="14.15")
    settled(app.text_input(key="text").set_value("I am a cat").run())
    header, _cells = drawn(app, "detail")
    assert header["cell"] == [header["shape"][0] - 1, header["shape"][1] - 1]


# ---- heads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_the_chosen_head_is_drawn_with_the_numbers_of_the_run(app: AppTest, kind: str) -> None:
    opened(app, text="나는 공부하러 독서실에 간다", head="2.3")
    settled(app.segmented_control(key="kind").set_value(kind).run())
    header, cells = drawn(app, "detail")
    run = run_of("나는 공부하러 독서실에 간다", "ko-en")
    layer = run.encoder[1] if kind == "encoder" else run.decoder[1]
    attention = layer.cross_attention if kind == "cross" else layer.self_attention
    weights, allowed = attention.weights[2].numpy(), attention.mask.numpy()
    cells = cells.reshape(weights.shape)
    assert ((cells == heatmap.ABSENT) == ~allowed).all()
    assert np.abs(cells / heatmap.STEPS - weights)[allowed].max() <= 0.51 / heatmap.STEPS
    assert len(header["queries"]), len(header["keys"]) == weights.shape
    assert (drawn(app, "lines")[1] == drawn(app, "detail")[1]).all()


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("option", ["plain", "words"])
def test_rows_of_coarser_views_sum_to_one(app: AppTest, kind: str, option: str) -> None:
    opened(app, text="나는 공부하러 독서실에 간다", kind=kind, lang="en")
    settled(app.toggle(key=option).set_value(True).run())
    header, cells = drawn(app, "grid")
    weights = np.where(cells == heatmap.ABSENT, 0, cells / heatmap.STEPS).reshape(header["shape"])
    assert np.abs(weights.sum(-1) - 1).max() <= 0.51 * header["shape"][-1] / heatmap.STEPS
    assert "each row" in " ".join(caption.value for caption in app.caption)
    if option == "plain":
        assert not any(label.startswith("<") for label in drawn(app, "detail")[0]["queries"])


def test_a_cell_tells_its_weight_score_and_words(app: AppTest) -> None:
    opened(app, text="I am a cat", head="1.2", cell="3.2", lang="en")
    attention = run_of("I am a cat", "en-ko").encoder[0].self_attention
    text = shown(app)
    assert f"{attention.weights[1, 2, 1]:.4f}" in text and f"{attention.scores[1, 2, 1]:.3f}" in text
    header, _cells = drawn(app, "detail")
    assert header["queries"][2] in text and header["keys"][1] in text


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_figures_are_those_of_the_run(app: AppTest, kind: str) -> None:
    opened(app, text="I am a cat", kind=kind, head="2.3", lang="en")
    figures = {row["figure"]: row["value"] for row in strip_rows(app, "this head")}
    chance = {row["figure"]: row["value"] for row in strip_rows(app, "uniform attention")}
    run = run_of("I am a cat", "en-ko")
    layer = run.encoder[1] if kind == "encoder" else run.decoder[1]
    attention = layer.cross_attention if kind == "cross" else layer.self_attention
    weights, allowed = attention.weights[2].double(), attention.mask
    entropy = -(weights * weights.clamp_min(1e-300).log()).sum(-1).mean()
    assert figures["entropy (nats)"] == pytest.approx(float(entropy), abs=1e-4)
    assert chance["entropy (nats)"] == pytest.approx(float(allowed.sum(-1).log().mean()), abs=1e-4)
    assert figures["weight on the first token"] == pytest.approx(float(weights[:, 0].mean()), abs=1e-5)
    assert ("weight on the end token" in figures) == (kind != "decoder")
    written = attention.head_contributions[2].norm(dim=-1).mean()
    assert figures["length of its contribution through W_O"] == pytest.approx(float(written), rel=1e-3)


def strip_rows(app: AppTest, kind: str) -> list[dict]:
    """The rows of one kind in the chart of a head's figures."""
    proto = app.get("vega_lite_chart")[0].proto
    rows = [row for data in find_values(json.loads(proto.spec)) for row in data]
    return [row for row in rows if row.get("kind") == kind]


def find_values(spec: object) -> list[list[dict]]:
    if isinstance(spec, list):
        return [found for part in spec for found in find_values(part)]
    if not isinstance(spec, dict):
        return []
    here = [spec["values"]] if isinstance(spec.get("values"), list) and isinstance(spec["values"][:1], list) else []
    here = [values for values in here if values and isinstance(values[0], dict)]
    return here + [found for part in spec.values() for found in find_values(part)]


def test_a_masked_cell_is_called_masked(app: AppTest) -> None:
    opened(app, text="I am a cat", kind="decoder", cell="1.2", lang="en")
    assert "masked" in shown(app)


def test_the_decoder_can_be_made_to_read_another_translation(app: AppTest) -> None:
    opened(app, text="나는 공부하러 독서실에 간다", kind="decoder")
    settled(app.text_input(key="target").set_value("I go to the library to study").run())
    run = models.run("나는 공부하러 독서실에 간다", "ko-en", "translator", (), "I go to the library to study")
    header, _cells = drawn(app, "detail")
    assert header["queries"] == [token.piece for token in run.target_tokens]


@pytest.mark.parametrize("name", BAD)
def test_no_other_translation_breaks_the_page(app: AppTest, name: str) -> None:
    opened(app, text="I am a cat", kind="cross")
    settled(app.text_input(key="target").set_value(BAD[name]).run())
    drawn(app, "detail")


# ---- edits ---------------------------------------------------------------------------------------------------------

STUDY = "나는 공부하러 독서실에 간다"
CONTROLS = {
    "instead": ("segmented_control", ["zero", "mean", "uniform", "diagonal", "previous"], "as_it_is"),
    "scale": ("segmented_control", [1.0], None),
    "temperature": ("select_slider", [0.1, 10.0], 1.0),
    "skip_0": ("toggle", [True], False),
    "skip_3": ("toggle", [True], False),
}


def edits_of(app: AppTest) -> str:
    return write_edits(app.session_state["edits"])


@pytest.mark.parametrize("text", ["I am a cat", STUDY])
def test_an_edited_head_shows_before_after_and_difference(app: AppTest, text: str) -> None:
    """The numbers are those of the edited model, asked without the app."""
    opened(app, text=text, kind="cross", head="3.1", lang="en")
    assert not app.dataframe
    settled(app.segmented_control(key="instead").set_value("zero").run())
    model = models.model(models.TRANSLATOR)
    before = trace(model, text)
    after = reread(model, before, [HeadOff("cross.3.1")])
    one, other = (run.log_probabilities.sum().item() for run in (before, after))
    for value in (one, other, other - one):
        assert f"{value:z.3f}" in shown(app)
    changes = (after.log_probabilities - before.log_probabilities).tolist()
    assert app.dataframe[0].value["difference"].tolist() == pytest.approx(changes, abs=1e-5)
    assert trace(model, text, edits=[HeadOff("cross.3.1")]).translation in unescape(shown(app))
    assert drawn(app, "grid")[0]["off"] == drawn(app, "grid")[0]["edited"] == [[2, 0]]


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_maps_of_an_edited_head_hold_its_weights(app: AppTest, kind: str) -> None:
    """Before, after and difference of the chosen head; a cell that stays masked is absent in all three."""
    opened(
        app,
        text="I am a cat",
        kind=kind,
        head="1.2",
        lang="en",
        edits=f"pattern_{kind}.1.2_previous~cell_{kind}.1.2_3_1_closed",
    )
    edits = app.session_state["edits"]
    model = models.model(models.TRANSLATOR)
    run = trace(model, "I am a cat")
    before, after = (of_kind(each, kind)[0] for each in (run, reread(model, run, edits)))
    maps = [heatmap.unpack(each.proto.bytes) for each in app.get("bidi_component")][-4:-1]
    masks = [each.mask.expand_as(each.weights)[1].numpy() for each in (before, after)]
    weights = [each.weights[1].numpy() for each in (before, after)]
    for (header, cells), values, mask in zip(maps[:2], weights, masks, strict=True):
        assert ((cells.reshape(mask.shape) == heatmap.ABSENT) == ~mask).all()
        assert np.abs(cells.reshape(mask.shape) / heatmap.STEPS - values)[mask].max() <= 0.51 / heatmap.STEPS
        assert header["queries"][0] in ("<start>", "<to-korean>")
    header, cells = maps[2]
    limit, either = header["signed"], masks[0] | masks[1]
    found = (2 * cells.reshape(either.shape).astype(float) / heatmap.STEPS - 1) * limit
    assert ((cells.reshape(either.shape) == heatmap.ABSENT) == ~either).all()
    assert np.abs(found - (weights[1] - weights[0]))[either].max() <= 1.02 * limit / heatmap.STEPS


@pytest.mark.parametrize("key", CONTROLS)
def test_every_control_makes_an_edit_and_takes_it_back(app: AppTest, key: str) -> None:
    """Back at the model's own value nothing is left, in the list and on the page."""
    opened(app, text="I am a cat", kind="decoder", head="2.3", lang="en")
    before = shown(app)
    kind, values, own = CONTROLS[key]

    def control() -> Any:
        return getattr(app, kind)(key=key)

    own = control().value if own is None else own
    for value in values:
        settled(control().set_value(value).run())
        assert len(app.session_state["edits"]) == 1 and control().value == value
        assert app.button(key="edit_0").label and shown(app) != before
    settled(control().set_value(own).run())
    assert edits_of(app) == "" and shown(app) == before


def test_edits_are_listed_on_every_page_and_can_be_taken_back(app: AppTest) -> None:
    """One by one, the last, or all; an edit that contradicts an earlier one takes its place."""
    opened(app, text="I am a cat", edits="off_cross.2.3_mean~swap_source_2_3~scale_encoder_1", lang="en")
    for page in PAGES:
        settled(app.switch_page(page).run())
        assert [button.label for button in app.button if button.key and button.key.startswith("edit_")]
        assert "mean output" in app.button(key="edit_0").label
    settled(app.button(key="edit_1").click().run())
    assert edits_of(app) == "off_cross.2.3_mean~scale_encoder_1"
    settled(app.button(key="undo").click().run())
    assert edits_of(app) == "off_cross.2.3_mean"
    settled(app.switch_page("pages/heads.py").run())
    settled(app.segmented_control(key="kind").set_value("cross").run())
    app.session_state["head"] = (1, 2)
    settled(app.run())
    settled(app.segmented_control(key="instead").set_value("previous").run())
    assert edits_of(app) == "pattern_cross.2.3_previous"
    settled(app.button(key="remove_all").click().run())
    assert edits_of(app) == "" and not [button for button in app.button if button.key == "undo"]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_edit_has_a_description(app: AppTest, language: str) -> None:
    """Tokens are named as the visitor typed them, and markup among them stays text."""
    texts = [
        "off_cross.2.3_uniform",
        "pattern_encoder.1_diagonal",
        "cell_decoder_1_2_open",
        "cell_encoder.1.1_2_3_closed",
    ]
    texts += ["scale_encoder_0.5", "temperature_cross_2", "swap_source_2_3", "freeze_target_2_1", "remove_source_2"]
    texts += ["embeddings_source_2_3", "residual_encoder.1.attention", "norm_decoder.final", "norm_decoder.1.cross"]
    opened(app, text="<b> *x* cat", edits="~".join(texts), lang=language)
    labels = [button.label for button in app.button if button.key and button.key.startswith("edit_")]
    assert len(labels) == len(texts) == len(set(labels))
    assert all((max(label) >= "가") == (language == "ko") for label in labels)
    assert not any("<b>" in label.replace("\\<b\\>", "") for label in labels)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("off_cross.99.1_zero", "no such layer"),
        ("off_cross.1.99_zero", "no such head"),
        ("cell_encoder_40_1_open", "no such token"),
        ("cell_decoder_1_1_closed", "nothing left to look at"),
        ("off_everything", "could not be read"),
        ("<script>", "could not be read"),
    ],
)
def test_an_edit_that_does_not_fit_is_dropped_and_said(app: AppTest, text: str, said: str) -> None:
    """The others stay, and the note goes with the next edit."""
    opened(app, text="I am a cat", edits=f"{text}~off_cross.1.1_zero", lang="en")
    assert edits_of(app) == "off_cross.1.1_zero"
    assert said in " ".join(caption.value for caption in app.caption)
    settled(app.button(key="undo").click().run())
    assert said not in " ".join(caption.value for caption in app.caption)


def test_an_edit_is_dropped_when_the_sentence_becomes_too_short(app: AppTest) -> None:
    """Until then it stays, whatever else is typed."""
    opened(app, text="The animal did not cross the street.", edits="remove_source_7", lang="en")
    assert edits_of(app) == "remove_source_7"
    settled(app.text_input(key="text").set_value("The animals did not cross the street.").run())
    assert edits_of(app) == "remove_source_7"
    settled(app.text_input(key="text").set_value("Hi").run())
    assert edits_of(app) == "" and "no such token" in " ".join(caption.value for caption in app.caption)


def test_another_translation_is_read_by_the_edited_model_too(app: AppTest) -> None:
    """Teacher forcing and edits together: the same tokens before and after."""
    opened(app, text=STUDY, kind="decoder", lang="en", edits="off_cross.1_zero")
    settled(app.text_input(key="target").set_value("I go to the library to study").run())
    model = models.model(models.TRANSLATOR)
    before = trace(model, STUDY, "I go to the library to study")
    after = reread(model, before, [HeadOff("cross.1")])
    assert app.dataframe[0].value["after (edited)"].tolist() == pytest.approx(
        after.log_probabilities.tolist(), abs=1e-5
    )


# ---- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty assets folder that the app reads from."""
    monkeypatch.setenv("HEADROOM_ASSETS", str(tmp_path))
    models.model.clear()
    yield tmp_path
    models.model.clear()


def test_a_missing_model_names_the_file_and_the_command(app: AppTest, elsewhere: Path) -> None:
    app.run()
    settled(app)
    assert str(elsewhere / "models" / "translator") in app.text[0].value
    assert "python -m core train translator" in app.text[0].value


@pytest.mark.parametrize("damage", ["card.json", "weights.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_named(app: AppTest, elsewhere: Path, damage: str) -> None:
    folder = elsewhere / "models" / "translator"
    folder.mkdir(parents=True)
    for name in ("card.json", "weights.safetensors"):
        (folder / name).write_bytes((SHIPPED / "models" / "translator" / name).read_bytes())
    (elsewhere / "tokenizer.json").write_bytes((SHIPPED / "tokenizer.json").read_bytes())
    broken = elsewhere / damage if damage == "tokenizer.json" else folder / damage
    broken.write_bytes(broken.read_bytes()[:100])
    app.run()
    settled(app)
    assert damage in app.text[0].value and "python -m core" in app.text[0].value


def test_the_theme_has_both_colour_schemes() -> None:
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert "postScriptGC = false" in text and "[theme.light]" in text and "[theme.dark]" in text
    assert json.dumps(LONGEST) == "200"


def test_the_app_needs_nothing_that_only_training_needs() -> None:
    """Every page and part can be imported with what requirements.txt installs."""
    named = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "pages").rglob("*.py")]
    modules = [".".join(name.parts) for name in named if name.parent.parts != ("pages",) and name.stem != "__init__"]
    lines = [
        "import sys, importlib",
        "sys.modules['kiwipiepy'] = None",
        f"list(map(importlib.import_module, {modules}))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]
