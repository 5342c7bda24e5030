"""A node that answers nothing: what is given up there, and goes on elsewhere, in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from faust._values import TP
from faust.exceptions import BrokerUnavailable
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import (
    Commit,
    Placed,
    ProducerOptions,
    ReaderOptions,
    TransportOptions,
)
from faust.transport.drivers.aiokafka.cluster import Leader
from faust.transport.drivers.aiokafka.connections import Connections
from faust.transport.drivers.aiokafka.coordinator import NO_ANSWER, Coordinator
from faust.transport.drivers.aiokafka.fetch import KafkaReader
from faust.transport.drivers.aiokafka.group import KafkaMembership
from faust.transport.drivers.aiokafka.produce import KafkaProducer
from faust.transport.drivers.aiokafka.transactions import TransactionalProducer
from faust.transport.drivers.aiokafka.under_way import Request, UnderWay
from faust.transport.records import HEADER, Builder, new_builder

ZERO, ONE = TP("topic", 0), TP("topic", 1)
NOT_LEADER = 6
#: Partition, first sequence number.
Sent = tuple[int, int]


def batch() -> Builder:
    builder = new_builder(1000)
    builder.append(0, 0, None, b"v", [])
    return builder


class FakeConnections:
    """Nodes that keep requests until they are told to answer; `hung` ones never are.

    Attributes:
        hung: Nodes that answer nothing.
        sent: What each node was sent.
        dropped: Connections that were closed.
    """

    def __init__(self) -> None:
        self.hung: set[int] = set()
        self.sent: list[tuple[int, Any]] = []
        self.dropped: list[tuple[int, str]] = []
        self.coordinator = 1
        self.late: dict[int, asyncio.Event] = {}
        self._open: dict[tuple[int, str], list[asyncio.Task[Any]]] = {}

    async def connection(self, node: int, lane: str) -> None: ...

    def supports(self, node: int, lane: str, key: int, version: int) -> bool:
        return False

    async def send(
        self, node: int, request: Any, *, lane: str, timeout: float | None = None
    ) -> Any:
        self.sent.append((node, request))
        if node in self.hung:
            await self.late.setdefault(node, asyncio.Event()).wait()
            return _produced(request, NOT_LEADER)
        if hasattr(request, "_fields") and len(request._fields) == 4:
            return _produced(request, 0)
        await asyncio.sleep(0.25)  # as a fetch that finds nothing
        return SimpleNamespace(error_code=0, partitions=[], frame=b"")

    async def send_to_any(self, request: Any, *, timeout: float = 10.0) -> Any:
        return SimpleNamespace(
            error_code=0,
            producer_id=7,
            producer_epoch=0,
            coordinator_id=self.coordinator,
            host="",
            port=0,
        )

    def learn_node(self, node: int, address: tuple[str, int]) -> None: ...

    def drop(self, node: int, lane: str) -> None:
        self.dropped.append((node, lane))

    def drop_lane(self, lane: str, *, abort: bool) -> None: ...

    def batches(self, node: int) -> list[Sent]:
        """The batches that a node was sent."""
        return [
            (partition, HEADER.unpack_from(data)[11])
            for at, request in self.sent
            if at == node
            for _, partitions in request._fields[2]
            for partition, data in partitions
        ]


def _produced(request: Any, code: int) -> Any:
    topics = request._fields[2]
    answers: list[Any] = [
        (t, [(p, code, HEADER.unpack_from(d)[11], -1, 0, [], None) for p, d in parts])
        for t, parts in topics
    ]
    return SimpleNamespace(topics=answers)


class FakeCluster:
    """Metadata that change when they are asked for: `next_leaders` are the truth."""

    def __init__(self) -> None:
        self.options = TransportOptions(clock=VirtualClock.current(), request_timeout=90.0)
        self.connections = FakeConnections()
        self.leaders = {ZERO: 1, ONE: 1}
        self.next_leaders = dict(self.leaders)
        self.asked = 0
        self._watchers: list[Any] = []

    def watch(self, watcher: Any) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: Any) -> None: ...

    def is_gone(self, tp: TP) -> bool:
        return False

    def topic(self, name: str) -> None: ...

    def leader(self, tp: TP) -> Leader:
        return Leader(self.leaders[tp], 0)

    def refresh_soon(self) -> None:
        self.asked += 1
        self.leaders = dict(self.next_leaders)
        for watcher in self._watchers:
            asyncio.get_running_loop().call_soon(watcher.metadata_changed)


def producer_of(cluster: FakeCluster) -> KafkaProducer:
    return KafkaProducer(cluster, ProducerOptions())  # type: ignore[arg-type]  # a fake


async def known(producer: KafkaProducer, *tps: TP) -> None:
    """Let the leaders know the producer: from then on several batches are under way."""
    await asyncio.gather(*(producer.produce(tp, batch()) for tp in tps))


def test_batches_at_a_hung_node_are_sent_again_in_order_to_the_node_that_took_over() -> None:
    """They waited for the time-out of their request, 90 seconds."""

    async def main() -> None:
        cluster = FakeCluster()
        producer = producer_of(cluster)
        await known(producer, ZERO)
        cluster.connections.hung.add(1)
        futures = []
        for _ in range(7):  # five are under way, two behind them
            futures.append(producer.produce(ZERO, batch()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert cluster.connections.batches(1)[1:] == [(0, n) for n in range(1, 6)]
        await asyncio.sleep(5)
        assert cluster.asked > 0, "nobody had asked who leads before the request was over"
        assert cluster.connections.batches(2) == []
        cluster.next_leaders[ZERO] = 2
        placed = await asyncio.gather(*futures)
        assert cluster.connections.batches(2) == [(0, n) for n in range(1, 8)]
        assert [p.base_offset for p in placed] == list(range(1, 8))
        assert asyncio.get_running_loop().time() < 10
        assert {node for node, _ in cluster.connections.dropped} == {1}
        producer.abandon()

    run_virtual(main())


def test_a_batch_whose_partition_stays_at_the_hung_node_is_left_there() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        producer = producer_of(cluster)
        await known(producer, ZERO, ONE)
        cluster.connections.hung.add(1)
        moved, stays = producer.produce(ZERO, batch()), producer.produce(ONE, batch())
        await asyncio.sleep(1)
        cluster.next_leaders[ZERO] = 2
        assert await moved == Placed(1, -1, 0)
        await asyncio.sleep(20)
        assert not stays.done()
        assert cluster.connections.batches(1)[2:] == [(0, 1), (1, 1)], "sent once"
        assert cluster.connections.dropped == []
        producer.abandon()

    run_virtual(main())


def test_what_a_former_leader_answers_late_counts_for_nothing() -> None:
    """Its refusal would have sent a batch a third time, while the second one was under way."""

    async def main() -> None:
        cluster = FakeCluster()
        connections = cluster.connections
        producer = producer_of(cluster)
        await known(producer, ZERO, ONE)
        connections.hung |= {1, 2}
        future = producer.produce(ZERO, batch())
        producer.produce(ONE, batch())  # stays, so that the connection stays, too
        await asyncio.sleep(1)
        cluster.next_leaders[ZERO] = 2
        await asyncio.sleep(4)
        assert connections.batches(2) == [(0, 1)]
        connections.late[1].set()
        await asyncio.sleep(1)
        assert connections.batches(2) == [(0, 1)]
        assert not future.done()
        producer.abandon()

    run_virtual(main())


def test_a_fetch_at_a_hung_node_ends_when_another_one_leads_a_partition_of_it() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        connections = cluster.connections
        connections.hung.add(1)
        reader = KafkaReader(cluster, ReaderOptions())  # type: ignore[arg-type]  # a fake
        reader.assign({ZERO: 0})
        await asyncio.sleep(5)
        assert cluster.asked > 0
        assert {node for node, _ in connections.sent} == {1}
        cluster.next_leaders[ZERO] = 2
        await asyncio.sleep(2.5)
        assert 2 in {node for node, _ in connections.sent}
        assert [node for node, _ in connections.dropped] == [1]
        await reader.close()

    run_virtual(main())


def test_requests_nothing_is_left_of_are_not_under_way_any_more() -> None:
    under_way: UnderWay[str] = UnderWay()
    first, second = Request(1, "lane", 0.0, ["a", "b"]), Request(1, "lane", 1.0, ["b"])
    under_way.add(first)
    under_way.add(second)
    assert under_way.give_up({"a": 1, "b": None}.get) == ([], [])
    assert under_way.give_up({"a": 1, "b": 2}.get) == (["b", "b"], [second])
    assert first.parts == ["a"]
    assert under_way.at(1) == 1
    under_way.remove(second)
    assert under_way.at(1) == 1
    assert under_way.unanswered(1.9) == []
    assert under_way.unanswered(2.0) == [first]


class Nodes(Connections):
    """Connections whose nodes answer with their number, after a while."""

    def __init__(self, after: dict[int, float | Exception]) -> None:
        super().__init__([], TransportOptions())
        self.update_nodes({node: (f"host{node}", 9092) for node in after})
        self.after = after
        self.asked: list[int] = []

    async def send(
        self, node: int, request: Any, *, lane: str = "main", timeout: float | None = None
    ) -> Any:
        self.asked.append(node)
        after = self.after[node]
        if isinstance(after, Exception):
            raise after
        async with asyncio.timeout(timeout):
            await asyncio.sleep(after)
        return node


def test_the_next_node_is_asked_soon_when_one_does_not_answer_and_that_one_last_from_then_on() -> (
    None
):
    """Each hung node cost ten seconds, every time."""

    async def main() -> None:
        nodes = Nodes({1: 100.0, 2: 0.1, 3: 0.1})
        assert await nodes.send_to_any("who leads?") == 2
        assert asyncio.get_running_loop().time() < 2
        assert nodes.asked == [1, 2]
        assert await nodes.send_to_any("who leads?") == 2
        assert nodes.asked == [1, 2, 2]
        assert nodes.likely_nodes() == [2, 3, 1]
        await nodes.close()

    run_virtual(main())


def test_a_node_that_refuses_costs_no_time_and_the_last_failure_of_all_is_told() -> None:
    async def main() -> None:
        nodes = Nodes({1: ConnectionError("one"), 2: 0.5})
        assert await nodes.send_to_any("who?") == 2
        assert asyncio.get_running_loop().time() == 0.5
        refusing = Nodes({1: ConnectionError("one"), 2: ConnectionError("two")})
        with pytest.raises(ConnectionError, match="two"):
            await refusing.send_to_any("who?")
        hung = Nodes({1: 100.0, 2: 100.0})
        with pytest.raises(TimeoutError):
            await hung.send_to_any("who?")
        with pytest.raises(ConnectionError, match="no node"):
            await Nodes({}).send_to_any("who?")

    run_virtual(main())


def coordinator_of(cluster: FakeCluster) -> Coordinator:
    return Coordinator(cluster, "group")  # type: ignore[arg-type]  # a fake


def test_a_request_to_a_hung_coordinator_is_made_again_at_the_one_that_took_over() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        connections = cluster.connections
        connections.hung.add(1)
        again: list[int] = []
        asking = asyncio.create_task(
            coordinator_of(cluster).ask(SimpleNamespace(), "asking", on_retry=again.append)
        )
        await asyncio.sleep(20)
        assert [node for node, _ in connections.sent] == [1], "it is not asked twice in vain"
        connections.coordinator = 2
        await asking
        assert [node for node, _ in connections.sent] == [1, 2]
        assert asyncio.get_running_loop().time() < 23
        assert again == [NO_ANSWER], "the outcome of the first one is unknown"
        assert connections.dropped == [(1, "groups")]

    run_virtual(main())


def test_a_hung_coordinator_that_stays_one_is_unavailable_in_time() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        cluster.connections = Silent()
        with pytest.raises(BrokerUnavailable, match="asking of group 'group'"):
            await coordinator_of(cluster).ask(SimpleNamespace(), "asking", seconds=10.0)

    run_virtual(main())


class Silent(FakeConnections):
    async def send(
        self, node: int, request: Any, *, lane: str, timeout: float | None = None
    ) -> Any:
        async with asyncio.timeout(timeout):
            await asyncio.Event().wait()


class LosesAnAnswer(KafkaMembership):
    """A membership whose coordinator hangs once while offsets are committed."""

    group_id = "group"

    def __init__(self) -> None: ...

    async def commit_in_transaction(
        self,
        name: str,
        producer: tuple[int, int],
        offsets: Mapping[TP, Commit],
        generation: int | None,
        on_retry: Callable[[int], object] | None = None,
    ) -> int:
        assert on_retry is not None
        on_retry(NO_ANSWER)
        return 0


def test_after_offsets_that_may_arrive_late_the_next_transaction_has_a_new_epoch() -> None:
    """They have no sequence number: they would count in the next transaction of their epoch."""

    async def main() -> None:
        cluster: Any = FakeCluster()
        producer = TransactionalProducer(cluster, ProducerOptions(transactional_id="id"))
        producer.id.producer_id, producer.id.epoch, producer.id._needs_epoch = 7, 0, False
        transaction = await producer.begin()
        await transaction.commit_offsets(LosesAnAnswer(), {ZERO: Commit(1)}, generation=1)
        assert producer.id._needs_epoch
        producer.abandon()

    run_virtual(main())
