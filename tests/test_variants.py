"""Every row of the variants table: its parts against PyTorch or their formula, and one step of the real training."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core import decoding
from core.attention import LayerCache, scaled_scores
from core.checkpoint import load, read_weights
from core.corpus import held_out
from core.experiments import tables
from core.experiments.relative import ANGLES
from core.hooks import listen
from core.layers import FEED_FORWARDS, Choices, DecoderLayer, EncoderLayer
from core.network import Network, build, read_config
from core.norms import MOMENTUM, NORMS, BatchNorm, GroupNorm, InstanceNorm, Norm, RMSNorm
from core.positions import Learned, LinearBiases, Rotations, TooLong, rotate, slopes
from core.recurrent import RecurrentTranslator
from core.tokens import ASSETS, load_tokenizer
from core.training import evaluate, loop, ship, worker
from core.training.data import Examples
from core.training.loop import train
from core.training.ship import Order, train_one
from core.training.worker import Settings
from core.transformer import Transformer
from core.variants import BASE, LONGEST_TRAINED, VARIANTS
from tests.test_transformer import SOURCE, TARGET, copy_attention, copy_layer, random

Make = Callable[..., Transformer]
TRAINED = [name for name, variant in VARIANTS.items() if variant.recipe.slice]
VOCABULARY = 60


# --- positions inside the attention ---------------------------------------------------------------------------------


def rotations(channels: int = 8) -> Rotations:
    return Rotations(4, channels).double()


def test_rope_is_a_product_with_complex_numbers() -> None:
    """Su et al. 2021, section 3.2.1: (x + iy) e^{imθ} for every pair of channels, θ_i = 10000^(−2i/d)."""
    vectors, row = random(2, 4, 5, 8), rotations()
    frequencies = torch.tensor([10_000 ** (-2 * pair / 8) for pair in range(4)], dtype=torch.float64)
    turns = torch.polar(torch.ones(5, 4, dtype=torch.float64), torch.arange(3.0, 8.0)[:, None] * frequencies)
    expected = torch.view_as_real(torch.view_as_complex(vectors.view(2, 4, 5, 4, 2)) * turns).flatten(-2)
    row.frequencies = frequencies
    assert (row.turn(vectors, first=3) - expected).abs().max() < 1e-12
    assert (Rotations(4, 8).frequencies - frequencies).abs().max() < 1e-7


def test_rope_sees_distances_alone() -> None:
    """Both moved on by s: the same scores. One moved on: others. And no vector changes its length."""
    query, key, row = random(1, 2, 6, 8), random(1, 2, 6, 8, seed=1), rotations()
    scores = scaled_scores(row.turn(query, 0), row.turn(key, 0))
    for shift in (1, 35, 1_000):
        moved = scaled_scores(row.turn(query, shift), row.turn(key, shift))
        assert (moved - scores).abs().max() < 1e-4 * shift  # angles are in single precision
        assert (scaled_scores(row.turn(query, shift), row.turn(key, 0)) - scores).abs().max() > 0.1
    angles = random(6, 4, seed=2)
    assert (scaled_scores(rotate(query, angles + 9.0), rotate(key, angles + 9.0))).allclose(
        scaled_scores(rotate(query, angles), rotate(key, angles)), atol=1e-12
    )
    assert rotate(query, angles).norm(dim=-1).allclose(query.norm(dim=-1))


def test_alibi_is_the_bias_of_its_paper() -> None:
    """Press et al. 2022, figure 3: −m · (i − j) for the keys j ≤ i, here alike to both sides; slopes of section 3."""
    assert slopes(8).tolist() == [2.0**-power for power in range(1, 9)]
    assert slopes(4).tolist() == [1 / 4, 1 / 16, 1 / 64, 1 / 256]
    biases = LinearBiases(4, 8).shift(torch.zeros(1, 4, 3, 3), first=0)[0]
    causal = torch.tensor([[0.0, 0, 0], [-1, 0, 0], [-2, -1, 0]])
    for head, slope in enumerate(slopes(4).tolist()):
        assert torch.equal(biases[head].tril(), slope * causal)
        assert torch.equal(biases[head], biases[head].T)


def test_alibi_continues_where_a_cache_left_off() -> None:
    whole = LinearBiases(2, 8).shift(torch.zeros(1, 2, 5, 5), first=0)
    last = LinearBiases(2, 8).shift(torch.zeros(1, 2, 1, 5), first=4)
    assert torch.equal(last, whole[:, :, 4:])


@pytest.mark.parametrize("name", ["rotary", "alibi"])
def test_relative_positions_stay_out_of_the_stream_and_of_cross_attention(make_network: Make, name: str) -> None:
    network = make_network(positions=name)
    inside = ["angles"] if name == "rotary" else ["bias"]
    paths = [path for path in network.paths if path.endswith(tuple(inside))]
    assert len(paths) == 4 and not any("cross" in path for path in paths)
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__):
        network(SOURCE, TARGET)
    assert not heard["source.position"].any() and not heard["target.position"].any()


def test_a_rotary_encoder_does_not_see_where_a_sentence_begins(make_network: Make) -> None:
    network, mask = make_network(positions="rotary"), SOURCE[:1] > 0

    def later(path: str, value: Tensor) -> Tensor | None:
        return value + 50 * value[:, 1:2] if path.endswith(ANGLES) else None

    states = network.encode(SOURCE[:1], mask)
    with listen(later):
        assert (network.encode(SOURCE[:1], mask) - states).abs().max() < 1e-4


def test_a_table_has_an_end() -> None:
    table = Learned(16, 16, 8)
    assert table(2, 6).shape == (6, 16) and torch.equal(table(2, 6), table.table.weight[2:8])
    with pytest.raises(TooLong, match="8 positions") as caught:
        table(3, 6)
    assert caught.value.most == 8


def test_only_tables_bound_a_sentence() -> None:
    reaches = {name: getattr(variant.config(VOCABULARY), "reach", None) for name, variant in VARIANTS.items()}
    assert {name for name, reach in reaches.items() if reach} == {"positions-learned", "positions-learned-concat"}
    assert all(reach is None or reach > LONGEST_TRAINED for reach in reaches.values())


@pytest.mark.parametrize("name", ["positions-learned", "positions-learned-concat"])
def test_training_turned_the_rows_that_it_reached(name: str) -> None:
    """The stored table, drawn again from its seed: the longest training sentence is where the changes end."""
    if not (ASSETS / "models" / name / "weights.safetensors").exists():
        pytest.skip(f"{name} is not trained yet")
    assert tables.trained(load(name), "source").reached == LONGEST_TRAINED


# --- norms ----------------------------------------------------------------------------------------------------------


def with_weights(norm: Norm, theirs: nn.Module) -> None:
    """Give both the same gain and bias, other than the first ones."""
    with torch.no_grad():
        for parameter, copy in ((norm.gain, theirs.weight), (norm.bias, getattr(theirs, "bias", None))):
            if copy is not None:
                parameter.copy_(random(*parameter.shape, seed=5))
                copy.copy_(parameter)


def test_rms_norm_is_pytorchs() -> None:
    ours, theirs, x = RMSNorm(16).double(), nn.RMSNorm(16, eps=1e-5).double(), random(3, 5, 16)
    with_weights(ours, theirs)
    assert (ours(x) - theirs(x)).abs().max() < 1e-12
    assert [name for name, _ in ours.named_parameters()] == ["gain"]


def test_batch_norm_is_pytorchs_in_training_and_after() -> None:
    """Also its running statistics, and what a batch of one sentence does to them."""
    ours, theirs = BatchNorm(16).double(), nn.BatchNorm1d(16, momentum=MOMENTUM).double()
    with_weights(ours, theirs)
    for seed, shape in enumerate([(3, 5, 16), (1, 7, 16), (4, 2, 16)]):
        x = random(*shape, seed=seed)
        assert (ours(x) - theirs(x.flatten(0, 1)).view(shape)).abs().max() < 1e-12
    assert (ours.running_mean - theirs.running_mean).abs().max() < 1e-12
    assert (ours.running_variance - theirs.running_var).abs().max() < 1e-12
    ours.eval(), theirs.eval()
    x = random(2, 3, 16, seed=9)
    assert (ours(x) - theirs(x.flatten(0, 1)).view_as(x)).abs().max() < 1e-12
    assert torch.equal(ours(x)[:1], ours(x[:1])), "after training a sentence is alone"


def test_group_and_instance_norm_are_pytorchs() -> None:
    x = random(3, 5, 16)
    pairs = [(GroupNorm(16), nn.GroupNorm(4, 16)), (InstanceNorm(16), nn.InstanceNorm1d(16, affine=True))]
    for ours, theirs in pairs:
        with_weights(ours.double(), theirs.double())
        assert (ours(x) - theirs(x.transpose(1, 2)).transpose(1, 2)).abs().max() < 1e-12


def test_no_norm_is_the_identity() -> None:
    x, norm = random(3, 5, 16).float(), NORMS["none"](16)
    assert torch.equal(norm(x), x) and not list(norm.parameters()) and not norm.state_dict()


@pytest.mark.parametrize("name", NORMS)
def test_cells_share_what_the_row_says(name: str) -> None:
    """Changing another sentence moves this one only where the batch is shared, another token only where positions
    are; `looks_ahead` says the latter of a norm that keeps no running statistics."""
    norm, x = NORMS[name](16).double().train(), random(3, 5, 16)
    before = norm(x)[0, 0]
    for axis, place in (("batch", (2, 3)), ("position", (0, 4))):
        changed = x.clone()
        changed[place] += random(16, seed=3)
        assert bool((norm(changed)[0, 0] - before).abs().max() > 1e-9) == (axis in norm.shared), axis
    assert norm.looks_ahead == ("position" in norm.shared and "batch" not in norm.shared)


# --- layers ---------------------------------------------------------------------------------------------------------


def layers(post: bool) -> tuple[EncoderLayer, nn.TransformerEncoderLayer, DecoderLayer, nn.TransformerDecoderLayer]:
    """Ours and PyTorch's: where the norm follows, theirs closes the layer and ours opens the next."""
    torch.manual_seed(0)
    choices = Choices(residual="post-norm" if post else "pre-norm", first=True)
    ours = EncoderLayer(16, 4, 32, choices).double(), DecoderLayer(16, 4, 32, choices).double()
    shape = {"d_model": 16, "nhead": 4, "dim_feedforward": 32, "dropout": 0.0, "batch_first": True}
    theirs = nn.TransformerEncoderLayer(**shape), nn.TransformerDecoderLayer(**shape)
    return ours[0], theirs[0].double(), ours[1], theirs[1].double()


