"""The corpus: what it contains, that its gold is right, and that no held-out sentence is trained on."""

from __future__ import annotations

import hashlib
import itertools
import json
import unicodedata
from pathlib import Path

import pytest

from core.corpus import DATA_VERSION, SPLITS, held_out, pairs
from core.corpus.build import normalised
from core.corpus.inflection import join, surface_pieces
from core.corpus.lexicon import load_lexicon
from core.corpus.slice import sliced
from core.corpus.splits import LONGEST, draw, is_training

HASHES = Path(__file__).parent / "corpus_hashes.json"


@pytest.fixture(scope="module")
def sample() -> list:
    return list(itertools.islice(pairs(3), 1500))


def digest(found: list) -> str:
    lines = "\n".join(f"{pair.english.text}\t{pair.korean.text}" for pair in found)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def test_lexicon_is_as_large_as_promised() -> None:
    lexicon = load_lexicon()
    assert lexicon.size >= 1500
    assert len({verb.english for verb in lexicon.verbs}) >= 300
    assert len(lexicon.adjectives) >= 250
    assert [number.value for number in lexicon.numbers] == list(range(1, 101))


@pytest.mark.parametrize("language", ["english", "korean"])
def test_a_noun_with_two_entries_says_which_sense_each_is(language: str) -> None:
    lexicon = load_lexicon()
    for entry in lexicon.nouns:
        twins = [noun for noun in lexicon.nouns if getattr(noun, language) == getattr(entry, language)]
        assert len(twins) == 1 or len({noun.sense for noun in twins} - {""}) == len(twins), entry


@pytest.mark.parametrize("word", ["배", "눈", "말", "밤", "다리", "차", "사과", "일"])
def test_korean_ambiguities_are_there(word: str) -> None:
    assert len([noun for noun in load_lexicon().nouns if noun.korean == word]) >= 2


@pytest.mark.parametrize("word", ["bank", "bat", "letter", "spring", "date"])
def test_english_ambiguities_are_there(word: str) -> None:
    assert len([noun for noun in load_lexicon().nouns if noun.english == word]) >= 2


@pytest.mark.parametrize(
    ("morphemes", "expected"),
    [
        ((("돕", "VV-I"), ("었", "EP"), ("다", "EF")), "도왔다"),
        ((("걷", "VV-I"), ("었", "EP"), ("다", "EF")), "걸었다"),
        ((("짓", "VV-I"), ("ᆯ", "ETM")), "지을"),
        ((("모르", "VV"), ("었", "EP"), ("다", "EF")), "몰랐다"),
        ((("빨갛", "VA-I"), ("ᆫ", "ETM")), "빨간"),
        ((("살", "VV"), ("ᆫ다", "EF")), "산다"),
        ((("공부하", "VV"), ("러", "EC")), "공부하러"),
        ((("푸르", "VA-I"), ("었", "EP"), ("다", "EF")), "푸르렀다"),
        ((("먹", "VV"), ("니", "EF")), "먹니"),
        ((("고양이", "NNG"), ("가", "JKS")), "고양이가"),
        ((("공", "NNG"), ("가", "JKS")), "공이"),
        ((("책", "NNG"), ("를", "JKO")), "책을"),
        ((("길", "NNG"), ("로", "JKB")), "길로"),
        ((("Tom", "SL"), ("는", "JX")), "Tom은"),
        ((("Zorblax", "SL"), ("는", "JX")), "Zorblax는"),
    ],
)
def test_inflection_and_particles(morphemes: tuple, expected: str) -> None:
    assert join(morphemes) == expected
    surfaces = "".join(piece.surface for piece in surface_pieces(morphemes)[1])
    assert surfaces == unicodedata.normalize("NFD", expected)


def test_every_word_lies_where_it_says(sample: list) -> None:
    for pair in sample:
        for word in pair.english.words:
            assert pair.english.text[word.start : word.end] == word.text
        korean = pair.korean
        assert korean.words[0].start == 0 and korean.words[-1].end == len(korean.text)
        assert all(0 <= word.start < word.end <= len(korean.text) for word in korean.words)


