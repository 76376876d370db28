"""Who shares a mean and a variance, and what a batch can do to a sentence: figures against their definitions."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from core.checkpoint import Model
from core.experiments import norms
from core.experiments.masks import doubled
from core.measures.curves import at_the_end
from core.norms import GROUPS
from core.run import Run, trace
from core.transformer import Config, Transformer

UNTOUCHED = ("mates", "pads", "future", "alone", "single", "eval")
WIDTH = 8
PADS = 3


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def runs(tiny_model: Model) -> list[Run]:
    pairs = [
        ("the cat sees a dog .", "고양이가 개를 본다."),
        ("a dog", "개"),
        ("the dog sees the cat .", "개가 고양이를 본다."),
    ]
    return [trace(tiny_model, source, target, direction="en-ko") for source, target in pairs]


# --- a batch --------------------------------------------------------------------------------------------------------


def test_a_batch_holds_the_tokens_and_pads(runs: list[Run]) -> None:
    batch = norms.batch_of(runs, 0, source=20)
    assert batch.source.shape == (3, 20) and batch.target.shape[1] == max(batch.target_lengths)
    for row, run in enumerate(runs):
        assert batch.source[row, : batch.source_lengths[row]].tolist() == [token.id for token in run.source_tokens]
        assert batch.expected[row, : batch.target_lengths[row]].tolist() == [token.id for token in run.predicted_tokens]
        assert not batch.source[row, batch.source_lengths[row] :].any()
        assert batch.mask[row].sum() == batch.source_lengths[row]


def test_a_norm_reads_in_a_batch_what_it_reads_alone(tiny_model: Model, runs: list[Run]) -> None:
    """Its mask hides the pads, so the real tokens of a layer-norm network are as in a run of the sentence."""
    read = norms.norm_inputs(doubled(tiny_model.transformer), norms.batch_of(runs, 0))
    assert tuple(read) == norms.sites(tiny_model.network)
    for path, values in read.items():
        alone = runs[1].tensor(f"{path}.input")
        assert (values[1, : len(alone)] - alone).abs().max() < 1e-3


def test_a_recurrent_network_has_no_norms() -> None:
    assert norms.sites(torch.nn.GRU(2, 2)) == ()


# --- who shares -----------------------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(1, 5), st.integers(0, 1_000), st.sampled_from(norms.KINDS))
def test_mean_and_variance_are_those_of_the_cells_that_share(batch: int, count: int, seed: int, kind: str) -> None:
    x = 3 * drawn(batch, count, WIDTH, seed=seed) + 1
    cell = (seed % batch, seed % count, seed % WIDTH)
    found = norms.shared(x, kind, cell)
    together = x[found.rows, found.positions, found.channels]
    assert together.numel() == found.cells and bool((together == x[cell]).any())
    mean = 0.0 if kind == "rms" else float(together.mean())
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.variance == pytest.approx(float((together - mean).square().mean()))
    assert found.normalized == pytest.approx(float(norms.fresh(kind, WIDTH)(x).detach()[cell]), abs=1e-9)


def test_the_boxes_of_wu_and_he() -> None:
    x, cell = drawn(3, 5, WIDTH), (1, 2, 5)
    sizes = {kind: norms.shared(x, kind, cell).cells for kind in norms.KINDS}
    each = WIDTH // GROUPS
    assert sizes == {"batch": 3 * 5, "layer": WIDTH, "instance": 5, "group": 5 * each, "rms": WIDTH}
    assert norms.shared(x, "group", cell).channels == slice(5 // each * each, (5 // each + 1) * each)


def test_before_and_after_are_over_the_features(runs: list[Run]) -> None:
    found = norms.by_token(runs[0], "encoder.1.norm_before_attention")
    assert torch.allclose(found.mean_before, runs[0].encoder[1].norm_before_attention.mean[:, 0], atol=1e-4)
    variance = runs[0].encoder[1].norm_before_attention.variance[:, 0]
    assert torch.allclose(found.deviation_before.square(), variance, rtol=1e-3)
    assert torch.allclose(found.mean_after, runs[0].encoder[1].norm_before_attention.output.mean(-1), atol=1e-5)


# --- the batch-mate test --------------------------------------------------------------------------------------------


def moved(seed: int, place: int = 1) -> norms.Moved:
    x = drawn(3, 5, WIDTH, seed=seed)
    changed = norms.interventions(x, drawn(2, 5, WIDTH, seed=seed + 1), drawn(3, PADS, WIDTH, seed=seed + 2), place, 4)
    return norms.moved(x, place, changed)


@given(st.integers(0, 1_000), st.integers(0, 2))
def test_interventions_leave_the_token_alone_or_shift_and_scale_it(seed: int, place: int) -> None:
    x = drawn(3, 5, WIDTH, seed=seed)
    others, pads = drawn(2, 5, WIDTH, seed=seed + 1), drawn(3, PADS, WIDTH, seed=seed + 2)
    found = norms.interventions(x, others, pads, place, 4)
    for name in set(UNTOUCHED) - {"eval"}:
        after, now = found[name]
        assert torch.equal(after[0, now], x[0, place])
    assert torch.equal(found["constant"][0] - norms.CONSTANT, x + norms.CONSTANT - norms.CONSTANT)
    assert torch.equal(found["scale"][0], x * norms.FACTOR)
    assert not torch.equal(found["future"][0][0, 3], x[0, 3]) and torch.equal(found["future"][0][1:], x[1:])
    assert found["pads"][0].shape[1] == 5 + PADS and found["single"][0].shape[:2] == (1, 1)


def test_the_last_token_has_no_future() -> None:
    x = drawn(3, 5, WIDTH)
    assert "future" not in norms.interventions(x, x[1:], x[:, :1], 3, 4)


@given(st.integers(0, 1_000))
def test_token_norms_notice_nothing_but_the_token(seed: int) -> None:
    """E13: layer and RMS norm are exactly 0 wherever the token's own numbers stay."""
    found = moved(seed)
    assert all(found[name][kind] == 0 for name in UNTOUCHED for kind in ("layer", "rms"))
    assert found["mates"]["batch"] > 1e-3 and found["eval"]["batch"] > 1e-3 and found["alone"]["batch"] > 1e-3
    assert all(found[name][kind] == 0 for name in ("mates", "alone", "eval") for kind in ("instance", "group"))
    assert all(found[name][kind] > 1e-4 for name in ("pads", "future") for kind in ("batch", "instance", "group"))


