"""Part 1: the typed text with its offsets, the pieces and their numbers, and the row of one of them on its way in."""

import html

import streamlit as st
import torch
from torch import Tensor
from torch.nn import functional

from core.charts.figures import unique
from core.charts.pictures import inlined
from core.run import EmbeddingRun, Run
from core.tokens import Token
from pages.parts.address import keep
from pages.parts.escape import facts, in_html, in_markdown
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import number
from pages.parts.tables import table_height
from pages.parts.tokens.changing import change
from pages.parts.tokens.kinds import first_noun
from pages.parts.tokens.lens import korean_lens
from pages.parts.words import Words

TINTS = ("#8b87ff", "#f08c00", "#12a594", "#d6409f")


def from_text_to_rows(here: Visit) -> None:
    """The sentence in pieces, one piece followed to what enters the first layer, and Korean under the lens."""
    _ = here.words
    side = _side(_)
    tokens, text = _sentence(here.run, side)
    st.subheader(_("The text and its pieces"))
    _offsets(_, tokens, text)
    st.caption(
        _(
            "Above: the characters with their numbers, counted from 0. Below them: the pieces, each under the "
            "characters it was cut from, with its id. A Korean piece may end inside a syllable; then two pieces share "
            "a character. Special tokens belong to no character."
        )
    )
    left, right = st.columns([5, 6], gap="large")
    with left:
        _table(here, tokens, text)
    with right:
        at = _follow(here, side, tokens)
    change(here, side, at, tokens)
    st.divider()
    korean_lens(here)


def _side(_: Words) -> str:
    names = {"source": _("what the encoder reads"), "target": _("what the decoder reads")}
    side = choose_one(_("Sentence"), "tokens_side", names, "source", labelled=False)
    return side


def _sentence(run: Run, side: str) -> tuple[tuple[Token, ...], str]:
    """The tokens that a stack reads, and the text they were cut from."""
    return (run.source_tokens, run.source_text) if side == "source" else (run.target_tokens, run.translation)


# --- the text ---------------------------------------------------------------------------------------------------------


def _offsets(_: Words, tokens: tuple[Token, ...], text: str) -> None:
    words = [_word(text, start, end, tokens) for start, end in _words(text)]
    special = [_bar(index, token, 1, 2, 1) for index, token in enumerate(tokens) if token.special]
    alone = [f'<div style="{_GRID}grid-template-columns:auto;align-self:end">{bar}</div>' for bar in special]
    ends = alone[1:] if len(alone) > 1 else []
    st.html(f'<div style="{_FLOW}">{"".join([*alone[:1], *words, *ends])}</div>')


