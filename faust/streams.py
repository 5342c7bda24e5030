"""Streams: what an agent iterates over.

THE HOT PATH is `Stream._iterate`: one async generator that runs through whole record batches.  What
an event costs here, on a machine where a Python call costs 50 ns: parsing it out of the batch
(0.1 us, compiled), decoding it (0.25 us, compiled), the generator's step (0.1 us), five
comparisons and three attribute writes (0.1 us).  There is no queue operation, future, task, lock,
callback or sensor call per event.  Measure (``benchmarks/``) before and after every line that is
added to it.

An event is *finished* when the agent comes back for the next one.  Until then the cursor's position
stays below it and its table writes are kept apart, so that whatever cuts the task meanwhile (a
commit, a revocation, a crash) sees the boundary before it.  If the agent raises, its effects are
undone and the same event is handed out again to the restarted agent (`Stream.failed`).

`Stream` is made in layers, each in a file of its own, from the bottom up: ``_inprogress`` (the
event in progress, and its gate), ``_acking`` (when what it did counts), ``_failing`` (what becomes
of one that failed), ``_succession`` (how an iteration takes over from another); beside them
``_operators`` (what is done with values on the way) and ``_forms`` (events, keys and values,
lists).  Ways of iterating that need more for each event: ``_records``, ``_takes``, ``_plain``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from time import perf_counter as perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from faust._failing import SKIPPED
from faust._forms import Forms
from faust._forwarded import SOURCE_HEADER, was_seen
from faust._inprogress import _current, current_event, current_stream
from faust._machines.effects import Cursor
from faust._operators import Operators, Processor
from faust._succession import Succession
from faust.events import Event
from faust.exceptions import KeyDecodeError, Skip

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._feeds import Feed

__all__ = ["SKIPPED", "SOURCE_HEADER", "Stream", "current_event", "current_stream"]

T_co = TypeVar("T_co", covariant=True)

#: After about this much work without a pause a stream lets the event loop run (seconds).
SLICE_SECONDS = 0.005
#: Above this cost per event the clock is looked at after every event, below it after sixteen.
SLOW_EVENT_SECONDS = 0.0002


class Stream(Operators, Forms[T_co], Succession):
    """An asynchronous iterator over the events of a channel, a topic, or any iterable.

    Arguments:
        channel: What to read from.
        app: The app.
        processors: Functions (sync or async) that each value passes, in order.
        name: Name of the reader on whose behalf it reads (the agent's).
        feed: Where the batches of a topic arrive; taken from the app if not given.
        shared: Other streams take records from the same feed (``concurrency``).
        enable_acks: Acknowledge events when the iteration goes on; otherwise by hand.
        concurrency_index: Number of the stream among those that share.
    """

    abstract = False
    mundane_level = "debug"

    def __init__(
        self,
        channel: Any,
        *,
        app: AppContext,
        processors: Iterable[Processor] | None = None,
        name: str = "",
        feed: Feed | None = None,
        shared: bool = False,
        enable_acks: bool = True,
        concurrency_index: int | None = None,
        prefix: str = "",
        on_start: Callable[[], Any] | None = None,
        may_write: bool = True,
        beacon: Any = None,
        loop: Any = None,
        **_future: Any,
    ) -> None:
        super().__init__(
            channel,
            app=app,
            name=name,
            feed=feed,
            shared=shared,
            enable_acks=enable_acks,
            may_write=may_write,
            beacon=beacon,
            loop=loop,
        )
        self.prefix = prefix
        self.concurrency_index = concurrency_index
        self.events_total = 0
        self.processors = list(processors or ())
        self._on_start = on_start
        #: The stream that goes on where this one forwards to, and the other way round.
        self.forwarded_to: Stream[Any] | None = None
        self.upstream: Stream[Any] | None = None
        #: Coroutine function that forwards, for ever.
        self.forward: Callable[[], Any] | None = None
        self.started_iteration = False
        #: Is every value given to a subclass's `on_merge`?
        self._merges = type(self).on_merge is not Stream.on_merge

    # -- iteration -------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self._start_iteration(None)

    async def __anext__(self) -> T_co:
        raise TypeError("iterate with `async for`; a stream itself is not an iterator")

    def __iter__(self) -> Any:
        raise TypeError("streams are asynchronous: use `async for`")

    def _start_iteration(self, wrap: Callable[[Any], Any] | None) -> AsyncIterator[Any]:
        if self.forwarded_to is not None:
            return self.forwarded_to._start_iteration(wrap)
        return self._iterate_own(wrap)

    def iterate_events(self) -> AsyncIterator[Event[Any]]:
        """Iterate over this very stream's events, also where it forwards to another."""
        return self._iterate_own(self.as_event)

    def _iterate_own(self, wrap: Callable[[Any], Any] | None) -> AsyncIterator[Any]:
        self.started_iteration = True
        feed = self.open_feed()
        if feed is None:
            from faust._plain import iterate_plain

            return iterate_plain(self, wrap)
        if self.shared or not self.enable_acks:
            from faust._records import iterate_records

            return iterate_records(self, feed, wrap)
        return self._iterate(feed, wrap)

    async def _iterate(self, feed: Feed, wrap: Callable[[Any], Any] | None) -> AsyncIterator[Any]:
        """Hand out values one by one (see the module's docstring: this is the hot path)."""
        await self.ensure_started()
        await self._succeed(feed)
        load = self.channel.value_loader()
        sensors = self.app.sensors
        slow = bool(self.processors or wrap or self.sees_forwarded or self._merges)
        clock = perf_counter
        queue = feed.queue
        token = self.take_over()
        began = clock()
        every = countdown = 1
        try:
            while True:
                if self._batch is None:
                    if not queue:
                        self.record = None
                        if not await feed.wait():
                            return
                        _current.set(self)
                        began = clock()
                        continue
                    self._take_batch(queue.popleft())
                cursor: Cursor = self.cursor  # type: ignore[assignment]  # set with the batch
                task, batch, records = cursor.task, self._batch, self._records
                if not task.open:
                    # It is being given back: what an agent that failed would get again is not ours.
                    self.replay = False
                    self._end_batch(feed, cursor, batch, 0)
                    continue
                position = cursor.position
                self.replay = False
                if records is None:
                    records = self._records = batch.records()
                hooks = self.hooks = sensors.hooks_for(self)
                gated = slow or hooks is not None or task.gate is not None
                undo_log, noted = cursor.undo_log, cursor.noted
                skipped = 0
                taken_up = clock()
                self.inside = True
                for record in records:
                    offset = record.offset
                    if offset < position:
                        skipped += offset < self._batch_from
                        continue
                    self.record = record
                    if self.nested:
                        _current.set(self)
                    try:
                        value = load(record.value)
                    except Exception as exc:
                        value = await self.undecodable(cursor, record, exc)
                        self.inside = True
                        gated = gated or task.gate is not None  # made while others ran
                        if value is SKIPPED:
                            cursor.position = offset + 1
                            if gated:
                                self.on_out(None)
                            continue
                    if gated:
                        if task.gate is not None:
                            await self.enter_gate(task)
                            if not task.open:
                                break  # type: ignore[unreachable]  # closed while others ran
                        self.note_value(value)
                        try:
                            value = await self.on_in(value, wrap, hooks)
                        except Skip:
                            value = SKIPPED
                        if value is SKIPPED:
                            cursor.finish()
                            cursor.position = offset + 1
                            self.leave()
                            self.inside = True
                            continue
                    yield value
                    if undo_log or noted:
                        if noted:
                            cursor.finish()
                        else:
                            undo_log.clear()
                    cursor.position = offset + 1
                    if gated:
                        self.on_out(hooks)
                    if not task.steady:
                        if not task.open:
                            break  # type: ignore[unreachable]  # closed while the agent ran
                        if not gated:  # a gate was made while the agent ran, and it was inside
                            gated = True
                            self.leave_gate(task)
                    countdown -= 1
                    if not countdown:
                        now = clock()
                        if now - began > SLICE_SECONDS:
                            self.inside = False
                            await asyncio.sleep(0)
                            self.inside = True
                            _current.set(self)
                            taken_up += clock() - now
                            began = now = clock()
                            if not task.open:
                                break  # type: ignore[unreachable]  # closed while others ran
                            if task.gate is not None:
                                gated = True
                        every = 16 if now - began < SLOW_EVENT_SECONDS * every else 1
                        countdown = every
                else:
                    if task.open and batch.next_offset > cursor.position:
                        cursor.position = batch.next_offset
                self.inside = False
                feed.busy = clock() - taken_up
                self._end_batch(feed, cursor, batch, batch.count - skipped)
        finally:
            self.end_iteration(token)

    def _take_batch(self, entry: tuple[Cursor, Any]) -> None:
        self.cursor, self._batch = entry
        self._batch_from = entry[0].position
        self.task = entry[0].task
        self._records = None

    def _end_batch(self, feed: Feed, cursor: Cursor, batch: Any, handled: int) -> None:
        """A batch is used up, or the rest of it is not ours any more."""
        self._batch = self._records = None
        if cursor.task.open:
            self.events_total += handled
        else:
            handled = 0
            self.leave()
        feed.release(cursor, batch, handled)

    async def on_in(self, value: Any, wrap: Callable[[Any], Any] | None, hooks: Any) -> Any:
        """What only some streams do before an event is handed out."""
        if hooks is not None:
            hooks.event_in(self)
        cursor = self.cursor if self.sees_forwarded else None
        if cursor is not None and was_seen(self.reader, cursor, self.record, cursor):
            return SKIPPED
        try:
            value = await self.process(value)
            return value if wrap is None else wrap(value)
        except KeyDecodeError as exc:
            if not await self.leaves_out_key(exc):
                raise
            return SKIPPED

    async def on_merge(self, value: Any = None) -> Any:
        """Override to see, and change, every value before it is handed out."""
        return value

    @property
    def at_end(self) -> bool:
        """Will nothing more come?"""
        return self._feed is None or self._feed.closed

    async def process(self, value: Any) -> Any:
        """Let a value pass the processors."""
        for processor in self.processors:
            value = processor(value)
            if isawaitable(value):
                value = await value
        return await self.on_merge(value) if self._merges else value

    def on_out(self, hooks: Any) -> None:
        task = self.task
        if task is not None and task.gate is not None:
            self.leave_gate(task)
        if hooks is not None:
            hooks.event_out(self)

    def clone(self, **options: Any) -> Stream[Any]:
        """Return a stream like this one, with some options changed."""
        return type(self)(**{**self.info(), **options})

    def info(self) -> Mapping[str, Any]:
        """Return the options that make up this stream."""
        return {
            "channel": self.channel,
            "app": self.app,
            "processors": list(self.processors),
            "name": self.reader,
            "enable_acks": self.enable_acks,
            "prefix": self.prefix,
            "shared": self.shared,
        }

    # -- life -----------------------------------------------------------------------------

    def wake(self) -> None:
        """Something has changed for who waits."""
        if self._feed is not None:
            self._feed.wake()

    async def ensure_started(self) -> None:
        """Start, if it is not; called when the iteration begins."""
        if self._stopped.is_set():
            self.service_reset()
        await self.maybe_start()

    async def on_start(self) -> None:
        """Run what was asked for at the start."""
        if self._on_start is not None:
            result = self._on_start()
            if isawaitable(result):
                await result

    async def on_stop(self) -> None:
        """End the iteration."""
        if self._feed is not None:
            self._feed.close()

    async def throw(self, exc: BaseException) -> None:
        """Let the iteration raise ``exc`` where it waits for the next event."""
        if self._feed is not None:
            self._feed.throw(exc)
        elif hasattr(self.channel, "throw"):
            result: Awaitable[None] = self.channel.throw(exc)
            await result

    def _repr_info(self) -> str:
        return str(self.channel)

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"Stream: {self.channel}"

    @property
    def shortlabel(self) -> str:
        """Short name shown in logs."""
        return f"Stream: {self.channel}"
