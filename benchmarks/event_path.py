"""The bare event path: what the real engine may cost, measured against Kafka Streams.

A prototype of one agent and one table with the protocol that the design asks for, and nothing else:
whole record batches fetched by requests of our own in an I/O thread and handed over unparsed;
parsing, decoding and the agent's code together on the main thread, in an async generator; an undo
log for each event, dirty keys, committed values kept apart; a cut every 250 ms that never waits,
its changelog acknowledged before its offsets are committed with metadata; a yield every 5 ms.

``python -m benchmarks.event_path`` runs it beside Kafka Streams 4.1 (one stream thread, record
caches on, the same commit interval); ``--profile`` shows what each layer adds.  Measured on two
cores shared with the broker, batches of 16 KiB (172 records), 4 partitions, thousand records/s,
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
    count: read, write, undo log, finish      483   (two method calls of the table 200, the context
                                                     variable 40, undo tuple and list 90, finish 130)

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

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from functools import partial
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

from benchmarks import kafka_streams
from benchmarks.load import build_batches, create_topic, fill
from tools.kafka import KafkaNode
from tools.kafka.node import BENCHMARK_JVM

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


# -- measuring


WORKS: dict[str, tuple[Callable[[bytes], Any], Agent]] = {
    "parse": (bytes, decode_only),  # A bytes object is its own copy: no decoding at all.
    "decode": (msgspec.json.Decoder(Payment).decode, decode_only),
    "count": (msgspec.json.Decoder(Payment).decode, count_per_key),
}


async def run_path(arguments: argparse.Namespace) -> None:
    """Run one work of the prototype and print its figure."""
    decode, agent = WORKS[arguments.work]
    link = Link(arguments.bootstrap, arguments.topic, arguments.partitions, arguments.group)
    stream, table = Stream(link, decode), Table(arguments.out, int)
    committer = Committer(link, stream, table)
    link.thread.start()
    tasks = [asyncio.create_task(agent(stream, table)), asyncio.create_task(committer.run())]
    watch = asyncio.create_task(_measure(stream, arguments.warm_up, arguments.seconds))
    done, _ = await asyncio.wait([watch, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    records, seconds, main_cpu = watch.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    link.loop.call_soon_threadsafe(link.loop.stop)
    await asyncio.to_thread(link.thread.join)
    share = link.cpu_seconds / (time.perf_counter() - BEGAN)
    print(
        f"RESULT {records} {seconds:.3f}  main thread {main_cpu / seconds:.0%},"
        f" I/O thread {share:.0%} of a core; {committer.commits} commits of"
        f" {committer.changes / max(1, committer.commits):.0f} changes"
    )


BEGAN = time.perf_counter()


async def _measure(stream: Stream, warm_up: int, seconds: float) -> tuple[int, float, float]:
    began = last_at = cpu = first = last = 0.0
    while not began or time.perf_counter() - began < seconds:
        await asyncio.sleep(0.01)
        now = time.perf_counter()
        if not began and stream.finished >= warm_up:
            began, cpu, first = now, time.thread_time(), stream.finished
        if stream.finished != last:
            last, last_at = stream.finished, now
        elif began and now - last_at > 3:
            break  # The topic is at its end: the figure covers what there was.
    return int(last - first), last_at - began, time.thread_time() - cpu


# -- profile: what each layer adds to an event, on one thread and without sockets


class _Shelf:
    """Stands where the link does, with batches already there; empty, it ends the stream."""

    def __init__(self, views: list[View]) -> None:
        self.buffered = deque(views)
        self.arrived = self

    def clear(self) -> None:
        """Nothing will arrive."""

    async def wait(self) -> None:
        """End the stream."""
        raise EOFError

    def taken(self, size: int) -> None:
        """Nobody waits for room."""


def profile(arguments: argparse.Namespace) -> None:
    """Print nanoseconds per event, layer by layer."""
    pool = build_batches(1_000_000, keys=arguments.keys, partitions=4)
    decode = msgspec.json.Decoder(Payment).decode

    def parse(batch: Any) -> None:
        for _ in batch:
            pass

    def parse_and_decode(batch: Any) -> None:
        for record in batch:
            decode(record.value)

    def check(batch: Any) -> None:
        batch.validate_crc()

    _report("check the CRC (I/O thread)", pool, partial(_each, check))
    _report("parse the batch", pool, partial(_each, parse))
    _report("parse and decode", pool, partial(_each, parse_and_decode))
    _report("... through the stream", pool, partial(_feed, decode, decode_only))
    _report("... and count", pool, partial(_feed, decode, count_per_key))


def _report(name: str, pool: list[Any], run: Callable[[list[View]], object]) -> None:
    best = float("inf")
    for _ in range(3):
        views = _placed(pool)
        began = time.perf_counter()
        run(views)
        best = min(best, time.perf_counter() - began)
    print(f"{name:30} {best / sum(batch.records for batch in pool) * 1e9:6.0f} ns")


def _placed(pool: list[Any]) -> list[View]:
    # As in a log: each batch begins where the one before it in its partition ended.
    ends, views = dict.fromkeys(range(4), 0), list[View]()
    for batch in pool:
        data = ends[batch.partition].to_bytes(8, "big") + batch.data[8:]
        views.append((batch.partition, DefaultRecordBatch(data), 0))
        ends[batch.partition] += batch.records
    return views


def _each(layer: Callable[[Any], None], views: list[View]) -> None:
    for _, batch, _ in views:
        layer(batch)


def _feed(decode: Callable[[bytes], Any], agent: Agent, views: list[View]) -> None:
    shelf: Any = _Shelf(views)
    with contextlib.suppress(EOFError):
        asyncio.run(agent(Stream(shelf, decode), Table("", int)))


def compare(arguments: argparse.Namespace) -> None:
    """Start a broker, fill a topic, and run prototype and Kafka Streams in turn."""
    with KafkaNode(jvm=BENCHMARK_JVM) as node:
        pool = build_batches(1_000_000, keys=arguments.keys, partitions=4)
        asyncio.run(_prepare(node.bootstrap, pool, arguments.records))
        for turn in range(arguments.rounds):
            for work in arguments.works:
                _one(node, "prototype", work, turn, arguments)
                if work != "parse":
                    _one(node, "kafka-streams", work, turn, arguments)


async def _prepare(bootstrap: str, pool: list[Any], records: int) -> None:
    await create_topic(bootstrap, "payments", partitions=4)
    began = time.perf_counter()
    sent = await fill(bootstrap, "payments", pool, records)
    print(f"{sent:,} records in {time.perf_counter() - began:.1f} s", flush=True)


def _one(node: KafkaNode, who: str, work: str, turn: int, arguments: argparse.Namespace) -> None:
    group = f"{who}-{work}-{turn}"
    if who == "prototype":
        asyncio.run(create_topic(node.bootstrap, group, partitions=4, config=COMPACT))
        command = [sys.executable, "-m", "benchmarks.event_path", "--bootstrap", node.bootstrap]
        command += ["--work", work, "--group", group, "--out", group, "--warm-up"]
        command += [str(arguments.warm_up), "--seconds", str(arguments.seconds)]
    else:
        command = kafka_streams.command(
            node.bootstrap,
            app_id=group,
            topic="payments",
            out="",
            work=work,
            commit_ms=int(COMMIT_SECONDS * 1000),
            warm_up=arguments.warm_up,
            seconds=arguments.seconds,
            directory=node.folder,
        )
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60 + 2 * arguments.seconds, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        raise RuntimeError(f"{who} {work}: {done.stdout}{done.stderr}")
    _, records, seconds, *rest = lines[0].split(maxsplit=3)
    rate = int(records) / float(seconds) / 1000
    load = os.getloadavg()[0]
    print(f"{who:14} {work:7} {rate:8.0f} k/s over {seconds} s  load {load:.1f}  {''.join(rest)}")
    sys.stdout.flush()


COMPACT = {"cleanup.policy": "compact"}


def main() -> None:
    """Compare by default; with ``--work`` be one run of the prototype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--works", nargs="*", default=["parse", "decode", "count"])
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--records", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--profile", action="store_true", help="layer by layer, without Kafka")
    for name in ("--bootstrap", "--work", "--group", "--out"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--topic", default="payments", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.profile:
        profile(arguments)
    elif arguments.work:
        asyncio.run(run_path(arguments))
    else:
        with contextlib.suppress(KeyboardInterrupt):
            compare(arguments)


if __name__ == "__main__":
    main()
