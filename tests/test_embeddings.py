"""The embedding space, word classes, Hangul, and what context does to a token: NumPy says the same, known cases too."""

import json
import struct
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.charts import pictures
from core.checkpoint import Model
from core.experiments import senses
from core.hangul import eojeols, has_hangul
from core.measures import context, embeddings
from core.measures.context import PronounSentence, SenseSentence
from core.measures.wordclasses import KINDS, TABLES, classified, translated
from core.run import trace
from core.tokens import Tokenizer, load_tokenizer
from core.transformer import Transformer

HANGUL = st.text(st.sampled_from([chr(code) for code in range(0xAC00, 0xD7A4)]), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer()


def rows(count: int, width: int = 12, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


# --- neighbours and kin ---------------------------------------------------------------------------------------------


def test_neighbours_are_the_largest_cosines() -> None:
    table = rows(40).numpy()
    found, cosines = embeddings.nearest(torch.tensor(table), 7, 5)
    directions = table / np.linalg.norm(table, axis=1, keepdims=True)
    likeness = directions @ directions[7]
    likeness[7] = -2
    assert found == np.argsort(-likeness)[:5].tolist()
    assert cosines == pytest.approx(np.sort(likeness)[::-1][:5], abs=1e-6)


def test_kin_that_lie_together_are_found_and_dealing_the_classes_out_anew_loses_them() -> None:
    middle = rows(4, 30, seed=1)
    labels = [f"class {index % 4}" for index in range(80)]
    table = torch.stack([middle[index % 4] for index in range(80)]) + 0.1 * rows(80, 30, seed=2)
    found = embeddings.closeness(table, [{label} for label in labels], neighbours=3)
    assert found.observed == 1 and found.words == 80 and found.classes == 4
    assert found.chance == pytest.approx(19 / 79)
    assert found.shuffled[0] <= found.shuffled[1] < 0.5 and found.untrained < 0.5
    assert found.alike > 0.8 > found.unlike
    assert {kin.name: (kin.words, kin.observed) for kin in found.kin} == {f"class {i}": (20, 1.0) for i in range(4)}
    assert all(kin.chance == pytest.approx(19 / 79) for kin in found.kin)


def test_closeness_of_random_rows_is_chance() -> None:
    labels = [{"noun"} if index % 2 else {"noun", "verb"} if index % 4 else {"verb"} for index in range(300)]
    found = embeddings.closeness(rows(300, 64), labels)
    shares = np.array([[bool(one & other) for other in labels] for one in labels])
    assert found.chance == pytest.approx(shares[~np.eye(300, dtype=bool)].mean(), abs=1e-6)
    assert abs(found.observed - found.chance) < 0.12


def test_closeness_is_counted_as_by_hand() -> None:
    table = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [0.7, 0.3]])
    found = embeddings.closeness(table, [{"a"}, {"b"}, {"c"}, {"c"}, {"b"}])
    assert found.observed == pytest.approx(3 / 5)  # 2 and 3 are each other's nearest, 4's nearest is 1
    assert found.chance == pytest.approx(4 / 20)


def test_translations_are_ranked_among_the_other_language() -> None:
    table = torch.eye(6)
    table[3] = table[0] + 0.1 * table[5]
    table[4] = table[2]
    found = embeddings.translations(table, [(0, 3), (1, 4)])
    assert found.pairs == 2 and found.among == 2 and found.nearest == 1.0
    assert found.cosine == pytest.approx(float(torch.cosine_similarity(table[0], table[3], dim=0)) / 2, abs=1e-6)


def test_rows_that_were_only_pushed_away_are_told_from_the_others(tokenizer: Tokenizer) -> None:
    table = embeddings.untrained(tokenizer.size, 64)
    drift = rows(1, 64, seed=5)[0]
    unused = [tokenizer.backend.token_to_id(f"<0x{value:02X}>") for value in range(256)]
    table[unused] = drift + 0.1 * table[unused]
    table[100] = 2 * drift
    found = embeddings.hardly_trained(table, tokenizer)
    assert found[unused].all() and found[100] and int(found.sum()) == 257


