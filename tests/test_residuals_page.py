"""The residuals page through the app: every part, its numbers, and what happens when a twin is missing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages_of_twins import BAD, CAT, opened, write_models
from visits import forget, rows_of, settled, shown

from core.experiments import residuals as experiments
from pages.parts import models

PARTS = ("stream", "depth", "least", "activations", "alike", "back")
GUESSES = {
    "residual_share_guess": "half",
    "residual_depth_guess": "tenth",
    "residual_least_guess": "all",
    "residual_relu_guess": "relu",
    "residual_alike_guess": "norm",
}
WAITING = dict(zip(PARTS, GUESSES, strict=False))
TWINS = ("positions-sum", "residual-none", "norm-post", "feed-forward-none", "depth-2", "depth-2-bare")
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
    monkeypatch.setattr("pages.parts.residuals.depth.DEPTHS", (1, 2, 2))
    forget()
    yield copy
    forget()


def part(name: str, **address: str) -> object:
    return opened("residuals", **({"residual_part": name, "residual_layers": "2"} | GUESSES | address))


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", PARTS)
def test_every_part_opens_in_korean(name: str) -> None:
    app = part(name, lang="ko")
    assert any("가" <= letter <= "힣" for letter in app.title[0].value)
    assert app.get("vega_lite_chart")


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", WAITING)
def test_the_answer_waits_for_a_prediction(name: str) -> None:
    app = opened("residuals", residual_part=name, residual_layers="2")
    assert "You said" not in shown(app)
    settled(app.pills(key=WAITING[name]).set_value(GUESSES[WAITING[name]]).run())
    assert "You said" in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", ["stream", "back"])
def test_nothing_typed_breaks_a_part(name: str) -> None:
    app = part(name)
    for text in BAD:
        settled(app.text_input(key="text").set_value(text).run())
        assert "<b>x" not in shown(app)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", [*PARTS, "seventh"])
def test_a_tampered_link_falls_back(name: str) -> None:
    wild = {"residual_stack": "x", "residual_cells": "<b>", "residual_sigma": "9", "residual_token": "99"}
    wild |= {"residual_layers": "7", "residual_output": "-3", "residual_blocks": "many", "residual_branch": "1"}
    app = part(name, **wild)
    assert app.segmented_control(key="residual_part").value == (name if name in PARTS else "stream")


@pytest.mark.usefixtures("assets")
def test_the_lengths_are_those_of_the_run() -> None:
    app = part("stream")
    steps = experiments.stream(models.run(CAT, "en-ko"), "encoder")
    cells = [row["value"] for row in rows_of(app, 2)]
    assert cells == pytest.approx([float(each) for step in steps for each in step.after.norm(dim=-1)])
    settled(app.segmented_control(key="residual_cells").set_value("turn").run())
    assert all(-1.001 <= row["value"] <= 1.001 for row in rows_of(app, 2))


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("model", ["residual-none", "norm-post", "feed-forward-none"])
@pytest.mark.parametrize("name", ["stream", "least", "activations", "back"])
def test_models_that_lack_a_part_say_so(model: str, name: str) -> None:
    app = part(name, model=model, residual_cells="share")
    expected = {
        ("residual-none", "stream"): "carries **nothing**",
        ("residual-none", "least"): "nothing but the branch",
        ("norm-post", "least"): "no free way past",
        ("feed-forward-none", "activations"): "no feed-forward network",
    }
    assert expected.get((model, name), "") in shown(app)


@pytest.mark.usefixtures("assets")
def test_a_dial_turned_up_explodes() -> None:
    calm = {row["x"]: row["value"] for row in rows_of(part("least", residual_sigma="0.1"), 0)}
    wild = {row["x"]: row["value"] for row in rows_of(part("least", residual_sigma="1.5"), 0)}
    assert calm[48] < 10 < wild[48]


@pytest.mark.usefixtures("assets")
def test_f_minus_x_leaves_exactly_nothing() -> None:
    assert "exactly **0**" in shown(part("least", residual_branch="minus", residual_sigma="1"))


def test_a_missing_twin_is_named_and_the_rest_is_shown(assets: Path) -> None:
    shutil.rmtree(assets / "models" / "depth-2-bare")
    app = part("depth")
    assert len(app.warning) == 1 and any("train depth-2-bare" in each.value for each in app.text)
    assert len(app.get("vega_lite_chart")) > 4


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize(("ratio", "said"), [(0.1, "a small difference"), (0.5, "no small one"), (1.5, "more than a")])
def test_what_is_said_of_the_difference_follows_its_length(
    ratio: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.parts.residuals.stream._mean_ratio", lambda steps: ratio)
    app = part("stream")
    assert said in shown(app) and f"**{ratio:.2f}**" in shown(app)
    assert sum(each in shown(app) for each in ("a small difference", "no small one", "more than a")) == 1
