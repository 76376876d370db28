"""What ships: the trained models do what their cards say, and what the pages promise of them."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

from core import load, trace, translate
from core.checkpoint import CARD_KEYS, Model, read_card
from core.corpus import SPLITS, Pair, held_out
from core.measures.choices import read_costs
from core.measures.cost import multiply_adds
from core.measures.curves import read_log, seeds
from core.network import read_config
from core.training.align import DIRECTIONS, alignment_report
from core.training.evaluate import JUDGES, exact, grade_splits
from core.training.lengths import alike, read_accuracy
from core.variants import VARIANTS

ASSETS = Path(__file__).parent.parent / "assets"
MODELS = ASSETS / "models"
NAMES = sorted(name for name, variant in VARIANTS.items() if not variant.curves_only)
SAMPLE = {True: 16, False: 40}
"""Pairs of each split, for small models and the translator."""
GRADED = 200
"""Pairs of each split that small models were graded on for their cards."""


@pytest.fixture(scope="module")
def translator() -> Model:
    return load("translator")


def card(name: str) -> dict:
    return read_card(name)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_cards_are_complete_and_logs_cover_their_seeds(name: str) -> None:
    """Every row of the table ships, or at least its curve, and says how to make it again."""
    about, records = card(name), read_log(name)
    assert set(CARD_KEYS) <= set(about) and about["command"].startswith(f"python -m core train {name}")
    assert read_config(about["config"]) == VARIANTS[name].config(about["config"]["vocabulary"])
    assert seeds(records) == sorted(about["seeds"])
    assert any("validation_exact_match" in record for record in records)
    assert {"step", "loss", "learning_rate", "gradient_norm"} <= set().union(*records)


@pytest.mark.parametrize("name", NAMES)
def test_cards_tell_the_truth(name: str) -> None:
    """Re-measure a sample of every split: the stored weights reach what the card claims."""
    model, small = load(name), VARIANTS[name].recipe.slice
    splits = {split: held_out(split, SAMPLE[small], slice=small) for split in SPLITS}
    for direction in DIRECTIONS:
        measured = grade_splits(model.network, model.tokenizer, splits, direction)
        for split, figures in card(name)["metrics"][direction].items():
            for figure, value in figures.items():
                found = measured[split][figure]
                if value is not None and found is not None:
                    judge = JUDGES.get(split, {}).get(figure, exact)
                    said = [judge(pair, "", direction, model.tokenizer) for pair in splits[split]]
                    near = pytest.approx(value, abs=tolerance(value, len(said) - said.count(None)))
                    assert found == near, (direction, split, figure)


@pytest.fixture(scope="module")
def graded() -> list[Pair]:
    """The pairs that every small model was graded on."""
    return held_out("random", GRADED, slice=True)


@pytest.mark.parametrize("name", [name for name in NAMES if VARIANTS[name].recipe.slice])
def test_small_models_read_as_their_cards_say(name: str, graded: list[Pair]) -> None:
    """Token by token, reading the reference: this tells even a model that no sentence is right of from chance."""
    model, found = load(name), []
    for direction in DIRECTIONS:
        for pairs in alike(graded, model.tokenizer, direction):
            sources = [model.tokenizer.source(pair.source(direction), direction) for pair in pairs]
            references = [pair.reference(direction) for pair in pairs]
            found += read_accuracy(model.network, model.tokenizer, sources, references)
    assert statistics.mean(found) == pytest.approx(card(name)["metrics"]["order"]["typed_token_accuracy"], abs=1e-3)


def test_costs_are_those_of_the_models_that_ship() -> None:
    costs = read_costs()
    assert costs is not None and set(costs.rows) == set(NAMES)
    for name, cost in costs.rows.items():
        config = read_config(card(name)["config"])
        assert cost.parameters == card(name)["parameters"]
        assert cost.multiply_adds == multiply_adds(config, costs.source, costs.target).total


def test_the_translator_aligns_as_its_card_says(translator: Model) -> None:
    pairs = held_out("random", SAMPLE[False])
    measured, said = alignment_report(translator.network, translator.tokenizer, pairs), card("translator")["metrics"]
    assert measured["best_head_error_rate"] == pytest.approx(said["alignment"]["best_head_error_rate"], abs=0.06)
    assert measured["best_head_content_accuracy"] > said["alignment"]["best_head_content_accuracy"] - 0.06


def test_all_assets_stay_small() -> None:
    assert sum(file.stat().st_size for file in ASSETS.rglob("*") if file.is_file()) < 100e6


def tolerance(share: float, pairs: int) -> float:
    """Three standard errors of a share measured on few pairs."""
    return 3 * math.sqrt(max(share * (1 - share), 0.03) / pairs)


def test_translator_fits_its_limits() -> None:
    config = card("translator")["config"]
    assert config["encoder_layers"] >= 3 and config["decoder_layers"] >= 3 and config["heads"] >= 4
    assert (MODELS / "translator" / "weights.safetensors").stat().st_size <= 25e6


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("I am a cat", "나는 고양이다"),
        ("나는 공부하러 독서실에 간다", "I go to the library to study"),
        (
            "The animal did not cross the street because it was too tired.",
            "동물이 너무 피곤했기 때문에 동물은 길을 건너지 않았다.",
        ),
        (
            "The animal did not cross the street because it was too wide.",
            "길이 너무 넓었기 때문에 동물은 길을 건너지 않았다.",
        ),
    ],
)
def test_learners_examples_are_translated(translator: Model, sentence: str, expected: str) -> None:
    assert translate(translator, sentence) == expected


def test_an_article_that_korean_leaves_open_may_be_either(translator: Model) -> None:
    assert translate(translator, "나는 고양이다.") in ("I am a cat.", "I am the cat.")


def test_moving_not_moves_the_meaning(translator: Model) -> None:
    """The place of "not" decides what is denied."""
    first = translate(translator, "Tom did not say that Anna was tired.")
    second = translate(translator, "Tom said that Anna was not tired.")
    assert first == "톰은 안나가 피곤하다고 말하지 않았다."
    assert second == "톰은 안나가 피곤하지 않다고 말했다."


def test_invented_names_are_copied(translator: Model) -> None:
    assert "Zorblax" in translate(translator, "My cat Zorblax sleeps on the sofa.")
    assert "뿌미" in translate(translator, "내 고양이 뿌미는 소파 위에서 잔다.")


def test_word_salad_is_answered_and_not_crashed_on(translator: Model) -> None:
    run = trace(translator, "cat I a am")
    assert run.translation and run.encoder[0].self_attention.weights.shape[-1] == len(run.source_tokens)
