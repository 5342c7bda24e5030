"""Where a persistent store keeps each partition, and how that is wiped, set aside and found again.

In the store's directory::

    {table}-{partition}.db                the data
    {table}-{partition}.lock              flock: one open store at a time
    {table}-{partition}.wanted            another process waits for it
    {table}-{partition}.db.corrupt-{n}    set aside; safe to delete
    {table}-{partition}.db.gone-{n}       wiped, being deleted

A table's name may end in ``-1`` or in ``.db``: files are found by the whole name, never by a
prefix.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from faust.stores.locks import FileLock

__all__ = ["PartitionFiles"]

_DAMAGED = "FAUST_DAMAGED"


class PartitionFiles:
    """The files of one partition.

    Arguments:
        directory: The store's directory.
        table: Name of the table.
        partition: Number of the partition.
    """

    def __init__(self, directory: Path, table: str, partition: int) -> None:
        self.path = directory / f"{_file_name(table)}-{partition}.db"

    @staticmethod
    def partitions(directory: Path, table: str) -> list[int]:
        """Return the partitions of ``table`` that have left anything in ``directory``."""
        pattern = re.compile(
            re.escape(_file_name(table)) + r"-(\d+)\.(?:lock|db(?:\.(?:corrupt|gone)-\d+)?)"
        )
        found = (pattern.fullmatch(path.name) for path in _listing(directory))
        return sorted({int(match[1]) for match in found if match})

    def lock(self) -> FileLock:
        """Take the partition's lock.

        Raises:
            StoreLocked: somebody has it.
            OSError: the lock file cannot be made.
        """
        return FileLock(self.path.with_suffix(".lock"))

    @property
    def is_asked_for(self) -> bool:
        """Whether somebody waits for it."""
        return self._wanted.exists()

    def ask(self) -> None:
        """Say to whoever has it open that somebody waits for it."""
        self._wanted.touch()

    def got(self) -> None:
        """Somebody has it now: nobody waits any more, or asks again."""
        self._wanted.unlink(missing_ok=True)

    @property
    def _wanted(self) -> Path:
        return self.path.with_suffix(".wanted")

    @property
    def damaged(self) -> bool:
        """Whether somebody who read the data has found damage."""
        return (self.path / _DAMAGED).exists()

    def mark_damaged(self) -> None:
        """Remember, for the next open, that the data is damaged."""
        (self.path / _DAMAGED).touch()

    def set_aside(self) -> Path:
        """Rename the data out of the way; return where it is now."""
        aside = self._free_name("corrupt")
        os.rename(self.path, aside)
        return aside

    def discard(self) -> None:
        """Delete the data: renamed first, so that a crash leaves nothing that looks whole."""
        if self.path.exists():
            os.rename(self.path, self._free_name("gone"))
        self.delete_gone()

    def delete_gone(self) -> None:
        """Delete what a wipe has left."""
        self._delete_leftovers("gone")

    def delete_all(self) -> None:
        """Delete the data and everything that was set aside of it."""
        self.discard()
        self.got()
        self._delete_leftovers("corrupt")

    def _delete_leftovers(self, kind: str) -> None:
        pattern = re.compile(re.escape(self.path.name) + rf"\.{kind}-\d+")
        for path in _listing(self.path.parent):
            if pattern.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def _free_name(self, kind: str) -> Path:
        n = 0
        while (name := self.path.with_name(f"{self.path.name}.{kind}-{n}")).exists():
            n += 1
        return name


def _listing(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.exists() else []


def _file_name(table: str) -> str:
    """A table's name as a file name; what topics may be called stays as it is."""
    return quote(table, safe="")
