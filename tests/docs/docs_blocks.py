"""The code blocks of a document, and what each is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = ["Block", "blocks_of", "prose_of"]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*$")
#: The first line of a Python block may say which file it is, or is the next part of.
_FILE = re.compile(r"# ([\w/]+\.py)(, continued)?$")


@dataclass
class Block:
    """A fenced block.

    Attributes:
        document: The page.
        line: Number of its first line of code.
        language: What is written behind the fence.
        code: What is in it.
        follows: The block that it stands right behind, with at most a line of text between.
    """

    document: Path
    line: int
    language: str
    code: str
    follows: Block | None = None

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.document.name}:{self.line}"

    @property
    def file(self) -> str:
        """The file that it is (a part of), or ""."""
        told = _FILE.match(self.code.partition("\n")[0])
        return told.group(1) if told and self.language == "python" else ""

    @property
    def continues(self) -> bool:
        """Is it a further part of its file?"""
        told = _FILE.match(self.code.partition("\n")[0])
        return bool(told and told.group(2))


def blocks_of(document: Path) -> list[Block]:
    """Return all blocks of a page, in order."""
    found = list(_fenced(document))
    for before, block in pairwise(found):
        block.follows = before
    return found


def _fenced(document: Path) -> Iterator[Block]:
    lines = document.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        number += 1
        if fence is None:
            continue
        start, indent = number, len(fence["indent"])
        while lines[number].strip() != "```":
            number += 1
        code = "".join(line[indent:] + "\n" for line in lines[start:number])
        number += 1
        yield Block(document, start + 1, fence["language"], code)


def prose_of(document: Path) -> str:
    """Return a page without its fenced blocks."""
    kept, inside = [], False
    for line in document.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line) or (inside and line.strip() == "```"):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
