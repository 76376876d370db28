"""Costs and findings of the zoo: the benchmark's file, what is made of cards, and the page that shows them."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import zoo as bench
from core.charts import design_choices as charts
from core.checkpoint import CARD_KEYS, save
from core.measures.choices import (
    CLAIMS,
    ENOUGH,
    FIGURES,
    LEAST,
    Choice,
    Claim,
    Finding,
    choice,
    findings,
    leaders,
    noise,
    read_costs,
)
from core.measures.unigram import Plateau
from core.network import build
from core.tokens import Tokenizer
from core.variants import BASE, LONGEST_TRAINED, VARIANTS
from pages.parts import zoo
from pages.parts.design_choices.findings import sentences

ROOT = Path(__file__).parents[1]
ROWS = (BASE, "norm-post", "recurrent-gru")


def card(name: str, *shares: float, **more: Any) -> dict[str, Any]:
    """The card of a row whose seeds got these shares right, with the same in both directions."""
    metrics = [{each: {"random": {"exact_match": share}} for each in ("en-ko", "ko-en")} for share in shares]
    by_seed = {str(seed): each for seed, each in enumerate(metrics)}
    config = VARIANTS[name].config(100).to_json()
    known = {"name": name, "config": config, "parameters": 5, "seeds": list(range(len(shares)))}
    return dict.fromkeys(CARD_KEYS) | known | {"metrics": metrics[0], "metrics_by_seed": by_seed} | more


@pytest.fixture(scope="module")
def assets(tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three untrained rows of the zoo."""
    folder = tmp_path_factory.mktemp("assets")
    torch.manual_seed(0)
    for name in ROWS:
        network = build(VARIANTS[name].config(tiny_tokenizer.size))
        save(network, card(name, 0.5) | {"config": network.config.to_json()}, folder / "models" / name)
    shutil.copy(ROOT / "assets" / "tokenizer.json", folder)
    return folder


def test_the_benchmark_writes_what_the_page_reads(assets: Path) -> None:
    section = bench.measured(rounds=1, assets=assets)
    costs = read_costs(assets / "costs.json")
    assert costs is not None and set(costs.rows) == set(ROWS)
    assert [row[0] for row in section.rows] == list(costs.rows)
    assert all(name in section.about for name in VARIANTS if not VARIANTS[name].curves_only and name not in ROWS)
    for name, cost in costs.rows.items():
        network = bench.load(name, assets=assets).network
        assert cost.parameters == sum(weight.numel() for weight in network.parameters())
        assert cost.milliseconds > 0 and cost.working_bytes > 0 and cost.multiply_adds > 0
    assert str(assets) not in (assets / "costs.json").read_text() and "/" not in costs.measured_on.split(", torch")[0]
    assert section.markdown().count("|") > 7 * len(ROWS)


ROWLESS = json.dumps({"source": 1, "target": 1, "rounds": 1, "measured_on": "", "rows": {"a": {"parameters": None}}})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 3}', '{"rows": {"a": {}}}', ROWLESS])
def test_a_file_that_is_none_is_no_cost(tmp_path: Path, text: str) -> None:
    path = tmp_path / "costs.json"
    assert read_costs(path) is None
    path.write_text(text)
    assert read_costs(path) is None


def test_a_choice_is_what_its_card_says() -> None:
    found = choice(BASE, card(BASE, 0.5, 0.7, 0.6))
    assert found.exact["random"] == pytest.approx((0.5, 0.7, 0.6))
    assert found.median("random") == pytest.approx(0.6) and found.spread("random") == pytest.approx(0.2)
    assert found.median("long") is None and found.spread("long") is None and found.alignment is None
    assert choice(BASE, card(BASE, 0.5)).spread("random") is None
    missing = card(BASE, math.nan)
    assert (
        choice(BASE, missing).exact == {}
        and choice(BASE, missing | {"metrics": None, "metrics_by_seed": None}).exact == {}
    )


def finding(better: float, other: float, *, alike: bool = False, by: str = "random", null: float = 0.0) -> Finding:
    return Finding(Claim("x", "a", "b", by, alike), better, other, LEAST, null)


