"""The flow of numbered events, and how far the group has come with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from faults_cluster import Plan

from faust._core.partitioner import partition_for
from faust._engine.connection import transport_class
from faust._values import TP
from faust.exceptions import RetryableError, TopicExists
from faust.testing.oracle import Event, Sighting
from faust.transport.base import (
    EARLIEST,
    LATEST,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
    Transport,
    TransportOptions,
)
from faust.transport.records import new_builder
from faust.utils.urls import broker_urls

__all__ = ["Flow", "Kept", "Progress", "numbered"]

#: The flow is sent in pieces of so many seconds.
TICK = 0.02
#: Between two looks at the group no more seconds than this are counted.
LOOK = 2.0


def numbered(count: int, keys: int, seed: int) -> list[Event]:
    """Return ``count`` events over some keys, each key's numbered from 0."""
    random = Random(seed)
    seqs: Counter[str] = Counter()
    events: list[Event] = []
    for number in range(count):
        key = f"k{random.randrange(keys)}"
        events.append(Event(number, key, seqs[key], 0.0))
        seqs[key] += 1
    return events


class Kept(NamedTuple):
    """A record of the sink, and which worker sent it."""

    id: int
    key: str
    seq: int
    by: str
    at: float

    @property
    def sighting(self) -> Sighting:
        """As the oracle takes it."""
        return Sighting(self.id, self.key, self.seq)


def _kept(value: dict[str, Any]) -> Kept:
    return Kept(*(value[name] for name in Kept._fields))


@dataclass
class Progress:
    """What was seen of the group's commits.

    Attributes:
        committed: Next offset of each partition.
        ends: End of each partition.
        longest: The longest that a partition with lag stood still (seconds).
        stood: Which one that was, and when.
        excused: A fault has not healed: nothing needs to advance.
    """

    committed: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    longest: float = 0.0
    stood: str = ""
    excused: bool = False
    _since: dict[int, float] = field(default_factory=dict)
    _now: float = 0.0
    _looked: float = 0.0

    @property
    def lag(self) -> int:
        """Records that are there and not committed."""
        return sum(end - self.committed.get(p, 0) for p, end in self.ends.items())

    def healed(self) -> None:
        """From now on all must advance; how long they have stood still is counted from here."""
        self.excused = False
        self._since.clear()

    def _counted(self, clock: float) -> float:
        """Return the time, without that in which nobody looked: the machine was busy elsewhere."""
        self._now += min(clock - self._looked, LOOK)
        self._looked = clock
        return self._now

    def note(self, committed: dict[int, int], ends: dict[int, int]) -> None:
        """Look again."""
        now = self._counted(time.monotonic())
        for partition, end in ends.items():
            at = committed.get(partition, 0)
            if self.excused or at >= end or at != self.committed.get(partition, 0):
                self._since.pop(partition, None)
                continue
            since = self._since.setdefault(partition, now)
            if now - since > self.longest:
                self.longest = now - since
                moment = time.strftime("%H:%M:%S", time.localtime())
                self.stood = f"partition {partition} at {at} until {moment}"
        self.committed, self.ends = committed, ends


