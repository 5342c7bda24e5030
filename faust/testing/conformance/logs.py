"""Appending: order, offsets, what a record carries, compression, who stamps the time."""

from __future__ import annotations

import asyncio

import pytest

from faust._values import TP
from faust.exceptions import MessageTooLarge
from faust.testing.conformance.base import Suite, World, batch, scenario
from faust.transport.records import Item

__all__ = ["LogConformance"]

HOUR_MS = 3_600_000


class LogConformance(Suite):
    """What holds of records that were appended."""

    @scenario
    async def test_a_record_comes_back_as_it_was_sent(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        now = _now_ms(world)
        headers = [("a", b"1"), ("b", b""), ("a", b"\x00\xff")]
        await world.append(transport, tp, Item(b"key", b"value", now, headers))
        (record,) = await world.read(transport, tp)
        assert (record.key, record.value, record.timestamp) == (b"key", b"value", now)
        assert (record.headers, record.timestamp_type) == (headers, 0)

    @scenario
    async def test_empty_missing_and_large_keys_and_values_differ(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        now = _now_ms(world)
        sent = [(b"", b""), (None, b"v"), (b"k", None), (None, None), (b"K" * 9000, b"V" * 90_000)]
        await world.append(transport, tp, *(Item(key, value, now) for key, value in sent))
        assert [(r.key, r.value) for r in await world.read(transport, tp)] == sent

    @scenario
    async def test_offsets_count_records_from_zero(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        now = _now_ms(world)
        first = await world.append(transport, tp, *(Item(b"k", b"%d" % n, now) for n in range(3)))
        second = await world.append(transport, tp, Item(b"k", b"3", now))
        assert (first.base_offset, second.base_offset) == (0, 3)
        assert [(r.offset, r.value) for r in await world.read(transport, tp)] == [
            (n, b"%d" % n) for n in range(4)
        ]

    @pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
    def test_every_codec_is_read_back(self, compression: str | None) -> None:
        world = self.make_world()
        world.run(self._codec(world, compression))

    async def _codec(self, world: World, compression: str | None) -> None:
        try:
            transport = await world.transport()
            tp = await world.partition(transport)
            now = _now_ms(world)
            items = [Item(b"k%d" % n, b"value " * 20, now + n) for n in range(50)]
            await world.append(transport, tp, *items, compression=compression)
            found = await world.read(transport, tp)
            assert [(r.key, r.value, r.timestamp) for r in found] == [i[:3] for i in items]
        finally:
            await world.close()

    @scenario
    async def test_batches_of_a_partition_keep_the_order_of_their_calls(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=3)
        producer = world.producer(transport)
        now = _now_ms(world)
        futures = [
            producer.produce(TP(name, n % 3), batch(Item(b"k", b"%d" % n, now))) for n in range(90)
        ]
        await producer.flush()
        assert all(future.done() for future in futures)
        for partition in range(3):
            found = await world.read(transport, TP(name, partition))
            assert [r.value for r in found] == [b"%d" % n for n in range(partition, 90, 3)]
            offsets = [(await future).base_offset for future in futures[partition::3]]
            assert offsets == list(range(30))

    @scenario
    async def test_the_senders_time_stays_unless_the_topic_says_otherwise(
        self, world: World
    ) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        long_ago = _now_ms(world) - HOUR_MS
        placed = await world.append(transport, tp, Item(b"k", b"v", long_ago))
        assert placed.append_time == -1
        assert [(r.timestamp, r.timestamp_type) for r in await world.read(transport, tp)] == [
            (long_ago, 0)
        ]

    @scenario
    async def test_log_append_time_replaces_the_senders_time(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, {"message.timestamp.type": "LogAppendTime"})
        now = _now_ms(world)
        items = [Item(b"k", b"v", now - HOUR_MS), Item(b"k", b"w", now - HOUR_MS)]
        placed = await world.append(transport, tp, *items)
        assert now <= placed.append_time <= now + 60_000
        for record in await world.read(transport, tp):
            assert (record.timestamp, record.timestamp_type) == (placed.append_time, 1)

    @scenario
    async def test_an_idempotent_producer_has_an_id_that_stands_in_its_batches(
        self, world: World
    ) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        producer = world.producer(transport, idempotent=True)
        await producer.produce(tp, batch(Item(b"k", b"v", _now_ms(world))))
        reader = world.reader(transport)
        reader.assign({tp: 0})
        (found,) = (await reader.fetch(5.0)).batches
        assert found.producer_id == producer.producer_id >= 0

    @scenario
    async def test_a_producer_without_acknowledgement_answers_minus_one(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        producer = world.producer(transport, acks=0, idempotent=False)
        placed = await producer.produce(tp, batch(Item(b"k", b"v", _now_ms(world))))
        assert placed.base_offset == -1
        reader = world.reader(transport)
        reader.assign({tp: 0})
        assert len((await reader.fetch(5.0)).batches) == 1

    @scenario
    async def test_a_batch_that_is_too_large_fails_and_later_work_goes_on(
        self, world: World
    ) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, {"max.message.bytes": "2000"})
        producer = world.producer(transport)
        now = _now_ms(world)
        with pytest.raises(MessageTooLarge):
            await producer.produce(tp, batch(Item(b"k", b"v" * 5000, now)))
        assert (await producer.produce(tp, batch(Item(b"k", b"v", now)))).base_offset == 0

    @scenario
    async def test_an_abandoned_producer_takes_nothing_more(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        producer = world.producer(transport)
        producer.abandon()
        future = producer.produce(tp, batch(Item(b"k", b"v", _now_ms(world))))
        (outcome,) = await asyncio.gather(future, return_exceptions=True)
        assert isinstance(outcome, Exception)
        assert await world.read(transport, tp) == []


def _now_ms(world: World) -> int:
    return int(world.clock().time() * 1000)
