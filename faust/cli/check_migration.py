"""``faust check-migration``: what an app for an earlier version of Faust will notice here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.cli.base import Command, UsageError
from faust.cli.differences import Difference, differences_in
from faust.cli.known_differences import DIFFERENCES
from faust.cli.migration_table import MIGRATION_TABLE
from faust.cli.oldcode import Fact, facts_of
from faust.cli.params import argument, option
from faust.cli.state import State
from faust.cli.watching import python_files

__all__ = ["check_migration"]


class check_migration(Command):
    """List what differs here for an app of faust or faust-streaming.

    PATH is a file or a folder; without it, -A names the app. The source is read, not run: what is
    written in it is found, what it does at run time is not. The exit status is 0 if nothing was
    found, else 1.
    """

    abstract = False
    require_app = False
    examples = """
    Examples:
      faust check-migration src/myproj
      faust -A myproj.app check-migration
      faust --json check-migration app.py
    """
    options = [
        option("--all", "everything", is_flag=True, help="Also what no source shows."),
        argument("path", required=False),
    ]

    @classmethod
    def intercept(cls, state: State, given: Mapping[str, Any]) -> int | None:
        """The app may not be importable here: its source is looked for, without importing it."""
        command = cls(state=state)
        path = given["path"] or _place_of(state.app_path, state.workdir)
        return command.check(Path(state.workdir or ".", path), everything=given["everything"])

    def check(self, path: Path, *, everything: bool) -> int:
        """Print what differs; return the exit status.

        Raises:
            UsageError: there is nothing to read.
        """
        found = [(file, *each) for file in _files(path) for each in _found_in(file)]
        if self.json:
            rows = [_as_json(*each) for each in found]
            self.say(self.dumps(rows + (_unseen_as_json() if everything else [])))
            return 1 if found else 0
        for file, fact, difference in found:
            self.say(_told(file, fact, difference))
        if everything:
            self._say_unseen()
        self._say_summary(found, everything=everything)
        return 1 if found else 0

    def _say_unseen(self) -> None:
        self.say("No source shows these; they hold for every app:\n")
        for subject, rows in unseen().items():
            self.say(f"{subject}\n")
            for earlier in rows:
                self.say(_difference(subject, earlier))

    def _say_summary(self, found: list[tuple[Path, Fact, Difference]], *, everything: bool) -> None:
        kinds = len({difference.earlier for _, _, difference in found})
        places = f"{len(found)} places, {kinds} differences" if found else "Nothing that differs"
        self.say(f"{places}. What is there instead: docs/migrating.md")
        if not everything:
            more = sum(map(len, unseen().values()))
            self.say(f"{more} more differences are seen in no source: --all lists them.")


def _told(file: Path, fact: Fact, difference: Difference) -> str:
    where = f"{_short(file)}:{fact.line}: {_name(fact)}"
    return f"{where}\n{_difference(difference.subject, difference.earlier)}"


def _difference(subject: str, earlier: str) -> str:
    here, why, todo = MIGRATION_TABLE[subject][earlier]
    return f"    earlier: {earlier}\n    here:    {here}\n    why:     {why}\n    to do:   {todo}\n"


def _name(fact: Fact) -> str:
    """Say what stands there."""
    told = {
        "setting": f"setting {fact.name}",
        "call": f"{fact.name}()",
        "import": f"import {fact.name}",
        "class": f"subclass of {fact.name}",
        "attribute": fact.name,
        "with": f"async with {fact.name}",
        "and": "& of streams",
        "write": f"table written ({fact.name})",
        "change": "object in a table changed in place",
        "agent": f"agent: {fact.name}",
    }
    return told[fact.kind]


def _as_json(file: Path, fact: Fact, difference: Difference) -> dict[str, Any]:
    place = {"file": _short(file), "line": fact.line, "what": _name(fact)}
    return {**place, **_difference_as_json(difference.subject, difference.earlier)}


def _difference_as_json(subject: str, earlier: str) -> dict[str, Any]:
    here, why, todo = MIGRATION_TABLE[subject][earlier]
    return {"subject": subject, "earlier": earlier, "here": here, "why": why, "todo": todo}


def unseen() -> dict[str, list[str]]:
    """Return the differences that no source shows: subject -> what was."""
    seen = {(each.subject, each.earlier) for each in DIFFERENCES}
    return {
        subject: [earlier for earlier in rows if (subject, earlier) not in seen]
        for subject, rows in MIGRATION_TABLE.items()
    }


def _unseen_as_json() -> list[dict[str, Any]]:
    nowhere = {"file": None, "line": None, "what": None}
    return [
        {**nowhere, **_difference_as_json(subject, earlier)}
        for subject, rows in unseen().items()
        for earlier in rows
    ]


def _short(file: Path) -> str:
    relative = os.path.relpath(file)
    return str(file) if relative.startswith(os.pardir) else relative


def _found_in(file: Path) -> Iterator[tuple[Fact, Difference]]:
    try:
        facts = facts_of(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None)
        place = f"{_short(file)}, line {line}" if line else _short(file)
        raise UsageError(f"{place}: Python cannot read it: {getattr(exc, 'msg', exc)}") from exc
    yield from differences_in(facts, DIFFERENCES)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(Path(entry.path) for entry in python_files(str(path)))
        if not found:
            raise UsageError(f"there is no Python file below {path}")
        return found
    if not path.is_file():
        raise UsageError(f"there is no file and no folder {str(path)!r}")
    return [path]


def _place_of(app_path: str | None, workdir: str | None) -> str:
    """Return the file of an app, or the folder of its package, without importing anything."""
    if not app_path:
        raise UsageError("what is to be read? Give a file or a folder, or the app with -A")
    target = app_path.partition(":")[0]
    if target.endswith(".py") or os.sep in target:
        return os.path.abspath(os.path.join(workdir or ".", target))
    top = target.partition(".")[0]
    for folder in (workdir or os.getcwd(), *sys.path):
        place = os.path.abspath(os.path.join(folder, top))
        if os.path.isdir(place):
            return place
        if os.path.isfile(f"{place}.py"):
            return f"{place}.py"
    raise UsageError(f"there is no module {top!r} (-A {app_path})")
