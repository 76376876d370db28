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
from core.measures.choices import CLAIMS, LEAST, Choice, Claim, Finding, choice, findings, read_costs
from core.network import build
from core.tokens import Tokenizer
from core.variants import BASE, VARIANTS
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


def finding(better: float, other: float, *, alike: bool = False) -> Finding:
    return Finding(Claim("x", "a", "b", alike=alike), better, other, LEAST)


def test_verdicts_follow_the_numbers() -> None:
    assert finding(0.9, 0.5).verdict == "borne out"
    assert finding(0.5, 0.9).verdict == finding(0.5, 0.9, alike=True).verdict == "contradicted"
    assert finding(0.5, 0.5 + LEAST / 2).verdict == "no difference"
    assert finding(0.5, 0.5 + LEAST / 2, alike=True).verdict == finding(0.9, 0.5, alike=True).verdict == "borne out"


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
