"""No string is missing in either language: the English is in the source, the Korean in the catalogue."""

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract_from_dir

from pages.parts.words import catalogue, preferred, words

ROOT = Path(__file__).parents[1]
EXTRACTED = {
    str(message): f"{file}:{line}"
    for file, line, message, _comments, _context in extract_from_dir(
        ROOT, method_map=[("app.py", "python"), ("pages/**.py", "python")], keywords={"_": None}
    )
}
HANGUL = re.compile("[가-힣]")
UNTRANSLATED = {"{role} ({sentence})"} | {"RMSNorm", "RoPE", "ALiBi", "Post-LN", "GELU", "RNN", "GRU", "LSTM", "BiGRU"}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_strings_are_found_at_all() -> None:
    assert len(EXTRACTED) > 60


@pytest.mark.parametrize("message", EXTRACTED)
def test_every_string_has_korean(message: str) -> None:
    korean = catalogue("ko").get(message, "")
    assert HANGUL.search(korean) or message in UNTRANSLATED, f"{EXTRACTED[message]}: {message!r} has no Korean"
    assert placeholders(korean) == placeholders(message)


def test_no_string_is_left_over() -> None:
    assert set(catalogue("ko")) <= set(EXTRACTED)


@pytest.mark.parametrize("message", EXTRACTED)
def test_emphasis_survives_in_korean(message: str) -> None:
    """Markdown does not end bold type between a bracket and a Hangul letter: 키(key)**입니다 stays literal."""
    korean = catalogue("ko").get(message, "")
    assert korean.count("**") == message.count("**")
    assert not re.search(r"[^\s\w]\*\*[가-힣]", re.sub(r"\*\*(.+?)\*\*", r"<\1**", korean))


def test_languages_are_recognised() -> None:
    assert [preferred(locale) for locale in ("ko-KR", "ko", "en-GB", "fr", None)] == ["ko", "ko", "en", "en", "en"]
    assert words("en")("Heads") == "Heads"
    assert words("ko")("Heads") == "헤드"