def test_verdicts_follow_the_numbers() -> None:
    assert finding(0.9, 0.5).verdict == "borne out"
    assert finding(0.5, 0.9).verdict == finding(0.5, 0.9, alike=True).verdict == "contradicted"
    assert finding(0.5, 0.5 + LEAST / 2).verdict == "no difference"
    assert finding(0.5, 0.5 + LEAST / 2, alike=True).verdict == finding(0.9, 0.5, alike=True).verdict == "borne out"


@pytest.mark.parametrize("alike", [False, True])
def test_at_the_floor_of_a_figure_nothing_can_be_told(alike: bool) -> None:
    assert finding(0.01, 0.0, alike=alike).verdict == finding(0.0, 0.03, alike=alike).verdict == "cannot be told"
    assert finding(0.1, 0.08, alike=alike, by="longest", null=0.09).verdict == "cannot be told"
    assert finding(5.2, 6.4, alike=alike, by="loss", null=5.2).verdict == "cannot be told"
    assert finding(0.5, 0.0, alike=alike).verdict == finding(1.7, 2.3, alike=alike, by="loss", null=5.2).verdict
    assert finding(1.7, 2.3, alike=alike, by="loss", null=5.2).verdict == "borne out"
    assert finding(2.3, 1.7, alike=alike, by="loss", null=5.2).verdict == "contradicted"


def table(*rows: tuple[int, int, float]) -> list[dict[str, float]]:
    return [
        {"from": least, "count": count, "exact_match": 0.0, "token_accuracy": share} for least, count, share in rows
    ]


def by_length(name: str, *tables: list[dict[str, float]]) -> Choice:
    """A row whose seeds translate nothing exactly, and have these tables."""
    found = card(name, *[0.0] * len(tables))
    for metrics, rows in zip(found["metrics_by_seed"].values(), tables, strict=True):
        metrics["by_length"] = rows
    return choice(name, found)


def judged(better: Choice, other: Choice) -> list[tuple[str, int | None, str]]:
    found = findings({each.name: each for each in (better, other)})
    return [(each.claim.name, each.length, each.verdict) for each in found if each.claim.by != "random"]


def test_long_sentences_are_judged_by_tokens_where_both_have_enough_of_the_same() -> None:
    end = LONGEST_TRAINED + 1
    few = (end + 10, ENOUGH - 1, 0.0)
    base = by_length(BASE, table((end, 30, 0.42), (end + 5, 20, 0.30), few))
    ahead = by_length("positions-rotary", table((end, 30, 0.40), (end + 5, 20, 0.50), few))
    assert judged(ahead, base) == [("rotary", end + 5, "borne out")]
    behind = by_length("positions-rotary", table((end, 30, 0.60), (end + 5, 20, 0.10)))
    assert judged(behind, base) == [("rotary", end + 5, "contradicted")]
    shorter = by_length("positions-rotary", table((end, 30, 0.60)))
    assert judged(shorter, base) == [("rotary", end, "borne out")]
    others = by_length("positions-rotary", table((end, 29, 0.60), (end - 5, 30, 0.6)))
    assert judged(others, base) == [], "not the same sentences, or none that are longer than in training"


def test_the_spread_over_seeds_counts_with_tokens_too() -> None:
    pair = "recurrent-attention", "recurrent-bidirectional"
    before = by_length(pair[1], table((20, 30, 0.4)), table((20, 30, 0.4)))
    steady = by_length(pair[0], table((20, 30, 0.6)), table((20, 30, 0.6)))
    wide = by_length(pair[0], table((20, 30, 0.3)), table((20, 30, 0.9)), table((20, 30, 0.6)))
    lacking = by_length(pair[0], table((20, 30, 0.6)), table((25, 30, 0.6)))
    assert judged(steady, before) == [("looking_back", 20, "borne out")]
    assert judged(wide, before) == [("looking_back", 20, "no difference")]
    assert judged(lacking, before) == [], "every seed has to have the lengths"


