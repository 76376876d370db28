"""Edits as a visitor reads them: which heads or tokens, and what happens to them."""

import math

from core.edits import (
    Cell,
    Edit,
    FreezePosition,
    HeadEdit,
    HeadOff,
    Pattern,
    RemovePosition,
    Scale,
    SideEdit,
    SkipNorm,
    SkipResidual,
    SwapEmbeddings,
    SwapPositions,
    Temperature,
    heads,
)
from core.run import Run
from core.transformer import Config
from pages.parts.selection import kind_names
from pages.parts.words import Words

SIDES_OF = {"encoder": ("source", "source"), "decoder": ("target", "target"), "cross": ("target", "source")}
"""Where the queries and the keys of each kind of attention come from."""


def describe(_: Words, edit: Edit, run: Run, config: Config) -> str:
    """An edit in a few words, as plain text."""
    if isinstance(edit, HeadEdit):
        return f"{heads_in_words(_, edit.where)}: {_change_of_heads(_, edit, run, config)}"
    if isinstance(edit, SideEdit):
        return _change_of_tokens(_, edit, run)
    place = place_in_words(_, edit.place) if isinstance(edit, SkipResidual | SkipNorm) else ""
    if isinstance(edit, SkipResidual):
        return _("{place}: without its residual connection").format(place=place)
    return _("{place}: without its norm").format(place=place)


def heads_in_words(_: Words, where: str) -> str:
    """ "cross.2.3" as it is called on the screen."""
    meant = heads(where)
    kind = kind_names(_)[meant.kind]
    if meant.layer is None:
        return _("{kind}, all heads").format(kind=kind)
    if meant.head is None:
        return _("{kind}, layer {layer}, all heads").format(kind=kind, layer=meant.layer + 1)
    return _("{kind}, layer {layer}, head {head}").format(kind=kind, layer=meant.layer + 1, head=meant.head + 1)


def place_in_words(_: Words, place: str) -> str:
    """ "encoder.1.feedforward" as it is called on the screen."""
    if place in ("encoder.final", "decoder.final"):
        return _("After the encoder's last layer") if place.startswith("e") else _("After the decoder's last layer")
    stack, layer, name = place.split(".")
    parts = {
        "encoder.attention": kind_names(_)["encoder"],
        "decoder.attention": kind_names(_)["decoder"],
        "decoder.cross": kind_names(_)["cross"],
        "encoder.feedforward": _("Encoder feed-forward"),
        "decoder.feedforward": _("Decoder feed-forward"),
    }
    return _("{part}, layer {layer}").format(part=parts[f"{stack}.{name}"], layer=layer)


def instead_names(_: Words) -> dict[str, str]:
    """What can take the place of what a head does: ways of HeadOff and patterns."""
    return {
        "zero": _("output zero"),
        "mean": _("mean output"),
        "uniform": _("uniform attention"),
        "diagonal": _("looks at itself"),
        "previous": _("looks at the token before"),
    }


def factor_in_words(factor: float, config: Config) -> str:
    """A multiplier of q·k, by name where it has one."""
    channels = config.width // config.heads
    named = {1 / math.sqrt(channels): f"1/√{channels}", 1 / channels: f"1/{channels}"}
    return named.get(factor, f"{factor:.3g}")


def _change_of_heads(_: Words, edit: HeadEdit, run: Run, config: Config) -> str:
    match edit:
        case HeadOff(how=how) | Pattern(pattern=how):
            return instead_names(_)[how]
        case Scale(factor=factor):
            return _("scale {factor}").format(factor=factor_in_words(factor, config))
        case Temperature(value=value):
            return _("temperature {value}").format(value=f"{value:g}")
        case Cell(query=query, key=key):
            text = _("{query} may look at {key}") if edit.open else _("{query} may not look at {key}")
            asking, asked = SIDES_OF[edit.kind]
            return text.format(query=_token(run, asking, query), key=_token(run, asked, key))
    raise TypeError(edit)


def _change_of_tokens(_: Words, edit: SideEdit, run: Run) -> str:
    one, other = (_token(run, edit.side, token) for token in (*edit.tokens, edit.tokens[0])[:2])
    match edit:
        case SwapPositions():
            text = _("{one} and {other} swap their positions")
        case FreezePosition():
            text = _("{one} gets the position of {other}")
        case RemovePosition():
            text = _("{one} has no position")
        case SwapEmbeddings():
            text = _("{one} and {other} swap their word vectors")
        case _:
            raise TypeError(edit)
    side = _("source sentence") if edit.side == "source" else _("translation")
    return f"{text.format(one=one, other=other)} ({side})"


def _token(run: Run, side: str, index: int) -> str:
    """A token with its number, which alone stays if the sentence has no such token."""
    tokens = run.source_tokens if side == "source" else run.target_tokens
    return f"“{tokens[index].piece}” {index + 1}" if index < len(tokens) else f"{index + 1}"
