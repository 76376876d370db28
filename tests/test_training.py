"""The real training on tiny data: what a batch holds, what a step does, and that a stopped run loses nothing."""

import itertools
import json
import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from core.checkpoint import Model
from core.corpus import Pair, held_out, pairs
from core.corpus.typed import as_typed
from core.tokens import Tokenizer, load_tokenizer
from core.training import data, loop
from core.training.data import Examples, Specials, encode, epoch_order, generated
from core.training.evaluate import (
    beginnings,
    copied,
    exact,
    grade,
    right_antecedent,
    right_sense,
    translate_all,
)
from core.training.lengths import translated
from core.training.loop import Outcome, train
from core.training.objective import LinearCrossEntropy
from core.training.worker import Settings, learning_rate
from core.transformer import Config, Transformer
from core.variants import Recipe

SPECIALS = Specials(pad=0, start=1, end=2, to_korean=3, to_english=4)
CONFIG = Config(40, 16, 16, 2, 32, 1, 1, dropout=0.1)
RECIPE = Recipe(steps=12, batch_tokens=250, learning_rate=5e-3, warmup=4, pairs=60)


def invented(lengths: list[tuple[int, int, int]]) -> Examples:
    """Pairs of random tokens, for everything that does not depend on what they say."""
    drawn = np.random.default_rng(0).integers(5, 40, sum(map(sum, lengths)))
    return Examples(drawn.astype(np.int16), np.array(lengths, dtype=np.int16).reshape(-1, 3), SPECIALS)


@pytest.fixture
def examples() -> Examples:
    return invented([(3 + i % 5, 2 + i % 7, 3 + i % 4) for i in range(60)])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CONFIG, RECIPE, tmp_path / "run", steps=12, validate_every=6)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer()


@pytest.fixture(scope="module")
def real_pairs() -> list[Pair]:
    return list(itertools.islice(pairs(5, slice=True), 6))


# --- data -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_what_the_tokenizer_says(real_pairs: list[Pair], tokenizer: Tokenizer) -> None:
    """Both directions of each pair; expected is the decoder's input one step on; English is read as it is typed."""
    encoded, typed = encode(real_pairs, tokenizer, seed=9), Random(9)
    batch = encoded.gather(np.arange(len(encoded)), encoded.starts)
    for number, pair in enumerate(real_pairs):
        read = as_typed(pair.english.text, typed), pair.korean.text
        asked = pair.korean.text, pair.english.text
        for side, direction in enumerate(("en-ko", "ko-en")):
            row = 2 * number + side
            source = [token.id for token in tokenizer.source(read[side], direction)]
            target = [token.id for token in tokenizer.target(asked[side])]
            assert stripped(batch.source[row]) == source
            assert stripped(batch.decoder_input[row]) == target[:-1]
            assert stripped(batch.expected[row]) == target[1:]
            assert encoded.source_lengths[row] == len(source)
            assert encoded.target_lengths[row] == len(target) - 1


def stripped(row: torch.Tensor) -> list[int]:
    ids: list[int] = row.tolist()
    while ids[-1] == SPECIALS.pad:
        ids.pop()
    return ids


@given(st.lists(st.tuples(*[st.integers(1, 20)] * 3), min_size=1, max_size=40), st.integers(20, 200))
def test_an_epoch_is_every_example_once(lengths: list[tuple[int, int, int]], tokens: int) -> None:
    """No batch is larger than its budget unless it is a single example; each epoch has an order of its own."""
    examples = invented(lengths)
    batches = epoch_order(examples, tokens, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(examples)))
    for rows in batches:
        batch = examples.gather(rows, examples.starts, multiple=1)
        assert batch.source.numel() + batch.expected.numel() <= tokens or len(rows) == 1
    again = epoch_order(examples, tokens, seed=1, epoch=0)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


def test_epochs_differ(examples: Examples) -> None:
    first, second = (np.concatenate(epoch_order(examples, 120, 0, epoch)) for epoch in (0, 1))
    assert not np.array_equal(first, second)


