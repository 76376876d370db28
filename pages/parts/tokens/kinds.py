"""What the word tables say about a piece, in the visitor's language."""

from collections.abc import Sequence

import streamlit as st

from core.measures.wordclasses import Word, classified, translated
from core.tokens import Token
from pages.parts import models
from pages.parts.words import Words


@st.cache_resource(max_entries=2, show_spinner=False)
def word_list(name: str) -> dict[int, Word]:
    """The words of the tables that are one piece, by piece."""
    return {word.piece: word for word in classified(models.model(name).tokenizer)}


@st.cache_resource(max_entries=2, show_spinner=False)
def word_pairs(name: str) -> tuple[tuple[int, int], ...]:
    """English and Korean pieces that translate each other."""
    return translated(models.model(name).tokenizer)


def first_noun(name: str, tokens: Sequence[Token]) -> int:
    """The index of the first noun, which says more than what opens a sentence; else of the first word there is."""
    known, start = word_list(name), min(1, len(tokens) - 1)
    nouns = [at for at, token in enumerate(tokens) if token.id in known and "noun" in known[token.id].kinds]
    words = [at for at, token in enumerate(tokens) if token.id in known]
    return [*nouns, *words, start][0]


def kind_names(_: Words) -> dict[str, str]:
    """The kinds of words, as they are called on the screen."""
    return {
        "noun": _("noun"),
        "verb": _("verb"),
        "adjective": _("adjective"),
        "adverb": _("adverb"),
        "name": _("name"),
        "number": _("number"),
        "pronoun": _("pronoun"),
    }


def kinds_of(_: Words, word: Word | None) -> str:
    """What a word is, all its kinds; empty for a piece that is no word of the tables."""
    names = kind_names(_)
    return " · ".join(names[kind] for kind in names if word and kind in word.kinds)


def class_names(_: Words) -> dict[str, str]:
    """The largest classes of nouns by name; a class that is not here is shown by what the tables call it."""
    return {
        "food": _("food"),
        "job": _("jobs"),
        "animal": _("animals"),
        "person": _("people"),
        "family": _("family"),
        "object": _("objects"),
        "place": _("places"),
        "building": _("buildings"),
        "tool": _("tools"),
        "device": _("devices"),
        "event": _("events"),
        "country": _("countries"),
        "clothes": _("clothes"),
        "furniture": _("furniture"),
        "sport": _("sports"),
        "language": _("languages"),
        "subject": _("school subjects"),
        "room": _("rooms"),
        "body": _("parts of the body"),
        "plant": _("plants"),
        "container": _("containers"),
        "accessory": _("accessories"),
        "text": _("things to read"),
        "school": _("school things"),
        "drink": _("drinks"),
        "feeling": _("feelings"),
        "abstract": _("abstract things"),
        "housepart": _("parts of a house"),
        "material": _("materials"),
        "color": _("colours"),
        "dayspan": _("parts of the day"),
        "footwear": _("footwear"),
        "weather": _("weather"),
        "vehicle": _("vehicles"),
        "transit": _("public transport"),
        "nature": _("nature"),
        "illness": _("illnesses"),
        "insect": _("small animals"),
        "instrument": _("instruments"),
    }
