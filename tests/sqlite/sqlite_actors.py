"""Processes that use one broker file at once and may be killed at any instant.

Each keeps what it knows in plain files of its own, written with one `os.write` a line: what a
killed process had been told is there afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from faust._values import TP
from faust.exceptions import RejoinError, TopicExists
from faust.transport.base import (
    Commit,
    GroupOptions,
    Placed,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
    TransportOptions,
)
from faust.transport.drivers.sqlite import SQLiteTransport
from faust.transport.drivers.sqlite.log import Session
from faust.transport.records import Builder, Record, new_builder
from faust.utils.urls import broker_urls

TOPIC = "numbers"
PARTITIONS = 4
RECORDS = 5
IN_FLIGHT = 4


def transport(path: Path | str, query: str = "", **options: Any) -> SQLiteTransport:
    options = {"default_partitions": PARTITIONS, "request_timeout": 30.0, **options}
    return SQLiteTransport(broker_urls(f"sqlite://{path}{query}"), TransportOptions(**options))


def batch_of(*values: bytes, size_limit: int = 1 << 20) -> Builder:
    builder = new_builder(size_limit)
    for number, value in enumerate(values):
        builder.append(number, int(time.time() * 1000), b"k", value, [])
    return builder


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def say(file: int, line: str) -> None:
    os.write(file, f"{line}\n".encode())


def told(path: Path) -> list[list[str]]:
    """Return the complete lines of such a file, split."""
    if not path.exists():
        return []
    text = path.read_text()
    return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]


def numbered(writer: int, number: int) -> bytearray:
    """Batch number so-and-so of that writer: the same bytes whenever it is built."""
    builder = new_builder(1 << 20)
    for i in range(RECORDS):
        value = f"{writer}:{number * RECORDS + i}".encode()
        builder.append(i, 1_000_000 + number, b"w%d" % writer, value, [])
    builder.set_producer_state(1000 + writer, 0, number * RECORDS)
    return builder.build()


def append_to(tp: TP, data: bytearray, session: Session) -> Placed:
    return session.append(tp, data)


def text_of(record: Record) -> str:
    assert record.value is not None
    return record.value.decode()


def write_for_ever(path: str, directory: str, writer: int) -> None:
    """Append numbered batches, several under way; go on after the last one acknowledged.

    What was under way when its predecessor was killed is sent again, as it was.
    """
    run(_write_for_ever(path, Path(directory), writer))


async def _write_for_ever(path: str, directory: Path, writer: int) -> None:
    acks = directory / f"acks-{writer}"
    number = len(told(acks))
    file = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    broker = transport(path)
    await broker.open()
    tp = TP(TOPIC, writer % PARTITIONS)
    under_way: list[asyncio.Task[Any]] = []
    while True:
        data = numbered(writer, number)
        call = broker._connection.writer.call(partial(append_to, tp, data))
        under_way.append(asyncio.create_task(call))
        number += 1
        if len(under_way) >= IN_FLIGHT:
            placed = await under_way.pop(0)
            say(file, f"{placed.base_offset}")
            await asyncio.sleep(0.001)


def read_for_ever(path: str, directory: str, reader: int, session: float) -> None:
    """Be a member of the group: read what the plan says, note it, commit it."""
    run(_read_for_ever(path, Path(directory), reader, session))


async def _read_for_ever(path: str, directory: Path, reader: int, session: float) -> None:
    notes = os.open(directory / f"read-{reader}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    broker = transport(path, client_id=f"r{reader}")
    await broker.open()
    with contextlib.suppress(TopicExists):
        await broker.create_topic(TopicSpec(TOPIC, PARTITIONS))
    membership = broker.membership(
        GroupOptions(group_id="g", session_timeout=session, rebalance_timeout=session)
    )
    while True:
        try:
            await _one_generation(broker, membership, notes)
        except RejoinError:
            continue


async def _one_generation(broker: SQLiteTransport, membership: Any, notes: int) -> None:
    joined = await membership.join([("plain", b"")])
    plan = None
    if joined.is_leader:
        members = sorted(joined.members)
        plan = dict.fromkeys(members, b"")
        for partition in range(PARTITIONS):
            plan[members[partition % len(members)]] += b"%d," % partition
    part = await membership.sync(joined.generation, plan)
    mine = [TP(TOPIC, int(n)) for n in part.decode().split(",") if n]
    committed = await broker.committed("g", mine)
    reader = broker.reader(ReaderOptions())
    reader.assign({tp: committed[tp].offset if tp in committed else 0 for tp in mine})
    while True:
        await membership.heartbeat()
        fetched = await reader.fetch(0.05)
        for error in fetched.errors.values():
            raise error
        for batch in fetched.batches:
            for record in batch.records():
                say(notes, f"{batch.tp.partition} {record.offset} {text_of(record)}")
        if fetched.positions:
            offsets = {tp: Commit(offset, "m") for tp, offset in fetched.positions.items()}
            refused = await membership.commit(offsets, generation=joined.generation)
            assert not refused


def stop_in_the_middle(path: str, there: str, ready: str) -> None:
    """Begin a write transaction and never end it; when told so, by a file that is taken away."""

    def say_and_wait() -> None:
        Path(there).touch()
        while Path(there).exists():
            time.sleep(0.001)

    async def main() -> None:
        broker = transport(path)
        await broker.open()
        await asyncio.to_thread(say_and_wait)

        def stay(session: Any) -> None:
            Path(ready).touch()
            time.sleep(3600)

        await broker._connection.writer.call(stay, timeout=3600)

    run(main())


def create_and_append(path: str, directory: str, number: int, go: float) -> None:
    """Open the file at that time, whoever else does; append one batch."""

    async def main() -> None:
        broker = transport(path)
        await asyncio.sleep(max(0.0, go - time.time()))
        await broker.open()
        producer = broker.producer(ProducerOptions())
        placed = await producer.produce(TP(TOPIC, 0), batch_of(b"%d" % number))
        (Path(directory) / f"placed-{number}").write_text(f"{placed.base_offset}\n")
        await producer.close()
        await broker.close()

    run(main())


def compact_for_ever(path: str) -> None:
    """Compact and retain without a pause."""

    async def main() -> None:
        broker = transport(path)
        await broker.open()
        while True:
            await broker.maintain()

    run(main())
