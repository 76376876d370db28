"""The residual experiments mean what they say: sums that add up, Jacobians that autograd confirms, known limits."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from core import trace
from core.charts import residuals as charts
from core.checkpoint import Model
from core.experiments import residuals as experiments
from core.experiments.decoding import Sentence
from core.experiments.residuals import STACKED, STACKS, Block
from core.hooks import listen
from core.run import Run
from core.transformer import Transformer

SENTENCE, GOLD = Sentence((3, 14, 15, 9, 2), 1, 2), (7, 21, 8, 2)


@pytest.fixture
def run(tiny_model: Model) -> Run:
    return trace(tiny_model, "the cat sees a dog .", target="고양이가 개를 본다.")


# --- the stream -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_carried_is_the_stream_before(run: Run, stack: str) -> None:
    before = run.tensor(experiments.stages(run.transformer.config, stack)[0])
    for step in experiments.stream(run, stack):
        assert torch.allclose(step.carried, before, atol=1e-5)
        before = step.after


@pytest.mark.parametrize(("residual", "kept"), [("none", False), ("post-norm", True)])
def test_nothing_is_carried_without_residuals(
    make_network: Callable[..., Transformer], tiny_model: Model, residual: str, kept: bool
) -> None:
    network = make_network(vocabulary=tiny_model.tokenizer.size, residual=residual).float()
    run = trace(Model("tiny", network, tiny_model.tokenizer, {}), "the cat sees", target="개")
    assert all((step.carried.norm() > 1e-3) == kept for step in experiments.stream(run, "encoder"))


def test_unrelated_lengths_add_in_squares(run: Run) -> None:
    steps = experiments.stream(run, "encoder")
    start = run.source.input
    expected = (start.square().sum(-1) + sum(step.written.square().sum(-1) for step in steps)).sqrt().mean()
    assert experiments.unrelated(start, steps)[-1] == pytest.approx(float(expected), rel=1e-5)


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", ["pre-norm", "post-norm", "none"])
def test_gradients_by_depth_are_finite_differences(make_network: Callable[..., Transformer], residual: str) -> None:
    network = make_network(residual=residual)
    found = experiments.returned(network, SENTENCE, GOLD, 1)
    path = "encoder.0.after_feed_forward"
    gradient = found.gradients[path]

    def loss(step: float) -> float:
        def move(_: str, value: torch.Tensor) -> torch.Tensor:
            moved = value.clone()
            moved[0, 2] += step * gradient[2] / gradient[2].norm()
            return moved

        with torch.no_grad(), listen(move, paths={path}):
            logits = network(SENTENCE.ids, torch.tensor([[SENTENCE.start, *GOLD[:-1]]]))[0]
        return float(-logits.log_softmax(-1)[1, GOLD[1]])

    assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(float(gradient[2].norm()), rel=1e-4)


def test_the_loss_of_a_token_reaches_no_later_one(make_network: Callable[..., Transformer]) -> None:
    found = experiments.returned(make_network(), SENTENCE, GOLD, 1)
    lengths = found.lengths("decoder")
    assert bool((lengths[:, 2:] == 0).all()) and bool((lengths[0, :2] > 0).all())
    assert bool((lengths[-1, 0] == 0).all()), "the last norm of another token has no part in it"
    assert bool((found.lengths("encoder") > 0).all())


def test_depths_have_a_length_for_each_layer_and_the_end(make_network: Callable[..., Transformer]) -> None:
    found = experiments.by_depth(make_network(), SENTENCE, GOLD)
    assert {stack: len(lengths) for stack, lengths in found.gradients.items()} == {"encoder": 3, "decoder": 3}
    assert found.kept("encoder") == pytest.approx(found.gradients["encoder"][0] / found.gradients["encoder"][-1])


def test_without_residuals_a_deep_decoder_gets_nothing(make_network: Callable[..., Transformer]) -> None:
    config = make_network().config
    bare, carried = (
        experiments.by_depth(experiments.at_start(config, 6, kind), SENTENCE, GOLD) for kind in ("none", "pre-norm")
    )
    assert bare.kept("decoder") < 1e-9 < 0.1 < carried.kept("decoder")
    assert carried.squares["decoder"][-1] > 2 * carried.squares["decoder"][0], "the stream of pre-LN grows"


# --- at least 1? ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("changes", [{}, {"residual": "post-norm"}, {"positions": "rotary"}, {"norm": "instance"}])
def test_spectra_are_those_of_autograd(
    make_network: Callable[..., Transformer], stack: str, changes: dict[str, str]
) -> None:
    network = make_network(**changes)
    found = experiments.spectra(network, SENTENCE, GOLD, stack, 1)
    places = experiments.sublayers(network.config, stack)
    assert [(each.place, each.layer) for each in found] == places
    heard: dict[str, torch.Tensor] = {}
    with torch.enable_grad(), listen(heard.__setitem__):
        network(SENTENCE.ids, torch.tensor([[SENTENCE.start, *GOLD[:-1]]]))
    for (place, layer), each in zip(places, found, strict=True):
        _, before, after = (heard[path] for path in experiments.paths(place, layer))
        rows = [
            torch.autograd.grad(after[0, 1, channel], before, retain_graph=True)[0][0, 1]
            for channel in range(after.shape[-1])
        ]
        values = torch.linalg.svdvals(torch.stack(rows))
        assert each.largest == pytest.approx(float(values[0]), rel=1e-6)
        assert each.smallest == pytest.approx(float(values[-1]), abs=1e-7)


def test_the_identity_guarantees_nothing() -> None:
    assert experiments.stretch(Block(0.1), 1).below == 1.0
    assert max(experiments.stretch(Block(1.0, "minus"), 1).largest) == 0.0
    shrunk = experiments.stretch(Block(0.9, "minus"), 6)
    assert shrunk.lengths[-1][1] == pytest.approx(1e-6)


def test_residuals_keep_a_gradient_that_plain_blocks_lose() -> None:
    plain, carried = (experiments.stretch(Block(0.5, skip=skip), 48) for skip in (False, True))
    assert plain.lengths[-1][1] < 1e-10 and carried.lengths[-1][1] > 1
    assert experiments.stretch(Block(1.0), 48).lengths[-1][1] > 1e4, "and may explode"
    assert min(experiments.stretch(Block(0.5, norm="after"), 1).smallest) == pytest.approx(0, abs=1e-9)


# --- ReLU, rank -----------------------------------------------------------------------------------------------------


def test_relu_is_not_what_makes_gradients_vanish() -> None:
    bare = {name: experiments.activation(name, 24, skip=False).lengths[-1] for name in experiments.FUNCTIONS}
    kept = {name: experiments.activation(name, 24, skip=True).lengths[-1] for name in experiments.FUNCTIONS}
    assert all(length < 0.1 for length in bare.values()) and min(bare, key=bare.__getitem__) != "relu"
    assert all(length > 0.5 for length in kept.values())
    assert experiments.activation("relu", 4, skip=False).open == pytest.approx(0.5, abs=0.1)


def test_the_residual_keeps_tokens_apart_and_feed_forward_does_not() -> None:
    ends = {name: experiments.collapse(parts, 5)[-1] for name, parts in STACKED.items()}
    assert ends["attention"] < 1e-6 and ends["feed-forward"] < 1e-6
    assert ends["residual"] > 0.2 and ends["whole"] > 0.2


def test_unlike_knows_its_limits(run: Run) -> None:
    row = torch.randn(1, 8, dtype=torch.float64)
    assert experiments.unlike(row.expand(5, -1)) == pytest.approx(0, abs=1e-12)
    assert experiments.unlike(torch.cat((row, -row))) == pytest.approx(1)
    assert len(experiments.alike_by_layer(run, "decoder")) == 3


# --- charts ---------------------------------------------------------------------------------------------------------

WORDS = {"x": "x", "y": "y", "stage": "s", "token": "t", "value": "v", "name": "n"}


def test_a_logarithmic_chart_leaves_out_what_is_zero() -> None:
    spec = charts.curves({"a": [(0, 1.0), (1, 0.0), (2, 1e-30)]}, words=WORDS, logarithmic=True, floor=1e-20)
    assert [row["value"] for row in spec["data"]["values"]] == [1.0, 1e-30]
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"][0] == 1e-20


def test_cells_that_are_nothing_are_empty() -> None:
    spec = charts.cells(np.array([[1.0, math.nan]]), stages=["one"], tokens=["a", "a"], words=WORDS)
    assert len(spec["data"]["values"]) == 1
    assert len(set(spec["encoding"]["x"]["scale"]["domain"])) == 2, "tokens that are spelled alike stay apart"
