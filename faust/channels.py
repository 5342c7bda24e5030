"""Channels: where streams read from and messages are sent to; this one lives in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faust._values import TP, HeadersArg, Message, RecordMetadata, headers_as_list
from faust.events import Event
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.serializers.schemas import Schema

__all__ = ["Channel"]

T = TypeVar("T")


class Channel(Generic[T]):
    """A channel in this process: what is sent reaches every stream that reads it.

    Values arrive as they were sent: nothing is serialized.  What is sent while nobody reads yet is
    kept for the first reader, up to ``maxsize``; then `send` waits.

    Arguments:
        app: The app.
        schema, key_type, value_type: Describe what is sent (for subclasses and tools).
        maxsize: Messages that wait at most for each reader (default: ``stream_buffer_maxsize``).
    """

    is_topic = False

    def __init__(
        self,
        app: AppContext,
        *,
        schema: Schema[Any, Any] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        maxsize: int | None = None,
        loop: Any = None,
        **_future: Any,
    ) -> None:
        self.app = app
        self.schema = schema
        self.key_type = key_type
        self.value_type = value_type
        self._maxsize = maxsize
        self._readers: list[_Mailbox] = []
        self._early: _Mailbox | None = None
        self._sent = 0

    @property
    def maxsize(self) -> int:
        """What its argument ``maxsize`` says, or else the setting ``stream_buffer_maxsize``."""
        if self._maxsize is not None:
            return self._maxsize
        found: int = self.app.conf.stream_buffer_maxsize
        return found

    def get_topic_name(self) -> str:
        """Return the name of the topic: a channel in memory has none.

        Raises:
            ValueError: always; topics have names.
        """
        raise ValueError("a channel in memory has no name: use a topic")

    # -- sending -------------------------------------------------------------------

    async def send(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> _Done:
        """Deliver a message to everyone who reads; waits while a reader's queue is full.

        Returns what gives, when awaited, a `RecordMetadata` (offset counting from 0).
        """
        event = self._event(key, value, timestamp, headers)
        await self.deliver(event)
        message = event.message
        done = _Done(
            RecordMetadata(message.topic, 0, message.tp, message.offset, message.timestamp, 1)
        )
        if callback is not None:
            result = callback(done)
            if asyncio.iscoroutine(result):
                await result
        return done

    def send_soon(
        self,
        value: Any = None,
        *,
        key: Any = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        **options: Any,
    ) -> _Done:
        """As `send`, without waiting: readers' queues may grow over their size."""
        event = self._event(key, value, timestamp, headers)
        for mailbox in self._targets():
            mailbox.put(event)
        message = event.message
        return _Done(
            RecordMetadata(message.topic, 0, message.tp, message.offset, message.timestamp, 1)
        )

    def _event(
        self, key: Any, value: Any, timestamp: float | None, headers: HeadersArg
    ) -> Event[Any]:
        when = self.app.clock.time() if timestamp is None else timestamp
        offset, self._sent = self._sent, self._sent + 1
        name = str(self)
        message = Message(name, 0, offset, when, 1, headers_as_list(headers), key, value)
        made: Event[Any] = self.app.conf.Event(self.app, key, value, headers, message)
        return made

    async def put(self, value: Any) -> None:
        """Deliver ``value`` itself: an `Event`, or anything that a stream should hand out."""
        await self.deliver(value)

    async def deliver(self, item: Any) -> None:
        """Put an item into every reader's queue."""
        for mailbox in self._targets():
            await mailbox.put_when_free(item)

    def _targets(self) -> list[_Mailbox]:
        if self._readers:
            return list(self._readers)
        if self._early is None:
            self._early = self._mailbox()
        return [self._early]

    def _mailbox(self) -> _Mailbox:
        return _Mailbox(self.maxsize)

    # -- reading ---------------------------------------------------------------------

    def stream(self, **options: Any) -> Any:
        """Return a stream over this channel."""
        return self.app.stream(self, **options)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate(self._subscribe())

    async def _iterate(self, mailbox: _Mailbox) -> AsyncIterator[Any]:
        try:
            while True:
                yield await mailbox.get()
        finally:
            self._unsubscribe(mailbox)

    def iterate_for(self, stream: Any) -> AsyncIterator[Any]:
        """Iterate for a stream, which keeps its place in the queue when its agent is restarted."""
        mailbox = getattr(stream, "mailbox", None)
        if mailbox is None:
            mailbox = stream.mailbox = self._subscribe()
        return _forever(mailbox)

    def open_for(self, stream: Any) -> None:
        """Subscribe for a stream before it iterates."""
        if getattr(stream, "mailbox", None) is None:
            stream.mailbox = self._subscribe()

    def _subscribe(self) -> _Mailbox:
        mailbox, self._early = self._early or self._mailbox(), None
        self._readers.append(mailbox)
        return mailbox

    def _unsubscribe(self, mailbox: Any) -> None:
        if mailbox in self._readers:
            self._readers.remove(mailbox)

    def close_for(self, stream: Any) -> None:
        """A stream has ended: keep nothing for it."""
        self._unsubscribe(getattr(stream, "mailbox", None))

    async def get(self, *, timeout: Seconds | None = None) -> Any:
        """Return the next item that nobody else reads.

        Raises:
            TimeoutError: nothing came within ``timeout`` seconds.
        """
        if self._early is None:
            self._early = self._mailbox()
        mailbox = self._early
        async with asyncio.timeout(None if timeout is None else want_seconds(timeout)):
            return await mailbox.get()

    def empty(self) -> bool:
        """Is nothing waiting?"""
        waiting = [*self._readers, *([self._early] if self._early else [])]
        return not any(len(mailbox) for mailbox in waiting)

    @property
    def subscriber_count(self) -> int:
        """How many read it."""
        return len(self._readers)

    async def throw(self, exc: BaseException) -> None:
        """Let every reader raise ``exc``."""
        for mailbox in self._targets():
            mailbox.throw(exc)

    async def on_key_decode_error(self, exc: Exception, message: Message) -> None:
        """Called for a key that cannot be decoded; override to be told."""
        await self.on_decode_error(exc, message)

    async def on_value_decode_error(self, exc: Exception, message: Message) -> None:
        """Called for a value that cannot be decoded; override to be told."""
        await self.on_decode_error(exc, message)

    async def on_decode_error(self, exc: Exception, message: Message) -> None:
        """Called for a key or value that cannot be decoded; override to be told.

        What happens to the message is for ``decode_error_policy`` to say.
        """

    def on_stop_iteration(self) -> None:
        """Called when a stream has stopped to iterate over it; override to be told."""

    def decode_key(self, record: Any, message: Message) -> Any:
        """Nothing is encoded in a channel."""
        return message.key

    # -- naming -------------------------------------------------------------------------

    def clone(self, **options: Any) -> Channel[Any]:
        """Return a channel like this one (with a queue of its own)."""
        return type(self)(self.app, **{**self.info(), **options})

    def derive(self, **options: Any) -> Channel[T]:
        """A channel in memory derives to itself."""
        return self

    def info(self) -> Mapping[str, Any]:
        """Return the options that make up this channel."""
        return {
            "schema": self.schema,
            "key_type": self.key_type,
            "value_type": self.value_type,
            "maxsize": self._maxsize,
        }

    async def declare(self) -> None:
        """There is nothing to create."""

    maybe_declare = declare

    def __str__(self) -> str:
        return "<ANON>"

    def __repr__(self) -> str:
        return f"<Channel: {self} readers={len(self._readers)}>"


