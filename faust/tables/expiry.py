"""Expiry: windows that have closed leave the table, its store and its changelog.

A window of a table with ``expires`` is closed when ``end + expires`` has been reached by the clock
of its partition, which is the *watermark*: the highest time at which a finished event has written
there, by whatever the table is relative to.  So replaying old data closes what it closed the first
time, and nothing more.  The watermark stands in each commit; after a crash it goes on from there.

- *Relative to now* the clock is the worker's.
- *Idle*: while all readers of the task stand at the end of their partitions and do not move, the
  time that passes on the worker's clock counts on top of the watermark: the last window of a
  stream that has ended closes, too.  It counts up to the last answer of the broker that said so:
  while it is away nobody knows what has been written.
- *Too late*: what is written to a window that is closed already is left out, counted
  (`Expiry.late`) and logged.  Otherwise one window would close twice, and whether a late event
  counts would depend on when the last sweep was.

A deletion is a write of the task, made between events: it is committed with the task's positions,
and taken back with them.  So `on_window_close` is called once for each window of a key, unless the
worker dies between the call and the commit.

Keys are found by the end of their window in an index: live writes add to it, and the first sweep
of a slice reads the keys that its store holds.  It takes about 100 bytes for each window of a key.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from faust._core.gathering import gather
from faust._machines.effects import Effects
from faust._machines.expiry import ExpiryIndex
from faust.stores.overlay import DELETED
from faust.tables.ranges import end_of

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._machines.effects import TaskRun
    from faust.stores.overlay import Slice
    from faust.windows import Window, WindowRange

__all__ = ["Expiry"]

logger = logging.getLogger(__name__)

#: After about this much work without a pause a sweep lets the event loop run (seconds).
PACE_SECONDS = 0.005
#: How many keys are handled between two looks at the clock.
PACE_KEYS = 64
#: How often it is logged that events came too late (seconds of the worker's clock).
LATE_LOG_INTERVAL = 60.0


class ExpiringTable(Protocol):
    """A windowed table, as expiry sees it: `faust.tables.base.Collection`."""

    app: AppContext
    name: str
    slices: dict[TaskRun, Slice]

    @property
    def by_wall_clock(self) -> bool: ...
    @property
    def hears_window_close(self) -> bool: ...
    async def on_window_close(self, key: Any, value: Any) -> None: ...


class Expiry:
    """What one windowed table knows of the ends of its windows.

    Attributes:
        late: Writes that were left out because their window was closed already.
        watermarks: Partition -> watermark, Unix time in seconds.
    """

    def __init__(self, table: ExpiringTable, window: Window, watermarks: dict[int, float]) -> None:
        self.table = table
        self.window = window
        self.watermarks = watermarks
        self.late = 0
        self._parts: dict[TaskRun, _Part] = {}
        self._late_logged = -inf

    # -- writes ------------------------------------------------------------------------

    def admit(
        self, piece: Slice, timestamp: float | None, ranges: list[WindowRange]
    ) -> list[WindowRange]:
        """An event writes these ranges at a time; return those that are not closed.

        Without a time (a window was named) the watermark stays where it is.
        """
        part = self._part(piece)
        if timestamp is not None:
            part.observe(timestamp)
        stale, time = self.window.stale, part.time
        if stale(ranges[0], time):
            open_ranges = [each for each in ranges if not stale(each, time)]
            self._count_late(len(ranges) - len(open_ranges), ranges[0], time)
            return open_ranges
        return ranges

    def observe(self, piece: Slice, timestamp: float) -> None:
        """The event in progress writes at this time."""
        self._part(piece).observe(timestamp)

    def is_closed(self, piece: Slice, window_range: WindowRange) -> bool:
        """Is nothing added to this window any more, whether or not it has been swept?"""
        return self.window.stale(window_range, self._part(piece).time)

    def written(self, piece: Slice, window_end: float, kept: Any) -> None:
        """A key of a window may be there from now on."""
        self._part(piece).index.add(window_end, kept[0])

    def _count_late(self, count: int, window_range: WindowRange, time: float) -> None:
        self.late += count
        now = self.table.app.clock.time()
        if now - self._late_logged >= LATE_LOG_INTERVAL:
            self._late_logged = now
            logger.warning(
                "Table %r: an event came too late for the window that ended at %s: the partition "
                "is at %s, and windows are kept for %s s (%d writes left out so far)",
                self.table.name, window_range.end, time, self.window.expires, self.late,
            )  # fmt: skip

    def _part(self, piece: Slice) -> _Part:
        part = self._parts.get(piece.task)
        if part is None:
            part = self._parts[piece.task] = _Part(piece.task, self.watermarks)
        return part

    # -- life of a task -----------------------------------------------------------------

    def drop(self, run: TaskRun) -> None:
        """A task is over."""
        part = self._parts.pop(run, None)
        for sent in part.announced.values() if part is not None else ():
            sent.undo()
        if not any(other.partition == run.partition for other in self.table.slices):
            self.watermarks.pop(run.partition, None)

    def restore(self, partition: int, value: float) -> None:
        """The last commit of a partition's task says where its watermark stood."""
        self.watermarks[partition] = value
        for run, part in self._parts.items():
            if run.partition == partition:
                part.advance(value)

    # -- sweeping -----------------------------------------------------------------------

    async def sweep(self, piece: Slice, now: float) -> int:
        """Close the windows of a slice that have expired; return how many keys went.

        What an event in progress holds stays for the next sweep.

        Raises:
            Exception: what the callback for closed windows raised; that window is still there.
        """
        part = self._part(piece)
        if not part.complete:
            await self._complete(part, piece)
        due = part.index.expired(self._time(part, now) - (self.window.expires or 0.0))
        due.reverse()
        postponed: list[tuple[float, bytes]] = []
        try:
            return await self._close_all(part, piece, due, postponed)
        finally:
            for end, raw in (*due, *postponed):
                part.index.add(end, raw)

    async def _close_all(
        self,
        part: _Part,
        piece: Slice,
        due: list[tuple[float, bytes]],
        postponed: list[tuple[float, bytes]],
    ) -> int:
        closed = 0
        pace = _Pace()
        while due and piece.task.alive:
            end, raw = due[-1]
            if piece.holds((raw,)) and not await self._close(part, piece, end, raw):
                postponed.append((end, raw))
            else:
                closed += 1
            due.pop()
            await pace.step()
        return closed

    async def _close(self, part: _Part, piece: Slice, end: float, raw: bytes) -> bool:
        """Announce the end of a window of a key, and delete it; false if that must wait."""
        kept = (raw,)
        if not piece.is_free(kept):
            return False
        part.advance(end + (self.window.expires or 0.0))
        if self.table.hears_window_close and raw not in part.announced:
            part.announced[raw] = await self._announce(piece, raw)
            if not piece.task.alive:
                part.announced.pop(raw).undo()
                return False
            if not piece.is_free(kept):
                return False
        piece.put_direct(kept, DELETED)
        sent = part.announced.pop(raw, None)
        if sent is not None:
            sent.finish()
        return True

    async def _announce(self, piece: Slice, raw: bytes) -> Effects:
        """Say that a window has closed; what is sent then counts when it is deleted."""
        sent = Effects()
        try:
            with gather(piece.task, sent):
                await self.table.on_window_close(piece.codec.load_key(raw), piece.peek((raw,)))
        except BaseException:
            sent.undo()
            raise
        return sent

    async def _complete(self, part: _Part, piece: Slice) -> None:
        """Read which keys are there already: restored from a changelog, or kept by the store."""
        pace = _Pace()
        for raw in piece.raw_keys():
            end = end_of(raw)
            if end is not None:
                part.index.add(end, raw)
            await pace.step()
            if not piece.task.alive:
                return
        part.complete = True

    def _time(self, part: _Part, now: float) -> float:
        """Return what time it is in a partition."""
        time = part.time_with_idling(now)
        return now if self.table.by_wall_clock else time

    def __repr__(self) -> str:
        return f"<Expiry {self.window} late={self.late} watermarks={self.watermarks}>"


