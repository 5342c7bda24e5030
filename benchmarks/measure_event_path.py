"""Measures the bare event path beside Kafka Streams, or layer by layer with ``--profile``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from aiokafka.record.default_records import DefaultRecordBatch

from benchmarks import kafka_streams
from benchmarks.event_path import (
    COMMIT_SECONDS,
    Agent,
    Committer,
    Link,
    Payment,
    Stream,
    Table,
    View,
    count_per_key,
    decode_only,
)
from benchmarks.load import build_batches, create_topic, fill
from tools.kafka import KafkaNode
from tools.kafka.node import BENCHMARK_JVM

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


# -- what each layer adds to an event, on one thread and without sockets


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
        command = [
            sys.executable,
            "-m",
            "benchmarks.measure_event_path",
            "--bootstrap",
            node.bootstrap,
        ]
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
