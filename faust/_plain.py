"""Iteration over what is not a topic: channels in memory, and whatever else can be iterated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from faust._inprogress import _current
from faust.events import Event
from faust.exceptions import Skip
from faust.streams import Stream

__all__ = ["iterate_plain"]

T = TypeVar("T")


async def iterate_plain(
    stream: Stream[Any], wrap: Callable[[Any], Any] | None
) -> AsyncIterator[Any]:
    """Hand out what a channel, or anything that can be iterated over, gives."""
    await stream.ensure_started()
    sensors = stream.app.sensors
    token = stream.take_over()
    source = _as_async_iterator(stream.channel, stream)
    try:
        while True:
            if stream.replay:
                stream.replay = False
                value = stream.value
            else:
                try:
                    item = await source.__anext__()
                except StopAsyncIteration:
                    return
                _current.set(stream)
                stream.event = item if isinstance(item, Event) else None
                value = item.value if isinstance(item, Event) else item
                stream.value = value
            event = stream.event
            stream.inside = True
            hooks = stream.hooks = sensors.hooks_for(stream)
            try:
                value = await stream.on_in(value, None, hooks)
            except Skip:
                stream.inside = False
                continue
            stream.event = event
            yield value if wrap is None else wrap(value)
            stream.inside = False
            stream.events_total += 1
            if event is not None and stream.enable_acks:
                event.ack()
            stream.on_out(hooks)
    finally:
        stream.end_iteration(token)


def _as_async_iterator(source: Any, stream: Stream[Any]) -> AsyncIterator[Any]:
    if hasattr(source, "iterate_for"):
        iterator: AsyncIterator[Any] = source.iterate_for(stream)
        return iterator
    if hasattr(source, "__aiter__"):
        return source.__aiter__()  # type: ignore[no-any-return]  # anything iterable
    if hasattr(source, "__iter__"):
        return _from_iterable(source)
    raise TypeError(f"cannot stream over {source!r}: it is neither a channel nor iterable")


async def _from_iterable(source: Iterable[T]) -> AsyncIterator[T]:
    for item in source:
        yield item
        await asyncio.sleep(0)