def fill(theirs: nn.Module, ours: EncoderLayer | DecoderLayer, closing: Norm) -> None:
    """PyTorch's post-norm layer with our weights: norm i of theirs is norm i + 1 of ours."""
    names = [name for name, _ in ours.named_children() if name.startswith("norm_before")]
    norms = [*(getattr(ours, name) for name in names[1:]), closing]
    with torch.no_grad():
        copy_attention(ours.self_attention, theirs.self_attn)
        if isinstance(ours, DecoderLayer):
            copy_attention(ours.cross_attention, theirs.multihead_attn)
        theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
        for number, norm in enumerate(norms, start=1):
            with_weights(norm, getattr(theirs, f"norm{number}"))


def test_a_post_norm_layer_is_pytorchs() -> None:
    """LayerNorm(x + Sublayer(x)), for the encoder and the decoder; padding hidden, the future too."""
    encoder, their_encoder, decoder, their_decoder = layers(post=True)
    closings = NORMS["layer"](16).double(), NORMS["layer"](16).double()
    fill(their_encoder, encoder, closings[0])
    fill(their_decoder, decoder, closings[1])
    x, y = random(2, 5, 16), random(2, 4, 16, seed=1)
    real = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    memory = closings[0](encoder(x, real[:, None, None]))
    theirs = their_encoder(x, src_key_padding_mask=~real)
    assert (memory - theirs)[real].abs().max() < 1e-12
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    ours = closings[1](decoder(y, memory, causal[None, None], real[:, None, None], LayerCache()))
    expected = their_decoder(y, memory, tgt_mask=~causal, memory_key_padding_mask=~real)
    assert (ours - expected).abs().max() < 1e-12


