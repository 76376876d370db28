"""A run holds what the model computed, under names that last; a model on disk comes back as it was."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import core
from core.checkpoint import CARD_KEYS, CheckpointError, Model, load, save
from core.decoding import translate
from core.edits import HeadOff
from core.hooks import listen
from core.run import Run, trace
from core.tokens import Tokenizer, load_tokenizer

TEXT = "the cat sees a dog."


@pytest.fixture(scope="module")
def run(tiny_model: Model) -> Run:
    return trace(tiny_model, TEXT, "고양이가 개를 본다.")


def test_a_run_is_the_unwatched_pass(tiny_model: Model, run: Run) -> None:
    """Bit for bit: the logits of a plain forward pass over the same tokens."""
    source, target = (torch.tensor([[each.id for each in side]]) for side in (run.source_tokens, run.target_tokens))
    assert torch.equal(tiny_model.network(source, target)[0], run.logits)


def test_what_the_decoder_read_and_was_asked(tiny_model: Model, run: Run) -> None:
    """<start> y1 .. yn in, y1 .. yn <end> out; the source begins with its direction."""
    assert [each.id for each in (run.source_tokens[0], run.source_tokens[-1])] == [3, 2]
    assert run.target_tokens[0].id == 1 and run.predicted_tokens[-1].id == 2
    assert run.target_tokens[1:] == run.predicted_tokens[:-1]
    assert (run.direction, run.translation, run.model_name) == ("en-ko", "고양이가 개를 본다.", "tiny")
    log_probabilities = run.logits.log_softmax(-1)
    for place, token in enumerate(run.predicted_tokens):
        expected = log_probabilities[place, token.id].item()
        assert run.log_probabilities[place].item() == pytest.approx(expected, abs=1e-5)


def test_the_parts_of_a_run_have_the_shapes_of_their_names(run: Run) -> None:
    """Every tensor without the batch axis, by attribute and by path."""
    source, target = len(run.source_tokens), len(run.target_tokens)
    assert len(run.encoder) == len(run.decoder) == 2
    cross = run.decoder[1].cross_attention
    assert cross.weights.shape == cross.scores.shape == (4, target, source)
    assert cross.mask.shape == (target, source) and cross.mask.all()
    assert cross.head_contributions.shape == (4, target, 16)
    own = run.decoder[0].self_attention
    assert torch.equal(own.mask, torch.ones(target, target, dtype=torch.bool).tril())
    assert own.query.shape == own.head_outputs.shape == (4, target, 4)
    assert run.encoder[0].feed_forward.activation.shape == (source, 32)
    assert run.encoder.final_norm.mean.shape == (source, 1)
    assert run.source.input.shape == (source, 16) and run.logits.shape[0] == target
    assert cross.weights is run.decoder[1].cross_attention.weights
    assert torch.equal(run.tensor("decoder.1.cross_attention.weights"), cross.weights)
    assert [layer.after_feed_forward.shape for layer in run.encoder] == [(source, 16)] * 2
    with pytest.raises(KeyError):
        run.tensor("encoder.7.self_attention.weights")


def test_the_run_adds_up(tiny_model: Model, run: Run) -> None:
    """Weights times values, head by head, through W_O, onto the stream: every step from the run alone."""
    layer = run.decoder[1]
    attention = layer.cross_attention
    assert torch.allclose(attention.scores.softmax(-1), attention.weights, atol=1e-6)
    assert torch.allclose(attention.weights @ attention.value, attention.head_outputs, atol=1e-6)
    bias = tiny_model.network.attentions["decoder.1.cross_attention"].output_projection.bias
    assert torch.allclose(attention.head_contributions.sum(0) + bias, attention.output, atol=1e-6)
    assert torch.allclose(layer.after_self_attention + attention.output, layer.after_cross_attention, atol=1e-6)
    assert torch.equal(layer.norm_before_feed_forward.input, layer.after_cross_attention)
    assert torch.equal(layer.feed_forward.activation, layer.feed_forward.preactivation.relu())


def test_contributions_of_a_run_are_those_a_listener_hears(tiny_model: Model, run: Run) -> None:
    """They are computed when asked for, and must not differ for it."""
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__):
        again = trace(tiny_model, TEXT, "고양이가 개를 본다.")
    path = "decoder.0.self_attention.head_contributions"
    assert torch.equal(heard[path][0], run.tensor(path)) and torch.equal(again.tensor(path), run.tensor(path))


def test_without_a_target_the_model_reads_its_own_translation(tiny_model: Model) -> None:
    """Greedy and cached first, then one pass: each token is the likeliest of the pass, too."""
    run = trace(tiny_model, "고양이가 개를 본다.")
    assert run.direction == "ko-en"
    assert run.logits.argmax(-1).tolist() == [each.id for each in run.predicted_tokens]
    assert run.translation == translate(tiny_model, "고양이가 개를 본다.")
    cut_off = 2 * len(run.source_tokens) + 20
    assert run.predicted_tokens[-1].id == 2 or len(run.predicted_tokens) == cut_off


def test_an_empty_text_is_a_run_of_special_tokens(tiny_model: Model) -> None:
    """Nothing to translate is still a sentence with a direction and an end."""
    run = trace(tiny_model, "", "")
    assert [each.piece for each in run.source_tokens] == ["<to-korean>", "<end>"]
    assert [each.piece for each in run.predicted_tokens] == ["<end>"] and run.logits.shape[0] == 1


def test_edits_change_decoding_and_the_run(tiny_model: Model) -> None:
    """A head switched off is off in every pass: its outputs are zero, and the translation follows."""
    plain, deaf = trace(tiny_model, TEXT), trace(tiny_model, TEXT, edits=[HeadOff("encoder"), HeadOff("cross")])
    assert (deaf.decoder[1].cross_attention.head_outputs == 0).all()
    assert (deaf.encoder[0].self_attention.head_contributions == 0).all()
    assert deaf.logits.argmax(-1).tolist() == [each.id for each in deaf.predicted_tokens]
    assert [each.id for each in deaf.predicted_tokens] != [each.id for each in plain.predicted_tokens]
    assert torch.equal(trace(tiny_model, TEXT).logits, plain.logits), "nothing stays behind"


def test_listeners_hear_the_steps_of_decoding(tiny_model: Model) -> None:
    """With no target they hear the encoder once, each step, and the pass over the whole translation."""
    lengths = []
    path = "decoder.0.self_attention.query"

    def note(at: str, value: Tensor) -> None:
        if at == path:
            lengths.append(value.shape[2])

    run = trace(tiny_model, TEXT, listeners=[note])
    assert lengths == [1] * len(run.predicted_tokens) + [len(run.predicted_tokens)]


def test_arrays_survive_the_disk_without_pickle(run: Run, tmp_path: Path) -> None:
    """One array for each hook point, under its path, and the words."""
    run.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    texts = {"model_name", "direction", "source_text", "translation"}
    tokens = {"source_tokens", "target_tokens", "predicted_tokens"}
    assert set(arrays) == set(run.paths) | texts | tokens | {"log_probabilities"}
    assert arrays["encoder.0.self_attention.mask"].dtype == bool
    assert arrays["source_tokens"].tolist() == [each.piece for each in run.source_tokens]
    assert str(arrays["translation"]) == "고양이가 개를 본다."
    for path in run.paths:
        assert np.array_equal(arrays[path], run.tensor(path).numpy())
    weights = arrays["decoder.0.cross_attention.weights"]
    assert np.array_equal(weights, run.decoder[0].cross_attention.weights.numpy())


def test_threads_that_share_a_model_trace_their_own_sentences(tiny_model: Model) -> None:
    """Two sessions at once: every run equals the one made alone."""
    texts = ["the cat sees a dog.", "a bank.", "the dog sees the cat."]
    alone = [trace(tiny_model, text, "개.").arrays() for text in texts]
    wrong, finished = [], []

    def work(index: int) -> None:
        for _ in range(5):
            arrays = trace(tiny_model, texts[index], "개.").arrays()
            wrong.extend(path for path in alone[index] if not np.array_equal(arrays[path], alone[index][path]))
        finished.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(finished) == [0, 1, 2] and not wrong


# --- models on disk ---


def card_of(model: Model) -> dict[str, object]:
    config = model.network.config.to_json()
    return dict.fromkeys(CARD_KEYS, 0) | {"name": "tiny", "config": config, "metrics": {}}


@pytest.fixture
def assets(tiny_model: Model, tiny_tokenizer: Tokenizer, tmp_path: Path) -> Path:
    save(tiny_model.network, card_of(tiny_model), tmp_path / "models" / "tiny")
    content = json.loads(tiny_tokenizer.backend.to_str())
    content["headroom"] = {"seen": len(tiny_tokenizer.seen) - 1}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_a_saved_model_comes_back(tiny_model: Model, assets: Path) -> None:
    """In half precision on disk, in single precision in memory, ready to evaluate, with its card."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = load("tiny", assets=assets)
    assert torch.equal(torch.get_rng_state(), before), "loading must not disturb anyone's seed"
    assert model.network.config == tiny_model.network.config and not model.network.training
    assert model.card["name"] == model.name == "tiny"
    for name, weight in model.network.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, tiny_model.network.state_dict()[name].half().float())
    parameters = sum(each.numel() for each in tiny_model.network.parameters())
    size = (assets / "models" / "tiny" / "weights.safetensors").stat().st_size
    assert 2 * parameters < size < 2 * parameters + 20_000
    assert trace(model, TEXT).source_tokens == trace(tiny_model, TEXT).source_tokens


@pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other"])
def test_a_missing_or_damaged_file_says_how_to_restore_it(assets: Path, name: str, damage: str) -> None:
    """The message names the file and the command, whatever is wrong."""
    path = assets / "models" / "tiny" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "other": b"[]"}[damage])
    with pytest.raises(CheckpointError) as caught:
        load("tiny", assets=assets)
    assert str(path) in str(caught.value) and "python -m core train tiny" in str(caught.value)
    assert ("is missing" in str(caught.value)) == (damage == "missing")


@pytest.mark.parametrize(
    "wrong", [{"parameters": "many"}, {"seeds": ["x"]}, {"metrics": "good"}, {"metrics_by_seed": [1]}, {"config": None}]
)
def test_a_card_with_figures_of_another_kind_is_refused(assets: Path, wrong: dict[str, object]) -> None:
    """Pages may reckon with what a card says."""
    path = assets / "models" / "tiny" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(CheckpointError, match="train tiny"):
        load("tiny", assets=assets)


def test_weights_of_another_shape_are_refused(assets: Path) -> None:
    """A card and weights that do not belong together are damage, not a crash."""
    path = assets / "models" / "tiny" / "card.json"
    card = json.loads(path.read_text())
    card["config"]["feed_forward"] = 64
    path.write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="train tiny"):
        load("tiny", assets=assets)


def test_a_missing_tokenizer_says_how_to_restore_it(assets: Path) -> None:
    """It has a command of its own."""
    (assets / "tokenizer.json").unlink()
    load_tokenizer.cache_clear()
    with pytest.raises(CheckpointError, match="python -m core corpus tokenizer"):
        load("tiny", assets=assets)


def test_a_card_must_be_complete(tiny_model: Model, tmp_path: Path) -> None:
    """A model that cannot say where it comes from is not saved."""
    card = card_of(tiny_model)
    del card["seeds"], card["command"]
    with pytest.raises(ValueError, match="command, seeds"):
        save(tiny_model.network, card, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_the_package_offers_its_public_names() -> None:
    """Lazily, so that importing the package alone stays cheap."""
    assert core.trace is trace and core.load is load and core.Run is Run
    with pytest.raises(AttributeError, match="nonsense"):
        _ = core.nonsense
