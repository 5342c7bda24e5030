"""The event in progress: what it is, how code that it runs finds it, whom it keeps waiting.

What needs the current event (tables, sends, `current_event`) finds the stream through one context
variable, set when a stream takes over a task or comes back from waiting, never for a record.

Readers of one task that share a table are inside their events one at a time: each goes through the
task's *gate*, and whoever is inside when it is made counts as having gone through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from mode import Service

from faust._machines.effects import Cursor, Effects, TaskRun
from faust._values import Message
from faust.events import Event
from faust.exceptions import PartitionRevoked

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._feeds import Feed

__all__ = ["InProgress", "Item", "current_cursor", "current_event", "current_stream"]

#: An event of a list: its cursor, the record, the value.
Item = tuple[Cursor, Any, Any]

_current: ContextVar[InProgress | None] = ContextVar("faust_current_stream", default=None)

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


class InProgress(Service):
    """The part of `faust.Stream` that knows the event its agent is inside of.

    Attributes:
        reader: Name of the reader on whose behalf it reads (the agent's).
        task: The task of the event in progress.
        cursor: The reader's place in the partition of the event.
        record: The event as it was read; ``None`` for what is not from a topic.
        inside: Is the agent inside of an event?
        replay: Has the event failed, and is it to be handed out again?
        taken: The list that `take` has handed out: (cursor, record, value).
        hooks: Who wants to know of every event, while it is iterated over.
        asking: Whose answer the event waits for: (agent's name, promise).
        nested: Does another stream run in the same asyncio task?
        busy_itself: Is it putting an event where it is not lost, on its own behalf?
    """

    abstract = False

    _on_event_ack: Callable[[Event[Any]], None]

    def __init__(
        self,
        channel: Any,
        *,
        app: AppContext,
        name: str,
        feed: Feed | None,
        shared: bool,
        enable_acks: bool,
        may_write: bool,
        beacon: Any,
        loop: Any,
    ) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.channel = channel
        self.app = app
        self.reader = name
        self.shared = shared
        self.enable_acks = enable_acks
        self.may_write = may_write
        self.agent: Any = None
        self._feed = feed
        # mode.Service.task is a decorator for class bodies: nobody wants it on an instance.
        self.task: TaskRun | None = None  # type: ignore[assignment]
        self.cursor: Cursor | None = None
        self.record: Any = None
        self._batch: Any = None
        #: Where the reader stood when it took the batch: what lies below was never handed out.
        self._batch_from = 0
        self._records: Any = None
        self.inside = False
        self.replay = False
        self.taken: list[Item] = []
        self.hooks: Any = None
        self.asking: tuple[str, Any] | None = None
        self.nested = False
        self.busy_itself = False
        self.event: Event[Any] | None = None
        self._event_of: Any = None
        self.value: Any = None
        self._value_of: Any = None
        #: What an event does that others of its partition are in progress with (``concurrency``).
        self.own_effects = Effects()

    # -- what it is ------------------------------------------------------------------

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

    def as_event(self, value: Any) -> Event[Any]:
        """Return the event in progress, with this value."""
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

    @property
    def is_topic(self) -> bool:
        """Does it read a topic (and may its agent write tables)?"""
        return self._feed is not None or hasattr(self.channel, "get_topic_name")

    @property
    def effects(self) -> Effects:
        """What the event in progress does is kept here, until it is finished or undone."""
        if self.shared:
            return self.own_effects
        assert self.cursor is not None
        return self.cursor

    # -- its beginning and its end ---------------------------------------------------

    def note_value(self, value: Any) -> None:
        """Remember what was decoded, for `current_event`."""
        self.value, self._value_of = value, self.record

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

    def leave(self) -> None:
        """The event is over, whatever has become of it."""
        if self.hooks is not None:
            self.hooks.event_out(self)
        self.inside = False
        self.replay = False
        self.event = self._event_of = None
        task = self.task
        if task is not None and task.gate is not None:
            self.leave_gate(task)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """What is sent now belongs to the event in progress, and is not the agent's own doing."""
        token = _current.set(self)
        self.busy_itself = True
        try:
            yield
        finally:
            self.busy_itself = False
            reset_current(token)

    # -- gates -----------------------------------------------------------------------

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


def reset_current(token: Any) -> None:
    """Take back one `set` of the current stream."""
    try:
        _current.reset(token)
    except ValueError:
        # The generator is being closed in another context than it was started in.
        _current.set(None)
