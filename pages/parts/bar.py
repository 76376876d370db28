"""The sentence bar above every page: what is typed, which way it goes, and what the model makes of it."""

import html
import unicodedata
from dataclasses import dataclass, replace

import streamlit as st

from core.checkpoint import Model
from core.run import Run
from core.tokens import Direction, Token, detect_direction
from core.variants import VARIANTS
from pages.parts import models, picker, zoo
from pages.parts.address import keep, one_of
from pages.parts.escape import in_html, in_markdown
from pages.parts.words import LANGUAGES, Words

LONGEST = 200
MOST_PIECES = 96
SPECIALS = 2  # what stands around the pieces of a sentence
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


def sentence_bar(_: Words) -> tuple[Model, Run]:
    """Draw the bar; the model chosen, and its run of the sentence or of the last one that it could read.

    Raises core.checkpoint.CheckpointError where no model can be read.
    """
    with st.container(border=True, key="sentence_bar"):
        to, model = _controls(_)
        picker.note(_)
        left, right = st.columns(2, gap="medium")
        with left:
            sentence = _field(_, model, to)
        run = models.run(sentence.text, sentence.direction, model.name)
        with left:
            _pieces(_, model, run)
        with right:
            _translation(_, model, run)
        _samples(_)
        picker.introduce(_, model)
    return model, run


def clean(text: str) -> str:
    """`text` on one line without control characters, surrogates or marks that turn the writing direction."""
    visible = (
        " " if unicodedata.category(letter) in _INVISIBLE or ord(letter) in _TURNS else letter for letter in text
    )
    return " ".join("".join(visible).split())


def read_sentence(_: Words, typed: str, model: Model) -> tuple[str, str]:
    """The readable text in `typed` ("" if there is none) and what to tell its author ("" if all is well)."""
    text = clean(typed)
    if not text:
        return "", _("There is nothing to translate here. Type a sentence.")
    pieces, reach = len(model.tokenizer.encode(text)), model.network.config.reach
    if pieces > MOST_PIECES:
        many = _("This breaks into {pieces} pieces; {most} is the most shown here.")
        return "", many.format(pieces=pieces, most=MOST_PIECES)
    if reach and pieces + SPECIALS > reach:
        return "", _too_long(_, model, pieces + SPECIALS)
    if len(typed) >= LONGEST:
        return text, _("A sentence may have {longest} characters; anything beyond is cut off.").format(longest=LONGEST)
    return text, ""


def _too_long(_: Words, model: Model, needed: int) -> str:
    """Which models have a position for each of so many tokens, where one has not."""
    names, group = zoo.names(_), VARIANTS[model.name].group
    others = [
        names[name]
        for name in zoo.on_the_shelf()
        if VARIANTS[name].group in (group, models.TRANSLATOR) and VARIANTS[name].config(0).reach is None
    ]
    return _(
        "“{twin}” knows {most} positions and no more; this sentence or its translation needs {needed}. "
        "These can take it: {others}."
    ).format(twin=names[model.name], most=model.network.config.reach, needed=needed, others=", ".join(others) or "–")


def _field(_: Words, model: Model, to: Direction | None) -> Sentence:
    typed = keep("text", FIRST, lambda text: text[:LONGEST])
    st.text_input(  # without max_chars, at which the browser would drop a longer text and say nothing
        _("Sentence, English or Korean"),
        key="text",
        persist_state="session",
        placeholder=_("Type a sentence and press Enter"),
    )
    st.html(_INSTRUCTION.format(text=_("Press Enter to apply")))
    text, complaint = read_sentence(_, typed, model)
    if complaint and not text:
        complaint += " " + _("The last sentence that fits is still shown.")
    if complaint:
        st.warning(complaint, icon=":material/edit_note:")
    last = st.session_state.get("good", FIRST)
    text = text or read_sentence(_, last, model)[0] or FIRST
    st.session_state["good"] = text
    return Sentence(text, to or detect_direction(text))


def _controls(_: Words) -> tuple[Direction | None, Model]:
    """The choices of direction, None to detect it, of the model, and of the language of the interface."""
    to = keep("to", "auto", one_of(DIRECTIONS))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
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
        model = picker.choose(_)
        st.segmented_control(
            _("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.get,
            key="lang",
            required=True,
            persist_state="session",
            label_visibility="collapsed",
        )
    return DIRECTIONS[to], model


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


def _translation(_: Words, model: Model, run: Run) -> None:
    name = _("Translation into Korean") if run.direction == "en-ko" else _("Translation into English")
    text = marked(_, run.translation, flagged(run.predicted_tokens, seen(model)))
    st.html(
        f'<div style="font-size:.875rem;margin-bottom:.5rem">{in_html(name)}</div>'
        f'<div style="font-size:1.3rem;line-height:1.4;overflow-wrap:anywhere">{text or "–"}</div>'
    )
    if run.predicted_tokens[-1].id != model.tokenizer.end_id:
        count = len(run.predicted_tokens)
        st.caption(_("It did not come to an end, and was cut off after {count} tokens.").format(count=count))


def _pieces(_: Words, model: Model, run: Run) -> None:
    """The sentence as the model reads it, and what its marks mean."""
    shown = [token for token in flagged(run.source_tokens, seen(model)) if not token.special]
    st.html(f'<div style="line-height:1.9">{" ".join(_chip(_, token) for token in shown)}</div>')
    tokens = (*run.source_tokens, *run.predicted_tokens)
    if any(token.unseen for token in tokens):
        st.caption(_("Underlined: pieces that training never saw as part of a word. The model can only copy them."))
    elif any(token.unseen for token in flagged(tokens, seen(model))):
        st.caption(
            _("Underlined: pieces outside the vocabulary that this model was trained on. It can only guess there.")
        )
    marks = {"↓": _("↓: the sentence begins with a small letter."), "␣": _("␣: a space.")}
    if told := [said for mark, said in marks.items() if any(token.piece == mark for token in shown)]:
        st.caption(" ".join(told))


def seen(model: Model) -> frozenset[int]:
    """The pieces in the training of a model, as its card lists them; none where it saw all that the tokenizer has."""
    return frozenset(model.card.get("vocabulary_seen", ()))


def flagged(tokens: tuple[Token, ...], known: frozenset[int]) -> tuple[Token, ...]:
    """The tokens, as unseen too where they are not among the pieces that a model saw; nothing known is no list."""
    if not known:
        return tokens
    return tuple(replace(each, unseen=not each.special and (each.unseen or each.id not in known)) for each in tokens)


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
