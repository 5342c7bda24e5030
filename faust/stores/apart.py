"""A directory for one process, beside a store that stays locked; gone when its process is.

What is in it is a copy of what a changelog says.  It is not worth keeping: the next process finds
the store free, or makes a directory of its own.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from faust.stores.base import StoreLocked
from faust.stores.locks import FileLock

__all__ = ["Apart", "clear_apart"]

_PREFIX = "apart-"
_LOCK = "owner.lock"


class Apart:
    """A directory of this process's own.

    Arguments:
        directory: Where it is made.

    Attributes:
        path: The directory.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"{_PREFIX}{os.getpid()}-{uuid4().hex[:6]}"
        self.path.mkdir(parents=True)
        self._lock = FileLock(self.path / _LOCK)

    def delete(self) -> None:
        """Delete it, and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def clear_apart(directory: Path) -> None:
    """Delete what processes that are gone have left (no error where that cannot be done)."""
    with suppress(OSError):
        for path in directory.glob(f"{_PREFIX}*"):
            with suppress(OSError, StoreLocked):
                lock = FileLock(path / _LOCK)
                shutil.rmtree(path, ignore_errors=True)
                lock.release()
