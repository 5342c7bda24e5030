"""Processes that copy one topic into two, by transactions, and may be killed at any instant."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from faust._values import TP
from faust.transport.base import (
    Commit,
    GroupOptions,
    ProducerOptions,
    ReaderOptions,
    TransportOptions,
)
from faust.transport.drivers.sqlite import SQLiteTransport
from faust.transport.records import Batch, Builder, new_builder
from faust.utils.urls import broker_urls

SOURCE, SINKS, LANES = "source", ("left", "right"), 2


def opened(path: str | Path) -> SQLiteTransport:
    options = TransportOptions(default_partitions=LANES, request_timeout=30.0)
    return SQLiteTransport(broker_urls(f"sqlite://{path}"), options)


def builder_of(values: list[bytes], *, transactional: bool) -> Builder:
    builder = new_builder(1 << 20, transactional=transactional)
    for number, value in enumerate(values):
        builder.append(number, int(time.time() * 1000), b"k", value, [])
    return builder


def copy(path: str, lane: int, most: int | None) -> None:
    """Copy one partition to the end, or so many batches; a batch in each transaction.

    Who was given a number then waits to be killed, with a transaction open.
    """
    asyncio.run(_copy(path, lane, most))


async def _copy(path: str, lane: int, most: int | None) -> None:
    broker = opened(path)
    await broker.open()
    group = f"copiers-{lane}"
    producer = broker.producer(ProducerOptions(transactional_id=group, transaction_timeout=300.0))
    # What a killed predecessor has left open is ended by this, so the look at offsets is final.
    await (await producer.begin()).abort()
    member = broker.membership(GroupOptions(group_id=group, session_timeout=300.0))
    joined = await member.join([("plan", b"")])
    await member.sync(joined.generation, {member.member_id: b""})
    source = TP(SOURCE, lane)
    done = await broker.committed(group, [source], stable=True)
    reader = broker.reader(ReaderOptions(max_partition_bytes=1))
    reader.assign({source: done[source].offset if source in done else 0})
    end = (await broker.offsets([source], -1))[source]
    copied_batches = 0
    while reader.positions()[source] < end:
        fetched = await reader.fetch(5.0)
        for batch in fetched.batches:
            transaction = await producer.begin()
            for sink in SINKS:
                copied = builder_of(_values(batch), transactional=True)
                transaction.produce(TP(sink, lane), copied)
            commit = Commit(batch.next_offset)
            await transaction.commit_offsets(member, {source: commit}, generation=joined.generation)
            if copied_batches == most:
                await asyncio.Event().wait()
            await transaction.commit()
            copied_batches += 1
    await reader.close()
    await member.leave()
    await producer.close()
    await broker.close()


def _values(batch: Batch) -> list[bytes]:
    return [record.value or b"" for record in batch.records()]
