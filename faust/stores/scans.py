"""Going through a whole RocksDB partition, leaving out what is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NoReturn

from faust.stores.encoding import RESERVED

__all__ = ["Scan"]

#: Entries that are fetched at a time: between two fetches a close may come.
_CHUNK = 512


class Scan:
    """An iteration that a close can end: an open RocksDB iterator keeps the whole database open.

    Arguments:
        inner: The library's iterator over everything that is kept.
        fail: Raises what an error of the library means.
    """

    def __init__(
        self, inner: Iterator[tuple[bytes, bytes]], fail: Callable[[Exception], NoReturn]
    ) -> None:
        self._inner: Iterator[tuple[bytes, bytes]] | None = inner
        self._fail = fail

    def stop(self) -> None:
        """Let go of the database."""
        self._inner = None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        while chunk := self._chunk():
            for key, value in chunk:
                if not key.startswith(RESERVED):
                    yield key, value
                elif key.startswith(RESERVED + RESERVED):
                    yield key[len(RESERVED) :], value

    def _chunk(self) -> list[tuple[bytes, bytes]]:
        if self._inner is None:
            raise RuntimeError("the store was closed or wiped while it was being iterated over")
        try:
            return list(islice(self._inner, _CHUNK))
        except Exception as exc:
            self._fail(exc)
