"""The training page through the app: rates, curves, fates and the time-lapse, against logs and models of the test."""

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
from streamlit.testing.v1 import AppTest
from visits import forget

from core.charts import heatmap
from core.charts.training import Line, curves
from core.checkpoint import CARD_KEYS, CheckpointError, Model, save, save_weights, write_card
from core.decoding import longest_translation
from core.experiments.training import childhood, dead, final_losses, halfway, highest, rates, settled, spaced
from core.measures.unigram import Plateau, read_plateau, smoothed, surprise
from core.network import build
from core.run import reread, trace
from core.tokens import Tokenizer, load_tokenizer
from core.training.data import Examples, Specials
from core.training.schedules import SCHEDULES, paper_rate
from core.training.unigram import plateau, target_counts
from core.transformer import Transformer
from core.variants import BASE, VARIANTS, Recipe

ROOT = Path(__file__).parents[1]
PARTS = ("schedule", "runs", "fates", "lapse")
SEEDS, STEPS, SNAPSHOTS = (0, 1), (25, 50, 75), (1, 8, 75)
LIVING, DYING, BROKEN = (
    "schedule-pre-norm-6-warm-low",
    "schedule-post-norm-12-cold-middle",
    "schedule-post-norm-6-cold-high",
)
PICKED = {"fate_norm": "post-norm", "fate_depth": "12", "fate_start": "cold", "fate_rate": "middle"}
GUESSES = {"peak_guess": "root", f"fate_guess_{DYING}": "dead", "lapse_guess": "loss"}
TEXT = "I am a cat"
BAD = ("<b>x</b>", "# $x$ *y* [a](b)", "a" * 60, "😀", ".", "שלום 世界")
FLAT = Plateau("data", 10, 1_000, 5.6, 0.09, 5.1, 5.7, 0.08, 5.2)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assets folder with untrained models of the real form, and logs in which what the tests ask for is known."""
    assets = tmp_path_factory.mktemp("assets")
    shutil.copy(ROOT / "assets" / "tokenizer.json", assets)
    FLAT.write(assets / "unigram.json")
    tokenizer = load_tokenizer()
    for name in ("translator", BASE, "norm-post", "time-lapse"):
        network = untrained(name, tokenizer, 0)
        folder = assets / "models" / name
        save(network, card_of(name, network), folder)
        write_log(folder, lambda step, seed: 8 - step / 100 + seed / 10)
    for number, step in enumerate(SNAPSHOTS, 1):
        save_weights(
            untrained("time-lapse", tokenizer, number), assets / "models" / "time-lapse" / f"step-{step}.safetensors"
        )
    ends = {LIVING: lambda step, _: 6 - step / 50, DYING: lambda *_: 5.69, BROKEN: lambda *_: math.nan}
    for name, loss in ends.items():
        folder = assets / "curves" / name
        folder.mkdir(parents=True)
        write_card(card_of(name, untrained(BASE, tokenizer, 0)), folder)
        write_log(folder, loss)
    return assets


def untrained(name: str, tokenizer: Tokenizer, seed: int) -> Transformer:
    """A small network of a row's form, inclined to end its translations soon."""
    torch.manual_seed(seed)
    config = replace(VARIANTS[name].config(tokenizer.size), width=32, content_width=32, feed_forward=64)
    network = build(config)
    assert isinstance(network, Transformer)
    rows = network.embedding.weight.data
    network.decoder.final_norm.bias.data += 3 * torch.nn.functional.normalize(rows[tokenizer.end_id], dim=0)
    return network


def card_of(name: str, network: Transformer) -> dict[str, Any]:
    figures = {split: {"exact_match": 0.5} for split in ("random", "compositional", "long")}
    metrics = {"en-ko": figures, "ko-en": figures, "alignment": {}, "snapshots": [graded(step) for step in SNAPSHOTS]}
    about = {"name": name, "config": network.config.to_json(), "metrics": metrics, "seeds": list(SEEDS)}
    return dict.fromkeys(CARD_KEYS) | about | {"steps": 100, "command": f"python -m core train {name}"}


