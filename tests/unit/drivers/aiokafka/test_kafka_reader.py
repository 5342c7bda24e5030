"""When a reader asks again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from faust._values import TP
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import ReaderOptions, TransportOptions
from faust.transport.drivers.aiokafka.cluster import Leader
from faust.transport.drivers.aiokafka.fetch import KafkaReader


class FakeConnections:
    """One node that answers all fetches at the same instant, with nothing."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []
        self.answer = asyncio.Event()

    async def connection(self, node: int, lane: str) -> None: ...

    def supports(self, node: int, lane: str, key: int, version: int) -> bool:
        return False

    async def send(self, node: int, request: Any, *, lane: str) -> Any:
        _, topics = request._fields
        self.asked.append({wanted[0] for _, parts in topics for wanted in parts})
        await self.answer.wait()
        return SimpleNamespace(error_code=0, partitions=[], frame=b"")

    def drop_lane(self, lane: str, *, abort: bool) -> None: ...


class FakeCluster:
    def __init__(self) -> None:
        self.options = TransportOptions()
        self.connections = FakeConnections()

    def watch(self, watcher: Any) -> None: ...

    def unwatch(self, watcher: Any) -> None: ...

    def refresh_soon(self) -> None: ...

    def topic(self, name: str) -> None: ...

    def leader(self, tp: TP) -> Leader:
        return Leader(1, 0)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_partitions_are_asked_for_when_all_requests_end_at_one_instant() -> None:
    """With every connection in use a partition waits, for ever if all came free at once."""

    async def main() -> None:
        cluster = FakeCluster()
        asked = cluster.connections.asked
        reader = KafkaReader(cluster, ReaderOptions())  # type: ignore[arg-type]  # a fake
        for partition in range(4):
            reader.assign({TP("topic", partition): 0})
            await turns()
        assert asked == [{0}, {1}, {2}], "there are three connections to a node"
        cluster.connections.answer.set()
        await turns(1)
        cluster.connections.answer = asyncio.Event()
        await turns()
        assert {0, 1, 2, 3} <= set().union(*asked[3:])
        await reader.close()

    asyncio.run(main())


def test_it_is_known_since_when_no_node_has_answered_long_before_a_request_has_failed() -> None:
    """A connection that swallows everything looked like one on which nothing comes."""

    async def main() -> None:
        cluster = FakeCluster()
        cluster.options = TransportOptions(clock=VirtualClock.current())
        tp = TP("topic", 0)
        reader = KafkaReader(cluster, ReaderOptions())  # type: ignore[arg-type]  # a fake
        await asyncio.sleep(100)
        assert reader.unheard_since() is None, "nobody was asked"
        reader.assign({tp: 0})
        await asyncio.sleep(1)
        assert reader.unheard_since() is None
        await asyncio.sleep(10)
        assert reader.unheard_since() == 100
        reader.pause([tp])
        assert reader.unheard_since() is None, "nothing is wanted"
        reader.resume([tp])
        await asyncio.sleep(10)
        assert reader.unheard_since() == 111
        cluster.connections.answer.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert reader.unheard_since() is None
        cluster.connections.answer.clear()
        await reader.close()

    run_virtual(main())
