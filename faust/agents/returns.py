"""What comes back from retry topics: held until its time has come; and what is not to come twice.

Batches of a retry topic are taken out of an agent's feed before they get there, and given to it
record by record as their times come.  Every pause of one topic is equally long, so they come in the
order in which they were put aside, and none waits for one behind it.

Under at least once a worker may die after it has put an event aside, and before it has committed
that.  The event is then read again; if it succeeded now, it would count once more when it comes
back.  So the truth is the retry topic: when a task starts, what waits there is looked through for
events at or above the committed positions, and these are not handed out from where they were: they
come back anyway.  And where the answer to a send was lost, the copy is sent again and may be there
twice; what was put aside from one place comes back once.  (Under exactly once putting aside and
committing are one transaction, and there is nothing to look for.)
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from faust._machines.effects import Cursor, TaskRun
from faust._machines.retry import backoff
from faust._values import TP, ProcessingGuarantee
from faust.agents.retries import not_before, put_aside_at
from faust.exceptions import RetryableError

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._feeds import BatchLike, Feed

__all__ = ["Returns"]

logger = logging.getLogger(__name__)

#: So many records before the position are looked at for first copies: a second one lies close by.
LOOK_BACK = 1_000
#: So many places are remembered for each retry partition.
COPIES = 10_000


class _Part:
    """Some of the records of a batch, as a batch."""

    __slots__ = ("_records", "count", "data", "next_offset")

    def __init__(self, records: list[Any], data: bytes, next_offset: int) -> None:
        self._records = records
        self.count = len(records)
        self.data = data
        self.next_offset = next_offset

    @property
    def first_timestamp(self) -> int:
        """The timestamp of the first of them, milliseconds."""
        return int(self._records[0].timestamp) if self._records else 0

    def records(self) -> Iterator[Any]:
        """Iterate over them."""
        return iter(self._records)


class _Held(_Part):
    """A batch of a retry topic, with when each of its records may be handed out (monotonic)."""

    __slots__ = ("dues",)

    def __init__(self, dues: list[tuple[float, Any]], batch: BatchLike) -> None:
        super().__init__([record for _, record in dues], batch.data, batch.next_offset)
        self.dues = dues


class _Run:
    """One task of one feed.

    Attributes:
        known: Is it known what was put aside before?
        aside: Topic -> offsets of events that are not handed out from there: they come back.
        seen: Retry topic -> from where a copy came -> offset of the first copy.
        held: What waits until that is known, in order.
        working: What waits for time to pass, or for the broker.
    """

    def __init__(self) -> None:
        self.known = False
        self.aside: dict[str, set[int]] = {}
        self.seen: dict[str, dict[tuple[str, int], int]] = {}
        self.held: deque[tuple[Cursor, BatchLike]] = deque()
        self.queues: dict[TP, deque[tuple[Cursor, _Held]]] = {}
        self.working: set[asyncio.Task[None]] = set()

    def first_copy(self, topic: str, place: tuple[str, int], offset: int) -> int:
        """Return the offset of the first copy in a retry topic of what came from one place."""
        seen = self.seen.setdefault(topic, {})
        first = seen.setdefault(place, offset)
        if len(seen) > COPIES:
            del seen[next(iter(seen))]
        return first


class Returns:
    """What comes back to the readers of one feed.

    Arguments:
        app: The app.
        feed: Where batches of the sources and of the retry topics arrive.
    """

    def __init__(self, app: AppContext, feed: Feed) -> None:
        self._app = app
        self._feed = feed
        self._runs: dict[TaskRun, _Run] = {}
        #: Retry topic -> seconds after which events come back from it.
        self._pauses: dict[str, float] = {}
        feed.on_push, feed.on_drop = self.push, self.drop

    @classmethod
    def of(cls, app: AppContext, feed: Feed) -> Returns:
        """Return those of a feed, made on first use."""
        owner = getattr(feed.on_push, "__self__", None)
        return owner if isinstance(owner, cls) else cls(app, feed)

    def add(self, retry_topic: str, pause: float) -> None:
        """Let events come back from a retry topic, after so many seconds."""
        self._pauses[retry_topic] = pause

    # -- the conductor's side ------------------------------------------------------------

    def push(self, cursor: Cursor, batch: BatchLike) -> None:
        """A batch has come: of a source, or of a retry topic."""
        run = self._runs.get(cursor.task)
        if run is None:
            run = self._runs[cursor.task] = _Run()
            run.known = not self._must_look()
            if not run.known:
                self._work(run, self._look(cursor.task, run), "look")
        if run.known:
            self._route(run, cursor, batch)
        else:
            cursor.waiting += 1
            run.held.append((cursor, batch))

    def drop(self, task: TaskRun | None) -> list[tuple[Cursor, BatchLike]]:
        """A task is over (``None``: all are): return what was held of it."""
        found: list[tuple[Cursor, BatchLike]] = []
        for each in [task] if task is not None else list(self._runs):
            run = self._runs.pop(each, None)
            if run is not None:
                for working in run.working:
                    working.cancel()
                found.extend(run.held)
                found.extend(pair for queue in run.queues.values() for pair in queue)
        return found

    def _work(self, run: _Run, work: Any, what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"retry:{self._feed.name}:{what}")
        run.working.add(task)
        task.add_done_callback(run.working.discard)

    def _route(self, run: _Run, cursor: Cursor, batch: BatchLike) -> None:
        aside = run.aside.get(cursor.tp.topic)
        if aside:
            batch = self._without(batch, aside)
        if cursor.tp.topic not in self._pauses:
            self._feed.enqueue(cursor, batch)
            return
        held = self._first_copies(run, cursor.tp.topic, batch)
        cursor.waiting += 1
        queue = run.queues.get(cursor.tp)
        if queue is None:
            queue = run.queues[cursor.tp] = deque()
            self._work(run, self._give_back(run, cursor.tp, queue), f"{cursor.tp.partition}")
        queue.append((cursor, held))

    @staticmethod
    def _without(batch: BatchLike, aside: set[int]) -> BatchLike:
        kept: list[Any] = []
        for record in batch.records():
            if record.offset in aside:
                aside.discard(record.offset)
            else:
                kept.append(record)
        return _Part(kept, batch.data, batch.next_offset)

    def _first_copies(self, run: _Run, topic: str, batch: BatchLike) -> _Held:
        kept: list[tuple[float, Any]] = []
        for record in batch.records():
            place = put_aside_at(record.headers)
            if place is None or run.first_copy(topic, place, record.offset) == record.offset:
                kept.append((self._due(topic, record), record))
        return _Held(kept, batch)

    # -- what was put aside before -----------------------------------------------------------

    def _must_look(self) -> bool:
        guarantee = self._app.conf.processing_guarantee
        return guarantee is not ProcessingGuarantee.EXACTLY_ONCE

    async def _look(self, task: TaskRun, run: _Run) -> None:
        """Find out what waits in the retry topics; then go on with what was held."""
        for cursor in list(self._feed.cursors.values()):
            if cursor.task is task and cursor.tp.topic in self._pauses:
                start = max(0, cursor.position - LOOK_BACK)
                for offset, headers in await self._read(cursor.tp, start):
                    self._note(run, cursor, offset, headers)
        found = sum(map(len, run.aside.values()))
        if found:
            logger.info(
                "Agent %s: %d events of task %s wait in retry topics already, though that was not "
                "committed; they come back from there, and are not handled twice",
                self._feed.name, found, task.id,
            )  # fmt: skip
        run.known = True
        while run.held:
            cursor, batch = run.held.popleft()
            self._route(run, cursor, batch)
            cursor.waiting -= 1

    def _note(self, run: _Run, copies: Cursor, offset: int, headers: Any) -> None:
        place = put_aside_at(headers)
        if place is None:
            return
        run.first_copy(copies.tp.topic, place, offset)
        topic, at = place
        cursor = self._feed.cursors.get(TP(topic, copies.tp.partition))
        if cursor is not None and cursor.task is copies.task and not cursor.is_done(at):
            run.aside.setdefault(topic, set()).add(at)

    async def _read(self, tp: TP, start: int) -> list[Any]:
        failures = 0
        while True:
            try:
                return await self._app.headers_from(tp, start)
            except RetryableError as exc:
                failures += 1
                logger.warning("Retry topic %s cannot be looked through yet: %s", tp.topic, exc)
                await self._app.clock.sleep(backoff(failures, 0.1, 5.0))

    # -- when their times come -----------------------------------------------------------------

    def _due(self, topic: str, record: Any) -> float:
        """Return when a record may be handed out, on the clock that only goes forward.

        That is never later than one pause after it has come, whatever the wall clock did.
        """
        clock = self._app.clock
        wait = not_before(record.headers) - clock.time()
        return clock.monotonic() + min(max(0.0, wait), self._pauses[topic])

    async def _give_back(self, run: _Run, tp: TP, queue: deque[tuple[Cursor, _Held]]) -> None:
        clock = self._app.clock
        while queue:
            cursor, held = queue[0]
            waiting = deque(pair for pair in held.dues if not cursor.is_done(pair[1].offset))
            is_last = False
            while not is_last:
                if waiting and (wait := waiting[0][0] - clock.monotonic()) > 0:
                    await clock.sleep(wait)
                now, ready = clock.monotonic(), []
                while waiting and waiting[0][0] <= now:
                    ready.append(waiting.popleft()[1])
                is_last = not waiting
                if is_last:
                    self._feed.enqueue(cursor, _Part(ready, held.data, held.next_offset))
                elif ready:
                    self._feed.enqueue(cursor, _Part(ready, b"", ready[-1].offset + 1))
            cursor.waiting -= 1
            queue.popleft()
        del run.queues[tp]