def test_generated_pairs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same request is read from the file; another seed is another file."""
    first = generated(5, seed=0, small=True, cache=tmp_path, progress=False)
    monkeypatch.setattr(data, "generate_chunk", None)
    again = generated(5, seed=0, small=True, cache=tmp_path, progress=False)
    assert np.array_equal(first.ids, again.ids) and len(again) == 10
    assert data.fingerprint(5, 0, True) != data.fingerprint(5, 1, True)
    assert not list(tmp_path.glob(".*"))


# --- steps ----------------------------------------------------------------------------------------------------------


def test_the_objective_is_cross_entropy() -> None:
    """Loss and gradients equal PyTorch's up to the rounding of its bfloat16 products, over several chunks of rows."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(600, 16, generator=generator).bfloat16().float().requires_grad_()
    table = torch.randn(50, 16, generator=generator).bfloat16().float().requires_grad_()
    expected = torch.randint(0, 50, (600,), generator=generator)
    functional.cross_entropy(states @ table.T, expected, reduction="sum").backward()
    wanted = functional.cross_entropy(states @ table.T, expected, reduction="sum").item()
    by_pytorch = [states.grad.clone(), table.grad.clone()]
    states.grad = table.grad = None
    found, hits = LinearCrossEntropy.apply(states, table, expected)
    found.backward()
    assert found.item() == pytest.approx(wanted, rel=2e-3)
    assert hits.item() == int(((states @ table.T).argmax(-1) == expected).sum())
    for ours, theirs in zip((states.grad, table.grad), by_pytorch, strict=True):
        assert (ours - theirs).norm() < 0.01 * theirs.norm()