class _Part:
    """Index and watermark of one task's slice; the watermark is an effect of events."""

    def __init__(self, run: TaskRun, watermarks: dict[int, float]) -> None:
        self.run = run
        self.index: ExpiryIndex[bytes] = ExpiryIndex()
        #: Does the index know what was there before this worker's first event?
        self.complete = False
        #: Windows that were announced, and are not deleted because an event was reading them: what
        #: was sent for them.
        self.announced: dict[bytes, Effects] = {}
        #: The watermark with the event in progress.
        self.time = watermarks.get(run.partition, -inf)
        self._watermarks = watermarks
        self._finished = self.time
        self._idle_at: tuple[int, ...] = ()
        self._idle_since = inf
        self._idle_time = -inf

    # -- the watermark -------------------------------------------------------------------

    def observe(self, timestamp: float) -> None:
        """The event in progress writes at this time."""
        if timestamp > self.time:
            if self.time == self._finished:
                self.run.note(self)
            self.time = timestamp

    def advance(self, timestamp: float) -> None:
        """The watermark is at least here, whatever becomes of the event in progress."""
        self.time = max(self.time, timestamp)
        if timestamp > self._finished:
            self._finished = self._watermarks[self.run.partition] = timestamp

    def prepare(self) -> None:
        """Nothing of it can fail."""

    def finish(self) -> None:
        """The event is finished."""
        self.advance(self.time)

    def forget_event(self) -> None:
        """The event is over, one way or the other."""
        self.time = self._finished

    # -- idleness ------------------------------------------------------------------------

    def time_with_idling(self, now: float) -> float:
        """Return the watermark, and how long nothing has come on top of it."""
        cursors = self.run.cursors
        places = tuple(cursor.committable for cursor in cursors)
        busy = any(cursor.lag or cursor.waiting for cursor in cursors)
        if busy or places != self._idle_at or self._idle_since > now:
            self._idle_at, self._idle_since, self._idle_time = places, now, self._finished
        known = min([now, *(cursor.heard for cursor in cursors)])
        return max(self._finished, self._idle_time + max(0.0, known - self._idle_since))


class _Pace:
    """Lets the event loop run now and then."""

    def __init__(self) -> None:
        self._steps = 0
        self._began = perf_counter()

    async def step(self) -> None:
        """One more key has been handled."""
        self._steps += 1
        if not self._steps % PACE_KEYS and perf_counter() - self._began > PACE_SECONDS:
            await asyncio.sleep(0)
            self._began = perf_counter()
