"""One lock file for each partition on disk, held by one open store and dead with its process.

``flock`` belongs to the open file, so the kernel releases it however the process ends, and a second
open in the same process is refused, too.  The file is removed by whoever holds the lock; a taker
therefore looks again, after locking, whether the file it has locked is still the one at that path.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from faust.stores.base import StoreLocked

__all__ = ["FileLock"]

_BUSY = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})


class FileLock:
    """An exclusive lock on a path; taken when it is made, never waited for.

    Arguments:
        path: The lock file; made if it is missing.

    Raises:
        StoreLocked: somebody else has it; the message says who, as far as is known.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = _take(path)

    @property
    def held(self) -> bool:
        """Whether it is still ours."""
        return self._fd is not None

    def release(self, *, remove: bool = False) -> None:
        """Give it back (again: nothing happens); ``remove`` deletes the file, too."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(fd)

    def __repr__(self) -> str:
        return f"<FileLock: {self.path} {'held' if self.held else 'released'}>"


def _take(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(fd, path)
            if _is_at(fd, path):
                _sign(fd)
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in _BUSY:
            raise OSError(exc.errno, f"cannot lock: {exc.strerror}", str(path)) from exc
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        raise StoreLocked(f"{path} is locked by process {holder or '(unknown)'}") from None


def _is_at(fd: int, path: Path) -> bool:
    try:
        at_path = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (ours.st_dev, ours.st_ino) == (at_path.st_dev, at_path.st_ino)


def _sign(fd: int) -> None:
    """Leave our process id for the message of whoever is refused (a full disk: do without)."""
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
