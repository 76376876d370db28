"""What the heatmap canvas draws: a small header and one byte for each cell.

Bytes are the cheapest form of a weight that a screen can tell apart (a step of 1/254); whoever wants the
exact number asks the run. One value is kept for cells that a mask hides: absent never looks like zero.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

ABSENT = 255
STEPS = 254


def to_bytes(weights: Float[np.ndarray, "*cells"], allowed: Bool[np.ndarray, "*#cells"]) -> UInt8[np.ndarray, "*cells"]:
    """Weights in [0, 1] as 0..254, and 255 where the mask lets nobody look."""
    steps = np.rint(np.clip(weights, 0.0, 1.0) * STEPS).astype(np.uint8)
    return np.where(allowed, steps, np.uint8(ABSENT)).astype(np.uint8)


def pack(header: Mapping[str, Any], cells: UInt8[np.ndarray, "*cells"]) -> bytes:
    """Length of the header (4 bytes, little endian), the header as JSON, the cells in row order."""
    text = json.dumps(dict(header), ensure_ascii=False, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + cells.tobytes()


def unpack(data: bytes) -> tuple[dict[str, Any], UInt8[np.ndarray, " cells"]]:
    """The inverse of `pack`, with the cells in one row."""
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length]), np.frombuffer(data, np.uint8, offset=4 + length)


def grid(
    weights: Float[np.ndarray, "layer head query key"],
    allowed: Bool[np.ndarray, "query key"],
    *,
    chosen: tuple[int, int],
    off: Sequence[tuple[int, int]] = (),
    edited: Sequence[tuple[int, int]] = (),
    language: str,
) -> bytes:
    """All heads of one kind as small maps, one chosen, those in `off` struck out, those `edited` marked.

    The canvas knows the words of a grid in each `language`: a short sentence has fewer cells than they have letters.
    """
    header = {"mode": "grid", "shape": weights.shape, "chosen": chosen, "words": language}
    marks = {"off": list(off), "edited": list(edited)}
    return pack(header | {name: heads for name, heads in marks.items() if heads}, to_bytes(weights, allowed))


def detail(
    weights: Float[np.ndarray, "query key"],
    allowed: Bool[np.ndarray, "query key"],
    *,
    queries: Sequence[str],
    keys: Sequence[str],
    cell: tuple[int, int],
    words: Mapping[str, str],
    mode: Literal["detail", "lines"] = "detail",
) -> bytes:
    """One head, large, or as lines from each query to the keys it looks at.

    `words` needs: label, query, key, queries, keys, weight, sum, masked.
    """
    header = {"mode": mode, "shape": weights.shape, "queries": list(queries), "keys": list(keys), "cell": cell}
    return pack(header | {"words": dict(words)}, to_bytes(weights, allowed))
