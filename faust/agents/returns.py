"""What comes back from retry topics: held until its time has come; and what is not to come twice.

Batches of a retry topic are taken out of an agent's feed before they get there, and given to it
record by record as their times come.  Every pause of one topic is equally long, so they come in the
order in which they were put aside, and none waits for one behind it.

Under at least once a worker may die after it has put an event aside, and before it has committed
that.  The event is then read again; if it succeeded now, it would count once more when it comes
back.  So the truth is the retry topic: when a task starts, what waits there is looked through for
events at or above the committed positions, and these are not handed out from where they were: they
come back anyway.  Which of the records there count, if a send was repeated or a worker was
suspended while it sent, is decided in `faust._machines.copies`; for that, whoever begins with a
task writes a mark before it looks.  (Under exactly once putting aside and committing are one
transaction, the broker fences who was replaced, and there is nothing to look for.)
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from faust._core.background import in_background
from faust._machines.copies import Copies, is_foreign
from faust._machines.effects import Cursor, TaskRun
from faust._machines.retry import backoff
from faust._values import TP, Headers, ProcessingGuarantee
from faust.agents.aside import (
    generation_of,
    group_of,
    mark_beginning,
    not_before,
    put_aside_at,
)
from faust.exceptions import RetryableError

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._feeds import BatchLike, Feed
    from faust.topics import Topic

__all__ = ["Returns"]

logger = logging.getLogger(__name__)

#: So many records before the position are looked at for first copies: a second one lies close by.
LOOK_BACK = 1_000


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
        generation: What its copies are to name; ``None`` where they name nothing.
        aside: Topic -> offsets of events that are not handed out from there: they come back.
        copies: Retry topic -> which of its records count.
        held: What waits until that is known, in order.
        working: What waits for time to pass, or for the broker.
    """

    def __init__(self) -> None:
        self.known = False
        self.generation: int | None = None
        self.aside: dict[str, set[int]] = {}
        self.copies: dict[str, Copies] = {}
        self.held: deque[tuple[Cursor, BatchLike]] = deque()
        self.queues: dict[TP, deque[tuple[Cursor, _Held]]] = {}
        self.working: set[asyncio.Task[None]] = set()

    def counts(self, topic: str, offset: int, headers: Headers) -> bool:
        """Is a record of a retry topic, which is ours, to be handled?"""
        copies = self.copies.get(topic)
        if copies is None:
            copies = self.copies[topic] = Copies()
        return copies.counts(offset, put_aside_at(headers), generation_of(headers))


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
        self._topics: dict[str, Topic[Any]] = {}
        #: Retry topics, and the groups of other apps that use them, too: those that were said.
        self._others: set[tuple[str, str]] = set()
        feed.on_push, feed.on_drop = self.push, self.drop

    @classmethod
    def of(cls, app: AppContext, feed: Feed) -> Returns:
        """Return those of a feed, made on first use."""
        owner = getattr(feed.on_push, "__self__", None)
        return owner if isinstance(owner, cls) else cls(app, feed)

    def add(self, retry_topic: Topic[Any], pause: float) -> None:
        """Let events come back from a retry topic, after so many seconds."""
        (name,) = retry_topic.topics
        self._pauses[name], self._topics[name] = pause, retry_topic

    def knows(self, task: TaskRun) -> bool:
        """Is it known what was put aside of a task before?"""
        run = self._runs.get(task)
        return run is not None and run.known

    def generation(self, task: TaskRun) -> int | None:
        """Return what copies of a task's events are to name as their writer's generation."""
        run = self._runs.get(task)
        return None if run is None else run.generation

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
        name = f"retry:{self._feed.name}:{what}"
        task = in_background(work, name, self._app.on_crash)
        run.working.add(task)
        task.add_done_callback(run.working.discard)

    def _route(self, run: _Run, cursor: Cursor, batch: BatchLike) -> None:
        aside = run.aside.get(cursor.tp.topic)
        if aside:
            batch = self._without(batch, aside)
        if cursor.tp.topic not in self._pauses:
            self._feed.enqueue(cursor, batch)
            return
        held = self._what_counts(run, cursor.tp, batch)
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

    def _what_counts(self, run: _Run, tp: TP, batch: BatchLike) -> _Held:
        kept = [
            (self._due(tp.topic, record), record)
            for record in batch.records()
            if self._counts(run, tp, record.offset, record.headers)
        ]
        return _Held(kept, batch)

    def _counts(self, run: _Run, tp: TP, offset: int, headers: Headers) -> bool:
        """Is a record of a retry topic to be handled?"""
        group = group_of(headers)
        if group is None or not is_foreign(group, self._app.conf.id):
            return run.counts(tp.topic, offset, headers)
        if (tp.topic, group) not in self._others:
            self._others.add((tp.topic, group))
            logger.warning(
                "Agent %s: app %r puts events into retry topic %s, too (%s-%d@%d): they come back "
                "to that app, and are left out here. If there is no such app any more, nobody "
                "handles them. Give each app a retry topic of its own: topic=True, or another name",
                self._feed.name, group, tp.topic, tp.topic, tp.partition, offset,
            )  # fmt: skip
        return False

    # -- what was put aside before -----------------------------------------------------------

    def _must_look(self) -> bool:
        guarantee = self._app.conf.processing_guarantee
        return guarantee is not ProcessingGuarantee.EXACTLY_ONCE

    async def _look(self, task: TaskRun, run: _Run) -> None:
        """Find out what waits in the retry topics; then go on with what was held."""
        for cursor in list(self._feed.cursors.values()):
            if cursor.task is task and cursor.tp.topic in self._pauses:
                partition = cursor.tp.partition
                await mark_beginning(
                    self._app, self._topics[cursor.tp.topic], partition, task.generation
                )
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
        run.generation = await self._generation(task, run)
        run.known = True
        while run.held:
            cursor, batch = run.held.popleft()
            self._route(run, cursor, batch)
            cursor.waiting -= 1

    async def _generation(self, task: TaskRun, run: _Run) -> int | None:
        """Return what our copies are to name, having looked."""
        highest = max((copies.generation for copies in run.copies.values()), default=-1)
        if highest <= task.generation:
            return task.generation
        # We were replaced, and shall hear of it in a moment; or the group has begun to count anew.
        logger.warning(
            "Agent %s: its retry topics tell of generation %d, and task %s began here in "
            "generation %d: it waits until the group of %s has told whether the task is still ours",
            self._feed.name, highest, task.id, task.generation, self._app.conf.id,
        )  # fmt: skip
        await self._app.until_heard_of()
        logger.warning(
            "Agent %s: its retry topics tell of generation %d, and the group of %s is in generation"
            " %d only: was it deleted? Until it has counted as far, a worker that is suspended "
            "while it puts an event aside may let it be handled twice",
            self._feed.name, highest, self._app.conf.id, task.generation,
        )  # fmt: skip
        return None

    def _note(self, run: _Run, copies: Cursor, offset: int, headers: Headers) -> None:
        place = put_aside_at(headers)
        if not self._counts(run, copies.tp, offset, headers) or place is None:
            return
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
