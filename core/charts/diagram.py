"""The encoder–decoder as one picture, with the shapes, the attention and the tensors of one sentence in its boxes.

The picture is computed here as plain boxes, arrows and labels; whoever draws it adds only colours. It is
made twice, for wide and for narrow screens, so that no text has to shrink.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from core.charts.heatmap import pack
from core.charts.positions import limit_of, signed_bytes

WIDE, NARROW = 780.0, 358.0
RADIUS = 7.5
ROOMY = 240.0  # from this width on, a box has its title and its shape side by side
COLUMNS = 64  # of a tensor's channels, those that a small picture has room for
LOWEST, HIGHEST, PER_ROW = 14.0, 34.0, 2.4  # the height of a small picture, by its rows

Strips = Mapping[str, Sequence[Float[np.ndarray, "_ _"]]]
"""Tensors by the box that shows them: a row for each token, side by side where there is one for each layer."""


@dataclass(frozen=True)
class Sizes:
    """What the picture shows of a model and a sentence in numbers."""

    source: int
    target: int
    width: int
    content_width: int
    inner: int
    vocabulary: int
    heads: int
    encoder_layers: int
    decoder_layers: int


@dataclass(frozen=True)
class Box:
    """A step of the computation; `tone` is its kind, `maps` the attention it shows, `labels` its tokens.

    `strips` are its tensors by number, and `strip` is how high these small pictures are.
    """

    id: str
    x: float
    y: float
    w: float
    h: float
    title: str
    note: str = ""
    tone: str = "plain"
    maps: int = -1
    labels: tuple[str, ...] = ()
    strips: tuple[int, ...] = ()
    strip: float = 0.0


@dataclass
class Picture:
    """Boxes, arrows (lists of points), rings where a residual is added to the stream of a box, frames around layers."""

    width: float
    height: float
    boxes: list[Box] = field(default_factory=list)
    arrows: list[list[tuple[float, float]]] = field(default_factory=list)
    residuals: list[list[tuple[float, float]]] = field(default_factory=list)
    rings: list[tuple[float, float, str]] = field(default_factory=list)
    frames: list[tuple[float, float, float, float, str]] = field(default_factory=list)


@dataclass
class Column:
    """A stack of boxes that grows upwards: `y` is its top, `start` where the arrow to the next box begins.

    `stream` is the box that holds what its rings add to.
    """

    picture: Picture
    stream: str
    x: float
    w: float
    y: float = 0.0
    start: float | None = None
    gap: float = 15.0
    strips: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    strip: float = 0.0

    @property
    def middle(self) -> float:
        """The line that the arrows follow."""
        return self.x + self.w / 2

    def add(self, box_id: str, height: float, title: str, note: str = "", **rest: Any) -> Box:
        """Put a box on top of the stack, with an arrow to it from whatever is below."""
        self._arrive()
        if box_id in self.strips:
            rest |= {"strips": self.strips[box_id], "strip": self.strip}
            height = (32 if self.w > ROOMY else 42) + self.strip + 9
        box = Box(box_id, self.x, self.y - height, self.w, height, title, note, **rest)
        self.picture.boxes.append(box)
        self.start = box.y
        self.y = box.y - self.gap
        return box

    def sublayer(self, norm: tuple[str, str], box_id: str, height: float, title: str, note: str, **rest: Any) -> Box:
        """A norm, a box, and a ring where what went in is added to what comes out."""
        around, side = self.y + self.gap / 2, self.x - 9
        self.add(norm[0], 22.0, norm[1], tone="norm")
        box = self.add(box_id, height, title, note, **rest)
        self._arrive()
        ring = self.y - RADIUS
        self.picture.rings.append((self.middle, ring, self.stream))
        self.picture.residuals.append(
            [(self.middle, around), (side, around), (side, ring), (self.middle - RADIUS, ring)]
        )
        self.start = ring - RADIUS
        self.y = self.start - self.gap - 4
        return box

    def _arrive(self) -> None:
        if self.start is not None:
            self.picture.arrows.append([(self.middle, self.start), (self.middle, self.y)])


def diagram(
    sizes: Sizes,
    *,
    tokens: Mapping[str, Sequence[str]],
    maps: Sequence[UInt8[np.ndarray, "_ _ _ _"]],
    strips: Strips,
    chosen: Sequence[str] = (),
    words: Mapping[str, str],
) -> bytes:
    """The picture as a header and the bytes of three attentions (encoder, decoder, cross) and of all small tensors.

    Each tensor has a scale of its own, from minus its largest magnitude to that. `tokens` needs: source, target,
    predicted. `words` needs the boxes' names and: layers, heads, label.
    """
    pictures = {
        name: asdict(draw(sizes, width, tokens, words, strips)) for name, width in (("wide", WIDE), ("narrow", NARROW))
    }
    shown = [each for part in strips.values() for each in part]
    shapes = {"maps": [each.shape for each in maps], "strips": [each.shape for each in shown]}
    header = {"pictures": pictures, "chosen": list(chosen), "label": words["label"], **shapes}
    cells = [*maps, *(signed_bytes(each, limit_of(each)) for each in shown)]
    return pack(header, np.concatenate([each.reshape(-1) for each in cells]))


def pooled(scores: Float[np.ndarray, "row column"], columns: int = COLUMNS) -> Float[np.ndarray, "row {columns}"]:
    """The largest score of each of so many stretches of a row: a vocabulary is too wide to be shown entry by entry."""
    parts = np.array_split(scores, min(columns, scores.shape[1]), axis=1)
    return np.stack([part.max(1) for part in parts], axis=1)


def draw(
    sizes: Sizes,
    width: float,
    tokens: Mapping[str, Sequence[str]],
    words: Mapping[str, str],
    strips: Strips,
) -> Picture:
    """Encoder on the left, decoder on the right, from the tokens below to the predictions above."""
    margin = 18.0 if width < 500 else 26.0
    middle = 2.4 * margin
    column = (width - 2 * margin - middle) / 2
    picture = Picture(width, 0.0)
    numbers = _numbers(strips)
    left = Column(picture, "encoder_stream", margin, column, strips=numbers, strip=strip_height(sizes.source))
    right = Column(
        picture, "decoder_stream", margin + column + middle, column, strips=numbers, strip=strip_height(sizes.target)
    )
    memory = _encoder(left, sizes, tokens, words)
    cross = _decoder(right, sizes, tokens, words)
    bend = margin + column + middle * 0.38
    picture.arrows.append(
        [
            (memory.x + column / 2, memory.y),
            (memory.x + column / 2, memory.y - 16),
            (bend, memory.y - 16),
            (bend, cross.y + cross.h / 2),
            (cross.x, cross.y + cross.h / 2),
        ]
    )
    return _moved(picture, 10 - min(box.y for box in picture.boxes))


def _numbers(strips: Strips) -> dict[str, tuple[int, ...]]:
    """The places of each box's tensors among all."""
    found, first = {}, 0
    for box, part in strips.items():
        found[box] = tuple(range(first, first + len(part)))
        first += len(part)
    return found


