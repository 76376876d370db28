"""Attention against PyTorch's own, and the identities that make it what the pages say it is."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import (
    MultiHeadAttention,
    attention,
    causal_mask,
    contributions,
    masked_softmax,
    scaled_scores,
    weighted_values,
)
from core.hooks import listen

sizes = st.integers(1, 7)
seeds = st.integers(0, 10_000)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def everything(*shape: int) -> Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def close(one: Tensor, other: Tensor, tolerance: float = 1e-12) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= tolerance)


def heads(width: int = 12, count: int = 3, seed: int = 0) -> MultiHeadAttention:
    torch.manual_seed(seed)
    return MultiHeadAttention(width, count, dropout=0.0).double().eval()


def watched(module: MultiHeadAttention, *inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The output and everything heard; the module stands alone, so its hook points are named here."""
    for name, point in vars(module).items():
        if hasattr(point, "heard"):
            point.path = name
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__):
        output = module(*inputs)
    return output, heard


@given(sizes, sizes, sizes, seeds)
def test_attention_is_pytorchs(queries: int, keys: int, channels: int, seed: int) -> None:
    """T02: for any mask that lets every query see something."""
    query, key, value = (
        random(2, queries, channels, seed=seed),
        random(2, keys, channels, seed=seed + 1),
        None,
    )
    value = random(2, keys, 5, seed=seed + 2)
    mask = random(queries, keys, seed=seed + 3) > 0
    mask[:, 0] = True
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert close(attention(query, key, value, mask), expected)


def test_attention_is_pytorchs_in_single_precision() -> None:
    """T02 in the precision the app runs in."""
    query, key, value = (random(2, 4, 9, 16, seed=seed).float() for seed in range(3))
    expected = F.scaled_dot_product_attention(query, key, value)
    assert close(attention(query, key, value, everything(9, 9)), expected, 1e-5)


def copied(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    width = ours.output_projection.out_features
    theirs = nn.MultiheadAttention(width, ours.heads, batch_first=True).double().eval()
    parts = (ours.query_projection, ours.key_projection, ours.value_projection)
    with torch.no_grad():
        for part in (*parts, ours.output_projection):
            part.bias.normal_()
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output_projection.state_dict())
    return theirs


def test_multi_head_attention_is_pytorchs() -> None:
    """T02: outputs, and weights averaged over the heads, with copied weights and a padded batch."""
    ours = heads()
    theirs = copied(ours)
    queries, memory = random(2, 4, 12), random(2, 5, 12, seed=1)
    real = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    output, heard = watched(ours, queries, memory, real[:, None, None])
    expected, weights = theirs(queries, memory, memory, key_padding_mask=~real)
    assert close(output, expected)
    assert close(heard["weights"].mean(1), weights)


def test_cross_attention_ignores_the_order_of_keys_with_their_values() -> None:
    """T03: the output has the queries' length, the weights one column for each key."""
    query, key, value = random(3, 8), random(5, 8, seed=1), random(5, 6, seed=2)
    order = torch.tensor([4, 2, 0, 1, 3])
    output = attention(query, key, value, everything(3, 5))
    assert output.shape == (3, 6)
    assert masked_softmax(scaled_scores(query, key), everything(3, 5)).shape == (3, 5)
    assert close(attention(query, key[order], value[order], everything(3, 5)), output)


def test_output_is_the_sum_of_what_each_head_writes() -> None:
    """T04: Concat(heads) W_O = Σ_h heads_h W_O^h, from hook points and by hand."""
    module, x = heads(), random(2, 5, 12)
    output, heard = watched(module, x, x, everything(1, 1, 5, 5))
    assert heard["head_contributions"].shape == (2, 3, 5, 12)
    assert close(heard["head_contributions"].sum(1) + module.output_projection.bias, output)
    slices = module.output_projection.weight.T.split(4)
    by_hand = [heard["head_outputs"][:, head] @ part for head, part in enumerate(slices)]
    assert close(heard["head_contributions"], torch.stack(by_hand, dim=1))