def test_a_pre_norm_layer_is_pytorchs() -> None:
    encoder, _, _, _ = layers(post=False)
    theirs = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True, norm_first=True).double()
    with torch.no_grad():
        copy_layer(encoder, theirs)
    x = random(2, 5, 16)
    assert (encoder(x, torch.ones(1, 1, 5, 5, dtype=torch.bool)) - theirs(x)).abs().max() < 1e-12


def test_post_norm_networks_pass_the_first_input_unnormed(make_network: Make) -> None:
    network = make_network(residual="post-norm")
    first, second = (layer.norm_before_attention for layer in network.encoder.layers)
    assert not list(first.parameters()) and len(list(second.parameters())) == 2


def test_without_residuals_nothing_passes_a_layer_whose_change_is_zero(make_network: Make) -> None:
    """With residuals the stream passes unchanged; without, only what a sub-layer gives is left."""
    for residual, survives in (("pre-norm", True), ("none", False)):
        network = make_network(residual=residual)
        layer = network.encoder.layers[0]
        with torch.no_grad():
            for linear in (layer.self_attention.output_projection, layer.feed_forward.outer):
                linear.weight.zero_()
                linear.bias.zero_()
        x = random(1, 5, 16)
        after = layer(x, torch.ones(1, 1, 5, 5, dtype=torch.bool))
        assert torch.equal(after, x if survives else torch.zeros_like(x))


