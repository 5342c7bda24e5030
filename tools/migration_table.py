"""Makes faust.cli.migration_table of the tables in docs/migrating.md."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["read", "render", "write"]

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "migrating.md"
MODULE = ROOT / "faust" / "cli" / "migration_table.py"
#: A bar between cells; one with a backslash before it is text.
_BAR = re.compile(r"(?<!\\)\|")
_HEAD = '''"""The tables of docs/migrating.md: section -> what was -> what is, why, what to do.

Made by ``python -m tools.migration_table``.
"""

# fmt: off
# ruff: noqa: E501
MIGRATION_TABLE: dict[str, dict[str, tuple[str, str, str]]] = {
'''


def read() -> dict[str, dict[str, tuple[str, str, str]]]:
    """Return the rows of the document: section -> what was -> what is, why, what to do.

    Raises:
        ValueError: a row has another number of cells.
    """
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    section = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        if not line.startswith("| "):
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in _BAR.split(line)[1:-1]]
        if len(cells) != 4:
            raise ValueError(f"{len(cells)} cells instead of 4: {line}")
        if cells[0] != "earlier":
            found.setdefault(section, {})[cells[0]] = (cells[1], cells[2], cells[3])
    return found


def render() -> str:
    """Return the module's text."""
    lines = [_HEAD.rstrip("\n")]
    for section, rows in read().items():
        lines.append(f"    {section!r}: {{")
        lines += [f"        {earlier!r}: {told!r}," for earlier, told in rows.items()]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def write() -> None:
    """Write the module."""
    MODULE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write()
