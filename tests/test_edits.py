"""Edits do what their names say, nothing else, and nothing any more once they are taken back."""

import math
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.checkpoint import Model
from core.decoding import translate
from core.editing import Reading, editing
from core.edits import (
    MOST,
    SUBLAYERS,
    Cell,
    Edit,
    EditError,
    FreezePosition,
    HeadEdit,
    HeadOff,
    Pattern,
    RemovePosition,
    Scale,
    SkipNorm,
    SkipResidual,
    SwapEmbeddings,
    SwapPositions,
    Temperature,
    fitting,
    heads,
    read_edits,
    write_edits,
)
from core.run import AttentionRun, Run, reread, trace

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module")  # beartype chooses what it checks

TEXT, TARGET = "the cat sees a dog.", "고양이가 개를 본다."
KINDS = ("encoder", "decoder", "cross")
SIZES = {"encoder": (8, 8), "decoder": (6, 6), "cross": (6, 8)}  # fewer tokens than both sentences have

wheres = st.builds(
    lambda kind, numbers: ".".join((kind, *numbers)),
    st.sampled_from(KINDS),
    st.sampled_from([(), ("1",), ("2",), ("1", "3"), ("2", "1"), ("2", "4")]),
)
tokens = st.integers(0, 5)
sides = st.sampled_from(["source", "target"])
layers = st.sampled_from(["1", "2"])
places = st.builds(lambda name, layer: name.replace(".", f".{layer}."), st.sampled_from(sorted(SUBLAYERS)), layers)
cells = st.builds(Cell, wheres, tokens, tokens, st.booleans())
edits = st.one_of(
    st.builds(HeadOff, wheres, st.sampled_from(HeadOff.HOW)),
    st.builds(Pattern, wheres, st.sampled_from(Pattern.PATTERNS)),
    cells,
    st.builds(Scale, wheres, st.floats(-1000, 1000)),
    st.builds(Temperature, wheres, st.floats(0.001, 1000)),
    st.builds(SwapPositions, sides, tokens, tokens),
    st.builds(FreezePosition, sides, tokens, tokens),
    st.builds(RemovePosition, sides, tokens),
    st.builds(SwapEmbeddings, sides, tokens, tokens),
    st.builds(SkipResidual, places),
    st.builds(SkipNorm, st.one_of(places, st.sampled_from(["encoder.final", "decoder.final"]))),
)
several = st.lists(edits, max_size=5)
SCRAPS = ["off", "cell", "scale", "norm", "_", ".", "~", "1", "0", "-1", "e9", "cross", "zero", "open", "1e999", "１"]
WHOLE = [HeadOff("cross", "mean"), SwapEmbeddings("target", 1, 2), Pattern("cross", "diagonal")]


@pytest.fixture(scope="module")
def plain(tiny_model: Model) -> Run:
    return trace(tiny_model, TEXT, TARGET)


def that_fit(model: Model, wanted: Sequence[Edit], run: Run) -> tuple[Edit, ...]:
    return fitting(wanted, model.network.config, len(run.source_tokens), len(run.target_tokens))[0]


def attentions(run: Run) -> dict[tuple[str, int], AttentionRun]:
    found = {("encoder", layer): each.self_attention for layer, each in enumerate(run.encoder)}
    found |= {("decoder", layer): each.self_attention for layer, each in enumerate(run.decoder)}
    return found | {("cross", layer): each.cross_attention for layer, each in enumerate(run.decoder)}


def same(one: Run, other: Run) -> bool:
    """Bit for bit, in every tensor and every token."""
    tensors = all(torch.equal(one.tensor(path), other.tensor(path)) for path in one.paths)
    return tensors and one.predicted_tokens == other.predicted_tokens


