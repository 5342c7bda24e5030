"""Reading: positions, pausing, waiting, being woken; what happens when a position is lost."""

from __future__ import annotations

import asyncio

from faust._values import TP
from faust.exceptions import BrokerError, OffsetOutOfRange, UnknownTopic
from faust.testing.conformance.base import Read, Suite, World, fetch_until, records_of, scenario
from faust.transport.records import Item

__all__ = ["ReadingConformance"]


class ReadingConformance(Suite):
    """What holds of readers."""

    @scenario
    async def test_reading_begins_at_the_position_also_inside_a_batch(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        await world.append(transport, tp, *_numbered(world, range(5)))
        await world.append(transport, tp, *_numbered(world, range(5, 8)))
        for position in range(8):
            found = await world.read(transport, tp, position)
            assert [r.offset for r in found] == list(range(position, 8))

    @scenario
    async def test_the_batch_around_the_position_is_whole(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        await world.append(transport, tp, *_numbered(world, range(5)))
        reader = world.reader(transport)
        reader.assign({tp: 3})
        fetched = await reader.fetch(30.0)
        (found,) = fetched.batches
        assert (found.tp, found.base_offset, found.next_offset, found.count) == (tp, 0, 5, 5)
        assert fetched.positions == {tp: 5} == reader.positions()
        assert (fetched.ends[tp], fetched.errors) == (5, {})

    @scenario
    async def test_a_fetch_at_the_end_returns_empty_after_its_wait(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        for _ in range(2):
            fetched = await reader.fetch(0.2)
            assert (fetched.batches, fetched.positions, fetched.errors) == ([], {}, {})
        assert reader.positions() == {tp: 0}

    @scenario
    async def test_a_waiting_fetch_hears_of_a_new_batch(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        waiting = asyncio.create_task(fetch_until(reader, bool))
        await asyncio.sleep(0.1)
        await world.append(await world.transport(), tp, Item(b"k", b"v", _now_ms(world)))
        assert [r.value for r in await waiting] == [b"v"]

    @scenario
    async def test_a_waiting_fetch_hears_of_a_new_assignment(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=2)
        await world.append(transport, TP(name, 1), *_numbered(world, range(1)))
        reader = world.reader(transport)
        reader.assign({TP(name, 0): 0})
        waiting = asyncio.create_task(fetch_until(reader, bool))
        await asyncio.sleep(0.1)
        reader.assign({TP(name, 1): 0})
        assert [r.value for r in await waiting] == [b"0"]
        assert reader.positions() == {TP(name, 0): 0, TP(name, 1): 1}

    @scenario
    async def test_a_paused_partition_is_silent_and_loses_nothing(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=2)
        quiet, loud = TP(name, 0), TP(name, 1)
        for tp in (quiet, loud):
            await world.append(transport, tp, *_numbered(world, range(3)))
        reader = world.reader(transport)
        reader.assign({quiet: 0, loud: 0})
        reader.pause([quiet])
        await fetch_until(reader, lambda found: len(found) == 3)
        assert reader.positions() == {quiet: 0, loud: 3}
        assert (await reader.fetch(0.1)).batches == []
        reader.resume([quiet])
        found = await fetch_until(reader, lambda found: len(found) == 3)
        assert [r.offset for r in found] == [0, 1, 2]

    @scenario
    async def test_assigning_again_moves_the_position_there(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        await world.append(transport, tp, *_numbered(world, range(3)))
        reader = world.reader(transport)
        reader.assign({tp: 0})
        await fetch_until(reader, lambda found: len(found) == 3)
        reader.assign({tp: 1})
        assert reader.positions() == {tp: 1}
        fetched = await reader.fetch(30.0)
        assert [r.offset for r in records_of(fetched, 1)] == [1, 2]

    @scenario
    async def test_an_unassigned_partition_is_read_no_more(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        reader.unassign([tp, TP(tp.topic, 77)])
        await world.append(transport, tp, *_numbered(world, range(1)))
        assert (await reader.fetch(0.1)).batches == []
        assert reader.positions() == {}

    @scenario
    async def test_no_partition_starves_another(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=3)
        tps = [TP(name, n) for n in range(3)]
        for tp in tps:
            for _ in range(10):
                await world.append(transport, tp, Item(b"k", b"x" * 10_000, _now_ms(world)))
        reader = world.reader(transport, max_partition_bytes=15_000, max_bytes=15_000)
        reader.assign(dict.fromkeys(tps, 0))
        seen: list[TP] = []
        while len(seen) < 30:
            seen.extend(found.tp for found in (await reader.fetch(30.0)).batches)
        assert {*seen[:15]} == {*tps}

    @scenario
    async def test_one_batch_larger_than_all_limits_still_comes(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        await world.append(transport, tp, Item(b"k", b"x" * 50_000, _now_ms(world)))
        reader = world.reader(transport, max_partition_bytes=1000, max_bytes=1000)
        reader.assign({tp: 0})
        assert len(await fetch_until(reader, bool)) == 1

    @scenario
    async def test_a_position_beyond_the_end_is_an_error_of_that_partition_only(
        self, world: World
    ) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=2)
        good, bad = TP(name, 0), TP(name, 1)
        await world.append(transport, good, *_numbered(world, range(1)))
        reader = world.reader(transport)
        reader.assign({good: 0, bad: 99})
        values: list[Read] = []
        errors: dict[TP, BrokerError] = {}
        while not (values and errors):
            fetched = await reader.fetch(30.0)
            values.extend(records_of(fetched))
            errors.update(fetched.errors)
        (error,) = errors.values()
        assert isinstance(error, OffsetOutOfRange)
        assert (error.tp, error.position) == (bad, 99)
        assert (await reader.fetch(0.1)).errors == {}  # paused, until it is given a position again
        reader.assign({bad: 0})
        await world.append(transport, bad, *_numbered(world, range(1)))
        assert len(await fetch_until(reader, bool)) == 1

    @scenario
    async def test_a_topic_deleted_under_a_reader_is_an_error(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        await reader.fetch(0.1)
        await transport.delete_topic(tp.topic)
        for _ in range(100):
            errors = (await reader.fetch(1.0)).errors
            if errors:
                break
        assert isinstance(errors[tp], UnknownTopic)

    @scenario
    async def test_closing_ends_a_waiting_fetch(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        waiting = asyncio.create_task(reader.fetch(600.0))
        await asyncio.sleep(0.1)
        await reader.close()
        assert (await waiting).batches == []

    @scenario
    async def test_a_cancelled_fetch_loses_nothing(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        found: list[Read] = []
        for number in range(5):
            waiting = asyncio.create_task(reader.fetch(600.0))
            await asyncio.sleep(0.02 * number)
            waiting.cancel()
            (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
            if not isinstance(outcome, BaseException):
                found += records_of(outcome)  # it was there before the cancellation
            await world.append(transport, tp, *_numbered(world, range(number, number + 1)))
        found += await fetch_until(reader, lambda rest: len(found) + len(rest) >= 5)
        assert [r.value for r in found] == [b"%d" % n for n in range(5)]


def _now_ms(world: World) -> int:
    return int(world.clock().time() * 1000)


def _numbered(world: World, numbers: range) -> list[Item]:
    return [Item(b"k", b"%d" % n, _now_ms(world)) for n in numbers]
