"""Tables as commands print them: a plain box; on a terminal in colour, and no wider than it is."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any, TextIO

from faust.utils.terminal import table, text_width

__all__ = ["listing"]

_BOLD, _DIM, _TITLE, _END = "\x1b[1m", "\x1b[2m", "\x1b[1;36m", "\x1b[0m"
#: The last column is never made narrower than this.
_NARROWEST = 20


def listing(
    rows: Sequence[Sequence[Any]],
    headers: Sequence[str],
    title: str,
    out: TextIO,
    *,
    wrap: bool = True,
) -> str:
    """Return rows as a table, without a newline at its end.

    Arguments:
        out: Where it will be printed: on a terminal it is coloured (unless ``NO_COLOR`` is set),
            and the last column is wrapped to the terminal's width.
        wrap: Whether to wrap.
    """
    if not _is_terminal(out):
        return table(rows, headers=headers, title=title)
    if wrap and rows:
        width = shutil.get_terminal_size((100, 24)).columns
        rows = _wrapped([[str(cell) for cell in row] for row in rows], headers, width)
    text = table(rows, headers=headers, title=title)
    return text if "NO_COLOR" in os.environ else _colored(text, title)


def _is_terminal(out: TextIO) -> bool:
    try:
        return out.isatty()
    except (AttributeError, ValueError):
        return False


def _wrapped(rows: list[list[str]], headers: Sequence[str], width: int) -> list[list[str]]:
    """Break the cells of the last column where the table would be wider than ``width``."""
    others = [
        max(text_width(line) for cell in column for line in cell.splitlines() or [""])
        for column in zip(headers, *rows, strict=True)
    ][:-1]
    room = max(width - sum(others) - 3 * len(others) - 4, _NARROWEST)
    return [[*row[:-1], _broken(row[-1], room)] for row in rows]


def _broken(cell: str, room: int) -> str:
    lines = [textwrap.wrap(line, room) or [""] for line in cell.splitlines()]
    return "\n".join(part for line in lines for part in line)


def _colored(text: str, title: str) -> str:
    top, *lines = text.split("\n")
    head = f"{_DIM}{top[0]}{_END}{_TITLE}{title}{_END}{_DIM}{top[1 + len(title) :]}{_END}"
    in_head, colored = True, [head]
    for line in lines:
        if not line.startswith("│"):
            in_head = False
            colored.append(f"{_DIM}{line}{_END}")
        else:
            style = _BOLD if in_head else ""
            colored.append(_cells(line, style))
    return "\n".join(colored)


def _cells(line: str, style: str) -> str:
    """Dim the frame around the cells; a ``│`` inside a cell is dimmed as well."""
    cell_end = _END if style else ""
    cells = [f"{style}{cell}{cell_end}" for cell in line[1:-1].split("│")]
    bar = f"{_DIM}│{_END}"
    return bar + bar.join(cells) + bar
