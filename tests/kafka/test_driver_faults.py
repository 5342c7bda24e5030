"""The Kafka driver when connections break, brokers restart, and leaders move."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from yarl import URL

from faust._values import TP
from faust.exceptions import BrokerUnavailable
from faust.transport.base import (
    LATEST,
    Commit,
    GroupOptions,
    Placed,
    ProducerOptions,
    Reader,
    ReaderOptions,
    TopicSpec,
)
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from tests.kafka.driver_support import (
    Proxy,
    batch,
    new_topic,
    opened,
    options,
    read_all,
    run,
    unique,
    until,
)
from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaCluster, KafkaNode
from tools.kafka.node import Membership as Place
from tools.kafka.probe import free_ports

pytestmark = pytest.mark.kafka


class ProxiedNode:
    """A node whose clients are told to come by way of a proxy."""

    def __init__(self) -> None:
        inner, controller, self.port, self.proxy_port = free_ports(4)
        listeners = f"PLAINTEXT://127.0.0.1:{inner},CLIENT://127.0.0.1:"
        self.node = KafkaNode(
            membership=Place(1, {1: controller}, inner),
            extra_properties={
                "listeners": f"{listeners}{self.port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"{listeners}{self.proxy_port}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "CLIENT:PLAINTEXT",
                "inter.broker.listener.name": "PLAINTEXT",
                "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
            },
        )

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.proxy_port}"

    def proxy(self) -> Proxy:
        return Proxy(self.proxy_port, self.port)


@pytest.fixture(scope="module")
def proxied() -> Iterator[ProxiedNode]:
    require_kafka()
    setup = ProxiedNode()
    with setup.node:
        yield setup


def test_batches_whose_answers_are_lost_are_in_the_log_once_and_in_order(
    proxied: ProxiedNode,
) -> None:
    async def work() -> None:
        async with proxied.proxy() as proxy, opened(proxied.bootstrap) as transport:
            topic = await new_topic(transport, 2)
            tps = [TP(topic, 0), TP(topic, 1)]
            producer = transport.producer(ProducerOptions())
            futures: list[tuple[int, asyncio.Future[Placed]]] = []
            for number in range(300):
                futures.append((number, producer.produce(tps[number % 2], batch(str(number)))))
                await asyncio.sleep(0.002)
                if number % 60 == 20:
                    proxy.swallow = True
                if number % 60 == 30:
                    proxy.cut()
                    proxy.swallow = False
            placed = [await future for _, future in futures]
            assert [p.base_offset for p in placed] == [number // 2 for number in range(300)]
            reader = transport.reader(ReaderOptions())
            for n, tp in enumerate(tps):
                reader.assign({tp: 0})
                assert await read_all(reader, 150) == [str(k) for k in range(n, 300, 2)]
                reader.unassign([tp])
            assert await transport.offsets(tps, LATEST) == dict.fromkeys(tps, 150)
            await producer.close()
            await reader.close()

    run(work())


def test_reading_goes_on_over_broken_connections(proxied: ProxiedNode) -> None:
    async def work() -> None:
        async with proxied.proxy() as proxy, opened(proxied.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer, reader = (
                transport.producer(ProducerOptions()),
                transport.reader(ReaderOptions()),
            )
            reader.assign({tp: 0})
            found = []
            for number in range(10):
                future = producer.produce(tp, batch(str(number)))
                if number % 2:
                    proxy.cut()
                found += await read_all(reader, 1)
                await future
            assert found == [str(n) for n in range(10)]
            await producer.close()
            await reader.close()

    run(work())


def test_a_batch_that_cannot_be_delivered_fails_in_time_and_what_follows_is_in_order(
    proxied: ProxiedNode,
) -> None:
    async def work() -> None:
        async with proxied.proxy() as proxy, opened(proxied.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions(delivery_timeout=5.0))
            await producer.produce(tp, batch("a"))
            proxy.swallow = True
            lost = [producer.produce(tp, batch(f"lost{n}")) for n in range(3)]
            async with opened(proxied.node.bootstrap) as direct:
                await until(lambda: _ends_at(direct, tp, 4))
            outcomes = await asyncio.gather(*lost, return_exceptions=True)
            assert all(isinstance(outcome, BrokerUnavailable) for outcome in outcomes)
            proxy.cut()
            proxy.swallow = False
            producer_id = producer.producer_id
            placed = await producer.produce(tp, batch("b"))
            assert producer.producer_id == producer_id
            reader = transport.reader(ReaderOptions())
            reader.assign({tp: 0})
            # Those that were lost may be there (here they are): each once, and none after b.
            assert await read_all(reader, placed.base_offset + 1) == [
                "a",
                "lost0",
                "lost1",
                "lost2",
                "b",
            ]
            await producer.close()
            await reader.close()

    run(work())


async def _ends_at(transport: KafkaTransport, tp: TP, end: int) -> bool:
    return (await transport.offsets([tp], LATEST))[tp] == end


def test_an_abandoned_producer_sends_nothing_more(proxied: ProxiedNode) -> None:
    async def work() -> None:
        async with proxied.proxy() as proxy, opened(proxied.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions())
            await producer.produce(tp, batch("a"))
            seen = proxy.seen
            futures = [producer.produce(tp, batch("zombie")) for _ in range(3)]
            producer.abandon()
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            assert all(isinstance(outcome, BrokerUnavailable) for outcome in outcomes)
            assert proxy.seen == seen
            with pytest.raises(BrokerUnavailable):
                await producer.produce(tp, batch("late"))
            await producer.close()
            assert await transport.offsets([tp], LATEST) == {tp: 1}

    run(work())


def test_a_broker_that_is_away_is_unavailable_and_is_told_once(
    proxied: ProxiedNode, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        group = unique("group")
        with pytest.raises(BrokerUnavailable, match="no Kafka node answers"):
            async with opened(proxied.bootstrap, request_timeout=1.0):
                pass
        again = KafkaTransport([URL(f"kafka://{proxied.bootstrap}")], options(request_timeout=0.5))
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                await again.open()
        async with proxied.proxy():
            await until(lambda: _recovered(again.open))
            await again.close()
        async with (
            proxied.proxy() as proxy,
            opened(proxied.bootstrap, request_timeout=8.0) as transport,
        ):
            tp = TP(await new_topic(transport), 0)
            reader, producer = (
                transport.reader(ReaderOptions()),
                transport.producer(ProducerOptions()),
            )
            member = transport.membership(
                GroupOptions(group_id=group, session_timeout=120.0, protocol_type="test")
            )
            joined = await member.join([("plan", b"")])
            await member.sync(joined.generation, {})
            reader.assign({tp: 0})
            await reader.fetch(0.1)
            caplog.clear()
            proxy.refuse = True
            proxy.cut()
            *refused, fetched = await asyncio.gather(  # each waits for its time-out
                transport.topics(),
                transport.committed(group),
                transport.offsets([tp], LATEST),
                member.heartbeat(),
                member.commit({tp: Commit(1)}, generation=joined.generation),
                _fetch_for_ever(reader),
                return_exceptions=True,
            )
            assert [type(error) for error in refused] == [BrokerUnavailable] * 5
            with pytest.raises(BrokerUnavailable, match="no leader"):
                raise fetched
            warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
            assert len(warnings) == 1, [r.getMessage() for r in warnings]
            proxy.refuse = False
            await until(lambda: _recovered(member.heartbeat))
            await producer.produce(tp, batch("a"))
            await until(lambda: _recovered(lambda: read_all(reader, 1)))
            await member.leave()
            for part in (reader, producer, member):
                await part.close()

    run(work())


async def _fetch_for_ever(reader: Reader) -> None:
    while True:
        await reader.fetch(0.2)


async def _recovered(ask: Callable[[], Awaitable[object]]) -> bool:
    try:
        await ask()
    except BrokerUnavailable:
        return False
    return True


def test_a_node_that_restarts_interrupts_nobody_for_good() -> None:
    require_kafka()

    async def work(node: KafkaNode) -> None:
        async with opened(node.bootstrap, request_timeout=30.0) as transport:
            tp = TP(await new_topic(transport), 0)
            group = unique("group")
            producer, reader = (
                transport.producer(ProducerOptions()),
                transport.reader(ReaderOptions()),
            )
            member = transport.membership(
                GroupOptions(group_id=group, session_timeout=170.0, protocol_type="test")
            )
            joined = await member.join([("plan", b"")])
            await member.sync(joined.generation, {})
            reader.assign({tp: 0})
            await producer.produce(tp, batch("before"))
            restarting = asyncio.get_running_loop().run_in_executor(None, node.restart)
            futures = []
            for number in range(30):
                futures.append(producer.produce(tp, batch(str(number))))
                await asyncio.sleep(0.1)
            await restarting
            assert [(await future).base_offset for future in futures] == list(range(1, 31))
            found: list[str] = []
            while len(found) < 31:
                fetched = await reader.fetch(1.0)
                assert not fetched.errors
                found += [r.value.decode() for b in fetched.batches for r in b.records() if r.value]
            assert found == ["before", *map(str, range(30))]
            await member.heartbeat()  # the group has survived, too
            assert not await member.commit({tp: Commit(31)}, generation=joined.generation)
            for part in (reader, producer, member):
                await part.close()

    with KafkaNode() as node:
        run(work(node))


@pytest.mark.slow
def test_leaders_and_coordinators_move_without_loss_when_nodes_are_killed() -> None:
    require_kafka()

    async def work(cluster: KafkaCluster) -> None:
        hosts = [node.bootstrap for node in cluster.nodes]
        async with opened(*hosts, request_timeout=40.0) as transport:
            topic = unique()
            await transport.create_topic(TopicSpec(topic, 3))
            tps = [TP(topic, n) for n in range(3)]
            group = unique("group")
            producer, reader = (
                transport.producer(ProducerOptions()),
                transport.reader(ReaderOptions()),
            )
            member = transport.membership(
                GroupOptions(group_id=group, session_timeout=170.0, protocol_type="test")
            )
            joined = await member.join([("plan", b"")])
            await member.sync(joined.generation, {})
            reader.assign(dict.fromkeys(tps, 0))
            futures = []

            async def write() -> None:
                for number in range(600):
                    futures.append(producer.produce(tps[number % 3], batch(str(number))))
                    await asyncio.sleep(0.02)

            writing = asyncio.create_task(write())
            loop = asyncio.get_running_loop()
            await asyncio.sleep(1)
            await loop.run_in_executor(None, cluster.nodes[0].kill)
            found: dict[TP, list[str]] = {tp: [] for tp in tps}
            while sum(map(len, found.values())) < 600:
                fetched = await reader.fetch(1.0)
                assert not fetched.errors
                for b in fetched.batches:
                    found[b.tp] += [r.value.decode() for r in b.records() if r.value]
            await writing
            assert found == {tp: [str(k) for k in range(n, 600, 3)] for n, tp in enumerate(tps)}
            assert [(await f).base_offset for f in futures] == [n // 3 for n in range(600)]
            await member.heartbeat()
            refused = await member.commit({tps[0]: Commit(200)}, generation=joined.generation)
            assert refused == {}
            assert await transport.committed(group) == {tps[0]: Commit(200)}
            for part in (reader, producer, member):
                await part.close()

    with KafkaCluster() as cluster:
        run(work(cluster))


def test_a_transport_that_is_closed_leaves_no_task_behind(kafka: KafkaNode) -> None:
    async def work() -> None:
        before = asyncio.all_tasks()
        async with opened(kafka.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            reader, producer = (
                transport.reader(ReaderOptions()),
                transport.producer(ProducerOptions()),
            )
            reader.assign({tp: 0})
            await producer.produce(tp, batch("a"))
            waiting = asyncio.create_task(reader.fetch(60.0))
            await read_all(reader, 1)
            await reader.close()
            assert not (await waiting).batches
            await producer.close()
        await until(lambda: _are(before))

    run(work())


async def _are(tasks: set[asyncio.Task[Any]]) -> bool:
    return asyncio.all_tasks() == tasks