def test_a_head_gate_of_one_changes_nothing_and_the_output_is_linear_in_the_gates() -> None:
    """T34: Σ_h (out − out without head h) = out − bias."""
    module, x = heads(), random(1, 5, 12)
    output, heard = watched(module, x, x, everything(1, 1, 5, 5))

    def gated(gates: Tensor) -> Tensor:
        with listen(lambda _, value: value * gates.view(1, -1, 1, 1), paths={"head_outputs"}):
            result: Tensor = module(x, x, everything(1, 1, 5, 5))
        return result

    assert torch.equal(gated(torch.ones(3, dtype=torch.float64)), output)
    removed = [output - gated(1.0 - F.one_hot(torch.tensor(head), 3).double()) for head in range(3)]
    assert close(torch.stack(removed).sum(0), output - module.output_projection.bias, 1e-10)
    assert close(torch.stack(removed, dim=1), heard["head_contributions"], 1e-10)


def test_changing_values_leaves_the_weights_alone() -> None:
    """T09: only the output depends on V; one query moves one row; one key keeps the ratios of the others."""
    query, key = random(4, 8), random(5, 8, seed=1)
    mask = everything(4, 5)
    weights = masked_softmax(scaled_scores(query, key), mask)
    other_query = query.clone()
    other_query[2] += 1.0
    changed = masked_softmax(scaled_scores(other_query, key), mask)
    assert torch.equal(changed[[0, 1, 3]], weights[[0, 1, 3]]) and not torch.equal(changed[2], weights[2])
    other_key = key.clone()
    other_key[3] += 1.0
    changed = masked_softmax(scaled_scores(query, other_key), mask)
    assert close(changed[:, 0] / changed[:, 1], weights[:, 0] / weights[:, 1])
    assert not close(changed[:, 3], weights[:, 3], 1e-3)


def test_new_values_reach_the_output_and_no_weight() -> None:
    """T09 in the module: an edit of V is heard downstream only."""
    module, x = heads(), random(1, 4, 12)
    output, heard = watched(module, x, x, everything(1, 1, 4, 4))
    with listen(lambda _, value: value + 1.0, paths={"value"}):
        edited, after = watched(module, x, x, everything(1, 1, 4, 4))
    assert torch.equal(after["weights"], heard["weights"])
    assert not close(edited, output, 1e-3)


def test_causal_attention_never_looks_ahead() -> None:
    """T11: ∂out_i/∂x_j = 0 for j > i, and a changed future leaves every earlier output bit for bit."""
    module, x = heads(), random(1, 5, 12)
    mask = causal_mask(5, 5)[None, None]
    jacobian = torch.autograd.functional.jacobian(lambda x: module(x, x, mask)[0].sum(-1), x)[:, 0].abs().sum(-1)
    assert (jacobian.triu(1) == 0).all() and (jacobian.diagonal() > 0).all()
    future = x.clone()
    future[:, 3:] = 9.0
    assert torch.equal(module(future, future, mask)[:, :3], module(x, x, mask)[:, :3])


def test_which_masks_leak_the_future() -> None:
    """T12: −∞ before the softmax is zero-and-renormalise after it; two shortcuts leak."""
    scores = random(6, 6) * 2
    mask = causal_mask(6, 6)
    weights = masked_softmax(scores, mask)
    zeroed = scores.softmax(-1) * mask
    assert close(weights, zeroed / zeroed.sum(-1, keepdim=True))
    future = scores.clone()
    future[:, 4:] += 3.0
    assert torch.equal(masked_softmax(future, mask)[:4], weights[:4])
    assert (((future.softmax(-1) * mask) - zeroed)[:4]).abs().max() > 0.05
    assert ((scores * mask).softmax(-1).triu(1)).max() > 0.05


