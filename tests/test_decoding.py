"""Writing token by token: the cache changes nothing, and a beam finds what it promises."""

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.attention import Cache
from core.checkpoint import Model
from core.decoding import Hypothesis, beam_search, greedy, longest_translation, translate
from core.hooks import listen, switch_off
from core.transformer import Config, Transformer

Make = Callable[..., Transformer]
SOURCE = torch.tensor([[3, 7, 9, 11, 2]])
EVERYONE = SOURCE > 0
NEVER = -1  # an end that is no token, so that decoding runs to its maximum


def opinionated(seed: int, vocabulary: int = 20) -> Transformer:
    """A network with large random weights: its likeliest tokens differ from place to place."""
    torch.manual_seed(seed)
    network = Transformer(Config(vocabulary, 16, 16, 4, 32, 2, 2)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)
    return network


def read(network: Transformer, source: Tensor = SOURCE) -> Tensor:
    with torch.no_grad():
        return network.encode(source, source > 0)


def test_the_cache_changes_nothing(make_network: Make) -> None:
    """T14: step by step with a cache, in pieces with a cache, in prefixes without one, and all at once."""
    network = make_network()
    target, memory = torch.tensor([[1, 8, 6, 5, 30, 12]]), read(network)
    at_once = network.decode(target, memory, EVERYONE)
    for cuts in ([1, 1, 1, 1, 1, 1], [2, 1, 3], [6]):
        cache = Cache(2)
        pieces = [network.decode(piece, memory, EVERYONE, cache) for piece in target.split(cuts, dim=1)]
        assert cache.length == 6
        assert (torch.cat(pieces, dim=1) - at_once).abs().max() < 1e-10
    for length in range(1, 7):
        prefix = network.decode(target[:, :length], memory, EVERYONE)
        assert (prefix[:, -1] - at_once[:, length - 1]).abs().max() < 1e-10


def test_a_step_with_a_cache_computes_its_own_token_only(make_network: Make) -> None:
    """Each step projects one new key, and the source's keys only once."""
    network, cache = make_network(), Cache(2)
    memory, lengths = read(network), {"self": [], "cross": []}

    def note(path: str, value: Tensor) -> None:
        lengths["self" if "self" in path else "cross"].append(value.shape[2])

    with listen(note, paths={"decoder.0.self_attention.key", "decoder.0.cross_attention.key"}):
        for token in (1, 8, 6):
            network.decode(torch.tensor([[token]]), memory, EVERYONE, cache)
    assert lengths == {"self": [1, 1, 1], "cross": [5]}


def test_greedy_takes_the_likeliest_token_every_time() -> None:
    """T14: the same as choosing from a full pass over what is written so far."""
    network = opinionated(3)
    memory, written = read(network), [1]
    for _ in range(10):
        logits = network.decode(torch.tensor([written]), memory, EVERYONE)
        written.append(int(logits[0, -1].argmax()))
    assert len(set(written)) > 2
    assert greedy(network, memory, EVERYONE, start=1, end=NEVER, maximum=10) == [written[1:]]
    end = written[4]
    stop = written[1:].index(end) + 1
    assert greedy(network, memory, EVERYONE, start=1, end=end, maximum=10) == [written[1 : stop + 1]]


def test_a_batch_is_decoded_as_its_sentences_are_alone() -> None:
    """Rows end at different times and are padded differently; neither may matter."""
    network, end = opinionated(30), 11
    sentences = [[3, 7, 9, 11, 2], [4, 8, 2], [3, 15, 12, 2]]
    batch = torch.tensor([sentence + [0] * (5 - len(sentence)) for sentence in sentences])
    together = greedy(network, read(network, batch), batch > 0, start=1, end=end, maximum=9)
    alone = [torch.tensor([sentence]) for sentence in sentences]
    assert together == [greedy(network, read(network, s), s > 0, start=1, end=end, maximum=9)[0] for s in alone]
    assert [len(row) for row in together] == [7, 9, 2]


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_beam_of_one_is_greedy(seed: int, place: int) -> None:
    """T37: whether the translation ends or is cut off."""
    network = opinionated(seed)
    memory = read(network)
    for end in (NEVER, greedy(network, memory, EVERYONE, start=1, end=NEVER, maximum=8)[0][place]):
        best = beam_search(network, memory, EVERYONE, beams=1, start=1, end=end, maximum=8)
        assert [list(each.ids) for each in best] == greedy(network, memory, EVERYONE, start=1, end=end, maximum=8)