def softmax(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """By its definition, in double precision."""
    powers = np.where(allowed, np.exp(scores.astype(float) - scores.max(-1, keepdims=True)), 0.0)
    return powers / powers.sum(-1, keepdims=True)


# --- as text ---


@given(several)
def test_edits_survive_being_written(wanted: list[Edit]) -> None:
    """A link gives back the very values, and needs no escaping in a URL."""
    text = write_edits(wanted)
    assert read_edits(text) == tuple(wanted)
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_~+")


@given(st.one_of(st.text(), st.lists(st.sampled_from(SCRAPS))))
def test_junk_is_refused_with_the_error_of_the_module(text: str | list[str]) -> None:
    """Whoever reads a link has one error to catch."""
    try:
        found = read_edits("".join(text))
    except EditError as error:
        assert str(error)
    else:
        assert read_edits(write_edits(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("off", "off_cross", "off_cross.0_zero", "off_cross.1.1_never", "off_x_zero", "cell_cross_0_1_open", "~"),
        *("scale_cross_", "scale_cross_nan", "scale_cross_1e9", "temperature_cross_0", "temperature_cross_-1"),
        *("swap_middle_1_2", "cell_cross_1_2_ajar", "remove_source_٣", "residual_encoder.final", "norm_encoder.1"),
        *("residual_encoder.1.cross", "~".join(["norm_encoder.final"] * (MOST + 1))),
    ],
)
def test_what_no_edit_says_is_refused(text: str) -> None:
    with pytest.raises(EditError):
        read_edits(text)


def test_values_are_checked_where_they_are_made() -> None:
    """Not only in links."""
    for make in (
        lambda: HeadOff("cross.1.1.1"),
        lambda: Scale("cross", math.inf),
        lambda: Temperature("cross", math.nan),
        lambda: Cell("cross", -1, 0, True),
    ):
        with pytest.raises(EditError):
            make()


# --- which fit ---


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (HeadOff("cross.99"), "layer"),
        (HeadOff("encoder.1.9"), "head"),
        (SkipNorm("decoder.3.cross"), "layer"),
        (Cell("encoder", 0, 40, True), "token"),
        (Cell("cross", 40, 0, True), "token"),
        (SwapPositions("source", 1, 40), "token"),
        (Cell("decoder.1", 0, 0, False), "row"),
    ],
)
def test_an_edit_that_does_not_fit_is_dropped_with_its_reason(
    tiny_model: Model, plain: Run, edit: Edit, reason: str
) -> None:
    """And refused by the trace; the others stay."""
    fine = HeadOff("cross.1.1")
    sizes = len(plain.source_tokens), len(plain.target_tokens)
    kept, dropped = fitting([edit, fine], tiny_model.network.config, *sizes)
    assert kept == (fine,) and [(each.edit, each.reason) for each in dropped] == [(edit, reason)]
    with pytest.raises(EditError):
        trace(tiny_model, TEXT, TARGET, edits=[edit])


def test_the_last_open_key_of_a_row_stays_open(tiny_model: Model) -> None:
    """Whatever the cells are called: the whole kind, a layer, a head; opening one makes room again."""
    config = tiny_model.network.config
    row = [Cell("decoder", 2, 0, False), Cell("decoder.1", 2, 1, False), Cell("decoder.1.2", 2, 2, False)]
    assert [each.reason for each in fitting(row, config, 5)[1]] == ["row"]
    assert fitting([row[0], row[1], Cell("decoder.1.2", 2, 0, True), row[2]], config, 5)[1] == ()
    future = Cell("decoder", 2, 4, True)
    assert fitting([future, *row], config, 5)[1], "a future key is not there when the row is computed"


# --- what they do ---


@given(several)
def test_rows_still_sum_to_one(tiny_model: Model, plain: Run, wanted: list[Edit]) -> None:
    """Every edited weight is part of a distribution over open cells; closed ones are exactly 0."""
    run = reread(tiny_model, plain, that_fit(tiny_model, wanted, plain))
    for attention in attentions(run).values():
        assert torch.allclose(attention.weights.sum(-1), torch.ones(()), atol=1e-5)
        assert (attention.weights[~attention.mask.expand_as(attention.weights)] == 0).all()


@given(st.lists(cells, max_size=6))
def test_cells_are_as_the_last_edit_left_them(tiny_model: Model, plain: Run, wanted: list[Edit]) -> None:
    """Everywhere else the mask is the model's own."""
    fit = that_fit(tiny_model, wanted, plain)
    run = reread(tiny_model, plain, fit)
    for (kind, layer), attention in attentions(run).items():
        expected = attentions(plain)[kind, layer].mask.expand(4, -1, -1).clone()
        for cell in fit:
            for path, head in heads(cell.where).in_model(tiny_model.network.config):
                if cell.kind == kind and int(path.split(".")[1]) == layer:
                    expected[head, cell.query, cell.key] = cell.open
        assert torch.equal(attention.mask.expand_as(expected), expected)


@given(st.lists(edits, max_size=3), st.booleans())
def test_edits_without_effect_change_no_bit(tiny_model: Model, wanted: list[Edit], written: bool) -> None:
    """Neither alone nor behind others, neither reading a target nor writing one."""
    target = None if written else TARGET
    idle = [Cell("cross.1.1", 2, 3, True), Cell("decoder.2", 1, 3, False), Cell("encoder", 0, 1, True)]
    idle += [Temperature("cross", 1.0), Scale("encoder.1.2", 1 / math.sqrt(4))]
    idle += [SwapPositions("target", 2, 2), FreezePosition("source", 1, 1), SwapEmbeddings("target", 1, 1)]
    assert same(trace(tiny_model, TEXT, target, edits=idle), trace(tiny_model, TEXT, target))
    kinds = {(type(each), heads(each.where).kind) for each in wanted if isinstance(each, HeadEdit)}
    moved = any(isinstance(each, SwapPositions | FreezePosition | RemovePosition) for each in wanted)
    idle = [each for each in idle if (type(each), getattr(each, "kind", "")) not in kinds]
    idle = [each for each in idle if not (moved and isinstance(each, FreezePosition))]
    wanted = list(that_fit(tiny_model, wanted, trace(tiny_model, TEXT, TARGET)))
    one, other = (trace(tiny_model, TEXT, target, edits=each) for each in (wanted, wanted + idle))
    assert same(one, other)


