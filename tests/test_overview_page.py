"""The overview through the app: real tensors in the diagram, a page behind every box, and every stop of the tour."""

from pathlib import Path

import numpy as np
import pytest
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
    "norm": ["attention"],
    "feed_forward": ["attention"],
    "memory": ["heads"],
    "output": ["decoding"],
}


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
def test_every_box_is_explained_and_leads_to_its_pages(step: str, language: str) -> None:
    app = opened(box=step, lang=language)
    assert app.subheader[0].value
    found = [button.key for button in app.button if button.key and button.key.startswith("lead_")]
    assert found == [f"lead_pages/{name}.py" for name in LEADS[step]]
    title = app.title[0].value
    settled(app.button(key=found[-1]).click().run())
    assert app.title[0].value != title
    if step in KINDS:
        assert kept(app)["mask_kind"] == (None if step == "decoder" else step)


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


def test_the_tour_begins_goes_on_and_ends() -> None:
    app = opened()
    assert not bar(app)
    settled(app.button(key="tour_start").click().run())
    names = list(STOPS)
    for number, name in enumerate(names, 1):
        assert f"Tour {number} of {len(names)} · {STOPS[name].title}" in bar(app)
        assert app.button(key="tour_back").disabled == (number == 1)
        if number < len(names):
            settled(app.button(key="tour_next").click().run())
    assert not any(button.key == "tour_next" for button in app.button)
    settled(app.button(key="tour_back").click().run())
    assert STOPS[names[-2]].title in bar(app)
    settled(app.button(key=f"tour_{names[2]}").click().run())
    assert STOPS[names[2]].title in bar(app) and app.title[0].value == "Positions"
    settled(app.button(key="tour_end").click().run())
    assert not bar(app) and app.title[0].value == "Positions"


def test_a_stop_sets_what_was_chosen_otherwise() -> None:
    app = opened("pages/heads.py", kind="decoder", tour="heads")
    assert app.segmented_control(key="kind").value == "decoder"
    settled(app.switch_page("pages/positions.py").run())
    settled(app.button(key="tour_here").click().run())
    assert app.segmented_control(key="kind").value == "encoder"


def test_the_stops_follow_the_pass() -> None:
    order = "tokens embedding positions projections scores scaling softmax values heads residual feed_forward memory"
    assert list(STOPS) == [*order.split(), "masked", "cross", "decoding"]
