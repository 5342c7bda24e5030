"""The one thread of a process that writes: transactions that carry all that waits (group commit).

Theory.  SQLite has one writer at a time, and calls that wait.  So each process has one thread for
writing; what arrives while a transaction runs goes into the next one together, and the event loop
is told of a whole transaction's results by one call.

* *Fair among processes.*  Ahead of SQLite's own lock, which a loser asks for again after pauses of
  up to 100 ms, writers queue at an advisory lock on a file beside the database: the kernel wakes
  the next one at once, and lets go of it when its holder dies.  It only orders; SQLite's lock
  protects.
* *Nothing half.*  An operation decides before it writes; one that fails has changed nothing, and
  the others of its transaction go on.  A transaction that failed as a whole is rolled back, and
  each of its operations tried alone.
* *Who may judge silence.*  A session time-out holds a member's silence against it, but a process
  that is stopped inside a write transaction silences everybody.  So a process judges only over a
  stretch in which it could have written itself: every transaction (an empty one each half second,
  from `maintenance`) proves that it can.  A gap between proofs, or a long wait for the lock, begins
  the stretch anew (`Writability`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from faust._core.clock import Clock
from faust.exceptions import BrokerUnavailable, FaustError
from faust.transport.drivers.sqlite.errors import FileReplaced, is_passing, translate
from faust.transport.drivers.sqlite.location import Location
from faust.transport.drivers.sqlite.log import Session

__all__ = ["Operation", "Writability", "Writer"]

R = TypeVar("R")

#: Most operations, and most bytes, of one transaction (a reader elsewhere waits for its end).
_MOST_OPERATIONS = 256
_MOST_BYTES = 4 << 20
#: Seconds: a gap between two proofs, or a wait for the lock, after which silence counts anew.
_LONGEST_GAP = 2.0
_LONGEST_WAIT = 1.0


class Writability:
    """Since when this process could have written at any time."""

    def __init__(self, now: float) -> None:
        self.since = now
        self._last = now

    def prove(self, asked: float, granted: float) -> None:
        """A write lock asked for at that time was granted at this one."""
        if asked - self._last > _LONGEST_GAP or granted - asked > _LONGEST_WAIT:
            self.since = granted
        self._last = granted


class Operation(Generic[R]):
    """Something to be done in a write transaction, and the future that hears of it.

    Attributes:
        run: What to do; it raises a `FaustError` before it has changed anything, or not at all.
        size: About how many bytes it writes.
        abandoned: Nobody waits any more: do not begin.
    """

    __slots__ = ("_error", "_result", "abandoned", "future", "run", "size")

    def __init__(
        self, run: Callable[[Session], R], future: asyncio.Future[R], size: int = 0
    ) -> None:
        self.run = run
        self.size = size
        self.future = future
        self.abandoned = False
        self._result: R
        self._error: BaseException | None = None

    def attempt(self, session: Session) -> None:
        """Run; keep the outcome for `deliver`."""
        self._error = None
        try:
            self._result = self.run(session)
        except FaustError as error:
            self._error = error

    @property
    def error(self) -> BaseException | None:
        """Why it failed, if it did."""
        return self._error

    def undo(self) -> None:
        """The transaction was rolled back: it will be tried again, or fail."""

    def fail(self, error: BaseException) -> None:
        """It did not happen."""
        self._error = error

    def deliver(self) -> None:
        """Tell the future (on the event loop)."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)


