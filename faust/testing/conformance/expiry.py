"""Time-outs of groups: silent members go, rounds end, the living stay."""

from __future__ import annotations

import asyncio

import pytest

from faust.exceptions import UnknownMember
from faust.testing.conformance.base import (
    Suite,
    World,
    heartbeats,
    join_all,
    scenario,
    until_rebalance,
)
from faust.transport.membership import Commit

__all__ = ["ExpiryConformance"]

#: The shortest that Kafka accepts (``group.min.session.timeout.ms``).
SESSION = 6.0
PLAIN = [("range", b"")]


class ExpiryConformance(Suite):
    """What the passing of time does to a group."""

    @scenario
    async def test_a_silent_member_is_out_after_its_session(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id, session_timeout=SESSION) for _ in range(2)]
        await join_all(members)
        lives, dies = members
        await dies.close()
        await until_rebalance(lives)
        assert dict((await lives.join(PLAIN)).members) == {lives.member_id: b""}

    @scenario
    async def test_heartbeats_keep_a_member_in_for_longer_than_its_session(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        member = world.member(transport, group_id, session_timeout=SESSION)
        await join_all([member])
        async with heartbeats(member):
            await asyncio.sleep(1.5 * SESSION)
        await member.heartbeat()

    @scenario
    async def test_one_who_comes_back_after_its_session_is_unknown(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        watches, member = (
            world.member(transport, group_id, session_timeout=SESSION) for _ in range(2)
        )
        (_, joined), _ = await join_all([watches, member])
        await until_rebalance(watches)
        with pytest.raises(UnknownMember):
            await member.commit({tp: Commit(1)}, generation=joined.generation)
        assert member.member_id == ""
        await watches.leave()
        assert (await member.join(PLAIN)).generation > joined.generation

    @scenario
    async def test_a_member_that_lives_but_does_not_join_is_left_behind(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        stuck = world.member(transport, group_id, rebalance_timeout=2.0)
        await join_all([stuck])
        new = world.member(transport, group_id, rebalance_timeout=2.0)
        async with heartbeats(stuck, every=0.5):
            joined = await new.join(PLAIN)
        assert dict(joined.members) == {new.member_id: b""}
        with pytest.raises(UnknownMember):
            await stuck.heartbeat()
