"""The attention page through the app: every control, and every number against NumPy on an exported run."""

import contextlib
import html
import io
import json
import re
import shlex
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from worked import Worked

from core.__main__ import main
from core.charts import heatmap
from core.edits import Scale, write_edits
from core.measures.curves import read_log
from core.measures.walk import STEPS
from core.run import Run
from pages.parts import models
from pages.parts.attention.choosing import clicked_key
from pages.parts.attention.undivided import PAIRS
from pages.parts.attention.variance import CHANNELS

ROOT = Path(__file__).parents[1]
SENTENCE = "The animal did not cross the street because it was too tired."
PARTS = ("steps", "scaling", "asking", "exp", "itself")
WHATS = ("query", "key", "value", "all_keys", "all_queries")
GUESSES = {"gradient_guess": "grows", "exp_guess": "same", "itself_guess": "few"} | {
    f"moved_{what}": "none" for what in WHATS
}
ALL = "-".join(str(number) for number in range(1, 13))
CELLS = {"encoder": ("2.2", "9.4"), "decoder": ("1.1", "4.2"), "cross": ("3.2", "3.5")}
"""A head and a cell of each kind, as links write them."""


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def opened(app: AppTest, part: str = "steps", **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    for name, value in ({"lang": "en", "text": SENTENCE, "attention": part} | address).items():
        app.query_params[name] = value
    app.run()
    return settled(app.switch_page("pages/attention.py").run())


def settled(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def shown(app: AppTest) -> str:
    kinds = ("title", "subheader", "markdown", "caption", "html", "warning", "error", "text", "button")
    blocks = [block for kind in kinds for block in app.get(kind)]
    return "\n".join(
        str(getattr(block, "label", "") or getattr(block, "value", "") or getattr(block.proto, "body", ""))
        for block in blocks
    )


def fact(app: AppTest, name: str) -> float:
    """A number that stands under its name."""
    found = re.findall(rf"<bdi>{re.escape(html.escape(name))}</bdi></div><div[^>]*><bdi>(.*?)</bdi>", shown(app))
    assert len(found) == 1, (name, found)
    return float(found[0].replace("−", "-"))


def canvas(app: AppTest, mode: str, number: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """A canvas's header and the values that its bytes stand for."""
    found = []
    for component in app.get("bidi_component"):
        header, cells = heatmap.unpack(component.proto.bytes) if component.proto.bytes else ({}, np.zeros(0))
        if header.get("mode") == mode:
            signed = header.get("signed")
            values = (cells / (heatmap.STEPS / 2) - 1) * signed if signed else cells / heatmap.STEPS
            found.append((header, np.where(cells == heatmap.ABSENT, np.nan, values).reshape(header["shape"])))
    return found[number]


def drawn(app: AppTest, field: str, **where: Any) -> list[list[Any]]:
    """A field of the rows of every layer of every chart that has it, of those rows that have the values named."""
    found = []
    for chart in app.get("vega_lite_chart"):
        for layer in json.loads(chart.proto.spec).get("layer", []):
            rows = layer.get("data", {}).get("values", [])
            kept = [
                row[field] for row in rows if field in row and all(row.get(key) == each for key, each in where.items())
            ]
            found += [kept] if kept and kept not in found else []
    return found


def tables(app: AppTest) -> dict[str, pd.DataFrame]:
    """Every table by its columns' names, joined."""
    return {"|".join(each.value.columns): each.value for each in app.dataframe}


def table(app: AppTest, *columns: str) -> pd.DataFrame:
    """The one table that has these columns."""
    found = [each for each in tables(app).values() if set(columns) <= set(each.columns)]
    assert len(found) == 1, (columns, list(tables(app)))
    return found[0]


def run_of(text: str = SENTENCE) -> Run:
    return models.run(text, "en-ko", models.TRANSLATOR)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learner")
    run_command(["trace", SENTENCE, "--to", "ko", "--out", str(folder / "run.npz")])
    (folder / "assets").symlink_to(models.assets())
    return folder


def run_command(words: list[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words, "--assets", str(models.assets())]) == 0


def worked(exported: Path, kind: str) -> Worked:
    head, cell = ([int(number) - 1 for number in text.split(".")] for text in CELLS[kind])
    weights = models.assets() / "models" / models.TRANSLATOR / "weights.safetensors"
    return Worked(exported / "run.npz", weights, kind, *head, *cell)


def near(values: Any, digits: float = 1e-4) -> Any:
    """The same numbers, to the digits that a table shows."""
    return pytest.approx(np.asarray(values, dtype=float), rel=1e-4, abs=digits)


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(app: AppTest, part: str, language: str) -> None:
    opened(app, part, lang=language, **GUESSES)
    assert app.segmented_control(key="attention").value == part
    assert any("가" <= letter <= "힣" for letter in shown(app)) and app.get("vega_lite_chart")


@pytest.mark.parametrize("text", ["<b>x</b>", "# $x$ *y* [a](b)", "😀", ".", "a" * 40, "שלום 世界", "cat"])
@pytest.mark.parametrize("part", PARTS)
def test_nothing_typed_breaks_a_part(app: AppTest, part: str, text: str) -> None:
    opened(app, part, open=ALL, read="story", **GUESSES)
    settled(app.text_input(key="text").set_value(text).run())
    assert "<b>" not in shown(app)
    for kind in ("decoder", "cross"):
        if part != "itself":
            settled(app.segmented_control(key="kind").set_value(kind).run())


@pytest.mark.parametrize("reading", ["story", "numbers", "formula", "code"])
def test_a_typed_sentence_is_shown_literally_in_every_reading(app: AppTest, reading: str) -> None:
    opened(app, text="<b>*x*</b> $5$", open=ALL, read=reading)
    assert "<b>" not in shown(app) and not app.warning


@pytest.mark.parametrize("part", [*PARTS, "sixth"])
def test_a_tampered_link_falls_back(app: AppTest, part: str) -> None:
    wild = {
        "head": "9.99",
        "cell": "x",
        "kind": "no",
        "open": "99",
        "read": "<b>",
        "attention_map": "1",
        "channel": "a.b",
    }
    wild |= {
        "dial": "99",
        "dial_row": "no",
        "scale_keys": "7",
        "scale_seed": "-5",
        "replace": "all",
        "replace_by": "1e9",
    }
    wild |= {"exp_1": "9", "exp_2": "nan", "exp_t": "0", "exp_draws": "3", "exp_seed": "x", "attention_run": "both"}
    wild |= {"itself_what": "no", "itself_tokens": "1e9", "itself_equal": "yes", "edits": "nonsense"}
    opened(app, part, **wild, **dict.fromkeys(GUESSES, "perhaps"))
    assert not app.warning and not app.error
    assert app.segmented_control(key="attention").value == (part if part in PARTS else "steps")


@pytest.mark.parametrize(
    ("part", "key"),
    [("scaling", "gradient_guess"), ("exp", "exp_guess"), ("itself", "itself_guess")]
    + [("asking", f"moved_{what}") for what in WHATS],
)
def test_the_answer_waits_for_a_prediction(app: AppTest, part: str, key: str) -> None:
    opened(app, part, replace=key.removeprefix("moved_") if part == "asking" else "value")
    before = len(shown(app))
    settled(app.pills(key=key).set_value(GUESSES[key]).run())
    assert len(shown(app)) > before + 60


# --- choosing -------------------------------------------------------------------------------------------------------


def test_the_head_and_the_cell_come_along_from_the_page_of_heads(app: AppTest) -> None:
    for name, value in {"lang": "en", "text": SENTENCE, "kind": "cross", "head": "2.3", "cell": "3.4"}.items():
        app.query_params[name] = value
    app.run()
    settled(app.switch_page("pages/heads.py").run())
    settled(app.switch_page("pages/attention.py").run())
    assert canvas(app, "detail")[0]["cell"] == [2, 3]
    assert app.segmented_control(key="kind").value == "cross"
    assert (app.segmented_control(key="attention_layer").value, app.segmented_control(key="attention_head").value) == (
        2,
        3,
    )
    settled(app.selectbox(key="attention_key").set_value(5).run())
    settled(app.switch_page("pages/heads.py").run())
    assert canvas(app, "detail")[0]["cell"] == [2, 5] and canvas(app, "grid")[0]["chosen"] == [1, 2]


def test_a_cell_among_words_becomes_its_first_piece(app: AppTest) -> None:
    """Hiding the special tokens moves every number on; the page itself shows pieces."""
    opened(app, cell="2.3", plain="1")
    assert canvas(app, "detail")[0]["cell"] == [2, 3]
    settled(app.switch_page("pages/heads.py").run())
    assert canvas(app, "detail")[0]["cell"] == [2, 3] and not app.toggle(key="plain").value


def test_without_a_choice_the_strongest_cell_of_words_is_shown(app: AppTest) -> None:
    opened(app)
    head = canvas(app, "detail")[0]
    settled(app.switch_page("pages/heads.py").run())
    assert canvas(app, "detail")[0]["cell"] == head["cell"]


def test_every_choice_of_the_cell_has_a_control(app: AppTest) -> None:
    opened(app, head="1.1", cell="2.3")
    settled(app.segmented_control(key="attention_layer").set_value(2).run())
    settled(app.segmented_control(key="attention_head").set_value(3).run())
    settled(app.selectbox(key="attention_query").set_value(4).run())
    settled(app.selectbox(key="attention_key").set_value(1).run())
    assert app.session_state["head"] == (1, 2) and app.session_state["cell"] == (4, 1)
    weights = run_of().encoder[1].self_attention.weights[2].numpy()
    assert canvas(app, "detail")[1] == near(weights, 0.51 / heatmap.STEPS)
    settled(app.segmented_control(key="attention_map").set_value("scores").run())
    scores = run_of().encoder[1].self_attention.scores[2].numpy()
    header, values = canvas(app, "detail")
    assert values == near(scores, 1.02 * header["signed"] / heatmap.STEPS)


def test_steps_unfold_and_fold(app: AppTest) -> None:
    opened(app)
    assert app.session_state["open"] == ("scores",)
    settled(app.button(key="fold_vector").click().run())
    settled(app.button(key="fold_scores").click().run())
    assert app.session_state["open"] == ("vector",) and len(app.dataframe) == 1
    settled(next(each for each in app.button if each.label == "Unfold all").click().run())
    assert app.session_state["open"] == STEPS and len(app.dataframe) > 7
    settled(next(each for each in app.button if each.label == "Fold all").click().run())
    assert app.session_state["open"] == () and not app.dataframe


def test_another_translation_is_read(app: AppTest) -> None:
    opened(app, kind="decoder")
    settled(app.text_input(key="target").set_value("고양이가 잔다.").run())
    run = models.run(SENTENCE, "en-ko", models.TRANSLATOR, (), "고양이가 잔다.")
    assert canvas(app, "detail")[0]["keys"] == [token.piece for token in run.target_tokens]


def test_clicks_outside_the_chart_choose_nothing() -> None:
    for state in (None, {"selection": {}}, {"selection": {"key": {}}}, {"selection": {"key": [{"index": 9}]}}):
        st.session_state["some"] = state
        assert clicked_key("some", 5)() is None
    st.session_state["some"] = {"selection": {"key": [{"index": 3}]}}
    assert clicked_key("some", 5)() == 3


# --- the steps in numbers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=list(CELLS))
def numbers(request: pytest.FixtureRequest, exported: Path) -> tuple[AppTest, Worked]:
    """All twelve steps of a cell in numbers, beside NumPy's."""
    kind = request.param
    head, cell = CELLS[kind]
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    return opened(app, kind=kind, head=head, cell=cell, open=ALL, read="numbers", channel="2.3"), worked(exported, kind)


def test_the_vector_is_the_sum_of_its_parts(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    parts = table(app, "part", "length", "cosine with the sum")
    vectors = [each[found.i].astype(float) for each in found.addends]
    total = found.stream[found.i]
    assert parts["length"].tolist() == near([np.linalg.norm(each) for each in vectors])
    cosines = [each @ total / np.linalg.norm(each) / np.linalg.norm(total) for each in vectors]
    assert parts["cosine with the sum"].tolist() == near(cosines)


def test_the_norms_are_worked_out_channel_by_channel(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    first, second = (each.value for each in app.dataframe if "gain γ" in each.value.columns)
    assert first["x"].tolist() == near(found.stream[found.i]) and first["output"].tolist() == near(
        found.normed[found.i]
    )
    assert second["x"].tolist() == near(found.residual) and second["output"].tolist() == near(found.next_normed)


def test_a_channel_of_the_key_is_a_product_of_a_row_with_its_input(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    products = table(app, "input channel", "weight", "input", "product")
    row = found.head * found.d + 2
    weight = found.weights[f"{found.path}.key_projection.weight"][row]
    bias = found.weights[f"{found.path}.key_projection.bias"][row]
    assert products["product"].tolist() == near(weight * found.memory[found.j])
    assert fact(app, "Σ weight × input") == near(weight @ found.memory[found.j], 1e-3)
    assert fact(app, "bias") == near(bias, 1e-3) and fact(app, "sum") == near(found.k[found.j, 2], 1e-3)


def test_the_products_of_a_score_are_shown_and_add_up(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    products = table(app, "channel", "q", "k", "q × k", "sum so far")
    assert products["q × k"].tolist() == near(found.products)
    assert products["sum so far"].tolist() == near(np.cumsum(found.products), 1e-3)
    assert near(found.products) in [bars for bars in drawn(app, "value") if len(bars) == found.d]
    assert fact(app, "their sum, q · k") == near(found.raw[found.j], 1e-3)
    assert fact(app, "÷ √d, from these products") == near(found.scores[found.j], 1e-3)
    own = found.run[f"{found.path}.scores"][found.head, found.i, found.j]
    assert fact(app, "the model's own score") == near(own, 1e-3)
    assert fact(app, "difference") < 1e-5


def test_scores_are_scaled_and_masked(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    scores = next(each.value for each in app.dataframe if list(each.value.columns) == ["key", "q · k", "score"])
    assert scores["q · k"].tolist() == near(found.raw, 1e-3) and scores["score"].tolist() == near(found.scores, 1e-3)
    assert fact(app, "standard deviation of the row, before") == near(found.raw.std(), 1e-3)
    masks = table(app, "key", "mask", "after the mask")
    assert (masks["mask"] == "open").tolist() == found.open.tolist()
    assert (masks["after the mask"] == "−∞").tolist() == (~found.open).tolist()
    assert fact(app, "masked keys") == (~found.open).sum()


def test_a_weight_is_an_exponential_over_the_normaliser(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    row = table(app, "key", "score", "exp(s − m)", "÷ normaliser = weight")
    assert row["exp(s − m)"].tolist() == near(found.exponentials)
    assert row["÷ normaliser = weight"].tolist() == near(found.row)
    assert fact(app, "normaliser: the sum of the row") == near(found.exponentials.sum(), 1e-3)
    assert fact(app, "largest score of the row, m") == near(found.largest, 1e-3)
    assert fact(app, "sum of the weights") == 1.0
    open_weights = [weight if seen else None for weight, seen in zip(found.row, found.open, strict=True)]
    assert any(
        [value is None for value in bars] == [weight is None for weight in open_weights]
        and [value for value in bars if value is not None] == near(found.row[found.open])
        for bars in drawn(app, "value")
        if len(bars) == len(found.row)
    )


def test_the_output_is_the_expectation_of_the_values(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    terms = table(app, "key", "weight", "‖value‖", "‖weight × value‖", "cosine with the sum")
    assert terms["weight"].tolist() == near(found.row)
    assert terms["‖value‖"].tolist() == near(np.linalg.norm(found.v, axis=-1))
    assert terms["‖weight × value‖"].tolist() == near(np.linalg.norm(found.terms, axis=-1))
    assert fact(app, "length of the sum: ‖o‖") == near(np.linalg.norm(found.output), 1e-3)
    strips = [canvas(app, "strips", each) for each in range(len(app.get("bidi_component")) - 1)]
    values = next(values for header, values in strips if "head's output o" in header["labels"][-1] and len(values) > 1)
    assert values[-1] == near(found.output, 0.02 * np.abs(found.terms).max() + 0.02 * np.abs(found.output).max())


def test_heads_are_summed_and_added_to_the_stream(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    heads = table(app, "head", "length", "share of the sum")
    assert heads["length"].tolist() == near(np.linalg.norm(found.contributions, axis=-1), 1e-3)
    shares = found.contributions @ found.sum / (found.sum @ found.sum)
    assert heads["share of the sum"].tolist() == near(shares, 1e-3)
    assert fact(app, "length out") == near(np.linalg.norm(found.contributions[found.head]), 1e-3)
    assert fact(app, "length before") == near(np.linalg.norm(found.stream[found.i]), 1e-3)
    assert fact(app, "length of what is added") == near(np.linalg.norm(found.sum), 1e-3)
    assert fact(app, "length after") == near(np.linalg.norm(found.residual), 1e-3)


def test_titles_tell_what_every_step_comes_to(numbers: tuple[AppTest, Worked]) -> None:
    app, found = numbers
    titles = {step: app.button(key=f"fold_{step}").label.replace("\\", "") for step in STEPS}
    size = np.linalg.norm
    expected = {
        "vector": [size(found.stream[found.i])],
        "norm": [size(found.normed[found.i])],
        "projections": [size(found.q), size(found.k[found.j]), size(found.v[found.j])],
        "scores": [found.raw[found.j]],
        "scale": [found.scores[found.j]],
        "softmax": [found.row[found.j]],
        "values": [size(found.output)],
        "slice": [size(found.contributions[found.head])],
        "heads": [size(found.sum)],
        "residual": [size(found.residual)],
        "next_norm": [size(found.next_normed)],
    }
    for step, values in expected.items():
        said = [float(each.replace("−", "-")) for each in re.findall(r"= ([−\d.]+(?:e−\d+)?)", titles[step])]
        assert said == near(values, 1e-3), step


def test_every_step_says_how_near_the_models_own_it_is(numbers: tuple[AppTest, Worked]) -> None:
    app, _ = numbers
    said = re.findall(r"model's own tensor: \*\*(.*?)\*\* \(measured on this sentence\)", shown(app))
    assert len(said) == len(STEPS) and max(map(float, said)) < 1e-5


def test_a_masked_key_is_called_so_and_drawn_as_absent(app: AppTest) -> None:
    opened(app, kind="decoder", cell="2.4", open=ALL, read="numbers")
    assert "masked" in shown(app) and app.button(key="fold_mask").label.endswith("−∞")
    told = drawn(app, "told")
    assert ["masked"] * (len(told[0]) - 2) in [row[2:] for row in told]
    assert np.isnan(canvas(app, "detail")[1][1, 3])


# --- story, formula, code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(CELLS))
def test_every_step_is_told_and_written_as_a_formula(app: AppTest, exported: Path, kind: str) -> None:
    head, cell = CELLS[kind]
    found = worked(exported, kind)
    opened(app, kind=kind, head=head, cell=cell, open=ALL, read="story")
    assert f"gives **{found.row[found.j]:.1%}** of its attention" in shown(app)
    products = found.products
    assert (
        f"{(products > 0).sum()} of {found.d} products pull the score up, by {products[products > 0].sum():.2f}"
        in shown(app)
    )
    hidden = (~found.open).sum()
    assert (f"{hidden} of {len(found.open)} scores become" in shown(app)) == bool(hidden)
    settled(app.segmented_control(key="read").set_value("formula").run())
    assert len(app.latex) == len(STEPS)
    assert f"{found.scores[found.j]:.3f}" in app.latex[4].value and f"{found.q[0]:.3f}" in app.latex[3].value


@pytest.mark.parametrize("kind", list(CELLS))
def test_the_code_shown_runs_after_the_command_shown(app: AppTest, tmp_path: Path, kind: str) -> None:
    """Exactly the texts on the page, one after the other, print the numbers beside them."""
    head, cell = CELLS[kind]
    opened(app, kind=kind, head=head, cell=cell, open=ALL, read="code")
    command, *codes = [block.value for block in app.code]
    assert len(codes) == len(STEPS)
    (tmp_path / "assets").symlink_to(models.assets())
    promised = [each.value for each in app.caption if each.value.startswith("It prints")]
    with contextlib.chdir(tmp_path):
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "core"]
        run_command(words[3:])
        for code, caption in zip(codes, promised, strict=True):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(code, "shown", "exec"), {})
            said = [float(each) for each in re.search(r"\*\*(.*?)\*\*", caption)[1].split(", ")]
            assert [float(each) for each in printed.getvalue().split()] == pytest.approx(said, rel=1e-4, abs=1e-5)


# --- edits ----------------------------------------------------------------------------------------------------------


def test_the_edited_model_is_looked_into_and_called_edited(app: AppTest, tmp_path: Path) -> None:
    """Scores under another scale are not q · k / √d any more, and the step says so; the rest still adds up."""
    edit = write_edits([Scale("encoder.2.1", 1.0)])
    opened(app, head="2.1", cell="3.4", open=ALL, read="numbers", edits=edit)
    assert "an edit changed that tensor" in shown(app) and "edited model, this sentence" in shown(app)
    run = models.forced(SENTENCE, "en-ko", models.TRANSLATOR, (Scale("encoder.2.1", 1.0),))
    weights = run.encoder[1].self_attention.weights[0].numpy()
    assert canvas(app, "detail")[1] == near(weights, 0.51 / heatmap.STEPS)
    settled(app.segmented_control(key="read").set_value("code").run())
    with contextlib.chdir(tmp_path):
        run_command(shlex.split(app.code[0].value)[3:])
        with np.load("run.npz") as arrays:
            assert np.abs(arrays["encoder.1.self_attention.weights"][0] - weights).max() < 1e-6
    settled(app.segmented_control(key="attention_run").set_value("trained").run())
    assert "an edit changed that tensor" not in shown(app) and "measured on this sentence" in shown(app)


# --- the scale ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(CELLS))
def test_the_dial_recomputes_every_row(app: AppTest, exported: Path, kind: str) -> None:
    head, cell = CELLS[kind]
    found = worked(exported, kind)
    opened(app, "scaling", kind=kind, head=head, cell=cell, dial="3")
    arrays = {name: found.run[f"{found.path}.{name}"][found.head].astype(float) for name in ("query", "key")}
    mask = found.run[f"{found.path}.mask"]

    def rows(divisor: float) -> np.ndarray:
        scores = np.where(mask, arrays["query"] @ arrays["key"].T / divisor, -np.inf)
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        return exponentials / exponentials.sum(-1, keepdims=True)

    weights = rows(found.d ** (3 / 16))
    _, values = canvas(app, "detail")
    assert (np.isnan(values) == ~mask).all()
    assert values[mask] == near(weights[mask], 0.51 / heatmap.STEPS)
    largest = {
        name: rows(divisor).max(-1).mean()
        for name, divisor in {"before": found.d**0.5, "after": found.d ** (3 / 16)}.items()
    }
    assert f"{largest['before']:.3f} → {largest['after']:.3f}" in shown(app)
    curve = drawn(app, "value", name="largest weight")[0]
    assert curve[7] == near(largest["after"]) and curve[12] == near(largest["before"])
    jacobian = [np.linalg.norm(np.diag(row) - np.outer(row, row)) for row in weights]
    assert drawn(app, "value", name="norm of the softmax Jacobian")[0][7] == near(np.mean(jacobian))


def test_the_dial_becomes_an_edit_and_is_taken_back(app: AppTest) -> None:
    opened(app, "scaling", head="2.3", dial="0")
    settled(app.select_slider(key="dial").set_value(16).run())
    settled(next(each for each in app.button if each.label.startswith("Run the model")).click().run())
    channels = run_of().encoder[1].self_attention.query.shape[-1]
    assert app.session_state["edits"] == (Scale("encoder.2.3", 1 / channels),)
    after = models.forced(SENTENCE, "en-ko", models.TRANSLATOR, app.session_state["edits"])
    assert f"{float(after.log_probabilities.sum()):.3f}" in shown(app)
    settled(next(each for each in app.button if each.label == "Take it back").click().run())
    assert app.session_state["edits"] == ()


@pytest.mark.parametrize("row", ["entropy", "largest", "jacobian"])
def test_rows_are_compared_one_by_one(app: AppTest, row: str) -> None:
    opened(app, "scaling", head="1.1")
    settled(app.segmented_control(key="dial_row").set_value(row).run())
    assert app.session_state["dial_row"] == row


def test_the_twist_is_told_from_the_numbers(app: AppTest) -> None:
    opened(app, "scaling", gradient_guess="vanishes")
    said = shown(app)
    found = re.search(
        r"Measured: \*\*(.*?)\*\*\. The mean is \*\*(.*?)\*\* without the division and (.*?) with it", said
    )
    assert found and found[1] == "it grows" and float(found[2]) > 2 * float(found[3])
    curves = drawn(app, "value", name="not divided")
    assert [len(each) for each in curves if len(each) == len(CHANNELS)]
    settled(app.segmented_control(key="scale_keys").set_value(8).run())
    settled(next(each for each in app.button if each.label == "Other random vectors").click().run())
    assert app.session_state["scale_seed"] == 5 and "seeds 5 to 9" in shown(app)


def test_this_heads_own_gradients_are_those_of_its_queries(app: AppTest, exported: Path) -> None:
    found = worked(exported, "encoder")
    opened(app, "scaling", head=CELLS["encoder"][0], **GUESSES)
    q, k, v = (found.run[f"{found.path}.{name}"][found.head].astype(float) for name in ("query", "key", "value"))
    norms = []
    for row in q:
        scores = k @ row / np.sqrt(found.d)
        p = np.exp(scores - scores.max())
        p /= p.sum()
        covariance = (v - p @ v).T @ np.diag(p) @ (k - p @ k) / np.sqrt(found.d)
        norms.append(np.linalg.norm(covariance) / np.sqrt(found.d))
    figures = table(app, "figure").set_index("figure")["this head, divided by √d"]
    assert figures["mean gradient ‖∂o/∂q‖"] == near(np.mean(norms))
    assert figures["median gradient ‖∂o/∂q‖"] == near(np.sort(norms)[(len(norms) - 1) // 2])


def test_training_without_the_division_is_told_from_the_logs(app: AppTest) -> None:
    opened(app, "scaling")
    assert "Loss on unseen sentences" not in shown(app)
    settled(app.pills(key="undivided_guess").set_value("neither").run())
    for channels, pair in PAIRS.items():
        measured = [[each for each in read_log(name) if "validation_loss" in each] for name in pair]
        ends = [{each["seed"]: each["validation_loss"] for each in log} for log in measured]
        losses = [statistics.median(each.values()) for each in ends]
        divided, undivided = (f"{loss:.2f}" for loss in losses)
        said = f"**{channels} channels**: {divided} nats divided by √d, {undivided} not divided"
        assert f"{said} ({losses[1] - losses[0]:+.2f})" in shown(app)


# --- query, key and value -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("kind", list(CELLS))
def test_what_moves_is_what_numpy_moves(app: AppTest, exported: Path, kind: str, what: str) -> None:
    head, cell = CELLS[kind]
    found = worked(exported, kind)
    opened(app, "asking", kind=kind, head=head, cell=cell, replace=what, replace_by="1", **GUESSES)
    q, k, v = (found.run[f"{found.path}.{name}"][found.head].astype(float) for name in ("query", "key", "value"))
    mask = found.run[f"{found.path}.mask"]

    def outcome(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores = q @ k.T / np.sqrt(found.d)
        exponentials = np.exp(np.where(mask, scores, -np.inf) - scores.max(-1, keepdims=True))
        weights = exponentials / exponentials.sum(-1, keepdims=True)
        return scores * mask, weights, weights @ v

    changed = {"query": q.copy(), "key": k.copy(), "value": v.copy()}
    if what in changed:
        changed[what][found.i if what == "query" else found.j] = changed[what][0]
    else:
        part = "key" if what == "all_keys" else "query"
        changed[part] += changed[part][0].copy()
    before, after = outcome(q, k, v), outcome(*changed.values())
    scores, weights, outputs = (late - early for late, early in zip(after, before, strict=True))
    assert fact(app, "largest change of a score") == near(np.abs(scores).max(), 2e-3)
    assert fact(app, "largest change of a weight") == near(np.abs(weights).max(), 2e-3)
    assert fact(app, "largest change of an output (length)") == near(np.linalg.norm(outputs, axis=-1).max(), 2e-3)
    assert near(np.linalg.norm(outputs, axis=-1), 1e-3) in drawn(app, "value")
    header, moved = canvas(app, "detail", 1)
    assert np.nan_to_num(moved) == near(weights, 0.02 * header["signed"] + 1e-5)
    if what in ("value", "all_keys"):
        assert "**No weight moved**" in shown(app)


def test_another_token_can_take_its_place(app: AppTest) -> None:
    opened(app, "asking", cell="3.4", replace="key", **GUESSES)
    settled(app.selectbox(key="replace_by").set_value(6).run())
    settled(app.selectbox(key="attention_key").set_value(7).run())
    assert app.session_state["cell"] == (2, 7) and app.session_state["replace_by"] == 6
    settled(app.segmented_control(key="replace").set_value("query").run())
    settled(app.selectbox(key="attention_query").set_value(1).run())
    assert app.session_state["cell"] == (1, 7)


# --- exp and expectation --------------------------------------------------------------------------------------------


def test_three_scores_under_sliders(app: AppTest, exported: Path) -> None:
    head, cell = CELLS["encoder"]
    found = worked(exported, "encoder")
    opened(app, "exp", head=head, cell=cell)
    strongest = np.argsort(-found.scores)[:3]
    settled(app.slider(key="exp_1").set_value(-1.5).run())
    settled(app.select_slider(key="exp_t").set_value(2.0).run())
    scores = (found.scores[strongest] + [-1.5, 0, 0]) / 2
    weights = np.exp(scores) / np.exp(scores).sum()
    assert drawn(app, "value", name="softmax: exp, then sum to 1")[0] == near(weights)
    assert drawn(app, "value", name="sigmoid: each for itself")[0] == near(1 / (1 + np.exp(-scores)))
    assert fact(app, "p₁ / p₂") == near(weights[0] / weights[1], 2e-3) == near(np.exp(scores[0] - scores[1]), 2e-3)
    assert fact(app, "exp(s₁ − s₂)") == fact(app, "p₁ / p₂")
    assert fact(app, "∂o/∂s: p(v − o) against trying it out") < 1e-6


def test_adding_changes_nothing_and_multiplying_sharpens(app: AppTest) -> None:
    opened(app, "exp", cell="3.4", **GUESSES)
    said = re.search(r"largest change of a weight is \*\*(.*?)\*\*.*from (.*?) to \*\*(.*?)\*\*", shown(app))
    assert said and float(said[1]) < 1e-9 and float(said[3]) > float(said[2])


def test_draws_come_near_the_weights(app: AppTest, exported: Path) -> None:
    head, cell = CELLS["encoder"]
    found = worked(exported, "encoder")
    opened(app, "exp", head=head, cell=cell)
    assert drawn(app, "value", name="weight")[-1] == near(found.row)
    settled(app.segmented_control(key="exp_draws").set_value(10_000).run())
    shares = drawn(app, "value", name="share of the draws")[-1]
    assert sum(shares) == near(1.0) and shares == pytest.approx(found.row, abs=0.03)
    apart = np.linalg.norm(np.array(shares) @ found.v - found.output)
    assert fact(app, "‖mean of the draws − o‖") == near(apart, 2e-3)
    variance = found.row @ (np.linalg.norm(found.v - found.output, axis=-1) ** 2)
    assert fact(app, "to be expected: √(variance ÷ N)") == near(np.sqrt(variance / 10_000), 2e-3)
    settled(next(each for each in app.button if each.label == "Draw again").click().run())
    assert drawn(app, "value", name="share of the draws")[-1] != shares


def test_a_query_with_two_keys_is_too_short_for_three_sliders(app: AppTest) -> None:
    opened(app, "exp", kind="decoder", cell="2.1")
    assert "fewer than three keys" in shown(app) and not app.slider


# --- on itself ------------------------------------------------------------------------------------------------------


def test_every_head_is_measured_on_this_sentence(app: AppTest) -> None:
    opened(app, "itself", itself_guess="all")
    run = run_of()
    own, most = [], 0
    for layers in (run.encoder, run.decoder):
        weights = np.stack([layer.self_attention.weights.numpy() for layer in layers])
        diagonal = np.einsum("lhqq->lhq", weights)
        own.append(diagonal.mean(-1).ravel())
        most += int(((weights.argmax(-1) == np.arange(weights.shape[-1])).mean(-1) > 0.5).sum())
    assert f"it is **{most} of {sum(map(len, own))}** heads" in shown(app)
    dots = drawn(app, "value")
    assert near(own[0]) in dots and near(own[1]) in dots
    levels = [each[0] for each in drawn(app, "level")]
    queries = len(run.target_tokens)
    assert levels == near([1 / len(run.source_tokens), np.mean([1 / count for count in range(1, queries + 1)])])
    settled(app.segmented_control(key="itself_what").set_value("strongest").run())
    assert near(own[0]) not in drawn(app, "value")


def test_random_projections_follow_their_controls(app: AppTest) -> None:
    opened(app, "itself", itself_guess="none", itself_tokens="4")
    assert "By chance, both would be 0.250" in shown(app)
    before = table(app, "queries and keys")["mean weight on itself"].tolist()
    settled(app.toggle(key="itself_equal").set_value(True).run())
    settled(app.slider(key="itself_tokens").set_value(20).run())
    assert table(app, "queries and keys")["mean weight on itself"].tolist() != before
    assert "0.050" in shown(app)


@pytest.fixture
def with_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An assets folder of links whose translator has a card that a test may write; the app reads from it."""
    folder = tmp_path / "models" / models.TRANSLATOR
    folder.mkdir(parents=True)
    shipped = models.assets()
    (tmp_path / "tokenizer.json").symlink_to(shipped / "tokenizer.json")
    (folder / "weights.safetensors").symlink_to(shipped / "models" / models.TRANSLATOR / "weights.safetensors")
    shutil.copy(shipped / "models" / models.TRANSLATOR / "card.json", folder)
    monkeypatch.setenv("HEADROOM_ASSETS", str(tmp_path))
    models.model.clear()
    yield folder / "card.json"
    models.model.clear()


def test_figures_over_held_out_sentences_come_from_the_card(app: AppTest, with_card: Path) -> None:
    card = json.loads(with_card.read_text())
    config = card["config"]
    layers = {"encoder": config["encoder_layers"], "decoder": config["decoder_layers"]}
    names = [
        f"{stack}.{layer}.self_attention.{head}"
        for stack, count in layers.items()
        for layer in range(count)
        for head in range(config["heads"])
    ]
    heads = {
        name: {"strongest_on_itself": float(number < 3), "weight_on_itself": (number + 1) / 100}
        for number, name in enumerate(names)
    }
    report = {"sentences": 1000, "uniform": {"encoder": 0.0625, "decoder": 0.25}, "heads": heads}
    with_card.write_text(json.dumps(card | {"metrics": card["metrics"] | {"self_attention": report}}))
    opened(app, "itself", itself_guess="few")
    assert f"over **1,000** held-out sentences. There **3 of {len(names)}**" in shown(app)
    count = layers["encoder"] * config["heads"]
    assert drawn(app, "stored")[0] == near([(number + 1) / 100 for number in range(count)])
    assert f"0.010 – {count / 100:.3f}" in shown(app) and "0.062" in shown(app) and not app.code


def test_a_card_without_them_says_how_to_measure(app: AppTest, with_card: Path) -> None:
    card = json.loads(with_card.read_text())
    card["metrics"].pop("self_attention", None)
    with_card.write_text(json.dumps(card))
    opened(app, "itself", itself_guess="few")
    assert app.code[0].value == "python -m core evaluate translator --save" and not drawn(app, "stored")
