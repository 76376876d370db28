"""The feed-forward experiments mean what they say: what is affine, what is learnt, where neurons fire."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from core import trace
from core.checkpoint import Model
from core.experiments import feed_forward as experiments
from core.experiments.feed_forward import SETTINGS
from core.layers import FeedForward
from core.run import Run
from core.tokens import Direction
from core.transformer import Transformer

TEXTS: list[tuple[str, Direction]] = [
    ("the cat sees a dog .", "en-ko"),
    ("고양이가 개를 본다.", "ko-en"),
    ("a cat .", "en-ko"),
]


@pytest.fixture
def run(tiny_model: Model) -> Run:
    return trace(tiny_model, "the cat sees a dog .", target="고양이가 개를 본다.")


# --- affine ---------------------------------------------------------------------------------------------------------


def test_affine_maps_have_no_defect_and_others_do() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 1, 8, dtype=torch.float64)
    assert experiments.affine_defect(nn.Linear(8, 8).double(), first, second) < 1e-12
    assert experiments.affine_defect(torch.abs, first, -first) == pytest.approx(1.0)


@torch.no_grad()
def test_attention_over_one_token_is_affine(tiny_model: Model, run: Run) -> None:
    network = Transformer(tiny_model.transformer.config).double()
    network.load_state_dict(tiny_model.transformer.state_dict())
    found = experiments.defects(network, run, 0, (1, 2))
    assert max(found["one"], found["one with residual"], found["no function"]) < 1e-12
    assert min(found["many"], found["norm"], found["feed-forward"]) > 1e-3


def test_a_model_without_it_has_no_such_row(make_network: Callable[..., Transformer], tiny_model: Model) -> None:
    network = make_network(vocabulary=tiny_model.tokenizer.size, activation="none").float()
    run = trace(Model("tiny", network, tiny_model.tokenizer, {}), "the cat sees", target="개")
    assert "feed-forward" not in experiments.defects(network.double(), run, 0, (1, 2))
    assert experiments.strongest_here(run, "encoder", 0, 4) == []


def test_every_weight_is_counted_once(tiny_model: Model) -> None:
    network = tiny_model.transformer
    found = experiments.weights(network)
    assert sum(found.values()) == sum(each.numel() for each in network.parameters())
    inside = [each for each in network.modules() if isinstance(each, FeedForward)]
    assert found["feed-forward"] == sum(each.numel() for part in inside for each in part.parameters())
    assert found["embedding"] == network.embedding.weight.numel()


# --- XOR ------------------------------------------------------------------------------------------------------------


def test_attention_alone_cannot_learn_xor_and_feed_forward_can() -> None:
    alone, helped = (experiments.learn_xor(SETTINGS[name], seeds=2) for name in ("attention", "feed-forward"))
    assert all(each.accuracy <= 0.75 for each in alone)
    assert all(each.losses[-1][1] > 0.6 for each in alone), "no better than saying one half"
    assert all(each.accuracy == 1.0 for each in helped)
    assert [round(answer) for answer in helped[0].answers] == [0, 1, 1, 0]


def test_training_is_seeded_and_leaves_the_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "STEPS", 30)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = experiments.learn_xor(SETTINGS["many"])
    assert torch.equal(torch.rand(1), expected)
    assert experiments.learn_xor(SETTINGS["many"]) == first
    assert len({each.losses for each in first}) == 3


# --- neurons --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stack", "texts"), [("encoder", TEXTS), ("decoder", TEXTS[:1])])
def test_the_strongest_contexts_are_those_of_single_runs(
    tiny_model: Model, stack: str, texts: list[tuple[str, Direction]]
) -> None:
    found = experiments.survey(tiny_model, stack, texts)
    fired = found.layers[1]
    values: dict[tuple[int, ...], torch.Tensor] = {}
    for text, way in texts:
        run = trace(tiny_model, text, direction=way)
        tokens = run.source_tokens if stack == "encoder" else run.target_tokens
        ids = tuple(token.id for token in tokens)
        values[ids] = run.tensor(f"{stack}.1.feed_forward.activation")
    assert {tuple(token.id for token in row) for row in found.sentences} == set(values)
    everything = torch.cat(list(values.values()))
    count = fired.activation.shape[1]
    assert torch.allclose(fired.activation, everything.topk(count, dim=0).values.T, atol=1e-4)
    assert torch.allclose(fired.open, (everything > 0).float().mean(0), atol=1e-6)
    sentence, place = int(fired.sentence[3, 0]), int(fired.place[3, 0])
    ids = tuple(token.id for token in found.sentences[sentence])
    assert values[ids][place, 3] == pytest.approx(float(fired.activation[3, 0]), abs=1e-4)
    assert found.pieces(1, 3)[0] == found.sentences[sentence][place].piece
    assert 0 < experiments.commonest_by_chance(found) <= 1


def test_the_held_out_sentences_are_there() -> None:
    every, some = experiments.probe_texts(), experiments.probe_texts(50)
    assert len(some) == 50 and set(some) < set(every)


def test_promoted_is_what_a_unit_of_activation_adds(tiny_model: Model) -> None:
    network = tiny_model.transformer
    found = experiments.promoted(network, "decoder", 1, 3, count=4)
    row = network.decoder.layers[1].feed_forward.outer.weight[:, 3]
    scores = (network.embedding.weight @ (row * network.decoder.final_norm.gain)).detach()
    assert found.best[0] == (int(scores.argmax()), pytest.approx(float(scores.max()), abs=1e-5))
    assert found.worst[0][1] == pytest.approx(float(scores.min()), abs=1e-5)


def test_a_neuron_held_at_zero_changes_what_an_edited_pass_changes(tiny_model: Model, run: Run) -> None:
    neuron = experiments.strongest_here(run, "decoder", 0, 1)[0]
    change = experiments.without(tiny_model.transformer, run, "decoder", 0, neuron)
    assert float(change.abs().max()) > 0
    weight = tiny_model.transformer.decoder.layers[0].feed_forward.outer.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[:, neuron] = 0
        again = trace(tiny_model, run.source_text, target=run.translation, direction=run.direction)
        weight.copy_(kept)
    assert torch.allclose(again.log_probabilities - run.log_probabilities, change, atol=1e-3)
    silent = int((run.tensor("decoder.0.feed_forward.activation").amax(0) == 0).nonzero()[0])
    assert not experiments.without(tiny_model.transformer, run, "decoder", 0, silent).any()
