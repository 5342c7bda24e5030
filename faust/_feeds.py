"""What waits for a stream: whole record batches, with the cursor they belong to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from faust._machines.acks import Acks
from faust._machines.effects import Cursor, TaskRun
from faust._machines.withheld import Withheld
from faust._values import TP

__all__ = ["BatchLike", "Feed", "Picked"]


class BatchLike(Protocol):
    """A record batch, as `faust.transport.records.Batch`."""

    data: bytes
    count: int
    next_offset: int

    @property
    def first_timestamp(self) -> int: ...

    def records(self) -> Iterator[Any]: ...


Picked = tuple[Cursor, Any]


class Feed:
    """The batches of all partitions that one reader reads, in order for each partition.

    One feed serves one reader, or the several concurrent streams of one agent; those take single
    records (`next_record`) instead of whole batches.

    Arguments:
        name: The reader's name, for messages.
        on_release: Called with a partition and a number of bytes when a batch has been used up or
            dropped (back-pressure counts them).
    """

    __slots__ = (
        "_closed",
        "_current",
        "_error",
        "_on_release",
        "_waiters",
        "busy",
        "cursors",
        "holder",
        "name",
        "on_batch",
        "on_drop",
        "on_part",
        "on_push",
        "parts",
        "queue",
        "withheld",
    )

    def __init__(self, name: str, on_release: Callable[[TP, int], None]) -> None:
        self.name = name
        self.queue: deque[tuple[Cursor, BatchLike]] = deque()
        self.cursors: dict[TP, Cursor] = {}
        self.on_batch: Callable[[Cursor, int, int, float], None] | None = None
        #: The stream that last took whole batches from here.
        self.holder: Any = None
        #: Seconds that the agent has had what is to be released next.
        self.busy = 0.0
        #: Where every partition is read apart: its feed, made when its first batch comes, and
        #: who is told of it.
        self.parts: dict[TP, Feed] = {}
        self.on_part: Callable[[TP, Feed], None] | None = None
        #: Who takes batches before they are queued, and is told that a task is over (``None``: all
        #: are); returns what it had of it.
        self.on_push: Callable[[Cursor, BatchLike], None] | None = None
        self.on_drop: Callable[[TaskRun | None], list[tuple[Cursor, BatchLike]]] = _had_nothing
        #: What the streams that read it hold back until it is acknowledged, and all before it.
        self.withheld = Withheld()
        self._on_release = on_release
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._current: tuple[Cursor, BatchLike, Iterator[Any] | None] | None = None
        self._error: BaseException | None = None
        self._closed = False

    # -- the dispatcher's side -----------------------------------------------------

    def push(self, cursor: Cursor, batch: BatchLike) -> None:
        """A batch has come."""
        if self.on_part is not None:
            self._part(cursor.tp, self.on_part).push(cursor, batch)
        elif self.on_push is not None:
            self.on_push(cursor, batch)
        else:
            self.enqueue(cursor, batch)

    def enqueue(self, cursor: Cursor, batch: BatchLike) -> None:
        """Append a batch and wake who waits."""
        cursor.waiting += 1
        self.queue.append((cursor, batch))
        self.wake()

    def _part(self, tp: TP, on_part: Callable[[TP, Feed], None]) -> Feed:
        part = self.parts.get(tp)
        if part is None:
            part = self.parts[tp] = Feed(self.name, self._on_release)
            part.cursors, part.on_batch = self.cursors, self.on_batch
            on_part(tp, part)
        return part

    def drop(self, task: TaskRun) -> None:
        """Throw away what waits for a task that is over."""
        for part in self.parts.values():
            part.drop(task)
        for cursor, batch in self.on_drop(task):
            self._on_release(cursor.tp, len(batch.data))
        kept = [(cursor, batch) for cursor, batch in self.queue if cursor.task is not task]
        for cursor, batch in self.queue:
            if cursor.task is task:
                self._on_release(cursor.tp, len(batch.data))
        # In place: a stream that iterates has this very queue in its hands.
        self.queue.clear()
        self.queue.extend(kept)
        self.wake()

    def close(self) -> None:
        """No more will come: who waits gets the end."""
        for part in self.parts.values():
            part.close()
        self.on_drop(None)
        self._closed = True
        self.wake()

    def throw(self, error: BaseException) -> None:
        """Let the next wait raise ``error``."""
        self._error = error
        self.wake()

    def wake(self) -> None:
        """Wake everybody who waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    # -- the stream's side -----------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Has the end been announced?"""
        return self._closed

    async def wait(self) -> bool:
        """Wait until something may have changed; ``False`` at the end."""
        self._raise_thrown()
        if self._closed:
            return False
        if not self.queue and self._current is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self._raise_thrown()
        return not self._closed

    def _raise_thrown(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    async def wait_ack(self) -> bool:
        """Wait until an event was acknowledged by hand (or anything else has changed).

        Returns ``False`` at the end.
        """
        self._raise_thrown()
        if not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
            self._raise_thrown()
        return not self._closed

    def acked(self) -> None:
        """An event was acknowledged by hand."""
        self.wake()

    def release(self, cursor: Cursor, batch: BatchLike, handled: int) -> None:
        """A batch is used up: let more be fetched, count it."""
        cursor.used_up()
        self._on_release(cursor.tp, len(batch.data))
        busy, self.busy = self.busy, 0.0
        if self.on_batch is not None:
            self.on_batch(cursor, handled, batch.next_offset, busy)

    def records_waiting(self) -> int:
        """Records that wait, in whole batches."""
        waiting = sum(batch.count for _, batch in self.queue)
        if self._current is not None:
            waiting += self._current[1].count
        return waiting + sum(part.records_waiting() for part in self.parts.values())

    def waiting(self) -> list[tuple[Cursor, BatchLike]]:
        """Batches that wait and have not been begun, each with its cursor."""
        found = list(self.queue)
        for part in list(self.parts.values()):
            found.extend(part.waiting())
        return found

    def next_record(self) -> Picked | None:
        """Take one record, or ``None`` if there is none now.

        The record's offset is noted as handed out in the cursor's `Acks`.
        """
        while True:
            if self._current is None:
                if not self.queue:
                    return None
                cursor, batch = self.queue.popleft()
                if cursor.acks is None:
                    cursor.acks = Acks(cursor.position)
                self._current = (cursor, batch, None)
            cursor, batch, records = self._current
            if cursor.task.open:
                acks = cursor.acks
                assert acks is not None
                # Taken out while it is iterated over: one that raises is begun anew next time.
                self._current = (cursor, batch, None)
                records = batch.records() if records is None else records
                for record in records:
                    if acks.expects(record.offset):
                        acks.handed(record.offset)
                        self._current = (cursor, batch, records)
                        return cursor, record
                acks.skip_to(batch.next_offset)
            self._current = None
            self.release(cursor, batch, batch.count)

    def __repr__(self) -> str:
        return f"<Feed {self.name}: {len(self.queue)} batches, {len(self.cursors)} partitions>"


def _had_nothing(task: TaskRun | None) -> list[tuple[Cursor, BatchLike]]:
    return []
