"""Tables as high as their rows, up to a limit beyond which they scroll."""

from typing import Literal

ROW = 33


def table_height(rows: int, most: int) -> int | Literal["content"]:
    """The height of a table with so many rows that shall take at most `most` pixels."""
    return "content" if ROW * (rows + 1) <= most else most
