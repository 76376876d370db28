"""Changes to what a model computes, written down as values: the same for Python, the command line, links and pages.

`where` names heads as the screen counts them, from 1: "decoder" is every head of the decoder's self-attention,
"decoder.2" those of layer 2, "decoder.2.3" one of them; the other kinds are "encoder" and "cross". `place` names a
sub-layer: "encoder.1.attention", "decoder.2.cross", "decoder.2.feedforward", and for norms also "encoder.final". Tokens
are counted from 0, as in the tensors of a run; `write_edits` counts them from 1, as the screen does.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from core.attention import Relative
from core.network import AnyConfig
from core.positions import POSITIONS
from core.recurrent import RecurrentConfig
from core.transformer import Config

ATTENTIONS = {
    "encoder": "encoder.{}.self_attention",
    "decoder": "decoder.{}.self_attention",
    "cross": "decoder.{}.cross_attention",
}
SUBLAYERS = {
    "encoder.attention": ("self_attention", "norm_before_attention", "after_attention"),
    "encoder.feedforward": ("feed_forward", "norm_before_feed_forward", "after_feed_forward"),
    "decoder.attention": ("self_attention", "norm_before_self_attention", "after_self_attention"),
    "decoder.cross": ("cross_attention", "norm_before_cross_attention", "after_cross_attention"),
    "decoder.feedforward": ("feed_forward", "norm_before_feed_forward", "after_feed_forward"),
}
"""Sub-layer, the norm before it, and the stream after it, by stack and name."""
FINAL = ("encoder.final", "decoder.final")
SIDES = ("source", "target")
STRONGEST = 1_000.0  # a larger factor could make scores infinite
MOST = 100


class EditError(ValueError):
    """An edit that cannot be made; `reason` is text, value, many, model, layer, head, token or row."""

    def __init__(self, reason: str, message: str, edit: "Edit | None" = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.edit = edit


# ---- places ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heads:
    """`where`, taken apart: a kind of attention, and layer and head counted from 0, None for all."""

    kind: str
    layer: int | None = None
    head: int | None = None

    def __str__(self) -> str:
        numbers = [number + 1 for number in (self.layer, self.head) if number is not None]
        return ".".join(map(str, (self.kind, *numbers)))

    def in_model(self, config: Config) -> Iterator[tuple[str, int]]:
        """The path of the attention and the number of each head meant."""
        layers = range(layers_of(self.kind, config)) if self.layer is None else (self.layer,)
        heads = range(config.heads) if self.head is None else (self.head,)
        return ((ATTENTIONS[self.kind].format(layer), head) for layer in layers for head in heads)


_WHERE = re.compile(r"(encoder|decoder|cross)(?:\.([1-9][0-9]{0,3}))?(?:\.([1-9][0-9]{0,3}))?", re.ASCII)
_PLACE = re.compile(r"(encoder|decoder)\.([1-9][0-9]{0,3})\.([a-z]+)", re.ASCII)


def heads(where: str) -> Heads:
    """ "cross.2.3" as Heads("cross", 1, 2); raises EditError."""
    found = _WHERE.fullmatch(where)
    if not found:
        raise EditError("text", f"{where!r} names no heads; say for example cross, cross.2 or cross.2.3")
    kind, *numbers = found.groups()
    layer, head = (None if number is None else int(number) - 1 for number in numbers)
    return Heads(kind, layer, head)


def layers_of(kind: str, config: Config) -> int:
    """How many layers have this kind of attention."""
    return config.encoder_layers if kind == "encoder" else config.decoder_layers


def sublayer(place: str) -> tuple[str, int, str]:
    """Stack, layer from 0 and name of a sub-layer; raises EditError."""
    found = _PLACE.fullmatch(place)
    if not found or f"{found[1]}.{found[3]}" not in SUBLAYERS:
        raise EditError("text", f"{place!r} is no sub-layer; say for example encoder.1.attention or decoder.2.cross")
    return found[1], int(found[2]) - 1, found[3]


# ---- the edits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """One change. Two edits with the same `spot` contradict each other, and the later one counts."""

    @property
    def spot(self) -> tuple[object, ...]:
        """What the edit changes, without what it changes it to."""
        return (type(self).__name__, *(getattr(self, each.name) for each in fields(self)))

    @property
    def whole(self) -> bool:
        """Whether a later token changes what earlier positions compute, so that no key or value can be kept."""
        return False


@dataclass(frozen=True)
class HeadEdit(Edit):
    """An edit of every head that `where` names."""

    where: str

    def __post_init__(self) -> None:
        heads(self.where)

    @property
    def kind(self) -> str:
        """encoder, decoder or cross."""
        return heads(self.where).kind

    @property
    def spot(self) -> tuple[object, ...]:
        return type(self).__name__, self.where


@dataclass(frozen=True)
class HeadOff(HeadEdit):
    """Takes away what a head finds out: its output becomes zero, its mean over positions, or that of uniform attention.

    In the decoder the mean is over the positions up to the query, as later ones are not written yet.
    """

    HOW: ClassVar = ("zero", "mean", "uniform")
    how: str = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.how, self.HOW)

    @property
    def spot(self) -> tuple[object, ...]:
        return "instead", self.where

    @property
    def whole(self) -> bool:
        return self.how == "mean" and self.kind != "encoder"


@dataclass(frozen=True)
class Pattern(HeadEdit):
    """Puts weights of one's choice in place of a head's: all keys alike, or one key for each query.

    Where that key is masked or missing, the nearest allowed one takes its place (of two, the earlier).
    """

    PATTERNS: ClassVar = ("uniform", "diagonal", "previous")
    pattern: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.pattern, self.PATTERNS)

    @property
    def spot(self) -> tuple[object, ...]:
        return "instead", self.where


@dataclass(frozen=True)
class Cell(HeadEdit):
    """Opens or closes one cell of the mask."""

    query: int
    key: int
    open: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_tokens(self.query, self.key)

    @property
    def spot(self) -> tuple[object, ...]:
        return "cell", self.where, self.query, self.key

    @property
    def whole(self) -> bool:
        return self.open and self.kind == "decoder" and self.key > self.query


@dataclass(frozen=True)
class Scale(HeadEdit):
    """Multiplies q·k by `factor`, where the model's own factor is 1/√d_k."""

    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -STRONGEST <= self.factor <= STRONGEST:
            raise EditError("value", f"a scale is between −{STRONGEST:g} and {STRONGEST:g}, not {self.factor!r}")


