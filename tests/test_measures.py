"""Figures of heads, the split of first-layer scores, and cost: identities that hold for any pattern."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.utils.flop_counter import FlopCounterMode

from core.attention import contributions
from core.checkpoint import Model
from core.measures import cost, heads
from core.measures.decomposition import first_layer_parts
from core.run import trace
from core.transformer import Transformer

TEXT, TARGET = "the cat sees a dog.", "고양이가 개를 본다."


@st.composite
def patterns(draw: st.DrawFn, square: bool = False) -> np.ndarray:
    """Attention of some heads over some tokens: rows are distributions, many entries exactly 0."""
    count, queries, keys = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    shape = (count, queries, queries if square else keys)
    raw = draw(arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.1, 1.0, 3.0])))
    raw[..., 0] += 0.5
    return raw / raw.sum(-1, keepdims=True)


@given(patterns())
def test_entropy_lies_between_one_and_all(weights: np.ndarray) -> None:
    """0 ≤ H ≤ log n, and normalized it is a share."""
    found = heads.entropy(weights)
    assert (found >= 0).all() and (found <= np.log(weights.shape[-1]) + 1e-12).all()
    allowed = np.ones(weights.shape[1:], dtype=bool)
    shares = heads.normalized_entropy(weights, allowed)
    assert (shares >= 0).all() and (shares <= 1).all()


def test_entropy_of_known_rows() -> None:
    """One key: 0. All keys alike: log n, which is all of what a causal row may have."""
    causal = np.tril(np.ones((4, 4), dtype=bool))
    uniform = causal / causal.sum(-1, keepdims=True)
    np.testing.assert_allclose(heads.entropy(uniform), np.log([1, 2, 3, 4]), atol=1e-15)
    np.testing.assert_allclose(heads.normalized_entropy(uniform, causal), [0, 1, 1, 1], atol=1e-15)
    assert (heads.entropy(np.eye(4)) == 0).all()


@given(patterns(square=True))
def test_distance_and_diagonal(weights: np.ndarray) -> None:
    """Within the sentence; 0 and all on the diagonal for a head that looks at itself."""
    size = weights.shape[-1]
    assert (heads.mean_distance(weights) <= size - 1 + 1e-12).all()
    own = np.eye(size)[None]
    assert heads.mean_distance(own) == 0 and heads.diagonal_share(own) == 1
    assert ((heads.diagonal_share(weights) >= 0) & (heads.diagonal_share(weights) <= 1)).all()
    on_each = sum(heads.share_on(weights, key) for key in range(size))
    np.testing.assert_allclose(on_each, 1.0, atol=1e-12)


def test_distance_counts_tokens() -> None:
    """A head that always looks at the token before: distance 1, share on the first token 2 in 4."""
    previous = np.array([[[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]], dtype=float)
    assert heads.mean_distance(previous).tolist() == [0.75]
    assert heads.share_on(previous, 0).tolist() == [0.5] and heads.share_on(previous, -1).tolist() == [0.0]
    assert heads.diagonal_share(previous).tolist() == [0.25]


@given(patterns(), st.randoms(use_true_random=False))
def test_words_keep_rows_whole(weights: np.ndarray, random: object) -> None:
    """Hidden or merged, a row that has anything left sums to 1; nothing is made up."""
    queries, keys = weights.shape[1:]
    query_word = np.array([random.randint(-1, 2) for _ in range(queries)])
    key_word = np.array([0, *(random.randint(-1, 2) for _ in range(keys - 1))])
    merged = heads.by_word(weights, query_word, key_word)
    assert merged.shape[1:] == (len(set(query_word) - {-1}), len(set(key_word) - {-1}))
    np.testing.assert_allclose(merged.sum(-1), 1.0, atol=1e-12)


def test_merging_by_hand() -> None:
    """Keys of a word are summed, queries averaged; a row that only looked at specials is left empty."""
    weights = np.array([[[0.5, 0.2, 0.2, 0.1], [0.5, 0.0, 0.1, 0.4], [1.0, 0.0, 0.0, 0.0]]])
    merged = heads.by_word(weights, np.array([0, 0, 1]), np.array([-1, 0, 0, 1]))
    np.testing.assert_allclose(merged, [[[0.5, 0.5], [0.0, 0.0]]], atol=1e-15)
    shown = heads.hide(weights, keys=np.array([False, True, True, True]))
    np.testing.assert_allclose(shown[0, 0], [0.4, 0.4, 0.2], atol=1e-15)


def test_contribution_norms_are_norms_of_contributions(tiny_model: Model) -> None:
    """The short cut through W_O W_Oᵀ equals the norm of what each head writes."""
    run = trace(tiny_model, TEXT, TARGET)
    for path, weight in run.output_weights.items():
        outputs = run.tensor(f"{path}.head_outputs")
        written = contributions(outputs[None], weight)[0].norm(dim=-1)
        found = heads.contribution_norms(outputs.numpy(), weight.numpy())
        np.testing.assert_allclose(found, written, rtol=1e-4)


@given(patterns(square=True), st.integers(1, 4))
def test_rollout_rows_sum_to_one(weights: np.ndarray, layers: int) -> None:
    """T31: rows of a rollout sum to 1, and the rollout of heads that look at themselves is the identity."""
    np.testing.assert_allclose(heads.rollout([weights] * layers).sum(-1), 1.0, atol=1e-12)
    own = np.broadcast_to(np.eye(weights.shape[-1]), weights.shape)
    np.testing.assert_allclose(heads.rollout([own] * layers), np.eye(weights.shape[-1]), atol=1e-12)


def test_rollout_puts_later_layers_on_the_left() -> None:
    first = np.array([[[1.0, 0.0], [1.0, 0.0]]])
    second = np.array([[[0.0, 1.0], [0.0, 1.0]]])
    expected = (second[0] / 2 + np.eye(2) / 2) @ (first[0] / 2 + np.eye(2) / 2)
    np.testing.assert_allclose(heads.rollout([first, second]), expected)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"positions": "sinusoidal-concat", "width": 24}, {"positions": "none"}],
    ids=["sum", "concat", "none"],
)
def test_score_parts_sum_to_the_scores(
    tiny_model: Model, make_network: Callable[..., Transformer], changes: dict[str, object], stack: str
) -> None:
    """The parts are exact through the layer norm, whose gain and bias, like the projections', are not trivial here."""
    network = make_network(vocabulary=tiny_model.tokenizer.size, **changes).float()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    run = trace(replace(tiny_model, network=network), TEXT, TARGET)
    parts = first_layer_parts(network, run, stack)
    scores = run.tensor(f"{stack}.0.self_attention.scores").numpy()
    np.testing.assert_allclose(parts.total, scores, atol=1e-5 * max(1.0, np.abs(scores).max()))
    assert np.abs(parts.remainder).max() > 0.01
    silent = changes.get("positions") == "none"
    assert (np.abs(parts.position_position).max() < 1e-12) == silent
    assert not np.allclose(parts.content_position, parts.position_content) or silent


