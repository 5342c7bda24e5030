"""`Stream.group_by` and `Stream.through`: forward events to another topic, and read on from there.

A forwarded record keeps the bytes of its value and its headers, and carries where it came from
(``faust-source``).  The task that reads it remembers the highest source offset it has handled for
each source partition, as part of its commit: what is forwarded again after a crash is dropped
there.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from faust._forwarded import with_source
from faust.exceptions import ImproperlyConfigured
from faust.streams import Stream

if TYPE_CHECKING:
    from faust.topics import Topic

__all__ = ["group_by", "through"]


def group_by(
    stream: Stream[Any], key: Any, *, name: str | None, topic: Any, partitions: int | None
) -> Stream[Any]:
    """See `Stream.group_by`."""
    if stream.forwarded_to is not None and stream.started_iteration:
        return stream
    _check_derivable(stream, "group_by")
    get_key = _key_function(key)
    if not hasattr(stream.channel, "derive_topic"):
        return _rekey_in_place(stream, get_key)
    target = topic or _repartition_topic(stream, _key_name(key, name), key, partitions)
    return _forward(stream, target, get_key)


def through(stream: Stream[Any], channel: Any) -> Stream[Any]:
    """See `Stream.through`."""
    _check_derivable(stream, "through")
    target = stream.derive_topic(channel) if isinstance(channel, str) else channel
    return _forward(stream, target, None)


def _check_derivable(stream: Stream[Any], operation: str) -> None:
    if stream.shared:
        raise ImproperlyConfigured(
            f"agent {stream.reader!r}: {operation}() needs concurrency=1, because concurrent "
            f"instances would forward events out of order"
        )
    if stream.agent is not None and stream.agent.isolated_partitions:
        raise ImproperlyConfigured(
            f"agent {stream.reader!r}: {operation}() does not go with isolated_partitions, "
            f"because what is forwarded is read by one instance"
        )
    if stream.forwarded_to is not None:
        raise ImproperlyConfigured(
            f"agent {stream.reader!r}: {operation}() was called twice on one stream"
        )


def _key_function(key: Any) -> Callable[[Any], Any]:
    if hasattr(key, "getattr"):
        get: Callable[[Any], Any] = key.getattr
        return get
    if callable(key):
        return key  # type: ignore[no-any-return]  # any callable of the value will do
    raise TypeError(f"group_by() takes a field or a function, not {key!r}")


def _key_name(key: Any, name: str | None) -> str:
    if name:
        return name
    if hasattr(key, "ident"):
        return str(key.ident)
    found = getattr(key, "__name__", "")
    if not found or not found.isidentifier():
        raise TypeError("group_by() with a nameless function needs name=...")
    return str(found)


def _repartition_topic(
    stream: Stream[Any], key_name: str, key: Any, partitions: int | None
) -> Topic[Any]:
    source: Topic[Any] = stream.channel
    prefix = "" if source.has_prefix else stream.prefix
    key_type = getattr(key, "type", None)
    return source.derive_topic(
        topics=[f"{prefix}{source.get_topic_name()}-{key_name}-repartition"],
        key_type=key_type if key_type in (str, int) else None,
        forget_key=True,
        partitions=partitions or stream.app.conf.topic_partitions,
        internal=True,
        compacting=False,
        deleting=True,
        retention=-1,
        repartition=True,
    )


def _forward(stream: Stream[Any], target: Any, get_key: Callable[[Any], Any] | None) -> Stream[Any]:
    if getattr(target, "is_topic", False) is False and not hasattr(target, "send"):
        raise ImproperlyConfigured(f"cannot forward to {target!r}: it is not a channel")
    downstream = type(stream)(
        target,
        app=stream.app,
        name=stream.reader,
        prefix=stream.prefix,
        may_write=stream.may_write,
        beacon=stream.beacon,
    )
    downstream.sees_forwarded = getattr(target, "is_topic", False)
    downstream.agent = stream.agent
    downstream.upstream = stream
    if stream.is_topic:
        target.declare_soon()
        downstream.open_feed()
        stream.open_feed()
    stream.forward = _forwarder(stream, target, get_key)
    stream.forwarded_to = downstream
    if stream.agent is not None:
        stream.agent.add_forwarder(stream)
    return downstream


def _forwarder(
    stream: Stream[Any], target: Any, get_key: Callable[[Any], Any] | None
) -> Callable[[], Any]:
    async def forward() -> None:
        async for event in stream.iterate_events():
            message = event.message
            key: Any = message.key
            if get_key is not None:
                key = get_key(event.value)
                if isawaitable(key):
                    key = await key
            await target.send(
                key=key,
                value=message.value if stream.is_topic else event.value,
                timestamp=message.timestamp,
                headers=with_source(message, _identity(stream, message.topic)),
            )

    return forward


def _identity(stream: Stream[Any], topic: str) -> str | None:
    return (stream.channel.topic_id(topic) or topic) if stream.is_topic else None


def _rekey_in_place(stream: Stream[Any], get_key: Callable[[Any], Any]) -> Stream[Any]:
    """On a channel in memory there is nothing to repartition: events get their new key."""

    async def rekey(value: Any) -> Any:
        key = get_key(value)
        if isawaitable(key):
            key = await key
        event = stream.current_event
        if event is not None:
            event.key = key
        return value

    stream.add_processor(rekey)
    return stream
