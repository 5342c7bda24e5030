"""Makes faust.cli.migration_table of the tables in docs/migrating.md."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["read", "render", "write"]

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "migrating.md"
MODULE = ROOT / "faust" / "cli" / "migration_table.py"
_ROW = re.compile(r"\| (.*?) \| (.*) \|")
_HEAD = '''"""The tables of docs/migrating.md, by section: what was earlier -> what is here.

Made by ``python -m tools.migration_table``.
"""

# fmt: off
# ruff: noqa: E501
MIGRATION_TABLE: dict[str, dict[str, str]] = {
'''


def read() -> dict[str, dict[str, str]]:
    """Return the rows of the document: section -> what was -> what is."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        row = _ROW.fullmatch(line)
        if row and row[1] != "earlier":
            found.setdefault(section, {})[row[1]] = row[2]
    return found


def render() -> str:
    """Return the module's text."""
    lines = [_HEAD.rstrip("\n")]
    for section, rows in read().items():
        lines.append(f"    {section!r}: {{")
        lines += [f"        {earlier!r}: {here!r}," for earlier, here in rows.items()]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def write() -> None:
    """Write the module."""
    MODULE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write()