def test_components_are_those_of_numpy() -> None:
    table = rows(50).numpy() * np.arange(1, 13)
    found = embeddings.principal_components(torch.tensor(table), 3)
    centred = table - table.mean(0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    assert found.shares == pytest.approx((values**2 / (values**2).sum())[:3], rel=1e-4)
    assert np.abs(found.place(torch.tensor(table)).numpy()) == pytest.approx(
        np.abs(centred @ directions[:3].T), abs=1e-3
    )
    assert (found.directions.gather(1, found.directions.abs().argmax(1, keepdim=True)) > 0).all()


# --- word tables ----------------------------------------------------------------------------------------------------


def test_pieces_are_classified_by_the_tables(tokenizer: Tokenizer) -> None:
    words = {(word.language, word.text): word for word in classified(tokenizer)}
    assert words["en", "cat"].kinds == {"noun"} and words["en", "cat"].classes == {"animal"}
    assert words["ko", "고양이"].classes == {"animal"} and words["ko", "먹"].kinds >= {"verb"}
    assert words["en", "cats"].base is False and words["en", "cat"].base
    assert words["ko", "배"].classes >= {"food", "body"}
    assert {kind for word in words.values() for kind in word.kinds} == set(KINDS)
    assert all(tokenizer.tokens([word.piece])[0].piece == word.text for word in words.values())


def test_translations_come_from_the_same_line(tokenizer: Tokenizer) -> None:
    lines = [line.split("\t") for line in (TABLES / "nouns.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    spelled = [tuple(tokenizer.tokens([piece])[0].piece for piece in pair) for pair in translated(tokenizer)]
    assert ("cat", "고양이") in spelled and {(line[0], line[2]) for line in lines} & set(spelled)


# --- Hangul ---------------------------------------------------------------------------------------------------------


def test_morphemes_are_cut_below_the_syllable(tokenizer: Tokenizer) -> None:
    text = "나는 독서실에 간다"
    words = eojeols(text, tokenizer.encode(text), tokenizer)
    assert [word.text for word in words] == text.split()
    last = words[-1]
    assert [part.text for part in last.morphemes] == ["가", "ㄴ다"] and last.jamo == tuple("ㄱㅏㄴㄷㅏ")
    assert [(part.first, part.count) for part in last.syllables] == [(0, 3), (3, 2)]
    assert [(part.first, part.count) for part in last.morphemes] == [(0, 2), (2, 3)]


@given(HANGUL)
def test_every_grain_covers_the_word(text: str) -> None:
    known = load_tokenizer()
    (word,) = eojeols(text, known.encode(text), known)
    for grain in (word.morphemes, word.syllables):
        assert [part.first for part in grain] == np.cumsum([0, *(part.count for part in grain)])[:-1].tolist()
        assert sum(part.count for part in grain) == len(word.jamo) == len(unicodedata.normalize("NFD", text))
    assert "".join(part.text for part in word.syllables) == text


@pytest.mark.parametrize("text", ["I am a cat", "", "😀 123", "日本語"])
def test_what_is_not_korean_has_no_eojeol(text: str, tokenizer: Tokenizer) -> None:
    assert not has_hangul(text) and not eojeols(text, tokenizer.encode(text), tokenizer)


def test_pieces_that_are_no_letters_leave_out_the_morphemes(tokenizer: Tokenizer) -> None:
    (word,) = eojeols("가😀", tokenizer.encode("가😀"), tokenizer)
    assert word.morphemes == () and [part.text for part in word.syllables] == ["가", "😀"]


# --- context --------------------------------------------------------------------------------------------------------


def sense_sentences(labels: Sequence[str]) -> list[SenseSentence]:
    return [SenseSentence("ko-en", str(index), "배", label, (0, 1)) for index, label in enumerate(labels)]


def test_equal_states_share_the_vote() -> None:
    sentences = sense_sentences(["pear"] * 6 + ["ship"] * 4)
    (stage,) = context.sense_stages(torch.ones(10, 1, 1, 8), sentences)
    assert stage.accuracy == pytest.approx((6 * 5 / 9 + 4 * 3 / 9) / 10) and stage.same == pytest.approx(1)
    assert context.largest_share(sentences) == pytest.approx(0.6)


def test_states_that_lie_apart_tell_the_sense() -> None:
    sentences = sense_sentences(["pear", "ship"] * 20)
    apart = torch.eye(2).repeat(20, 1) + 0.05 * rows(40, 2).abs()
    noise = rows(40, 2, seed=3)
    telling, not_telling = context.sense_stages(torch.stack([apart, noise], dim=1)[:, None], sentences)
    assert telling.accuracy == 1 and telling.same > telling.different and telling.shuffled < 0.8
    assert not_telling.accuracy < 0.75


def pronoun_sentences(first: Sequence[bool]) -> list[PronounSentence]:
    spans = {True: ((0, 1), (2, 3)), False: ((2, 3), (0, 1))}
    return [PronounSentence(str(index), (9, 11), *spans[each]) for index, each in enumerate(first)]


def test_a_state_at_its_noun_is_nearer_and_a_direction_is_read_wherever_it_lies() -> None:
    first = [True, False] * 30
    sentences = pronoun_sentences(first)
    nouns = rows(120, 16).reshape(60, 2, 16)
    marked = torch.zeros(60, 16)
    marked[:, 0] = torch.tensor(first).float() * 8 - 4
    at_noun, elsewhere = nouns[:, 0], rows(60, 16, seed=9) + marked
    found = torch.stack([torch.stack([each, nouns[:, 0], nouns[:, 1]], dim=1) for each in (at_noun, elsewhere)], dim=2)
    near, far = context.antecedent_stages(found, sentences)
    assert near.nearer == 1 and near.difference > 0.5 and near.probe < 0.75
    assert far.probe > 0.95 and far.nearer < 0.75 and far.shuffled < 0.75


def test_the_probe_is_graded_on_what_it_did_not_see() -> None:
    table, labels = rows(40, 6).double(), torch.arange(40) % 2 == 0
    said = context.read_out(table, labels)
    standard = ((table - table.mean(0)) / (table.std(0) + 1e-6)).numpy()
    wanted = labels.double().numpy() * 2 - 1
    for one in range(40):
        rest = [index for index in range(40) if index != one]
        penalised = standard[rest].T @ standard[rest] + context.RIDGE * np.eye(6)
        weights = np.linalg.solve(penalised, standard[rest].T @ wanted[rest])
        assert bool(said[one]) == bool(standard[one] @ weights > 0)


def test_a_word_is_read_where_it_stands(tiny_model: Model) -> None:
    text = "the cat sees a dog ."
    span = (text.index("cat"), text.index("cat") + 3)
    found = context.states(
        tiny_model.network, tiny_model.tokenizer, [text, "a cat ."], ["en-ko"] * 2, [[span], [(2, 5)]]
    )
    run = trace(tiny_model, text)
    place = next(index for index, token in enumerate(run.source_tokens) if (token.start, token.end) == span)
    assert found.shape[:3] == (2, 1, len(context.stages(tiny_model.network)))
    for stage, path in enumerate(context.stages(tiny_model.network)):
        assert torch.allclose(found[0, 0, stage], run.tensor(path)[place], atol=1e-5)


def test_an_untrained_network_has_the_shape_and_forgets_nothing(tiny_model: Model) -> None:
    before = torch.get_rng_state()
    first, again = context.untrained(tiny_model), context.untrained(tiny_model)
    assert torch.equal(before, torch.get_rng_state())
    assert first.config == tiny_model.network.config
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), again.parameters(), strict=True))