def test_a_bias_on_every_key_changes_nothing() -> None:
    """T13: q·(k + b) adds one number to a whole row of scores, which a softmax does not see."""
    query, key, bias = random(4, 8), random(5, 8, seed=1), random(8, seed=2)
    mask = everything(4, 5)
    weights = masked_softmax(scaled_scores(query, key), mask)
    assert close(masked_softmax(scaled_scores(query, key + bias), mask), weights)
    assert close(masked_softmax(scaled_scores(query, key) + random(4, 1, seed=3), mask), weights)
    assert not close(masked_softmax(scaled_scores(query + bias, key), mask), weights, 1e-2)


def test_backward_by_hand_is_autograds() -> None:
    """T15: dS = A ∘ (dA − rowsum(dA ∘ A)), whose rows sum to 0; also against finite differences."""
    query, key, value = (random(5, 4, seed=seed).requires_grad_() for seed in range(3))
    upstream = random(5, 4, seed=3)
    output = attention(query, key, value, everything(5, 5))
    output.backward(upstream)
    with torch.no_grad():
        weights = masked_softmax(scaled_scores(query, key), everything(5, 5))
        d_weights = upstream @ value.T
        d_scores = weights * (d_weights - (d_weights * weights).sum(-1, keepdim=True))
        assert d_scores.sum(-1).abs().max() < 1e-12
        assert query.grad is not None and key.grad is not None and value.grad is not None
        assert close(weights.T @ upstream, value.grad, 1e-10)
        assert close(d_scores @ key / 2.0, query.grad, 1e-10)
        assert close(d_scores.T @ query / 2.0, key.grad, 1e-10)
    assert torch.autograd.gradcheck(lambda *parts: attention(*parts, everything(5, 5)), (query, key, value))


def test_the_gradient_of_attention_is_a_covariance() -> None:
    """T16: ∂o/∂q = Cov_p(v, k)/√d_k, and ∂o/∂s_j = p_j (v_j − o)."""
    query, key, value = random(1, 4), random(6, 4, seed=1), random(6, 3, seed=2)
    mask = everything(1, 6)
    weights = masked_softmax(scaled_scores(query, key), mask)[0]
    by_query = torch.autograd.functional.jacobian(lambda q: attention(q, key, value, mask)[0], query)[:, 0]
    mean_value, mean_key = weights @ value, weights @ key
    covariance = torch.einsum("j,jv,jk->vk", weights, value - mean_value, key - mean_key)
    assert close(by_query, covariance / 2.0, 1e-10)

    def read(scores: Tensor) -> Tensor:
        return weighted_values(masked_softmax(scores, mask), value)[0]

    by_score = torch.autograd.functional.jacobian(read, scaled_scores(query, key))[:, 0]
    assert close(by_score, (weights[:, None] * (value - mean_value)).T, 1e-10)


@given(sizes, sizes, seeds, st.floats(-1e4, 1e4))
def test_softmax_rows_are_distributions_whatever_is_added(queries: int, keys: int, seed: int, shift: float) -> None:
    """T17: rows sum to 1, nothing overflows at ±10⁴, a constant does not matter."""
    scores, mask = random(queries, keys, seed=seed), everything(queries, keys)
    shifted = masked_softmax(scores + shift, mask)
    assert close(shifted.sum(-1), torch.ones(queries, dtype=torch.float64))
    assert close(shifted, masked_softmax(scores, mask), 1e-9)
    assert masked_softmax(scores * 1e4, mask).isfinite().all()


def test_a_query_that_may_see_nothing_reads_nothing() -> None:
    """T17: an all-False row gives zeros, not NaN, also in half precision, and in the gradient."""
    mask = torch.tensor([[True, False], [False, False]])
    scores = random(2, 2).requires_grad_()
    weights = masked_softmax(scores, mask)
    assert weights.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert masked_softmax(scores.bfloat16(), mask).tolist() == [[1.0, 0.0], [0.0, 0.0]]
    (weights * random(2, 2, seed=1)).sum().backward()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_numbers_that_are_not_numbers_stay_visible() -> None:
    """T17: the zeros of an empty row must not hide a NaN that came from elsewhere."""
    assert masked_softmax(torch.full((1, 2), math.nan), everything(1, 2)).isnan().all()