def test_the_gradient_of_a_residual_path_has_the_identity_in_it(make_network: Make) -> None:
    """d(x + f(x))/dx = I + f′(x): what is left after the identity is exactly the gradient through the sub-layers,
    and without residuals there is nothing but that."""
    mask = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    x = random(1, 3, 16)

    def jacobian(residual: str, halves: bool) -> Tensor:
        layer = make_network(residual=residual, encoder_layers=1).encoder.layers[0]

        def attend(stream: Tensor) -> Tensor:
            normed = layer.norm_before_attention(stream)
            change = layer.self_attention(normed, normed, mask)
            return change if halves else layer.add(stream, normed, change)

        return torch.autograd.functional.jacobian(attend, x).view(48, 48)

    through = jacobian("pre-norm", halves=True)
    assert (jacobian("pre-norm", halves=False) - through - torch.eye(48)).abs().max() < 1e-12
    assert (jacobian("none", halves=False) - through).abs().max() < 1e-12
    assert through.abs().max() > 1e-3


def test_an_undivided_score_is_the_product_alone() -> None:
    query, key = random(2, 4, 5, 8), random(2, 4, 6, 8, seed=1)
    assert torch.equal(scaled_scores(query, key, "none"), query @ key.mT)
    assert (scaled_scores(query, key) - query @ key.mT / 8**0.5).abs().max() < 1e-12


def test_a_network_that_does_not_divide_scores_by_the_product(make_network: Make) -> None:
    """The row's own attention, as it runs: its scores are those of its queries and keys."""
    for scale, divisor in (("none", 1.0), ("root", 2.0)):
        network, heard = make_network(scale=scale), dict[str, Tensor]()
        with listen(heard.__setitem__):
            network(SOURCE, TARGET)
        for part in ("encoder.0.self_attention", "decoder.1.cross_attention"):
            query, key, scores = (heard[f"{part}.{name}"] for name in ("query", "key", "scores"))
            assert (scores - query @ key.mT / divisor).abs().max() < 1e-12


def test_the_gelu_row_bends_with_pytorchs_gelu() -> None:
    """W₂ gelu(W₁x + b₁) + b₂, with the exact GELU and not its tanh approximation."""
    torch.manual_seed(0)
    layer, x = FEED_FORWARDS["gelu"](16, 32).double(), 3 * random(2, 5, 16)
    inner, outer = layer.inner, layer.outer
    expected = nn.functional.gelu(x @ inner.weight.T + inner.bias) @ outer.weight.T + outer.bias
    assert (layer(x) - expected).abs().max() < 1e-12
    config = VARIANTS["feed-forward-gelu"].config(VOCABULARY)
    assert FEED_FORWARDS[config.to_json()["activation"]] is FEED_FORWARDS["gelu"]


# --- every row ------------------------------------------------------------------------------------------------------


