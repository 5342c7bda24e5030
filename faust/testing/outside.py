"""An app seen from outside: numbered events into its topic, what came out, how far it has come.

Works with any broker that a driver is there for, while the app's workers live, die and move.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from faust._core.partitioner import partition_for
from faust._engine.connection import transport_class
from faust._values import TP
from faust.exceptions import RetryableError, UnknownTopic
from faust.testing.truth import Event
from faust.transport.base import EARLIEST, LATEST, TopicSpec, Transport, TransportOptions
from faust.transport.producer import ProducerOptions
from faust.transport.reader import ReaderOptions
from faust.transport.records import new_builder
from faust.utils.urls import broker_urls

__all__ = ["connected", "produce", "read_all", "watch"]

#: Events are sent in pieces of so many seconds.
TICK = 0.05
#: Seconds between two looks at commits.
LOOK = 0.2
#: Seconds that reading a topic to its end may take.
READ_PATIENCE = 300.0


@asynccontextmanager
async def connected(broker: str, *, partitions: int = 8) -> AsyncIterator[Transport]:
    """Connect to a broker by its URL, as in an app's settings."""
    urls = broker_urls(broker)
    options = TransportOptions(client_id="faust-oracle", default_partitions=partitions)
    transport: Transport = transport_class(urls[0].scheme)(urls, options)
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


async def partitions_of(transport: Transport, topic: str) -> list[TP]:
    """Return the partitions of a topic.

    Raises:
        UnknownTopic: there is none.
    """
    found = (await transport.topics([topic])).get(topic)
    if found is None:
        raise UnknownTopic(f"there is no topic {topic!r}")
    return [TP(topic, n) for n in range(found.partitions)]


async def produce(
    transport: Transport,
    topic: str,
    events: Collection[Event],
    *,
    rate: float,
    partitions: int,
    note: Callable[[Event, int, int], None],
) -> None:
    """Send events, so many a second, and tell of each that is acknowledged: partition and offset.

    The topic is made, with so many partitions, if there is none.
    """
    if topic not in await transport.topics([topic]):
        await transport.create_topic(TopicSpec(topic, partitions))
    tps = await partitions_of(transport, topic)
    producer = transport.producer(ProducerOptions(delivery_timeout=120.0))
    waiting: list[asyncio.Task[None]] = []
    todo, sent, began = list(events), 0, time.monotonic()
    try:
        while sent < len(todo):
            due = min(len(todo), int((time.monotonic() - began) * rate) + 1)
            for tp, piece in _by_partition(todo[sent:due], tps).items():
                waiting.append(asyncio.create_task(_send(producer, tp, piece, note)))
            sent = due
            await asyncio.sleep(TICK)
        await asyncio.gather(*waiting)
    finally:
        for task in waiting:
            task.cancel()
        await producer.close()


def _by_partition(events: Iterable[Event], tps: list[TP]) -> Mapping[TP, list[Event]]:
    pieces: dict[TP, list[Event]] = {}
    for event in events:
        pieces.setdefault(tps[partition_for(event.key.encode(), len(tps))], []).append(event)
    return pieces


async def _send(
    producer: Any, tp: TP, events: list[Event], note: Callable[[Event, int, int], None]
) -> None:
    builder = new_builder(1 << 20)
    now = int(time.time() * 1000)
    for number, event in enumerate(events):
        value = json.dumps({**event.plain(), "ts": now / 1000}).encode()
        builder.append(number, now, event.key.encode(), value, [])
    placed = await producer.produce(tp, builder)
    for number, event in enumerate(events):
        note(event, tp.partition, placed.base_offset + number)


async def read_all(
    transport: Transport, topic: str, *, committed: bool = True
) -> AsyncIterator[tuple[TP, Any]]:
    """Iterate over all records that a topic has now, each partition's in order.

    Raises:
        UnknownTopic: there is none.
        TimeoutError: the end does not come.
    """
    tps = await partitions_of(transport, topic)
    ends = await transport.offsets(tps, LATEST)
    reader = transport.reader(ReaderOptions(read_committed=committed))
    reader.assign(await transport.offsets(tps, EARLIEST))
    try:
        async with asyncio.timeout(READ_PATIENCE):
            while any(reader.positions()[tp] < end for tp, end in ends.items()):
                fetched = await reader.fetch(1.0)
                for error in fetched.errors.values():
                    raise error
                for batch in fetched.batches:
                    for record in batch.records():
                        yield batch.tp, record
    finally:
        await reader.close()


async def watch(
    transport: Transport, group: str, topic: str, timeout: float
) -> tuple[dict[TP, int], dict[TP, int], float]:
    """Wait until a group has committed all of a topic, for so many seconds at most.

    Returns:
        What is committed, the ends, and the longest time that a partition with lag stood still.
    """
    tps = await partitions_of(transport, topic)
    last: dict[TP, int] = {}
    since: dict[TP, float] = {}
    longest = 0.0
    deadline = time.monotonic() + timeout
    while True:
        now = time.monotonic()
        try:
            found = await transport.committed(group, tps)
            ends = await transport.offsets(tps, LATEST)
        except RetryableError:
            if now > deadline:
                raise
            await asyncio.sleep(LOOK)
            continue
        done = {tp: found[tp].offset if tp in found else 0 for tp in tps}
        for tp in tps:
            if done[tp] >= ends[tp] or last.get(tp) != done[tp]:
                since[tp] = now
            longest = max(longest, now - since[tp])
        last = done
        if now > deadline or all(done[tp] >= ends[tp] for tp in tps):
            return done, ends, longest
        await asyncio.sleep(LOOK)
