"""Every page and control through the app itself, with the shipped model, and everything people may type."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.charts import heatmap
from core.run import Run
from pages.parts import models
from pages.parts.bar import FIRST, LONGEST, SAMPLES, clean

ROOT = Path(__file__).parents[1]
SHIPPED = models.assets()
PAGES = ["pages/overview.py", "pages/heads.py", "pages/positions.py"]
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


@pytest.mark.parametrize("step", ["tokens", "embedding", "norm", "feed_forward", "memory", "output"])
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
        {"off": "cross.9.9-zzz"},
        {"off": "....."},
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
    assert not app.warning and not app.error
    if page == "pages/heads.py":
        header, _cells = drawn(app, "grid")
        assert header["chosen"] == [0, 0] and header["off"] == []


def test_a_link_reproduces_the_view(app: AppTest) -> None:
    opened(app, text="나는 공부하러 독서실에 간다", kind="cross", head="2.3", cell="3.2", off="cross.2.3", lang="ko")
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


def test_switching_a_head_off_shows_before_after_and_difference(app: AppTest) -> None:
    opened(app, text="나는 공부하러 독서실에 간다", kind="cross", head="3.1", lang="en")
    assert not app.dataframe
    settled(app.toggle(key="silent").set_value(True).run())
    run = run_of("나는 공부하러 독서실에 간다", "ko-en")
    after = models.scores_without(run.source_text, "ko-en", "translator", (("decoder.2.cross_attention", 0),))
    before = run.log_probabilities.tolist()
    for value in (sum(before), sum(after), sum(after) - sum(before)):
        assert f"{value:.3f}" in shown(app)
    assert app.dataframe[0].value["difference"].tolist() == pytest.approx(np.subtract(after, before).tolist())
    assert drawn(app, "grid")[0]["off"] == [[2, 0]]
    settled(app.button[0].click().run())
    assert not app.dataframe and drawn(app, "grid")[0]["off"] == []


def test_nothing_switched_off_changes_nothing() -> None:
    run = run_of("I am a cat", "en-ko")
    same = models.scores_without("I am a cat", "en-ko", "translator", ())
    assert same == pytest.approx(run.log_probabilities.tolist(), abs=1e-5)


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
