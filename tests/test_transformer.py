"""The whole model against PyTorch's, its norm against the paper, and what a padded batch must not change."""

import json
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import MultiHeadAttention
from core.hooks import listen
from core.layers import Choices, DecoderLayer, EncoderLayer, FeedForward
from core.norms import LayerNorm
from core.positions import POSITIONS
from core.transformer import Config, Transformer
from core.variants import VARIANTS

Make = Callable[..., Transformer]
SOURCE = torch.tensor([[3, 7, 9, 11, 2], [4, 8, 2, 0, 0]])
TARGET = torch.tensor([[1, 8, 6, 5], [1, 9, 0, 0]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def heard_in(network: Transformer, source: Tensor = SOURCE, target: Tensor = TARGET) -> dict[str, Tensor]:
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__):
        network(source, target)
    return heard


# --- the whole model ---


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query_projection, ours.key_projection, ours.value_projection)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.output_projection.state_dict())


def copy_norm(ours: LayerNorm, theirs: nn.LayerNorm) -> None:
    theirs.weight.copy_(ours.gain)
    theirs.bias.copy_(ours.bias)


def copy_layer(ours: EncoderLayer | DecoderLayer, theirs: nn.Module) -> None:
    copy_attention(ours.self_attention, theirs.self_attn)
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    norms = [each for name, each in ours.named_children() if name.startswith("norm_before")]
    for number, norm in enumerate(norms, start=1):
        copy_norm(norm, getattr(theirs, f"norm{number}"))
    if isinstance(ours, DecoderLayer):
        copy_attention(ours.cross_attention, theirs.multihead_attn)


def copied(ours: Transformer) -> nn.Transformer:
    """PyTorch's own encoder–decoder with our weights."""
    shape = ours.config
    theirs = nn.Transformer(
        shape.width,
        shape.heads,
        2,
        2,
        shape.feed_forward,
        batch_first=True,
        norm_first=True,
        dtype=torch.float64,
    ).eval()
    with torch.no_grad():
        for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
            for layer, copy in zip(mine.layers, other.layers, strict=True):
                copy_layer(layer, copy)
            copy_norm(mine.final_norm, other.norm)
    return theirs