class Flow:
    """The topics of a run, seen from outside of the app; an async context manager.

    Attributes:
        places: Event id -> (partition, offset), for what was acknowledged.
        sent: How many events were handed over.
    """

    def __init__(self, plan: Plan, events: Sequence[Event]) -> None:
        self.plan = plan
        self.events = list(events)
        self.places: dict[int, tuple[int, int]] = {}
        self.sent = 0
        self.progress = Progress()
        self._starts: set[tuple[int, int]] = set()  # partition and base offset of each batch
        self._tps = [TP(plan.events, n) for n in range(plan.partitions)]
        self._transport: Transport = self._connect()

    def _connect(self) -> Transport:
        urls = broker_urls(self.plan.broker)
        made: Transport = transport_class(urls[0].scheme)(
            urls, TransportOptions(default_partitions=self.plan.partitions)
        )
        return made

    async def __aenter__(self) -> Flow:
        await self._transport.open()
        for name in (self.plan.events, self.plan.sink):
            with suppress(TopicExists):  # another app may read the same one
                await self._transport.create_topic(TopicSpec(name, self.plan.partitions))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    # -- sending ---------------------------------------------------------------------------

    async def send(self, rate: float) -> None:
        """Send all events, so many a second; return when all are acknowledged."""
        producer = self._transport.producer(ProducerOptions(delivery_timeout=120.0))
        began = time.monotonic()
        pending: list[asyncio.Future[None]] = []
        try:
            while self.sent < len(self.events):
                due = min(len(self.events), int((time.monotonic() - began) * rate))
                piece = self.events[self.sent : due]
                self.sent = due
                pending += self._produce(producer, piece)
                await asyncio.sleep(TICK)
            await asyncio.gather(*pending)
        finally:
            for each in pending:
                each.cancel()
            await producer.close()

    def _produce(self, producer: Any, events: Sequence[Event]) -> list[asyncio.Future[None]]:
        pieces: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            pieces[partition_for(event.key.encode(), self.plan.partitions)].append(event)
        return [
            asyncio.ensure_future(self._produce_to(producer, partition, piece))
            for partition, piece in pieces.items()
        ]

    async def _produce_to(self, producer: Any, partition: int, events: Sequence[Event]) -> None:
        builder = new_builder(1 << 20)
        now = time.time()
        for number, event in enumerate(events):
            value = json.dumps({**event.plain(), "ts": now}).encode()
            builder.append(number, int(now * 1000), event.key.encode(), value, [])
        placed = await producer.produce(self._tps[partition], builder)
        self._starts.add((partition, placed.base_offset))
        for number, event in enumerate(events):
            self.places[event.id] = (partition, placed.base_offset + number)

    # -- how far it is -----------------------------------------------------------------------

    async def look(self) -> Progress:
        """Ask for commits and ends; what is known stays where the broker does not answer."""
        try:
            committed = await self._transport.committed(self.plan.app, self._tps)
            ends = await self._transport.offsets(self._tps, LATEST)
        except RetryableError:
            return self.progress
        self.progress.note(
            {tp.partition: commit.offset for tp, commit in committed.items()},
            {tp.partition: end for tp, end in ends.items()},
        )
        return self.progress

    async def until_done(self, timeout: float, check: Callable[[], None]) -> None:
        """Wait until everything there is is committed.

        Raises:
            AssertionError: it was not within the time.
        """
        deadline = time.monotonic() + timeout
        while (await self.look()).lag or len(self.places) < len(self.events):
            check()
            assert time.monotonic() < deadline, (
                f"still {self.progress.lag} events behind after {timeout:.0f} s: {self.progress}"
            )
            await asyncio.sleep(0.1)

    def watch(self) -> Coroutine[Any, Any, None]:
        """Look all the time, for ``progress.longest``."""

        async def forever() -> None:
            while True:
                await self.look()
                await asyncio.sleep(0.2)

        return forever()

    async def grow(self, more: int) -> None:
        """Add partitions to the topic; nothing is sent to them."""
        await self._transport.create_partitions(self.plan.events, self.plan.partitions + more)

    async def delete(self, count: int) -> set[int]:
        """Delete about so many records of each partition that were not handled; return their ids.

        Nobody may handle or commit anything meanwhile.  Whole batches are deleted: what a log
        begins in the midst of is still read to its end.
        """
        await self.look()
        done = self.progress.committed
        before = {
            p: max(
                (at for q, at in self._starts if q == p and at <= done.get(p, 0) + count),
                default=0,
            )
            for p in range(self.plan.partitions)
        }
        gone = {p: offset for p, offset in before.items() if offset > done.get(p, 0)}
        await self._transport.delete_records({TP(self.plan.events, p): o for p, o in gone.items()})
        return {
            number
            for number, (p, offset) in self.places.items()
            if p in gone and done.get(p, 0) <= offset < gone[p]
        }

    # -- what came out -----------------------------------------------------------------------

    async def sink(self) -> list[Kept]:
        """Return all records of the sink, each partition's in order."""
        tps = [TP(self.plan.sink, n) for n in range(self.plan.partitions)]
        ends = await self._transport.offsets(tps, LATEST)
        starts = await self._transport.offsets(tps, EARLIEST)
        reader = self._transport.reader(ReaderOptions())
        reader.assign(starts)
        found: list[Kept] = []
        async with asyncio.timeout(120):
            while any(reader.positions()[tp] < end for tp, end in ends.items()):
                fetched = await reader.fetch(1.0)
                assert not fetched.errors, fetched.errors
                for batch in fetched.batches:
                    found += [_kept(json.loads(r.value)) for r in batch.records() if r.value]
        await reader.close()
        return found
