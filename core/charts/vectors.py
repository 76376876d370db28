"""Vectors as strips of colour, one under the other on one scale, for the canvas of core.charts.heatmap."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from core.charts.heatmap import pack
from core.charts.positions import limit_of, signed_bytes


def strips(
    vectors: Float[np.ndarray, "row channel"],
    *,
    labels: Sequence[str],
    notes: Sequence[str],
    words: Mapping[str, str],
    cell: tuple[int, int] | None = None,
) -> bytes:
    """Each vector with its name above it on the left and a note on the right; `cell` is a row and a channel chosen.

    `words` needs: label, channel, value.
    """
    limit = limit_of(vectors)
    header = {"mode": "strips", "shape": vectors.shape, "signed": limit, "labels": list(labels), "notes": list(notes)}
    chosen = {"picks": cell is not None, "cell": cell or (0, 0)}
    return pack({**header, **chosen, "words": dict(words)}, signed_bytes(vectors, limit))
