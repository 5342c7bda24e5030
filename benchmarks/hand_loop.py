"""The yardstick by hand: aiokafka's ``getmany``, msgspec, a dict, a coalesced changelog.

What a good programmer writes in an afternoon without a framework: no rebalance, no restore, no
undo, one process.  Offsets are committed after the changelog is acknowledged.  Forwarded records
keep their partition (both topics have the same number), and go out in batches.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

Pairs = list[tuple[bytes | None, bytes]]


class Payment(msgspec.Struct):
    """The four fields."""

    account: str
    amount: float
    country: str
    number: int


class Loop:
    """One run: counts, what has changed since the last commit, and where we are."""

    def __init__(self, consumer: Any, producer: Any, out: str) -> None:
        self.consumer, self.producer, self.out = consumer, producer, out
        self.decode = msgspec.json.Decoder(Payment).decode
        self.encode = msgspec.json.Encoder().encode
        self.counts: dict[str, int] = {}
        self.dirty: dict[str, int] = {}
        self.positions: dict[TopicPartition, int] = {}
        self.unacknowledged: list[asyncio.Future[Any]] = []

    async def run(self, work: str, commit_seconds: float) -> None:
        """Fetch and handle until killed."""
        handle = self._handler(work)
        due = time.monotonic() + commit_seconds
        while True:
            fetched = await self.consumer.getmany(timeout_ms=50)
            for tp, records in fetched.items():
                pairs = handle(tp.partition, records)
                self.positions[tp] = records[-1].offset + 1
                await self._send(tp.partition, pairs)
            if time.monotonic() >= due:
                await self._commit()
                due = time.monotonic() + commit_seconds

    def _handler(self, work: str) -> Callable[[int, list[Any]], Pairs]:
        return {"decode": self._decode, "count": self._count, "forward": self._forward}[work]

    def _decode(self, partition: int, records: list[Any]) -> Pairs:
        decode = self.decode
        for record in records:
            decode(record.value)
        return []

    def _count(self, partition: int, records: list[Any]) -> Pairs:
        decode, counts, dirty = self.decode, self.counts, self.dirty
        for record in records:
            account = decode(record.value).account
            counts[account] = counts.get(account, 0) + 1
            dirty[account] = partition
        return []

    def _forward(self, partition: int, records: list[Any]) -> Pairs:
        decode, encode = self.decode, self.encode
        return [
            (payment.account.encode(), encode(payment))
            for payment in (decode(record.value) for record in records)
        ]

    async def _send(self, partition: int, pairs: Pairs) -> None:
        batch = self.producer.create_batch()
        for key, value in pairs:
            if batch.append(key=key, value=value, timestamp=None) is None:
                await self._submit(batch, partition)
                batch = self.producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        if pairs:
            await self._submit(batch, partition)

    async def _submit(self, batch: Any, partition: int) -> None:
        future = await self.producer.send_batch(batch, self.out, partition=partition)
        self.unacknowledged.append(future)

    async def _commit(self) -> None:
        dirty, self.dirty = self.dirty, {}
        changes: dict[int, Pairs] = {}
        for key, partition in dirty.items():
            pair = (key.encode(), self.encode(self.counts[key]))
            changes.setdefault(partition, []).append(pair)
        for partition, pairs in changes.items():
            await self._send(partition, pairs)
        waiting, self.unacknowledged = self.unacknowledged, []
        await asyncio.gather(*waiting)
        if self.positions:
            await self.consumer.commit(dict(self.positions))


async def main(arguments: argparse.Namespace) -> None:
    """Run one work from the start of the topic until killed."""
    consumer = AIOKafkaConsumer(
        arguments.topic,
        bootstrap_servers=arguments.bootstrap,
        group_id=arguments.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=arguments.bootstrap, acks="all")
    await consumer.start()
    await producer.start()
    try:
        loop = Loop(consumer, producer, arguments.out)
        await loop.run(arguments.work, arguments.commit_ms / 1000)
    finally:
        await producer.stop()
        await consumer.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "group", "topic", "out", "work"):
        parser.add_argument(name)
    parser.add_argument("commit_ms", type=int)
    asyncio.run(main(parser.parse_args()))