def test_positions_beside_the_words_fit_into_the_stages(make_network: Callable[..., Transformer]) -> None:
    network = make_network(content_width=8, positions="sinusoidal-concat", vocabulary=7_000).float()
    tokenizer = load_tokenizer()
    found = context.states(network, tokenizer, ["the cat"], ["en-ko"], [[(4, 7)]])
    assert found.shape[-1] == 16 and not found[0, 0, 0, 8:].any()


# --- the held-out sentences -----------------------------------------------------------------------------------------


def test_the_stored_sentences_are_what_they_say() -> None:
    stored = context.read_sentences()
    assert len(stored.senses) > 300 and len(stored.pronouns) > 200
    for each in stored.senses:
        assert each.text[slice(*each.span)].lower().startswith(each.word.lower()), each
    for pronoun in stored.pronouns:
        words = [pronoun.text[slice(*span)] for span in pronoun[1:]]
        assert words[0].lower() == "it" and words[1] != words[2], pronoun
    first = [each.antecedent_first for each in stored.pronouns]
    assert sum(first) * 2 == len(first)
    senses_of = {
        each.word: {other.sense for other in stored.senses if other.word == each.word} for each in stored.senses
    }
    assert all(len(found) > 1 for found in senses_of.values()) and "배" in senses_of


