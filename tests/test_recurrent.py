"""Recurrent translators compute what PyTorch and the formulas say, can be traced, and are measured as they are."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.checkpoint import Model
from core.decoding import greedy, translate
from core.edits import EditError, HeadOff
from core.experiments import recurrence
from core.hooks import listen
from core.network import build
from core.recurrent import CELLS, Cell, Reader, RecurrentConfig, RecurrentTranslator
from core.run import trace
from core.tokens import Tokenizer
from core.transformer import Config, Transformer
from core.variants import BASE, VARIANTS

WIDTH, CONTENT = 10, 6
REFERENCES: dict[str, type[nn.RNNBase]] = {"tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
ROWS = [name for name in VARIANTS if name.startswith("recurrent-")]
TEXT, TARGET = "the cat sees a dog.", "고양이가 개를 본다."


def shape(**changes: object) -> RecurrentConfig:
    return RecurrentConfig(**({"vocabulary": 30, "width": WIDTH, "content_width": CONTENT, "cell": "gru"} | changes))


def network(**changes: object) -> RecurrentTranslator:
    torch.manual_seed(1)
    return RecurrentTranslator(shape(**changes)).double().eval()


KINDS: list[dict[str, object]] = [
    *({"cell": cell} for cell in CELLS),
    {"bidirectional": True},
    {"bidirectional": True, "context": "attention"},
]
SOURCE = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 0, 0, 0]])
TARGETS = torch.tensor([[1, 14, 15, 16], [1, 17, 18, 19]])


def reference(cell: Cell, name: str) -> nn.RNNBase:
    """PyTorch's network with the weights of one of our cells; both order their gates alike."""
    inputs = cell.from_input.in_features
    theirs = REFERENCES[name](inputs, cell.width, batch_first=True).double()
    for part, linear in (("ih", cell.from_input), ("hh", cell.from_state)):
        getattr(theirs, f"weight_{part}_l0").data = linear.weight.data
        getattr(theirs, f"bias_{part}_l0").data = linear.bias.data
    return theirs


# --- the cells ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_a_reader_equals_pytorch(name: str, backwards: bool) -> None:
    torch.manual_seed(0)
    reader = Reader(shape(cell=name), backwards=backwards).double()
    for weights in reader.parameters():
        nn.init.normal_(weights)
    x = torch.randn(3, 7, CONTENT, dtype=torch.double)
    theirs, _ = reference(reader.cell, name)(x.flip(1) if backwards else x)
    ours = reader(x, torch.ones(3, 7, dtype=torch.bool))
    assert torch.allclose(ours, theirs.flip(1) if backwards else theirs, atol=1e-12)


