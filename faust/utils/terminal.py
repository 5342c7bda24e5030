"""Plain tables in a single-line box, the same on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import combining, east_asian_width

__all__ = ["table", "text_width"]


def table(rows: Iterable[Sequence[object]], *, headers: Sequence[str], title: str = "") -> str:
    """Return a table as text, without a newline at its end.

    Arguments:
        rows: A sequence of cells for each row; a cell may hold several lines.
        headers: Names of the columns.
        title: Shown in the upper border, from its left corner; the last column grows if it is long.
    """
    body = [_lines(row, len(headers)) for row in rows]
    head = _lines(headers, len(headers))
    widths = _widths([head, *body], title)
    return "\n".join(
        [
            _title_over(_border("┌┬┐", widths), title),
            *_row(head, widths),
            _border("├┼┤", widths),
            *(line for cells in body for line in _row(cells, widths)),
            _border("└┴┘", widths),
        ]
    )


def text_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes (wide characters take two)."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _lines(row: Sequence[object], columns: int) -> list[list[str]]:
    if len(row) != columns:
        raise ValueError(f"a row of {len(row)} cells in a table of {columns} columns: {row!r}")
    return [str(cell).splitlines() or [""] for cell in row]


def _widths(rows: list[list[list[str]]], title: str) -> list[int]:
    """Inner widths: the widest line of each column and a space on both sides."""
    widths = [
        2 + max(text_width(t) for cell in column for t in cell)
        for column in zip(*rows, strict=True)
    ]
    missing = text_width(title) - (sum(widths) + len(widths) - 1)
    widths[-1] += max(0, missing)
    return widths


def _border(ends: str, widths: list[int]) -> str:
    return ends[0] + ends[1].join("─" * width for width in widths) + ends[2]


def _title_over(border: str, title: str) -> str:
    return border[0] + title + border[1 + text_width(title) :]


def _row(cells: list[list[str]], widths: list[int]) -> list[str]:
    height = max(map(len, cells))
    padded = [cell + [""] * (height - len(cell)) for cell in cells]
    return ["│" + "│".join(map(_pad, line, widths)) + "│" for line in zip(*padded, strict=True)]


def _pad(text: str, width: int) -> str:
    return f" {text}{' ' * (width - 1 - text_width(text))}"
