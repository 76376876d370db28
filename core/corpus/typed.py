"""English as visitors type it: contracted, without capitals. Only sources are varied, never a reference."""

from __future__ import annotations

import re
from random import Random

CONTRACTIONS = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't", "are not": "aren't",
    "was not": "wasn't", "were not": "weren't", "will not": "won't", "cannot": "can't", "could not": "couldn't",
    "must not": "mustn't", "I am": "I'm", "you are": "you're", "he is": "he's", "she is": "she's", "it is": "it's",
    "we are": "we're", "they are": "they're", "I will": "I'll", "you will": "you'll", "he will": "he'll",
    "she will": "she'll", "we will": "we'll", "they will": "they'll", "it will": "it'll",
}  # fmt: skip
SHORT = {long.lower(): short for long, short in CONTRACTIONS.items()}
PATTERN = re.compile(r"\b(" + "|".join(CONTRACTIONS) + r")\b", re.IGNORECASE)
SHARE_CONTRACTED, SHARE_LOWER = 0.3, 0.06


def as_typed(text: str, random: Random) -> str:
    """Contract three sentences in ten, and begin one in seventeen without a capital."""
    if random.random() < SHARE_CONTRACTED:
        text = PATTERN.sub(_contracted, text)
    if random.random() < SHARE_LOWER:
        text = text[0].lower() + text[1:]
    return text


def _contracted(match: re.Match[str]) -> str:
    short = SHORT[match.group(0).lower()]
    return short[0].upper() + short[1:] if match.group(0)[0].isupper() else short