def network_of(name: str) -> Network:
    """A row's network with few words, untrained, in double precision, its weights large enough to matter."""
    torch.manual_seed(0)
    network = build(VARIANTS[name].config(VOCABULARY)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def differences(name: str) -> dict[str, object]:
    """The fields of a row's configuration in which it differs from the base."""
    fields, base = (VARIANTS[each].config(VOCABULARY).to_json() for each in (name, BASE))
    return {field: value for field, value in fields.items() if base.get(field) != value}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_builds_and_reads(name: str) -> None:
    network = network_of(name)
    logits = network(SOURCE, TARGET)
    assert logits.shape == (2, 4, VOCABULARY) and logits.isfinite().all()
    assert read_config(json.loads(json.dumps(network.config.to_json()))) == network.config
    if name.startswith(("heads-", "norm-", "residual-", "mask-")):
        assert len(differences(name)) == 1, differences(name)


@pytest.mark.parametrize("name", [name for name in TRAINED if not VARIANTS[name].curves_only])
def test_decoding_step_by_step_is_one_pass_where_nothing_looks_ahead(name: str) -> None:
    """A row that looks ahead rereads everything at each step, and then a step differs from the pass over all."""
    network, mask = network_of(name), SOURCE > 0
    target = torch.tensor([[1, 8, 6, 5, 9, 7], [1, 9, 4, 6, 3, 8]])
    memory = network.encode(SOURCE, mask)
    whole, cache, steps = network.decode(target, memory, mask), network.cache(), []
    for position in range(target.shape[1]):
        steps.append(network.decode(target[:, cache.length : position + 1], memory, mask, cache)[:, -1])
    apart = (torch.stack(steps, dim=1) - whole).abs().amax((0, 2))
    if getattr(network.config, "looks_ahead", False):
        assert cache.length == 0 and apart[:-1].max() > 1e-6 and apart[-1] < 1e-9
    else:
        assert cache.length == target.shape[1] and apart.max() < 1e-6
    assert isinstance(network, Transformer | RecurrentTranslator)


drawn_once = cache(held_out)
"""Held-out pairs are searched for; every row is graded on the same ones."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return Order(BASE, [0], pairs=60, out=tmp_path_factory.mktemp("data")).examples()


@pytest.mark.parametrize("name", TRAINED)
def test_every_row_takes_real_steps(
    name: str, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real program: two steps, grades, weights and card; the grades are of two sentences."""
    monkeypatch.setattr(ship, "SNAPSHOT_PAIRS", 2)
    monkeypatch.setattr(decoding, "LONGEST", 2)  # tokens, or what knows nothing yet babbles on
    for module in (loop, worker):
        monkeypatch.setattr(module, "LOG_EVERY", 2)
    for module in (ship, evaluate):
        monkeypatch.setattr(module, "held_out", drawn_once)
    order = Order(name, [0], steps=2, pairs=60, sample=2, out=tmp_path, quiet=True)
    assert train_one(order, 0, examples)
    folder = order.run_folder(0)
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 2 and bool(card["metrics"]) != VARIANTS[name].curves_only
    torch.manual_seed(0)
    drawn = build(read_config(card["config"]))
    assert card["parameters"] == sum(parameter.numel() for parameter in drawn.parameters())
    trained = read_weights(folder / "weights.safetensors", drawn.config)
    moved = [(one - other).abs().max() for one, other in zip(drawn.parameters(), trained.parameters(), strict=True)]
    assert max(moved) > 1e-6 and all(change.isfinite() for change in moved)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 2 and math.isfinite(lines[-1]["loss"]) and lines[-1]["gradient_norms"]


def test_the_translator_takes_real_steps(examples: Examples, tmp_path: Path) -> None:
    """Its recipe and its choices in a narrow network: the only row that is not trained on the slice."""
    row = VARIANTS["translator"]
    config = replace(row.config(load_tokenizer().size), width=16, content_width=16, feed_forward=32)
    settings = Settings(config, row.recipe, tmp_path, steps=2, validate_every=2)
    outcome = train(settings, examples, quiet=True)
    torch.manual_seed(settings.seed)
    drawn = build(config)
    moved = [
        (one - other).abs().max() for one, other in zip(drawn.parameters(), outcome.network.parameters(), strict=True)
    ]
    assert outcome.finished and outcome.place.step == 2
    assert min(moved) > 0 and all(change.isfinite() for change in moved)
