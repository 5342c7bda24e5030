"""Iteration record by record: where streams share a feed, or acknowledge by hand.

Slower than `Stream._iterate`, which runs through whole batches: each record is noted as handed out
(`faust._machines.acks`), because any of them may be finished before the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from faust._inprogress import _current
from faust._machines.effects import Cursor
from faust.exceptions import Skip
from faust.streams import SKIPPED, SLICE_SECONDS, Stream

if TYPE_CHECKING:
    from faust._feeds import Feed

__all__ = ["iterate_records"]


async def iterate_records(
    stream: Stream[Any], feed: Feed, wrap: Callable[[Any], Any] | None
) -> AsyncIterator[Any]:
    """Hand out single records of a feed that is shared, or whose acks come by hand."""
    await stream.ensure_started()
    load = stream.channel.value_loader()
    sensors = stream.app.sensors
    limit = max(1, stream.channel.maxsize)
    token = stream.take_over()
    began = perf_counter()
    try:
        while True:
            if stream.replay:
                stream.replay = False
            elif not stream.enable_acks and stream.outstanding(feed) >= limit:
                if not await feed.wait_ack():
                    return
                _current.set(stream)
                continue
            else:
                picked = feed.next_record()
                if picked is None:
                    if not await feed.wait():
                        return
                    _current.set(stream)
                    began = perf_counter()
                    continue
                stream.cursor, stream.record = picked
            if stream.nested:
                _current.set(stream)
            cursor: Cursor = stream.cursor  # type: ignore[assignment]  # set just above
            record = stream.record
            task = stream.task = cursor.task
            if not task.open:
                continue
            try:
                value = load(record.value)
            except Exception as exc:
                value = await stream.undecodable(cursor, record, exc)
            if value is not SKIPPED:
                if task.gate is not None:
                    await stream.enter_gate(task)
                    if not task.open:
                        continue  # type: ignore[unreachable]  # closed while others ran
                stream.note_value(value)
                stream.inside = True
                hooks = stream.hooks = sensors.hooks_for(stream)
                try:
                    value = await stream.on_in(value, wrap, hooks)
                except Skip:
                    value = SKIPPED
            if value is SKIPPED:
                stream.acknowledge(cursor, record)
                if task.alive:
                    _finish_record(stream, cursor, record)
                stream.leave()
                continue
            handed = perf_counter()
            yield value
            stream.events_total += 1
            if task.alive:
                _finish_record(stream, cursor, record)
            stream.inside = False
            stream.on_out(hooks)
            now = perf_counter()
            feed.busy += now - handed
            if now - began > SLICE_SECONDS:
                await asyncio.sleep(0)
                _current.set(stream)
                began = perf_counter()
    finally:
        stream.end_iteration(token)


def _finish_record(stream: Stream[Any], cursor: Cursor, record: Any) -> None:
    """Finish an event: at once, or hold its effects until it and all before it are acknowledged."""
    acks = cursor.acks
    assert acks is not None
    if stream.enable_acks:
        cursor.finish()
        acks.done(record.offset)
    stream.hold_effects(cursor, [(cursor, record.offset)])
