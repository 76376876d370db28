"""What ships: the trained models do what their cards say, and what the pages promise of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from core import load, trace, translate
from core.checkpoint import CARD_KEYS, Model
from core.training.evaluate import evaluate
from core.variants import VARIANTS

MODELS = Path(__file__).parent.parent / "assets" / "models"
NAMES = sorted(folder.name for folder in MODELS.iterdir() if (folder / "card.json").exists())
SAMPLE, FEWEST = 40, 20
"""Pairs of each split, and about how many of them a figure grades at least (not every pair has an ambiguous word)."""


@pytest.fixture(scope="module")
def translator() -> Model:
    return load("translator")


def card(name: str) -> dict:
    return json.loads((MODELS / name / "card.json").read_text(encoding="utf-8"))


def test_every_row_of_the_table_ships() -> None:
    assert set(NAMES) == set(VARIANTS)


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_complete_and_logs_cover_their_seeds(name: str) -> None:
    assert set(CARD_KEYS) <= set(card(name))
    lines = (MODELS / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["seed"] for record in records} == set(card(name)["seeds"])
    assert any("validation_exact_match" in record for record in records)
    assert {"step", "loss", "learning_rate", "gradient_norm"} <= set().union(*records)


@pytest.mark.parametrize("name", NAMES)
def test_cards_tell_the_truth(name: str) -> None:
    """Re-measure a sample of every split: the stored weights reach what the card claims."""
    model = load(name)
    measured = evaluate(model.network, model.tokenizer, sample=SAMPLE, small=VARIANTS[name].recipe.slice)
    for direction in ("en-ko", "ko-en"):
        for split, figures in card(name)["metrics"][direction].items():
            for figure, value in figures.items():
                near = pytest.approx(value, abs=tolerance(value))
                assert measured[direction][split][figure] == near, (direction, split, figure)


def tolerance(share: float) -> float:
    """Three standard errors of a share measured on few pairs."""
    return 3 * math.sqrt(max(share * (1 - share), 0.03) / FEWEST)


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