@pytest.mark.filterwarnings("ignore:.*nested")
def test_the_model_is_pytorchs(make_network: Make) -> None:
    """T02 for everything at once: norm first, ReLU, biases, masks, padding, all weights drawn at random."""
    ours = make_network()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_(std=0.5)
    heard = heard_in(ours)
    padding = SOURCE == 0
    expected = copied(ours)(
        heard["source.input"],
        heard["target.input"],
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    assert (heard["decoder.final_norm.output"] - expected).abs().max() < 1e-10
    assert (heard["logits"] - expected @ ours.embedding.weight.T).abs().max() < 1e-10


def test_looking_up_an_embedding_is_a_product_with_one_hot_rows(make_network: Make) -> None:
    """T01, times √d."""
    network = make_network()
    one_hot = F.one_hot(SOURCE, 50).double()
    assert torch.equal(network.embed(SOURCE), one_hot @ network.embedding.weight * math.sqrt(16))


def test_source_target_and_output_share_one_embedding(make_network: Make) -> None:
    """There is one matrix of the vocabulary's height; words and positions begin about equally strong."""
    network = make_network()
    assert [name for name, each in network.named_parameters() if 50 in each.shape] == ["embedding.weight"]
    assert network.embed(SOURCE).std().item() == pytest.approx(1.0, abs=0.2)


def test_without_positions_an_encoder_only_permutes(make_network: Make) -> None:
    """T08: f(PX) = P f(X), so the mean over tokens cannot know the order; a sinusoid breaks it."""
    order = torch.tensor([3, 0, 4, 1, 2])
    ids, everyone = SOURCE[:1], torch.ones(1, 5, dtype=torch.bool)
    for positions, same in (("none", True), ("sinusoidal", False)):
        network = make_network(positions=positions)
        straight, shuffled = network.encode(ids, everyone), network.encode(ids[:, order], everyone)
        if same:
            assert (shuffled - straight[:, order]).abs().max() < 1e-12
            assert (shuffled.mean(1) - straight.mean(1)).abs().max() < 1e-12
        else:
            assert (shuffled - straight[:, order]).abs().max() > 0.1


def test_a_causal_mask_alone_betrays_the_order(make_network: Make) -> None:
    """T08: without positions the decoder still tells orders apart."""
    network = make_network(positions="none")
    memory, everyone = network.encode(SOURCE[:1], SOURCE[:1] > 0), SOURCE[:1] > 0
    ids, order = torch.tensor([[5, 6, 7]]), torch.tensor([2, 0, 1])
    straight, shuffled = (network.decode(each, memory, everyone) for each in (ids, ids[:, order]))
    assert (shuffled - straight[:, order]).abs().max() > 0.1


def test_the_decoder_never_sees_the_future(make_network: Make) -> None:
    """T11 through the whole model: a changed suffix leaves the logits before it bit for bit."""
    network = make_network()
    changed = TARGET[:1].clone()
    changed[:, 2:] = 33
    assert torch.equal(network(SOURCE[:1], changed)[:, :2], network(SOURCE[:1], TARGET[:1])[:, :2])


def test_padding_and_neighbours_change_nothing(make_network: Make) -> None:
    """T21: a short sentence alone and beside a longer one, in single precision."""
    network = make_network().float()
    together = network(SOURCE, TARGET)
    alone = network(SOURCE[1:, :3], TARGET[1:, :2])
    assert (together[1:, :2] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("name", POSITIONS)
def test_every_way_of_positions_runs_and_learns(make_network: Make, name: str) -> None:
    """One step in bf16 autocast, with dropout, reaches every parameter and lowers the loss on the batch."""
    width = 24 if name.endswith("concat") else 16
    network = make_network(positions=name, width=width, dropout=0.1).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    expected, losses = TARGET.roll(-1, 1), []
    for _ in range(12):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.train()(SOURCE, TARGET)
        loss = F.cross_entropy(logits.float().flatten(0, 1), expected.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        dead = [key for key, each in network.named_parameters() if each.grad is None or not each.grad.any()]
        assert [key for key in dead if not key.endswith("key_projection.bias")] == []
    assert math.isfinite(losses[-1]) and losses[-1] < losses[0] - 0.5


def test_the_stream_stays_in_single_precision_under_autocast(make_network: Make) -> None:
    """Sums and norms in bf16 would lose the small changes that layers make."""
    network = make_network().float()
    with torch.autocast("cpu", torch.bfloat16):
        heard = heard_in(network)
    assert heard["encoder.0.self_attention.query"].dtype == torch.bfloat16
    for path in (
        "encoder.1.after_feed_forward",
        "decoder.final_norm.output",
        "decoder.0.after_cross_attention",
    ):
        assert heard[path].dtype == torch.float32
    assert (heard["logits"].float() - network(SOURCE, TARGET)).abs().max() < 0.2


def test_dropout_works_in_training_only(make_network: Make) -> None:
    """Also: the weights that are shown are those before dropout, whose rows sum to 1."""
    network = make_network(dropout=0.5)
    assert torch.equal(network(SOURCE, TARGET), network(SOURCE, TARGET))
    network.train()
    assert not torch.equal(network(SOURCE, TARGET), network(SOURCE, TARGET))
    heard = heard_in(network)
    assert torch.allclose(heard["decoder.0.cross_attention.weights"].sum(-1), torch.ones(()).double())
    dropped = (heard["source.input"] == 0).double().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.15)


def test_a_sentence_longer_than_the_table_of_positions_is_read(make_network: Make) -> None:
    """Sinusoids have no last position."""
    short, long = make_network(maximum_positions=3), make_network(maximum_positions=99)
    assert torch.allclose(short(SOURCE, TARGET), long(SOURCE, TARGET), atol=1e-6)


def test_a_configuration_survives_json() -> None:
    """The card of a model stores it."""
    config = VARIANTS["positions-concat"].config(100)
    assert Config(**json.loads(json.dumps(config.to_json()))) == config


def test_the_papers_parameter_counts() -> None:
    """T29: 4d² of attention, 2·d·d_ff of feed-forward: two thirds of an encoder layer, half of a decoder's."""

    def weights(module: nn.Module) -> int:
        return sum(each.numel() for each in module.parameters() if each.dim() == 2)

    with torch.device("meta"):
        encoder, decoder = EncoderLayer(512, 8, 2048, Choices()), DecoderLayer(512, 8, 2048, Choices())
    assert weights(encoder.self_attention) == 1_048_576
    assert weights(encoder.feed_forward) == 2_097_152
    assert weights(encoder.feed_forward) * 3 == weights(encoder) * 2
    assert weights(decoder.feed_forward) * 2 == weights(decoder)


@pytest.mark.parametrize("vocabulary", [5_000, 6_000, 7_000])
def test_the_equal_twin_has_as_many_parameters_as_the_sum(vocabulary: int) -> None:
    """Within 2%, so that a difference between the two is not one of size; the plain twin is much larger."""

    def count(name: str) -> int:
        with torch.device("meta"):
            return sum(each.numel() for each in Transformer(VARIANTS[name].config(vocabulary)).parameters())

    assert count("positions-concat-equal") == pytest.approx(count("positions-sum"), rel=0.02)
    assert count("positions-none") == count("positions-sum")
    assert count("positions-concat") > 1.5 * count("positions-sum")


@pytest.mark.parametrize("name", [name for name in VARIANTS if not name.startswith("recurrent")])
def test_every_variant_can_be_built(name: str) -> None:
    """Each row names positions that exist and heads that share the width."""
    variant = VARIANTS[name]
    with torch.device("meta"):
        network = Transformer(variant.config(6_000))
    assert network.config.positions in POSITIONS and variant.recipe.steps > 0 and variant.describe.endswith(".")


# --- layer norm ---


def norm(width: int = 8, epsilon: float = 1e-5) -> LayerNorm:
    module = LayerNorm(width, epsilon).double()
    for point in (module.mean, module.variance, module.normalized):
        point.path = "heard"
    return module


@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 9), st.integers(0, 1000))
def test_layer_norm_is_pytorchs_heard_or_not(batch: int, count: int, width: int, seed: int) -> None:
    """T02 and T20: any batch and length, one included; the parts shown multiply out to the output."""
    module, x = norm(width), 3 * random(batch, count, width, seed=seed) + 1
    with torch.no_grad():
        module.gain.copy_(random(width, seed=seed + 1))
        module.bias.copy_(random(width, seed=seed + 2))
    expected = F.layer_norm(x, (width,), module.gain, module.bias, module.epsilon)
    assert (module(x) - expected).abs().max() < 1e-12
    heard: dict[str, Tensor] = {}
    for name in ("mean", "variance", "normalized"):
        getattr(module, name).path = name
    with listen(heard.__setitem__):
        assert torch.equal(module(x), expected)
    assert torch.allclose(heard["mean"], x.mean(-1, keepdim=True))
    assert torch.allclose(heard["variance"], x.var(-1, correction=0, keepdim=True))
    assert torch.allclose(heard["normalized"] * module.gain + module.bias, expected)