def test_every_link_is_valid_and_content_words_are_linked(sample: list) -> None:
    """T36: sure links lie among the possible ones, and no noun, name or copied word stays alone."""
    for pair in sample:
        assert pair.sure <= pair.possible
        assert all(i < len(pair.english.words) and j < len(pair.korean.words) for i, j in pair.possible)
        linked = {i for i, _ in pair.sure}
        for i, word in enumerate(pair.english.words):
            if word.slot.endswith((".noun", ".name", ".copy")):
                assert i in linked, (pair.english.text, word)


def test_the_same_seed_makes_the_same_pairs() -> None:
    first, second = ([p.english.text for p in itertools.islice(pairs(11), 50)] for _ in range(2))
    assert first == second
    assert first != [p.english.text for p in itertools.islice(pairs(12), 50)]


def test_splits_are_the_ones_this_version_names() -> None:
    """Held-out sets are fixed by seed; a change of grammar or tables must change these hashes knowingly."""
    found = {split: digest(held_out(split, 20)) for split in SPLITS}
    assert {"data_version": DATA_VERSION} | found == json.loads(HASHES.read_text(encoding="utf-8"))


def test_no_held_out_sentence_is_trained_on(sample: list) -> None:
    """T36: neither language's sentence occurs in training, by the very rule that admits training pairs."""
    english = {normalised(pair.english.text) for pair in sample}
    korean = {normalised(pair.korean.text) for pair in sample}
    for split in SPLITS:
        for pair in held_out(split, 20):
            assert not is_training(pair)
            assert normalised(pair.english.text) not in english
            assert split == "compositional" or normalised(pair.korean.text) not in korean


def test_long_sentences_are_longer_than_any_in_training(sample: list) -> None:
    assert max(len(pair.english.text.split()) for pair in sample) <= LONGEST
    assert all(len(pair.english.text.split()) > LONGEST for pair in held_out("long", 20))


def test_pairs_accept_their_own_reference_and_not_another(sample: list) -> None:
    for pair, other in itertools.pairwise(sample[:150]):
        for direction in ("en-ko", "ko-en"):
            assert pair.accepts(pair.reference(direction), direction)
            assert normalised(pair.reference(direction)) in {normalised(text) for text in pair.accepted(direction)}
            if normalised(pair.source(direction)) != normalised(other.source(direction)):
                assert not pair.accepts(other.reference(direction) + " zzz", direction)


def test_articles_that_korean_leaves_open_are_accepted() -> None:
    pair = next(p for p in pairs(5) if p.english.text.startswith("The ") and p.construction == "plain")
    other = next(text for text in pair.accepted("ko-en") if text.startswith(("A ", "An ")))
    assert pair.accepts(other, "ko-en")
    assert not pair.accepts(other.replace("A", "Every", 1), "ko-en")


def test_pronouns_know_their_antecedent() -> None:
    for pair in held_out("pronoun", 30):
        for gold in pair.antecedents:
            assert pair.english.words[gold.pronoun].lemma in ("it", "he", "she")
            assert pair.english.words[gold.antecedent].slot.endswith("noun")
            assert pair.korean.text.count(gold.translation) >= 2


def test_ambiguous_words_name_their_sense_and_its_rivals() -> None:
    for pair in held_out("ambiguous", 30):
        assert pair.senses
        for sense in pair.senses:
            target = pair.korean.text if sense.language == "en" else pair.english.text.lower()
            assert any(form in target for form in sense.translations)
            assert sense.rivals and not set(sense.rivals) & set(sense.translations)


def test_invented_words_stand_on_both_sides() -> None:
    for pair in held_out("copy", 30):
        assert pair.copies
        assert all(word in pair.english.text and word in pair.korean.text for word in pair.copies)


def test_negations_and_subjects_are_marked(sample: list) -> None:
    negated = [pair for pair in sample if " not " in pair.english.text]
    assert len(negated) > 100
    for pair in negated:
        languages = {language for language, _, _ in pair.negations}
        assert languages == {"en", "ko"}, pair.english.text
    assert sum(bool(pair.subjects) for pair in sample) > len(sample) * 0.8


def test_slice_is_small_and_says_every_construction() -> None:
    assert sliced().size < 500
    kinds = {pair.construction for pair in itertools.islice(draw(sliced(), "kinds"), 900)}
    assert kinds == {pair.construction for pair in itertools.islice(draw(load_lexicon(), "kinds"), 900)}
