"""The Korean side of the sentence under the lens: eojeol, morphemes, syllables, jamo."""

import streamlit as st

from core.hangul import Eojeol, Part, eojeols
from core.tokens import Token
from pages.parts.escape import facts, in_html
from pages.parts.frame import Visit
from pages.parts.tokens.kinds import kinds_of, word_list
from pages.parts.words import Words

TINTS = ("#8b87ff", "#f08c00", "#12a594", "#d6409f")


def korean_lens(here: Visit) -> None:
    """Whichever of the two sentences is Korean, each eojeol down to its letters."""
    _, run = here.words, here.run
    st.subheader(_("Korean under the lens"))
    korean = run.direction == "ko-en"
    text, tokens = (run.source_text, run.source_tokens) if korean else (run.translation, run.predicted_tokens)
    found = eojeols(text, tokens, here.model.tokenizer)
    if not found:
        st.markdown(_("Neither sentence has a Korean word to look into."))
        return
    st.markdown(
        _(
            "Korean joins a stem with particles and endings into one **eojeol**, and often inside one syllable: "
            "간다 is 가 + ㄴ다. Cut at the spaces, every form would be a word of its own; cut at the syllables, ㄴ "
            "would be lost in 간. So this tokenizer cuts **morphemes**, counted in **jamo**."
        )
    )
    st.html(f'<div style="{_FLOW}">{_legend(_)}{"".join(_tower(here, each, tokens) for each in found)}</div>')
    st.caption(
        _(
            "{sentence}, from the eojeol (top) to its jamo (bottom); a colour is a morpheme. What a morpheme is comes "
            "from the word tables; pieces that only follow others are particles and endings."
        ).format(sentence=_("Your sentence") if korean else _("The model's translation"))
    )
    st.html(facts(_counts(_, found, tokens)))


def _counts(_: Words, found: tuple[Eojeol, ...], tokens: tuple[Token, ...]) -> dict[str, str]:
    return {
        _("eojeol"): str(len(found)),
        _("morphemes"): str(sum(len(each.morphemes) for each in found)),
        _("syllables"): str(sum(len(each.syllables) for each in found)),
        _("jamo"): str(sum(len(each.jamo) for each in found)),
        _("tokens the model reads"): str(len(tokens)),
    }


def _legend(_: Words) -> str:
    names = (_("eojeol"), _("morphemes"), _("kind"), _("syllables"), _("jamo"))
    cells = "".join(f'<div style="{_CELL}text-align:right;opacity:.65;font-size:.78rem">{name}</div>' for name in names)
    return f'<div style="{_TOWER}grid-template-columns:auto">{cells}</div>'


def _tower(here: Visit, word: Eojeol, tokens: tuple[Token, ...]) -> str:
    """One eojeol as a grid with a column for each jamo."""
    columns = f"grid-template-columns:repeat({len(word.jamo)},minmax(1.2em,auto))"
    top = f'<div style="{_CELL}{_across(1, len(word.jamo), 1)}font-weight:600">{in_html(word.text)}</div>'
    colours = ["#888888"] * len(word.jamo)
    middle = ""
    for number, part in enumerate(word.morphemes):
        colour = TINTS[number % len(TINTS)]
        colours[part.first : part.first + part.count] = [colour] * part.count
        middle += _cell(part, 2, colour, part.text) + _cell(part, 3, "", _kind(here, part, number, tokens))
    syllables = "".join(_cell(part, 4, "#888888", part.text) for part in word.syllables)
    letters = "".join(
        f'<div style="{_CELL}{_across(at + 1, 1, 5)}{_tint(colour)}">{in_html(letter)}</div>'
        for at, (letter, colour) in enumerate(zip(word.jamo, colours, strict=True))
    )
    return f'<div style="{_TOWER}{columns}">{top}{middle}{syllables}{letters}</div>'


def _kind(here: Visit, part: Part, number: int, tokens: tuple[Token, ...]) -> str:
    _ = here.words
    piece = tokens[part.token].id
    if not any(map(str.isalpha, part.text)):
        return ""
    if number:
        return _("particle, ending")
    return kinds_of(_, word_list(here.model.name).get(piece)) or "–"


def _cell(part: Part, row: int, colour: str, text: str) -> str:
    small = "" if colour else "font-size:.68rem;opacity:.7;"
    return f'<div style="{_CELL}{small}{_across(part.first + 1, part.count, row)}{_tint(colour)}">{in_html(text)}</div>'


def _across(first: int, count: int, row: int) -> str:
    return f"grid-column:{first}/{first + count};grid-row:{row};"


def _tint(colour: str) -> str:
    return f"background:color-mix(in srgb,{colour} 24%,transparent);border-radius:4px;" if colour else ""


_FLOW = "display:flex;flex-wrap:wrap;gap:1rem 1.3rem"
_TOWER = "display:inline-grid;gap:3px;grid-template-rows:1.9em 1.7em 1.3em 1.7em 1.7em;align-items:stretch;"
_CELL = "display:flex;align-items:center;justify-content:center;padding:0 3px;white-space:nowrap;"