@dataclass(frozen=True)
class Temperature(HeadEdit):
    """Divides the scores by `value` before the softmax: rows are sharper below 1 and flatter above."""

    value: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 / STRONGEST <= self.value <= STRONGEST:
            raise EditError("value", f"a temperature is between {1 / STRONGEST:g} and {STRONGEST:g}")


@dataclass(frozen=True)
class SideEdit(Edit):
    """An edit of tokens of the source, or of the target as the decoder reads it (`<start>` is token 0)."""

    side: str

    def __post_init__(self) -> None:
        _require(self.side, SIDES)
        _require_tokens(*self.tokens)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens named."""
        return tuple(getattr(self, each.name) for each in fields(self) if each.name != "side")


@dataclass(frozen=True)
class SwapPositions(SideEdit):
    """Each of two tokens gets the other's position vector."""

    i: int
    j: int


@dataclass(frozen=True)
class FreezePosition(SideEdit):
    """A token gets the position vector of `to`, which keeps its own."""

    token: int
    to: int

    @property
    def spot(self) -> tuple[object, ...]:
        return "position", self.side, self.token


@dataclass(frozen=True)
class RemovePosition(SideEdit):
    """A token's position vector becomes zero."""

    token: int

    @property
    def spot(self) -> tuple[object, ...]:
        return "position", self.side, self.token


@dataclass(frozen=True)
class SwapEmbeddings(SideEdit):
    """Each of two tokens gets the other's word vector, and both keep their positions."""

    i: int
    j: int

    @property
    def whole(self) -> bool:
        return self.side == "target" and self.i != self.j


@dataclass(frozen=True)
class SkipResidual(Edit):
    """A sub-layer's output goes on alone, without the stream that it is added to."""

    place: str

    def __post_init__(self) -> None:
        sublayer(self.place)


@dataclass(frozen=True)
class SkipNorm(Edit):
    """What a norm reads goes on as it is."""

    place: str

    def __post_init__(self) -> None:
        if self.place not in FINAL:
            sublayer(self.place)


def _require(value: str, known: Collection[str]) -> None:
    if value not in known:
        raise EditError("text", f"{value!r} is none of {', '.join(known)}")


def _require_tokens(*tokens: int) -> None:
    if min(tokens) < 0:
        raise EditError("token", "tokens are counted from the first")


# ---- as text --------------------------------------------------------------------------------------------------------

NAMES: dict[str, type[Edit]] = {
    "off": HeadOff,
    "pattern": Pattern,
    "cell": Cell,
    "scale": Scale,
    "temperature": Temperature,
    "swap": SwapPositions,
    "freeze": FreezePosition,
    "remove": RemovePosition,
    "embeddings": SwapEmbeddings,
    "residual": SkipResidual,
    "norm": SkipNorm,
}
_OPEN = {"open": True, "closed": False}
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?(e[-+]?[0-9]{1,3})?", re.ASCII)
_COUNT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


def write_edits(edits: Sequence[Edit]) -> str:
    """One line that stays readable in a link: "off_cross.2.3_mean~cell_decoder.1_3_2_open"."""
    return "~".join(_written(edit) for edit in edits)


