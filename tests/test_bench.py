"""What is compared is the same computation, taken in turn, and the table says what was measured."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from bench.measuring import Times, in_turn
from bench.models import beginning, endless
from bench.reference import Pytorch, fused
from bench.table import Compared, Section, document, limit, timed
from core.checkpoint import Model
from core.decoding import greedy
from core.tokens import Tokenizer
from core.transformer import Transformer

SOURCE, TARGET = torch.tensor([[3, 7, 9, 11, 2]]), torch.tensor([[1, 8, 6, 5]])


@pytest.fixture
def network(make_network: Callable[..., Transformer]) -> Transformer:
    """No weight is zero or one, so that each must be in its place; large ones, so that what it writes varies."""
    ours = make_network()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(2.0).add_(torch.randn_like(parameter), alpha=0.1)
    return ours


@pytest.mark.parametrize("reference", [fused, Pytorch])
def test_a_reference_computes_the_same_logits(network: Transformer, reference: Callable[..., torch.nn.Module]) -> None:
    expected = network(SOURCE, TARGET)
    assert (reference(network)(SOURCE, TARGET) - expected).abs().max() < 1e-10
    assert (reference(network)(TARGET, SOURCE) - expected[:, :1]).abs().max() > 1e-3


def test_the_cached_reference_writes_the_same_tokens(network: Transformer) -> None:
    mask = torch.ones_like(SOURCE, dtype=torch.bool)
    with torch.inference_mode():
        memory = network.encode(SOURCE, mask)
        ours = greedy(network, memory, mask, start=1, end=-1, maximum=12)[0]
        assert fused(network).greedy(SOURCE, 1, 12) == ours and len(set(ours)) > 2


def test_an_endless_model_never_ends(tiny_model: Model) -> None:
    network, end = endless(tiny_model).network, tiny_model.tokenizer.end_id
    mask = torch.ones_like(SOURCE, dtype=torch.bool)
    written = greedy(network, network.encode(SOURCE, mask), mask, start=1, end=end)[0]
    assert len(written) == 30 and end not in written
    assert tiny_model.network.embedding.weight[end].abs().sum() > 0


def test_a_beginning_has_the_length_asked_for(tiny_tokenizer: Tokenizer) -> None:
    for pieces in range(1, 9):
        assert len(tiny_tokenizer.encode(beginning("The cat sees a dog", pieces, tiny_tokenizer))) == pieces


def test_work_is_done_in_turn() -> None:
    """Every round has each piece once, not always in the same order, and the same orders each time."""
    runs: list[list[str]] = [[], []]
    for done in runs:
        times = in_turn({name: partial(done.append, name) for name in "ABC"}, rounds=6)
        assert [len(each) for each in times.rounds.values()] == [6, 6, 6]
    rounds = ["".join(runs[0][first : first + 3]) for first in range(0, 21, 3)]
    assert {"".join(sorted(each)) for each in rounds} == {"ABC"} and len(set(rounds)) > 2
    assert runs[0] == runs[1]


def test_ratios_are_taken_within_a_round() -> None:
    """A round twice as slow for both sides changes the times and not the ratio."""
    times = Times({"plain": (1.0, 2.0, 10.0), "watched": (1.1, 2.2, 11.0)})
    assert times.median("watched") == 2.2
    assert times.ratio("watched", "plain") == pytest.approx((1.1, 1.1, 1.1))
    assert timed(times, [Compared("plain", "plain"), Compared("watched", "plain", 1.05)]) == (
        ("A: plain", "2.00", "1.00", "1.00–1.00", "A", ""),
        ("B: watched", "2.20", "1.10", "1.10–1.10", "A", "1.05 exceeded"),
    )
    assert limit(1.05, 1.05) == "1.05 kept"


def test_the_table_is_markdown() -> None:
    section = Section("Title", "About it.", ("", "ms"), (("a | b", "1.0"), ("c", "2.0")))
    text = document("Measured somewhere.", [section])
    assert text.startswith("# Speed\n\nMeasured somewhere.\n\n")
    assert text.endswith("## Title\n\nAbout it.\n\n|  | ms |\n| --- | ---: |\n| a \\| b | 1.0 |\n| c | 2.0 |\n")
    with pytest.raises(ValueError, match="2 cells"):
        Section("Title", "", ("", "ms"), (("only one",),)).markdown()