@given(st.integers(0, 1_000))
def test_shift_and_scale(seed: int) -> None:
    found = moved(seed)
    assert found["constant"]["rms"] > 0.01
    assert max(found["constant"][kind] for kind in norms.KINDS if kind != "rms") < 1e-9
    assert max(found["scale"].values()) < 0.01, "what is left is ε"
    assert min(found["features"][kind] for kind in ("layer", "rms", "group")) > 1e-3
    assert max(found["features"][kind] for kind in ("batch", "instance")) < 0.01


@pytest.mark.parametrize("kind", norms.KINDS)
def test_only_batch_norm_remembers(kind: str) -> None:
    """T19: what a checkpoint holds besides weights."""
    learned, remembered = norms.stored(kind, WIDTH)
    assert set(learned) == ({"gain"} if kind == "rms" else {"gain", "bias"})
    assert set(remembered) == ({"running_mean", "running_variance"} if kind == "batch" else set())


# --- the whole network ----------------------------------------------------------------------------------------------


def network_with(norm: str, vocabulary: int) -> Transformer:
    torch.manual_seed(0)
    shape = {"width": 16, "content_width": 16, "heads": 4, "feed_forward": 32, "encoder_layers": 2, "decoder_layers": 2}
    network = Transformer(Config(vocabulary=vocabulary, norm=norm, **shape)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)
    return network


@pytest.mark.parametrize("norm", [*norms.KINDS, "none"])
@pytest.mark.parametrize("training", [False, True])
def test_logits_move_where_the_norm_shares_with_others(
    norm: str, training: bool, tiny_model: Model, runs: list[Run]
) -> None:
    network = network_with(norm, tiny_model.network.config.vocabulary)
    kept = deepcopy(network.state_dict())
    found = norms.shifts(network, runs[0], runs[1:], PADS, training=training)
    assert (found["mates"].logits > 1e-6) == (norm == "batch" and training)
    assert norm == "batch" or found["mates"].logits == 0
    assert (found["pads"].logits > 1e-6) == (norm in ("instance", "group") or (norm == "batch" and training))
    assert found["word"].logits > 1e-6 and 0 <= found["word"].tokens <= len(runs[0].target_tokens)
    assert not network.training and all(torch.equal(kept[name], each) for name, each in network.state_dict().items())


# --- at initialisation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", ["pre-norm", "post-norm"])
def test_initial_gradients_are_those_of_the_loss(residual: str, runs: list[Run]) -> None:
    batch, before = norms.batch_of(runs, 0), torch.get_rng_state()
    vocabulary = 1 + int(max(batch.source.max(), batch.expected.max()))
    config = Config(vocabulary, 16, 16, 4, 32, 2, 2)
    found = norms.at_initialisation(config, batch, residual=residual, depth=3, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    network = Transformer(Config(vocabulary, 16, 16, 4, 32, 3, 3, residual=residual))
    logits = network(batch.source, batch.target, batch.mask)
    real = batch.target != 0
    F.cross_entropy(logits[real], batch.expected[real]).backward()
    gradients = [float(layer.feed_forward.outer.weight.grad.norm()) for layer in network.decoder.layers]
    assert found.gradients == pytest.approx(gradients, rel=1e-4)


def test_where_the_norm_stands_decides_the_gradients_at_initialisation(runs: list[Run]) -> None:
    """E14b and Xiong et al. 2020: post-LN keeps the stream at 1 and its last gradient; pre-LN lets both change."""
    batch = norms.batch_of(runs, 0)
    config = Config(1 + int(max(batch.source.max(), batch.expected.max())), 32, 32, 4, 64, 2, 2)
    found = {
        (residual, depth): norms.at_initialisation(config, batch, residual=residual, depth=depth, seed=0)
        for residual in ("pre-norm", "post-norm")
        for depth in (2, 12)
    }
    assert found["post-norm", 12].stream == pytest.approx([1.0] * 12, abs=1e-3)
    stream = found["pre-norm", 12].stream
    assert stream[-1] > 2 * stream[0]
    ratio = {
        place: found[place, 12].gradients[-1] / found[place, 12].gradients[0] for place in ("pre-norm", "post-norm")
    }
    assert ratio["post-norm"] > 3 * ratio["pre-norm"]
    kept = {
        place: found[place, 12].gradients[-1] / found[place, 2].gradients[-1] for place in ("pre-norm", "post-norm")
    }
    assert kept["pre-norm"] < 0.7 < kept["post-norm"]


# --- curves ---------------------------------------------------------------------------------------------------------


def test_the_end_of_a_run_is_the_mean_of_its_last_values() -> None:
    records = [{"seed": seed, "step": step, "loss": 10.0 * seed + step} for step in range(5) for seed in (1, 0)]
    assert at_the_end([*records, {"seed": 0, "step": 5}], "loss", 2) == [3.5, 13.5]
    assert at_the_end(records, "accuracy") == []
