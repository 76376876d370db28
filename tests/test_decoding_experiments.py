"""What the decoding page computes: writing watched, lanes, gradients by hand (T14 to T16), and what a cache saves."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core.attention import attention
from core.decoding import Sampling, by_lot, follow, greedy
from core.edits import HeadOff, SwapEmbeddings
from core.experiments import backward as backwards
from core.experiments import caching
from core.experiments import decoding as experiments
from core.experiments.decoding import HURT, Sentence
from core.hooks import listen
from core.measures.cost import decoding, encoding, multiply_adds
from core.transformer import Config, Transformer

Make = Callable[..., Transformer]
NEVER = -1
SENTENCE = Sentence((3, 7, 9, 11, 2), start=1, end=NEVER, maximum=6)
GOLD = (8, 6, 5, 30, 12, 2)
KINDS = ("encoder", "decoder", "cross")


@pytest.fixture
def network() -> Transformer:
    """Large random weights: attention is sharp and tokens differ."""
    torch.manual_seed(5)
    network = Transformer(Config(50, 16, 16, 4, 32, 2, 2)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.7)
    return network


def passed(network: Transformer, read: tuple[int, ...]) -> dict[str, Tensor]:
    """Everything a full pass computes, without the batch axis."""
    heard: dict[str, Tensor] = {}
    with torch.inference_mode(), listen(heard.__setitem__):
        network(SENTENCE.ids, torch.tensor([read]))
    return {path: value[0] for path, value in heard.items()}


# --- written step by step -------------------------------------------------------------------------------------------


def test_what_was_watched_is_what_one_pass_computes(network: Transformer) -> None:
    """T14: logits and attention of every step, though each was computed from a cache."""
    written = experiments.watched(network, SENTENCE, follow(()))
    mask = SENTENCE.ids > 0
    with torch.no_grad():
        plain = greedy(network, network.encode(SENTENCE.ids, mask), mask, start=1, end=NEVER, maximum=6)
    assert [list(written.ids)] == plain
    whole = passed(network, (1, *written.ids[:-1]))
    assert (written.logits - whole["logits"]).abs().max() < 1e-10
    for layer in range(2):
        cross = whole[f"decoder.{layer}.cross_attention.weights"].transpose(0, 1)
        own = whole[f"decoder.{layer}.self_attention.weights"].transpose(0, 1)
        assert (written.cross[:, layer] - cross).abs().max() < 1e-10
        assert (written.own[:, layer] - own).abs().max() < 1e-10
    assert written.log_probabilities.exp().max() <= 1


@pytest.mark.parametrize("edit", [HeadOff("cross"), SwapEmbeddings("target", 1, 2)])
def test_edits_are_heard_while_writing(network: Transformer, edit: HeadOff | SwapEmbeddings) -> None:
    """Also where an edit needs everything to be read again at every step."""
    given = follow((8, 6, 5, 30))
    plain = experiments.watched(network, SENTENCE, follow((8, 6, 5, 30)))
    edited = experiments.watched(network, SENTENCE, given, [edit])
    assert edited.own.shape == plain.own.shape and edited.logits.shape == plain.logits.shape
    assert (edited.logits - plain.logits).abs().max() > 1e-3
    lane = experiments.forced(network, SENTENCE, (1, *edited.ids[:-1]), [edit])
    assert (lane.log_probabilities[-1] - edited.logits[-1].log_softmax(-1)).abs().max() < 1e-9


def test_candidates_are_the_likeliest_and_the_one_written(network: Transformer) -> None:
    sampling = Sampling(2.5, top_k=30)
    written = experiments.watched(network, SENTENCE, by_lot(sampling, 4))
    logits = written.logits.numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    hot = np.exp(logits / 2.5)
    for step, found in enumerate(experiments.candidates(written, 3, sampling)):
        ranked = np.argsort(-probabilities[step])
        assert found.ids[:3] == tuple(ranked[:3]) and written.ids[step] in found.ids
        np.testing.assert_allclose(found.probabilities, probabilities[step, list(found.ids)])
        assert found.other == pytest.approx(1 - sum(found.probabilities))
        kept = hot[step, ranked[:30]] / hot[step, ranked[:30]].sum()
        rank = list(ranked).index(written.ids[step])
        assert found.low == pytest.approx(kept[:rank].sum()) and found.high == pytest.approx(kept[: rank + 1].sum())


def test_the_number_drawn_lies_in_the_share_of_its_token(network: Transformer) -> None:
    numbers: list[float] = []
    sampling = Sampling(1.8, top_p=0.9)
    written = experiments.watched(network, SENTENCE, by_lot(sampling, 11, numbers.append))
    for number, found in zip(numbers, experiments.candidates(written, 5, sampling), strict=True):
        assert found.low - 1e-12 <= number < found.high + 1e-12


def test_many_draws_are_scored_by_the_model(network: Transformer) -> None:
    for ids, score in experiments.drawn_often(network, SENTENCE, Sampling(1.5), seed=2, count=4):
        lane = experiments.forced(network, SENTENCE, (1, *ids[:-1]))
        assert score == pytest.approx(sum(lane.of(ids)), abs=1e-9)


def test_parents_in_the_tree_are_what_was_continued(network: Transformer) -> None:
    beam = experiments.searched(network, SENTENCE, 3)
    assert beam.parents[0] == [-1] * len(beam.steps[0])
    for before, branches, parents in zip(beam.steps, beam.steps[1:], beam.parents[1:], strict=False):
        for branch, parent in zip(branches, parents, strict=True):
            assert before[parent].hypothesis.ids == branch.hypothesis.ids[:-1]
            assert before[parent].fate == "kept"


# --- a given translation --------------------------------------------------------------------------------------------


def test_one_pass_is_as_good_as_a_pass_for_each_place(network: Transformer) -> None:
    assert experiments.prefixes_apart(network, SENTENCE, (1, *GOLD[:-1])) < 1e-10


def test_free_running_is_teacher_forcing_on_its_own_text(network: Transformer) -> None:
    free = experiments.free(network, SENTENCE)
    forced = experiments.forced(network, SENTENCE, free.read[:-1])
    assert (free.log_probabilities - forced.log_probabilities).abs().max() < 1e-10
    assert free.expected == free.read[1:]


def test_a_wrong_token_changes_only_what_comes_after_it(network: Transformer) -> None:
    before = experiments.forced(network, SENTENCE, (1, *GOLD[:-1]))
    wrong = 2
    told = (*GOLD[:wrong], 41, *GOLD[wrong + 1 :])
    after = experiments.forced(network, SENTENCE, (1, *told[:-1]))
    early, late = np.array(before.of(GOLD)), np.array(after.of(GOLD))
    assert np.abs(late - early)[: wrong + 1].max() == 0 < np.abs(late - early)[wrong + 1 :].min()
    found = experiments.aftermath(before, after, GOLD, wrong)
    np.testing.assert_allclose(found.falls, (late - early)[wrong + 1 :])
    assert found.felt == tuple(place for place in range(wrong + 1, 6) if late[place] - early[place] < -HURT)
    alone = experiments.free(network, SENTENCE, told[: wrong + 1])
    assert alone.read[: wrong + 2] == (1, *told[: wrong + 1])


def test_a_wrong_token_at_the_last_place_hurts_nobody(network: Transformer) -> None:
    lane = experiments.forced(network, SENTENCE, (1, *GOLD[:-1]))
    found = experiments.aftermath(lane, lane, GOLD, len(GOLD) - 1)
    assert found.falls == found.missed == found.felt == () and found.recovered


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [((1, 2), (1, 2), None), ((1, 2), (1, 3), 1), ((1,), (1, 3), 1), ((4, 1, 3), (4,), 1), ((), (), None)],
)
def test_the_first_difference(one: tuple[int, ...], other: tuple[int, ...], place: int | None) -> None:
    assert experiments.first_difference(one, other) == place


# --- backwards ------------------------------------------------------------------------------------------------------


def numpy_head(query: np.ndarray, key: np.ndarray, value: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """One head from nothing but NumPy."""
    scores = np.where(allowed, query @ key.T / np.sqrt(query.shape[1]), -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True) @ value


@settings(max_examples=6)
@given(st.integers(0, 1_000))
def test_the_formulas_are_the_slopes_of_the_head(seed: int) -> None:
    """T15: by hand against finite differences of an independent head; rows of dS sum to 0."""
    random = np.random.default_rng(seed)
    query, key, value, arriving = (random.normal(size=(4, 3)) for _ in range(4))
    allowed = np.tri(4, dtype=bool)
    weights = numpy_head(query, key, np.eye(4), allowed)
    hand = backwards.by_hand(*(torch.tensor(each)[None] for each in (query, key, value, weights, arriving)))
    assert hand.scores.sum(-1).abs().max() < 1e-12
    assert (hand.scores[0].numpy()[~allowed] == 0).all()
    parts = {"query": query, "key": key, "value": value}
    for name, part in parts.items():
        slopes = np.zeros_like(part)
        for place in np.ndindex(part.shape):
            sides = []
            for shift in (1e-5, -1e-5):
                moved = part.copy()
                moved[place] += shift
                sides.append((numpy_head(**(parts | {name: moved}), allowed=allowed) * arriving).sum())
            slopes[place] = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(getattr(hand, name)[0].numpy(), slopes, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [None, 3])
def test_by_hand_is_what_autograd_says(network: Transformer, kind: str, place: int | None) -> None:
    """T15 in the model, for every head of a layer and for what enters it."""
    for layer in range(2):
        found = backwards.backward(network, SENTENCE, GOLD, kind, layer, place)
        assert max(found.apart.values()) < 1e-10 and found.rows < 1e-12
        assert found.loss == pytest.approx(loss_of(network, place))
        assert found.hand.scores.masked_select(~found.allowed).abs().sum() == 0


def loss_of(network: Transformer, place: int | None) -> float:
    logits = passed(network, (1, *GOLD[:-1]))["logits"].numpy()
    scores = np.log(np.exp(logits).sum(-1)) - logits[range(6), GOLD]
    return float(scores.mean() if place is None else scores[place])


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_moves_the_loss_as_said(network: Transformer, kind: str) -> None:
    found = backwards.backward(network, SENTENCE, GOLD, kind, 0)
    for head, query, key in ((0, 2, 1), (3, 4, 0), (1, 1, 1)):
        slope = backwards.finite_difference(network, SENTENCE, GOLD, kind, (0, head, query, key))
        assert found.hand.scores[head, query, key].item() == pytest.approx(slope, abs=1e-8)
    alone = backwards.finite_difference(network, SENTENCE, GOLD, kind, (0, 0, 2, 1), wanted=4)
    hand = backwards.backward(network, SENTENCE, GOLD, kind, 0, 4).hand.scores[0, 2, 1].item()
    assert hand == pytest.approx(alone, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ways_back_are_all_there_is(network: Transformer, kind: str) -> None:
    """Residual, value, query and key add up to the gradient of what enters; shares of lengths sum to 1."""
    found = backwards.backward(network, SENTENCE, GOLD, kind, 1)
    parts = found.looking.parts()
    assert set(parts) == ({"residual", "query"} if kind == "cross" else {"residual", "value", "query", "key"})
    assert set(found.looked_at.parts()) == ({"value", "key"} if kind == "cross" else set(parts))
    sums = np.array(list(found.looking.shares().values())).sum(0)
    np.testing.assert_allclose(sums, 1.0)


def test_source_tokens_are_reached_through_keys_and_values(network: Transformer) -> None:
    """Over all decoder layers, keys and values bring back everything that the encoder's output gets."""
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__, paths={"encoder.final_norm.output"}):
        logits = network(SENTENCE.ids, torch.tensor([[1, *GOLD[:-1]]]))[0]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(GOLD))
    whole = torch.autograd.grad(loss, heard["encoder.final_norm.output"])[0][0]
    layers = [backwards.backward(network, SENTENCE, GOLD, "cross", layer).looked_at.total for layer in range(2)]
    assert (sum(layers) - whole).abs().max() < 1e-12


