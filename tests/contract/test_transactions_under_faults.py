"""Transactions on the memory broker when answers are lost: `begin` decides, the offsets tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from test_transport import MemoryWorld

from faust._values import TP
from faust.exceptions import BrokerUnavailable, ProducerFenced, TransactionAborted
from faust.testing.conformance.base import World, batch, join_all
from faust.transport.base import Commit, Membership, Producer, Transport
from faust.transport.drivers.memory import MemoryTransport
from faust.transport.records import Builder, Item


@asynccontextmanager
async def surroundings(
    world: World,
) -> AsyncIterator[tuple[MemoryTransport, str, Membership, Producer, TP]]:
    transport, group_id = await world.transport(), world.name("group")
    assert isinstance(transport, MemoryTransport)
    tp = await world.partition(transport)
    member = world.member(transport, group_id)
    await join_all([member])
    producer = world.producer(transport, transactional_id=world.name("txn"))
    yield transport, group_id, member, producer, tp
    await world.close()


def one(value: str) -> Builder:
    return batch(Item(b"k", value.encode(), 1_700_000_000_000), transactional=True)


async def read(world: World, transport: Transport, tp: TP) -> list[bytes | None]:
    return [found.value for found in await world.read(transport, tp)]


@pytest.mark.parametrize("takes_effect", [True, False])
def test_after_an_unknown_outcome_begin_decides_and_the_offsets_tell(takes_effect: bool) -> None:
    world = MemoryWorld()

    async def work() -> None:
        async with surroundings(world) as (transport, group_id, member, producer, tp):
            transaction = await producer.begin()
            await transaction.produce(tp, one("first"))
            await transaction.commit_offsets(member, {tp: Commit(1)})
            faults = transport.broker.faults
            faults.fail("txn_commit", BrokerUnavailable("lost"), after=takes_effect)
            with pytest.raises(BrokerUnavailable):
                await transaction.commit()
            await transaction.abort()
            transaction = await producer.begin()
            expected = {tp: Commit(1)} if takes_effect else {}
            assert await transport.committed(group_id, [tp], stable=True) == expected
            await transaction.produce(tp, one("second"))
            await transaction.commit()
            seen = [b"first", b"second"] if takes_effect else [b"second"]
            assert await read(world, transport, tp) == seen

    world.run(work())


def test_an_abort_that_nobody_answers_is_made_up_for_by_begin() -> None:
    world = MemoryWorld()

    async def work() -> None:
        async with surroundings(world) as (transport, _, _, producer, tp):
            transaction = await producer.begin()
            await transaction.produce(tp, one("dropped"))
            transport.broker.faults.fail("txn_abort", BrokerUnavailable("lost"))
            with pytest.raises(BrokerUnavailable):
                await transaction.abort()
            transaction = await producer.begin()
            await transaction.produce(tp, one("kept"))
            await transaction.commit()
            assert await read(world, transport, tp) == [b"kept"]

    world.run(work())


def test_a_begin_that_nobody_answered_may_be_called_again() -> None:
    world = MemoryWorld()

    async def work() -> None:
        async with surroundings(world) as (transport, _, _, producer, tp):
            faults = transport.broker.faults
            for is_after in (True, False, True):
                faults.fail("begin", BrokerUnavailable("lost"), after=is_after)
                with pytest.raises(BrokerUnavailable):
                    await producer.begin()
                transaction = await producer.begin()
                await transaction.produce(tp, one("kept"))
                faults.fail("txn_abort", BrokerUnavailable("lost"))
                with pytest.raises(BrokerUnavailable):
                    await transaction.abort()
            transaction = await producer.begin()
            await transaction.produce(tp, one("last"))
            await transaction.commit()
            assert await read(world, transport, tp) == [b"last"]

    world.run(work())


def test_offsets_whose_answer_is_lost_can_only_be_aborted() -> None:
    world = MemoryWorld()

    async def work() -> None:
        async with surroundings(world) as (transport, group_id, member, producer, tp):
            transaction = await producer.begin()
            transport.broker.faults.fail("txn_offsets", BrokerUnavailable("lost"), after=True)
            with pytest.raises(BrokerUnavailable):
                await transaction.commit_offsets(member, {tp: Commit(1)})
            with pytest.raises(TransactionAborted):
                await transaction.commit_offsets(member, {tp: Commit(2)})
            with pytest.raises(TransactionAborted):
                await transaction.commit()
            assert await transport.committed(group_id, stable=True) == {}

    world.run(work())


def test_batches_that_do_not_get_through_do_not_hold_up_the_abort() -> None:
    world = MemoryWorld()

    async def work() -> None:
        async with surroundings(world) as (transport, _, _, producer, tp):
            transaction = await producer.begin()
            transport.broker.faults.black_hole("produce")
            stuck = transaction.produce(tp, one("stuck"))
            await transaction.abort()
            with pytest.raises(TransactionAborted):
                await stuck
            transport.broker.faults.heal()
            transaction = await producer.begin()
            await transaction.produce(tp, one("kept"))
            await transaction.commit()
            assert await read(world, transport, tp) == [b"kept"]

    world.run(work())


def test_an_abort_of_what_a_successor_has_ended_is_no_error() -> None:
    world = MemoryWorld()

    async def work() -> None:
        async with surroundings(world) as (transport, _, _, _, tp):
            name = world.name("txn")
            old, new = [world.producer(transport, transactional_id=name) for _ in range(2)]
            transaction = await old.begin()
            await transaction.produce(tp, one("old"))
            await (await new.begin()).commit()
            await transaction.abort()
            with pytest.raises(ProducerFenced):
                await old.begin()

    world.run(work())
