"""The embedded broker alone: records/s in and out, wake-up latency, idle CPU.

    python benchmarks/sqlite_log.py [--records 3000000] [--rounds 3] [--directory DIR]

Figures are the median of the rounds.  Each record has 100 bytes of value and an 8-byte key, a
batch is about 64 KiB.  *busy* is the same with another thread of the process in pure Python all the
time, as an agent at work is: what the driver costs then is how often it asks for the interpreter
lock.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from faust._values import TP
from faust.transport.base import (
    Placed,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
    TransportOptions,
)
from faust.transport.drivers.sqlite import SQLiteTransport
from faust.transport.records import Builder, new_builder
from faust.utils.urls import broker_urls

PER_BATCH = 560
VALUE = b"v" * 100
PARTITIONS = 4
Run = Callable[[str], Coroutine[Any, Any, list[float]]]

#: Batches handed over and not yet acknowledged.
UNDER_WAY = 64


def transport(path: str, query: str = "") -> SQLiteTransport:
    options = TransportOptions(default_partitions=PARTITIONS)
    return SQLiteTransport(broker_urls(f"sqlite://{path}{query}"), options)


def full_batch(number: int) -> Builder:
    builder = new_builder(1 << 17)
    now = int(time.time() * 1000)
    for i in range(PER_BATCH):
        builder.append(i, now, b"%08d" % (number + i), VALUE, [])
    return builder


@contextmanager
def busy_thread(wanted: bool) -> Iterator[None]:
    stop = threading.Event()

    def spin() -> None:
        x = 0
        while not stop.is_set():
            for _ in range(1000):
                x += 1

    thread = threading.Thread(target=spin)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if wanted:
            thread.join()


async def append_all(broker: SQLiteTransport, batches: int, topic: str) -> float:
    """Return records/s, building the batches included."""
    producer = broker.producer(ProducerOptions())
    started = time.perf_counter()
    pending: list[asyncio.Future[Placed]] = []
    for number in range(batches):
        tp = TP(topic, number % PARTITIONS)
        pending.append(producer.produce(tp, full_batch(number * PER_BATCH)))
        if len(pending) >= UNDER_WAY:
            await pending.pop(0)
    await producer.flush()
    seconds = time.perf_counter() - started
    await producer.close()
    return batches * PER_BATCH / seconds


async def read_all(broker: SQLiteTransport, batches: int, topic: str, *, parse: bool) -> float:
    reader = broker.reader(ReaderOptions())
    reader.assign({TP(topic, n): 0 for n in range(PARTITIONS)})
    left = batches * PER_BATCH
    started = time.perf_counter()
    while left:
        for batch in (await reader.fetch(1.0)).batches:
            left -= batch.count
            if parse:
                for record in batch.records():
                    record.value  # noqa: B018 - what reading it costs
        await asyncio.sleep(0)
    seconds = time.perf_counter() - started
    await reader.close()
    return batches * PER_BATCH / seconds


async def throughput(path: str, batches: int, *, busy: bool, query: str = "") -> list[float]:
    broker = transport(path, query)
    await broker.open()
    await broker.create_topic(TopicSpec("numbers", PARTITIONS))
    with busy_thread(busy):
        appended = await append_all(broker, batches, "numbers")
        fetched = await read_all(broker, batches, "numbers", parse=False)
        parsed = await read_all(broker, batches, "numbers", parse=True)
    await broker.close()
    return [appended, fetched, parsed]


# -- latency to another process -----------------------------------------------------------------


def listen(path: str, count: int, ready: Event, out: Connection) -> None:
    async def main() -> None:
        broker = transport(path)
        await broker.open()
        reader = broker.reader(ReaderOptions())
        reader.assign({TP("pings", 0): 0})
        await reader.fetch(0)
        ready.set()
        seen: list[float] = []
        while len(seen) < count:
            for batch in (await reader.fetch(10.0)).batches:
                now = time.monotonic_ns()
                seen += [(now - int(r.value or b"0")) / 1e6 for r in batch.records()]
        out.send(seen)
        await reader.close()
        await broker.close()

    asyncio.run(main())


async def latency(path: str, count: int) -> tuple[float, float]:
    """Milliseconds from handing a batch over to having it in another process: median, 99 %."""
    broker = transport(path)
    await broker.open()
    await broker.create_topic(TopicSpec("pings", 1))
    context = multiprocessing.get_context("spawn")
    ready, (inlet, outlet) = context.Event(), context.Pipe()
    process = context.Process(target=listen, args=(path, count, ready, outlet))
    process.start()
    await asyncio.to_thread(ready.wait, 60)
    producer = broker.producer(ProducerOptions())
    for _ in range(count):
        builder = new_builder(1 << 16)
        builder.append(0, 1, b"k", b"%d" % time.monotonic_ns(), [])
        await producer.produce(TP("pings", 0), builder)
        await asyncio.sleep(0.005)
    times: list[float] = sorted(await asyncio.to_thread(inlet.recv))
    await asyncio.to_thread(process.join, 30)
    await producer.close()
    await broker.close()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


async def idle(path: str, seconds: float) -> float:
    """Return percent of one core for a reader that waits while nothing happens."""
    broker = transport(path)
    await broker.open()
    reader = broker.reader(ReaderOptions())
    reader.assign({TP("silence", n): 0 for n in range(PARTITIONS)})
    await reader.fetch(0.5)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    until = started + seconds
    while (left := until - time.perf_counter()) > 0:
        await reader.fetch(min(left, 1.0))
    after, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - started
    await reader.close()
    await broker.close()
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return 100 * used / took


def measured(directory: str | None, run: Run, rounds: int) -> None:
    results: list[list[float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=directory) as inside:
            results.append(asyncio.run(run(f"{inside}/broker.db")))
    medians = [statistics.median(column) for column in zip(*results, strict=True)]
    for name, figure in zip(("append", "fetch", "fetch and parse"), medians, strict=True):
        print(f"    {name:18}{figure / 1000:10,.0f} thousand records/s")


def main() -> None:
    parser = argparse.ArgumentParser(description="The embedded broker alone.")
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pings", type=int, default=1000)
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    batches = options.records // PER_BATCH
    print(f"load {os.getloadavg()[0]:.2f}, switch interval {sys.getswitchinterval()} s")
    for title, run in (
        ("alone", partial(throughput, batches=batches, busy=False)),
        (
            "durability=full",
            partial(throughput, batches=batches // 4, busy=False, query="?durability=full"),
        ),
        ("busy", partial(throughput, batches=batches // 10, busy=True)),
    ):
        print(title)
        measured(options.directory, run, options.rounds)
    with tempfile.TemporaryDirectory(dir=options.directory) as inside:
        median, worst = asyncio.run(latency(f"{inside}/broker.db", options.pings))
        print(f"wake-up in another process: p50 {median:.2f} ms, p99 {worst:.2f} ms")
        print(f"idle: {asyncio.run(idle(f'{inside}/idle.db', 10.0)):.2f} % of a core")


if __name__ == "__main__":
    main()
