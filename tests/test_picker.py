"""The model picker through the app: every page with models built otherwise, and what a link may ask for in vain."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest
from visits import settled, shown

from core.checkpoint import CARD_KEYS, save
from core.experiments.backward import backward
from core.experiments.decoding import Sentence
from core.measures.walk import STEPS, Place, Walk
from core.network import AnyConfig, Network, build
from core.run import trace
from core.tokens import load_tokenizer
from core.transformer import Config, Transformer
from core.variants import BASE, VARIANTS
from pages.parts import models

ROOT = Path(__file__).parents[1]
CAT = "I am a cat"
TRANSFORMERS = (
    "positions-concat-equal",
    "positions-learned",
    "positions-rotary",
    "norm-post",
    "norm-batch",
    "norm-instance",
    "residual-none",
    "scale-none-wide",
    "feed-forward-none",
    "mask-none",
)
RECURRENT = "recurrent-gru"
PAGES = ("overview", "tokens", "positions", "attention", "heads", "masks", "decoding")
EVERY = [name for name, row in VARIANTS.items() if row.group not in ("before attention", "grid", "schedule")]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assets folder with small untrained models of every kind: their figures mean nothing, their form is right."""
    assets = tmp_path_factory.mktemp("assets")
    for path in (ROOT / "assets").glob("*.json"):
        shutil.copy(path, assets)
    tokenizer = load_tokenizer()
    seen = sorted({token.id for token in tokenizer.encode("I am a dog")})
    for number, name in enumerate(("translator", BASE, *TRANSFORMERS, RECURRENT)):
        torch.manual_seed(number)
        network = brief(build(small(VARIANTS[name].config(tokenizer.size))), tokenizer.end_id)
        figures = {"random": {"exact_match": 0.9}, "copy": {"exact_match": math.nan}}
        metrics = {"en-ko": figures, "ko-en": figures, "alignment": {}}
        card = dict.fromkeys(CARD_KEYS) | {"name": name, "config": network.config.to_json(), "metrics": metrics}
        card |= {"seeds": [0, 1], "steps": 2_400, "parameters": 12_345, "command": f"python -m core train {name}"}
        save(network, card | ({} if name == "translator" else {"vocabulary_seen": seen}), assets / "models" / name)
        (assets / "models" / name / "log.jsonl").write_text(json.dumps({"seed": 0, "step": 25, "loss": 9}) + "\n")
    return assets


def brief(network: Network, end: int) -> Network:
    """The network, inclined to end its translations at once: untrained ones babble for as long as they may."""
    if isinstance(network, Transformer):
        last = network.readout if isinstance(network.readout, torch.nn.Linear) else network.decoder.final_norm
        last.bias.data += 20 * torch.nn.functional.normalize(network.embedding.weight.data[end], dim=0)
    return network


def small(config: AnyConfig) -> AnyConfig:
    """The same rows of the tables, in a network that is soon computed."""
    if not isinstance(config, Config):
        return type(config)(**config.to_json() | {"width": 8, "content_width": 8})
    beside = 4 if config.width > config.content_width else 0
    shape = {"width": 16 + beside, "content_width": 16, "heads": min(config.heads, 4), "feed_forward": 24}
    layers = {"encoder_layers": 2, "decoder_layers": 2}
    return Config(**config.to_json() | shape | layers)


