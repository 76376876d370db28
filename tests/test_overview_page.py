"""The overview through the app: real tensors in the diagram, a page behind every box, and every stop of the tour."""

from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.charts import diagram, heatmap
from pages.parts import models
from pages.parts.overview import STEPS, tensors
from pages.parts.selection import KINDS
from pages.parts.tour import stops

ROOT = Path(__file__).parents[1]
STOPS = stops(lambda message: message)
CAT = "I am a cat"
LEADS = {
    "tokens": ["tokens"],
    "embedding": ["tokens"],
    "position": ["positions"],
    "encoder": ["attention", "heads", "masks"],
    "decoder": ["attention", "heads", "masks"],
    "cross": ["attention", "heads", "masks"],
    "norm": ["attention", "norms"],
    "residual": ["attention", "residuals"],
    "feed_forward": ["attention", "feed_forward"],
    "memory": ["heads", "before_attention"],
    "output": ["decoding", "training", "design_choices"],
}


Way = tuple[str, dict[str, str]]


@pytest.fixture
def went(monkeypatch: pytest.MonkeyPatch) -> list[Way]:
    """Where the app was sent, with which choices: the emulated browser of AppTest cannot follow."""
    ways: list[Way] = []
    monkeypatch.setattr(st, "switch_page", lambda page, *, query_params: ways.append((page, query_params)))
    return ways


def opened(page: str = "pages/overview.py", **address: str) -> AppTest:
    """A page opened through a link, as on a fresh server."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in ({"lang": "en", "text": CAT} | address).items():
        app.query_params[name] = value
    app.run()
    return settled(app.switch_page(page).run())


def settled(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def kept(app: AppTest) -> dict[str, str | None]:
    """What the link says of each choice that was read; None for the default."""
    return dict(app.session_state["address"])


def pages(step: str) -> list[str]:
    """Where the buttons of a step lead."""
    return [f"pages/{name}.py" for name in LEADS[step]]


def bar(app: AppTest) -> str:
    return next((block.value for block in app.markdown if block.value.startswith("**Tour ")), "")


# --- the diagram ----------------------------------------------------------------------------------------------------


def test_small_pictures_are_the_tensors_of_the_run() -> None:
    app = opened()
    header, cells = heatmap.unpack(app.get("bidi_component")[0].proto.bytes)
    arrays = models.run(CAT, "en-ko").arrays()
    layers = models.model().network.config.decoder_layers
    wanted = {
        "source_embedding": [arrays["source.embedding"]],
        "target_position": [arrays["target.position"]],
        "decoder_stream": [arrays[f"decoder.{layer}.after_feed_forward"] for layer in range(layers)],
        "decoder_feed_forward": [arrays[f"decoder.{layer}.feed_forward.activation"] for layer in range(layers)],
        "memory": [arrays["encoder.final_norm.output"]],
        "output": [diagram.pooled(arrays["logits"])],
    }
    boxes = {box["id"]: box for box in header["pictures"]["wide"]["boxes"]}
    sizes = [int(np.prod(shape)) for shape in (*header["maps"], *header["strips"])]
    parts = np.split(cells, np.cumsum(sizes)[:-1])[len(KINDS) :]
    for name, expected in wanted.items():
        assert len(boxes[name]["strips"]) == len(expected)
        for number, array in zip(boxes[name]["strips"], expected, strict=True):
            shown = parts[number].reshape(header["strips"][number]).astype(float) / (heatmap.STEPS / 2) - 1
            first = array[:, : diagram.COLUMNS]
            assert np.abs(shown * np.abs(first).max() - first).max() <= np.abs(first).max() / (heatmap.STEPS - 1)


def test_every_box_belongs_to_a_step() -> None:
    app = opened()
    header, _cells = heatmap.unpack(app.get("bidi_component")[0].proto.bytes)
    explained = {box for boxes in STEPS.values() for box in boxes}
    assert {box["id"] for box in header["pictures"]["wide"]["boxes"]} == explained
    assert set(tensors(models.run(CAT, "en-ko"))) <= explained
    assert set(LEADS) == set(STEPS)


def test_the_payload_stays_small() -> None:
    long = "The animal did not cross the street because it was too tired and the old teacher read the long book"
    assert len(opened(text=long).get("bidi_component")[0].proto.bytes) < 150_000


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_box_is_explained(step: str, language: str) -> None:
    app = opened(box=step, lang=language)
    assert app.subheader[0].value
    found = [button.key for button in app.button if button.key and button.key.startswith("lead_")]
    assert found == [f"lead_{page}" for page in pages(step)]


@pytest.mark.parametrize("step", STEPS)
def test_every_box_leads_to_its_pages(step: str, went: list[Way]) -> None:
    app = opened(box=step, to="ko")
    for page in pages(step):
        settled(app.button(key=f"lead_{page}").click().run())
    assert [page for page, _choices in went] == pages(step)
    for page, choices in went:
        assert choices["text"] == CAT and choices["to"] == "ko"
        there = kept(opened(page, **choices))
        assert all(there[key] in (value, None) for key, value in choices.items())


# --- the tour -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STOPS)
def test_every_stop_shows_its_step_on_its_page(name: str) -> None:
    stop = STOPS[name]
    app = opened(stop.page, tour=name, **stop.choices)
    assert stop.title in bar(app)
    assert any(stop.question in block.value for block in app.markdown)
    defaults = kept(opened(stop.page))
    for key, value in stop.choices.items():
        assert kept(app)[key] in (value, None), f"{key} does not take {value}"
        assert kept(app)[key] or key in defaults, f"nothing on {stop.page} reads {key}"
    assert not any(button.key == "tour_here" for button in app.button)


def test_the_tour_begins_on_the_overview(went: list[Way]) -> None:
    app = opened()
    assert not bar(app)
    settled(app.button(key="tour_start").click().run())
    name, stop = next(iter(STOPS.items()))
    assert went == [(stop.page, {"text": CAT, "lang": "en", **stop.choices, "tour": name})]


def test_the_ways_back_on_and_anywhere(went: list[Way]) -> None:
    names = list(STOPS)
    app = opened("pages/positions.py", tour=names[2])
    for key, name in (("tour_back", names[1]), ("tour_next", names[3]), (f"tour_{names[7]}", names[7])):
        settled(app.button(key=key).click().run())
        page, choices = went[-1]
        assert page == STOPS[name].page and choices["tour"] == name
        assert choices.items() >= STOPS[name].choices.items()
    first, last = opened("pages/tokens.py", tour=names[0]), opened("pages/decoding.py", tour=names[-1])
    assert first.button(key="tour_back").disabled and not last.button(key="tour_back").disabled
    assert not any(button.key == "tour_next" for button in last.button)


def test_the_tour_ends_where_it_is() -> None:
    app = opened("pages/positions.py", tour="positions")
    settled(app.button(key="tour_end").click().run())
    assert not bar(app) and kept(app)["tour"] is None and app.title[0].value == "Positions"


def test_a_stop_sets_what_was_chosen_otherwise(went: list[Way]) -> None:
    app = opened("pages/heads.py", kind="decoder", tour="cross")
    settled(app.switch_page("pages/positions.py").run())
    settled(app.button(key="tour_here").click().run())
    assert went[-1] == ("pages/heads.py", {"text": CAT, "lang": "en", "kind": "cross", "tour": "cross"})
    assert "kind" not in app.session_state


def test_the_stops_follow_the_pass() -> None:
    order = "tokens embedding positions projections scores scaling softmax values heads residual feed_forward memory"
    assert list(STOPS) == [*order.split(), "masked", "cross", "decoding"]