def scored(network: Transformer, memory: Tensor, ids: tuple[int, ...]) -> Hypothesis:
    """A whole translation, scored in one teacher-forced pass."""
    logits = network.decode(torch.tensor([[1, *ids[:-1]]]), memory, EVERYONE)[0].log_softmax(-1)
    return Hypothesis(ids, logits[torch.arange(len(ids)), torch.tensor(ids)].sum().item())


@pytest.mark.parametrize("seed", range(2))
def test_a_beam_wide_enough_finds_the_best_translation_there_is(seed: int) -> None:
    """T37: against all 156 sentences of up to three other tokens; so it is never worse than greedy."""
    network = opinionated(seed, vocabulary=6)
    source, end = torch.tensor([[3, 4, 5, 3, 2]]), 2
    memory = read(network, source)
    others = [token for token in range(6) if token != end]
    bodies = itertools.chain.from_iterable(itertools.product(others, repeat=length) for length in range(4))
    everything = [scored(network, memory, (*body, end)) for body in bodies]
    assert len(everything) == 156
    best = max(everything, key=Hypothesis.score)
    found = beam_search(network, memory, EVERYONE, beams=800, start=1, end=end, maximum=4)
    assert found[0].ids == best.ids
    assert found[0].log_probability == pytest.approx(best.log_probability, abs=1e-9)
    assert len(found) == 156 and [each.score() for each in found] == sorted(map(Hypothesis.score, found), reverse=True)
    first = tuple(greedy(network, memory, EVERYONE, start=1, end=end, maximum=4)[0])
    assert found[0].score() >= scored(network, memory, first).score() or first[-1] != end


@pytest.mark.parametrize("seed", range(3))
def test_every_hypothesis_is_scored_as_the_model_scores_it(seed: int) -> None:
    """Reordering rows must carry the right keys and values along: probabilities match a full pass."""
    network = opinionated(seed)
    memory = read(network)
    found = beam_search(network, memory, EVERYONE, beams=4, start=1, end=NEVER, maximum=6)
    assert len({each.ids for each in found}) == 4
    for each in found:
        assert each.log_probability == pytest.approx(scored(network, memory, each.ids).log_probability, abs=1e-9)


def test_longer_translations_are_not_punished_for_their_length() -> None:
    """Wu et al. 2016, equation 14: with α = 0 the score is the probability, and α grows with length."""
    short, long = Hypothesis((5, 2), -1.0), Hypothesis((5, 6, 7, 8, 9, 10, 2), -1.3)
    assert short.score(0.0) == -1.0 and short.score(0.0) > long.score(0.0)
    assert short.score(0.6) < long.score(0.6)
    assert long.score(1.0) == pytest.approx(-1.3 / 2)


def test_decoding_gives_up_somewhere(tiny_model: Model) -> None:
    """A model that never ends its sentence is stopped, in proportion to the source."""
    assert longest_translation(5) == 30 and longest_translation(500) == 120
    network = tiny_model.network
    memory = read(network)
    assert len(greedy(network, memory, EVERYONE, start=1, end=NEVER)[0]) == 30


def test_translate_speaks_text(tiny_model: Model) -> None:
    """Text in, text out; both directions; a beam of one is the default."""
    text = translate(tiny_model, "the cat sees a dog.")
    assert isinstance(text, str) and text == translate(tiny_model, "the cat sees a dog.", direction="en-ko", beams=1)
    assert translate(tiny_model, "고양이가 개를 본다.") == translate(
        tiny_model, "고양이가 개를 본다.", direction="ko-en"
    )
    assert isinstance(translate(tiny_model, "", beams=3), str)


def test_who_listens_changes_the_translation() -> None:
    """Listeners are heard at every step of decoding."""
    network = opinionated(1)
    memory = read(network)
    plain = greedy(network, memory, EVERYONE, start=1, end=NEVER, maximum=8)
    with listen(*(switch_off(f"decoder.{layer}.cross_attention", head) for layer in (0, 1) for head in range(4))):
        deaf = greedy(network, memory, EVERYONE, start=1, end=NEVER, maximum=8)
        other = read(network, torch.tensor([[5, 5, 5, 5, 5]]))
        assert greedy(network, other, EVERYONE, start=1, end=NEVER, maximum=8) == deaf
    assert deaf != plain
