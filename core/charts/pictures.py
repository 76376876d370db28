"""A tensor as a picture of one pixel for each entry, small enough to lie inside the page that shows it.

Violet is above zero, red below, as in every map, and the nearer to zero the more transparent, so that it looks right on
light and on dark.
"""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Float

ABOVE, BELOW = (99, 91, 232), (229, 72, 77)
MIDDLE = 127
PALETTE = bytes(channel for step in range(255) for channel in (ABOVE if step > MIDDLE else BELOW))
ALPHA = bytes(round(255 * abs(step - MIDDLE) / MIDDLE) for step in range(255))


def png(values: Float[np.ndarray, "row column"], limit: float) -> bytes:
    """A PNG file with values from −limit to limit; beyond that colours do not change."""
    rows, columns = values.shape
    steps = np.rint(np.clip(values / limit, -1.0, 1.0) * MIDDLE + MIDDLE).astype(np.uint8)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), steps], axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", PALETTE), (b"tRNS", ALPHA), (b"IDAT", zlib.compress(lines.tobytes(), 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in (*chunks, (b"IEND", b"")))


def inlined(values: Float[np.ndarray, "row column"], limit: float) -> str:
    """The same as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png(values, limit)).decode()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
