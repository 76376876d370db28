"""Masks hide what they must, whatever it holds; what the page shows is what NumPy finds in the exported run."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from core.attention import masked_softmax
from core.charts import heatmap
from core.charts import masks as charts
from core.checkpoint import Model
from core.decoding import greedy
from core.editing import Reading, editing
from core.edits import Cell
from core.experiments import masks
from core.hooks import listen
from core.run import Run, trace
from core.transformer import Transformer

Array = NDArray[np.floating]
SOUND, LEAKY = ("infinity", "billion", "renormalised"), ("zeroed", "multiplied")
WORDS = ("the", "cat", "sees", "a", "dog", "고양이", "bank", ".")
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_mask(queries: int, keys: int, seed: int) -> Tensor:
    """At least one key open in each row, at least one hidden."""
    mask = drawn(queries, keys, seed=seed) > 0
    mask[:, 0], mask[:, -1] = True, False
    return mask


def in_double(run: Run) -> Run:
    return masks.read_by(masks.doubled(run.network), run)


@pytest.fixture(scope="module")
def run(tiny_model: Model) -> Run:
    return trace(tiny_model, "the cat sees a dog .", "고양이가 개를 본다.", direction="en-ko")


@pytest.fixture(scope="module")
def double(run: Run) -> Run:
    return in_double(run)


# --- E08, T12: five ways --------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(2, 9), st.integers(0, 1_000))
def test_the_sound_ways_are_one(queries: int, keys: int, seed: int) -> None:
    """T12: −∞, −10⁹ and renormalising give the same weights; rows sum to 1 and hidden cells are exactly 0."""
    scores, mask = 3 * drawn(queries, keys, seed=seed), random_mask(queries, keys, seed + 1)
    for name in SOUND:
        weights = masks.WAYS[name](scores, mask)
        assert (weights - masked_softmax(scores, mask)).abs().max() < 1e-12
        assert (weights.sum(-1) - 1).abs().max() < 1e-12
        assert (weights[~mask] == 0).all()


@given(st.integers(0, 1_000))
def test_the_other_ways_notice_a_hidden_score(seed: int) -> None:
    """A hidden score is changed: the sound ways do not notice, the others do."""
    scores, mask = drawn(4, 6, seed=seed), random_mask(4, 6, seed + 1)
    other = torch.where(mask, scores, scores + 2)
    for name, way in masks.WAYS.items():
        noticed = float(((way(scores, mask) - way(other, mask)) * mask).abs().max())
        if name in SOUND:
            assert noticed < 1e-12
        elif name == "multiplied":
            assert noticed == 0 and (way(scores, mask)[~mask] > 0).all()
        else:
            assert noticed > 1e-3


@pytest.mark.parametrize("name", SOUND)
def test_weights_survive_large_and_shifted_scores(name: str) -> None:
    """T17: no overflow at ±10⁴, and adding a constant to a row changes nothing."""
    way, mask = masks.WAYS[name], random_mask(5, 7, 3)
    scores = drawn(5, 7, seed=2)
    assert (way(scores, mask) - way(scores + 100, mask)).abs().max() < 1e-12
    for extreme in (torch.full((5, 7), 1e4), torch.full((5, 7), -1e4)):
        assert torch.equal(way(extreme, mask).isfinite(), torch.ones(5, 7, dtype=torch.bool))


def test_a_row_with_nothing_allowed_is_defined() -> None:
    """T17: each way's answer, and the model's own: it reads nothing."""
    scores, nothing = drawn(1, 5, seed=0), torch.zeros(1, 5, dtype=torch.bool)
    rows = {name: way(scores, nothing)[0] for name, way in masks.WAYS.items()}
    assert rows["infinity"].isnan().all() and rows["renormalised"].isnan().all()
    assert torch.allclose(rows["billion"], torch.full((5,), 0.2, dtype=torch.float64))
    assert torch.allclose(rows["multiplied"], torch.full((5,), 0.2, dtype=torch.float64))
    assert (rows["zeroed"] == 0).all() and (masked_softmax(scores, nothing) == 0).all()


def test_the_leak_meter_finds_the_cheats(run: Run, tiny_model: Model) -> None:
    first = 3
    target = masks.exchanged(run, range(first, len(run.target_tokens)), tiny_model)
    after = masks.with_target(run, target)
    leaks = masks.leaks(run, after, first, masks.masked_logits(run))
    null = float(leaks["unmasked"].outputs.max())
    for name in ("infinity", "billion"):
        assert leaks[name].outputs.max() == 0 and leaks[name].predictions == 0 and leaks[name].hidden == 0
    assert leaks["renormalised"].outputs.max() < 1e-5 * null
    for name in LEAKY:
        assert leaks[name].outputs.max() > 0.01 * null and leaks[name].predictions > 1e-3
    assert leaks["zeroed"].lowest_sum < 0.9 and leaks["zeroed"].hidden == 0
    assert leaks["multiplied"].hidden > 0.05 and leaks["multiplied"].lowest_sum > 0.999
    own = float(masks.with_target(run, run.target_tokens).log_probabilities.sum())
    assert leaks["infinity"].log_probability == pytest.approx(own, abs=1e-4)


def test_masking_as_the_model_does_changes_nothing(run: Run) -> None:
    plain = masks.with_target(run, run.target_tokens)
    with listen(masks.masking([masks.infinity])):
        masked = masks.with_target(run, run.target_tokens)
    assert torch.equal(masked.logits, plain.logits)


@given(sentences, st.integers(0, 99))
def test_exchanged_tokens_are_others(tiny_model: Model, text: str, seed: int) -> None:
    run = trace(tiny_model, text, text, direction="en-ko")
    places = range(1, len(run.target_tokens))
    target = masks.exchanged(run, places, tiny_model, seed)
    assert target == masks.exchanged(run, places, tiny_model, seed)
    assert target[0] == run.target_tokens[0]
    assert all(new.id != old.id for new, old in zip(target[1:], run.target_tokens[1:], strict=True))
    assert not any(token.special for token in target[1:])


# --- the numbers of the exported run --------------------------------------------------------------------------------


def exported(run: Run, folder: Path) -> dict[str, Array]:
    path = folder / "run.npz"
    run.save(path)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


NUMPY: dict[str, Callable[[Array, NDArray[np.bool_]], Array]] = {
    "infinity": lambda scores, mask: softmax(np.where(mask, scores, -np.inf)),
    "billion": lambda scores, mask: softmax(np.where(mask, scores, -1e9)),
    "renormalised": lambda scores, mask: softmax(scores) * mask / (softmax(scores) * mask).sum(-1, keepdims=True),
    "zeroed": lambda scores, mask: softmax(scores) * mask,
    "multiplied": lambda scores, mask: softmax(np.where(mask, scores, 0.0)),
    "unmasked": lambda scores, mask: softmax(scores),
}


@pytest.mark.parametrize("pads", [0, 3])
def test_scores_masks_and_weights_follow_from_the_export(run: Run, tmp_path: Path, pads: int) -> None:
    """Every cell of the three matrices, from queries and keys alone."""
    source, target = len(run.source_tokens), len(run.target_tokens)
    arrays = exported(masks.padded(run, source + pads, target + pads), tmp_path)
    real = np.arange(source + pads) < source
    whole = np.ones((target + pads, 1), dtype=bool)
    expected = {
        "encoder.{}.self_attention": np.broadcast_to(real, (source + pads, source + pads)),
        "decoder.{}.self_attention": np.tril(np.ones((target + pads, target + pads), dtype=bool)),
        "decoder.{}.cross_attention": whole & real,
    }
    for form, mask in expected.items():
        for layer in range(2):
            part = form.format(layer)
            query, key = arrays[f"{part}.query"], arrays[f"{part}.key"]
            scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
            assert np.abs(scores - arrays[f"{part}.scores"]).max() < 1e-4
            assert (np.broadcast_to(arrays[f"{part}.mask"], mask.shape) == mask).all()
            weights = arrays[f"{part}.weights"]
            assert np.abs(NUMPY["infinity"](scores, mask) - weights).max() < 1e-4
            assert (weights[:, ~mask] == 0).all()


@pytest.mark.parametrize("name", masks.WAYS)
def test_leaks_follow_from_two_exports(run: Run, tiny_model: Model, tmp_path: Path, name: str) -> None:
    first = 2
    target = masks.exchanged(run, range(first, len(run.target_tokens)), tiny_model)
    after = masks.with_target(run, target)
    leak = masks.leaks(run, after, first, masks.masked_logits(run))[name]
    mask = np.tril(np.ones((len(target), len(target)), dtype=bool))
    arrays = [exported(each, tmp_path) for each in (run, after)]
    parts = [f"decoder.{layer}.self_attention" for layer in range(2)]
    weights = [[NUMPY[name](each[f"{part}.scores"], mask) for part in parts] for each in arrays]
    outputs = [
        np.stack([pattern @ each[f"{part}.value"] for pattern, part in zip(patterns, parts, strict=True)])
        for patterns, each in zip(weights, arrays, strict=True)
    ]
    change = np.abs(outputs[0] - outputs[1])[:, :, :first].max(-1)
    assert np.abs(leak.outputs.numpy() - change).max() < 1e-4
    sums, hidden = np.stack(weights[0]).sum(-1), (np.stack(weights[0]) * ~mask).sum(-1)[..., :-1]
    assert leak.lowest_sum == pytest.approx(sums.min(), abs=1e-5)
    assert leak.highest_sum == pytest.approx(sums.max(), abs=1e-5)
    assert leak.hidden == pytest.approx(hidden.mean(), abs=1e-5)


def test_drift_and_the_weight_on_pads_follow_from_two_exports(double: Run, tmp_path: Path) -> None:
    source, target = len(double.source_tokens), len(double.target_tokens)
    exposed = masks.padded(double, source + 4, target + 4, masked=False)
    alone, among = exported(double, tmp_path), exported(exposed, tmp_path)
    for each in masks.drift(double, exposed):
        was = alone[each.path]
        assert each.change == pytest.approx(np.abs(among[each.path][: len(was)] - was).max())
        assert each.size == pytest.approx(math.sqrt((was**2).mean()))
    own = np.stack([among[f"encoder.{layer}.self_attention.weights"] for layer in range(2)])
    cross = np.stack([among[f"decoder.{layer}.cross_attention.weights"] for layer in range(2)])
    found = (own[:, :, :source, source:].sum(-1).mean(), cross[..., source:].sum(-1).mean())
    assert masks.weight_on_pads(exposed, source) == pytest.approx(found)


# --- where renormalising ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "smallest"), [(torch.float32, 1e-38), (torch.float64, 1e-307)])
def test_renormalising_breaks_where_the_allowed_weights_underflow(kind: torch.dtype, smallest: float) -> None:
    """Between the smallest normal number and the smallest number at all; −∞ has no such end."""
    scores, allowed = drawn(9, seed=1).to(kind), torch.arange(9) < 4
    gap = masks.breaks_at(scores, allowed)
    assert gap is not None and -math.log(smallest) - 3 < gap < -math.log(smallest) + 40
    errors = masks.renormalising_error(scores, allowed, torch.tensor([0, gap - 1, gap], dtype=kind))
    assert errors[0] < 1e-6 and errors[2].isnan()
    rows = masks.raised(scores, allowed, torch.tensor([float(gap)], dtype=kind))
    assert (masks.infinity(rows, allowed[None]).sum(-1) - 1).abs() < 1e-5
    assert masks.breaks_at(scores, allowed, most=50) is None


def test_the_gap_is_the_gap_and_numpy_agrees() -> None:
    scores, allowed = drawn(6, seed=4).float(), torch.tensor([True, False, True, False, True, False])
    gaps = torch.arange(0.0, 80.0, 10.0)
    rows = masks.raised(scores, allowed, gaps)
    assert torch.allclose(rows[:, ~allowed].amax(-1) - rows[:, allowed].amax(-1), gaps)
    assert torch.equal(rows[:, allowed], scores[allowed].expand(len(gaps), -1))
    single, mask = rows.numpy(), allowed.numpy()
    expected = np.abs(NUMPY["renormalised"](single, mask) - NUMPY["infinity"](single, mask)).max(-1)
    assert np.abs(masks.renormalising_error(scores, allowed, gaps).numpy() - expected).max() < 1e-5


# --- T11: the future ------------------------------------------------------------------------------------------------


@given(sentences, st.integers(1, 99), st.integers(0, 999))
def test_the_past_never_notices_the_future(tiny_model: Model, text: str, place: int, seed: int) -> None:
    """T11: whatever a token becomes, no earlier position changes in any layer, not by one bit."""
    run = trace(tiny_model, "the cat", text, direction="en-ko")
    place = 1 + place % (len(run.target_tokens) - 1)
    found = masks.future_changes(run, masks.exchanged(run, [place], tiny_model, seed))
    assert (found[:, :place] == 0).all() and (found[:, place] > 0).all()
    assert found.shape == (len(masks.decoder_stages(run.network)), len(run.target_tokens))


def test_without_the_mask_it_does(run: Run, tiny_model: Model) -> None:
    last = len(run.target_tokens) - 1
    with listen(masks.see_everything):
        found = masks.future_changes(run, masks.exchanged(run, [last], tiny_model))
    assert (found[:, :last] > 0).all()


@pytest.mark.parametrize("where", ["decoder", "decoder.2", "decoder.1.3"])
def test_an_opened_cell_leaks_from_its_query_on(run: Run, tiny_model: Model, where: str) -> None:
    """Queries before the one that sees the future stay ignorant; taking the edit back restores every bit."""
    query, later = 2, 5
    target = masks.exchanged(run, [later], tiny_model)
    shut = masks.noticed(run, target)
    with editing([Cell(where, query, later, True)], Reading(run.network)):
        leaking = masks.noticed(run, target)
    assert shut.logits[:later] == [0.0] * later and shut.log_probabilities[:later] == [0.0] * later
    assert leaking.logits[:query] == [0.0] * query and leaking.logits[query] > 0
    assert masks.noticed(run, target) == shut


# --- T21: padding ---------------------------------------------------------------------------------------------------


@given(sentences, st.integers(1, 12))
def test_hidden_pads_change_nothing(tiny_model: Model, text: str, pads: int) -> None:
    """T21: in any layer, for any number of pads; their weight is exactly 0."""
    run = in_double(trace(tiny_model, text, text, direction="en-ko"))
    source, target = len(run.source_tokens), len(run.target_tokens)
    among = masks.padded(run, source + pads, target + pads)
    assert max(each.change for each in masks.drift(run, among)) < 1e-9
    assert masks.weight_on_pads(among, source) == (0.0, 0.0)
    exposed = masks.padded(run, source + pads, target + pads, masked=False)
    assert min(each.change for each in masks.drift(run, exposed)) > 1e-6
    assert min(masks.weight_on_pads(exposed, source)) > 0


@given(sentences, sentences)
def test_the_rest_of_the_batch_changes_nothing(tiny_model: Model, text: str, other: str) -> None:
    """T21: beside a longer sentence, or a shorter one, a sentence is what it is alone."""
    run, beside = (in_double(trace(tiny_model, each, each, direction="en-ko")) for each in (text, other))
    source, target = (
        max(len(one), len(two))
        for one, two in ((run.source_tokens, beside.source_tokens), (run.target_tokens, beside.target_tokens))
    )
    among = masks.padded(run, source, target, beside=beside)
    assert max(each.change for each in masks.drift(run, among)) < 1e-9
    assert [token.id for token in among.source_tokens[: len(run.source_tokens)]] == [t.id for t in run.source_tokens]


@pytest.mark.parametrize("pads", [0, 1, 7])
@pytest.mark.parametrize("masked", [True, False])
def test_a_translation_does_not_see_hidden_pads(tiny_model: Model, pads: int, masked: bool) -> None:
    """The others are what greedy decoding writes; a single pass only spares it where nothing changes."""
    run, network, tokenizer = (
        trace(tiny_model, "the cat .", direction="en-ko"),
        tiny_model.network,
        tiny_model.tokenizer,
    )
    among = masks.padded(run, len(run.source_tokens) + pads, len(run.target_tokens) + pads, masked=masked)
    said = masks.padded_translation(tiny_model, run, among, masked=masked)
    if masked or not pads:
        assert said == run.translation
        return
    ids = torch.tensor([[token.id for token in among.source_tokens]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory, start, end = network.encode(ids, mask), tokenizer.start_id, tokenizer.end_id
    written = greedy(network, memory, mask, start=start, end=end)[0]
    own = [token.id for token in run.predicted_tokens]
    same = next(place for place, (one, other) in enumerate(zip(written, own, strict=False)) if one != other)
    beginning = written[: same + masks.MORE]
    assert said == tokenizer.decode(beginning) + ("" if end in beginning else " …") != run.translation


def test_looking_ahead_is_no_change_of_pads(tiny_model: Model, make_network: Callable[..., Transformer]) -> None:
    """One pass would show such a decoder the words that it is to write."""
    network = make_network(vocabulary=tiny_model.tokenizer.size, mask="open").float()
    model = replace(tiny_model, network=network)
    run = trace(model, "the cat .", direction="en-ko")
    among = masks.padded(run, len(run.source_tokens) + 3, len(run.target_tokens))
    assert masks.padded_translation(model, run, among, masked=True) == run.translation


def test_no_pads_is_the_run_itself(run: Run) -> None:
    same = masks.padded(run, len(run.source_tokens), len(run.target_tokens))
    paths = [path for path in run.paths if path.endswith((".weights", ".after_feed_forward"))]
    assert all(torch.equal(same.tensor(path), run.tensor(path)) for path in paths)
    assert same.target_tokens == run.target_tokens


def test_edits_reach_a_padded_run(run: Run) -> None:
    source, target = len(run.source_tokens), len(run.target_tokens)
    with editing([Cell("decoder.1", 2, 4, True), Cell("encoder", 1, 0, False)], Reading(run.network)):
        edited = masks.padded(run, source + 2, target + 2)
    ahead = edited.decoder[0].self_attention
    assert bool(ahead.mask[2, 4]) and (ahead.weights[:, 2, 4] > 0).all()
    assert not edited.decoder[1].self_attention.mask[2, 4]
    assert all((layer.self_attention.weights[:, 1, 0] == 0).all() for layer in edited.encoder)
    assert (ahead.weights.sum(-1) - 1).abs().max() < 1e-5


# --- charts ---------------------------------------------------------------------------------------------------------


def test_a_mask_is_hatched_where_it_hides_and_marked() -> None:
    allowed = np.tril(np.ones((3, 4), dtype=bool))
    words = dict.fromkeys(("label", "query", "key", "queries", "keys", "sum", "open", "masked"), "x")
    for strong, level in ((True, round(charts.STRONG * heatmap.STEPS)), (False, 0)):
        header, cells = heatmap.unpack(
            charts.mask(
                allowed,
                queries=["a", "b", "c"],
                keys=["a", "b", "c", "d"],
                cell=(1, 2),
                marks=("0", "−∞"),
                strong=strong,
                edited=[(0, 0)],
                toggles=True,
                words=words,
            )
        )
        assert (cells.reshape(3, 4) == np.where(allowed, level, heatmap.ABSENT)).all()
        assert header["marks"] == ["0", "−∞"] and header["edited"] == [[0, 0]] and header["toggles"]


def test_changes_that_do_not_count_are_hatched() -> None:
    values = np.array([[0.0, 2.0, 4.0], [1.0, np.nan, 0.5]])
    counted = np.array([[True, True, False], [True, True, True]])
    words = dict.fromkeys(("label", "query", "key", "queries", "keys", "weight", "sum", "masked"), "x")
    names = {"rows": ["a", "b"], "positions": ["c", "d", "e"]}
    header, cells = heatmap.unpack(charts.changes(values, counted, **names, cell=(0, 0), most=4.0, words=words))
    assert cells.tolist() == [0, 127, heatmap.ABSENT, 64, 0, 32] and header["most"] == 4.0


def test_a_broken_line_ends_where_nothing_is_left() -> None:
    errors = {"float32": [1e-7, math.nan], "float64": [0.0, 1e-16]}
    words = {"gap": "gap", "error": "error", "nan": "0 ÷ 0"}
    chart = charts.breakdown([0.0, 104.0], errors, {"float32": 103}, chosen=60.0, words=words)
    lines, ends = (chart.layer[place].data.values for place in (0, 1))
    assert [(row["name"], row["gap"]) for row in lines] == [("float32", 0), ("float64", 0), ("float64", 104)]
    assert [row["gap"] for row in ends] == [103] and min(row["value"] for row in lines) > 0


def test_a_padded_run_can_be_exported_like_any_other(run: Run, tmp_path: Path) -> None:
    arrays = exported(masks.padded(run, len(run.source_tokens) + 2, len(run.target_tokens) + 2), tmp_path)
    assert list(arrays["source_tokens"][-2:]) == ["<pad>", "<pad>"]
