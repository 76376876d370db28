"""The experiments hold what their pages claim: identities exactly, measured effects within bands."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.attention import attention, causal_mask
from core.checkpoint import CheckpointError, Model
from core.experiments import positions, twins
from core.measures.curves import Spread, exact_matches, read_log, seeds, spread
from core.measures.decomposition import first_layer_parts
from core.positions import sinusoid
from core.run import trace
from core.transformer import Transformer


def vectors(count: int, width: int) -> Tensor:
    return sinusoid(torch.arange(count), width)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- E04: the sinusoid ----------------------------------------------------------------------------------------------


@given(st.integers(1, 100), st.integers(1, 32).map(lambda half: 2 * half), st.sampled_from([10.0, 1e4, 1e6]))
def test_moving_on_is_turning_with_any_base(by: int, width: int, base: float) -> None:
    """T06: PE(p + k) = R_k PE(p), R_k is orthogonal, and turning by k then by j is turning by k + j."""
    rotation = positions.rotation(by, width, base)
    assert (rotation @ rotation.T - torch.eye(width)).abs().max() < 1e-12
    assert (rotation @ positions.rotation(3, width, base) - positions.rotation(by + 3, width, base)).abs().max() < 1e-10
    assert positions.rotation_error(sinusoid(torch.arange(200), width, base), by, base) < 1e-10


def test_a_wrong_turn_is_noticed() -> None:
    assert positions.rotation_error(vectors(100, 16), 5, base=100.0) > 0.1


def test_similarity_depends_on_the_distance_alone() -> None:
    """T06: products are constant along diagonals and equal the sum of cosines; the index's are not."""
    products = vectors(200, 64) @ vectors(200, 64).T
    assert positions.toeplitz_deviation(products) < 1e-12
    assert (products[0] - positions.similarities(64, torch.arange(200))).abs().max() < 1e-11
    index = torch.arange(200.0)[:, None]
    assert positions.toeplitz_deviation(index @ index.T) > 1


def test_similarity_is_not_monotone() -> None:
    """Section 0.9 of the content: d = 32, lag 16 and 32."""
    profile = (positions.similarities(32, torch.arange(129)) / 16).tolist()
    assert profile[16] == pytest.approx(0.495, abs=1e-3) and profile[32] == pytest.approx(0.602, abs=1e-3)
    near, far = positions.largest_rise(profile)
    assert near < far and profile[far] - profile[near] >= profile[32] - profile[16]


def test_a_sequence_that_falls_never_rises() -> None:
    assert positions.largest_rise([3.0, 2.0, 1.0]) == (0, 0)
    assert positions.largest_rise([3.0, 1.0, 2.0, 0.0, 4.0]) == (3, 4)


def test_few_pairs_collide() -> None:
    """One pair confuses positions 710 apart (113 turns); from eight pairs on, neighbours are the most alike."""
    found = positions.most_alike(64)
    assert found[0].distance == 710 and found[0].apart == pytest.approx(6.0e-5, rel=0.02)
    assert [each.apart for each in found[1:4:2]] == pytest.approx([0.0344, 0.2584], abs=1e-3)
    assert all(each.distance == 1 and each.apart == each.neighbours for each in found[7:])
    assert found[-1].apart == pytest.approx(1.4718, abs=1e-3)


@pytest.mark.parametrize("pairs", [1, 2, 4, 32])
def test_the_nearest_pair_is_where_the_formula_says(pairs: int) -> None:
    first, second, apart = positions.nearest_pair(vectors(2_000, 64)[:, : 2 * pairs])
    found = positions.most_alike(64)[pairs - 1]
    assert apart == pytest.approx(found.apart, rel=1e-6)
    assert second - first == found.distance


def test_only_pairs_are_small_distinct_and_move_by_one_map() -> None:
    """What the page's table shows: every alternative fails somewhere, sines with cosines nowhere."""
    found = {name: positions.properties(name, 16) for name in positions.ALTERNATIVES}
    whole = found.pop("sinusoid")
    assert whole.largest <= 1 and whole.shortest == pytest.approx(math.sqrt(8)) == whole.longest
    assert whole.toeplitz < 1e-12 and whole.shift < 1e-4 and whole.nearest > 1
    assert found["index"].largest == 199 and found["index"].shift < 1e-10 and found["index"].toeplitz > 1
    assert found["fraction"].nearest < 0.01
    assert found["sines"].shift > 1 and found["sines"].shortest == 0
    assert found["one-hot"].shift > 0.9 and found["random"].shift > 0.9