def test_training_lowers_the_loss(examples: Examples, settings: Settings) -> None:
    """The real program learns tiny data by heart, and logs what it does."""
    settings = replace(settings, steps=75, recipe=replace(RECIPE, batch_tokens=2_000))
    asked: list[Transformer] = []

    def validate(network: Transformer) -> dict[str, float]:
        asked.append(network)
        assert not network.training
        return {"validation_loss": 1.0}

    outcome = train(replace(settings, validate_every=25), examples, validate=validate, quiet=True)
    records = [json.loads(line) for line in (settings.folder / "log.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if "loss" in record]
    assert outcome.finished and outcome.place.step == 75 and not outcome.network.training
    assert len(losses) == 75 // loop.LOG_EVERY and losses[-1] < losses[0] - 0.3
    assert len(asked) == 3 and sum("validation_loss" in record for record in records) == 3
    per_epoch = int(examples.source_lengths.sum() + examples.target_lengths.sum())
    assert records[-2]["tokens"] == outcome.place.tokens
    whole, rest = divmod(outcome.place.tokens, per_epoch)
    assert whole == outcome.place.epoch and (rest == 0) == (outcome.place.batch == 0)


def test_the_rate_warms_up_and_ends_at_zero(settings: Settings) -> None:
    """Linear up over `warmup` steps, then under the line that reaches 0 with the steps or the minutes."""
    rates = [learning_rate(settings, step, 0.0) for step in range(13)]
    assert rates[0] == pytest.approx(5e-3 / 4) and max(rates) < 5e-3 and rates[12] == 0.0
    assert rates[4:] == sorted(rates[4:], reverse=True)
    timed = replace(settings, minutes=1.0)
    assert learning_rate(timed, 5, 45.0) == pytest.approx(5e-3 / 4)
    assert learning_rate(timed, 5, 61.0) == 0.0


def test_minutes_bound_a_run(examples: Examples, settings: Settings) -> None:
    """The run is over, not broken off, when its time is."""
    outcome = train(replace(settings, steps=10**6, minutes=0.005), examples, quiet=True)
    assert outcome.finished and 0 < outcome.place.step < 10**5
    assert 0.3 <= outcome.place.seconds < 5.0


# --- stopping and going on ------------------------------------------------------------------------------------------


def interrupted(settings: Settings, examples: Examples, at: int, by: signal.Signals) -> Outcome:
    """Run until the log reaches a step, then send this very process the signal a user would."""

    def send(record: dict[str, float]) -> None:
        if record["step"] == at:
            os.kill(os.getpid(), by)

    return train(settings, examples, watch=send, quiet=True)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_resumed_run_is_bit_for_bit_the_same(
    examples: Examples, settings: Settings, monkeypatch: pytest.MonkeyPatch, by: signal.Signals
) -> None:
    """Weights and log of 12 steps equal those of 5 steps, a signal, and the rest; dropout included."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    straight = train(settings, examples, quiet=True)
    stopped = replace(settings, folder=settings.folder.with_name("stopped"))
    assert not interrupted(stopped, examples, 5, by).finished
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    resumed = train(stopped, examples, resume=True, quiet=True)
    assert resumed.finished and straight.place.epoch >= 1
    for one, other in zip(straight.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)
    first, second = (
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines.splitlines()]
        for lines in ((each.folder / "log.jsonl").read_text() for each in (settings, stopped))
    )
    assert first == second


def test_a_stored_state_belongs_to_its_settings(examples: Examples, settings: Settings) -> None:
    """Other settings are refused, a missing state is named, and a finished run is left as it is."""
    with pytest.raises(ValueError, match="nothing to resume"):
        train(settings, examples, resume=True, quiet=True)
    done = train(settings, examples, quiet=True)
    with pytest.raises(ValueError, match="other settings"):
        train(replace(settings, seed=1), examples, resume=True, quiet=True)
    again = train(settings, examples, resume=True, quiet=True)
    assert again.place == done.place
    for one, other in zip(done.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_two_processes_take_the_step_of_one(
    examples: Examples, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout, halves of a batch add up to its loss and its gradient."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(loop, "PATIENCE", timedelta(minutes=1))
    plain = replace(settings, config=replace(CONFIG, dropout=0.0), steps=2)
    records: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for processes, seen in records.items():
        folder = settings.folder.with_name(str(processes))
        train(replace(plain, processes=processes, folder=folder), examples, watch=seen.append, quiet=True)
    for one, two in zip(records[1], records[2], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
        assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=2e-2)
        assert two["tokens"] == one["tokens"]


# --- evaluation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["en-ko", "ko-en"])
def test_references_are_right_and_other_sentences_wrong(tokenizer: Tokenizer, direction: str) -> None:
    """Each judge accepts the reference; a sentence with the rival's noun, or without the copy, it does not."""
    for pair in held_out("ambiguous", 6):
        judged = right_sense(pair, pair.reference(direction), direction, tokenizer)
        language = direction[:2]
        assert judged is (True if any(sense.language == language for sense in pair.senses) else None)
        for sense in pair.senses:
            if sense.language == language:
                rival = pair.reference(direction).lower().replace(sense.translations[0], sense.rivals[0])
                assert right_sense(pair, rival, direction, tokenizer) is False
    for pair in held_out("pronoun", 4):
        reference = pair.reference(direction)
        assert exact(pair, reference, direction, tokenizer) and right_antecedent(pair, reference, direction, tokenizer)
        gold = pair.antecedents[0]
        other = (
            reference.replace(gold.translation, "여우") if direction == "en-ko" else reference.replace(" it ", " they ")
        )
        assert right_antecedent(pair, other, direction, tokenizer) is (other == reference)
    for pair in held_out("copy", 3):
        assert copied(pair, pair.reference(direction), direction, tokenizer)
        assert not copied(pair, "The cat sleeps.", direction, tokenizer)


def test_figures_are_shares_of_what_can_be_judged(tokenizer: Tokenizer, real_pairs: list[Pair]) -> None:
    """One right of six; a judge that finds nothing to judge says None, not 0."""
    outputs = [real_pairs[0].english.text] + ["The end."] * 5
    assert grade(real_pairs, outputs, "random", "ko-en", tokenizer) == {"exact_match": pytest.approx(1 / 6)}
    assert grade(real_pairs[:1], outputs[:1], "copy", "ko-en", tokenizer)["copied"] is None


def test_beginnings_are_whole_pieces(tokenizer: Tokenizer) -> None:
    """말은 begins with 말; 말리다 is another word."""
    assert beginnings("말은 크다.", tokenizer)["말"] == 1
    assert beginnings("The horses eat.", tokenizer)["horses"] == 1
    assert beginnings("The horses eat.", tokenizer)["horse"] == 0


def test_translations_come_back_in_order(tiny_model: Model) -> None:
    """Sorting by length and padding change neither the order nor a translation."""
    network, tokenizer = tiny_model.network, tiny_model.tokenizer
    texts = ["the cat sees a dog.", "cat", "a dog sees the cat.", "the dog"]
    sources = [tokenizer.source(text, "en-ko") for text in texts]
    together = translated(network, tokenizer, sources)
    alone = [translated(network, tokenizer, [source])[0] for source in sources]
    assert len(set(alone)) > 1
    assert all(whole.startswith(single) for whole, single in zip(together, alone, strict=True))
    assert translate_all(network, tokenizer, texts, "en-ko") == together
