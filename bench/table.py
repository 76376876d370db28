"""Results as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from bench.measuring import Times


@dataclass(frozen=True)
class Section:
    """One table: what was compared with what, and a row for each."""

    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        return f"## {self.title}\n\n{self.about}\n\n{table(self.header, self.rows)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others are figures; raises ValueError for a row of another length."""
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"every row must have {len(header)} cells")
    rule = ["---", *("---:" for _ in header[1:])]
    cells = ([cell.replace("|", "\\|") for cell in row] for row in (header, *rows))
    first, *rest = (f"| {' | '.join(row)} |" for row in cells)
    return "\n".join((first, f"| {' | '.join(rule)} |", *rest)) + "\n"


TIMED = ("", "milliseconds", "ratio", "quartiles", "beside", "limit")


@dataclass(frozen=True)
class Compared:
    """One row of a table of times: a piece of work, and the piece it stands beside."""

    work: str
    beside: str
    limit: float | None = None


def timed(times: Times, rows: Sequence[Compared]) -> tuple[tuple[str, ...], ...]:
    """Median time of each piece of work, and the ratio to its reference round by round."""
    letters = dict(zip(times.rounds, ascii_uppercase, strict=False))
    cells = []
    for row in rows:
        ratio, lower, upper = times.ratio(row.work, row.beside)
        figures = (f"{times.median(row.work):.2f}", f"{ratio:.2f}", f"{lower:.2f}–{upper:.2f}")
        cells.append((f"{letters[row.work]}: {row.work}", *figures, letters[row.beside], limit(ratio, row.limit)))
    return tuple(cells)


def limit(value: float, most: float | None) -> str:
    """The limit, and whether it was kept."""
    return "" if most is None else f"{most:g} {'kept' if value <= most else 'exceeded'}"


def document(circumstances: str, sections: Sequence[Section]) -> str:
    """The whole file of results."""
    about = (
        "Written by `python -m bench`; `python -m bench PART` measures one part. Traces and decoding: the pieces of "
        "work take turns, in an order shuffled anew each round; milliseconds are medians of processor time, so that "
        "waiting for other programs is not counted; a ratio is the median, with quartiles, of the ratios within each "
        "round. Screen and start: medians of time as a visitor waits for it."
    )
    return "\n".join(("# Speed\n", f"{circumstances}\n", f"{about}\n", *(each.markdown() for each in sections)))