def _words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end."""
    found, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        found.append((start, start + len(word)))
        start += len(word)
    return found


def _word(text: str, start: int, end: int, tokens: tuple[Token, ...]) -> str:
    """One word as a grid: a column for each character, pieces as bars in as many lanes as they need."""
    cells = "".join(
        f'<div style="{_CHARACTER}">{in_html(text[at])}<div style="{_SMALL}">{at}</div></div>'
        for at in range(start, end)
    )
    bars, taken = "", [start]
    for index, token in enumerate(tokens):
        if token.special or not (start <= token.start < end):
            continue
        lane = next((lane for lane, until in enumerate(taken) if until <= token.start), len(taken))
        taken[lane : lane + 1] = [max(token.end, token.start + 1)]
        first, last = token.start - start + 1, min(max(token.end, token.start + 1), end) - start + 1
        bars += _bar(index, token, first, last, lane + 2)
    return f'<div style="{_GRID}grid-template-columns:repeat({end - start},minmax(1.15em,auto))">{cells}{bars}</div>'


def _bar(index: int, token: Token, first: int, last: int, row: int) -> str:
    tint = "#888888" if token.special else TINTS[index % len(TINTS)]
    place = f"grid-column:{first}/{last};grid-row:{row};background:color-mix(in srgb,{tint} 22%,transparent)"
    return (
        f'<div style="{_BAR}border-bottom:3px solid {tint};{place}">{in_html(token.piece)}'
        f'<div style="{_SMALL}">{token.id}</div></div>'
    )


_FLOW = "display:flex;flex-wrap:wrap;gap:.7rem 1rem;align-items:flex-start"
_GRID = "display:inline-grid;row-gap:3px;column-gap:2px;"
_CHARACTER = "grid-row:1;text-align:center;font-size:1.25rem;line-height:1.3"
_SMALL = "font-size:.68rem;opacity:.65;line-height:1.2"
_BAR = "text-align:center;border-radius:5px 5px 0 0;padding:1px 4px;font-size:.9rem;white-space:nowrap;"


# --- the table ------------------------------------------------------------------------------------------------------


def _table(here: Visit, tokens: tuple[Token, ...], text: str) -> None:
    _ = here.words
    rows = here.model.network.embedding.weight.detach()[[token.id for token in tokens]]
    lengths = rows.norm(dim=-1).tolist()
    table = {
        _("place"): list(range(len(tokens))),
        _("piece"): [token.piece for token in tokens],
        _("id = row of the table"): [token.id for token in tokens],
        _("characters"): ["–" if token.special else f"{token.start}–{token.end}" for token in tokens],
        _("text there"): ["" if token.special else text[token.start : token.end] for token in tokens],
        _("length of the row"): lengths,
    }
    st.markdown(_("**Pieces, numbers, rows**, measured on this sentence"))
    format_length = {_("length of the row"): st.column_config.NumberColumn(format="%.3f")}
    st.dataframe(table, hide_index=True, height=table_height(len(tokens), 430), column_config=format_length)
    repeated = len(tokens) - len({token.id for token in tokens})
    st.markdown(
        _(
            "The tokenizer knows **{pieces}** pieces, so the table has as many rows, each of {width} numbers. "
            "Tokens of this sentence that repeat an earlier piece: {repeated}. Same id, same row, wherever they stand."
        ).format(
            pieces=f"{here.model.network.config.vocabulary:,}",
            width=here.model.network.config.content_width,
            repeated=repeated,
        )
    )
    st.caption(
        _(
            "A learner's note calls the tokenizer a lookup table of vectors. There are two tables: the tokenizer's, "
            "from a piece to its number, was fixed before training; the embedding's, from the number to a vector, "
            "began at random and was trained."
        )
    )


# --- one token ------------------------------------------------------------------------------------------------------


def _follow(here: Visit, side: str, tokens: tuple[Token, ...]) -> int:
    """One token from its row to what enters the first layer; returns its index."""
    _ = here.words
    st.markdown(_("**One token on its way into the first layer**"))
    at = keep("tokens_at", first_noun(here.model.name, tokens) + 1, lambda text: min(max(int(text), 1), len(tokens)))
    labels = unique([in_markdown(token.piece) for token in tokens])
    st.pills(
        _("Token"),
        list(range(1, len(tokens) + 1)),
        format_func=lambda place: labels[place - 1],
        key="tokens_at",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    _strips(here, side, tokens[at - 1], at - 1)
    _one_channel(here, _input(here.run, side), tokens[at - 1], at - 1)
    return at - 1


def _input(run: Run, side: str) -> EmbeddingRun:
    return run.source if side == "source" else run.target


def _row(here: Visit, token: Token) -> Tensor:
    row: Tensor = here.model.network.embedding.weight.detach()[token.id]
    return row


def _strips(here: Visit, side: str, token: Token, at: int) -> None:
    """The vectors on the way as strips; where someone edited what enters, that too, and what it changed."""
    _, part, row = here.words, _input(here.run, side), _row(here, token)
    root = here.model.network.config.content_width**0.5
    vectors = {
        _("row {id} of the table").format(id=token.id): row,
        _("× √{width} = {root}").format(width=len(row), root=f"{root:.3g}"): part.embedding[at],
        _("position {place}").format(place=at): part.position[at],
        _enters(here): part.input[at],
    }
    if here.edited:
        after = _input(here.edited.forced, side).input[at]
        vectors |= {_("what enters, edited"): after, _("edited − before"): after - part.input[at]}
    length = in_html(_("length"))
    limit = max(float(vector.abs().max()) for vector in vectors.values())
    lines = "".join(
        f'<div style="font-size:.8rem;margin-top:.5rem">{in_html(name)}'
        f'<span style="opacity:.65;float:right">{length} {float(vector.norm()):z.2f}</span></div>'
        f'<img alt="{html.escape(name)}" style="width:100%;height:26px;image-rendering:pixelated;border-radius:4px;'
        f'outline:1px solid color-mix(in srgb,currentColor 18%,transparent)" '
        f'src="{inlined(vector[None].numpy(), limit)}">'
        for name, vector in vectors.items()
    )
    st.html(lines)
    st.caption(
        _(
            "One cell for each channel, all on one scale from −{limit} to {limit}: violet is above zero, red "
            "below, pale near zero. The row itself is hardly visible beside the position: that is what × √{width} is "
            "for."
        ).format(limit=f"{limit:z.2f}", width=len(row))
    )


def _enters(here: Visit) -> str:
    """What becomes of word and position."""
    _, config = here.words, here.model.transformer.config
    if config.width > config.content_width:
        return _("both side by side enter layer 1")
    return _("their sum enters layer 1")


def _one_channel(here: Visit, part: EmbeddingRun, token: Token, at: int) -> None:
    """One channel in numbers, computed again from the weights, and the look-up as a product with a one-hot vector."""
    _, row = here.words, _row(here, token)
    width, channels = len(row), part.input.shape[1]
    channel = keep("tokens_channel", 1, lambda text: min(max(int(text), 1), channels)) - 1
    st.slider(_("Channel"), 1, channels, key="tokens_channel", persist_state="session")
    combine = here.model.transformer.source.positions.combine
    nothing = torch.zeros_like(part.position[at])
    words, again = (
        combine((row * width**0.5)[None, None], each[None, None])[0, 0] for each in (nothing, part.position[at])
    )
    value, place = float(words[channel]) / width**0.5, float(again[channel] - words[channel])
    st.latex(rf"{value:z.5f} \cdot \sqrt{{{width}}} {place:+z.5f} = {value * width**0.5 + place:z.5f}")
    table = here.model.network.embedding.weight.detach()
    product = functional.one_hot(torch.tensor(token.id), len(table)).float() @ table
    st.html(
        facts(
            {
                _("the model's own value"): f"{float(part.input[at, channel]):z.5f}",
                _("largest difference, all channels"): number(float((again - part.input[at]).abs().max())),
                _("one-hot vector × table, minus the row"): number(float((product - row).abs().max())),
            }
        )
    )
    st.caption(
        _(
            "Looking a row up is the same as multiplying the table by a vector that is 1 at the id and 0 elsewhere "
            "(one-hot), only cheaper. Measured on this sentence; recomputed from the stored weights."
        )
    )
