"""The interface in two languages: English strings are the keys, a gettext catalogue holds the Korean."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

LANGUAGES = {"en": "English", "ko": "한국어"}
LOCALES = Path(__file__).parents[2] / "assets" / "locales"

Words = Callable[[str], str]
"""Named `_` where it is used, so that babel finds the strings."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every translated string of one language; English needs none. Raises OSError or ValueError."""
    if language == "en":
        return {}
    with (LOCALES / language / "LC_MESSAGES" / "headroom.po").open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id and entry.string}


def words(language: str) -> Words:
    """The function that turns an English string into one of `language`; raises OSError or ValueError."""
    messages = catalogue(language)
    return lambda message: messages.get(message, message)


def preferred(locale: str | None) -> str:
    """The interface language for a browser's locale such as "ko-KR"."""
    language = (locale or "").split("-")[0].lower()
    return language if language in LANGUAGES else "en"