@given(several)
def test_taking_edits_back_restores_every_bit(tiny_model: Model, plain: Run, wanted: list[Edit]) -> None:
    """Nothing is left behind in the model."""
    reread(tiny_model, plain, that_fit(tiny_model, wanted, plain))
    assert same(trace(tiny_model, TEXT, TARGET), plain)


@given(several)
def test_writing_with_a_cache_is_writing_without(tiny_model: Model, wanted: list[Edit]) -> None:
    """Cached steps know where they are: each token is the likeliest when everything written is read again."""
    model = tiny_model
    wanted = list(fitting(wanted, model.network.config, 9)[0])
    run = trace(model, TEXT, edits=wanted)
    source = torch.tensor([[token.id for token in run.source_tokens]])
    target = torch.tensor([[token.id for token in run.target_tokens]])
    mask = torch.ones_like(source, dtype=torch.bool)
    with torch.inference_mode(), editing(wanted, Reading(model.network)):
        memory = model.network.encode(source, mask)
        for length in range(1, target.shape[1] + 1):
            logits = model.network.decode(target[:, :length], memory, mask)[0, -1]
            assert torch.allclose(logits, run.logits[length - 1], rtol=1e-3, atol=1e-3)
    assert run.logits.argmax(-1).tolist() == [token.id for token in run.predicted_tokens]


@pytest.mark.parametrize("edit", WHOLE)
def test_beam_search_is_edited_too(tiny_model: Model, edit: Edit) -> None:
    """A beam of one is greedy decoding, and a wider one can be had, whatever the cache may keep."""
    run = trace(tiny_model, TEXT, edits=[edit])
    assert translate(tiny_model, TEXT, edits=[edit]) == run.translation
    assert translate(tiny_model, TEXT, edits=[edit], beams=3)


