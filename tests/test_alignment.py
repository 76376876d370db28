"""Alignment from attention: error rates worked out by hand, and words found again from their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.checkpoint import Model
from core.corpus import Pair, held_out
from core.measures.alignment import count, error_rate, hard_links, shuffled, total, words_of
from core.tokens import load_tokenizer
from core.training.align import Gold, Tally, alignment_report, cross_attention, turned

links = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@dataclass(frozen=True)
class Span:
    start: int
    end: int


def spans(*bounds: tuple[int, int]) -> list[Span]:
    return [Span(*each) for each in bounds]


@pytest.mark.parametrize(
    ("found", "sure", "possible", "expected"),
    [
        ({(0, 0), (1, 1)}, {(0, 0), (1, 1)}, {(0, 0), (1, 1)}, 0.0),
        ({(0, 1), (1, 0)}, {(0, 0), (1, 1)}, {(0, 0), (1, 1)}, 1.0),
        ({(0, 0), (1, 1)}, {(0, 0)}, {(0, 0), (1, 1)}, 0.0),
        ({(0, 0), (1, 2)}, {(0, 0), (1, 1)}, {(0, 0), (1, 1)}, 0.5),
    ],
)
def test_error_rates_by_hand(
    found: set[tuple[int, int]],
    sure: set[tuple[int, int]],
    possible: set[tuple[int, int]],
    expected: float,
) -> None:
    """T32: 1 − (|L∩S| + |L∩P|) / (|L| + |S|)."""
    assert error_rate(frozenset(found), frozenset(sure), frozenset(possible)) == expected


@given(links, links, links)
def test_error_rate_is_a_share(found: frozenset, sure: frozenset, extra: frozenset) -> None:
    """Between 0 and 1; the gold itself has none, and a wider possible set never hurts."""
    rate = error_rate(found, sure, sure | extra)
    assert 0.0 <= rate <= 1.0
    assert rate <= error_rate(found, sure, sure)
    assert error_rate(sure, sure, sure | extra) == 0.0


@given(links, links, links, links)
def test_a_corpus_is_counted_as_one(one: frozenset, other: frozenset, sure: frozenset, extra: frozenset) -> None:
    """Micro-average: counts of sentences add up to those of their concatenation."""
    apart = total([count(one, sure, extra), count(other, sure, extra)])
    moved = [frozenset((i + 10, j + 10) for i, j in each) for each in (other, sure, extra)]
    assert apart == count(one | moved[0], sure | moved[1], extra | moved[2])


@given(links, st.permutations(range(6)))
def test_shuffling_keeps_the_number_of_links(gold: frozenset, order: Sequence[int]) -> None:
    moved = shuffled(gold, order)
    assert len(moved) == len(gold)
    assert sorted(source for source, _ in moved) == sorted(source for source, _ in gold)
    assert shuffled(gold, range(6)) == gold


def test_tokens_find_their_words() -> None:
    """간다 = 가 (0..1) + ㄴ다 (0..2): a shared syllable goes to the morpheme it covers best; specials to none."""
    words = spans((0, 1), (0, 2), (2, 3))
    tokens = spans((0, 0), (0, 1), (0, 2), (2, 3), (5, 6))
    assert words_of(tokens, words).tolist() == [-1, 0, 1, 2, -1]
    assert words_of(tokens, []).tolist() == [-1] * 5


def test_links_average_queries_and_sum_keys() -> None:
    """Two pieces of a word are one word on either side; who looks most at a special is linked to nothing."""
    weights = np.array(
        [[[0.4, 0.3, 0.3, 0.0], [0.0, 0.1, 0.1, 0.8], [0.4, 0.0, 0.0, 0.6], [0.6, 0.2, 0.2, 0.0], [1, 0, 0, 0]]]
    )
    keys = np.array([-1, 0, 0, 1])
    assert hard_links(weights, np.array([0, 1, 1, 2, 3]), keys, 5, 2).tolist() == [[0, 1, -1, -1, -1]]
    assert hard_links(weights, np.array([-1, 0, 0, -1, -1]), keys, 1, 2).tolist() == [[1]]


@pytest.fixture(scope="module")
def some_pairs() -> list[Pair]:
    return held_out("random", 8, slice=True)


@pytest.mark.parametrize("direction", ["en-ko", "ko-en"])
def test_a_head_that_follows_the_gold_has_no_error(some_pairs: list[Pair], direction: str) -> None:
    """Links made from the gold score 0 in both directions, and all content words are right."""
    tally = Tally()
    for pair in some_pairs:
        gold = Gold.of(pair, direction, np.random.default_rng(0))
        best = np.full(len(gold.target.words), -1)
        for source, target in gold.sure:
            best[target] = source
        tally.add(best, gold)
    assert tally.counts.precision == 1.0 and tally.content_accuracy == 1.0
    assert tally.shuffled.error_rate > 0.3 > tally.counts.error_rate


def test_turning_gold_round_twice_changes_nothing(some_pairs: list[Pair]) -> None:
    assert all(turned(turned(pair.possible)) == pair.possible for pair in some_pairs)


def test_the_batched_pass_is_each_pair_alone(tiny_model: Model, some_pairs: list[Pair]) -> None:
    """Padding and batch-mates leave no trace in the weights; shapes are those of the sentences."""
    network, tokenizer = tiny_model.network, tiny_model.tokenizer
    together = list(cross_attention(network, tokenizer, some_pairs, "en-ko"))
    alone = [each for pair in some_pairs for each in cross_attention(network, tokenizer, [pair], "en-ko")]
    for (_, batched, source, target), (_, single, _, _) in zip(together, alone, strict=True):
        for path, weights in batched.items():
            assert weights.shape[1:] == (len(target) - 1, len(source))
            np.testing.assert_allclose(weights, single[path], atol=1e-5)


def test_the_report_names_a_head_and_its_figures(tiny_model: Model, some_pairs: list[Pair]) -> None:
    """An untrained head is no better than shuffled gold, give or take; the best of all is the one reported."""
    report = alignment_report(tiny_model.network, tiny_model.tokenizer, some_pairs)
    heads = report["heads"]
    assert len(heads) == 8 and report["best_head"] in heads
    assert report["best_head_error_rate"] == min(each["error_rate"] for each in heads.values())
    assert report["shifted_best_head_error_rate"] == min(each["shifted_error_rate"] for each in heads.values())
    assert all(0.0 <= share <= 1.0 for each in heads.values() for share in each.values())
    assert report == alignment_report(tiny_model.network, tiny_model.tokenizer, some_pairs)


def test_gold_words_are_found_in_the_real_tokens(some_pairs: list[Pair]) -> None:
    """Every gold word of known vocabulary has a token of its own, so that its link can be read."""
    tokenizer = load_tokenizer()
    for pair in some_pairs:
        for side in (pair.english, pair.korean):
            found = set(words_of(tokenizer.encode(side.text), side.words).tolist())
            assert found >= set(range(len(side.words))), side.text
