"""Going through a whole RocksDB partition, leaving out what is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NoReturn

from faust.stores.encoding import RESERVED

__all__ = ["Scan"]

#: Entries that are fetched at a time: between two fetches a close may come.
_CHUNK = 512


class Scan:
    """An iteration that a close can end: an open RocksDB iterator keeps the whole database open.

    The library's own iteration over items takes damage for the end, so this one goes by hand and
    asks.  No frame of ours keeps the cursor while an error is under way: its traceback may stay.

    Arguments:
        cursor: The library's bare iterator; it sees the database as it was when it was made.
        fail: Raises what an error of the library means.
    """

    def __init__(self, cursor: Any, fail: Callable[[Exception], NoReturn]) -> None:
        self._cursor = cursor
        self._fail = fail
        cursor.seek_to_first()

    def stop(self) -> None:
        """Let go of the database."""
        self._cursor = None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        while chunk := self._chunk():
            for key, value in chunk:
                if not key.startswith(RESERVED):
                    yield key, value
                elif key.startswith(RESERVED + RESERVED):
                    yield key[len(RESERVED) :], value

    def count(self) -> int:
        """Go through everything, our own keys included, and say how much it is."""
        size, cursor = 0, self._cursor
        while cursor.valid():
            size += 1
            cursor.next()
        del cursor
        self._check()
        return size

    def _chunk(self) -> list[tuple[bytes, bytes]]:
        if self._cursor is None:
            raise RuntimeError("the store was closed or wiped while it was being iterated over")
        chunk = list(islice(_pairs(self._cursor), _CHUNK))
        if not chunk:
            self._check()
        return chunk

    def _check(self) -> None:
        """Raise if it was damage that has ended the iteration."""
        try:
            self._cursor.status()
        except Exception as exc:
            self._fail(exc)


def _pairs(cursor: Any) -> Iterator[tuple[bytes, bytes]]:
    key_of, value_of, move = cursor.key, cursor.value, cursor.next
    while (key := key_of()) is not None:
        value = value_of()
        move()
        yield key, value