async def _forever(mailbox: _Mailbox) -> AsyncIterator[Any]:
    while True:
        yield await mailbox.get()


class _Done:
    """The answer of a channel's `send`: there at once, and awaitable as a topic's is."""

    def __init__(self, metadata: RecordMetadata) -> None:
        self._metadata = metadata

    def done(self) -> bool:
        """It always is."""
        return True

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Return the metadata."""
        return self._metadata

    def add_done_callback(self, fun: Any) -> None:
        """Call ``fun`` with this."""
        fun(self)

    def __await__(self) -> Any:
        yield from ()
        return self._metadata

    @property
    def tp(self) -> TP:
        """Where it went."""
        return self._metadata.topic_partition


class _Mailbox:
    """One reader's queue: bounded for those who can wait."""

    def __init__(self, maxsize: int) -> None:
        self._items: deque[Any] = deque()
        self._maxsize = maxsize
        self._getters: deque[asyncio.Future[None]] = deque()
        self._putters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Any) -> None:
        self._items.append(item)
        _wake_one(self._getters)

    def throw(self, exc: BaseException) -> None:
        self.put(_Raise(exc))

    async def put_when_free(self, item: Any) -> None:
        while 0 < self._maxsize <= len(self._items):
            waiter = asyncio.get_running_loop().create_future()
            self._putters.append(waiter)
            await waiter
        self.put(item)

    async def get(self) -> Any:
        while not self._items:
            waiter = asyncio.get_running_loop().create_future()
            self._getters.append(waiter)
            await waiter
        item = self._items.popleft()
        _wake_one(self._putters)
        if isinstance(item, _Raise):
            raise item.exc
        return item


class _Raise:
    def __init__(self, exc: BaseException) -> None:
        self.exc = exc


def _wake_one(waiters: deque[asyncio.Future[None]]) -> None:
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return