def test_what_a_softmax_lets_through(network: Transformer) -> None:
    """T16: ∂o/∂s and ∂o/∂q by their formulas, against autograd on the attention function."""
    found = backwards.backward(network, SENTENCE, GOLD, "cross", 0)
    for head, row in ((0, 1), (2, 4)):
        query, key, value = found.query[head, row], found.key[head], found.value[head]
        everyone = torch.ones(1, len(key), dtype=torch.bool)

        def output(vector: Tensor, key: Tensor = key, value: Tensor = value, mask: Tensor = everyone) -> Tensor:
            return attention(vector[None], key, value, mask)[0]

        weights = found.weights[head, row]
        jacobian = torch.autograd.functional.jacobian(output, query)
        assert (backwards.query_jacobian(weights, key, value) - jacobian).abs().max() < 1e-10
        by_score = torch.autograd.functional.jacobian(lambda s, v=value: s.softmax(-1) @ v, found.scores[head, row])
        assert (backwards.score_jacobian(weights, value).mT - by_score).abs().max() < 1e-10


def test_a_saturated_softmax_lets_nothing_through(network: Transformer) -> None:
    found = backwards.backward(network, SENTENCE, GOLD, "cross", 0)
    rows = backwards.sharpened(found, 1, (1, 4_000))
    assert rows[0].scores == pytest.approx(found.hand.scores[1].norm().item())
    assert rows[0].value == pytest.approx(found.hand.value[1].norm().item())
    assert rows[1].scores < 1e-9 < rows[1].value and rows[1].largest == pytest.approx(1.0)