def test_the_stored_sentences_were_held_out() -> None:
    from core.corpus.build import normalised
    from core.corpus.splits import DATA_VERSION, HELD_SENTENCES, _bucket

    stored = context.read_sentences()
    assert stored.data_version == DATA_VERSION, "write them again: python -m core corpus probes"
    texts = [each.text for each in (*stored.senses, *stored.pronouns)]
    assert all(_bucket(normalised(text), HELD_SENTENCES) == 0 for text in texts)


def test_pairs_become_rows_with_spans() -> None:
    from core.corpus import held_out
    from core.corpus.probes import pronoun_rows

    found = list(pronoun_rows(held_out("pronoun", 40)))
    assert found and len(found) % 2 == 0
    for text, *spots in found:
        assert text[spots[0] : spots[1]].lower() == "it"


@pytest.mark.parametrize(
    "content", [None, "{", '{"senses": []}', '{"data_version": "1", "senses": [[1]], "pronouns": []}']
)
def test_a_damaged_file_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "probes.json"
    if content:
        path.write_text(content)
    with pytest.raises((OSError, ValueError)):
        context.read_sentences(path)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "probes.json"
    senses_row, pronoun_row = (
        ["ko-en", "배는 크다.", "배", "ship", 0, 1],
        ["It is a dog and a cat.", 0, 2, 8, 11, 18, 21],
    )
    path.write_text(json.dumps({"data_version": "7", "senses": [senses_row], "pronouns": [pronoun_row]}))
    found = context.read_sentences(path)
    assert found.senses == (SenseSentence("ko-en", "배는 크다.", "배", "ship", (0, 1)),)
    assert found.pronouns[0].antecedent_first and found.data_version == "7"


# --- one word in several meanings -----------------------------------------------------------------------------------


def test_a_right_translation_says_the_noun() -> None:
    pear, ship, _stomach = senses.WORDS[0].senses
    assert senses.is_right("I eat the pears.", pear, "ko-en") and not senses.is_right("I eat a spear.", pear, "ko-en")
    assert not senses.is_right("I eat the pear.", ship, "ko-en")
    bat = next(each for each in senses.WORDS if each.word == "bat")
    assert senses.is_right("박쥐는 난다.", bat.senses[0], "en-ko")


def test_examples_hold_their_word() -> None:
    for word in senses.WORDS:
        assert len(word.senses) > 1
        for sense in word.senses:
            assert all(senses.where(text, word.word) for text in sense.texts)
    assert senses.where("A combat", "bat") is None


def test_states_of_a_word_are_those_of_the_runs(tiny_model: Model) -> None:
    runs = [
        trace(tiny_model, text) for text in ("the cat sees a dog .", "a cat sees the dog .", "the dog sees a cat .")
    ]
    found = [senses.occurrence(run, "cat", sense) for run, sense in zip(runs, "aab", strict=True)]
    assert all(found) and senses.occurrence(runs[0], "bird") is None
    pairs = senses.pairs([each for each in found if each])
    paths = context.stages(tiny_model.network)
    places = [next(i for i, token in enumerate(run.source_tokens) if token.piece == "cat") for run in runs]
    for stage, path in enumerate(paths):
        states = [run.tensor(path)[place].numpy() for run, place in zip(runs, places, strict=True)]
        unit = [state / np.linalg.norm(state) for state in states]
        assert pairs.same[stage] == pytest.approx(unit[0] @ unit[1], abs=1e-5)
        assert pairs.different[stage] == pytest.approx((unit[0] @ unit[2] + unit[1] @ unit[2]) / 2, abs=1e-5)
    assert pairs.same[0] == pytest.approx(1) and pairs.different[0] == pytest.approx(1)


# --- pictures -------------------------------------------------------------------------------------------------------


def test_a_picture_holds_the_values() -> None:
    values = rows(5, 7).numpy()
    data, at, chunks = pictures.png(values, 2.0), 8, {}
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (7, 5)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 8)
    steps = lines[:, 1:].astype(float)
    assert not lines[:, 0].any()
    assert np.abs((steps / pictures.MIDDLE - 1) * 2.0 - np.clip(values, -2, 2)).max() <= 2.0 / pictures.MIDDLE
    assert chunks[b"tRNS"][pictures.MIDDLE] == 0 and chunks[b"tRNS"][254] == 255
    assert pictures.inlined(values, 2.0).startswith("data:image/png;base64,")
