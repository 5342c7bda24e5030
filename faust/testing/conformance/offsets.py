"""First and end offsets, offsets by time, DeleteRecords."""

from __future__ import annotations

from faust._values import TP
from faust.exceptions import OffsetOutOfRange
from faust.testing.conformance.base import Suite, World, scenario
from faust.testing.conformance.scenarios import (
    BASE_MS,
    DELETIONS,
    TIME_QUERIES,
    TIMES,
    answers,
)
from faust.transport.base import EARLIEST, LATEST, Transport
from faust.transport.records import Item

__all__ = ["OffsetConformance"]

FOR_EVER = {"retention.ms": "-1"}


class OffsetConformance(Suite):
    """What holds of offsets."""

    @scenario
    async def test_an_empty_log_begins_and_ends_at_zero(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        assert await transport.offsets([tp], EARLIEST) == {tp: 0}
        assert await transport.offsets([tp], LATEST) == {tp: 0}
        assert await transport.offsets([tp], BASE_MS) == {tp: 0}

    @scenario
    async def test_unknown_partitions_are_left_out(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        unknown = [TP(tp.topic, 9), TP(world.name("nowhere"), 0)]
        assert await transport.offsets([tp, *unknown], LATEST) == {tp: 0}

    @scenario
    async def test_offsets_by_time_are_those_of_kafka(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, FOR_EVER)
        for times in TIMES:
            await world.append(transport, tp, *(Item(b"k", b"v", BASE_MS + t) for t in times))
        found = [(await transport.offsets([tp], BASE_MS + at))[tp] for at in TIME_QUERIES]
        recorded = answers("offsets_by_time")
        assert dict(zip(TIME_QUERIES, found, strict=True)) == dict(
            zip(TIME_QUERIES, recorded["at"], strict=True)
        )
        assert (await transport.offsets([tp], LATEST))[tp] == recorded["end"]

    @scenario
    async def test_deleting_records_moves_the_first_offset_as_in_kafka(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, FOR_EVER)
        for _ in range(3):
            await world.append(transport, tp, *(Item(b"k", b"v", BASE_MS) for _ in range(3)))
        found = [await self._delete(transport, tp, before) for before in DELETIONS]
        assert found == answers("delete_records")

    async def _delete(self, transport: Transport, tp: TP, before: int) -> dict[str, object]:
        outcome: object
        try:
            outcome = (await transport.delete_records({tp: before}))[tp]
        except OffsetOutOfRange:
            outcome = "OffsetOutOfRangeError"
        first = (await transport.offsets([tp], EARLIEST))[tp]
        end = (await transport.offsets([tp], LATEST))[tp]
        return {"before": before, "answer": outcome, "first": first, "end": end}

    @scenario
    async def test_deleted_records_are_not_read_any_more(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport, FOR_EVER)
        for n in range(4):
            await world.append(transport, tp, Item(b"k", b"%d" % n, BASE_MS))
        await transport.delete_records({tp: 2})
        assert [r.value for r in await world.read(transport, tp, 2)] == [b"2", b"3"]
        reader = world.reader(transport)
        reader.assign({tp: 1})
        error = (await reader.fetch(5.0)).errors[tp]
        assert isinstance(error, OffsetOutOfRange)
        assert (await world.append(transport, tp, Item(b"k", b"4", BASE_MS))).base_offset == 4
