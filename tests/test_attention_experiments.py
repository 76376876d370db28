"""E01, E02, E03 and E15a: formulas against trying it out, and what random vectors and a network's own show."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.attention import attention, masked_softmax
from core.checkpoint import Model, save_metrics
from core.corpus import pairs
from core.experiments import diagonal, expectation, replacing, scaling
from core.hooks import listen
from core.run import Run, reread, trace
from core.training.itself import itself_report

SENTENCE = "the cat sees a dog ."
random_scores = st.lists(st.floats(-8, 8), min_size=2, max_size=9).map(np.array)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- E01: the scale -------------------------------------------------------------------------------------------------


def test_the_jacobian_norm_is_that_of_the_softmax() -> None:
    scores = 2 * drawn(3, 6)
    for row, norm in zip(scores, scaling.jacobian_norm(scores.softmax(-1)), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda each: each.softmax(-1), row)
        assert float(norm) == pytest.approx(float(jacobian.norm()), abs=1e-12)
    assert float(scaling.jacobian_norm(torch.eye(4, dtype=torch.float64)).max()) == 0.0


@pytest.mark.parametrize("scale", [1.0, 8**-0.5])
def test_the_gradient_norm_is_autograds(scale: float) -> None:
    """T16: ∂o/∂q = scale · Cov_p(v, k)."""
    query, key, value = drawn(2, 3, 8), drawn(2, 5, 8, seed=1), drawn(2, 5, 7, seed=2)
    weights = (scale * query @ key.transpose(1, 2)).softmax(-1)
    found = scaling.gradient_norm(weights, key, value, scale)
    for each in range(2):
        for row in range(3):

            def output(q: torch.Tensor, each: int = each) -> torch.Tensor:
                return (scale * q @ key[each].T).softmax(-1) @ value[each]

            gradient = torch.autograd.functional.jacobian(output, query[each, row])
            assert float(found[each, row]) == pytest.approx(float(gradient.norm()) / math.sqrt(7), abs=1e-10)


def test_a_head_under_its_own_scale_is_the_models() -> None:
    query, key, mask = drawn(5, 16), drawn(5, 16, seed=1), torch.ones(5, 5, dtype=torch.bool).tril()
    found = scaling.rows(query, key, mask, 16**-0.5)
    assert (found.weights - masked_softmax(query @ key.T / 4, mask)).abs().max() < 1e-12
    assert float(found.entropy[0]) == 0.0 and float(found.largest[0]) == 1.0


@pytest.fixture(scope="module")
def random_vectors() -> dict[tuple[int, bool], list[scaling.Softness]]:
    return {
        (channels, scaled): scaling.random_softness(channels, 16, range(5), scaled=scaled)
        for channels in (1, 16, 64, 1024)
        for scaled in (True, False)
    }


def middle(found: list[scaling.Softness], name: str) -> float:
    return float(np.median([getattr(each, name) for each in found]))


@pytest.mark.parametrize("channels", [1, 16, 64, 1024])
def test_the_variance_of_a_score_is_the_number_of_channels(
    random_vectors: dict[tuple[int, bool], list[scaling.Softness]], channels: int
) -> None:
    """T30."""
    assert middle(random_vectors[channels, False], "variance") == pytest.approx(channels, rel=0.1)
    assert middle(random_vectors[channels, True], "variance") == pytest.approx(1.0, rel=0.1)


def test_without_the_scale_the_median_gradient_dies_and_the_mean_grows(
    random_vectors: dict[tuple[int, bool], list[scaling.Softness]],
) -> None:
    """The twist: the mean alone would tell the opposite story."""
    raw, scaled = random_vectors[1024, False], random_vectors[1024, True]
    assert middle(raw, "mean_gradient") > 2 * middle(scaled, "mean_gradient")
    assert middle(raw, "median_gradient") < 0.02 * middle(scaled, "median_gradient")
    assert 0.55 <= middle(raw, "dead") <= 0.70 and middle(scaled, "dead") == 0.0
    assert middle(scaled, "entropy") == pytest.approx(middle(random_vectors[16, True], "entropy"), abs=0.03)
    assert middle(raw, "entropy") < 0.1 and middle(raw, "largest") > 0.9


def test_queries_without_a_choice_do_not_count() -> None:
    """In a causal mask the first query can look at itself only; of a single token nothing is left."""
    query, key, value = (drawn(1, 4, 8, seed=seed) for seed in range(3))
    causal = torch.ones(1, 4, 4, dtype=torch.bool).tril()
    later = scaling.softness(query[:, 1:], key, value, causal[:, 1:], 0.35)
    assert scaling.softness(query, key, value, causal, 0.35) == later
    alone = scaling.softness(query[:, :1], key, value, causal[:, :1], 0.35)
    assert alone.dead == 1.0 and alone.median_gradient == 0.0


# --- E02: exp and expectation ---------------------------------------------------------------------------------------


@given(random_scores, st.floats(-300, 300))
def test_softmax_sees_differences_only(scores: np.ndarray, shift: float) -> None:
    """T17, and p_i / p_j = exp(s_i − s_j)."""
    weights = expectation.softmax(scores)
    assert weights.sum() == pytest.approx(1.0) and (weights > 0).all()
    assert np.abs(expectation.softmax(scores + shift) - weights).max() < 1e-12
    assert weights[0] / weights[1] == pytest.approx(math.exp(scores[0] - scores[1]))


@given(random_scores)
def test_a_rising_score_pulls_the_output_to_its_value(scores: np.ndarray) -> None:
    """T16: ∂o/∂s_j = p_j (v_j − o)."""
    values = np.random.default_rng(0).normal(size=(len(scores), 4))
    assert np.abs(expectation.slopes(scores, values) - expectation.measured_slopes(scores, values)).max() < 1e-6


def test_the_fixture_of_the_notes() -> None:
    """T33: q = (1, 0), K = I, V = 10 I."""
    query, key = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    found = attention(query, key, 10 * key, torch.ones(1, 2, dtype=torch.bool))[0].numpy()
    weights = expectation.softmax(np.array([1 / math.sqrt(2), 0.0]))
    assert weights == pytest.approx([0.66976, 0.33024], abs=1e-4)
    output = expectation.expectation(weights, 10 * np.eye(2))
    assert output == pytest.approx([6.698, 3.302], abs=1e-3) and np.abs(output - found).max() < 1e-12


def test_sampling_keys_converges_to_the_output_as_expected() -> None:
    weights, values = expectation.softmax(np.array([1.0, 0.0, -1.0])), np.random.default_rng(1).normal(size=(3, 8))
    counts = (1, 16, 256, 4096)
    errors = expectation.sampling_errors(weights, values, counts)
    assert errors.shape == (expectation.REPEATS, 4)
    for found, count in zip(np.sqrt((errors**2).mean(0)), counts, strict=True):
        assert found == pytest.approx(expectation.expected_error(weights, values, count), rel=0.5)
    assert (expectation.sampling_errors(weights, values, counts, seed=1) != errors).any()


def test_a_maximum_has_no_slope_and_a_sigmoid_no_sum() -> None:
    scores = np.array([2.0, 1.0, 0.0])
    assert (expectation.hardest(scores) == expectation.hardest(scores + np.array([0, 0.1, 0]))).all()
    assert expectation.sigmoid(scores).sum() > 1.5


# --- E03: on itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tie", "strongest", "weight"),
    [("raw", 1.0, 0.99), ("tied", 0.99, 0.70), ("independent", 0.1, 0.1), ("negated", 0.0, 0.004)],
)
def test_only_tied_projections_favour_the_diagonal(tie: diagonal.Tie, strongest: float, weight: float) -> None:
    found = diagonal.over_seeds(tie, 10, range(3))
    assert np.mean([each.strongest for each in found]) == pytest.approx(strongest, abs=0.03)
    assert np.mean([each.weight for each in found]) == pytest.approx(weight, abs=0.03)


def test_raw_products_of_equally_long_tokens_always_favour_the_diagonal() -> None:
    """Cauchy–Schwarz leaves no exception."""
    assert diagonal.on_itself("raw", 30, 0, equal_lengths=True).strongest == 1.0


def test_the_more_alike_the_projections_the_more_on_itself() -> None:
    shares = [diagonal.on_itself("mixed", 10, 0, share=share).strongest for share in (-1.0, 0.0, 0.5, 1.0)]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] > 0.95


def test_cosines_know_tied_projections(tiny_model: Model) -> None:
    found = diagonal.projection_cosines(tiny_model.network)
    paths = [path for path in tiny_model.network.attentions if path.endswith("self_attention")]
    assert len(found) == len(paths) * tiny_model.network.config.heads
    module = tiny_model.network.attentions[paths[0]]
    before = module.key_projection.weight.data.clone()
    module.key_projection.weight.data = module.query_projection.weight.data.clone()
    assert diagonal.projection_cosines(tiny_model.network)[f"{paths[0]}.0"] == pytest.approx(1.0)
    module.key_projection.weight.data = before


def test_held_out_sentences_are_measured_as_one_by_one(tiny_model: Model) -> None:
    """Batches and padding change nothing; every pair counts in both directions, the decoder reads the reference."""
    some = list(itertools.islice(pairs(0), 3))
    report = itself_report(tiny_model.network, tiny_model.tokenizer, some)
    assert report["sentences"] == 6
    ways = ("en-ko", "ko-en")
    runs = [trace(tiny_model, one.source(way), one.reference(way), direction=way) for way in ways for one in some]
    for path, attentions in {
        "encoder.1.self_attention": [run.encoder[1].self_attention for run in runs],
        "decoder.0.self_attention": [run.decoder[0].self_attention for run in runs],
    }.items():
        own = np.concatenate([np.diagonal(each.weights[2].numpy()) for each in attentions])
        strongest = np.concatenate(
            [np.arange(each.weights.shape[1]) == each.weights[2].argmax(-1).numpy() for each in attentions]
        )
        even = np.concatenate([1 / each.mask.sum(-1).numpy() for each in attentions])
        found = report["heads"][f"{path}.2"]
        assert found["weight_on_itself"] == pytest.approx(own.mean(), rel=1e-4)
        assert found["strongest_on_itself"] == pytest.approx(strongest.mean())
        assert report["uniform"][path.split(".")[0]] == pytest.approx(even.mean())


# --- E15a: replacing ------------------------------------------------------------------------------------------------

PATHS = ["encoder.1.self_attention", "decoder.0.self_attention", "decoder.1.cross_attention"]


@pytest.fixture(scope="module")
def run(tiny_model: Model) -> Run:
    return trace(tiny_model, SENTENCE, SENTENCE, direction="en-ko")


def changed(model: Model, run: Run, path: str, listener: replacing.Listener) -> tuple[Run, replacing.Moved]:
    with listen(listener):
        after = reread(model, run, ())
    return after, replacing.moved(run, after, path, 1)


@pytest.mark.parametrize("path", PATHS)
def test_a_value_moves_no_weight(tiny_model: Model, run: Run, path: str) -> None:
    """T09."""
    _, moved = changed(tiny_model, run, path, replacing.replaced(path, 1, "value", 2, 0))
    assert moved.weights.abs().max() == 0.0 == moved.scores.abs().max()
    assert moved.rows == [] == moved.columns and moved.outputs.max() > 1e-3


@pytest.mark.parametrize("path", PATHS)
def test_a_query_moves_one_row(tiny_model: Model, run: Run, path: str) -> None:
    _, moved = changed(tiny_model, run, path, replacing.replaced(path, 1, "query", 3, 1))
    assert moved.rows == [3]
    assert moved.weights[[row for row in range(len(moved.weights)) if row != 3]].abs().max() == 0.0


@pytest.mark.parametrize("path", PATHS)
def test_a_key_moves_one_column_and_leaves_the_proportions_of_the_others(
    tiny_model: Model, run: Run, path: str
) -> None:
    after, moved = changed(tiny_model, run, path, replacing.replaced(path, 1, "key", 2, 0))
    assert moved.columns == [2]
    before, later = (each.tensor(f"{path}.weights")[1] for each in (run, after))
    assert replacing.ratio_error(before, later, 2) < 1e-4
    assert replacing.ratio_error(before, later, 1) > 1e-3, (
        "with another column left out, the moved one is among the rest"
    )


@pytest.mark.parametrize("path", PATHS)
def test_the_same_on_every_key_moves_nothing_and_on_every_query_does(tiny_model: Model, run: Run, path: str) -> None:
    """T13."""
    vector = run.tensor(f"{path}.key")[1, 0]
    _, moved = changed(tiny_model, run, path, replacing.added(path, 1, "key", vector))
    assert moved.scores.abs().max() > 0.1 and moved.weights.abs().max() < replacing.ROUNDING and moved.rows == []
    _, moved = changed(tiny_model, run, path, replacing.added(path, 1, "query", vector))
    assert moved.weights.abs().max() > 1e-3


def test_other_heads_and_later_runs_notice_nothing(tiny_model: Model, run: Run) -> None:
    path = PATHS[0]
    after, _ = changed(tiny_model, run, path, replacing.replaced(path, 1, "query", 3, 1))
    others = [0, 2, 3]
    assert (after.tensor(f"{path}.weights")[others] == run.tensor(f"{path}.weights")[others]).all()
    again = reread(tiny_model, run, ())
    assert all((again.tensor(each) == run.tensor(each)).all() for each in run.paths)


# --- the card -------------------------------------------------------------------------------------------------------


def test_new_figures_replace_those_of_the_first_seed(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "some"
    folder.mkdir(parents=True)
    keys = ("name", "data_version", "steps", "tokens", "seconds", "parameters", "command")
    card = dict.fromkeys(keys) | {
        "config": {},
        "seeds": [3, 4],
        "metrics": {"a": 1},
        "metrics_by_seed": {"3": {"a": 1}, "4": {"a": 2}},
    }
    (folder / "card.json").write_text(json.dumps(card))
    save_metrics("some", {"a": 5}, assets=tmp_path)
    found = json.loads((folder / "card.json").read_text())
    assert found == card | {"metrics": {"a": 5}, "metrics_by_seed": {"3": {"a": 5}, "4": {"a": 2}}}
