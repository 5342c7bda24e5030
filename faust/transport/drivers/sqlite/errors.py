"""What SQLite and the file system answer, as errors of ours: one table, one sentence each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from faust.exceptions import BrokerUnavailable, FaustError, ImproperlyConfigured, StopError

__all__ = ["NEWER", "NOT_OURS", "NO_WAL", "FileReplaced", "code_of", "is_passing", "translate"]

NOT_OURS = "{path} is a file of another kind, not a Faust broker: choose another file for sqlite://"
NEWER = (
    "{path} was written by a newer Faust (format {found}, this one knows {known}): "
    "upgrade Faust, or choose another file"
)
NO_WAL = (
    "{path} is on a file system without shared memory (a network drive?): "
    "choose a file on a local disk"
)
_CORRUPT = (
    "{path} is damaged ({reason}): restore it from a copy, or move it away to start with an "
    "empty broker"
)
_FULL = (
    "no space is left for {path}: free some, then start again "
    "(what was acknowledged is safe, and can still be read)"
)
_REPLACED = (
    "{path} was removed or replaced while it was in use: nothing written from now on could be "
    "found again; put the file back, or start all workers anew"
)
_READ_ONLY = "{path} cannot be written ({reason}): check the owner and mode of it and its directory"
_NO_FILE = "{path} cannot be opened or created ({reason}): check that its directory is there"
_LOCKED = "{path} is locked by another process ({reason}): is one stopped in the middle of a write?"
_OTHER = "{path}: {reason}"

#: Primary result code -> error and sentence.
_TABLE: dict[int, tuple[Callable[[str], FaustError], str]] = {
    sqlite3.SQLITE_NOTADB: (StopError, NOT_OURS),
    sqlite3.SQLITE_CORRUPT: (StopError, _CORRUPT),
    sqlite3.SQLITE_FULL: (StopError, _FULL),
    sqlite3.SQLITE_READONLY: (ImproperlyConfigured, _READ_ONLY),
    sqlite3.SQLITE_PERM: (ImproperlyConfigured, _READ_ONLY),
    sqlite3.SQLITE_CANTOPEN: (ImproperlyConfigured, _NO_FILE),
    sqlite3.SQLITE_BUSY: (BrokerUnavailable, _LOCKED),
    sqlite3.SQLITE_LOCKED: (BrokerUnavailable, _LOCKED),
    sqlite3.SQLITE_IOERR: (BrokerUnavailable, _OTHER),
}


class FileReplaced(StopError):
    """The broker's file is no longer the one that was opened."""

    def __init__(self, path: str) -> None:
        super().__init__(_REPLACED.format(path=path))


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code (0 where the error came from Python's side)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_passing(error: sqlite3.Error) -> bool:
    """May the same statement be tried again?  Locks and failed disk operations may pass."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)


def translate(path: str, error: sqlite3.Error) -> FaustError:
    """Return the error of ours for one of SQLite's (to be raised ``from`` it)."""
    make, sentence = _TABLE.get(code_of(error), (StopError, _OTHER))
    return make(sentence.format(path=path, reason=error))
