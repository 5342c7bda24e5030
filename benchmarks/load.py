"""Topics full of records, quickly: record batches built once and produced over and over.

A pool of batches is built by aiokafka's compiled builder and sent as raw Produce requests, so that
filling costs the generator almost nothing per record and the broker decides the pace.  Batches
hold 16 KiB, which is what a busy producer with default settings writes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.partitioner import murmur2
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

#: The default ``batch.size`` of Kafka's own producer.
BATCH_BYTES = 16384

#: Produce requests on their way at once.
_IN_FLIGHT = 4
_PRODUCE_ATTEMPTS = 50
_COUNTRIES = ("NO", "SE", "DK", "FI", "IS", "DE", "NL", "FR")
#: 2013-01-01: any fixed time will do; LogAppendTime is the changelog's business, not the source's.
_TIMESTAMP_MS = 1_356_998_400_000


@dataclass(frozen=True)
class Batch:
    """One encoded record batch and where it belongs."""

    partition: int
    records: int
    data: bytes


def payment(number: int, account: int, country: str) -> tuple[bytes, bytes]:
    """Return key and value of one record: four fields, about 80 bytes of JSON."""
    key = f"account-{account:06d}"
    amount = f"{number % 9973}.{number % 100:02d}"
    value = f'{{"account":"{key}","amount":{amount},"country":"{country}","number":{number}}}'
    return key.encode(), value.encode()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that every Kafka client gives ``key``."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def build_batches(
    records: int, *, keys: int, partitions: int, batch_bytes: int = BATCH_BYTES, seed: int = 1
) -> list[Batch]:
    """Build ``records`` records over ``keys`` accounts, evenly chosen, as batches in turn."""
    rng = random.Random(seed)
    places = [partition_of(payment(0, n, "")[0], partitions) for n in range(keys)]
    pending: list[list[tuple[bytes, bytes]]] = [[] for _ in range(partitions)]
    sizes = [0] * partitions
    batches = []
    for number in range(records):
        account = rng.randrange(keys)
        pair = payment(number, account, _COUNTRIES[number % len(_COUNTRIES)])
        place = places[account]
        pending[place].append(pair)
        sizes[place] += len(pair[0]) + len(pair[1]) + 10
        if sizes[place] >= batch_bytes:
            batches.append(_encode(place, pending[place]))
            pending[place], sizes[place] = [], 0
    batches += [_encode(place, pairs) for place, pairs in enumerate(pending) if pairs]
    return batches


def _encode(partition: int, pairs: list[tuple[bytes, bytes]]) -> Batch:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 24)
    for offset, (key, value) in enumerate(pairs):
        builder.append(offset, _TIMESTAMP_MS + offset, key, value, [])
    return Batch(partition, len(pairs), bytes(builder.build()))


async def create_topic(
    bootstrap: str, name: str, *, partitions: int, config: dict[str, str] | None = None
) -> None:
    """Create a topic with one replica and wait until it has its leaders."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        # The records' timestamps are old: without this the broker deletes them as we read.
        settings = {"retention.ms": "-1", **(config or {})}
        topic = NewTopic(name, partitions, 1, topic_configs=settings)
        await admin.create_topics([topic])
    finally:
        await admin.close()


async def fill(bootstrap: str, topic: str, pool: list[Batch], records: int) -> int:
    """Produce the pool again and again until ``topic`` got ``records`` more; return how many."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        return await _fill(client, topic, pool, records)
    finally:
        await client.close()


async def _fill(client: AIOKafkaClient, topic: str, pool: list[Batch], records: int) -> int:
    sent, flying = 0, set[asyncio.Task[None]]()
    for group in _rounds(pool):
        if sent >= records:
            break
        flying.add(asyncio.create_task(_produce(client, topic, group)))
        sent += sum(batch.records for batch in group)
        if len(flying) >= _IN_FLIGHT:
            done, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*flying)
    return sent


def _rounds(pool: list[Batch]) -> Iterator[list[Batch]]:
    # A request may hold one batch for each partition.
    queues: dict[int, list[Batch]] = {}
    for batch in pool:
        queues.setdefault(batch.partition, []).append(batch)
    length, turn = max(map(len, queues.values())), 0
    while True:
        yield [queue[turn % len(queue)] for queue in queues.values()]
        turn = (turn + 1) % length


async def _produce(client: AIOKafkaClient, topic: str, batches: list[Batch]) -> None:
    pending = batches
    for _ in range(_PRODUCE_ATTEMPTS):
        (broker,) = client.cluster.brokers()
        data = [(batch.partition, batch.data) for batch in pending]
        request = ProduceRequest(None, 1, 30_000, [(topic, data)])
        response = await client.send(broker.nodeId, request)
        errors = {part: error for _, parts in response.topics for part, error, *_ in parts if error}
        if not errors:
            return
        # A topic just made has leaders in the metadata before they lead.
        pending = [batch for batch in pending if batch.partition in errors]
        await asyncio.sleep(0.1)
    names = {for_code(error).__name__ for error in errors.values()}
    raise RuntimeError(f"producing to {topic} failed: {', '.join(names)}")
