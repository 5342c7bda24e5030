"""An event: one record of a topic, or one message of a channel, decoded."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faust._values import TP, HeadersArg, Message, headers_as_mapping

if TYPE_CHECKING:
    from faust._context import AppContext, Sent

__all__ = ["Event"]

T = TypeVar("T")
_USE_OWN: Any = object()


class _Acked(int):
    """The answer of `Event.ack`: true or false, and awaitable, since both are written."""

    def __await__(self) -> Generator[None, None, bool]:
        yield from ()
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


class Event(Generic[T]):
    """One record, decoded.

    Attributes:
        app: The app it was read by.
        key: The decoded key.
        value: The decoded value.
        headers: Header name -> bytes (of a name that repeats: the last).
        message: The record as it is in the log.
    """

    __slots__ = ("_ack", "app", "headers", "key", "message", "value")

    def __init__(
        self,
        app: AppContext,
        key: Any,
        value: T,
        headers: HeadersArg,
        message: Message,
        *,
        ack: Any = None,
    ) -> None:
        self.app = app
        self.key = key
        self.value = value
        self.headers = headers_as_mapping(headers)
        self.message = message
        self._ack = ack

    @property
    def tp(self) -> TP:
        """The partition it came from."""
        return self.message.tp

    @property
    def acked(self) -> bool:
        """Has it been acknowledged, by hand or by its stream having gone on?"""
        return self.message.acked

    def ack(self) -> _Acked:
        """Acknowledge by hand; true if this call did it.  May be awaited, too.

        Matters for streams that were asked not to acknowledge (`Stream.noack`); others acknowledge
        an event when the agent comes back for the next one.
        """
        if self.message.acked:
            return _Acked(False)
        self.message.acked = True
        if self._ack is not None:
            self._ack(self)
        return _Acked(True)

    async def send(
        self,
        channel: Any,
        key: Any = _USE_OWN,
        value: Any = _USE_OWN,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = _USE_OWN,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> Sent:
        """Send the decoded key and value (or others) to another channel; serialized anew."""
        target = self.app.topic(channel) if isinstance(channel, str) else channel
        sent: Sent = await target.send(
            key=self.key if key is _USE_OWN else key,
            value=self.value if value is _USE_OWN else value,
            partition=partition,
            timestamp=timestamp,
            headers=self.headers if headers is _USE_OWN else headers,
            schema=schema,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            callback=callback,
            force=force,
        )
        return sent

    async def forward(
        self,
        channel: Any,
        key: Any = _USE_OWN,
        value: Any = _USE_OWN,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = _USE_OWN,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> Sent:
        """Send the original bytes of key and value (or others) to another channel."""
        message = self.message
        return await self.send(
            channel,
            key=message.key if key is _USE_OWN else key,
            value=message.value if value is _USE_OWN else value,
            partition=partition,
            timestamp=timestamp,
            headers=message.headers if headers is _USE_OWN else headers,
            schema=schema,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            callback=callback,
            force=force,
        )

    async def __aenter__(self) -> Event[T]:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Acknowledge, unless the block raised."""
        if exc_type is None:
            self.ack()

    def __repr__(self) -> str:
        return f"<Event: k={self.key!r} v={self.value!r} {self.message!r}>"