def test_one_heads_scores_have_at_most_the_rank_of_its_channels() -> None:
    """T18: seven tokens, four channels: rank 4."""
    x = random(7, 12)
    scores = scaled_scores(x @ random(12, 4, seed=1), x @ random(12, 4, seed=2))
    assert torch.linalg.matrix_rank(scores) == 4


def test_heads_born_equal_stay_equal() -> None:
    """T26: with the same slices in every projection, training cannot tell two heads apart."""
    module, x = heads(width=8, count=2), random(3, 5, 8)
    with torch.no_grad():
        for part in (module.query_projection, module.key_projection, module.value_projection):
            part.weight[4:], part.bias[4:] = part.weight[:4], part.bias[:4]
        module.output_projection.weight[:, 4:] = module.output_projection.weight[:, :4]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    before = module.query_projection.weight.clone()
    for _ in range(3):
        optimizer.zero_grad()
        (module(x, x, everything(1, 1, 5, 5)) - 1.0).square().mean().backward()
        optimizer.step()
    assert not close(module.query_projection.weight, before, 1e-6)
    assert close(module.query_projection.weight[4:], module.query_projection.weight[:4])
    assert close(module.output_projection.weight[:, 4:], module.output_projection.weight[:, :4])


def test_attention_over_a_single_token_is_affine() -> None:
    """T27: with nobody else to look at, all weight is on itself and only W_V and W_O remain."""
    module = heads()
    one, other = random(1, 1, 12), random(1, 1, 12, seed=1)

    def run(x: Tensor) -> Tensor:
        result: Tensor = module(x, x, everything(1, 1, 1, 1))
        return result

    assert close(run(0.3 * one + 0.7 * other), 0.3 * run(one) + 0.7 * run(other))


def test_the_variance_of_a_score_is_the_number_of_channels() -> None:
    """T30: Var(q·k) = d_k, and the scale makes the largest weight independent of d_k."""
    largest = []
    for channels in (16, 256):
        query, key = random(2000, 1, channels), random(2000, 16, channels, seed=1)
        assert (query @ key.transpose(-2, -1)).var() == pytest.approx(channels, rel=0.1)
        largest.append(masked_softmax(scaled_scores(query, key), everything(1, 1, 16)).amax(-1).mean().item())
    assert largest[0] == pytest.approx(largest[1], abs=0.02)


def test_attention_worked_by_hand() -> None:
    """T33: q = (1, 0), K = I, V = 10 I: scores 1/√2 and 0."""
    query, key = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    weights = masked_softmax(scaled_scores(query, key), everything(1, 2))
    assert weights[0].tolist() == pytest.approx([0.66976, 0.33024], abs=1e-5)
    assert weighted_values(weights, 10 * key)[0].tolist() == pytest.approx([6.6976, 3.3024], abs=1e-4)


def test_the_order_of_heads_means_nothing() -> None:
    """T35: permute the heads together with their slices of W_O, and the layer is the same."""
    module, x = heads(), random(2, 5, 12)
    output = module(x, x, everything(1, 1, 5, 5))
    rows = torch.tensor([2, 0, 1]).repeat_interleave(4) * 4 + torch.arange(4).repeat(3)
    with torch.no_grad():
        for part in (module.query_projection, module.key_projection, module.value_projection):
            part.weight.copy_(part.weight[rows])
            part.bias.copy_(part.bias[rows])
        module.output_projection.weight.copy_(module.output_projection.weight[:, rows])
    assert close(module(x, x, everything(1, 1, 5, 5)), output)


def test_contributions_need_no_copy_of_the_weights() -> None:
    """They are a view of W_O times the head outputs, whatever the number of heads."""
    outputs, weight = random(1, 2, 3, 4), random(10, 8, seed=1)
    joined = outputs.transpose(1, 2).flatten(2) @ weight.T
    assert close(contributions(outputs, weight).sum(1), joined)


def test_heads_must_share_the_width() -> None:
    """A width that does not divide is refused when the module is built."""
    with pytest.raises(ValueError, match="5 heads"):
        MultiHeadAttention(12, 5, 0.0)
