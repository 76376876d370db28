"""Writing token by token: the cache changes nothing, and a beam finds what it promises."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.attention import Cache
from core.checkpoint import Model
from core.decoding import (
    Branch,
    Hypothesis,
    Sampling,
    beam_search,
    by_lot,
    drawn,
    follow,
    greedy,
    longest_translation,
    translate,
    write,
)
from core.editing import Reading, editing
from core.edits import HeadOff
from core.hooks import listen
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


def test_edits_change_the_translation() -> None:
    """They are made at every step of decoding."""
    network = opinionated(1)
    memory = read(network)
    plain = greedy(network, memory, EVERYONE, start=1, end=NEVER, maximum=8)
    with editing([HeadOff("cross")], Reading(network)):
        deaf = greedy(network, memory, EVERYONE, start=1, end=NEVER, maximum=8)
        other = read(network, torch.tensor([[5, 5, 5, 5, 5]]))
        assert greedy(network, other, EVERYONE, start=1, end=NEVER, maximum=8) == deaf
    assert deaf != plain


# --- the tree of a beam ---------------------------------------------------------------------------------------------


@settings(max_examples=6)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 19))
def test_the_tree_tells_what_the_search_did(seed: int, beams: int, end: int) -> None:
    """Every branch continues one that was kept, adds its token's log-probability, and is listed by likelihood."""
    network = opinionated(seed)
    memory, steps = read(network), list[list[Branch]]()
    found = beam_search(network, memory, EVERYONE, beams=beams, start=1, end=end, maximum=6, watch=steps.append)
    plain = beam_search(network, memory, EVERYONE, beams=beams, start=1, end=end, maximum=6)
    assert found == plain, "who watches changes nothing"
    kept = [Hypothesis((), 0.0)]
    for branches in steps:
        totals = [each.hypothesis.log_probability for each in branches]
        assert totals == sorted(totals, reverse=True) and len(branches) <= 2 * beams
        for branch in branches:
            assert branch.hypothesis.ids[:-1] == kept[branch.row].ids
            assert branch.hypothesis.log_probability <= kept[branch.row].log_probability
            assert (branch.fate == "ended") <= (branch.hypothesis.ids[-1] == end)
        last = branches[-1].hypothesis
        assert last.log_probability == pytest.approx(scored(network, memory, last.ids).log_probability, abs=1e-9)
        kept = [each.hypothesis for each in branches if each.fate == "kept"]
        assert len(kept) == beams
        lost = [each.hypothesis for each in branches if each.fate == "pruned" and each.hypothesis.ids[-1] != end]
        assert all(each.log_probability <= min(one.log_probability for one in kept) for each in lost)
    ended = [each.hypothesis for branches in steps for each in branches if each.fate == "ended"]
    pool = ended or kept
    assert found == sorted(pool, key=Hypothesis.score, reverse=True)[:beams]


# --- by lot ---------------------------------------------------------------------------------------------------------


def by_the_book(logits: np.ndarray, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Temperature, then top-k, then the nucleus, token by token."""
    powers = np.exp((logits - logits.max()) / temperature)
    shares = powers / powers.sum()
    ranked = sorted(range(len(shares)), key=lambda token: (-shares[token], token))
    kept = ranked[:top_k] if top_k else ranked
    shares = np.array([share if token in kept else 0.0 for token, share in enumerate(shares)])
    shares /= shares.sum()
    if 0 < top_p < 1:
        nucleus, mass = [], 0.0
        for token in ranked:
            if mass >= top_p:
                break
            nucleus.append(token)
            mass += shares[token]
        shares = np.array([share if token in nucleus else 0.0 for token, share in enumerate(shares)])
    return shares / shares.sum()


@given(
    st.integers(0, 1_000),
    st.floats(0.2, 3.0),
    st.sampled_from([0, 1, 2, 5, 30]),
    st.sampled_from([0.0, 0.1, 0.6, 0.95]),
)
def test_sampling_is_by_the_book(seed: int, temperature: float, top_k: int, top_p: float) -> None:
    logits = torch.randn(12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
    found = Sampling(temperature, top_k, top_p).probabilities(logits)
    assert found.sum().item() == pytest.approx(1.0)
    np.testing.assert_allclose(found.numpy(), by_the_book(logits.numpy(), temperature, top_k, top_p), atol=1e-12)


def test_a_number_falls_into_the_share_of_one_token() -> None:
    """Likely tokens first: 0.5 | 0.3 | 0.2; the share of a token begins with it and ends before the next."""
    shares = torch.tensor([[0.2, 0.5, 0.0, 0.3]], dtype=torch.float64)
    numbers = [0.0, 0.49, 0.5, 0.79, 0.81, 0.999_999]
    found = [drawn(shares, torch.tensor([number], dtype=torch.float64)).item() for number in numbers]
    assert found == [1, 1, 3, 3, 0, 0]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, -9.0], dtype=torch.float64)
    sampling = Sampling(temperature=1.5, top_k=3)
    choose = by_lot(sampling, seed=3)
    found = choose(logits.expand(20_000, -1)).bincount(minlength=4) / 20_000
    assert (found - sampling.probabilities(logits)).abs().max() < 0.02 and found[3] == 0


@settings(max_examples=4)
@given(st.integers(0, 10_000))
def test_the_same_seed_writes_the_same(seed: int) -> None:
    network = opinionated(seed)
    memory, heard = read(network), list[float]()
    ends = {"start": 1, "end": NEVER, "maximum": 8}
    one = write(network, memory, EVERYONE, by_lot(Sampling(2.0), seed, heard.append), **ends)
    assert one == write(network, memory, EVERYONE, by_lot(Sampling(2.0), seed), **ends)
    assert len(heard) == 8 and all(0 <= number < 1 for number in heard)
    others = [write(network, memory, EVERYONE, by_lot(Sampling(2.0), seed + more), **ends) for more in (1, 2, 3)]
    assert any(one != other for other in others)


@settings(max_examples=4)
@given(st.integers(0, 10_000))
def test_the_coldest_and_the_narrowest_draw_is_greedy(seed: int) -> None:
    network = opinionated(seed)
    memory, ends = read(network), {"start": 1, "end": NEVER, "maximum": 8}
    first = greedy(network, memory, EVERYONE, **ends)
    for sampling in (Sampling(0.001), Sampling(3.0, top_k=1), Sampling(1.0, top_p=1e-9)):
        assert write(network, memory, EVERYONE, by_lot(sampling, seed), **ends) == first


def test_what_is_given_is_followed_and_then_continued() -> None:
    network = opinionated(2)
    memory, ends = read(network), {"start": 1, "end": NEVER, "maximum": 8}
    given = [7, 3, 7]
    written = write(network, memory, EVERYONE, follow(given), **ends)[0]
    assert written[:3] == given and len(written) == 8
    logits = network.decode(torch.tensor([[1, *written]]), memory, EVERYONE)[0]
    assert written[3:] == logits.argmax(-1)[3:8].tolist()