def test_the_cell_states_of_an_lstm_equal_pytorch() -> None:
    reader = network(cell="lstm").encoder.directions["forwards"]
    heard: list[torch.Tensor] = []
    x = torch.randn(2, 5, CONTENT, dtype=torch.double)
    with listen(lambda _, value: heard.append(value), paths={"encoder.directions.forwards.cell_states"}):
        reader(x, torch.ones(2, 5, dtype=torch.bool))
    _, (_, memory) = reference(reader.cell, "lstm")(x)
    assert torch.allclose(heard[0][:, -1], memory[0], atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_the_forget_bias_is_the_one_asked_for(bias: float) -> None:
    cell = network(cell="lstm", forget_bias=bias).encoder.directions["forwards"].cell
    _, forget, *others = cell.from_input.bias.chunk(4)
    assert (forget == bias).all() and not torch.stack(others).any() and not cell.from_state.bias.any()


def test_u_begins_as_a_rotation() -> None:
    weight = network(cell="tanh").encoder.directions["forwards"].cell.from_state.weight
    assert torch.allclose(weight @ weight.T, torch.eye(WIDTH, dtype=torch.double), atol=1e-6)


# --- the translator -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_padding_changes_nothing(kind: dict[str, object]) -> None:
    ours = network(**kind)
    together = ours(SOURCE, TARGETS)
    assert torch.allclose(together[1:], ours(SOURCE[1:, :3], TARGETS[1:]), atol=1e-12)
    summary = ours.encoder.summary(ours.encode(SOURCE, SOURCE != 0))
    alone = ours.encode(SOURCE[1:, :3], SOURCE[1:, :3] != 0)
    assert torch.allclose(summary[1:], ours.encoder.summary(alone), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_step_by_step_with_a_cache_equals_one_pass(kind: dict[str, object]) -> None:
    ours, mask = network(**kind), SOURCE != 0
    memory, cache = ours.encode(SOURCE, mask), ours.cache()
    steps = [ours.decode(TARGETS[:, [place]], memory, mask, cache) for place in range(TARGETS.shape[1])]
    assert torch.allclose(torch.cat(steps, dim=1), ours.decode(TARGETS, memory, mask), atol=1e-12)
    assert cache.length == TARGETS.shape[1]


def test_a_cache_follows_the_beam() -> None:
    ours, mask = network(cell="lstm"), SOURCE != 0
    memory, cache = ours.encode(SOURCE, mask), ours.cache()
    ours.decode(TARGETS[:, :3], memory, mask, cache)
    cache.reorder(torch.tensor([1, 1]))
    same = ours.decode(TARGETS[[1, 1], 3:], memory[[1, 1]], mask[[1, 1]], cache)
    alone = ours.decode(TARGETS[1:], memory[1:], mask[1:])[:, 3:]
    assert torch.allclose(same, alone.expand_as(same), atol=1e-12)


def test_additive_attention_equals_its_formula() -> None:
    """v · tanh(W s + U h + b), a softmax over the tokens that are no padding, and the mean of the states under it."""
    ours, mask = network(bidirectional=True, context="attention"), SOURCE != 0
    heard: dict[str, torch.Tensor] = {}
    with listen(heard.__setitem__):
        ours(SOURCE, TARGETS)
    part, memory = ours.decoder.cross_attention, heard["encoder.output"]
    first = torch.tanh(ours.decoder.bridge(ours.encoder.summary(memory)))[:, None]
    states = torch.cat((first, heard["decoder.states"][:, :-1]), dim=1)  # the state before each token is read
    inner = part.query_projection(states)[:, :, None] + part.key_projection(memory)[:, None]
    scores = torch.tanh(inner) @ part.score_projection.weight[0]
    weights = scores.masked_fill(~mask[:, None], -math.inf).softmax(-1)
    path = "decoder.cross_attention"
    assert torch.allclose(heard[f"{path}.scores"][:, 0], scores, atol=1e-12)
    assert torch.allclose(heard[f"{path}.weights"][:, 0], weights, atol=1e-12)
    assert torch.allclose(heard[f"{path}.head_outputs"][:, 0], weights @ memory, atol=1e-12)
    assert torch.allclose(heard["decoder.contexts"], weights @ memory, atol=1e-12)
    assert not weights[1, :, 3:].any()


def test_without_attention_the_writer_sees_the_last_states_alone() -> None:
    """Of two directions, the last state of each; other states may change as they like."""
    ours, mask = network(bidirectional=True), SOURCE != 0
    memory = ours.encode(SOURCE, mask)
    other = memory.clone()
    other[:, 1:-1] += 1.0
    assert torch.equal(ours.decode(TARGETS, memory, mask), ours.decode(TARGETS, other, mask))


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=ROWS)
def model(request: pytest.FixtureRequest, tiny_tokenizer: Tokenizer) -> Model:
    """Every row's network, untrained, with a real tokenizer."""
    torch.manual_seed(0)
    made = RecurrentTranslator(VARIANTS[request.param].config(tiny_tokenizer.size)).eval()
    return Model(name=request.param, network=made, tokenizer=tiny_tokenizer, card={})


def test_a_trace_holds_every_hook_point_and_survives_the_disk(model: Model, tmp_path: Path) -> None:
    run = trace(model, TEXT, TARGET)
    source, target = (torch.tensor([[each.id for each in side]]) for side in (run.source_tokens, run.target_tokens))
    assert torch.equal(model.network(source, target)[0], run.logits)
    run.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    assert set(run.paths) <= set(arrays) and str(arrays["translation"]) == TARGET
    for path in run.paths:
        assert np.array_equal(arrays[path], run.tensor(path).numpy())
    config = model.network.config
    assert run.tensor("encoder.output").shape == (source.shape[1], config.memory_width)
    assert run.tensor("decoder.states").shape == (target.shape[1], config.width)
    if config.context == "attention":
        weights = run.tensor("decoder.cross_attention.weights")
        assert weights.shape == (1, target.shape[1], source.shape[1])
        assert torch.allclose(weights.sum(-1), torch.ones(1, target.shape[1]), atol=1e-6)
    else:
        assert not any("cross_attention" in path for path in run.paths)


def test_a_trace_reads_its_own_translation(model: Model) -> None:
    run = trace(model, TEXT)
    ids = torch.tensor([[each.id for each in run.source_tokens]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    tokenizer = model.tokenizer
    written = greedy(
        model.network, model.network.encode(ids, mask), mask, start=tokenizer.start_id, end=tokenizer.end_id
    )
    assert [each.id for each in run.predicted_tokens] == written[0]
    assert run.translation == translate(model, TEXT)
    assert run.logits.argmax(-1).tolist() == written[0]


def test_edits_are_refused_in_words(model: Model) -> None:
    with pytest.raises(EditError, match="recurrent"):
        trace(model, TEXT, edits=[HeadOff("cross")])


# --- gradients by distance ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ROWS, BASE])
def test_reaches_are_the_jacobian(name: str) -> None:
    """Against PyTorch's own Jacobian; random probes come near it."""
    ours = recurrence.fresh(VARIANTS[name].config(2), 3)
    x = torch.randn(6, ours.config.content_width)
    jacobian = torch.autograd.functional.jacobian(lambda each: recurrence.read(ours, each[None])[1][0], x)
    last = recurrence.read(ours, x[None])[1][0]
    expected = jacobian.square().sum((0, 2)).sqrt() / x.shape[1] ** 0.5 * x.norm(dim=-1) / last.norm()
    assert torch.allclose(recurrence.reaches(ours, x), expected, rtol=1e-3)
    assert torch.allclose(recurrence.reaches(ours, x, 256), expected, rtol=0.35)


def test_a_push_moves_the_last_state_as_far_as_the_figure_says() -> None:
    ours = recurrence.fresh(VARIANTS["recurrent-gru"].config(2), 0)
    for weights in ours.parameters():
        weights.data = weights.data.double()
    x = torch.randn(5, ours.config.content_width, dtype=torch.double)
    figure = recurrence.reaches(ours.double(), x.float().double())
    last, moves = recurrence.read(ours, x.float().double()[None])[1][0], []
    for _ in range(300):
        pushed = x.float().double().clone()
        direction = torch.randn(x.shape[1], dtype=torch.double)
        pushed[2] += 1e-4 * x[2].norm() * direction / direction.norm()
        moves.append(float((recurrence.read(ours, pushed[None])[1][0] - last).norm() / last.norm()) / 1e-4)
    assert np.sqrt(np.mean(np.square(moves))) == pytest.approx(float(figure[2]), rel=0.15)


@pytest.mark.parametrize("name", [*ROWS, BASE])
def test_the_last_output_moves_as_far_as_the_figure_says(name: str, tiny_tokenizer: Tokenizer) -> None:
    """Central differences through the whole network, in every channel of every word."""
    torch.manual_seed(2)
    ours = build(replace(VARIANTS[name].config(tiny_tokenizer.size), width=16, content_width=16)).eval()
    run = trace(Model(name, ours, tiny_tokenizer, {}), TEXT, TARGET)
    figure, probability = recurrence.output_reaches(run)
    assert math.log(probability) == pytest.approx(float(run.log_probabilities[-1]), rel=1e-4)
    assert next(ours.parameters()).dtype == torch.float32, "the run's own network is left as it is"
    ids, read = (torch.tensor([[each.id for each in tokens]]) for tokens in (run.source_tokens, run.target_tokens))
    ours, words, step = ours.double(), run.tensor("source.embedding").double(), 1e-6

    @torch.no_grad()
    def last(pushed: torch.Tensor) -> float:
        with listen(lambda _, __: pushed[None], paths={"source.embedding"}):
            return float(ours(ids, read)[0, -1].log_softmax(-1)[run.predicted_tokens[-1].id])

    gradient = torch.zeros_like(words)
    for place in np.ndindex(*words.shape):
        push = torch.zeros_like(words)
        push[place] = step
        gradient[place] = (last(words + push) - last(words - push)) / (2 * step)
    expected = gradient.norm(dim=-1) * words.norm(dim=-1) / words.shape[1] ** 0.5
    assert torch.allclose(figure, expected, rtol=1e-4)


def start(name: str, **changes: float) -> list[float]:
    return recurrence.reaches_at_start(VARIANTS[name].config(2), 33, **changes)


def test_gradients_vanish_before_training() -> None:
    """The simple network loses five orders of magnitude in 32 steps, self-attention next to nothing after the first."""
    simple, attention = start("recurrent-tanh"), start(BASE)
    assert simple[32] < 1e-3 * simple[0] and recurrence.fall(simple) < 0.85
    assert 0.1 < attention[32] / attention[1] < 10 and recurrence.fall(attention) == pytest.approx(1.0, abs=0.05)
    assert attention[32] < attention[0]


def test_an_open_forget_gate_is_the_cure_and_a_closed_one_none() -> None:
    simple = start("recurrent-tanh")[32]
    far = [start("recurrent-lstm", forget_bias=each)[32] for each in (-1.0, 0.0, 1.0, 3.0)]
    assert all(before < after for before, after in pairwise(far[:3]))
    assert far[1] < simple < far[2] < far[3]


def test_a_larger_u_carries_further() -> None:
    falls = [recurrence.fall(start("recurrent-tanh", radius=each)) for each in (0.5, 1.0, 2.0)]
    assert falls == sorted(falls) and falls[0] < 0.5 < 1.0 < falls[2]


def test_fall_is_the_slope_of_the_logarithms() -> None:
    assert recurrence.fall([9.0, *(0.8**place for place in range(20))]) == pytest.approx(0.8)
    assert recurrence.fall([1.0]) == recurrence.fall([1.0, 0.5]) == 1.0
    assert recurrence.fall([1.0, 0.0, 0.0]) == pytest.approx(1.0)


# --- what a state keeps ---------------------------------------------------------------------------------------------


def test_the_trace_of_a_word_begins_where_it_is_read(model: Model) -> None:
    run = trace(model, TEXT)
    places = [index for index, token in enumerate(run.source_tokens) if not token.special]
    found = recurrence.trace_of_word(model, run, places[2], torch.arange(6, 18), places)
    assert len(found.states) == len(run.source_tokens)
    if model.network.config.bidirectional:
        assert min(found.states) > 0
    else:
        assert max(found.states[: places[2]]) < 1e-5 and found.states[places[2]] > 0.1
        assert found.last == pytest.approx(found.states[-1])


def test_a_sentence_of_one_word_is_all_trace(model: Model) -> None:
    """With the same token in its place each time, one word is all words."""
    run = trace(model, TEXT)
    found = recurrence.trace_of_word(model, run, 1, torch.tensor([7]), [1])
    assert max(found.states) == pytest.approx(1.0) and found.last == pytest.approx(1.0)


# --- what must wait -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("source", "target"), [(9, 5), (4, 11)])
def test_a_recurrent_network_waits_for_every_token(name: str, source: int, target: int) -> None:
    counted = recurrence.turns(VARIANTS[name].config(2), source, target)
    assert (counted.reading, counted.learning, counted.writing) == (source, target, target)


def test_a_transformer_waits_only_when_it_writes() -> None:
    few, many = (recurrence.turns(VARIANTS[BASE].config(2), length, length) for length in (3, 12))
    assert (many.reading, many.learning, many.writing) == (1, 1, 12)
    assert few.chain == many.chain


def test_the_longest_chain_counts_operations() -> None:
    weight = torch.ones(2, requires_grad=True)
    assert recurrence.longest_chain(weight * 2) == 2  # the product, and where the weight is read
    assert recurrence.longest_chain(((weight * 2) + 1).sum()) == 4
    chains = [recurrence.turns(VARIANTS["recurrent-tanh"].config(2), length, 2).chain for length in (5, 10, 15)]
    assert chains[2] - chains[1] == chains[1] - chains[0] > 0


def test_times_grow_with_the_length() -> None:
    found = recurrence.times({name: VARIANTS[name].config(2) for name in ("recurrent-gru", BASE)}, (2, 40), 2)
    assert found["recurrent-gru"][1].reading > 3 * found["recurrent-gru"][0].reading
    assert found[BASE][1].writing > 3 * found[BASE][0].writing
    assert all(min(each.reading, each.learning, each.writing) > 0 for rows in found.values() for each in rows)


def test_the_next_token_of_a_state_never_costs_more() -> None:
    recurrent, transformer = VARIANTS["recurrent-gru"].config(2), VARIANTS[BASE].config(2)
    assert recurrence.next_token(recurrent, 9, 3) == recurrence.next_token(recurrent, 9, 300)
    border = recurrence.dearer_from(transformer, recurrent, 9)
    assert border is not None and border > 0
    cost = recurrence.next_token(recurrent, 9, 0)
    assert recurrence.next_token(transformer, 9, border) > cost >= recurrence.next_token(transformer, 9, border - 1)
    assert recurrence.dearer_from(recurrent, recurrent, 9, 50) is None


def test_who_may_look_back() -> None:
    assert recurrence.looks_back(network(context="attention")) and not recurrence.looks_back(network())
    shape = {"width": 8, "content_width": 8, "heads": 2, "feed_forward": 8, "encoder_layers": 1, "decoder_layers": 1}
    assert recurrence.looks_back(Transformer(Config(vocabulary=5, **shape)))
