"""What the workers of one transport share: the writer, the reading connection, the bell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from faust.exceptions import BrokerUnavailable, FaustError
from faust.transport.base import TransportOptions
from faust.transport.drivers.sqlite.errors import is_passing, translate
from faust.transport.drivers.sqlite.location import Location
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.schema import open_reader, open_writer
from faust.transport.drivers.sqlite.wake import Bell
from faust.transport.drivers.sqlite.writer import Writer

__all__ = ["Connection"]

R = TypeVar("R")


class Connection:
    """An open broker file.

    Attributes:
        location: Where it is.
        options: The transport's.
        bell: Wakes those who wait, here and in other processes.
        failure: Why there is no going on, not even reading.
        writer: Does what writes.
    """

    def __init__(self, location: Location, options: TransportOptions) -> None:
        self.location = location
        self.options = options
        self.bell = Bell(location.companion)
        self.failure: FaustError | None = None
        self._db: sqlite3.Connection | None = None
        self._writer: Writer | None = None

    @property
    def writer(self) -> Writer:
        """The writing thread."""
        if self._writer is None:
            raise BrokerUnavailable(f"{self.location.path} is not open")
        return self._writer

    async def open(self) -> None:
        """Open the file, creating it where there is none.

        Raises:
            StopError, ImproperlyConfigured, BrokerUnavailable: see `schema.open_writer`.
        """
        options = self.options
        self._make_directory()
        db = await asyncio.to_thread(
            open_writer, self.location, timeout=min(options.request_timeout, 10.0)
        )
        try:
            self._db = open_reader(self.location)
            created = options.default_partitions if self.location.auto_create else 0
            self._writer = Writer(
                self.location,
                db,
                Session(db, options.clock, created),
                clock=options.clock,
                patience=options.request_timeout,
                committed=self.bell.notify,
                ring=self.bell.ring,
            )
        except BaseException:
            db.close()
            raise
        self.bell.open()

    def _make_directory(self) -> None:
        # The data directory may not be there yet; any other has to be.
        base = os.path.abspath(self.options.base_directory)
        if self.location.path.startswith(base + os.sep):
            with contextlib.suppress(OSError):  # SQLite will say so
                os.makedirs(os.path.dirname(self.location.path), exist_ok=True)

    async def close(self) -> None:
        """Finish what was handed over, then let go of the file."""
        if self._writer is not None:
            await self._writer.close()
            self._writer = None
        self.bell.close()
        if self._db is not None:
            self._db.close()
            self._db = None

    async def read(self, run: Callable[[sqlite3.Connection], R]) -> R:
        """Read, on the event loop; a lock (recovery after a crash) is waited for.

        Raises:
            BrokerUnavailable: it stayed locked for the request time-out.
            StopError: the file is damaged.
        """
        deadline = time.monotonic() + self.options.request_timeout
        while True:
            if self.failure is not None:
                raise self.failure
            if self._db is None:
                raise BrokerUnavailable(f"{self.location.path} is not open")
            try:
                return run(self._db)
            except sqlite3.Error as error:
                if not is_passing(error) or time.monotonic() >= deadline:
                    raise translate(self.location.path, error) from error
            await asyncio.sleep(0.02)
