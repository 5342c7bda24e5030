"""A node that hangs, and a cluster that has gone on without it: nobody waits for the node."""

from __future__ import annotations

import asyncio

import pytest

from faust._values import TP
from faust.transport.base import (
    LATEST,
    Commit,
    GroupOptions,
    Membership,
    Placed,
    Producer,
    ProducerOptions,
    Reader,
    ReaderOptions,
    TopicSpec,
)
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from faust.transport.records import Builder, new_builder
from tests.kafka.driver_support import batch, opened, run, unique, values
from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

#: The cluster finds out sooner than by default (9 s) that a node is silent.
QUICK = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
#: Nothing in the test may need this: a hung node holds a request for as long.
FOR_EVER = 300.0


def in_transaction(text: str) -> Builder:
    builder = new_builder(1000, transactional=True)
    builder.append(0, 1_700_000_000_000, b"k", text.encode(), [])
    return builder


async def joined(transport: KafkaTransport, group: str) -> tuple[Membership, int]:
    member = transport.membership(
        GroupOptions(group_id=group, session_timeout=170.0, protocol_type="test")
    )
    found = await member.join([("plan", b"")])
    await member.sync(found.generation, {})
    return member, found.generation


async def read(reader: Reader, tps: list[TP], count: int) -> dict[TP, list[str]]:
    reader.assign(dict.fromkeys(tps, 0))
    found: dict[TP, list[str]] = {tp: [] for tp in tps}
    while sum(map(len, found.values())) < count:
        fetched = await reader.fetch(1.0)
        assert not fetched.errors
        for tp in tps:
            found[tp] += values(fetched, tp)
    return found


def test_nobody_waits_for_a_suspended_node_that_the_cluster_has_replaced() -> None:
    """Batches, transactions, groups and fetches waited for the time-outs of their requests."""
    require_kafka()

    async def work(cluster: KafkaCluster) -> None:
        loop = asyncio.get_running_loop()
        hosts = [node.bootstrap for node in cluster.nodes]
        async with opened(*hosts, request_timeout=FOR_EVER) as transport:
            plain, exact = unique("plain"), unique("exact")
            config = {"retention.ms": "-1"}
            for topic in (plain, exact):
                await transport.create_topic(TopicSpec(topic, 3, config=config))
            plains, exacts = ([TP(topic, n) for n in range(3)] for topic in (plain, exact))
            name = unique("txn")
            options = ProducerOptions(
                transactional_id=name, transaction_timeout=60.0, delivery_timeout=FOR_EVER
            )
            producer = transport.producer(ProducerOptions(delivery_timeout=FOR_EVER))
            exactly = transport.producer(options)
            await asyncio.gather(*(producer.produce(tp, batch("0")) for tp in plains))
            await (await exactly.begin()).abort()
            hung = await loop.run_in_executor(None, cluster.transaction_coordinator, name)
            group = unique("group")
            while await loop.run_in_executor(None, cluster.coordinator, group) is not hung:
                group = unique("group")
            member, generation = await joined(transport, group)
            reader = transport.reader(ReaderOptions())
            assert len(await read(reader, plains, 3)) == 3

            transaction = await exactly.begin()
            first = transaction.produce(exacts[0], in_transaction("0"))
            await first
            hung.suspend()
            writing = asyncio.create_task(_write(producer, plains))
            for tp in exacts:
                transaction.produce(tp, in_transaction("1"))
            await transaction.commit_offsets(member, {plains[0]: Commit(1)}, generation=generation)
            await transaction.commit()
            transaction = await exactly.begin()
            for tp in exacts:
                transaction.produce(tp, in_transaction("2"))
            await transaction.commit_offsets(member, {plains[0]: Commit(2)}, generation=generation)
            await transaction.commit()
            await member.heartbeat()
            assert not await member.commit({plains[1]: Commit(3)}, generation=generation)
            placed = await writing
            assert [p.base_offset for p in placed] == [1 + n // 3 for n in range(300)]
            assert await transport.committed(group) == {plains[0]: Commit(2), plains[1]: Commit(3)}
            assert await transport.offsets(plains, LATEST) == dict.fromkeys(plains, 101)
            texts = ["0", *map(str, range(100))]
            assert await read(reader, plains, 303) == dict.fromkeys(plains, texts)
            assert await read(reader, exacts, 7) == {
                tp: ["0", "1", "2"] if tp is exacts[0] else ["1", "2"] for tp in exacts
            }
            for part in (reader, producer, exactly, member):
                await part.close()

    with KafkaCluster(extra_properties=QUICK) as cluster:
        run(work(cluster))


async def _write(producer: Producer, tps: list[TP]) -> list[Placed]:
    futures = []
    for number in range(300):
        futures.append(producer.produce(tps[number % 3], batch(str(number // 3))))
        await asyncio.sleep(0.02)
    return [await future for future in futures]