class Writer:
    """The writing thread of one process."""

    def __init__(
        self,
        location: Location,
        db: sqlite3.Connection,
        session: Session,
        *,
        clock: Clock,
        patience: float,
        committed: Callable[[], None],
        ring: Callable[[], None],
    ) -> None:
        self.location = location
        self.session = session
        self.writability = Writability(clock.monotonic())
        self._db = db
        self._clock = clock
        self._patience = patience
        self._committed = committed
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Operation[Any] | None] = queue.SimpleQueue()
        self._inode = os.stat(location.path).st_ino
        self._lock = self._open_lock()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="faust-sqlite-writer", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Writer {self.location.path}: {self._queue.qsize()} waiting>"

    # -- on the event loop -------------------------------------------------------------------

    def submit(self, operation: Operation[Any]) -> None:
        """Let it be done; its future tells when it is committed."""
        self._queue.put(operation)

    async def call(self, run: Callable[[Session], R], *, timeout: float | None = None) -> R:
        """Do something in a write transaction and return its result.

        Raises:
            BrokerUnavailable: not done within ``timeout`` (default: the request time-out); if it
                had begun, it may be done yet.
        """
        seconds = self._patience if timeout is None else timeout
        operation: Operation[R] = Operation(run, self._loop.create_future())
        self.submit(operation)
        try:
            async with asyncio.timeout(seconds):
                return await operation.future
        except TimeoutError:
            raise self.locked(seconds) from None
        finally:
            operation.abandoned = True

    def locked(self, seconds: float) -> BrokerUnavailable:
        """Return the error for something that could not be written for so long."""
        return BrokerUnavailable(
            f"{self.location.path} could not be written for {seconds:g} s: "
            "is a process stopped in the middle of a write?"
        )

    async def close(self, timeout: float = 5.0) -> None:
        """Finish what waits, then end the thread (one that is stuck at a lock is left behind)."""
        self._queue.put(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._ended.wait()

    # -- on the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        stopping = False
        while not stopping:
            first = self._queue.get()
            group, stopping = self._gather(first)
            if group:
                self._commit(group)
                self._tell(self._deliver, group)
        self._db.close()
        os.close(self._lock)
        self._tell(self._ended.set)

    def _tell(self, what: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(what, *args)

    def _gather(self, item: Operation[Any] | None) -> tuple[list[Operation[Any]], bool]:
        group: list[Operation[Any]] = []
        size = 0
        while item is not None:
            if not item.abandoned:
                group.append(item)
                size += item.size
            if len(group) >= _MOST_OPERATIONS or size >= _MOST_BYTES:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _deliver(self, group: list[Operation[Any]]) -> None:
        for operation in group:
            operation.deliver()
        self._committed()

    def _commit(self, group: list[Operation[Any]]) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._transact(group)
            except Exception as error:
                failure = error
            passing = isinstance(failure, sqlite3.Error) and is_passing(failure)
            if passing and time.monotonic() < deadline:
                time.sleep(0.02)
            elif passing or len(group) == 1:
                return self._fail(group, failure)
            else:
                for operation in group:
                    self._commit([operation])
                return None

    def _fail(self, group: list[Operation[Any]], failure: Exception) -> None:
        error = failure
        if isinstance(failure, sqlite3.Error):
            error = translate(self.location.path, failure)
            error.__cause__ = failure
        for operation in group:
            operation.fail(error)

    def _transact(self, group: list[Operation[Any]]) -> None:
        asked = self._clock.monotonic()
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self.writability.prove(asked, self._clock.monotonic())
                self._run(group)
                self._check_file()
                self._db.execute("COMMIT")
            except BaseException:
                self.session.forget()
                for operation in group:
                    operation.undo()
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
        if self.session.touched:
            self._ring()

    def _run(self, group: list[Operation[Any]]) -> None:
        session = self.session
        session.writable_since = self.writability.since
        session.begin()
        for operation in group:
            if not operation.abandoned:
                operation.attempt(session)
        session.flush()

    def _check_file(self) -> None:
        try:
            same = os.stat(self.location.path).st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise FileReplaced(self.location.path)

    def _open_lock(self) -> int:
        try:
            os.makedirs(self.location.companion, exist_ok=True)
            return os.open(
                os.path.join(self.location.companion, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            )
        except OSError:
            # No directory beside the file: SQLite's own lock has to do.
            return os.open(self.location.path, os.O_RDONLY | os.O_CLOEXEC)
