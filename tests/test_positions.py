"""Sinusoids and the ways of joining them to words."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.experiments import positions as experiments
from core.experiments import tables
from core.positions import POSITIONS, Sinusoidal, SinusoidalConcat, sinusoid


def at(*positions: int, width: int = 16) -> Tensor:
    return sinusoid(torch.tensor(positions), width)


def turn(by: int, width: int) -> Tensor:
    """R_k: every pair of channels turned by k times its frequency."""
    angles = by * 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    blocks = [[[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]] for a in angles.tolist()]
    return torch.block_diag(*torch.tensor(blocks, dtype=torch.float64))


def test_the_sinusoid_is_the_papers() -> None:
    """T05: the formula of section 3.5, position 0, and position 1 in four channels."""
    assert at(0)[0].tolist() == [0.0, 1.0] * 8
    assert at(1, width=4)[0].tolist() == pytest.approx([0.841471, 0.540302, 0.00999983, 0.99995], abs=1e-6)
    for channel in range(8):
        angle = 37 / 10_000 ** (2 * channel / 16)
        assert at(37)[0, 2 * channel].item() == pytest.approx(math.sin(angle), abs=1e-12)
        assert at(37)[0, 2 * channel + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 12).map(lambda half: 2 * half))
def test_moving_on_is_turning(position: int, by: int, width: int) -> None:
    """T06: PE(p + k) = R_k PE(p) with R_k orthogonal, and the norm is √(d/2) everywhere."""
    rotation = turn(by, width)
    assert (rotation @ rotation.T - torch.eye(width)).abs().max() < 1e-10
    assert (rotation @ at(position, width=width)[0] - at(position + by, width=width)[0]).abs().max() < 1e-10
    assert at(position, width=width).norm().item() == pytest.approx(math.sqrt(width / 2), abs=1e-10)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_similarity_depends_on_the_distance_alone(first: int, second: int, shift: int) -> None:
    """T06: PE(p)·PE(q) = PE(p + s)·PE(q + s)."""
    near, far = at(first, second), at(first + shift, second + shift)
    assert (near[0] @ near[1]).item() == pytest.approx((far[0] @ far[1]).item(), abs=1e-10)


def test_an_added_sinusoid_does_not_survive_a_shift() -> None:
    """T10: scores of word + position change when both move, although position · position does not."""
    words = torch.randn(2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    here, there = words + at(3, 5), words + at(140, 142)
    assert abs((here[0] @ here[1] - there[0] @ there[1]).item()) > 0.1


def test_beside_is_two_products_and_a_sum_is_four() -> None:
    """T07: [x; p]W = xW_x + pW_p, and a score of sums is four scores of words and places."""
    generator = torch.Generator().manual_seed(0)
    words, weight = (torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((5, 8), (24, 6)))
    places = at(*range(5))
    row = SinusoidalConcat(24, 8, 32)
    joined = row.combine(words[None], places[None])[0] @ weight
    assert (joined - (words @ weight[:8] + places @ weight[8:])).abs().max() < 1e-12
    words, square = torch.cat((words, words), dim=1), weight[:16] @ weight[:16].T
    total = (words + places) @ square @ (words + places).T
    four = [one @ square @ other.T for one in (words, places) for other in (words, places)]
    assert (total - torch.stack(four).sum(0)).abs().max() < 1e-11


@pytest.mark.parametrize("name", POSITIONS)
def test_every_row_fills_the_stream_and_finds_the_way_back(name: str) -> None:
    """The stream is as wide as promised, its read-out as wide as the embedding."""
    content = 12
    width = 20 if name.endswith("concat") else content
    row = POSITIONS[name](width, content, 8)
    position = row(2, 3)
    stream = row.combine(torch.zeros(1, 3, content), position[None])
    assert stream.shape == (1, 3, width)
    assert POSITIONS[name].readout(width, content)(stream).shape == (1, 3, content)
    assert bool(row.state_dict()) == name.startswith("learned"), "what is computed is not stored"


def test_positions_beyond_the_table_are_computed() -> None:
    """The table is a convenience: a sentence longer than it sees the same sinusoid."""
    short, long = Sinusoidal(16, 16, 4), Sinusoidal(16, 16, 64)
    assert torch.equal(short(2, 30), long(2, 30))
    assert torch.equal(short(0, 4), at(0, 1, 2, 3).float())


@pytest.mark.parametrize(("name", "width"), [("sinusoidal", 20), ("none", 20), ("sinusoidal-concat", 12)])
def test_widths_that_cannot_be_joined_are_refused(name: str, width: int) -> None:
    """A sum needs equal widths, a concatenation room beside the words."""
    with pytest.raises(ValueError, match="12"):
        POSITIONS[name](width, 12, 8)


# --- what positions are compared in ---


def test_distance_explains_the_sinusoid_and_hardly_a_random_table() -> None:
    """A table that is half rule and half noise lies between the two."""
    rule = at(*range(40), width=64)
    noise = torch.randn(40, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shares = [experiments.toeplitz_share(rows @ rows.T) for rows in (rule, rule + noise / 2, noise)]
    assert shares[0] == pytest.approx(1.0) and shares[0] > shares[1] > shares[2]
    null = tables.random_shares(40, 64)
    assert null == sorted(null) and null[0] < shares[2] < null[-1] < shares[1] and len(null) == tables.DRAWS


def test_products_by_distance_are_the_diagonals() -> None:
    products = torch.tensor([[1.0, 2.0, 5.0], [2.0, 3.0, 4.0], [5.0, 4.0, 8.0]])
    assert experiments.by_distance(products) == [(1.0, 4.0, 8.0), (2.0, 3.0, 4.0), (5.0, 5.0, 5.0)]


def test_one_pair_confuses_positions_113_turns_apart() -> None:
    assert experiments.pair_apart(3, 713) == pytest.approx((at(3, width=2) - at(713, width=2)).norm().item(), rel=1e-6)
    assert experiments.pair_apart(0, 710) < 1e-4 < experiments.pair_apart(0, 1)


def test_without_cosines_positions_are_compared_one_by_one() -> None:
    """The nearest two of all rows of sines, and no farther apart than with the cosines."""
    alone = experiments.sines_alone(16, pairs=4, count=60)
    for pairs, apart in enumerate(alone, 1):
        rows = at(*range(60))[:, : 2 * pairs : 2]
        assert apart == pytest.approx(experiments.nearest_pair(rows)[2], abs=1e-12)
    assert all(one <= both.apart for one, both in zip(alone, experiments.most_alike(16, count=60), strict=False))


def test_a_word_moves_with_all_its_tokens() -> None:
    """Specials and punctuation stay; place 0 is in front of all other words."""
    units = [-1, 0, 1, 1, 2, 3, -1]
    assert experiments.word_moved(units, 1, 2) == [0, 1, 4, 2, 3, 5, 6]
    assert experiments.word_moved(units, 1, 0) == [0, 2, 3, 1, 4, 5, 6]
    assert experiments.word_moved(units, 1, 1) == list(range(7)), "where it was"