def test_nothing_comes_back_from_the_future(network: Transformer) -> None:
    """T11 in the whole model: an exactly empty triangle; below it, the slopes that finite differences find."""
    found = backwards.influence(network, SENTENCE, GOLD)
    count = len(GOLD)
    later = torch.ones(count, count, dtype=torch.bool).triu(1)
    assert found.target.shape == (count, count) and found.source.shape == (count, 5)
    assert found.target[later].abs().max() == 0 and found.target[~later].min() > 0 and found.source.min() > 0
    place, token, direction = 4, 2, torch.randn(16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def log_probability(shift: float) -> float:
        def moved(_: str, value: Tensor) -> Tensor:
            value = value.clone()
            value[0, token] += shift * direction
            return value

        with torch.no_grad(), listen(moved, paths={"target.input"}):
            logits = network(SENTENCE.ids, torch.tensor([[1, *GOLD[:-1]]]))[0, place]
        return float(logits.log_softmax(-1)[GOLD[place]])

    slope = (log_probability(1e-5) - log_probability(-1e-5)) / 2e-5
    assert abs(slope) <= float(found.target[place, token] * direction.norm())
    assert backwards.influence(network, SENTENCE, GOLD, most=3).target.shape == (3, 3)


# --- the cache ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_products_are_counted_as_pytorch_counts_them(keep: bool, network: Transformer) -> None:
    """Every step, and encoder and decoder at once, against PyTorch's own counter of multiplications."""
    read = (1, *GOLD[:-1])
    counted = caching.counted(network.config, 5, len(read), keep=keep)
    mask = SENTENCE.ids > 0
    with torch.inference_mode():
        memory, cache = network.encode(SENTENCE.ids, mask), caching.Cache(2, keep=keep)
        for count, expected in enumerate(counted, 1):
            with FlopCounterMode(display=False) as counter:
                caching.step(network, torch.tensor([read[:count]]), memory, mask, cache)
            assert counter.get_total_flops() == 2 * expected.total
        with FlopCounterMode(display=False) as counter:
            network(SENTENCE.ids, torch.tensor([read]))
    assert counter.get_total_flops() == 2 * multiply_adds(network.config, 5, 6).total
    assert multiply_adds(network.config, 5, 6).total == (
        encoding(network.config, 5).total + decoding(network.config, 5, 6, scored=6).total
    )


def test_a_cached_step_computes_one_row_and_the_source_once(network: Transformer) -> None:
    read = (1, *GOLD[:-1])
    kept = caching.shapes(network, SENTENCE, read, keep=True)
    anew = caching.shapes(network, SENTENCE, read, keep=False)
    for count, (once, again) in enumerate(zip(kept, anew, strict=True), 1):
        assert once["own_query"] == once["own_key"] == (1, 4) and again["own_key"] == (count, 4)
        assert once["own_scores"] == (1, count) and again["own_scores"] == (count, count)
        assert ("cross_key" in once) == (count == 1) and again["cross_key"] == (5, 4)
        assert once["cross_scores"] == (1, 5) and again["feed_forward"] == (count, 16)
        assert once["logits"] == again["logits"] == (1, 50)


def test_a_race_writes_the_same_both_ways(network: Transformer) -> None:
    race = caching.race(network, SENTENCE, (1, *GOLD[:-1]), rounds=2)
    assert len(race.kept) == len(race.anew) == 6 and min(*race.kept, *race.anew) > 0 and race.apart < 1e-10


def test_a_cache_holds_what_it_is_said_to_hold(network: Transformer) -> None:
    cache, mask = caching.Cache(2), SENTENCE.ids > 0
    with torch.inference_mode():
        memory = network.encode(SENTENCE.ids, mask)
        network.decode(torch.tensor([[1, *GOLD[:-1]]]), memory, mask, cache)
    pairs = [kept.pair for layer in cache.layers for kept in (layer.self_attention, layer.cross_attention)]
    assert sum(each.numel() for pair in pairs for each in pair) == caching.kept_numbers(network.config, 5, 6)
