"""The code of the application guide, taken out of it, and which test shows that it is true.

Nothing here is retyped: `SNIPPETS` is read from ``docs/application-guide.rst``.  What the guide
misprints or leaves open (``impor faust``, ``App(..., x)``) is put right by `MISPRINTS`, letter by
letter, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "application-guide.rst"

#: Snippet -> what its text says -> what is meant.  ``App(...,`` stands for any id.
MISPRINTS: dict[str, dict[str, str]] = {
    "Serializers/1": {"faust.serialiers": "faust.serializers"},
    "Worker/1": {"Worker=Worker": "Worker=MyWorker"},
    "PartitionAssignor/2": {"Worker=": "PartitionAssignor="},
    "LeaderAssignor/2": {"Worker=": "LeaderAssignor="},
    "app.command()/1": {"impor faust": "import faust"},
}
ANY_ID = re.compile(r"App\(\.\.\.?,")

_DIRECTIVE = re.compile(r"\s*\.\. sourcecode:: (\w+)\s*$")
_UNDERLINE = re.compile(r"([=~-])\1+\s*$")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Snippet:
    """A block of code of the guide.

    Arguments:
        name: Section and number within it (``Agent/1``).
        line: Where it begins in the guide (from 1).
        language: As the guide says; ``python`` where it does not say.
        text: As it is printed.
    """

    name: str
    line: int
    language: str
    text: str

    @property
    def section(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def code(self) -> str:
        """What is run: the text, misprints put right, prompts and their answers taken away."""
        text = self.text
        for printed, meant in MISPRINTS.get(self.name, {}).items():
            assert printed in text, f"{self.name}: the guide does not say {printed!r}"
            text = text.replace(printed, meant)
        text = ANY_ID.sub("App('guide',", text)
        if ">>>" in text:
            lines = [line[4:] for line in text.splitlines() if line.startswith((">>> ", "... "))]
            text = "\n".join(lines)
        return text

    def run(self, **names: Any) -> dict[str, Any]:
        """Run it as a module that already has these names; return all its names."""
        space = {"__name__": "guide_snippet", **names}
        exec(compile(self.code, f"application-guide.rst:{self.line}", "exec"), space)
        return space


def _short(title: str) -> str:
    """``app.Set()`` of "``app.Set()`` -- Define a new Set-based table"."""
    quoted = re.match(r"``@?(.+?)``", title)
    return quoted[1] if quoted else title


def _blocks(lines: list[str]) -> Iterator[tuple[int, str, str, str]]:
    section, at = "", 0
    while at < len(lines):
        line = lines[at]
        if _UNDERLINE.match(line) and at and len(line.strip()) >= len(lines[at - 1].strip()) > 0:
            section = _short(lines[at - 1].strip())
        directive = _DIRECTIVE.match(line)
        literal = line.rstrip().endswith("::") and not line.lstrip().startswith("..")
        if directive or literal:
            indent = len(line) - len(line.lstrip())
            end = at + 1
            while end < len(lines) and (
                not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent
            ):
                end += 1
            text = dedent("\n".join(lines[at + 1 : end])).strip("\n")
            nested = any(_DIRECTIVE.match(inner) for inner in lines[at + 1 : end])
            if text and not nested:
                yield at + 1, section, directive[1] if directive else "python", text
            if not nested:
                at = end - 1
        at += 1


def read(guide: Path = GUIDE) -> dict[str, Snippet]:
    """Return all snippets of the guide by name, in its order."""
    found: dict[str, Snippet] = {}
    counts: dict[str, int] = {}
    for line, section, language, text in _blocks(guide.read_text("utf-8").splitlines()):
        counts[section] = counts.get(section, 0) + 1
        name = f"{section}/{counts[section]}"
        found[name] = Snippet(name, line, language, text)
    return found


SNIPPETS = read()


def shows(*names: str) -> Callable[[F], F]:
    """Mark a test: it runs these snippets and asserts what its docstring says."""
    unknown = [name for name in names if name not in SNIPPETS]
    assert not unknown, f"the guide has no {unknown}; it has {list(SNIPPETS)}"

    def mark(test: F) -> F:
        assert test.__doc__, f"{test.__name__}: which effect does it assert?"
        test.shows = names  # type: ignore[attr-defined]
        return test

    return mark
