"""Has the source changed, and can Python read it?"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["SourceWatcher", "python_files", "syntax_error_in"]

#: Folders that hold no source of the app.
_NOT_SOURCE = {"__pycache__", "node_modules", "site-packages"}


class SourceWatcher:
    """Notices changed, new and deleted Python files below some folders, by looking at them.

    Looking works on every file system (mounted ones of containers, too), and costs about 10 us for
    each file and look.

    Arguments:
        folders: Where to look; hidden folders and virtual environments in them are left out.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = sorted({folder.resolve() for folder in folders})
        self._seen = self._scan()
        self._pending: set[str] = set()

    def look(self) -> set[str]:
        """Return the files that changed, once nothing has changed any more since the last look."""
        before, self._seen = self._seen, self._scan()
        changed = {
            path
            for path in before.keys() | self._seen.keys()
            if before.get(path) != self._seen.get(path)
        }
        self._pending |= changed
        if changed:
            return set()
        settled, self._pending = self._pending, set()
        return settled

    def _scan(self) -> dict[str, tuple[int, int, int]]:
        found: dict[str, tuple[int, int, int]] = {}
        for folder in self.folders:
            for entry in python_files(str(folder)):
                try:
                    info = entry.stat()
                except OSError:
                    continue
                found[entry.path] = (info.st_mtime_ns, info.st_size, info.st_ino)
        return found


def python_files(folder: str) -> Iterator[os.DirEntry[str]]:
    """Find Python files below a folder; hidden folders and virtual environments are left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _NOT_SOURCE:
                yield from python_files(entry.path)
        elif entry.name.endswith(".py"):
            yield entry


def syntax_error_in(path: str) -> str:
    """Return in one sentence what Python cannot read in a file; "" if it can, or it is gone."""
    try:
        source = Path(path).read_bytes()
    except OSError:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source, filename=path)
    except SyntaxError as exc:
        line = f": {exc.text.strip()}" if exc.text and exc.text.strip() else ""
        return f"{os.path.relpath(path)}, line {exc.lineno}: {exc.msg}{line}"
    except ValueError as exc:
        return f"{os.path.relpath(path)}: {exc}"
    return ""