def strip_height(rows: int) -> float:
    """How high a small picture of so many tokens is."""
    return min(HIGHEST, max(LOWEST, PER_ROW * rows))


def _encoder(column: Column, sizes: Sizes, tokens: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> Box:
    stream = f"{sizes.source} × {sizes.width}"
    _input(column, "source", sizes.source, sizes, tokens["source"], words)
    bottom = column.y + column.gap - 2
    column.sublayer(
        ("encoder_norm", words["norm"]),
        "encoder",
        _maps_height(column.w, sizes.heads, sizes.encoder_layers),
        words["encoder"],
        _heads(sizes.heads, sizes.source, sizes.source, words),
        tone="attention",
        maps=0,
    )
    _feed_forward(column, "encoder", sizes, words)
    column.add(column.stream, 34.0, words["stream"], stream)
    _frame(column, bottom, sizes.encoder_layers, words)
    return column.add("memory", 40.0, words["memory"], stream, tone="norm")


def _decoder(column: Column, sizes: Sizes, tokens: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> Box:
    _input(column, "target", sizes.target, sizes, tokens["target"], words)
    bottom = column.y + column.gap - 2
    height = _maps_height(column.w, sizes.heads, sizes.decoder_layers)
    norm = ("decoder_norm", words["norm"])
    note = _heads(sizes.heads, sizes.target, sizes.target, words)
    column.sublayer(norm, "decoder", height, words["decoder"], note, tone="attention", maps=1)
    note = _heads(sizes.heads, sizes.target, sizes.source, words)
    cross = column.sublayer(norm, "cross", height, words["cross"], note, tone="attention", maps=2)
    _feed_forward(column, "decoder", sizes, words)
    stream = f"{sizes.target} × {sizes.width}"
    column.add(column.stream, 34.0, words["stream"], stream)
    _frame(column, bottom, sizes.decoder_layers, words)
    column.add("states", 40.0, words["states"], stream, tone="norm")
    column.add("output", 42.0, words["output"], f"{sizes.target} × {sizes.vocabulary:,}")
    predicted = tuple(tokens["predicted"])
    column.add("predicted", 52.0, words["predicted"], tone="tokens", labels=predicted)
    return cross


def _input(
    column: Column, name: str, count: int, sizes: Sizes, labels: Sequence[str], words: Mapping[str, str]
) -> None:
    column.add(f"{name}", 52.0, words[name], str(count), tone="tokens", labels=tuple(labels))
    column.add(f"{name}_embedding", 42.0, words["embedding"], f"{count} × {sizes.content_width}")
    column.add(f"{name}_position", 42.0, words["position"], f"{count} × {sizes.width}", tone="position")
    column.y -= 18


def _feed_forward(column: Column, name: str, sizes: Sizes, words: Mapping[str, str]) -> None:
    note = f"{sizes.width} → {sizes.inner} → {sizes.width}" if sizes.inner else "–"
    column.sublayer((f"{name}_norm", words["norm"]), f"{name}_feed_forward", 42.0, words["feed_forward"], note)


def _frame(column: Column, bottom: float, layers: int, words: Mapping[str, str]) -> None:
    top = column.y - 10
    column.y -= 22
    name = words["layers"].format(count=layers)
    column.picture.frames.append((column.x - 16, top, column.w + 26, bottom - top, name))


def _heads(heads: int, queries: int, keys: int, words: Mapping[str, str]) -> str:
    return words["heads"].format(heads=heads, queries=queries, keys=keys)


def _maps_height(width: float, heads: int, layers: int) -> float:
    """Room for a title and one small map per head and layer."""
    return 50 + layers * map_size(width, heads) + (layers - 1) * 3


def map_size(width: float, heads: int) -> float:
    """The edge of one small map in a box of that width."""
    return min(33.0, (width - 20 - 3 * (heads - 1)) / heads)


def _moved(picture: Picture, down: float) -> Picture:
    """The same picture with its top at the top: it was stacked upwards from zero."""

    def shift(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x, y + down) for x, y in points]

    return Picture(
        width=picture.width,
        height=max(box.y + box.h for box in picture.boxes) + down + 4,
        boxes=[Box(**{**asdict(box), "y": box.y + down}) for box in picture.boxes],
        arrows=[shift(points) for points in picture.arrows],
        residuals=[shift(points) for points in picture.residuals],
        rings=[(x, y + down, stream) for x, y, stream in picture.rings],
        frames=[(x, y + down, w, h, name) for x, y, w, h, name in picture.frames],
    )