def read_edits(text: str) -> tuple[Edit, ...]:
    """The inverse of `write_edits`; raises EditError."""
    parts = text.split("~") if text else []
    if len(parts) > MOST:
        raise EditError("many", f"there are {len(parts)} edits; {MOST} is the most")
    return tuple(_read(part) for part in parts)


def _written(edit: Edit) -> str:
    name = next(name for name, kind in NAMES.items() if type(edit) is kind)
    return "_".join((name, *(_field(each.type, getattr(edit, each.name)) for each in fields(edit))))


def _field(kind: object, value: object) -> str:
    if kind is bool:
        return "open" if value else "closed"
    if kind is float:
        return repr(float(str(value))).removesuffix(".0")
    return str(value + 1) if isinstance(value, int) else str(value)


def _read(text: str) -> Edit:
    name, *values = text.split("_")
    kind = NAMES.get(name)
    if kind is None or len(values) != len(fields(kind)):
        raise EditError("text", f"{text[:80]!r} is no edit; there are {', '.join(NAMES)}")
    found = {each.name: _value(each.type, value) for each, value in zip(fields(kind), values, strict=True)}
    return kind(**found)


def _value(kind: object, text: str) -> object:
    if kind is int and _COUNT.fullmatch(text):
        return int(text) - 1
    if kind is float and _NUMBER.fullmatch(text):
        return float(text)
    if kind is bool and text in _OPEN:
        return _OPEN[text]
    if kind is str:
        return text
    raise EditError("text", f"{text[:80]!r} cannot be read")


# ---- which edits fit ------------------------------------------------------------------------------------------------


def fitting(
    edits: Sequence[Edit], config: AnyConfig, source: int, target: int | None = None
) -> tuple[tuple[Edit, ...], tuple[EditError, ...]]:
    """The edits that a model and a sentence of so many tokens have room for, and why the others were dropped.

    Without `target` the translation may have any length. A cell is refused when its query would have nothing left to
    look at; in the decoder only keys up to the query count, as the others are not there when it is asked.
    """
    kept: list[Edit] = []
    dropped: list[EditError] = []
    closed: dict[tuple[str, int, int], set[int]] = {}
    for edit in edits:
        try:
            if isinstance(config, RecurrentConfig):
                raise EditError("model", "a recurrent network has no part that edits change")
            _check(edit, config, source, target)
            if isinstance(edit, Cell):
                _close(closed, edit, config, source)
        except EditError as error:
            error.edit = edit
            dropped.append(error)
        else:
            kept.append(edit)
    return tuple(kept), tuple(dropped)


def check(edits: Sequence[Edit], config: AnyConfig, source: int, target: int | None = None) -> None:
    """Raise the EditError of the first edit that does not fit; the arguments are those of `fitting`."""
    _, dropped = fitting(edits, config, source, target)
    if dropped:
        raise dropped[0]


MOVES = (SwapPositions, FreezePosition, RemovePosition)
"""Edits of the vectors that a model adds to its words."""


def _check(edit: Edit, config: Config, source: int, target: int | None) -> None:
    if isinstance(edit, MOVES) and POSITIONS[config.positions].relative is not Relative:
        raise EditError("model", "this model adds no positions to its words")
    if isinstance(edit, HeadEdit):
        meant = heads(edit.where)
        _within("layer", meant.layer, layers_of(meant.kind, config))
        _within("head", meant.head, config.heads)
        if isinstance(edit, Cell):
            _within("token", edit.query, source if meant.kind == "encoder" else target)
            _within("token", edit.key, target if meant.kind == "decoder" else source)
    elif isinstance(edit, SideEdit):
        for token in edit.tokens:
            _within("token", token, source if edit.side == "source" else target)
    elif isinstance(edit, SkipResidual | SkipNorm) and edit.place not in FINAL:
        stack, layer, _ = sublayer(edit.place)
        _within("layer", layer, layers_of(stack, config))


def _within(reason: str, index: int | None, count: int | None) -> None:
    if index is not None and count is not None and index >= count:
        raise EditError(reason, f"there is no {reason} {index + 1}: there are {count}")


def _close(closed: dict[tuple[str, int, int], set[int]], edit: Cell, config: Config, source: int) -> None:
    """Note a cell in `closed` (attention, head, query: its closed keys), unless a row would have none left."""
    keys = edit.query + 1 if edit.kind == "decoder" else source
    if edit.key >= keys:
        return
    changed = {}
    for path, head in heads(edit.where).in_model(config):
        row = (path, head, edit.query)
        changed[row] = closed.get(row, set()) - {edit.key} if edit.open else closed.get(row, set()) | {edit.key}
        if len(changed[row]) == keys:
            raise EditError("row", f"token {edit.query + 1} would have nothing left to look at")
    closed.update(changed)