# --- E05: what order is worth ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(-1, 4), max_size=12), st.integers(0, 99))
def test_an_order_moves_words_and_nothing_else(units: list[int], seed: int) -> None:
    order = positions.word_order(units, seed)
    assert sorted(order) == list(range(len(units)))
    assert all(order[index] == index for index, unit in enumerate(units) if unit < 0)
    moved = [units[index] for index in order if units[index] >= 0]
    assert len(set(moved)) == sum(one != two for one, two in zip([None, *moved], moved, strict=False))
    before = [unit for unit in units if unit >= 0]
    assert list(dict.fromkeys(moved)) != list(dict.fromkeys(before)) or len(set(before)) < 2


def test_two_words_always_change_places() -> None:
    assert all(positions.word_order([-1, 0, 0, 1, -1], seed) == [0, 3, 1, 2, 4] for seed in range(5))


def test_attention_without_positions_follows_a_permutation() -> None:
    """T08: f(PX) = P f(X) and the mean is unchanged; with a causal mask or with positions it is not so."""
    words, order = drawn(6, 8), [3, 0, 5, 1, 4, 2]
    anything, causal = torch.ones(6, 6, dtype=torch.bool), causal_mask(6, 6)

    def error(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return positions.equivariance_errors(attention(x, x, x, mask), attention(y, y, y, mask), order)

    assert error(words, words[order], anything).max() < 1e-12
    mean = attention(words, words, words, anything).mean(0)
    assert (attention(*[words[order]] * 3, anything).mean(0) - mean).abs().max() < 1e-12
    assert error(words, words[order], causal).max() > 0.1
    places = vectors(6, 8)
    assert error(words + places, words[order] + places, anything).max() > 0.1


@pytest.fixture
def bag(tiny_model: Model, make_network: Callable[..., Transformer]) -> Model:
    """The tiny model without positions."""
    network = make_network(vocabulary=tiny_model.tokenizer.size, positions="none").float()
    return Model(name="bag", network=network, tokenizer=tiny_model.tokenizer, card={})


def test_the_encoder_of_a_bag_of_words_does_not_see_the_order(bag: Model, tiny_model: Model) -> None:
    """“I am a cat” and “cat I a am”: the same states, permuted, unless positions are added."""
    order = [0, 4, 1, 3, 2, 5, 6]
    for model, blind in ((bag, True), (tiny_model, False)):
        run = trace(model, "The cat sees a dog")
        moved = twins.reorder(model, run, order).moved
        assert len(moved) == len(run.source_tokens)
        assert (max(moved) < 1e-5) == blind


def test_a_bag_of_words_is_translated_alike_in_any_order(bag: Model) -> None:
    run = trace(bag, "The cat sees a dog")
    assert twins.reorder(bag, run, [0, 4, 1, 3, 2, 5, 6]).translation == run.translation


def test_the_causal_mask_is_an_order_too(bag: Model) -> None:
    """Even without positions the decoder's states change with the order of what it reads."""
    run = trace(bag, "The cat sees a dog", "고양이가 개를 보ㄴ다")
    count = len(run.target_tokens)
    assert max(twins.reorder_target(bag, run, list(range(count)))) < 1e-5
    assert max(twins.reorder_target(bag, run, [0, *reversed(range(1, count))])) > 0.1


# --- E05b: side by side ---------------------------------------------------------------------------------------------


def test_beside_is_a_sum_of_two_maps() -> None:
    """T07."""
    words, places, weight = drawn(5, 8), vectors(5, 4), drawn(6, 12, seed=1)
    assert positions.concat_error(words, places, weight) < 1e-12


def test_shares_sum_to_one_and_ignore_what_a_whole_row_shares(tiny_model: Model) -> None:
    run = trace(tiny_model, "The cat sees a dog")
    parts = first_layer_parts(tiny_model.network, run)
    for head in range(4):
        shares = twins.variance_shares(parts, head)
        assert sum(shares.values()) == pytest.approx(1.0)
    whole_rows = np.zeros_like(parts.remainder) + np.arange(parts.remainder.shape[1])[:, None]
    shifted = type(parts)(**{**vars(parts), "remainder": parts.remainder + whole_rows})
    assert twins.variance_shares(shifted, 0) == pytest.approx(twins.variance_shares(parts, 0))


def test_no_share_of_nothing(tiny_model: Model) -> None:
    parts = first_layer_parts(tiny_model.network, trace(tiny_model, "the cat"))
    nothing = type(parts)(**{name: np.zeros_like(part) for name, part in vars(parts).items()})
    assert set(twins.variance_shares(nothing, 0).values()) == {0.0}


# --- E06: the probe -------------------------------------------------------------------------------------------------


def test_very_small_positions_cannot_be_read() -> None:
    """T40, and what refutes the learner's note: at scale 0.01 a place is read no better than by guessing."""
    small, paper = positions.probe(64, 0.01), positions.probe(64, 1.0)
    assert small.place < 0.08 and small.token > 0.98
    assert paper.place > 5 / positions.PLACES and paper.token > 0.98


def test_larger_positions_are_read_better_and_cost_words_in_narrow_vectors_alone() -> None:
    assert positions.probe(64, 3.0).place > positions.probe(64, 1.0).place + 0.2
    assert positions.probe(16, 3.0).token < positions.probe(16, 0.01).token - 0.1
    assert positions.probe(64, 3.0).token > 0.98


def test_beside_both_are_read() -> None:
    beside = positions.probe(64, 1.0, "concat")
    assert beside.place > 0.8 and beside.token > 0.98


# --- what the twins are compared in ---------------------------------------------------------------------------------


def test_a_race_counts_and_times_everyone(tiny_model: Model, bag: Model) -> None:
    costs = twins.race({"sum": tiny_model.network, "none": bag.network}, 7, 5, rounds=2)
    assert list(costs) == ["sum", "none"]
    for name, network in (("sum", tiny_model.network), ("none", bag.network)):
        assert costs[name].parameters == sum(weight.numel() for weight in network.parameters())
        assert costs[name].weight_bytes == 4 * costs[name].parameters
        assert costs[name].milliseconds > 0 and costs[name].working_bytes > 0
    assert costs["sum"].multiply_adds == costs["none"].multiply_adds


def test_curves_hold_every_seed() -> None:
    records = [{"seed": seed, "step": step, "loss": step / 10 + seed} for seed in (0, 1, 2) for step in (25, 50)] + [
        {"seed": 0, "step": 50, "validation_loss": 1.0}
    ]
    assert spread(records, "loss") == [Spread(25, 2.5, 3.5, 4.5), Spread(50, 5.0, 6.0, 7.0)]
    assert spread(records, "validation_loss") == [Spread(50, 1.0, 1.0, 1.0)]
    assert seeds(records) == [0, 1, 2]


def test_accuracies_come_from_every_seed_and_gaps_stay_out() -> None:
    def metrics(value: float) -> dict[str, dict[str, dict[str, float]]]:
        return {"en-ko": {"random": {"exact_match": value}, "long": {"exact_match": math.nan}}, "ko-en": {}}

    card = {"metrics": metrics(0.5), "metrics_by_seed": {"0": metrics(0.5), "1": metrics(0.75)}}
    assert exact_matches(card, "en-ko") == {"random": [0.5, 0.75]}
    assert exact_matches({"metrics": metrics(0.25)}, "en-ko") == {"random": [0.25]}


@pytest.mark.parametrize("text", [None, "{", "[]\n", '{"seed": 0}\n', '{"seed": "x", "step": 25}\n'])
def test_a_log_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    folder = tmp_path / "models" / "positions-sum"
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "log.jsonl").write_text(text)
    with pytest.raises(CheckpointError, match=r"log\.jsonl .*python -m core train positions-sum"):
        read_log("positions-sum", assets=tmp_path)
    (folder / "log.jsonl").write_text(json.dumps({"seed": 0, "step": 25, "loss": 1.0}) + "\n")
    assert read_log("positions-sum", assets=tmp_path)[0]["step"] == 25
