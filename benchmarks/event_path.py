"""The bare event path: what the real engine may cost, measured against Kafka Streams.

A prototype of one agent and one table with the protocol that the design asks for, and nothing else:
whole record batches fetched by requests of our own in an I/O thread and handed over unparsed;
parsing, decoding and the agent's code together on the main thread, in an async generator; an undo
log for each event, dirty keys, committed values kept apart; a cut every 250 ms that never waits,
its changelog acknowledged before its offsets are committed with metadata; a yield every 5 ms.

``python -m benchmarks.measure_event_path`` runs it beside Kafka Streams 4.1 (one stream thread,
record caches on, the same commit interval); ``--profile`` shows what each layer adds.  Measured on
two cores shared with the broker, batches of 16 KiB (172 records), 4 partitions, thousand records/s,
three interleaved rounds of 8 s after a warm-up of 1,000,000 (load 1.8 to 2.6):

    work                    prototype             Kafka Streams      median ratio
    parse only              1,572  1,793  1,810
    decode                  1,330  1,405  1,463   779  821  771      1.80
    count, 1,000 keys         811    874    800   430  448  419      1.89
    count, 200,000 keys       429 (one round)     128                3.4

Where a counted event's time goes (main thread alone, no sockets, ns per event):

    parse it out of its batch                  94
    decode it into a Struct                   246
    async generator, undo check, positions    139   (a `yield` and the loop around it)
    count: read, write, undo log, finish      483   (two method calls of the table 120, undo entry
                                                     90, context variable 20, finishing 110; the
                                                     rest is the agent's own line, cache misses)

and beside it in the I/O thread: CRC 64 ns per record, sockets and framing the rest of 0.18 us.

What it teaches.  (1) The main thread is busy 70 to 86 % of the time, the I/O thread 14 to 28 %: the
interpreter lock, not the processor, is shared; what the I/O thread does per byte counts too.
(2) Nothing but decoding costs more than 0.15 us outside the table: one more Python call per event
(50 to 100 ns) is 5 to 10 % of the whole.  (3) `DefaultRecordBatch` refuses `iter()` a second time,
so slices for the look at the clock are cut from `chain(batch)`.  (4) With many keys a cut's own
length matters: 160,000 changes are encoded in one go here, and block the loop meanwhile; the limit
of 20,000 dirty keys for each task is what keeps that short.  (5) A changelog must be split into
batches below the broker's `max.message.bytes`, one batch for each partition and request.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from itertools import chain, dropwhile, islice
from typing import Any

import msgspec
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record._protocols import DefaultRecordBatchBuilderProtocol, DefaultRecordBatchProtocol
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

COMMIT_SECONDS = 0.25
#: An agent that never awaits starves nobody: yield to the loop after so much work.
YIELD_SECONDS = 0.005
#: How many events pass between two looks at the clock.
SLICE = 64
#: Unparsed bytes waiting for the stream; fetching pauses above and goes on below.
HIGH_WATER, LOW_WATER = 16 << 20, 8 << 20
PARTITION_BYTES = 1 << 20
#: A broker refuses batches above 1 MB (``max.message.bytes``).
CHANGELOG_BATCH_BYTES = 1 << 19
MISSING: Any = object()

View = tuple[int, DefaultRecordBatchProtocol, int]  # partition, batch, its size in bytes


class Payment(msgspec.Struct):
    """The four fields."""

    account: str
    amount: float
    country: str
    number: int


# -- I/O thread: sockets, batches, nothing per record


class Link:
    """Owns the I/O thread, its loop and the client; hands batches to ``stream``."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, group: str) -> None:
        self.topic, self.group, self.bootstrap = topic, group, bootstrap
        self.positions = dict.fromkeys(range(partitions), 0)
        self.buffered: deque[View] = deque()
        self.buffered_bytes = 0
        self.main = asyncio.get_running_loop()
        self.loop = asyncio.new_event_loop()
        self.arrived, self.drained = asyncio.Event(), asyncio.Event()
        self.cpu_seconds = 0.0
        self.thread = threading.Thread(target=self._run, name="io", daemon=True)

    def _run(self) -> None:
        self.loop.run_until_complete(self._start())
        self.fetching = self.loop.create_task(self._fetch())
        self.loop.run_forever()
        self.cpu_seconds = time.thread_time()

    async def _start(self) -> None:
        self.client = AIOKafkaClient(bootstrap_servers=self.bootstrap)
        await self.client.bootstrap()
        (broker,) = self.client.cluster.brokers()
        self.node = broker.nodeId
        self.coordinator = await self._find_coordinator()

    async def _find_coordinator(self) -> int:
        while True:  # The first question ever makes the broker create its offsets topic.
            with contextlib.suppress(GroupCoordinatorNotAvailableError):
                return int(await self.client.coordinator_lookup(0, self.group))
            await asyncio.sleep(0.1)

    async def _fetch(self) -> None:
        while True:
            wanted = [(p, offset, PARTITION_BYTES) for p, offset in self.positions.items()]
            request = FetchRequest(500, 1, 8 << 20, 0, [(self.topic, wanted)])
            response = await self.client.send(self.node, request)
            views = [v for _, parts in response.topics for part in parts for v in self._split(part)]
            if views:
                self.main.call_soon_threadsafe(self._deliver, views)
            await self._wait_for_room(sum(size for _, _, size in views))

    def _split(self, part: Any) -> list[View]:
        partition, data = part[0], part[-1]
        views, records = [], MemoryRecords(data)
        while (batch := records.next_batch()) is not None:
            if not isinstance(batch, DefaultRecordBatch) or not batch.validate_crc():
                raise RuntimeError(f"corrupt batch in partition {partition}")
            views.append((partition, batch, len(data)))
            self.positions[partition] = batch.next_offset
            data = b""
        return views

    async def _wait_for_room(self, added: int) -> None:
        self.drained.clear()
        self.buffered_bytes += added
        if self.buffered_bytes > HIGH_WATER:
            await self.drained.wait()

    def _deliver(self, views: list[View]) -> None:
        self.buffered.extend(views)
        self.arrived.set()

    def taken(self, size: int) -> None:
        """The stream has finished with a fetched piece of ``size`` bytes (main thread)."""
        self.buffered_bytes -= size
        if self.buffered_bytes < LOW_WATER and not self.drained.is_set():
            self.loop.call_soon_threadsafe(self.drained.set)

    def call(self, coroutine: Any) -> asyncio.Future[Any]:
        """Run ``coroutine`` in the I/O thread, to be awaited in the main one."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.loop))

    async def produce(self, topic: str, batches: dict[int, bytes]) -> None:
        request = ProduceRequest(None, -1, 30_000, [(topic, list(batches.items()))])
        response = await self.client.send(self.node, request)
        if any(error for _, parts in response.topics for _, error, *_ in parts):
            raise RuntimeError(f"produce failed: {response}")

    async def commit(self, offsets: dict[int, int], metadata: str) -> None:
        entries = [(p, offset, metadata) for p, offset in offsets.items()]
        request = OffsetCommitRequest(self.group, -1, "", -1, [(self.topic, entries)])
        for _ in range(50):  # A coordinator just made is not one yet.
            response = await self.client.send(self.coordinator, request)
            if not any(error for _, parts in response.topics for _, error in parts):
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"commit failed: {response}")


# -- main thread: stream, table, committer

current_stream: ContextVar[Stream] = ContextVar("current_stream")


class Stream:
    """One reader of a topic: iterates batches inline; an event ends when the agent comes back."""

    def __init__(self, link: Link, decode: Callable[[bytes], Any]) -> None:
        self.link, self.decode = link, decode
        self.positions: dict[int, int] = {}
        self.undo: list[tuple[Table, Any, Any]] = []
        self.record: Any = None
        self.partition = -1
        self.finished = 0
        self.between = True  # Between two events; otherwise an agent awaits inside one.

    async def __aiter__(self) -> AsyncIterator[Any]:
        current_stream.set(self)
        link, decode, undo, positions = self.link, self.decode, self.undo, self.positions
        clock = time.perf_counter
        since = clock()
        while True:
            while not link.buffered:
                link.arrived.clear()
                await link.arrived.wait()
                since = clock()
            partition, batch, size = link.buffered.popleft()
            self.partition = partition
            rest: Iterator[Any] = chain(batch)  # Iterating the batch itself twice raises.
            left = batch.last_offset_delta + 1
            if (skipped := positions.get(partition, 0) - batch.base_offset) > 0:
                rest = _from_offset(rest, positions[partition])
                left -= skipped
            self.between = False
            while left > 0:
                for record in islice(rest, SLICE):
                    self.record = record
                    yield decode(record.value)
                    if undo:
                        self._finish()
                left -= SLICE
                if clock() - since > YIELD_SECONDS:
                    positions[partition] = record.offset + 1
                    self.between = True
                    await asyncio.sleep(0)
                    self.between = False
                    since = clock()
            positions[partition] = batch.next_offset
            self.between = True
            self.finished += batch.last_offset_delta + 1
            if size:
                link.taken(size)

    def _finish(self) -> None:
        """The event's writes are now the task's: they are no longer undone."""
        partition = self.partition
        for table, key, _ in self.undo:
            table.dirty[key] = partition
        self.undo.clear()


def _from_offset(records: Iterator[Any], offset: int) -> Iterator[Any]:
    return dropwhile(lambda record: bool(record.offset < offset), records)


class Table:
    """Live values, the committed encoded ones, and which keys differ."""

    def __init__(self, name: str, default: Callable[[], Any]) -> None:
        self.name, self.default = name, default
        self.live: dict[Any, Any] = {}
        self.committed: dict[bytes, bytes] = {}
        self.dirty: dict[Any, int] = {}

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.live[key]
        except KeyError:
            return self.default()

    def __setitem__(self, key: Any, value: Any) -> None:
        live = self.live
        current_stream.get().undo.append((self, key, live.get(key, MISSING)))
        live[key] = value


Agent = Callable[[Stream, Table], Any]


async def decode_only(stream: Stream, table: Table) -> None:
    async for _payment in stream:
        pass


async def count_per_key(stream: Stream, table: Table) -> None:
    async for payment in stream:
        table[payment.account] += 1


class Committer:
    """Cut, produce, commit, apply."""

    def __init__(self, link: Link, stream: Stream, table: Table) -> None:
        self.link, self.stream, self.table = link, stream, table
        self.commits = self.sequence = self.changes = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self.commit()

    async def commit(self) -> None:
        positions, changes = self._cut()
        for batches in self._encode(changes):
            await self.link.call(self.link.produce(self.table.name, batches))
        if positions:
            self.sequence += 1
            metadata = msgspec.json.encode([self.sequence, positions]).decode()
            await self.link.call(self.link.commit(positions, metadata))
        self.table.committed.update((key, value) for key, value, _ in changes)
        self.commits += 1
        self.changes += len(changes)

    def _cut(self) -> tuple[dict[int, int], list[tuple[bytes, bytes, int]]]:
        # Never waits: values that an event in progress has written are taken from its undo log.
        table, encode = self.table, msgspec.json.encode
        before: dict[Any, Any] = {}
        for owner, key, value in self.stream.undo:
            if owner is table:
                before.setdefault(key, value)
        live, dirty, table.dirty = table.live, table.dirty, {}
        if before:
            live = {**live, **before}
        changes = [(encode(key), encode(live[key]), part) for key, part in dirty.items()]
        positions = dict(self.stream.positions)
        if not self.stream.between:
            positions[self.stream.partition] = self.stream.record.offset
        return positions, changes

    def _encode(self, changes: list[tuple[bytes, bytes, int]]) -> list[dict[int, bytes]]:
        """Return requests, each with one batch for each partition."""
        requests: list[dict[int, bytes]] = []
        open_builders: dict[int, tuple[DefaultRecordBatchBuilderProtocol, int]] = {}
        closed: dict[int, int] = {}
        now = int(time.time() * 1000)

        def close(partition: int) -> None:
            builder, _ = open_builders.pop(partition)
            turn = closed[partition] = closed.get(partition, 0) + 1
            if turn > len(requests):
                requests.append({})
            requests[turn - 1][partition] = bytes(builder.build())

        for key, value, partition in changes:
            builder, count = open_builders.get(partition) or (_new_builder(), 0)
            if builder.append(count, now, key, value, []) is None:
                close(partition)
                builder, count = _new_builder(), 0
                builder.append(0, now, key, value, [])
            open_builders[partition] = builder, count + 1
        for partition in list(open_builders):
            close(partition)
        return requests


def _new_builder() -> DefaultRecordBatchBuilderProtocol:
    return DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, CHANGELOG_BATCH_BYTES)
