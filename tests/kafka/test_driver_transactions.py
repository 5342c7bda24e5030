"""Transactions of the Kafka driver: answers lost, a broker that restarts, an id that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from faust._values import TP
from faust.exceptions import BrokerUnavailable, ProducerFenced, TransactionAborted
from faust.transport.base import (
    Commit,
    GroupOptions,
    Membership,
    Producer,
    ProducerOptions,
    ReaderOptions,
)
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from faust.transport.records import Builder, new_builder
from tests.kafka.driver_support import new_topic, opened, run, unique, until, values
from tests.kafka.test_driver_faults import ProxiedNode
from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaNode

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def proxied() -> Iterator[ProxiedNode]:
    require_kafka()
    setup = ProxiedNode()
    with setup.node:
        yield setup


def batch(*texts: str) -> Builder:
    builder = new_builder(1 << 20, transactional=True)
    for number, text in enumerate(texts):
        builder.append(number, 1_700_000_000_000, b"k", text.encode(), [])
    return builder


@asynccontextmanager
async def joined(transport: KafkaTransport) -> AsyncIterator[tuple[str, Membership]]:
    group = unique("group")
    member = transport.membership(
        GroupOptions(group_id=group, session_timeout=170.0, protocol_type="test")
    )
    found = await member.join([("plan", b"")])
    await member.sync(found.generation, {})
    yield group, member
    await member.close()


@asynccontextmanager
async def transactional(
    transport: KafkaTransport, name: str = "", **changes: float
) -> AsyncIterator[Producer]:
    options = ProducerOptions(
        transactional_id=name or unique("txn"),
        transaction_timeout=changes.get("transaction_timeout", 30.0),
        delivery_timeout=changes.get("delivery_timeout", 30.0),
    )
    producer = transport.producer(options)
    try:
        yield producer
    finally:
        await producer.close()


async def committed_values(transport: KafkaTransport, tp: TP, end: int) -> list[str]:
    """Read what the committed see below an offset."""
    reader = transport.reader(ReaderOptions())
    reader.assign({tp: 0})
    found: list[str] = []
    while reader.positions()[tp] < end:
        fetched = await reader.fetch(5.0)
        assert not fetched.errors
        found += values(fetched)
    await reader.close()
    return found


def test_a_commit_whose_answer_is_lost_is_asked_for_again_and_counts_once(
    proxied: ProxiedNode,
) -> None:
    async def work() -> None:
        async with (
            proxied.proxy() as proxy,
            opened(proxied.bootstrap) as transport,
            joined(transport) as (group, member),
            transactional(transport) as producer,
        ):
            tp = TP(await new_topic(transport), 0)
            for number in range(6):
                transaction = await producer.begin()
                await transaction.produce(tp, batch(str(number)))
                await transaction.commit_offsets(member, {tp: Commit(number + 1)})
                proxy.swallow = True
                committing = asyncio.create_task(transaction.commit())
                await asyncio.sleep(0.1)
                proxy.cut()
                proxy.swallow = False
                await committing
            assert await transport.committed(group, [tp], stable=True) == {tp: Commit(6)}
            assert await committed_values(transport, tp, 12) == [str(n) for n in range(6)]

    run(work())


@pytest.mark.parametrize("takes_effect", [True, False])
def test_after_an_unknown_outcome_begin_decides_and_the_offsets_tell(
    proxied: ProxiedNode, takes_effect: bool
) -> None:
    async def work() -> None:
        async with (
            proxied.proxy() as proxy,
            opened(proxied.bootstrap, request_timeout=4.0) as transport,
            opened(proxied.node.bootstrap) as direct,
            joined(transport) as (group, member),
            transactional(transport) as producer,
        ):
            tp = TP(await new_topic(transport), 0)
            transaction = await producer.begin()
            await transaction.produce(tp, batch("first"))
            await transaction.commit_offsets(member, {tp: Commit(1)})
            if takes_effect:
                proxy.swallow = True
            else:
                proxy.refuse = True
                proxy.cut()
            with pytest.raises(BrokerUnavailable):
                await transaction.commit()
            if takes_effect:  # the broker may take its time
                await until(lambda: direct.committed(group, [tp]))
            await transaction.abort()  # over, whatever became of it
            with pytest.raises(BrokerUnavailable):
                await producer.begin()
            proxy.swallow = proxy.refuse = False
            proxy.cut()
            transaction = await producer.begin()
            expected = {tp: Commit(1)} if takes_effect else {}
            assert await transport.committed(group, [tp], stable=True) == expected
            await transaction.produce(tp, batch("second"))
            await transaction.commit_offsets(member, {tp: Commit(2)})
            await transaction.commit()
            assert await transport.committed(group, [tp], stable=True) == {tp: Commit(2)}
            found = await committed_values(transport, tp, 4)
            assert found == (["first", "second"] if takes_effect else ["second"])

    run(work())


def test_a_transaction_that_ended_while_nobody_answered_is_told_from_a_successor(
    proxied: ProxiedNode,
) -> None:
    async def work() -> None:
        async with (
            proxied.proxy() as proxy,
            opened(proxied.bootstrap, request_timeout=4.0) as transport,
            transactional(transport, transaction_timeout=5.0) as producer,
        ):
            tp = TP(await new_topic(transport), 0)
            transaction = await producer.begin()
            await transaction.produce(tp, batch("late"))
            proxy.refuse = True
            proxy.cut()
            with pytest.raises(BrokerUnavailable):
                await transaction.commit()
            proxy.refuse = False
            # The broker's own time-out ends it.
            assert await committed_values(transport, tp, 2) == []
            transaction = await producer.begin()
            await transaction.produce(tp, batch("kept"))
            await transaction.commit()
            assert await committed_values(transport, tp, 4) == ["kept"]

    run(work())


def test_batches_whose_answers_are_lost_are_there_once_or_not_at_all(proxied: ProxiedNode) -> None:
    async def work() -> None:
        async with (
            proxied.proxy() as proxy,
            opened(proxied.bootstrap) as transport,
            transactional(transport) as producer,
        ):
            tps = [TP(await new_topic(transport, 2), n) for n in range(2)]
            expected: list[str] = []
            for number in range(8):
                transaction = await producer.begin()
                for n in range(6):
                    transaction.produce(tps[n % 2], batch(f"{number}-{n}"))
                    await asyncio.sleep(0.002)
                    if n == 2:
                        proxy.swallow = True
                await asyncio.sleep(0.05)
                proxy.cut()
                proxy.swallow = False
                if number % 2:
                    await transaction.abort()
                else:
                    await transaction.commit()
                    expected += [f"{number}-{n}" for n in (0, 2, 4)]
            ends = await transport.offsets(tps[:1], -1)
            assert await committed_values(transport, tps[0], ends[tps[0]]) == expected

    run(work())


def test_a_transaction_outlives_the_restart_of_its_broker(proxied: ProxiedNode) -> None:
    node = proxied.node

    async def work() -> None:
        async with (
            proxied.proxy(),
            opened(proxied.bootstrap, request_timeout=40.0) as transport,
            joined(transport) as (group, member),
            transactional(transport, transaction_timeout=60.0) as producer,
        ):
            tp = TP(await new_topic(transport), 0)
            loop = asyncio.get_running_loop()
            # Coordinator and leader are the same node; it is killed, and comes back.
            transaction = await producer.begin()
            await transaction.produce(tp, batch("before"))
            await loop.run_in_executor(None, node.kill)
            starting = loop.run_in_executor(None, node.start)
            during = transaction.produce(tp, batch("during"))
            await transaction.commit_offsets(member, {tp: Commit(2)})
            await starting
            assert (await during).base_offset == 1
            await transaction.commit()
            assert await transport.committed(group, [tp], stable=True) == {tp: Commit(2)}
            assert await committed_values(transport, tp, 3) == ["before", "during"]

    run(work())


def test_a_producer_that_has_lost_its_id_does_not_end_what_its_successor_has_open(
    kafka: KafkaNode,
) -> None:
    async def work() -> None:
        name = unique("txn")
        async with (
            opened(kafka.bootstrap) as transport,
            transactional(transport, name) as old,
            transactional(transport, name) as new,
        ):
            tp = TP(await new_topic(transport), 0)
            tiny = TP(await new_topic(transport, max_message_bytes="80"), 0)
            transaction = await old.begin()
            await transaction.produce(tp, batch("a"))
            await transaction.commit()
            idle = await old.begin()
            successor = await new.begin()
            await successor.produce(tp, batch("b"))
            # Nothing of the old one's transaction is known to the coordinator; it asks for a new
            # epoch because a batch of it has failed.
            with pytest.raises((ProducerFenced, TransactionAborted)):
                await idle.produce(tiny, batch("x" * 100))
            await idle.abort()
            for _ in range(2):
                with pytest.raises(ProducerFenced):
                    await old.begin()
            await successor.produce(tp, batch("c"))
            await successor.commit()
            assert await committed_values(transport, tp, 5) == ["a", "b", "c"]

    run(work())


def test_cancelling_any_wait_leaves_the_producer_usable(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with (
            opened(kafka.bootstrap) as transport,
            joined(transport) as (group, member),
            transactional(transport) as producer,
        ):
            tp = TP(await new_topic(transport), 0)
            kept: list[str] = []

            async def once(number: int) -> None:
                transaction = await producer.begin()
                await transaction.produce(tp, batch(str(number)))
                await transaction.commit_offsets(member, {tp: Commit(number)})
                await transaction.commit()

            for number in range(1, 25):
                task = asyncio.create_task(once(number))
                await asyncio.sleep(0.0008 * number)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                open_one = producer._transaction  # type: ignore[attr-defined]
                if open_one is not None:
                    await open_one.abort()
                await (await producer.begin()).abort()  # decides
                found = await transport.committed(group, [tp], stable=True)
                if found.get(tp) == Commit(number):
                    kept.append(str(number))
            await once(99)
            end = (await transport.offsets([tp], -1))[tp]
            assert await committed_values(transport, tp, end) == [*kept, "99"]

    run(work())


def test_a_closed_producer_has_nothing_open(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            async with transactional(transport) as producer:
                await (await producer.begin()).produce(tp, batch("open"))
            assert await committed_values(transport, tp, 2) == []
            with pytest.raises(BrokerUnavailable):
                await producer.begin()
            abandoned = transport.producer(ProducerOptions(transactional_id=unique("txn")))
            transaction = await abandoned.begin()
            await transaction.produce(tp, batch("open"))
            abandoned.abandon()
            with pytest.raises(BrokerUnavailable):
                await transaction.commit()
            await abandoned.close()

    run(work())