def test_layer_norm_remembers_nothing() -> None:
    """T19: no buffers, and training is evaluation."""
    module, x = norm(), random(3, 4, 8)
    assert not list(module.buffers())
    assert torch.equal(module.train()(x), module.eval()(x))


def test_batch_norm_cannot_train_on_one_token_and_layer_norm_can() -> None:
    """T20: the statistics of a batch of one do not exist."""
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(8).train()(torch.zeros(1, 8))
    assert norm()(random(1, 1, 8)).isfinite().all()


def test_what_a_layer_norm_cannot_see() -> None:
    """T22: scale, shift and a second pass; it sees signs and the scale of single channels."""
    module, x = norm(epsilon=0.0), random(1, 8)
    once = module(x)
    assert (module(3.0 * x + 5.0) - once).abs().max() < 1e-9
    assert torch.equal(module(-x), -once)
    assert once.norm().item() == pytest.approx(math.sqrt(8), abs=1e-9)
    assert (module(once) - once).abs().max() < 1e-9
    assert (module(x * torch.arange(1, 9)) - once).abs().max() > 0.1
    root_mean_square = (x + 5.0) / (x + 5.0).square().mean().sqrt() - x / x.square().mean().sqrt()
    assert root_mean_square.abs().max() > 0.1, "a norm without the mean does see a shift"


