"""One family of errors: each wrong use is refused as Kafka refuses it, by our names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    IllegalGeneration,
    InvalidTopic,
    OffsetOutOfRange,
    RebalanceInProgress,
    StopError,
    TopicExists,
    UnknownMember,
    UnknownTopic,
)
from faust.testing.conformance.base import Suite, World, join_all, until_rebalance
from faust.testing.conformance.scenarios import ERRORS, answers
from faust.transport.base import TopicSpec, Transport
from faust.transport.membership import Commit, Membership
from faust.transport.records import Item

__all__ = ["OURS", "ErrorConformance"]

#: Kafka's names of errors (as aiokafka spells them) -> ours.
OURS: dict[str, type[BrokerError] | None] = {
    "NoError": None,
    "TopicAlreadyExistsError": TopicExists,
    "InvalidTopicError": InvalidTopic,
    "InvalidPartitionsError": InvalidTopic,
    "InvalidConfigurationError": InvalidTopic,
    "InvalidReplicationFactorError": InvalidTopic,
    "UnknownTopicOrPartitionError": UnknownTopic,
    "OffsetOutOfRangeError": OffsetOutOfRange,
    "UnknownMemberIdError": UnknownMember,
    "IllegalGenerationError": IllegalGeneration,
    "RebalanceInProgressError": RebalanceInProgress,
    "OffsetMetadataTooLargeError": StopError,
    "InconsistentGroupProtocolError": StopError,
}

PLAIN = [("range", b"")]


class Wrong:
    """Each wrong use, as a method named after it."""

    def __init__(self, world: World, transport: Transport, topic: str) -> None:
        self.world, self.transport = world, transport
        self.topic, self.tp = topic, TP(topic, 0)
        self.nowhere = world.name("nowhere")
        self.group_id = world.name("group")

    async def do(self, what: str) -> None:
        """Do it, and let it raise."""
        use: Callable[[], Awaitable[object]] = getattr(self, what.replace(" ", "_"))
        await use()

    # -- topics -------------------------------------------------------------------------

    async def create_a_topic_that_is_there(self) -> None:
        await self.transport.create_topic(TopicSpec(self.topic, 1))

    async def create_a_topic_with_a_bad_name(self) -> None:
        await self.transport.create_topic(TopicSpec("not a name!", 1))

    async def create_a_topic_without_partitions(self) -> None:
        await self.transport.create_topic(TopicSpec(self.nowhere, 0))

    async def create_a_topic_with_an_unknown_entry(self) -> None:
        await self.transport.create_topic(TopicSpec(self.nowhere, 1, config={"no.such": "1"}))

    async def create_a_topic_with_a_bad_value(self) -> None:
        spec = TopicSpec(self.nowhere, 1, config={"retention.ms": "soon"})
        await self.transport.create_topic(spec)

    async def delete_a_topic_that_is_not_there(self) -> None:
        await self.transport.delete_topic(self.nowhere)

    async def fewer_partitions(self) -> None:
        await self.transport.create_partitions(self.topic, 1)

    async def as_many_partitions(self) -> None:
        await self.transport.create_partitions(self.topic, 2)

    async def partitions_of_a_topic_that_is_not_there(self) -> None:
        await self.transport.create_partitions(self.nowhere, 3)

    async def configuration_of_a_topic_that_is_not_there(self) -> None:
        await self.transport.topic_config(self.nowhere)

    async def alter_a_topic_that_is_not_there(self) -> None:
        await self.transport.alter_topic_config(self.nowhere, {"retention.ms": "1"})

    async def alter_an_entry_to_a_bad_value(self) -> None:
        await self.transport.alter_topic_config(self.topic, {"cleanup.policy": "burn"})

    async def delete_records_of_a_topic_that_is_not_there(self) -> None:
        await self.transport.delete_records({TP(self.nowhere, 0): 0})

    async def delete_records_beyond_the_end(self) -> None:
        await self.transport.delete_records({self.tp: 100})

    # -- groups -------------------------------------------------------------------------

    async def _member(self) -> Membership:
        member = self.world.member(self.transport, self.group_id)
        await join_all([member])
        return member

    async def _gone(self) -> Membership:
        # A membership whose place another one has taken and left: it still believes in itself.
        first = self.world.member(self.transport, self.group_id, instance_id="i")
        await join_all([first])
        second = self.world.member(self.transport, self.group_id, instance_id="i")
        await second.join(PLAIN)
        await second.leave()
        return first

    async def _with_newcomer(self) -> tuple[Membership, asyncio.Task[object]]:
        member = await self._member()
        newcomer = self.world.member(self.transport, self.group_id)
        joining: asyncio.Task[object] = asyncio.create_task(_join(newcomer))
        await until_rebalance(member)
        return member, joining

    async def heartbeat_of_an_unknown_member(self) -> None:
        await (await self._gone()).heartbeat()

    async def heartbeat_of_an_old_generation(self) -> None:
        # The port's heartbeat has no generation of its own to get wrong: the commit has.
        await self.commit_of_an_old_generation()

    async def heartbeat_while_a_round_is_prepared(self) -> None:
        member, joining = await self._with_newcomer()
        try:
            await member.heartbeat()
        finally:
            await self._end(member, joining)

    async def sync_of_an_old_generation(self) -> None:
        member = await self._member()
        await member.sync(member.generation - 1, {})

    async def commit_of_an_unknown_member(self) -> None:
        member = await self._gone()
        await member.commit({self.tp: Commit(1)}, generation=member.generation)

    async def commit_of_an_old_generation(self) -> None:
        member = await self._member()
        await member.commit({self.tp: Commit(1)}, generation=member.generation - 1)

    async def commit_while_a_round_is_prepared(self) -> None:
        member, joining = await self._with_newcomer()
        try:
            await self._commit(member, self.tp, Commit(1))
        finally:
            await self._end(member, joining)

    async def commit_before_syncing(self) -> None:
        member = self.world.member(self.transport, self.group_id)
        await member.join(PLAIN)
        await self._commit(member, self.tp, Commit(1))

    async def commit_from_outside_of_a_group_with_members(self) -> None:
        await self._member()
        await self.transport.commit_offsets(self.group_id, {self.tp: Commit(1)})

    async def commit_from_outside_of_an_empty_group(self) -> None:
        await (await self._member()).leave()
        await self.transport.commit_offsets(self.group_id, {self.tp: Commit(1)})

    async def commit_with_too_much_metadata(self) -> None:
        await self._commit(await self._member(), self.tp, Commit(1, "x" * 4097))

    async def commit_of_a_topic_that_is_not_there(self) -> None:
        await self._commit(await self._member(), TP(self.nowhere, 0), Commit(1))

    async def join_with_another_kind_of_protocol(self) -> None:
        await self._member()
        other = self.world.member(self.transport, self.group_id, protocol_type="connect")
        await other.join([("strange", b"")])

    async def _commit(self, member: Membership, tp: TP, commit: Commit) -> None:
        refused = await member.commit({tp: commit}, generation=member.generation)
        for error in refused.values():
            raise error

    async def _end(self, member: Membership, joining: asyncio.Task[object]) -> None:
        await member.leave()
        await joining


async def _join(member: Membership) -> object:
    return await member.join(PLAIN)


class ErrorConformance(Suite):
    """Wrong uses."""

    @pytest.mark.parametrize("what", ERRORS)
    def test_wrong_use_is_refused_as_by_kafka(self, what: str) -> None:
        world = self.make_world()
        world.run(self._try(world, what))

    async def _try(self, world: World, what: str) -> None:
        recorded = answers("errors")[what]
        expected = OURS[recorded]
        try:
            transport = await world.transport()
            topic = await world.topic(transport, partitions=2)
            now = int(world.clock().time() * 1000)
            await world.append(transport, TP(topic, 0), Item(b"k", b"v", now))
            wrong = Wrong(world, transport, topic)
            if expected is None:
                await wrong.do(what)
                return
            with pytest.raises(expected):
                await wrong.do(what)
        finally:
            await world.close()