def graded(step: int) -> dict[str, Any]:
    """What the card has of a snapshot: better the later, so that every figure is half way at the second or third."""
    error = {1: 0.9, 8: 0.4, 75: 0.2}[step]
    heads = {f"decoder.{layer}.cross_attention.{head}": {"error_rate": error} for layer in (0, 1) for head in range(4)}
    best = {"best_head": "decoder.1.cross_attention.2", "best_head_error_rate": error, "permutation_error_rate": 0.85}
    return {
        "step": step,
        "validation_loss": {1: 8.8, 8: 6.0, 75: 1.0}[step],
        "validation_accuracy": 0.1,
        "validation_exact_match": {1: 0.0, 8: 0.1, 75: 0.6}[step],
        "alignment": best | {"heads": heads},
    }


def write_log(folder: Path, loss: Any) -> None:
    lines = [
        {"seed": seed, "step": step, "loss": loss(step, seed), "accuracy": 0.5, "learning_rate": step / 1e4}
        | {"gradient_norm": 1.5, "gradient_norms": norms(step), "weight_norms": norms(step)}
        for seed in SEEDS
        for step in STEPS
    ]
    lines += [
        {"seed": seed, "step": step, "validation_loss": loss(step, seed), "validation_exact_match": 0.25 + seed / 10}
        for seed in SEEDS
        for step in STEPS
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def norms(step: int) -> dict[str, float]:
    return {"embedding": 2.0, "encoder.0": step / 10, "decoder.1": step / 5}


def opened(part: str, **address: str) -> AppTest:
    """A part of the page opened through a link, as on a fresh server."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in ({"lang": "en", "text": TEXT, "training": part} | address).items():
        app.query_params[name] = value
    app.run()
    return calm(app.switch_page("pages/training.py").run())


def calm(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def shown(app: AppTest) -> str:
    kinds = ("title", "subheader", "markdown", "caption", "html", "warning", "error", "text")
    blocks = [block for kind in kinds for block in app.get(kind)]
    return "\n".join(str(getattr(block, "value", "") or getattr(block.proto, "body", "")) for block in blocks)


def charts_of(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def rows_of(app: AppTest, chart: int, **where: Any) -> list[dict[str, Any]]:
    """The rows drawn by a chart that have the values named."""
    proto = app.get("vega_lite_chart")[chart].proto
    streams = [proto.data.data, *(each.data.data for each in proto.datasets)]
    rows = [row for stream in streams if stream for row in pa.ipc.open_stream(stream).read_all().to_pylist()]
    return [row for row in rows if all(row.get(name) == value for name, value in where.items())]


def canvas(app: AppTest, mode: str) -> tuple[dict[str, Any], np.ndarray]:
    """A canvas's header, and its cells at every snapshot."""
    for component in app.get("bidi_component"):
        data = component.proto.bytes
        header, cells = heatmap.unpack(data) if data else ({}, np.zeros(0))
        if header.get("mode") == mode:
            return header, cells.reshape(-1, *header["shape"])
    raise AssertionError(f"no {mode} on this page")


def player_of(app: AppTest) -> dict[str, Any]:
    """What the player was handed."""
    for component in app.get("bidi_component"):
        if component.proto.json:
            found: dict[str, Any] = json.loads(component.proto.json)
            return found
    raise AssertionError("no player on this page")


# --- every part -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_in_both_languages(part: str, language: str) -> None:
    app = opened(part, lang=language, **GUESSES)
    assert app.segmented_control(key="training").value == part
    assert any("가" <= letter <= "힣" for letter in app.title[0].value) == (language == "ko")
    assert app.get("bidi_component") if part == "lapse" else app.get("vega_lite_chart")


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize(("part", "key"), list(zip(("schedule", "fates", "lapse"), GUESSES, strict=True)))
def test_the_answer_waits_for_a_prediction(part: str, key: str) -> None:
    app = opened(part)
    assert "You said" not in shown(app)
    calm(app.pills(key=key).set_value(GUESSES[key]).run())
    assert "You said" in shown(app)


@pytest.mark.usefixtures("assets")
def test_nothing_typed_breaks_the_time_lapse() -> None:
    app = opened("lapse", **GUESSES)
    for text in BAD:
        calm(app.text_input(key="text").set_value(text).run())
        assert "<b>" not in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("part", [*PARTS, "fifth"])
def test_a_tampered_link_falls_back(part: str) -> None:
    wild = {"warmup": "7", "rate_width": "-1", "peak_by": "x", "rate_run": "gpt", "run_group": "<b>", "run_figure": "9"}
    wild |= {"fate_norm": "no", "fate_rate": "1", "lapse_step": "10000", "lapse_head": "99.1", "lapse_cell": "0.0.0"}
    app = opened(part, **wild, **GUESSES)
    assert not app.error
    assert app.segmented_control(key="training").value == (part if part in PARTS else "schedule")


# --- part 1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "rate"), [(1, 1.7469e-7), (4_000, 6.98771e-4), (100_000, 1.39754e-4)])
def test_the_paper_s_rate_has_the_paper_s_values(step: int, rate: float) -> None:
    assert paper_rate(float(step), 512, 4_000) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(("width", "warmup"), [(64, 100), (512, 4_000)])
def test_the_highest_rate_is_where_the_warm_up_ends(width: int, warmup: int) -> None:
    at, rate = highest(width, warmup)
    assert at == warmup and rate == pytest.approx((width * warmup) ** -0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_the_schedule_times_the_peak(schedule: str) -> None:
    recipe = Recipe(100, 0, 3e-3, 10, 0, schedule=schedule)
    found = rates(recipe, range(1, 101), 100)
    assert max(found) == pytest.approx(3e-3, rel=0.15) and found[0] == pytest.approx(3e-4, rel=0.01)


def test_spaced_steps_rise_from_the_first_to_the_last() -> None:
    steps = spaced(1_000, 50)
    assert steps[0] == 1 and steps[-1] == 1_000 and steps == sorted(set(steps))


@pytest.mark.usefixtures("assets")
def test_the_curve_and_its_peak_are_the_formula() -> None:
    app = opened("schedule", **GUESSES, rate_width="128", warmup="1000")
    drawn = rows_of(app, 0, name="d_model 128, warm-up 1,000")
    assert all(row["value"] == pytest.approx(paper_rate(float(row["step"]), 128, 1_000)) for row in drawn) and drawn
    assert "**1,000**" in shown(app) and "× 0.707" in shown(app)
    calm(app.segmented_control(key="peak_by").set_value("hand").run())
    calm(app.segmented_control(key="shape").set_value("constant").run())
    assert max(row["value"] for row in rows_of(app, 0)) == pytest.approx(7e-4)


@pytest.mark.usefixtures("assets")
def test_logged_rates_are_dots_beside_the_formula() -> None:
    app = opened("schedule", **GUESSES, rate_run=BASE)
    logged = {row["step"]: row["value"] for row in rows_of(app, 1, dots=1)}
    assert logged == pytest.approx({step: step / 1e4 for step in STEPS})
    recipe = VARIANTS[BASE].recipe
    formula = [row["value"] for row in rows_of(app, 1, dots=0, dashed=0)]
    assert formula == pytest.approx(rates(recipe, STEPS, 100))


# --- part 2 ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_the_base_is_among_the_runs_of_a_group_with_its_null_lines() -> None:
    app = opened("runs", run_group="norms", run_figure="loss")
    assert {row["name"] for row in rows_of(app, 0) if "value" in row} >= {"Sum", "Post-LN"}
    (row,) = rows_of(app, 0, name="Sum", step=50)
    assert (row["low"], row["value"], row["high"]) == pytest.approx((7.5, 7.55, 7.6))
    spec = json.dumps(charts_of(app)[0]) + str(rows_of(app, 0))
    assert str(FLAT.loss) in spec and str(math.log(FLAT.vocabulary))[:6] in spec
    assert "no difference to speak of" in shown(app)
    assert "norm-none" in shown(app)  # which is not here: its command is shown


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("figure", ["accuracy", "validation_exact_match", "learning_rate", "gradient_norm"])
def test_every_figure_is_drawn(figure: str) -> None:
    app = opened("runs", run_group="norms", run_figure=figure)
    assert rows_of(app, 0, name="Sum", step=75)


@pytest.mark.usefixtures("assets")
def test_norms_are_shown_by_layer_or_by_run() -> None:
    app = opened("runs", run_group="norms", run_figure="gradient_norms", run_layer="encoder.0")
    assert [row["value"] for row in rows_of(app, 0, name="Post-LN", step=50)] == [5.0]
    calm(app.segmented_control(key="run_lines").set_value("layers").run())
    assert [row["value"] for row in rows_of(app, 0, name="decoder, layer 2", step=50)] == [10.0]


def test_a_stack_that_was_logged_as_a_whole_is_not_drawn_beside_a_final_norm(assets: Path) -> None:
    """A recurrent network's “encoder” is all of it, the base's the norm after its last layer: two things to choose."""
    folders = {BASE: assets / "models" / BASE, "recurrent-gru": assets / "models" / "recurrent-gru"}
    folders["recurrent-gru"].mkdir()
    for name, more in ((BASE, {"encoder.0": 5.0}), ("recurrent-gru", {})):
        norms = {"embedding": 1.0, "encoder": 2.0, "decoder": 3.0} | more
        lines = [{"seed": 0, "step": step, "gradient_norms": norms} for step in STEPS]
        (folders[name] / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    app = opened("runs", run_group="before attention", run_figure="gradient_norms")
    assert app.selectbox(key="run_layer").value == "encoder.whole"
    assert rows_of(app, 0, name="GRU") and not rows_of(app, 0, name="Sum")
    calm(app.selectbox(key="run_layer").set_value("encoder").run())
    assert rows_of(app, 0, name="Sum") and not rows_of(app, 0, name="GRU")
    calm(app.selectbox(key="run_layer").set_value("embedding").run())
    assert rows_of(app, 0, name="Sum") and rows_of(app, 0, name="GRU")
    calm(app.segmented_control(key="run_lines").set_value("layers").run())
    calm(app.selectbox(key="run_row").set_value("recurrent-gru").run())
    assert {row["name"] for row in rows_of(app, 0) if "name" in row} == {"whole encoder", "whole decoder"}


def test_runs_are_not_called_alike_where_the_base_was_not_measured(assets: Path) -> None:
    """The base is validated at other steps than a shorter run, whose last one then has no pair."""
    lines = [{"seed": seed, "step": 40, "loss": 1.0} for seed in SEEDS]
    (assets / "models" / "norm-post" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = shown(opened("runs", run_group="norms", run_figure="loss"))
    assert "nothing is said of how they differ" in said and "no difference to speak of" not in said


def test_the_seeds_of_the_runs_are_named(assets: Path) -> None:
    assert "seeds 0, 1." in shown(opened("runs", run_group="norms", run_figure="loss"))
    lines = [{"seed": 2, "step": step, "loss": 8.0} for step in STEPS]
    (assets / "models" / "norm-post" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    forget()
    assert "seeds 0, 1 (Sum); 2 (Post-LN)." in shown(opened("runs", run_group="norms", run_figure="loss"))


@pytest.mark.parametrize(
    ("linear", "verdict"),
    [(3.0, "So short a run punishes the fall"), (1.0, "The fall pays"), (2.1, "nor do all end above it")],
)
def test_schedules_are_told_in_the_order_in_which_they_ended(assets: Path, linear: float, verdict: str) -> None:
    """The seeds of a run end 0.2 apart; the mean rate is told only where it explains the order."""
    for name, last, rate in (("schedule-constant", 2.0, 2e-3), ("schedule-linear", linear, 1e-3)):
        folder = assets / "curves" / name
        folder.mkdir()
        lines = [
            {"seed": seed, "step": 75, "validation_loss": last + seed / 5, "learning_rate": rate} for seed in SEEDS
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    app = opened("runs", run_group="schedule", run_figure="learning_rate")
    said, told = shown(app), {"Constant": 2.0, "Linear decay": linear}
    order = [f"**{name}** {last + 0.1:.2f} ({last:.2f} – {last + 0.2:.2f})" for name, last in told.items()]
    assert ", ".join(order if linear > 2 else order[::-1]) in said and verdict in said
    assert "no difference to speak of" not in said
    assert ("The order is that of the mean logged rate (2.00 · 10⁻³, 1.00 · 10⁻³)" in said) == (linear > 2)
    assert {row["name"] for row in rows_of(app, 0) if "step" in row} == {"Sum", *told}, "the grid has charts of its own"


def test_a_log_without_a_figure_leaves_its_line_out(assets: Path) -> None:
    log = assets / "models" / "norm-post" / "log.jsonl"
    old = [{"seed": 0, "step": step, "loss": 8.0} for step in STEPS]
    log.write_text("".join(json.dumps(line) + "\n" for line in old))
    app = opened("runs", run_group="norms", run_figure="gradient_norms")
    assert not rows_of(app, 0, name="Post-LN") and rows_of(app, 0, name="Sum")
    assert "Not in the log of: Post-LN" in shown(app)


def test_without_the_plateau_the_curves_stay(assets: Path) -> None:
    (assets / "unigram.json").unlink()
    app = opened("runs", run_group="norms", run_figure="loss")
    assert rows_of(app, 0, name="Sum") and "python -m core corpus unigram" in shown(app)


# --- part 3 ---------------------------------------------------------------------------------------------------------


def test_a_run_is_dead_that_ends_near_the_plateau_or_breaks() -> None:
    assert dead(5.69, 5.7) and dead(6.0, 5.7) and dead(math.nan, 5.7)
    assert not dead(5.0, 5.7)


def test_final_losses_are_the_last_of_each_seed() -> None:
    log = [{"seed": seed, "step": step, "validation_loss": step + seed} for seed in SEEDS for step in STEPS]
    assert final_losses([*log, {"seed": 0, "step": 100, "loss": 1.0}]) == {0: 75.0, 1: 76.0}


@pytest.mark.usefixtures("assets")
def test_the_chosen_run_s_fate_is_measured() -> None:
    app = opened("fates", **GUESSES, **PICKED)
    assert "Measured: **it dies**" in shown(app) and "5.69 / 5.69" in shown(app)
    cells = {(row["row"], row["column"]): row for row in rows_of(app, 1) if "said" in row}
    assert len(cells) == len([each for each in VARIANTS.values() if each.group == "grid"]) == 24
    assert cells["post-LN, 12 + 12\nno warm-up", "0.003"]["said"] == "5.69 ✕\n5.69 ✕"
    assert cells["post-LN, 6 + 6\nno warm-up", "0.01"]["said"] == "NaN ✕\nNaN ✕"
    assert cells["pre-LN, 6 + 6\nwith warm-up", "0.001"]["said"] == "4.50\n4.50"
    assert sum(row["said"] == "–" for row in cells.values()) == 21
    assert "post-LN 4 of 4 · pre-LN 0 of 2" in shown(app)
    assert charts_of(app)[1]["encoding"]["y"]["title"]


def test_what_the_literature_says_of_warm_up_is_held_against_the_runs(assets: Path) -> None:
    """All post-LN runs of the test die cold. Warm, one of two depths learns, then both; then a pre-LN run dies too."""
    died, living = {0: 5.69, 1: 5.69}, {0: 3.0, 1: 3.0}
    ends = {"post-norm-6-warm-high": living, "post-norm-12-warm-middle": died | {0: 3.0}}
    for name, losses in ends.items():
        end(assets, name, losses)
    said = shown(opened("fates", **GUESSES, **PICKED))
    assert (
        "**Reproduced**: without warm-up, post-LN dies. Dead: 2 of 2 with 6 + 6 layers · 2 of 2 with 12 + 12 layers."
        in said
    )
    assert (
        "**Not reproduced**: with warm-up, post-LN learns. Dead: 0 of 2 with 6 + 6 layers · 1 of 2 with 12 + 12 layers."
        in said
    )
    assert "brings 3 of the 4 post-LN runs to life" in said
    end(assets, "post-norm-12-warm-middle", living)
    end(assets, "pre-norm-6-cold-low", died)
    said = shown(opened("fates", **GUESSES, **PICKED))
    assert (
        "**Reproduced**: with warm-up, post-LN learns. Dead: 0 of 2 with 6 + 6 layers · 0 of 2 with 12 + 12 layers."
        in said
    )
    assert "**Not reproduced**: pre-LN learns without warm-up too. Dead: 2 of 2 with 6 + 6 layers." in said


def end(assets: Path, name: str, losses: dict[int, float]) -> None:
    """Store a run of the grid that ends so."""
    folder = assets / "curves" / f"schedule-{name}"
    folder.mkdir(exist_ok=True)
    lines = [{"seed": seed, "step": 75, "validation_loss": loss} for seed, loss in losses.items()]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    forget()


def test_without_any_run_of_the_grid_the_page_says_so(assets: Path) -> None:
    shutil.rmtree(assets / "curves")
    app = opened("fates", **GUESSES, **PICKED)
    assert "is not here yet" in shown(app) and f"python -m core train {DYING}" in shown(app)


# --- part 4 ---------------------------------------------------------------------------------------------------------


def snapshots(assets: Path) -> dict[int, Model]:
    tokenizer, card = load_tokenizer(), json.loads((assets / "models" / "time-lapse" / "card.json").read_text())
    networks = {step: untrained("time-lapse", tokenizer, number) for number, step in enumerate(SNAPSHOTS, 1)}
    for network in networks.values():
        for tensor in network.state_dict().values():
            tensor.copy_(tensor.half().float())
    return {step: Model("time-lapse", network.eval(), tokenizer, card) for step, network in networks.items()}


def test_all_snapshots_read_what_the_last_one_wrote(assets: Path) -> None:
    young = snapshots(assets)
    grown = childhood(young, TEXT, "en-ko")
    last = trace(young[75], TEXT, direction="en-ko")
    assert grown.steps == SNAPSHOTS and grown.last.translation == last.translation
    for place, step in enumerate(SNAPSHOTS):
        run = reread(young[step], last, ())
        own = trace(young[step], TEXT, direction="en-ko")
        assert grown.losses[place] == pytest.approx(-float(run.log_probabilities.mean()))
        assert np.array_equal(grown.weights["cross"][place, 1], run.decoder[1].cross_attention.weights.numpy())
        assert np.array_equal(grown.weights["encoder"][place, 0], run.encoder[0].self_attention.weights.numpy())
        assert own.translation.startswith(grown.translations[place].rstrip("�"))
        assert grown.cut[place] or own.translation == grown.translations[place]
    assert len(last.predicted_tokens) <= longest_translation(len(last.source_tokens))


def test_milestones() -> None:
    assert halfway({1: 8.0, 2: 6.0, 4: 3.0, 8: 2.0}) == 4
    assert halfway({1: 0.0, 2: None, 4: 0.5, 8: 0.9}) == 4
    assert halfway({1: 0.0, 2: 0.0}) is None and halfway({}) is None
    assert [settled(texts) for texts in (["a"], ["a", "b"], ["b", "a", "b", "b"])] == [0, 1, 2]


def test_the_player_and_the_maps_hold_every_snapshot(assets: Path) -> None:
    app = opened("lapse", **GUESSES, lapse_head="1.3", lapse_step="2")
    grown = childhood(snapshots(assets), TEXT, "en-ko")
    player = player_of(app)
    assert (
        player["steps"] == list(SNAPSHOTS)
        and player["step"] == 2
        and player["texts"] == [text or "–" for text in grown.translations]
    )
    header, cells = canvas(app, "grid")
    assert header["frames"] == player["name"] and header["chosen"] == [0, 2]
    assert np.abs(cells / heatmap.STEPS - grown.weights["cross"]).max() < 0.003
    header, cells = canvas(app, "detail")
    assert np.abs(cells / heatmap.STEPS - grown.weights["cross"][:, 0, 2]).max() < 0.003
    loss, scores, weight = player["panels"]
    assert [value for _, value in loss["series"][0]["points"]] == pytest.approx(grown.losses, abs=1e-3)
    assert [value for _, value in scores["series"][0]["points"]] == [0.9, 0.4, 0.2]
    query, key = header["cell"]
    own = grown.weights["cross"][:, 0, 2, query, key]
    assert [value for _, value in weight["series"][0]["points"]] == pytest.approx(own, abs=1e-3)
    assert "the loss: step 75" in shown(app) and "right words: step 8" in shown(app)
    assert f"{own[1]:.4f}" in shown(app)


@pytest.mark.usefixtures("assets")
def test_masked_cells_of_the_decoder_stay_hatched() -> None:
    header, cells = canvas(opened("lapse", **GUESSES, lapse_kind="decoder"), "detail")
    rows, columns = header["shape"]
    above = np.triu(np.ones((rows, columns), dtype=bool), 1)
    assert (cells[:, above] == heatmap.ABSENT).all() and (cells[:, ~above] != heatmap.ABSENT).all()


@pytest.mark.parametrize("damage", ["missing", "damaged", "no model"])
def test_snapshots_that_cannot_be_read_are_named(assets: Path, damage: str) -> None:
    folder = assets / "models" / "time-lapse"
    if damage == "no model":
        shutil.rmtree(folder)
    for path in folder.glob("step-*"):
        path.unlink() if damage == "missing" else path.write_bytes(b"x")
    app = opened("lapse", **GUESSES)
    assert "The snapshots cannot be read" in shown(app) and "python -m core train time-lapse" in shown(app)
    assert not app.get("bidi_component")


def test_without_figures_on_the_card_the_heads_are_shown(assets: Path) -> None:
    path = assets / "models" / "time-lapse" / "card.json"
    card = json.loads(path.read_text())
    del card["metrics"]["snapshots"]
    path.write_text(json.dumps(card))
    app = opened("lapse")
    assert [len(panel["series"]) for panel in player_of(app)["panels"]] == [2, 1] and canvas(app, "grid")


# --- the plateau ----------------------------------------------------------------------------------------------------


def test_the_plateau_is_the_entropy_of_the_targets() -> None:
    """Two pairs: English 5 5 6 and 5, Korean 7 and 7 8; each side ends, the typed side is never asked for."""
    ids = np.array([5, 5, 6, 7, 9, 9, 9, 5, 7, 8, 9], dtype=np.int16)
    lengths = np.array([[3, 1, 3], [1, 2, 1]], dtype=np.int16)
    examples = Examples(ids, lengths, Specials(0, 1, 2, 3, 4))
    counts = target_counts(examples, 10)
    assert counts.tolist() == [[0, 0, 2, 0, 0, 3, 1, 0, 0, 0], [0, 0, 2, 0, 0, 0, 0, 2, 1, 0]]
    found = plateau(examples, examples, 10)
    shares = (counts.sum(0) + 1) / (counts.sum() + 10)
    assert found.loss == pytest.approx(-sum(c * math.log(s) for c, s in zip(counts.sum(0), shares, strict=True)) / 11)
    assert found.accuracy == pytest.approx(4 / 11) and found.pairs == 2
    assert surprise(np.array([4, 4]), np.array([0.5, 0.5])) == pytest.approx(math.log(2))
    assert smoothed(np.array([[0, 2]])).tolist() == [[0.25, 0.75]]


def test_the_shipped_plateau_lies_between_knowing_the_language_and_guessing() -> None:
    found = read_plateau()
    assert 0 < found.by_language < found.loss < math.log(found.vocabulary)
    assert found.held_out_loss == pytest.approx(found.loss, abs=0.3) and found.vocabulary == load_tokenizer().size


def test_a_plateau_comes_back_from_its_file(tmp_path: Path) -> None:
    FLAT.write(tmp_path / "unigram.json")
    assert read_plateau(tmp_path) == FLAT
    (tmp_path / "unigram.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_plateau(tmp_path)


def test_a_chart_leaves_out_what_is_no_number() -> None:
    line = Line("run", [(1, 1.0, 1.0, 1.0), (2, 0.0, 0.0, 0.0), (3, math.nan, math.nan, math.nan)])
    words = {"step": "step", "figure": "loss"}
    assert [row["step"] for row in curves([line], words=words)["data"]["values"]] == [1, 2]
    assert [row["step"] for row in curves([line], words=words, logarithmic=True)["data"]["values"]] == [1]