def test_the_two_directions_a_layer_norm_kills() -> None:
    """T22: its Jacobian has rank d − 2; it maps the ones and its own output to nothing."""
    module, x = norm(epsilon=0.0), random(8)
    jacobian = torch.autograd.functional.jacobian(module, x)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-9) == 6
    assert (jacobian @ torch.ones(8, dtype=torch.float64)).abs().max() < 1e-9
    assert (jacobian @ module(x).detach()).abs().max() < 1e-9


def test_the_model_runs_with_its_norms_replaced_by_nothing(make_network: Make) -> None:
    """T23: attention does not need the norm to be defined, and an edit can take it away."""
    network, inputs = make_network(), {}

    def identity(path: str, value: Tensor) -> Tensor | None:
        owner, _, name = path.rpartition(".")
        if "norm" not in owner:
            return None
        if name == "input":
            inputs[owner] = value
        return inputs[owner] if name == "output" else None

    with listen(identity):
        logits = network(SOURCE, TARGET)
    assert len(inputs) == 12 and logits.isfinite().all()
    assert not torch.allclose(logits, network(SOURCE, TARGET))


def test_group_norm_over_time_is_another_norm() -> None:
    """T24: GroupNorm(1, C) on (batch, channel, time) mixes tokens; only for one token is it layer norm."""
    module, x = norm(), random(2, 5, 8)

    def grouped(groups: int, x: Tensor) -> Tensor:
        return nn.GroupNorm(groups, 8, dtype=torch.float64)(x.transpose(1, 2)).transpose(1, 2)

    assert (grouped(1, x) - module(x)).abs().max() > 0.1
    assert (grouped(1, x[:, :1]) - module(x[:, :1])).abs().max() < 1e-6
    instance = nn.InstanceNorm1d(8)(x.transpose(1, 2)).transpose(1, 2)
    assert (grouped(8, x) - instance).abs().max() < 1e-6


# --- residual stream and feed-forward ---


@pytest.mark.parametrize(("strength", "gradient"), [(0.5, 0.015625), (0.9, 1e-6), (1.0, 0.0)])
def test_a_residual_connection_guarantees_no_gradient(strength: float, gradient: float) -> None:
    """T25: six blocks x + f(x) with f(x) = −cx leave a gradient of (1 − c)⁶."""
    x = torch.ones((), dtype=torch.float64, requires_grad=True)
    stream = x
    for _ in range(6):
        stream = stream + (-strength * stream)
    stream.backward()
    assert x.grad is not None and x.grad.item() == pytest.approx(gradient, abs=1e-15)


def test_the_stream_is_the_sum_of_what_was_written_to_it(make_network: Make) -> None:
    """Input plus every sub-layer's output, nothing else."""
    heard = heard_in(make_network())
    parts = [f"encoder.{layer}.{part}" for layer in (0, 1) for part in ("self_attention", "feed_forward")]
    written = [heard[f"{part}.output"] for part in parts]
    assert torch.allclose(heard["source.input"] + sum(written), heard["encoder.1.after_feed_forward"])


def test_a_feed_forward_network_is_not_affine() -> None:
    """T27: with one token, attention is affine; the ReLU is what is not."""
    module = FeedForward(6, 12).double()
    one, other = random(1, 6), random(1, 6, seed=1)
    defect = module(0.5 * one + 0.5 * other) - 0.5 * module(one) - 0.5 * module(other)
    assert defect.abs().max() > 1e-3