CONFIGS = [{}, {"width": 24, "positions": "sinusoidal-concat"}, {"encoder_layers": 1, "decoder_layers": 3}]


@pytest.mark.parametrize("changes", CONFIGS)
def test_multiply_adds_are_what_pytorch_counts(
    make_network: Callable[..., Transformer], changes: dict[str, object]
) -> None:
    """The formula equals half of PyTorch's own count of floating-point operations."""
    network = make_network(**changes)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.ones(1, 7, dtype=torch.long), torch.ones(1, 5, dtype=torch.long))
    assert 2 * cost.multiply_adds(network.config, 7, 5).total == counter.get_total_flops()


def test_parameters_are_counted_once(make_network: Callable[..., Transformer]) -> None:
    """The tied embedding is one part; parts sum to the whole, four bytes each in single precision."""
    network = make_network().float()
    counted = cost.parameters(network)
    assert sum(counted.values()) == sum(weight.numel() for weight in network.parameters())
    assert counted["embedding"] == 50 * 16
    assert cost.weight_bytes(network) == 4 * sum(counted.values())


def test_peak_memory_of_known_work() -> None:
    """Two of these tensors live at once, however many are made; a view is no new memory."""

    def work() -> None:
        one = torch.ones(10_000)
        two = one + 1
        del one
        three = two.view(100, 100) + 1
        del two
        three.sum()

    assert 80_000 <= cost.peak_bytes(work) <= 80_100


def test_longer_sentences_cost_more(make_network: Callable[..., Transformer]) -> None:
    network = make_network()
    short, long = (cost.measure(network, length, length, repeats=1) for length in (4, 40))
    assert 0 < short.activation_bytes < long.activation_bytes
    assert short.milliseconds > 0
