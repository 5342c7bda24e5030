"""Transactions: all or nothing, read by the committed; fences; offsets inside."""

from __future__ import annotations

import asyncio

import pytest

from faust._values import TP
from faust.exceptions import ProducerFenced, UnknownMember
from faust.testing.conformance.base import (
    Suite,
    World,
    batch,
    fetch_until,
    join_all,
    scenario,
)
from faust.testing.conformance.errors import OURS
from faust.testing.conformance.scenarios import ABORTS, answers
from faust.transport.base import LATEST, Transport
from faust.transport.membership import Commit
from faust.transport.producer import Producer
from faust.transport.records import Item

__all__ = ["TransactionConformance"]


class TransactionConformance(Suite):
    """What holds of transactional producers (KIP-98, KIP-447)."""

    @scenario
    async def test_committed_records_are_those_that_kafka_shows(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        for kind, size in ABORTS:
            await self._write(world, transport, tp, kind, size)
        recorded = answers("transactions")
        committed = [r.offset for r in await world.read(transport, tp)]
        everything = [r.offset for r in await world.read(transport, tp, committed=False)]
        assert committed == recorded["committed"]
        assert everything == recorded["uncommitted"]
        assert (await transport.offsets([tp], LATEST))[tp] == recorded["end"]
        reader = world.reader(transport)
        reader.assign({tp: recorded["stable"]})
        while not (fetched := await reader.fetch(0.3)).ends:
            pass  # it has not been answered yet
        assert fetched.ends == {tp: recorded["stable"]}

    async def _write(
        self, world: World, transport: Transport, tp: TP, kind: str, size: int
    ) -> None:
        items = [Item(b"k", kind.encode(), _now_ms(world)) for _ in range(size)]
        if kind == "plain":
            await world.append(transport, tp, *items)
            return
        producer = self._producer(world, transport)
        transaction = await producer.begin()
        await transaction.produce(tp, batch(*items, transactional=True))
        if kind == "open":
            return
        end = (await transport.offsets([tp], LATEST))[tp]
        await (transaction.commit() if kind == "commit" else transaction.abort())
        # Kafka writes the marker after its answer: what follows shall stand behind it.
        marked = False
        while not marked:
            marked = (await transport.offsets([tp], LATEST))[tp] > end

    def _producer(self, world: World, transport: Transport, name: str = "") -> Producer:
        return world.producer(transport, transactional_id=name or world.name("txn"))

    @scenario
    async def test_a_transaction_over_partitions_is_seen_at_once_or_never(
        self, world: World
    ) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=3)
        tps = [TP(name, n) for n in range(3)]
        producer = self._producer(world, transport)
        for outcome in ("commit", "abort", "commit"):
            transaction = await producer.begin()
            for tp in tps:
                await transaction.produce(
                    tp, batch(Item(b"k", outcome.encode(), _now_ms(world)), transactional=True)
                )
            seen = [len(await world.read(transport, tp)) for tp in tps]
            await (transaction.commit() if outcome == "commit" else transaction.abort())
            assert len({*seen}) == 1
        for tp in tps:
            await world.until_committed(transport, tp, [b"commit", b"commit"])

    @scenario
    async def test_a_waiting_reader_hears_of_the_commit(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        transaction = await self._producer(world, transport).begin()
        await transaction.produce(tp, batch(Item(b"k", b"v", _now_ms(world)), transactional=True))
        reader = world.reader(transport)
        reader.assign({tp: 0})
        assert (await reader.fetch(0.2)).batches == []
        waiting = asyncio.create_task(fetch_until(reader, bool))
        await asyncio.sleep(0.1)
        await transaction.commit()
        assert [r.value for r in await waiting] == [b"v"]

    @scenario
    async def test_positions_pass_markers_and_aborted_records(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        transaction = await self._producer(world, transport).begin()
        await transaction.produce(tp, batch(Item(b"k", b"v", _now_ms(world)), transactional=True))
        await transaction.abort()
        reader = world.reader(transport)
        reader.assign({tp: 0})
        for _ in range(100):
            fetched = await reader.fetch(1.0)
            assert fetched.batches == []
            if reader.positions()[tp] == 2:
                break
        assert reader.positions() == {tp: 2}

    @scenario
    async def test_a_successor_ends_what_its_predecessor_left_open_and_fences_it(
        self, world: World
    ) -> None:
        transport, name = await world.transport(), world.name("txn")
        tp = await world.partition(transport)
        old = await self._producer(world, transport, name).begin()
        await old.produce(tp, batch(Item(b"k", b"old", _now_ms(world)), transactional=True))
        new = await self._producer(world, transport, name).begin()
        await new.produce(tp, batch(Item(b"k", b"new", _now_ms(world)), transactional=True))
        with pytest.raises(ProducerFenced):
            await old.commit()
        await new.commit()
        await world.until_committed(transport, tp, [b"new"])

    @scenario
    async def test_offsets_are_committed_with_the_transaction(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        await join_all([member])
        producer = self._producer(world, transport)
        transaction = await producer.begin()
        await transaction.commit_offsets(member, {tp: Commit(5, "inside")})
        assert await transport.committed(group_id) == {}
        await transaction.commit()
        assert await transport.committed(group_id, [tp], stable=True) == {tp: Commit(5, "inside")}
        transaction = await producer.begin()
        await transaction.commit_offsets(member, {tp: Commit(9)})
        await transaction.abort()
        assert await transport.committed(group_id, [tp], stable=True) == {tp: Commit(5, "inside")}

    @scenario
    async def test_a_stable_look_at_offsets_waits_for_the_open_transaction(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        await join_all([member])
        transaction = await self._producer(world, transport).begin()
        await transaction.commit_offsets(member, {tp: Commit(5)})
        looking = asyncio.create_task(transport.committed(group_id, [tp], stable=True))
        await asyncio.sleep(0.3)
        assert not looking.done()
        await transaction.commit()
        assert await looking == {tp: Commit(5)}

    @scenario
    async def test_offsets_of_a_member_whose_session_is_over_are_fenced(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        zombie = world.member(transport, group_id, instance_id="same", session_timeout=6.0)
        await join_all([zombie])
        await asyncio.sleep(7.0)
        heir = world.member(transport, group_id)
        await join_all([heir])
        await join_all([heir])
        transaction = await self._producer(world, transport).begin()
        expected = OURS[answers("transactional_offsets")["offsets of an unknown member"]]
        assert expected is UnknownMember
        with pytest.raises(expected):
            await transaction.commit_offsets(zombie, {tp: Commit(5)})
        await transaction.abort()
        assert await transport.committed(group_id, [tp], stable=True) == {}


def _now_ms(world: World) -> int:
    return int(world.clock().time() * 1000)
