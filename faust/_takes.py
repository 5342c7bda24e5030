"""`Stream.take`: lists of events that are finished together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from faust._forwarded import was_seen
from faust._inprogress import Item, _current
from faust._machines.buffering import Buffer
from faust._machines.effects import Cursor
from faust._machines.outputs import EventOutputs
from faust._plain import iterate_plain
from faust._values import ProcessingGuarantee
from faust.exceptions import KeyDecodeError, Skip
from faust.streams import SKIPPED, Stream
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust._feeds import Feed

__all__ = ["take"]


def take(
    stream: Stream[Any], max_: int, within: Seconds | None, *, events: bool
) -> AsyncIterator[list[Any]]:
    """Iterate over lists of up to ``max_`` values (or events) of a stream."""
    if max_ < 1:
        raise ValueError(f"take() needs at least 1 event in a list, not {max_}")
    seconds = None if within is None else want_seconds(within)
    source = stream.forwarded_to or stream
    source.started_iteration = True
    feed = source.open_feed()
    if feed is None:
        return _take_channel(source, max_, seconds, events)
    return _Taker(source, feed, max_, seconds, events).run()


class _Taker:
    """One iteration of `take` over a topic.

    Buffers are kept on the stream, so that an agent that is restarted goes on with what was
    waiting.
    """

    def __init__(
        self, stream: Stream[Any], feed: Feed, max_: int, within: float | None, events: bool
    ) -> None:
        self.stream = stream
        self.feed = feed
        self.max = max_
        self.within = within
        self.events = events
        self.limit = max(stream.channel.maxsize, max_)
        self.load = stream.channel.value_loader()
        self.clock = stream.app.clock.monotonic
        exact = stream.app.conf.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
        #: Must the events of a list be of one task?  What it does belongs to one commit then.
        self.one_task = stream.may_write or exact

    async def run(self) -> AsyncIterator[list[Any]]:
        """Fill buffers, hand out the first that is full, due or in the way; finish it; go on."""
        stream = self.stream
        await stream.ensure_started()
        token = stream.take_over()
        try:
            while True:
                items = stream.taken or self._next_single() or await self._next_batch()
                if items is None:
                    return
                _current.set(stream)
                task = items[-1][0].task
                if task.gate is not None:
                    stream.taken = items
                    await stream.enter_gate(task)
                    _current.set(stream)
                batch = await self._hand_out(items)
                if batch:
                    handed = perf_counter()
                    yield batch
                    self.feed.busy += perf_counter() - handed
                    self._finish()
                if task.gate is not None:
                    stream.leave_gate(task)
                if not batch:
                    continue
                await asyncio.sleep(0)
        finally:
            stream.end_iteration(token)

    def _next_single(self) -> list[Item]:
        """Of a list that failed, and is not tried again as one: the next of its events."""
        singles = self.stream.singles
        return [singles.popleft()] if singles else []

    async def _next_batch(self) -> list[Item] | None:
        while True:
            items = self._due()  # first: others may have enough to go on with for ever
            if not items and not self._crowded():
                items = await self._fill()
            crowded = self._crowded()
            if crowded and not items and self.within is None:
                items = self._largest()  # it may never be full: what it waits for is in our hands
            if items:
                return items
            if not await self._wait(self.feed.wait_ack if crowded else self.feed.wait):
                return None

    def _crowded(self) -> bool:
        """Are as many events out, and not acknowledged by hand, as may be?"""
        stream = self.stream
        return not stream.enable_acks and stream.outstanding(self.feed) >= self.limit

    def _largest(self) -> list[Item]:
        buffers: dict[int, Buffer[Item]] = self.stream.buffers
        largest = max(buffers, key=lambda key: len(buffers[key]), default=None)
        return [] if largest is None else buffers.pop(largest).drain()

    async def _fill(self) -> list[Item]:
        """Take records until a buffer must be handed out, or there are none."""
        buffers: dict[int, Buffer[Item]] = self.stream.buffers
        stream = self.stream
        while (picked := stream.pending or self.feed.next_record()) is not None:
            cursor, record = picked
            if not cursor.task.open:
                stream.pending = None
                continue
            stream.pending = picked  # until it is in a list, or left out
            value = await self._decode(cursor, record)
            stream.pending = None
            if value is SKIPPED:
                stream.acknowledge(cursor, record)
                continue
            key = cursor.task.incarnation if self.one_task else 0
            buffer = buffers.get(key)
            if buffer is None:
                buffer = buffers[key] = Buffer(self.max, self.within)
            if buffer.add((cursor, record, value), self.clock()):
                return buffers.pop(key).drain()
            if sum(map(len, buffers.values())) >= self.limit:
                return self._largest()
            if self._crowded():
                break
        return self._due()

    def _due(self) -> list[Item]:
        """Return what has waited for as long as it may, though it is not full."""
        buffers: dict[int, Buffer[Item]] = self.stream.buffers
        now = self.clock()
        for key, buffer in list(buffers.items()):
            if not len(buffer):
                del buffers[key]
            elif buffer.due(now):
                return buffers.pop(key).drain()
        return []

    async def _decode(self, cursor: Cursor, record: Any) -> Any:
        stream = self.stream
        stream.cursor, stream.record, stream.task = cursor, record, cursor.task
        try:
            value = self.load(record.value)
        except Exception as exc:
            value = await stream.undecodable(cursor, record, exc)
        if value is SKIPPED:
            return value
        stream.begin_event(value)
        try:
            value = await stream.process(value)
        except Skip:
            value = SKIPPED
        self._set_aside(cursor, record, is_left_out=value is SKIPPED)
        stream.end_event()
        return value

    def _set_aside(self, cursor: Cursor, record: Any, *, is_left_out: bool) -> None:
        """What processors have sent counts when the list does that the event will be in."""
        stream = self.stream
        for mark in [each for each in stream.effects.noted if isinstance(each, EventOutputs)]:
            stream.effects.noted.remove(mark)
            mark.forget_event()
            if is_left_out:
                stream.hold_mark(mark, cursor, record.offset)
            else:
                stream.early[cursor, record.offset] = mark

    async def _wait(self, wait: Callable[[], Awaitable[bool]]) -> bool:
        deadlines = [b.deadline for b in self.stream.buffers.values() if b.deadline is not None]
        if not deadlines:
            return await wait()
        timeout = max(0.0, min(deadlines) - self.clock())
        try:
            async with asyncio.timeout(timeout):
                return await wait()
        except TimeoutError:
            return True

    async def _hand_out(self, items: list[Item]) -> list[Any]:
        stream = self.stream
        stream.forget_failure()
        stream.taken = items
        events = await self._events(items) if self.events else None
        items = [item for item in stream.taken if item[0].task.open]
        if items and stream.sees_forwarded:
            items = self._unseen(items)
        stream.taken = items
        if not items:
            return []
        stream.cursor, stream.record, value = items[-1]
        stream.task = stream.cursor.task
        stream.begin_event(value)
        stream.hooks = stream.app.sensors.hooks_for(stream)
        if stream.hooks is not None:
            stream.hooks.event_in(stream)
        if events is None:
            return [value for _, _, value in items]
        return [events[id(record)] for _, record, _ in items]

    async def _events(self, items: list[Item]) -> dict[int, Any]:
        """Make the events; whose key cannot be decoded is left out, if the policy says so."""
        made: dict[int, Any] = {}
        for item in list(items):
            cursor, record, value = item
            try:
                made[id(record)] = self.stream.make_event(record, cursor, value)
            except KeyDecodeError as exc:
                await self.stream.undecodable_key(cursor, record, exc)
                self.stream.taken = [kept for kept in self.stream.taken if kept is not item]
        return made

    def _unseen(self, items: list[Item]) -> list[Item]:
        """Leave out forwarded records that were handled before their forwarder crashed."""
        lead = items[-1][0]
        kept: list[Item] = []
        for cursor, record, value in items:
            if was_seen(self.stream.reader, cursor, record, lead):
                self.stream.acknowledge(cursor, record)
            else:
                kept.append((cursor, record, value))
        return kept if not kept or kept[-1][0] is lead else self._with_last(kept, lead)

    @staticmethod
    def _with_last(items: list[Item], lead: Cursor) -> list[Item]:
        """What the list does belongs to the cursor of its last event; it was noted for another."""
        last = items[-1][0]
        last.noted += lead.noted
        lead.noted.clear()
        return items

    def _finish(self) -> None:
        stream = self.stream
        lead, alive = stream.cursor, stream.task is not None and stream.task.alive
        needs = [(c, r.offset) for c, r, _ in stream.taken if c.task is stream.task]
        if alive and lead is not None:
            stream.join_early(needs)
            if stream.enable_acks and not stream.shared:
                stream.effects.finish()
        if stream.enable_acks:
            for cursor, record, _ in stream.taken:
                if cursor.task.alive and cursor.acks is not None:
                    cursor.acks.done(record.offset)
        stream.acknowledge_list()
        if alive and lead is not None:
            stream.hold_effects(lead, needs)
        stream.events_total += len(stream.taken)
        stream.taken = []
        stream.end_event()
        if stream.hooks is not None:
            stream.hooks.event_out(stream)


async def _take_channel(
    stream: Stream[Any], max_: int, within: float | None, events: bool
) -> AsyncIterator[list[Any]]:
    """`take` over what is not a topic: each value is acknowledged as it is taken."""
    clock = stream.app.clock.monotonic
    buffer: Buffer[Any] = Buffer(max_, within)
    wrap = stream.as_event if events else None
    source = iterate_plain(stream, wrap)
    pending: asyncio.Future[Any] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(source.__anext__())
            deadline = buffer.deadline
            timeout = None if deadline is None else max(0.0, deadline - clock())
            done, _ = await asyncio.wait({pending}, timeout=timeout)
            if done:
                finished, pending = pending, None
                try:
                    full = buffer.add(finished.result(), clock())
                except StopAsyncIteration:
                    break
                if full:
                    yield buffer.drain()
            elif len(buffer):
                yield buffer.drain()
        if len(buffer):
            yield buffer.drain()
    finally:
        if pending is not None:
            pending.cancel()
