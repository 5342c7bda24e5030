"""One writer a changelog: what others have written is found and written over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from yarl import URL

from faust._engine.changelogs import Changelogs
from faust._values import TP
from faust.testing.broker import memory_broker
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import ProducerOptions, TopicSpec, TransportOptions
from faust.transport.drivers.memory import MemoryTransport

LOG = TP("log", 0)


def with_two_writers(check: Any) -> None:
    async def main() -> None:
        clock = VirtualClock.current()
        async with memory_broker(clock=clock) as broker:
            broker.create_topic(TopicSpec("log", 1))
            transport = MemoryTransport([URL(broker.url)], TransportOptions(clock=clock))
            await transport.open()
            writers = [
                Changelogs(
                    transport,
                    transport.producer(ProducerOptions()),
                    batch_size=1 << 12,
                    now=clock.time,
                )
                for _ in range(2)
            ]
            work: Coroutine[Any, Any, None] = check(broker, *writers)
            await work
            await transport.close()

    run_virtual(main(), 1)


def contents(broker: Any) -> dict[bytes, bytes]:
    batches, _ = broker.log(LOG).read(0, 1 << 20, committed=True)
    return {record.key: record.value for batch in batches for record in batch.records()}


def test_a_writer_that_is_alone_hears_of_nobody() -> None:
    async def check(broker: Any, own: Changelogs, other: Changelogs) -> None:
        assert await own.append(LOG, [(b"a", b"1"), (b"b", b"2")], 0) == (2, [])
        assert await own.append(LOG, [(b"a", b"3")], 2) == (3, [])

    with_two_writers(check)


def test_what_somebody_else_has_written_is_written_over() -> None:
    async def check(broker: Any, own: Changelogs, other: Changelogs) -> None:
        end, _ = await own.append(LOG, [(b"a", b"1")], 0)
        await other.append(LOG, [(b"a", b"stale"), (b"z", b"stale")], 0)
        end, foreign = await own.append(LOG, [(b"b", b"2")], end)
        assert foreign == [(1, 3)]
        values = {b"a": b"1", b"b": b"2"}
        end = await own.repair(LOG, end, foreign, values.get)
        assert end == 6
        assert contents(broker) == {b"a": b"1", b"b": b"2", b"z": None}

    with_two_writers(check)


def test_a_repair_goes_on_until_nobody_has_written() -> None:
    async def check(broker: Any, own: Changelogs, other: Changelogs) -> None:
        end, foreign = 0, [(0, 1)]
        await other.append(LOG, [(b"a", b"stale")], 0)
        await asyncio.gather(
            own.repair(LOG, 1, foreign, {b"a": b"1"}.get),
            other.append(LOG, [(b"a", b"staler")], 1),
        )
        assert contents(broker) == {b"a": b"1"}, end

    with_two_writers(check)