def test_two_threads_with_different_edits_never_mix(tiny_model: Model) -> None:
    """Sessions share one model; each sees its own edits."""
    choices = [[HeadOff("cross.1", "mean")], [Cell("decoder", 1, 2, True), Scale("encoder", 1.0)], []]
    alone = [trace(tiny_model, TEXT, edits=each) for each in choices]
    mixed, finished = [], []
    barrier = threading.Barrier(len(choices))

    def work(index: int) -> None:
        barrier.wait()
        mixed.extend(not same(trace(tiny_model, TEXT, edits=choices[index]), alone[index]) for _ in range(4))
        finished.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(choices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(finished) == [0, 1, 2] and not any(mixed)


def test_a_run_says_what_was_edited(tiny_model: Model, plain: Run) -> None:
    """In the value and in the arrays that are saved."""
    edit = HeadOff("cross.1.1")
    run = reread(tiny_model, plain, [edit])
    assert run.edits == (edit,) and plain.edits == ()
    assert str(run.arrays()["edits"]) == write_edits([edit]) and "edits" not in plain.arrays()
    assert run.predicted_tokens == plain.predicted_tokens and run.translation == plain.translation


# --- each against numbers computed by hand ---


def edited(model: Model, run: Run, *wanted: Edit) -> dict[tuple[str, int], AttentionRun]:
    return attentions(reread(model, run, wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_scale_and_temperature_by_hand(tiny_model: Model, plain: Run, kind: str) -> None:
    """softmax(factor · q·k / temperature) over the open cells; the other heads of the layer are untouched."""
    after = edited(tiny_model, plain, Scale(f"{kind}.1.2", 0.3), Temperature(f"{kind}.1", 2.0))[kind, 0]
    before = attentions(plain)[kind, 0]
    products = (before.query @ before.key.mT).numpy()
    allowed = before.mask.numpy()
    assert np.allclose(after.weights[1], softmax(products[1] * 0.3 / 2.0, allowed), atol=1e-5)
    assert np.allclose(after.weights[0], softmax(products[0] * 0.5 / 2.0, allowed), atol=1e-5)


def test_the_last_scale_counts(tiny_model: Model, plain: Run) -> None:
    """A later, narrower edit replaces an earlier one and is not multiplied with it."""
    after = edited(tiny_model, plain, Scale("cross", 0.0), Scale("cross.1.2", 1 / math.sqrt(4)))["cross", 0]
    before = attentions(plain)["cross", 0]
    assert torch.equal(after.scores[1], (before if before is after else after).scores[1])
    assert (after.scores[0] == 0).all() and not (after.scores[1] == 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_heads_switched_off_by_hand(tiny_model: Model, plain: Run, kind: str) -> None:
    """Zero, the mean of the positions that can be known, the mean of the values that may be looked at."""
    before = attentions(plain)[kind, 0]
    outputs, values = before.head_outputs.numpy(), before.value.numpy()
    allowed = before.mask.numpy()
    found = {how: edited(tiny_model, plain, HeadOff(f"{kind}.1.3", how))[kind, 0] for how in HeadOff.HOW}
    assert (found["zero"].head_outputs[2] == 0).all()
    count = len(outputs[2])
    so_far = [outputs[2][: (count if kind == "encoder" else query + 1)].mean(0) for query in range(count)]
    assert np.allclose(found["mean"].head_outputs[2], so_far, atol=1e-5)
    uniform = allowed / allowed.sum(-1, keepdims=True)
    assert np.allclose(found["uniform"].weights[2], uniform)
    assert np.allclose(found["uniform"].head_outputs[2], uniform @ values[2], atol=1e-5)
    for each in found.values():
        assert torch.equal(each.head_outputs[1], before.head_outputs[1])


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_by_hand(tiny_model: Model, plain: Run, kind: str) -> None:
    """One key for each query: its own number, the one before, or the nearest that it may look at."""
    queries, keys = attentions(plain)[kind, 0].weights.shape[1:]
    for pattern, step in (("diagonal", 0), ("previous", 1)):
        weights = edited(tiny_model, plain, Pattern(f"{kind}.1.1", pattern))[kind, 0].weights[0].numpy()
        expected = np.zeros((queries, keys))
        expected[np.arange(queries), np.clip(np.arange(queries) - step, 0, keys - 1)] = 1
        assert (weights == expected).all()
    closed = edited(tiny_model, plain, Pattern(kind, "diagonal"), Cell(kind, 2, 2, False))[kind, 1].weights
    assert (closed[:, 2, 1] == 1).all(), "of two nearest keys the earlier"


def test_an_opened_future_cell_leaks(tiny_model: Model, plain: Run) -> None:
    """Weights are the softmax with that cell; what stands before it changes, what does not read it stays."""
    after = edited(tiny_model, plain, Cell("decoder.1", 2, 4, True))["decoder", 0]
    before = attentions(plain)["decoder", 0]
    allowed = before.mask.numpy().copy()
    allowed[2, 4] = True
    assert np.allclose(after.weights, softmax(before.scores.numpy(), allowed), atol=1e-6)
    logits = reread(tiny_model, plain, [Cell("decoder.1", 2, 4, True)]).logits
    assert torch.equal(logits[:2], reread(tiny_model, plain, []).logits[:2])
    assert not torch.allclose(logits[2], plain.logits[2])


def test_tokens_change_places(tiny_model: Model, plain: Run) -> None:
    """Only what the edit names, on the side that it names, in the order of the edits."""
    for name in ("source", "target"):
        before = plain.source if name == "source" else plain.target
        wanted = [SwapPositions(name, 1, 3), FreezePosition(name, 2, 5), RemovePosition(name, 4)]
        run = reread(tiny_model, plain, [*wanted, SwapEmbeddings(name, 0, 2)])
        after = run.source if name == "source" else run.target
        positions, embeddings = before.position.numpy().copy(), before.embedding.numpy().copy()
        positions[[1, 3]] = positions[[3, 1]]
        positions[2], positions[4] = positions[5], 0.0
        embeddings[[0, 2]] = embeddings[[2, 0]]
        assert np.array_equal(after.position, positions) and np.array_equal(after.embedding, embeddings)
        assert np.allclose(after.input, positions + embeddings, atol=1e-6)
        untouched = (run.target, plain.target) if name == "source" else (run.source, plain.source)
        assert torch.equal(untouched[0].input, untouched[1].input)


def test_a_residual_and_a_norm_skipped(tiny_model: Model, plain: Run) -> None:
    """After the sub-layer stands its output alone; after the norm stands what it read."""
    run = reread(tiny_model, plain, [SkipResidual("decoder.2.cross"), SkipNorm("decoder.1.feedforward")])
    second, first = run.decoder[1], run.decoder[0]
    assert torch.equal(second.after_cross_attention, second.cross_attention.output)
    norm = first.norm_before_feed_forward
    assert torch.equal(norm.output, norm.input) and torch.equal(norm.input, first.after_cross_attention)
    assert not torch.allclose(norm.normalized, norm.output), "the norm itself is still shown"
    final = reread(tiny_model, plain, [SkipNorm("decoder.final")])
    weight = tiny_model.network.embedding.weight.detach()
    assert torch.allclose(final.logits, final.decoder[1].after_feed_forward @ weight.T, rtol=1e-4, atol=1e-3)
