"""Transactions that do not end well: fenced, timed out, begun again; offsets that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    FaustError,
    IllegalGeneration,
    ImproperlyConfigured,
    ProducerFenced,
    RejoinError,
    TransactionAborted,
)
from faust.testing.conformance.base import (
    Suite,
    World,
    batch,
    fetch_until,
    heartbeats,
    join_all,
    scenario,
    until_rebalance,
)
from faust.testing.conformance.errors import OURS, PLAIN
from faust.testing.conformance.scenarios import TRANSACTIONAL_OFFSETS, answers
from faust.transport.base import LATEST, Transport
from faust.transport.membership import Commit, Membership
from faust.transport.producer import Producer, Transaction
from faust.transport.records import Builder, Item

__all__ = ["FencingConformance"]

#: Takes the seconds of a session time-out: in `TransactionConformance`.
UNKNOWN = "offsets of an unknown member"
#: A time-out that a test waits for (seconds): what has to be done before it is done by then.
SHORT = 3.0


class FencingConformance(Suite):
    """What becomes of transactions that do not end well (KIP-360, KIP-447)."""

    # -- several in a row -------------------------------------------------------------

    @scenario
    async def test_transactions_follow_one_another_whatever_became_of_those_before(
        self, world: World
    ) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=2)
        tps = [TP(name, 0), TP(name, 1)]
        producer = _producer(world, transport)
        outcomes = ["commit", "abort", "abort", "commit", "empty", "commit"]
        for number, outcome in enumerate(outcomes):
            transaction = await producer.begin()
            if outcome != "empty":
                for tp in tps:
                    await transaction.produce(tp, _batch(world, f"{outcome}{number}"))
            await (transaction.abort() if outcome == "abort" else transaction.commit())
        for tp in tps:
            await _become(world, transport, tp, ["commit0", "commit3", "commit5"])

    @scenario
    async def test_two_topics_and_the_offsets_of_a_group_count_together(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        source, outputs, changelog = [await world.partition(transport) for _ in range(3)]
        member = world.member(transport, group_id)
        await join_all([member])
        producer = _producer(world, transport)
        for number, is_committed in enumerate([True, False, True]):
            transaction = await producer.begin()
            placed = await transaction.produce(changelog, _batch(world, f"change{number}"))
            written = transaction.produce(outputs, _batch(world, f"output{number}"))
            # The metadata names the changelog's offsets, before the transaction ends.
            commit = Commit(number + 1, f"at {placed.base_offset}")
            await transaction.commit_offsets(member, {source: commit}, generation=member.generation)
            await written
            await (transaction.commit() if is_committed else transaction.abort())
            kept = await transport.committed(group_id, [source], stable=True)
            if is_committed:
                assert kept == {source: commit}
            else:
                assert kept == {source: Commit(1, "at 0")}
        await _become(world, transport, outputs, ["output0", "output2"])
        await _become(world, transport, changelog, ["change0", "change2"])

    @scenario
    async def test_a_transaction_larger_than_a_request_counts_as_one(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=3)
        tps = [TP(name, n) for n in range(3)]
        producer = _producer(world, transport, max_request_bytes=40_000)
        transaction = await producer.begin()
        futures = [
            transaction.produce(tps[number % 3], _batch(world, f"{number}-" + "x" * 15_000))
            for number in range(12)
        ]
        placed = [await future for future in futures]
        assert [p.base_offset for p in placed] == [number // 3 for number in range(12)]
        assert await world.read(transport, tps[0]) == []
        await transaction.commit()
        for n, tp in enumerate(tps):
            await _become(world, transport, tp, [f"{n + 3 * k}-" + "x" * 15_000 for k in range(4)])

    @scenario
    async def test_readers_of_everything_see_what_is_open_and_what_was_aborted(
        self, world: World
    ) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        producer = _producer(world, transport)
        transaction = await producer.begin()
        await transaction.produce(tp, _batch(world, "dropped"))
        assert await _values(world, transport, tp, committed=False) == ["dropped"]
        await transaction.abort()
        transaction = await producer.begin()
        await transaction.produce(tp, _batch(world, "open"))
        assert await _values(world, transport, tp, committed=False) == ["dropped", "open"]
        assert await _values(world, transport, tp) == []
        await transaction.commit()
        await _become(world, transport, tp, ["open"])

    @scenario
    async def test_a_transaction_that_is_over_is_told_so_and_may_be_aborted_again(
        self, world: World
    ) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        producer = _producer(world, transport)
        for is_committed in (True, False):
            transaction = await producer.begin()
            with pytest.raises(ImproperlyConfigured):
                await producer.begin()
            await transaction.produce(tp, _batch(world, "v"))
            await (transaction.commit() if is_committed else transaction.abort())
            await transaction.abort()
            with pytest.raises(ImproperlyConfigured):
                await transaction.commit()
            with pytest.raises(ImproperlyConfigured):
                transaction.produce(tp, _batch(world, "late"))
        await _become(world, transport, tp, ["v"])

    @scenario
    async def test_a_batch_that_fails_takes_its_transaction_with_it(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        small = await world.partition(transport, {"max.message.bytes": "100"})
        producer = _producer(world, transport)
        transaction = await producer.begin()
        await transaction.produce(tp, _batch(world, "lost"))
        with pytest.raises(FaustError):
            await transaction.produce(small, _batch(world, "x" * 1000))
        with pytest.raises(TransactionAborted):
            await transaction.commit()
        transaction = await producer.begin()
        await transaction.produce(tp, _batch(world, "kept"))
        await transaction.commit()
        await _become(world, transport, tp, ["kept"])

    # -- who has the id -----------------------------------------------------------------

    @scenario
    async def test_a_fenced_producer_can_do_nothing_more(self, world: World) -> None:
        transport, name, group_id = await world.transport(), world.name("txn"), world.name("group")
        tp, other = await world.partition(transport), await world.partition(transport)
        member = world.member(transport, group_id)
        await join_all([member])
        old_producer = _producer(world, transport, name)
        old = await old_producer.begin()
        await old.produce(tp, _batch(world, "old"))
        new_producer = _producer(world, transport, name)
        new = await new_producer.begin()
        # What the predecessor had left open is ended already.
        assert (await transport.offsets([tp], LATEST))[tp] == 2
        with pytest.raises(BrokerError):
            await old.produce(other, _batch(world, "zombie"))
        with pytest.raises(BrokerError):
            await old.commit_offsets(member, {tp: Commit(7)})
        with pytest.raises(ProducerFenced):
            await old.commit()
        await old.abort()
        await new.produce(tp, _batch(world, "new"))
        with pytest.raises(ProducerFenced):
            await _begin_and_write(old_producer, other, _batch(world, "zombie"))
        await new.commit()
        await (await new_producer.begin()).abort()
        await _become(world, transport, tp, ["new"])
        assert await _values(world, transport, other) == []
        assert await transport.committed(group_id, [tp], stable=True) == {}

    @scenario
    async def test_producers_of_other_ids_are_left_alone(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        first = await _producer(world, transport).begin()
        second = await _producer(world, transport).begin()
        await first.produce(tp, _batch(world, "first"))
        await second.produce(tp, _batch(world, "second"))
        await second.commit()
        assert await _values(world, transport, tp) == []
        await first.abort()
        await _become(world, transport, tp, ["second"])

    # -- what the broker ends -------------------------------------------------------------

    @scenario
    async def test_after_a_time_out_the_same_producer_begins_again(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        await join_all([member])
        producer = _producer(world, transport, transaction_timeout=SHORT)
        late = await producer.begin()
        await late.produce(tp, _batch(world, "late"))
        await late.commit_offsets(member, {tp: Commit(3)})
        async with heartbeats(member):
            # Waits until the broker has ended it.
            assert await transport.committed(group_id, [tp], stable=True) == {}
        with pytest.raises(TransactionAborted):
            await late.commit()
        transaction = await producer.begin()
        await transaction.produce(tp, _batch(world, "kept"))
        await transaction.commit_offsets(member, {tp: Commit(5)})
        await transaction.commit()
        await _become(world, transport, tp, ["kept"])
        assert await transport.committed(group_id, [tp], stable=True) == {tp: Commit(5)}

    @scenario
    async def test_a_time_out_is_heard_of_inside_the_transaction(self, world: World) -> None:
        transport = await world.transport()
        tp = await world.partition(transport)
        producer = _producer(world, transport, transaction_timeout=SHORT)
        late = await producer.begin()
        await late.produce(tp, _batch(world, "late"))
        await world.append(transport, tp, Item(b"k", b"plain", _now_ms(world)))
        reader = world.reader(transport)
        reader.assign({tp: 0})
        assert [read.value for read in await fetch_until(reader, bool)] == [b"plain"]
        with pytest.raises(TransactionAborted):
            await late.produce(tp, _batch(world, "later"))
        with pytest.raises(TransactionAborted):
            await late.commit()
        transaction = await producer.begin()
        await transaction.produce(tp, _batch(world, "kept"))
        await transaction.commit()
        await _become(world, transport, tp, ["plain", "kept"])

    @scenario
    async def test_a_producer_that_timed_out_and_has_a_successor_is_fenced(
        self, world: World
    ) -> None:
        transport, name = await world.transport(), world.name("txn")
        tp = await world.partition(transport)
        old_producer = _producer(world, transport, name, transaction_timeout=SHORT)
        late = await old_producer.begin()
        await late.produce(tp, _batch(world, "late"))
        reader = world.reader(transport)
        reader.assign({tp: 0})
        while reader.positions()[tp] < 2:  # the batch, and the marker of the broker's abort
            await reader.fetch(1.0)
        successor = await _producer(world, transport, name).begin()
        await successor.produce(tp, _batch(world, "new"))
        with pytest.raises(ProducerFenced):
            await late.commit()
        with pytest.raises(ProducerFenced):
            await old_producer.begin()
        await successor.commit()
        await _become(world, transport, tp, ["new"])

    # -- offsets ----------------------------------------------------------------------------

    @pytest.mark.parametrize("what", [what for what in TRANSACTIONAL_OFFSETS if what != UNKNOWN])
    def test_offsets_are_taken_or_refused_as_by_kafka(self, what: str) -> None:
        world = self.make_world()
        world.run(self._give(world, what))

    async def _give(self, world: World, what: str) -> None:
        recorded = answers("transactional_offsets")[what]
        expected = ProducerFenced if recorded == "InvalidProducerEpoch" else OURS[recorded]
        try:
            transport = await world.transport()
            use = Offsets(world, transport, await world.partition(transport))
            attempt: Callable[[], Awaitable[None]] = getattr(use, what.replace(" ", "_"))
            if expected is None:
                await attempt()
                await use.transaction.commit()
            else:
                with pytest.raises(expected):
                    await attempt()
                await use.transaction.abort()
            kept = await transport.committed(use.group_id, [use.given], stable=True)
            assert len(kept) == int(expected is None)
        finally:
            await world.close()

    @scenario
    async def test_offsets_cut_before_a_rejoin_are_refused_after_it(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        await join_all([member])
        cut_in = member.generation
        other = world.member(transport, group_id)
        await join_all([member, other])
        assert member.generation > cut_in
        producer = _producer(world, transport)
        transaction = await producer.begin()
        with pytest.raises(IllegalGeneration):
            await transaction.commit_offsets(member, {tp: Commit(5)}, generation=cut_in)
        with pytest.raises(TransactionAborted):
            await transaction.commit()
        transaction = await producer.begin()
        await transaction.commit_offsets(member, {tp: Commit(6)})
        await transaction.commit()
        assert await transport.committed(group_id, [tp], stable=True) == {tp: Commit(6)}

    @scenario
    async def test_who_has_left_the_group_has_no_offsets_to_give(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        transaction = await _producer(world, transport).begin()
        with pytest.raises(RejoinError):
            await transaction.commit_offsets(member, {tp: Commit(5)})
        await transaction.abort()
        await join_all([member])
        generation = member.generation
        await member.leave()
        transaction = await _producer(world, transport).begin()
        with pytest.raises(RejoinError):
            await transaction.commit_offsets(member, {tp: Commit(5)}, generation=generation)
        await transaction.abort()
        assert await transport.committed(group_id, [tp], stable=True) == {}

    @scenario
    async def test_plain_looks_at_offsets_do_not_wait_and_others_are_not_held(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp, other = await world.partition(transport), await world.partition(transport)
        member = world.member(transport, group_id)
        await join_all([member])
        await member.commit({tp: Commit(1), other: Commit(2)}, generation=member.generation)
        transaction = await _producer(world, transport).begin()
        await transaction.commit_offsets(member, {tp: Commit(9)})
        assert await transport.committed(group_id, [tp]) == {tp: Commit(1)}
        found = await transport.committed(group_id, [other], stable=True)
        assert found == {other: Commit(2)}
        await transaction.commit()
        assert await transport.committed(group_id, [tp], stable=True) == {tp: Commit(9)}


class Offsets:
    """Each use of offsets in a transaction, as a method named after it."""

    transaction: Transaction

    def __init__(self, world: World, transport: Transport, tp: TP) -> None:
        self.world, self.transport, self.tp = world, transport, tp
        self.given = tp
        self.group_id = world.name("group")
        self.name = world.name("txn")

    async def _member(self) -> Membership:
        member = self.world.member(self.transport, self.group_id)
        await join_all([member])
        return member

    async def _give(
        self,
        member: Membership,
        commit: Commit = Commit(1),  # noqa: B008  # an immutable tuple
        *,
        tp: TP | None = None,
        generation: int | None = None,
    ) -> None:
        if not hasattr(self, "transaction"):
            self.transaction = await _producer(self.world, self.transport, self.name).begin()
        self.given = tp or self.tp
        await self.transaction.commit_offsets(member, {self.given: commit}, generation=generation)

    async def offsets_of_a_member(self) -> None:
        await self._give(await self._member())

    async def offsets_of_an_old_generation(self) -> None:
        member = await self._member()
        await self._give(member, generation=member.generation - 1)

    async def offsets_of_a_generation_to_come(self) -> None:
        member = await self._member()
        await self._give(member, generation=member.generation + 1)

    async def offsets_while_a_round_is_prepared(self) -> None:
        member = await self._member()
        other = self.world.member(self.transport, self.group_id)
        joining = asyncio.ensure_future(other.join(PLAIN))
        await until_rebalance(member)
        await self._give(member)
        await member.leave()
        await joining

    async def offsets_before_syncing(self) -> None:
        member = self.world.member(self.transport, self.group_id)
        await member.join(PLAIN)
        await self._give(member)

    async def offsets_with_too_much_metadata(self) -> None:
        await self._give(await self._member(), Commit(1, "x" * 4097))

    async def offsets_with_as_much_metadata_as_fits(self) -> None:
        await self._give(await self._member(), Commit(1, "x" * 4096))

    async def offsets_of_a_topic_that_is_not_there(self) -> None:
        await self._give(await self._member(), tp=TP(self.world.name("nowhere"), 0))

    async def offsets_by_a_fenced_producer(self) -> None:
        member = await self._member()
        await self._give(member)
        await _producer(self.world, self.transport, self.name).begin()
        await self._give(member)


def _producer(world: World, transport: Transport, name: str = "", **options: float) -> Producer:
    return world.producer(transport, transactional_id=name or world.name("txn"), **options)


def _batch(world: World, value: str) -> Builder:
    return batch(Item(b"k", value.encode(), _now_ms(world)), transactional=True)


async def _begin_and_write(producer: Producer, tp: TP, builder: Builder) -> None:
    transaction = await producer.begin()
    await transaction.produce(tp, builder)


async def _values(
    world: World, transport: Transport, tp: TP, *, committed: bool = True
) -> list[str]:
    found = await world.read(transport, tp, committed=committed)
    return [(read.value or b"").decode() for read in found]


async def _become(world: World, transport: Transport, tp: TP, values: list[str]) -> None:
    await world.until_committed(transport, tp, [value.encode() for value in values])


def _now_ms(world: World) -> int:
    return int(world.clock().time() * 1000)
