"""Retention, compaction and its lag."""

from __future__ import annotations

import asyncio

from faust._values import TP
from faust.testing.conformance.base import Read, Suite, World, scenario
from faust.testing.conformance.scenarios import COMPACTED, answers
from faust.transport.base import EARLIEST, LATEST, Transport
from faust.transport.records import Item

__all__ = ["COMPACT", "CleaningConformance"]

#: Lets Kafka compact as soon as it looks: a segment for each batch, however little is dirty.
COMPACT = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "86400000",
}
HOUR_MS = 3_600_000


class CleaningConformance(Suite):
    """What a broker removes, and what it keeps."""

    @scenario
    async def test_compaction_keeps_what_kafka_keeps(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, COMPACT)
        await self._fill(world, transport, tp)
        end = (await transport.offsets([tp], LATEST))[tp]
        recorded = answers("compaction")
        found = await self._read_until(world, transport, tp, len(recorded["kept"]))
        last = recorded["last"]  # nothing is said of the tail: Kafka's is its active segment
        assert [[r.offset, _text(r.key), _text(r.value)] for r in found if r.offset < last] == [
            kept for kept in recorded["kept"] if kept[0] < last
        ]
        assert await transport.offsets([tp], LATEST) == {tp: end}
        assert end == recorded["end"]
        assert (await transport.offsets([tp], EARLIEST))[tp] == recorded["first"]

    async def _fill(self, world: World, transport: Transport, tp: TP) -> None:
        start = int(world.clock().time() * 1000) - 60_000
        for number, records in enumerate(COMPACTED):
            now = start + 1000 * number
            items = [Item(_bytes(key) or b"", _bytes(value), now) for key, value in records]
            await world.append(transport, tp, *items)

    async def _read_until(
        self, world: World, transport: Transport, tp: TP, at_most: int
    ) -> list[Read]:
        for _ in range(60):
            await world.maintain(transport)
            first = (await transport.offsets([tp], EARLIEST))[tp]
            found = await world.read(transport, tp, first)
            if len(found) <= at_most:
                break
            await asyncio.sleep(0.5)
        return found

    @scenario
    async def test_a_compacted_log_is_read_from_any_position_to_its_end(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, COMPACT)
        await self._fill(world, transport, tp)
        kept = await self._read_until(world, transport, tp, len(answers("compaction")["kept"]))
        end = (await transport.offsets([tp], LATEST))[tp]
        for position in range(end + 1):
            found = await world.read(transport, tp, position)
            assert [r.offset for r in found] == [r.offset for r in kept if r.offset >= position]

    @scenario
    async def test_compaction_leaves_alone_what_is_younger_than_its_lag(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, {**COMPACT, "min.compaction.lag.ms": "3600000"})
        await self._fill(world, transport, tp)
        await world.maintain(transport)
        assert len(await world.read(transport, tp)) == sum(map(len, COMPACTED))

    @scenario
    async def test_retention_by_time_removes_old_batches_and_keeps_young_ones(
        self, world: World
    ) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, {"retention.ms": "600000", "segment.ms": "100"})
        now = int(world.clock().time() * 1000)
        for age in (3 * HOUR_MS, 2 * HOUR_MS, 0):
            await world.append(transport, tp, Item(b"k", b"%d" % age, now - age))
        assert await self._first_offset(world, transport, tp, 2) == 2
        assert [r.value for r in await world.read(transport, tp, 2)] == [b"0"]

    @scenario
    async def test_retention_by_size_keeps_at_least_that_much(self, world: World) -> None:
        transport = await world.transport()
        config = {"retention.bytes": "25000", "segment.ms": "100"}
        tp = await world.partition(transport, config)
        start = int(world.clock().time() * 1000) - 60_000
        for n in range(6):
            await world.append(transport, tp, Item(b"k", b"x" * 10_000, start + 1000 * n))
        assert await self._first_offset(world, transport, tp, 3) == 3

    async def _first_offset(self, world: World, transport: Transport, tp: TP, expected: int) -> int:
        for _ in range(60):
            await world.maintain(transport)
            first = (await transport.offsets([tp], EARLIEST))[tp]
            if first >= expected:
                break
            await asyncio.sleep(0.5)
        return first

    @scenario
    async def test_a_compacted_topic_keeps_old_values(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, {**COMPACT, "retention.ms": "1000"})
        now = int(world.clock().time() * 1000)
        for key in (b"a", b"b", b"c"):
            await world.append(transport, tp, Item(key, b"v", now - HOUR_MS))
        await world.maintain(transport)
        assert [r.key for r in await world.read(transport, tp)] == [b"a", b"b", b"c"]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()
