"""What a database library says by text, said by consequence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from faust.exceptions import RestoreError
from faust.stores.base import StoreLocked

__all__ = ["translate"]

#: What the operating system says, found in the library's texts -> error number.
_SYSTEM_ERRORS = {
    os.strerror(number): number
    for number in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES),
        *(errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
    )
}


def translate(exc: Exception, path: Path) -> Exception:
    """Say by consequence what the library says by text (it has one exception class).

    1. Closed is closed.  2. What is no bare ``Exception`` does not come from the library and stays
    as it is.  3. A lock is a lock.  4. What the system refused is an `OSError` with the path.
    5. All else means that the files cannot be trusted.
    """
    text = str(exc)
    if type(exc).__name__ == "DbClosedError":
        return RuntimeError(f"store {path} is closed")
    if type(exc) is not Exception:
        return exc
    if "lock hold by current process" in text or "/LOCK: Resource temporarily" in text:
        return StoreLocked(f"{path} is locked: {text}")
    for words, number in _SYSTEM_ERRORS.items():
        if words in text or f"(os error {number})" in text:
            return OSError(number, words, str(path))
    return RestoreError(f"store {path} is damaged: {text}")