def opened(page: str = "", **address: str) -> AppTest:
    """A page opened through a link, as on a fresh server."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in ({"lang": "en", "text": CAT} | address).items():
        app.query_params[name] = value
    settled(app.run())
    return settled(app.switch_page(f"pages/{page}.py").run()) if page else app


# --- choosing -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
def test_the_list_has_what_is_at_hand_and_begins_with_the_translator() -> None:
    app = opened("heads")
    picker = app.selectbox(key="model")
    assert picker.value == models.TRANSLATOR
    assert len(picker.options) == 3 + len(TRANSFORMERS) and "Norms · Post-LN" in picker.options
    assert app.session_state["address"]["model"] is None


@pytest.mark.usefixtures("assets")
def test_a_choice_changes_the_run_on_every_page_and_stays_in_the_link() -> None:
    app = opened("heads")
    settled(app.selectbox(key="model").set_value("norm-post").run())
    for page in ("tokens", "decoding"):
        settled(app.switch_page(f"pages/{page}.py").run())
        assert app.selectbox(key="model").value == app.session_state["address"]["model"] == "norm-post"
        assert "**Post-LN**" in shown(app)
    settled(app.switch_page("pages/overview.py").run())
    chances = models.run(CAT, "en-ko", "norm-post").log_probabilities.exp()
    assert app.dataframe[0].value["probability"].tolist() == pytest.approx(chances.tolist())
    assert models.run(CAT, "en-ko").log_probabilities.exp().tolist() != pytest.approx(chances.tolist())


@pytest.mark.usefixtures("assets")
def test_the_card_is_one_click_away() -> None:
    text = shown(opened("tokens", model="norm-post"))
    assert "12,345" in text and "2,400" in text and "0.90" in text and "0, 1" in text


@pytest.mark.usefixtures("assets")
def test_what_differs_is_listed_beside_the_list_and_what_is_missing_is_named() -> None:
    app = opened("tokens")
    listed = next(block.proto.body for block in app.get("html") if "One head of 64 channels" in block.proto.body)
    assert "The sum after each sub-layer is normed" in listed and "Two heads in place of four" not in listed
    away = next(each.value for each in app.caption if each.value.startswith("Not here"))
    assert "2 heads" in away and "Post-LN" not in away and "Translator" not in away
    assert "python -m core train --zoo" in shown(app)


@pytest.mark.usefixtures("assets")
def test_pieces_that_the_model_never_saw_are_marked() -> None:
    app = opened("tokens", model="norm-post")
    assert "outside the vocabulary that this model was trained on" in shown(app)
    assert underlined(app) == ["cat"]
    assert underlined(opened("tokens", model="norm-post", text="I am a dog")) == []
    assert underlined(opened("tokens")) == []


def underlined(app: AppTest) -> list[str]:
    """The pieces of the sentence that the bar marks."""
    chips = next(block.proto.body for block in app.get("html") if "line-height:1.9" in block.proto.body)
    return re.findall(r"underline[^>]*><bdi>([^<]*)", chips)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", ["gpt-7", "<b>x</b>", "../translator", "schedule-cosine", "", "norm"])
def test_an_unknown_model_becomes_the_translator_with_a_note(name: str) -> None:
    app = opened("tokens", model=name)
    assert app.selectbox(key="model").value == models.TRANSLATOR
    assert any("no model called" in each.value for each in app.warning) == bool(name)
    assert "<b>x" not in shown(app)
    settled(app.selectbox(key="model").set_value("norm-post").run())
    assert not app.warning


def test_a_missing_model_names_the_command_that_trains_it(assets: Path) -> None:
    assert "python -m core train heads-2" in shown(opened("tokens", model="heads-2"))
    (assets / "models" / "norm-post" / "weights.safetensors").write_bytes(b"{")
    app = opened("tokens", model="norm-post")
    assert "python -m core train norm-post" in shown(app) and app.selectbox(key="model").value == models.TRANSLATOR


@pytest.mark.parametrize("page", [*PAGES, "norms", "residuals", "feed_forward", "before_attention", "design_choices"])
def test_without_the_translator_another_model_is_shown(page: str, assets: Path) -> None:
    (assets / "models" / "translator" / "weights.safetensors").unlink()
    app = opened(page)
    assert app.selectbox(key="model").value == BASE and app.title and not app.error
    assert "python -m core train translator" in shown(app)


def test_without_any_model_the_command_is_named(assets: Path) -> None:
    shutil.rmtree(assets / "models")
    app = opened("heads")
    assert [each.value for each in app.error] == ["The trained model cannot be read."]
    assert "python -m core train translator" in shown(app)


# --- what a model cannot do -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("page", PAGES)
def test_a_recurrent_model_has_no_attention_to_look_into(page: str) -> None:
    app = opened(page, model=RECURRENT, edits="off_cross.1.1_zero")
    assert any("recurrent network" in each.value for each in app.info) and not app.title
    settled(app.button(key="to_translator").click().run())
    assert app.title and not any("recurrent network" in each.value for each in app.info)


@pytest.mark.usefixtures("assets")
def test_a_sentence_that_is_too_long_names_who_can_take_it() -> None:
    long = "a " * 70
    app = opened("heads", model="positions-learned")
    settled(app.text_input(key="text").set_value(long).run())
    warning = next(each.value for each in app.warning)
    assert "64 positions" in warning and "RoPE" in warning and app.session_state["good"] == CAT
    settled(app.selectbox(key="model").set_value("positions-rotary").run())
    assert not any("64 positions" in each.value for each in app.warning)
    settled(app.selectbox(key="model").set_value("positions-learned").run())
    settled(app.text_input(key="target").set_value(long).run())
    assert sum("64 positions" in each.value for each in app.warning) == 2


# --- the table of all models ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_table_has_every_model_and_opens_its_card(language: str) -> None:
    app = opened("design_choices", lang=language, choice="norm-post", model=RECURRENT)
    rows = app.dataframe[0].value
    assert len(rows) == 3 + len(TRANSFORMERS)
    assert all("model=" in link for link in rows.iloc[:, -2])
    config = app.dataframe[2].value.set_index(app.dataframe[2].value.columns[0]).iloc[:, 0]
    assert config["residual"] == "post-norm" and "train norm-post" in " ".join(each.value for each in app.code)
    found = app.dataframe[3].value
    assert found.iloc[:, 2].str.contains("0.90").all()
    assert set(found.iloc[:, 3]) == {"new sentences right" if language == "en" else "새 문장을 정확히 번역한 비율"}


@pytest.mark.usefixtures("assets")
def test_a_model_is_taken_from_the_table_to_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(st, "switch_page", lambda page, *, query_params: ways.append((page, query_params)))
    app = opened("design_choices", choice="norm-batch", choices_group="norms")
    assert {"Sum", "Post-LN", "Batch norm", "Instance norm"} == set(app.dataframe[0].value["model"])
    settled(app.button(key="choices_go").click().run())
    assert ways == [("pages/overview.py", {"text": CAT, "lang": "en", "model": "norm-batch"})]
    app = opened("design_choices", choice="norm-batch")
    settled(app.button(key="choices_use").click().run())
    assert app.session_state["model"] == "norm-batch"


@pytest.mark.usefixtures("assets")
def test_a_tampered_link_opens_no_card() -> None:
    app = opened("design_choices", choice="<b>", choices_group="x", choices_cost="9", choices_split="-")
    assert not app.error and not any(button.key == "choices_go" for button in app.button)


# --- models built otherwise -----------------------------------------------------------------------------------------

PARTS: dict[str, list[dict[str, str]]] = {
    "overview": [{"box": box} for box in ("norm", "feed_forward")],
    "tokens": [{}],
    "positions": [{"part": "size", "size_guess": "tenth"}],
    "attention": [{"read": "story", "open": "-".join(map(str, range(1, 13))), "head": "2.1"}, {"attention": "scaling"}],
    "heads": [{"kind": "decoder", "edits": "scale_encoder_1~norm_decoder.final~residual_encoder.1.attention"}],
    "masks": [{"mask_part": "future", "future_guess": "none"}],
    "decoding": [{"decoding": "back", "decoding_route": "residual"}],
}


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_page_shows_a_model_built_otherwise(name: str) -> None:
    for page, choices in PARTS.items():
        for each in choices:
            app = opened(page, model=name, **each)
            assert app.title and app.selectbox(key="model").value == name
            assert not any("recurrent" in block.value for block in app.info)


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("read", ["numbers", "formula", "code"])
@pytest.mark.parametrize("name", ["norm-post", "norm-batch", "positions-rotary", "residual-none", "scale-none-wide"])
def test_every_reading_of_the_steps_shows_it(name: str, read: str) -> None:
    opened("attention", model=name, read=read, open="-".join(map(str, range(1, 13))), head="2.1", kind="decoder")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer()


@pytest.mark.parametrize("name", EVERY)
def test_every_row_is_walked_and_led_back_exactly(name: str, tokenizer: Any) -> None:
    """Each step worked out by hand is the model's own, and so is the gradient that comes back through it."""
    torch.manual_seed(1)
    network = build(small(VARIANTS[name].config(tokenizer.size)))
    assert isinstance(network, Transformer)
    model = models.Model(name, network.double().eval(), tokenizer, {})
    run = trace(model, CAT, "나는 고양이다", direction="en-ko")
    for kind in ("encoder", "decoder", "cross"):
        for layer in range(2):
            walk = Walk(run, Place(kind, layer, 0, 2, 1))
            assert max(walk.error(step) for step in STEPS) < 1e-6
    sentence = Sentence(tuple(token.id for token in run.source_tokens), tokenizer.start_id, tokenizer.end_id)
    gold = [token.id for token in run.predicted_tokens]
    for kind in ("encoder", "decoder", "cross"):
        assert max(backward(network, sentence, gold, kind, 1).apart.values()) < 1e-6


@pytest.mark.parametrize("name", ["mask-none", "translator"])
def test_a_translation_that_does_not_end_says_so(name: str) -> None:
    """A model that never writes the end token is cut off, and the bar tells; others are not accused of it."""
    app = opened("heads", model=name, text="The animal did not cross the street because it was too tired.")
    run = models.run("The animal did not cross the street because it was too tired.", "en-ko", name)
    ended = run.predicted_tokens[-1].id == models.model(name).tokenizer.end_id
    assert ("did not come to an end" in shown(app)) == (not ended)
    assert ended == (name == "translator")
