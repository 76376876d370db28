"""The positions page through the app: every part, its numbers, and what happens when a twin is missing."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import visits
from streamlit.testing.v1 import AppTest
from visits import forget, settled, shown

from core.charts import heatmap
from core.checkpoint import CARD_KEYS, save
from core.experiments import relative
from core.measures.decomposition import first_layer_parts
from core.positions import sinusoid
from core.tokens import load_tokenizer
from core.transformer import Transformer
from core.variants import LONGEST_TRAINED, VARIANTS
from pages.parts import models
from pages.parts.zoo import names

ROOT = Path(__file__).parents[1]
PARTS = ("pattern", "size", "sum", "order", "table", "relative", "longer", "together")
TWINS = ("positions-sum", "positions-concat", "positions-concat-equal", "positions-none")
LEARNED = ("positions-learned", "positions-learned-concat")
EVERY = (*TWINS[:3], *LEARNED, "positions-rotary", "positions-alibi", "positions-none")
USES = dict.fromkeys(PARTS, EVERY) | {"pattern": (), "size": (), "sum": TWINS, "order": TWINS, "table": LEARNED}
"""The twins without which a part can show nothing."""
GUESSES = {"size_guess": "tenth", "twin_guess": "positions-sum", "order_guess": "none", "pairs_guess": "4"}
GUESSES |= {
    "table_guess": "partly",
    "shift_guess": "much",
    "longer_guess": "positions-sum",
    "moved_guess": "positions-sum",
}
LENGTHS = [
    {"from": 5 * row, "count": 40 - 8 * row, "exact_match": 0.5, "token_accuracy": 1 - row / 10} for row in range(5)
]
TRAINED = 7  # rows of the learned tables that differ from what the seed draws
ORDERS = {"typed_exact_match": 0.6, "removed_exact_match": 0.3, "shuffled_exact_match": 0.1}
STUDY = "나는 공부하러 독서실에 간다"
SPLITS = ("random", "compositional", "long")
BAD = ("<b>x</b>", "# $x$ *y* [a](b)", "a" * 60, "😀", "Zorblax", ".", "שלום 世界", "cat cat cat")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assets folder with untrained models of the real shapes: their figures mean nothing, their form is right."""
    assets = tmp_path_factory.mktemp("assets")
    shutil.copy(ROOT / "assets" / "tokenizer.json", assets)
    tokenizer = load_tokenizer()
    seen = sorted({token.id for token in tokenizer.encode("The animal did not cross the street because it was too .")})
    for number, name in enumerate(("translator", *TWINS, *EVERY[3:7])):
        torch.manual_seed(number)
        config = VARIANTS[name].config(tokenizer.size)
        if name == "translator":
            config = replace(config, width=32, content_width=32, feed_forward=64, encoder_layers=1, decoder_layers=1)
        network = brief(Transformer(config), tokenizer.end_id)
        if name in LEARNED:
            network.source.positions.table.weight.data[:TRAINED] += 1.0
        figures = {split: {"exact_match": 0.9 - number / 10} for split in SPLITS} | {"copy": {"exact_match": math.nan}}
        metrics = {"en-ko": figures, "ko-en": figures, "alignment": {}}
        if name != "positions-concat":  # an older card
            metrics |= {"by_length": LENGTHS, "order": ORDERS}
        card = dict.fromkeys(CARD_KEYS) | {"name": name, "config": config.to_json(), "metrics": metrics}
        card |= {"seeds": [number]}
        folder = assets / "models" / name
        save(network, card | {"vocabulary_seen": seen, "metrics_by_seed": {"0": metrics, "1": metrics}}, folder)
        lines = [
            {"seed": seed, "step": step, "loss": 9 - step / 100 + seed, "validation_loss": 8 - step / 100 + seed}
            for seed in (0, 1)
            for step in (25, 50, 75)
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return assets


def brief(network: Transformer, end: int) -> Transformer:
    """The network, inclined to end its translations at once: untrained ones babble for as long as they may."""
    last = network.readout if isinstance(network.readout, torch.nn.Linear) else network.decoder.final_norm
    last.bias.data += 20 * torch.nn.functional.normalize(network.embedding.weight.data[end], dim=0)
    return network


def opened(part: str, **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    return visits.opened("positions", **({"part": part} | address))


def canvas(app: AppTest, mode: str) -> tuple[dict[str, Any], np.ndarray]:
    """A canvas's header, and the values that its bytes stand for."""
    for component in app.get("bidi_component"):
        data = component.proto.bytes
        header, cells = heatmap.unpack(data) if data else ({}, np.zeros(0))
        if header.get("mode") == mode:
            values = cells.reshape(header["shape"]) / heatmap.STEPS
            return header, (2 * values - 1) * header["signed"] if "signed" in header else values
    raise AssertionError(f"no {mode} on this page")


def values(app: AppTest, chart: int, field: str = "value", **where: Any) -> list[Any]:
    """A field of the rows that a chart was given, of those rows that have the values named."""
    tables = [
        pa.ipc.open_stream(each.data.data).read_all() for each in app.get("vega_lite_chart")[chart].proto.datasets
    ]
    rows = [row for table in tables for row in table.to_pylist()]
    return [row[field] for row in rows if field in row and all(row.get(name) == value for name, value in where.items())]


def table_of(app: AppTest, chart: int) -> list[dict[str, Any]]:
    """The rows of a chart that was drawn from a specification."""
    rows: list[dict[str, Any]] = (
        pa.ipc.open_stream(app.get("vega_lite_chart")[chart].proto.data.data).read_all().to_pylist()
    )
    return rows


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(part: str, language: str) -> None:
    app = opened(part, lang=language, text=STUDY, **GUESSES)
    assert app.segmented_control(key="part").value == part
    assert any("가" <= letter <= "힣" for letter in app.title[0].value) == (language == "ko")
    assert app.get("vega_lite_chart")


@pytest.mark.parametrize("missing", ["positions-none", "positions-concat"])
def test_the_twins_that_are_there_are_counted(assets: Path, missing: str) -> None:
    ways = {"positions-none": "left out", "positions-concat": "every layer wider"}
    before = shown(opened("sum"))
    assert f"{len(TWINS)} of them" in before and ways[missing] in before
    shutil.rmtree(assets / "models" / missing)
    forget()
    said = shown(opened("sum"))
    assert f"{len(TWINS) - 1} of them" in said and ways[missing] not in said


def test_a_winner_is_named_only_where_the_seeds_tell_it_apart(assets: Path) -> None:
    assert "**Sum** is best" in shown(opened("sum", **GUESSES))
    path = assets / "models" / "positions-concat" / "card.json"
    card = json.loads(path.read_text())
    card["metrics_by_seed"]["1"] = {way: {"random": {"exact_match": 0.9}} for way in ("en-ko", "ko-en")}
    path.write_text(json.dumps(card))
    forget()
    said = shown(opened("sum", **GUESSES))
    assert "is best" not in said and "the highest median" in said


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize(("part", "key"), [("size", "size_guess"), ("order", "order_guess"), ("sum", "twin_guess")])
def test_the_answer_waits_for_a_prediction(part: str, key: str) -> None:
    app = opened(part)
    before = len(app.get("vega_lite_chart"))
    settled(app.pills(key=key).set_value(GUESSES[key]).run())
    assert len(app.get("vega_lite_chart")) > before
    assert "You said" in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", PARTS)
def test_nothing_typed_breaks_a_part(part: str) -> None:
    app = opened(part, **GUESSES)
    for text in BAD:
        settled(app.text_input(key="text").set_value(text).run())
        assert "<b>" not in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", [*PARTS, "fifth"])
def test_a_tampered_link_falls_back(part: str) -> None:
    wild = {"d": "7", "base": "-1", "at": "99.x", "waves": "1,2,900", "shift": "1e9", "pairs": "0", "probe": "3"}
    wild |= {"twin": "gpt-7", "twin_head": "99", "term": "9.9", "pair": "0.0", "curve": "<b>", "shuffle": "many"}
    app = opened(part, **wild, size_guess="no", twin_guess="no", order_guess="1", pairs_guess="many")
    assert not app.warning and not app.error
    assert app.segmented_control(key="part").value == (part if part in PARTS else "pattern")


# --- part 1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize(("width", "base"), [(64, 10_000), (16, 100)])
def test_the_matrix_is_the_formula(width: int, base: int) -> None:
    app = opened("pattern", d=str(width), base=str(base), at="11.6")
    header, drawn = canvas(app, "detail")
    formula = sinusoid(torch.arange(64), width, float(base)).numpy()
    assert np.abs(drawn - formula).max() <= 0.51 / (heatmap.STEPS / 2)
    assert header["cell"] == [10, 5]
    assert any(f"{formula[10, 5]:.4f}" in each.value for each in app.latex)
    assert values(app, 0, name="dimension 0") == pytest.approx(formula[:, 0].tolist())


@pytest.mark.usefixtures("assets")
def test_few_pairs_are_confused_after_113_turns() -> None:
    app = opened("pattern", pairs_guess="1")
    assert "**710**" in shown(app) and "it takes **6**" in shown(app)
    settled(app.slider(key="pairs").set_value(8).run())
    assert "**0** and **1**" in shown(app)


@pytest.mark.usefixtures("assets")
def test_waves_that_a_narrower_vector_lacks_are_dropped() -> None:
    app = opened("pattern", d="64", waves="0,60")
    assert app.multiselect(key="waves").value == [0, 60]
    settled(app.select_slider(key="d").set_value(8).run())
    assert max(app.multiselect(key="waves").value) < 8


# --- part 2 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_the_lengths_are_those_of_the_run() -> None:
    app = opened("size", text="I am a cat", size_guess="hundredth")
    run = models.run("I am a cat", "en-ko")
    words, places = (part.norm(dim=-1) for part in (run.source.embedding, run.source.position))
    assert values(app, 0, name="word vector × √d") == pytest.approx(words.tolist())
    assert values(app, 0, name="position vector") == pytest.approx([4.0] * len(words), abs=1e-3)
    assert f"**{places.mean() / words.mean():.2f}** times" in shown(app)


# --- part 3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("twin", TWINS)
def test_the_parts_of_the_scores_are_drawn_and_add_up(twin: str) -> None:
    app = opened("sum", text="I am a cat", twin=twin, twin_head="2", term="2.3")
    run = models.run("I am a cat", "en-ko", twin)
    parts = first_layer_parts(models.model(twin).network, run)
    scores = run.encoder[0].self_attention.scores[1].numpy()
    header, drawn = canvas(app, "grid")
    step = 0.51 * header["signed"] / (heatmap.STEPS / 2)
    assert np.abs(drawn[0, 0] - parts.content_content[1]).max() <= step
    assert np.abs(drawn[1, 2] - scores).max() <= step + 1e-5
    assert np.abs(canvas(app, "detail")[1] - scores).max() <= step + 1e-5
    assert np.abs(parts.total - run.encoder[0].self_attention.scores.numpy()).max() < 1e-5
    assert sum(values(app, -1)) == pytest.approx(1.0)
    if twin == "positions-none":
        assert np.abs(drawn[:, 1][0]).max() <= step and np.abs(drawn[1, :2]).max() <= step


@pytest.mark.usefixtures("assets")
def test_the_cost_table_counts_every_parameter() -> None:
    table = opened("sum", text="I am a cat").dataframe[0].value
    assert table["parameters"].tolist() == [
        sum(weight.numel() for weight in models.model(name).network.parameters()) for name in TWINS
    ]
    assert (table["milliseconds"] > 0).all() and table["multiply–adds ÷ sum"].tolist()[0] == 1.0


@pytest.mark.usefixtures("assets")
def test_curves_and_accuracies_are_the_stored_ones() -> None:
    app = opened("sum", text="I am a cat", **GUESSES)
    assert values(app, 0, name="Sum", step=50) == [8.0]
    assert [values(app, 0, end, name="Sum", step=50) for end in ("low", "high")] == [[7.5], [8.5]]
    assert values(app, 1, name="Sum", split="new sentences") == pytest.approx([0.8])
    assert not values(app, 1, split="invented words")
    settled(app.segmented_control(key="curve").set_value("loss").run())
    assert values(app, 0, name="Sum", step=25) == [9.25]


@pytest.mark.usefixtures("assets")
def test_words_that_the_twins_never_saw_are_marked() -> None:
    assert "Underlined: words outside" not in shown(opened("sum", text="The animal did not cross the street."))
    app = opened("sum", text="The animal did not cross the bank.")
    assert "Underlined: words outside" in shown(app)
    marked = next(
        block for block in app.get("html") if "underline" in block.proto.body and "animal" in block.proto.body
    )
    assert "bank</bdi></span>" in marked.proto.body and "street" not in marked.proto.body


# --- part 4 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_without_positions_another_order_changes_nothing_but_the_order() -> None:
    app = opened("order", text="I am a cat", **GUESSES)
    assert max(values(app, 0, name="No positions")) < 1e-4 < 0.01 < min(values(app, 0, name="Sum"))
    assert "**0** of the four" in shown(app)
    before = shown(app)
    settled(app.button[0].click().run())
    assert shown(app) != before


@pytest.mark.usefixtures("assets")
def test_a_single_word_cannot_be_shuffled() -> None:
    assert "a single word" in shown(opened("order", text="cat", **GUESSES))


# --- part 1, turning ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_two_positions_that_one_pair_confuses_are_found() -> None:
    app = opened("pattern", place_p="3", place_q="713")
    assert "**Found.**" in shown(app)
    settled(app.number_input(key="place_q").set_value(4).run())
    assert "Not yet" in shown(app) and "0.159" in shown(app)
    settled(app.number_input(key="place_q").set_value(3).run())
    assert "the same position" in shown(app)


@pytest.mark.usefixtures("assets")
def test_the_rotation_that_is_drawn_moves_a_position_on() -> None:
    app = opened("pattern", d="8", shift="7", turn="4.3")
    formula = sinusoid(torch.arange(20), 8).numpy()
    latex = "".join(each.value for each in app.latex)
    for number in formula[17, 2:4]:
        assert latex.count(f"{number:.3f}") >= 2, "turned, and looked up"


# --- part 4, stored -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_what_removing_positions_costs_is_the_stored_figure() -> None:
    app = opened("order", text="I am a cat", **GUESSES)
    assert values(app, -1, name="positions removed", split="RoPE") == [0.3]
    assert not values(app, -1, split="Concat, wider") and "Stored without these figures: Concat, wider" in shown(app)
    assert "falls from 60% to 30%" in shown(app)


# --- part 5 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", LEARNED)
def test_the_products_are_those_of_the_table_and_its_untrained_rows_are_counted(name: str) -> None:
    app = opened("table", table=name, **GUESSES)
    table = models.model(name).network.source.positions.table.weight.detach()[:TRAINED].numpy()
    header, drawn = canvas(app, "detail")
    assert np.abs(drawn - table @ table.T).max() <= 0.51 * header["signed"] / (heatmap.STEPS / 2) + 1e-4
    facts = shown(app)
    assert f"{TRAINED}</bdi>" in facts and "0</bdi>" in facts
    assert values(app, 1, x=TRAINED, name="encoder") == pytest.approx([1.0])
    assert values(app, 1, x=0, name="encoder")[0] < 0.99 < values(app, 1, x=0, name="decoder")[0]


# --- part 6 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_the_turned_scores_are_those_of_the_run_and_see_distances_alone() -> None:
    app = opened("relative", text="I am a cat", rope_layer="2", rope_head="3", rope_by="500", **GUESSES)
    run = models.run("I am a cat", "en-ko", "positions-rotary")
    header, drawn = canvas(app, "detail")
    scores = run.encoder[1].self_attention.scores[2].numpy()
    assert np.abs(drawn - scores).max() <= 0.51 * header["signed"] / (heatmap.STEPS / 2) + 1e-5
    turned = relative.turned(run, 1, 2)
    assert (turned.scores() - scores).abs().max() < 1e-5
    assert (
        (turned.scores(500, 500) - turned.scores()).abs().max()
        < 1e-9
        < (turned.scores(9) - turned.scores()).abs().max()
    )
    with pytest.raises(TypeError):
        relative.turned(models.run("I am a cat", "en-ko", "positions-sum"), 0, 0)


@pytest.mark.usefixtures("assets")
def test_products_and_biases_are_the_scores() -> None:
    app = opened("relative", text="I am a cat", alibi_part="2", **GUESSES)
    run = models.run("I am a cat", "en-ko", "positions-alibi")
    found = relative.biased(run, 0, 0)
    assert (found.products + found.biases - found.scores).abs().max() < 1e-5
    assert (found.unbiased.sum(-1) - 1).abs().max() < 1e-9
    header, drawn = canvas(app, "grid")
    step = 0.51 * header["signed"] / (heatmap.STEPS / 2)
    assert np.abs(drawn[0, 1] - found.biases.numpy()).max() <= step
    assert relative.mean_distance(torch.eye(4)) == 0 and relative.mean_distance(torch.full((2, 2), 0.5)) == 0.5


@pytest.mark.usefixtures("assets")
def test_a_sentence_farther_on_changes_no_score_that_sees_distances() -> None:
    table = opened("relative", text="I am a cat", moved_by="100", **GUESSES).dataframe[0].value.set_index("twin")
    changes = table["largest change of a score, layer 1"]
    assert all(float(changes[name]) < 1e-3 for name in ("RoPE", "ALiBi", "No positions"))
    assert float(changes["Sum"]) > 0.01
    assert "64 positions" in changes["Learned, sum"]


# --- part 7 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_accuracy_by_length_is_the_stored_one_where_enough_sentences_are() -> None:
    app = opened("longer", **GUESSES)
    assert values(app, 0, name="RoPE", x=17) == pytest.approx([0.7])
    assert not values(app, 0, name="RoPE", x=22), "too few sentences"
    assert not values(app, 0, name="Concat, wider") and "Concat, wider" in shown(app)
    assert values(app, 0, "x", name="longest in training") == [LONGEST_TRAINED + 0.5]
    settled(app.segmented_control(key="longer_figure").set_value("exact_match").run())
    assert values(app, 0, name="RoPE", x=17) == pytest.approx([0.5])


# --- part 8 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_a_moved_word_is_nothing_to_a_twin_without_positions() -> None:
    app = opened("together", text="The cat does not sleep because it is tired.", **GUESSES)
    assert app.session_state["moved_word"] == "not" and app.session_state["moved_after"] == "is"
    rows = {row["token"]: row["difference"] for row in table_of(app, 0)}
    assert abs(rows["No positions"]) < 2e-5 < 1e-4 < max(abs(change) for change in rows.values())
    assert list(rows) == [names(str)[name] for name in EVERY]
    run = models.run("The cat does not sleep because it is tired.", "en-ko", "positions-sum")
    weights = run.encoder[0].self_attention.weights.numpy()
    assert np.abs(canvas(app, "grid")[1][0] - weights).max() <= 0.51 / heatmap.STEPS


@pytest.mark.usefixtures("assets")
def test_a_single_word_cannot_be_moved() -> None:
    assert "a single word" in shown(opened("together", text="cat", **GUESSES))


@pytest.mark.usefixtures("assets")
def test_twins_that_a_sentence_is_too_long_for_say_so_and_the_others_show() -> None:
    long = "qzx " * 22
    app = opened("together", text=long, **GUESSES)
    warned = [each.value for each in app.warning]
    assert len(warned) == 2 and all("64 positions" in each and "RoPE" in each for each in warned)
    assert len(table_of(app, 0)) == len(EVERY) - len(LEARNED)
    table = opened("relative", text=long, moved_by="1", **GUESSES).dataframe[0].value.set_index("twin")
    assert "64 positions" in table["largest change of a score, layer 1"]["Learned, sum"]


# --- files ----------------------------------------------------------------------------------------------------------


def texts(app: AppTest) -> str:
    return "\n".join(each.value for each in app.text)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        *(("sum", name) for name in TWINS),
        *(
            (part, name)
            for part in ("order", "relative", "longer", "together")
            for name in ("positions-none", "positions-alibi")
        ),
        *(("table", name) for name in LEARNED),
    ],
)
def test_a_missing_twin_is_named_and_the_others_are_shown(assets: Path, part: str, name: str) -> None:
    shutil.rmtree(assets / "models" / name)
    app = opened(part, text="I am a cat", **GUESSES)
    assert len(app.warning) == 1
    assert str(assets / "models" / name / "card.json") in texts(app)
    assert f"python -m core train {name}" in texts(app)
    assert app.get("vega_lite_chart")


@pytest.mark.parametrize("part", PARTS)
def test_without_any_twin_the_rest_works(assets: Path, part: str) -> None:
    for name in EVERY:
        shutil.rmtree(assets / "models" / name)
    app = opened(part, text="I am a cat", **GUESSES)
    assert all(f"python -m core train {name}" in texts(app) for name in USES[part])
    assert len(app.warning) == bool(USES[part])
    assert bool(app.get("vega_lite_chart")) == (part in ("pattern", "size"))


def test_a_damaged_log_is_named_and_the_other_curves_are_shown(assets: Path) -> None:
    (assets / "models" / "positions-none" / "log.jsonl").write_text("{")
    app = opened("sum", text="I am a cat", **GUESSES)
    assert "log.jsonl is damaged" in texts(app) and "python -m core train positions-none" in texts(app)
    assert values(app, 0, name="Sum") and not values(app, 0, name="No positions")
