"""The feed-forward page through the app: every part, its numbers, a neuron's name, and a twin that is missing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages_of_twins import BAD, CAT, opened, write_models
from visits import forget, rows_of, settled, shown

from core.experiments import feed_forward as experiments
from pages.parts import models
from pages.parts.feed_forward.twins import TWINS

PARTS = ("affine", "xor", "neurons", "twins")
GUESSES = {"feed_affine_guess": "no", "feed_xor_guess": "3", "feed_twin_guess": "feed-forward-none"}
WAITING = {"affine": "feed_affine_guess", "xor": "feed_xor_guess", "twins": "feed_twin_guess"}
SHALLOW = {"encoder_layers": 1, "decoder_layers": 1, "width": 32, "content_width": 32, "feed_forward": 64}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assets = tmp_path_factory.mktemp("assets")
    write_models(assets, ("translator", *TWINS), translator=SHALLOW)
    return assets


@pytest.fixture
def assets(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy that a test may damage; the app reads from it, and forgets it afterwards."""
    copy = tmp_path / "assets"
    shutil.copytree(stored, copy)
    monkeypatch.setenv("HEADROOM_ASSETS", str(copy))
    monkeypatch.setattr(experiments, "STEPS", 50)
    monkeypatch.setattr(experiments, "WRITTEN", 12)
    forget()
    yield copy
    forget()


def part(name: str, **address: str) -> Any:
    return opened("feed_forward", **({"feed_part": name} | GUESSES | address))


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", PARTS)
def test_every_part_opens_in_korean(name: str) -> None:
    app = part(name, lang="ko")
    assert any("가" <= letter <= "힣" for letter in app.title[0].value)
    assert not app.warning


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", WAITING)
def test_the_answer_waits_for_a_prediction(name: str) -> None:
    app = opened("feed_forward", feed_part=name)
    assert "You said" not in shown(app)
    settled(app.pills(key=WAITING[name]).set_value(GUESSES[WAITING[name]]).run())
    assert "You said" in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", ["affine", "neurons"])
def test_nothing_typed_breaks_a_part(name: str) -> None:
    app = part(name)
    for text in BAD:
        settled(app.text_input(key="text").set_value(text).run())
        assert "<b>x" not in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", [*PARTS, "fifth"])
def test_a_tampered_link_falls_back(name: str) -> None:
    wild = {"feed_layer": "9", "feed_neuron": "99999", "feed_stack": "<b>", "feed_xor": "or", "feed_affine_layer": "0"}
    app = part(name, **wild)
    assert app.segmented_control(key="feed_part").value == (name if name in PARTS else "affine")


@pytest.mark.usefixtures("assets")
def test_the_defects_are_those_of_the_model() -> None:
    table = part("affine").dataframe[0].value
    found = experiments.defects(models.in_double("translator"), models.run(CAT, "en-ko"), 0, (1, 2))
    assert table["affine?"].tolist() == ["yes" if each < 1e-9 else "no" for each in found.values()]
    assert table["affine?"].tolist()[0] == "yes" and "no" in table["affine?"].tolist()


@pytest.mark.usefixtures("assets")
def test_losses_are_drawn_for_every_seed() -> None:
    app = part("xor", feed_xor="feed-forward")
    found = experiments.learn_xor(experiments.SETTINGS["feed-forward"])
    assert [row["value"] for row in rows_of(app, 0) if row.get("name") == "seed 1"] == pytest.approx(
        [loss for _step, loss in found[1].losses]
    )


@pytest.mark.usefixtures("assets")
def test_a_neuron_keeps_the_name_that_it_was_given() -> None:
    app = part("neurons", feed_stack="encoder", feed_neuron="5")
    field = next(each for each in app.text_input if each.label == "Name this neuron")
    settled(field.set_value("likes *cats*").run())
    assert "Named in this layer: 5 likes \\*cats\\*" in shown(app)
    settled(app.number_input(key="feed_neuron").set_value(6).run())
    assert next(each for each in app.text_input if each.label == "Name this neuron").value == ""
    settled(app.number_input(key="feed_neuron").set_value(5).run())
    assert next(each for each in app.text_input if each.label == "Name this neuron").value == "likes *cats*"


@pytest.mark.usefixtures("assets")
def test_a_model_without_neurons_says_so() -> None:
    assert "no feed-forward network" in shown(part("neurons", model="feed-forward-none"))


def test_a_missing_twin_is_named_and_the_rest_is_shown(assets: Path) -> None:
    shutil.rmtree(assets / "models" / "feed-forward-none")
    app = part("twins")
    assert len(app.warning) == 1 and any("train feed-forward-none" in each.value for each in app.text)
    assert len(app.get("vega_lite_chart")) == 2


def graded(assets: Path, **shares: tuple[float, ...]) -> None:
    """Stored figures of new sentences for these twins, a number for each seed."""
    for name, found in shares.items():
        path = assets / "models" / name.replace("_", "-") / "card.json"
        metrics = [{way: {"random": {"exact_match": share}} for way in ("en-ko", "ko-en")} for share in found]
        card = json.loads(path.read_text()) | {"metrics_by_seed": dict(enumerate(metrics))}
        path.write_text(json.dumps(card))


def test_the_best_is_named_where_the_seeds_tell_it_apart(assets: Path) -> None:
    equal, deep, gelu = (0.3, 0.4), (0.3, 0.32), (0.5, 0.52)
    graded(
        assets, positions_sum=(0.7, 0.72), feed_forward_none=equal, feed_forward_none_deep=deep, feed_forward_gelu=gelu
    )
    said = shown(part("twins"))
    assert "**Sum** is best: 71.0%" in said and "36.0 points are lost" in said


def test_no_winner_is_named_within_the_spread_of_the_seeds(assets: Path) -> None:
    graded(
        assets,
        positions_sum=(0.6, 0.6),
        feed_forward_none=(0.4, 0.8, 0.62),
        feed_forward_none_deep=(0.05, 0.05),
        feed_forward_gelu=(0.58, 0.58),
    )
    said = shown(part("twins"))
    assert "is best" not in said and "**No feed-forward** has the highest median, 62.0%" in said
    assert "apart from Sum, GELU is no larger" in said and "no difference shows (-2.0 points" in said
