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

What needs the current event (tables, sends, `current_event`) finds the stream through one context
variable, set when a stream takes over a task or comes back from waiting, never for a record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isawaitable
from time import perf_counter as perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mode import Service

from faust._failing import SKIPPED, Failing
from faust._machines.effects import Cursor, Effects, ForwardMark, TaskRun
from faust._operators import Operators, Processor
from faust._values import Message
from faust.events import Event
from faust.exceptions import ImproperlyConfigured, KeyDecodeError, PartitionRevoked, Skip
from faust.utils.times import Seconds

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._feeds import Feed

__all__ = ["SKIPPED", "SOURCE_HEADER", "Stream", "current_event", "current_stream"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: After about this much work without a pause a stream lets the event loop run (seconds).
SLICE_SECONDS = 0.005
#: Above this cost per event the clock is looked at after every event, below it after sixteen.
SLOW_EVENT_SECONDS = 0.0002

_current: ContextVar[Stream[Any] | None] = ContextVar("faust_current_stream", default=None)

#: Header of a forwarded record: where it came from, ``topic-id:partition@offset``.
SOURCE_HEADER = "faust-source"

#: Return the stream whose event is being processed in this asyncio task, or ``None``.
current_stream = _current.get


def current_cursor() -> Cursor | None:
    """Return the cursor of the event being processed in this asyncio task, or ``None``."""
    stream = _current.get()
    return None if stream is None else stream.cursor


def current_event() -> Event[Any] | None:
    """Return the event being processed in this asyncio task, or ``None``."""
    stream = _current.get()
    return None if stream is None else stream.current_event


class Stream(Operators, Failing, Service, Generic[T_co]):
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
        super().__init__(beacon=beacon, loop=loop)
        self.channel = channel
        self.app = app
        self.reader = name
        self.prefix = prefix
        self.concurrency_index = concurrency_index
        self.enable_acks = enable_acks
        self.shared = shared
        self.may_write = may_write
        self.events_total = 0
        self.processors = list(processors or ())
        self._on_start = on_start
        self._feed = feed
        if feed is not None:
            self._withheld = feed.withheld
        #: The stream that goes on where this one forwards to, and the other way round.
        self.forwarded_to: Stream[Any] | None = None
        self.upstream: Stream[Any] | None = None
        #: Coroutine function that forwards, for ever.
        self.forward: Callable[[], Any] | None = None
        self.started_iteration = False
        self.agent: Any = None
        # -- the event in progress
        # mode.Service.task is a decorator for class bodies: nobody wants it on an instance.
        self.task: TaskRun | None = None  # type: ignore[assignment]
        self.cursor: Cursor | None = None
        self.record: Any = None
        self._batch: Any = None
        #: Where the reader stood when it took the batch: what lies below was never handed out.
        self._batch_from = 0
        self._records: Any = None
        self.inside = False
        #: Who wants to know of every event, while it is iterated over.
        self.hooks: Any = None
        #: The asyncio task that iterates over it.
        self.asyncio_task: asyncio.Task[Any] | None = None
        #: The token of the iteration that goes on, if one does.
        self._iteration: Any = None
        #: Whose answer the event in progress waits for: (agent's name, promise).
        self.asking: tuple[str, Any] | None = None
        #: Is every value given to a subclass's `on_merge`?
        self._merges = type(self).on_merge is not Stream.on_merge
        #: Does another stream run in the same asyncio task?
        self.nested = False
        self.replay = False
        self.event: Event[Any] | None = None
        self._event_of: Any = None
        self.value: Any = None
        self._value_of: Any = None
        self.buffers: dict[Any, Any] = {}
        self.sees_forwarded = False

    # -- the event in progress -----------------------------------------------------

    @property
    def current_event(self) -> Event[Any] | None:
        """The event being processed; made when asked for."""
        if not self.inside:
            return None
        record = self.record
        if record is not None and self._event_of is not record:
            value = self.value
            if self._value_of is not record:
                value = self.channel.value_loader()(record.value)
            self.event = self.make_event(record, self.cursor, value)
            self._event_of = record
        return self.event

    def events_in_progress(self) -> list[Event[Any]]:
        """The event being processed, or those of the list that `take` has handed out."""
        return [event for _, event in self.places_in_progress()]

    def places_in_progress(self) -> list[tuple[Cursor | None, Event[Any]]]:
        """The same, each with its cursor (``None`` for what is not from a topic)."""
        if self.taken:
            return [
                (cursor, self.make_event(record, cursor, value))
                for cursor, record, value in self.taken
            ]
        event = self.current_event
        return [] if event is None else [(self.cursor, event)]

    def records_in_hand(self) -> int:
        """Records of the batch, or list, that it has in its hands."""
        return 0 if self._batch is None else int(self._batch.count)

    @property
    def is_left(self) -> bool:
        """Was its loop left in the middle of an event, with no agent that would finish it?"""
        return self.agent is None and self._iteration is None

    @property
    def is_topic(self) -> bool:
        """Does it read a topic (and may its agent write tables)?"""
        return self._feed is not None or hasattr(self.channel, "get_topic_name")

    @property
    def timestamp(self) -> float:
        """Timestamp of the event in progress, seconds."""
        record = self.record
        if record is not None:
            seconds: float = record.timestamp / 1000.0
            return seconds
        event = self.current_event
        return 0.0 if event is None else event.message.timestamp

    def make_event(self, record: Any, cursor: Cursor | None, value: Any) -> Event[Any]:
        if record is None or cursor is None:
            raise RuntimeError("no event is being processed")
        message = Message.of_record(
            cursor.tp, record, generation_id=cursor.task.incarnation, cursor=cursor
        )
        key = self.channel.decode_key(record, message)
        made: Event[Any] = self.app.conf.Event(
            self.app, key, value, record.headers, message, ack=self._on_event_ack
        )
        return made

    def leave(self) -> None:
        if self.hooks is not None:
            self.hooks.event_out(self)
        self.inside = False
        self.replay = False
        self.event = self._event_of = None
        task = self.task
        if task is not None and task.gate is not None:
            self.leave_gate(task)

    def finished(self) -> None:
        """The agent's function returned: its last event is finished."""
        if self.inside or self.taken:
            cursor = self.cursor
            if cursor is not None:
                places = [(c, r.offset) for c, r in self._places()]
                self.join_early(places)
                self._count(places, cursor)
            self._finish_quietly()
            if cursor is not None:
                self._withheld.settle(cursor.task)

    def drop_task(self, task: TaskRun) -> None:
        """A task is over: what this stream holds of it no longer counts."""
        if task.gate is not None:
            self.leave_gate(task)
        if self.task is task:
            self.replay = False
            self.taken = [item for item in self.taken if item[0].task is not task]
            self.acked = {place for place in self.acked if place[0].task is not task}
            self.own_effects.undo()
        for place in [place for place in self.early if place[0].task is task]:
            self.early.pop(place).take_back()
        if self.singles:
            self.singles = deque(item for item in self.singles if item[0].task is not task)
        for buffer in self.buffers.values():
            buffer.discard(lambda item: item[0].task is task)
        self._withheld.drop(task)
        if self.pending is not None and self.pending[0].task is task:
            self.pending = None

    # -- gates: readers of one task that share a table --------------------------------

    async def enter_gate(self, task: TaskRun) -> None:
        """Wait until no other reader that shares a table with this one is inside an event."""
        gate = task.gate
        while gate is not None and not gate.try_enter(self.reader):
            if self.reader in gate.inside:  # when the gate was made its event was about to begin
                self.leave_gate(task)
            waiter = asyncio.get_running_loop().create_future()
            gate.waiters.append(waiter)
            await waiter

    def leave_gate(self, task: TaskRun) -> None:
        """Let the others in."""
        gate = task.gate
        if gate is not None:
            gate.leave(self.reader)
            for waiter in gate.take_waiters():
                if not waiter.done():
                    waiter.set_result(None)

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

    def take_over(self) -> Any:
        """Become the current stream of this asyncio task; note if another was it already."""
        token = _current.set(self)
        self.asyncio_task = asyncio.current_task()
        self._iteration = token
        outer = token.old_value
        if isinstance(outer, Stream) and outer is not self:
            self.nested = outer.nested = True
        return token

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

    def open_feed(self) -> Feed | None:
        if self._feed is None and getattr(self.channel, "is_topic", False):
            self._feed = self.app.subscribe(self.channel, self.reader)
            self._withheld = self._feed.withheld
        if self._feed is not None:
            self._ack_unfinished()
        return self._feed

    def _ack_unfinished(self) -> None:
        """A loop that was left by ``break`` has handled its event."""
        if self.inside and not self.replay:
            self.finished()

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

    async def _succeed(self, feed: Feed) -> None:
        """Go on where another stream over this feed was left in the middle of a batch."""
        left, feed.holder = feed.holder, self
        if left is None or left is self or left.agent is not None:
            return
        for _ in range(3):  # a generator that was left is closed in one of the loop's next turns
            if left.is_left:
                left.hand_back(feed)
                return
            await asyncio.sleep(0)

    def hand_back(self, feed: Feed) -> None:
        """This stream was left: what it has not handed out is for who reads next."""
        self._ack_unfinished()
        if self._batch is not None and self.cursor is not None:
            feed.queue.appendleft((self.cursor, self._batch))
            self._batch = self._records = None

    def end_iteration(self, token: Any) -> None:
        """Be the current stream of this asyncio task no more (see `take_over`)."""
        if self._iteration is token:
            self._iteration = None
        if _current.get() is self:
            _reset(token)
        stopped = getattr(self.channel, "on_stop_iteration", None)
        if stopped is not None:
            stopped()

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
        if cursor is not None and self.was_seen(cursor, self.record, cursor):
            return SKIPPED
        try:
            value = await self.process(value)
            return value if wrap is None else wrap(value)
        except KeyDecodeError as exc:
            if not await self.leaves_out_key(exc):
                raise
            return SKIPPED

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """What is sent now belongs to the event in progress, and is not the agent's own doing."""
        token = _current.set(self)
        self.busy_itself = True
        try:
            yield
        finally:
            self.busy_itself = False
            _reset(token)

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

    def note_value(self, value: Any) -> None:
        """Remember what was decoded, for `current_event`."""
        self.value, self._value_of = value, self.record

    def forget_failure(self) -> None:
        """What failed is being handed out again."""
        self.replay = False

    def begin_event(self, value: Any) -> None:
        """An event, or a list of them, is about to be handed out."""
        self.note_value(value)
        self.event = self._event_of = None
        self.inside = True

    def end_event(self) -> None:
        """What was handed out is finished."""
        self.inside = False
        self.event = self._event_of = None
        task = self.task
        if task is not None and task.gate is not None:
            self.leave_gate(task)

    def was_seen(self, cursor: Cursor, record: Any, effects: Effects) -> bool:
        """Is this a forwarded record that was handled before its forwarder crashed?

        If it was not, that it is seen now belongs to ``effects``.
        """
        source = next((v for k, v in record.headers if k == SOURCE_HEADER), None)
        if source is None:
            return False
        name, _, offset = source.decode().rpartition("@")
        run, mark = cursor.task, f"{self.reader}|{name}"
        if int(offset) <= max(run.seen.get(mark, -1), run.forwarded.get(mark, -1)):
            return True
        effects.note(ForwardMark(run, mark, int(offset)))
        return False

    def on_out(self, hooks: Any) -> None:
        task = self.task
        if task is not None and task.gate is not None:
            self.leave_gate(task)
        if hooks is not None:
            hooks.event_out(self)

    # -- iteration where acks are out of order, or by hand --------------------------------

    def hold_effects(self, cursor: Cursor, needs: Sequence[tuple[Cursor, int]]) -> None:
        """Hold back what the event in progress did until all of ``needs`` is acknowledged."""
        if self.effects.has_effects:
            self._withheld.hold(needs, self.effects.hold(), by_offset=self.shared)
        self._withheld.settle(cursor.task)

    def outstanding(self, feed: Feed) -> int:
        """How many records are out, not acknowledged yet."""
        return sum(c.acks.outstanding for c in feed.cursors.values() if c.acks is not None)

    def _on_event_ack(self, event: Event[Any]) -> None:
        if self.enable_acks or self._feed is None:
            return
        cursor = self._feed.cursors.get(event.tp)
        if cursor is None or cursor.acks is None:
            return
        if cursor.task.incarnation != event.message.generation_id:
            return
        offset = event.message.offset
        if self.taken and self.is_in_list(cursor, offset):
            self.acked.add((cursor, offset))
        else:
            here = self.inside and self.cursor is cursor and self.record is not None
            if here and self.record.offset == offset:
                held = self.effects.hold()
                self._withheld.hold([(cursor, offset)], held, by_offset=self.shared)
            cursor.acks.done(offset)
            self._withheld.settle(cursor.task)
            self._feed.acked()
        if self.hooks is not None:
            self.hooks.message_out(cursor, event.message)

    async def ack(self, event: Event[Any]) -> bool:
        """Acknowledge an event by hand (see `noack`); true if this call did it."""
        return bool(event.ack())

    # -- other forms of iteration -----------------------------------------------------

    async def events(self) -> AsyncIterator[Event[T_co]]:
        """Iterate over events instead of values."""
        async for event in self._start_iteration(self.as_event):
            yield event

    def as_event(self, value: Any) -> Event[Any]:
        stream = current_stream() or self
        if stream.record is None:
            event = stream.event
        elif stream._event_of is not stream.record:
            event = stream.event = stream.make_event(stream.record, stream.cursor, value)
            stream._event_of = stream.record
        else:
            event = stream.event
        if event is None:
            raise TypeError(
                f"{stream.channel} gives values without events: iterate over them plainly"
            )
        event.value = value
        return event

    async def items(self) -> AsyncIterator[tuple[Any, T_co]]:
        """Iterate over (key, value)."""
        async for event in self._start_iteration(self.as_event):
            yield event.key, event.value

    async def enumerate(self, start: int = 0) -> AsyncIterator[tuple[int, T_co]]:
        """Iterate over (number, value)."""
        number = start
        async for value in self:
            yield number, value
            number += 1

    def take(self, max_: int, within: Seconds | None = None) -> AsyncIterator[list[T_co]]:
        """Iterate over lists of up to ``max_`` values.

        A list is handed out when it is full, or ``within`` seconds after its first value arrived
        (``None``: only when full).  Its events are finished together when the agent comes back
        for the next list; an exception undoes and repeats all of them.  Where the agent may write
        tables, a list holds events of one task only.
        """
        from faust._takes import take

        return take(self, max_, within, events=False)

    def take_events(
        self, max_: int, within: Seconds | None = None
    ) -> AsyncIterator[list[Event[T_co]]]:
        """As `take`, with events instead of values."""
        from faust._takes import take

        return take(self, max_, within, events=True)

    def noack_take(
        self, max_: int, within: Seconds | None = None
    ) -> AsyncIterator[list[Event[T_co]]]:
        """As `take_events`, for events that are acknowledged by hand (see `noack`).

        An acknowledgement counts when the list is finished that the event is in, with all that was
        done for it; an exception undoes it.
        """
        return self.noack().take_events(max_, within)

    async def take_with_timestamp(
        self, max_: int, within: Seconds | None = None, timestamp_field_name: str = "timestamp"
    ) -> AsyncIterator[list[T_co]]:
        """As `take`; every value that is a dict gets its message's timestamp, in seconds."""
        async for events in self.take_events(max_, within):
            for event in events:
                if isinstance(event.value, dict):
                    event.value[timestamp_field_name] = event.message.timestamp
            yield [event.value for event in events]

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

    def check_alive(self) -> None:
        """Raise if the event in progress belongs to a task that is no longer ours."""
        task = self.task
        if task is not None and not task.alive and self.inside:
            tp = self.cursor.tp if self.cursor is not None else None
            raise PartitionRevoked(
                f"{tp} was given to another worker while this event was being processed: "
                f"its writes and sends do not count, and it will be processed there",
                tp=tp,
            )

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

    def check_derivable(self, operation: str) -> None:
        """Raise if ``group_by`` or ``through`` cannot work here."""
        if self.shared:
            raise ImproperlyConfigured(
                f"agent {self.reader!r}: {operation}() needs concurrency=1, because concurrent "
                f"instances would forward events out of order"
            )
        if self.agent is not None and self.agent.isolated_partitions:
            raise ImproperlyConfigured(
                f"agent {self.reader!r}: {operation}() does not go with isolated_partitions, "
                f"because what is forwarded is read by one instance"
            )
        if self.forwarded_to is not None:
            raise ImproperlyConfigured(
                f"agent {self.reader!r}: {operation}() was called twice on one stream"
            )


def _reset(token: Any) -> None:
    try:
        _current.reset(token)
    except ValueError:
        # The generator is being closed in another context than it was started in.
        _current.set(None)