def test_gates_are_judged_by_the_last_loss_of_every_seed() -> None:
    def row(name: str, *losses: float) -> Choice:
        early = [{"seed": seed, "step": 1, "validation_loss": 9.0} for seed in range(len(losses))]
        late = [{"seed": seed, "step": 2, "validation_loss": loss} for seed, loss in enumerate(losses)]
        return choice(name, card(name, *[0.0] * len(losses)), records=[*early, *late, {"seed": 0, "step": 3}])

    gated, plain = row("recurrent-gru", 1.7, 1.8), row("recurrent-tanh", 2.2, 2.3)
    assert gated.losses == (1.7, 1.8)
    assert judged(gated, plain) == [("gates", None, "borne out")]
    assert judged(row("recurrent-gru", 2.2), row("recurrent-tanh", 1.7)) == [("gates", None, "contradicted")]
    flat = Plateau("", 0, 0, 5.6, 0.09, 5.1, 5.7, 0.09, 5.2)
    stuck = {each.name: each for each in (row("recurrent-gru", 5.2), row("recurrent-tanh", 5.7))}
    assert [each.verdict for each in findings(stuck, flat)] == ["cannot be told"]
    assert FIGURES["longest"].null(flat) == 0.09 and FIGURES["longest"].null(None) is None


def test_who_is_not_told_from_the_best_stands_beside_it() -> None:
    assert leaders({"a": [0.4], "b": [0.6], "c": [0.6 - LEAST / 2]}) == ["b", "c"]
    assert leaders({"a": [0.1, 0.4, 0.9], "b": [0.6]}) == ["b", "a"]
    assert leaders({"a": [0.4], "b": [0.6]}) == ["b"]
    assert noise([0.4], [0.5]) == LEAST and noise([0.4, 0.6], [0.5]) == pytest.approx(0.2)


def test_scores_that_are_not_divided_hardly_matter_with_few_channels() -> None:
    shares = {BASE: 0.6, "scale-none": 0.4, "heads-1": 0.6, "scale-none-wide": 0.1}
    verdicts = {
        each.claim.name: each.verdict
        for each in findings({name: choice(name, card(name, share)) for name, share in shares.items()})
    }
    assert verdicts["scale"] == "contradicted" and verdicts["scale_wide"] == "borne out"


def test_what_contradicts_comes_first_and_what_is_missing_is_left_out() -> None:
    shares = {BASE: 0.6, "residual-none": 0.9, "norm-rms": 0.6, "norm-none": 0.1}
    found = findings({name: choice(name, card(name, share)) for name, share in shares.items()})
    assert [(each.claim.name, each.verdict) for each in found] == [
        ("residual", "contradicted"),
        ("rms", "borne out"),
        ("unnormed", "borne out"),
    ]
    wide = {
        BASE: choice(BASE, card(BASE, 0.3, 0.6, 0.7)),
        "norm-none": choice("norm-none", card("norm-none", 0.5, 0.5, 0.5)),
    }
    assert [each.verdict for each in findings(wide)] == ["no difference"]


def test_every_claim_has_words_and_rows() -> None:
    assert set(sentences(lambda text: text)) == {claim.name for claim in CLAIMS}
    for claim in CLAIMS:
        assert not VARIANTS[claim.better].curves_only and not VARIANTS[claim.other].curves_only


def test_every_row_has_a_name_a_group_and_a_difference() -> None:
    words: Mapping[str, str]
    for words in (zoo.names(lambda text: text), zoo.differences(lambda text: text)):
        assert {name for name, row in VARIANTS.items() if not row.curves_only} <= set(words)
    assert {row.group for row in VARIANTS.values()} == set(zoo.groups(lambda text: text))


def test_the_scatter_holds_the_figures() -> None:
    dots = [charts.Dot("A", "g", 10.0, 0.1, 0.2, 0.3, base=True), charts.Dot("B", "h", 20.0, 0.4, 0.5, 0.6)]
    words = {"cost": "c", "accuracy": "a", "base": "base"}
    spec = charts.scatter(dots, ["g", "h"], words=words, named=True)
    assert [row["middle"] for row in spec["data"]["values"]] == [0.2, 0.5]
    assert spec["layer"][0]["data"]["values"] == [{"y": 0.2, "name": "base"}]
    assert len(charts.scatter(dots, ["g", "h"], words=words, named=False)["layer"]) == len(spec["layer"]) - 1


def test_costs_stand_beside_the_choice(assets: Path) -> None:
    bench.measured(rounds=1, assets=assets)
    costs = read_costs(assets / "costs.json")
    found: Choice = choice(BASE, card(BASE, 0.5), costs)
    assert costs is not None and found.cost == costs.rows[BASE]
    assert choice("heads-2", card("heads-2", 0.5), costs).cost is None
