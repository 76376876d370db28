"""Tokens: nothing is lost, morphemes are pieces, and what training never saw is marked."""

from __future__ import annotations

import itertools
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus import pairs
from core.tokens import TokenizerError, detect_direction, load_tokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
HANGUL = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), max_size=20)


def pieces(text: str) -> list[str]:
    return [token.piece for token in load_tokenizer().encode(text)]


def test_words_and_morphemes_are_pieces() -> None:
    assert pieces("고양이가") == ["고양이", "가"]
    assert pieces("나는 공부하러 독서실에 간다") == ["나", "는", "공부하", "러", "독서실", "에", "가", "ㄴ다"]
    assert pieces("The animal did not cross the street.") == [
        *("the", "animal", "did", "not", "cross", "the", "street", "."),
    ]


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, HANGUL, st.sampled_from(["", " ", "  a", "The cat", "the cat", "THE", "▁", "\ue001\ue002"])))
def test_any_text_survives_the_round_trip(text: str) -> None:
    tokenizer = load_tokenizer()
    ids = [token.id for token in tokenizer.encode(text)]
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    assert ids == tokenizer.ids(text)


@settings(max_examples=150, deadline=None)
@given(st.one_of(TEXTS, HANGUL))
def test_offsets_lie_in_the_typed_text_and_never_go_back(text: str) -> None:
    tokens = load_tokenizer().encode(text)
    assert all(0 <= token.start <= token.end <= len(text) for token in tokens)
    assert all(a.start <= b.end for a, b in itertools.pairwise(tokens))


def test_decomposed_hangul_is_the_same_text() -> None:
    composed = "고양이가 사과를 먹었다."
    decomposed = unicodedata.normalize("NFD", composed)
    assert load_tokenizer().ids(composed) == load_tokenizer().ids(decomposed)


def test_a_missing_capital_is_kept_apart_from_a_usual_one() -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.ids("the cat.")[1:] == tokenizer.ids("The cat.")
    assert tokenizer.decode(tokenizer.ids("the cat.")) == "the cat."


def test_unknown_words_are_flagged_and_known_ones_are_not() -> None:
    tokens = load_tokenizer().encode("My cat Zorblax sleeps.")
    assert {token.piece for token in tokens if token.unseen} == set("Zorblax")
    assert not any(token.unseen for token in load_tokenizer().encode("고양이가 잔다."))


def test_pieces_are_the_gold_morphemes() -> None:
    """The tokenizer guesses what the generator knows: at least 97 in 100 morphemes come out whole."""
    found = total = 0
    for pair in itertools.islice(pairs(41), 400):
        for side in (pair.english, pair.korean):
            spans = {(token.start, token.end) for token in load_tokenizer().encode(side.text)}
            words = [word for word in side.words if not word.slot.endswith("copy")]
            found += sum((word.start, word.end) in spans for word in words)
            total += len(words)
    assert found / total >= 0.97


def test_generated_tokens_have_offsets_into_their_text() -> None:
    tokenizer = load_tokenizer()
    for text in ("나는 공부하러 독서실에 간다", "Tom's cat isn't big.", "Zorblax는 잔다."):
        typed, written = tokenizer.encode(text), tokenizer.tokens(tokenizer.ids(text))
        assert [(t.piece, t.start, t.end) for t in typed] == [(t.piece, t.start, t.end) for t in written]


def test_special_tokens_frame_source_and_target() -> None:
    tokenizer = load_tokenizer()
    assert [t.piece for t in tokenizer.source("I", "en-ko")] == ["<to-korean>", "I", "<end>"]
    assert [t.piece for t in tokenizer.source("나", "ko-en")] == ["<to-english>", "나", "<end>"]
    assert [t.piece for t in tokenizer.target("I")] == ["<start>", "I", "<end>"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("고양이가 잔다", "ko-en"),
        ("The cat sleeps", "en-ko"),
        ("", "en-ko"),
        ("123 !", "en-ko"),
        ("My cat 뿌미 sleeps on the sofa", "en-ko"),
        ("내 고양이 Zorblax는 잔다", "ko-en"),
        (unicodedata.normalize("NFD", "고양이"), "ko-en"),
    ],
)
def test_direction_follows_the_script(text: str, expected: str) -> None:
    assert detect_direction(text) == expected


def test_a_damaged_file_names_its_cure(tmp_path: Path) -> None:
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{")
    with pytest.raises(TokenizerError, match="python -m core corpus tokenizer"):
        load_tokenizer(broken)
