"""The sentence bar above every page: what is typed, which way it goes, and what the model makes of it."""

import html
import unicodedata
from dataclasses import dataclass

import streamlit as st

from core.checkpoint import Model
from core.run import Run
from core.tokens import Direction, Token, Tokenizer, detect_direction
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.escape import in_html, in_markdown
from pages.parts.words import LANGUAGES, Words

LONGEST = 200
MOST_PIECES = 96
SAMPLES = (
    "I am a cat",
    "cat I a am",
    "나는 공부하러 독서실에 간다",
    "The animal did not cross the street because it was too tired.",
    "The animal did not cross the street because it was too wide.",
    "My cat Zorblax sleeps on the sofa.",
    "나는 배를 먹는다.",
    "나는 배를 탄다.",
)
FIRST = SAMPLES[3]
DIRECTIONS: dict[str, Direction | None] = {"auto": None, "ko": "en-ko", "en": "ko-en"}
_INVISIBLE = {"Cc", "Cs", "Co", "Cn"}
_TURNS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0x200B}


@dataclass(frozen=True)
class Sentence:
    """A sentence that the model can read."""

    text: str
    direction: Direction


def sentence_bar(_: Words, model: Model) -> Run:
    """Draw the bar and return the run of its sentence, or of the last one that could be read."""
    with st.container(border=True, key="sentence_bar"):
        to = _controls(_)
        left, right = st.columns(2, gap="medium")
        with left:
            sentence = _field(_, model.tokenizer, to)
        run = models.run(sentence.text, sentence.direction, model.name)
        with left:
            _pieces(_, run)
        with right:
            _translation(_, run)
        _samples(_)
    return run


def clean(text: str) -> str:
    """`text` on one line without control characters, surrogates or marks that turn the writing direction."""
    visible = (
        " " if unicodedata.category(letter) in _INVISIBLE or ord(letter) in _TURNS else letter for letter in text
    )
    return " ".join("".join(visible).split())


def read_sentence(_: Words, typed: str, tokenizer: Tokenizer) -> tuple[str, str]:
    """The readable text in `typed` ("" if there is none) and what to tell its author ("" if all is well)."""
    text = clean(typed)
    if not text:
        return "", _("There is nothing to translate here. Type a sentence; the last one is still shown.")
    pieces = len(tokenizer.encode(text))
    if pieces > MOST_PIECES:
        many = _("This breaks into {pieces} pieces; {most} is the most shown here. The last sentence is still shown.")
        return "", many.format(pieces=pieces, most=MOST_PIECES)
    if len(typed) >= LONGEST:
        return text, _("A sentence may have {longest} characters; anything beyond is cut off.").format(longest=LONGEST)
    return text, ""


def _field(_: Words, tokenizer: Tokenizer, to: Direction | None) -> Sentence:
    typed = keep("text", FIRST, lambda text: text[:LONGEST])
    st.text_input(
        _("Sentence, English or Korean"),
        max_chars=LONGEST,
        key="text",
        persist_state="session",
        placeholder=_("Type a sentence and press Enter"),
    )
    st.html(_INSTRUCTION.format(text=_("Press Enter to apply")))
    text, complaint = read_sentence(_, typed, tokenizer)
    if complaint:
        st.warning(complaint, icon=":material/edit_note:")
    text = text or st.session_state.get("good", FIRST)
    st.session_state["good"] = text
    return Sentence(text, to or detect_direction(text))


def _controls(_: Words) -> Direction | None:
    """The choice of direction, None to detect it, and the language of the interface."""
    to = keep("to", "auto", one_of(DIRECTIONS))
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
        names = {"auto": _("Detect"), "ko": "EN → KO", "en": "KO → EN"}
        st.segmented_control(
            _("Direction"),
            list(names),
            format_func=names.get,
            key="to",
            required=True,
            persist_state="session",
            label_visibility="collapsed",
        )
        st.segmented_control(
            _("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.get,
            key="lang",
            required=True,
            persist_state="session",
            label_visibility="collapsed",
        )
    return DIRECTIONS[to]


def _samples(_: Words) -> None:
    st.session_state["sample"] = st.session_state["text"] if st.session_state["text"] in SAMPLES else None
    st.pills(
        _("Samples"),
        SAMPLES,
        format_func=in_markdown,
        key="sample",
        on_change=_take_sample,
        wrap=False,
        width="stretch",
        label_visibility="collapsed",
    )


def _take_sample() -> None:
    st.session_state["text"] = st.session_state["sample"] or st.session_state["text"]


def _translation(_: Words, run: Run) -> None:
    name = _("Translation into Korean") if run.direction == "en-ko" else _("Translation into English")
    text = marked(_, run.translation, run.predicted_tokens)
    st.html(
        f'<div style="font-size:.875rem;margin-bottom:.5rem">{in_html(name)}</div>'
        f'<div style="font-size:1.3rem;line-height:1.4;overflow-wrap:anywhere">{text or "–"}</div>'
    )


def _pieces(_: Words, run: Run) -> None:
    """The sentence as the model reads it."""
    shown = [token for token in run.source_tokens if not token.special]
    st.html(f'<div style="line-height:1.9">{" ".join(_chip(_, token) for token in shown)}</div>')
    if any(token.unseen for token in (*run.source_tokens, *run.predicted_tokens)):
        st.caption(_("Underlined: pieces that training never saw as part of a word. The model can only copy them."))


def marked(_: Words, text: str, tokens: tuple[Token, ...]) -> str:
    """HTML of `text` in which pieces never seen in training are underlined."""
    shown, done = "", 0
    for token in tokens:
        if token.unseen and token.start >= done:
            shown += in_html(text[done : token.start]) + _underlined(_, text[token.start : token.end])
            done = token.end
    return shown + in_html(text[done:])


def _underlined(_: Words, text: str) -> str:
    why = html.escape(_("Training never saw this piece as part of a word"))
    return f'<span title="{why}" style="{_UNSEEN}">{in_html(text)}</span>'


def _chip(_: Words, token: Token) -> str:
    inside = _underlined(_, token.piece) if token.unseen else in_html(token.piece)
    return f'<span style="{_CHIP}">{inside}</span>'


_INSTRUCTION = """<style>
[data-testid="InputInstructions"] > span:first-child {{ font-size: 0 }}
[data-testid="InputInstructions"] > span:first-child::after {{ content: "{text}"; font-size: .75rem }}
</style>"""
_UNSEEN = "text-decoration:underline dotted 2px;text-underline-offset:4px"
_CHIP = (
    "display:inline-block;padding:0 .4em;border-radius:.4em;font-size:.85rem;background:color-mix(in srgb, "
    "currentColor 9%, transparent)"
)
