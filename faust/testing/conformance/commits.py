"""Commits: from inside by generation, from outside, with metadata."""

from __future__ import annotations

import asyncio

import pytest

from faust._values import TP
from faust.exceptions import IllegalGeneration, RebalanceInProgress, RejoinError, UnknownMember
from faust.testing.conformance.base import Suite, World, join_all, scenario, until_rebalance
from faust.transport.membership import Commit

__all__ = ["CommitConformance"]

PLAIN = [("range", b"")]


class CommitConformance(Suite):
    """What holds of committed offsets."""

    @scenario
    async def test_what_was_committed_is_found_with_its_metadata(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        name = await world.topic(transport, partitions=3)
        member = world.member(transport, group_id)
        (joined,), _ = await join_all([member])
        commits = {TP(name, 0): Commit(5, "text é \x01"), TP(name, 1): Commit(0)}
        assert await member.commit(commits, generation=joined.generation) == {}
        assert await transport.committed(group_id) == commits
        assert await transport.committed(group_id, [TP(name, 1), TP(name, 2)]) == {
            TP(name, 1): Commit(0)
        }
        assert await transport.committed(world.name("group")) == {}

    @scenario
    async def test_metadata_may_have_4096_bytes_and_no_more(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        name = await world.topic(transport, partitions=2)
        fits, not_ = TP(name, 0), TP(name, 1)
        member = world.member(transport, group_id)
        (joined,), _ = await join_all([member])
        commits = {fits: Commit(1, "x" * 4096), not_: Commit(1, "x" * 4097)}
        refused = await member.commit(commits, generation=joined.generation)
        assert list(refused) == [not_]
        assert await transport.committed(group_id) == {fits: commits[fits]}

    @scenario
    async def test_a_later_commit_replaces_an_earlier_also_backwards(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        for offset in (7, 9, 3):
            await transport.commit_offsets(group_id, {tp: Commit(offset)})
        assert await transport.committed(group_id) == {tp: Commit(3)}

    @scenario
    async def test_a_commit_of_an_old_generation_changes_nothing(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        (first,), _ = await join_all([member])
        await join_all([member])
        with pytest.raises(IllegalGeneration):
            await member.commit({tp: Commit(1)}, generation=first.generation)
        assert await transport.committed(group_id) == {}

    @scenario
    async def test_a_refused_commit_of_an_old_generation_costs_no_membership(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        (first,), _ = await join_all([member])
        (second,), _ = await join_all([member])
        with pytest.raises(IllegalGeneration):
            await member.commit({tp: Commit(1)}, generation=first.generation)
        assert member.generation == second.generation
        await member.heartbeat()

    @scenario
    async def test_commits_are_taken_while_a_round_is_prepared(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        old, new = (world.member(transport, group_id) for _ in range(2))
        (first,), _ = await join_all([old])
        joining = asyncio.create_task(new.join(PLAIN))
        await until_rebalance(old)
        assert await old.commit({tp: Commit(4)}, generation=first.generation) == {}
        assert await transport.committed(group_id) == {tp: Commit(4)}
        await old.join(PLAIN)
        await joining

    @scenario
    async def test_nobody_commits_between_joining_and_syncing(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        joined = await member.join(PLAIN)
        with pytest.raises(RebalanceInProgress):
            await member.commit({tp: Commit(4)}, generation=joined.generation)
        await member.sync(joined.generation, {})
        assert await member.commit({tp: Commit(4)}, generation=joined.generation) == {}

    @scenario
    async def test_one_who_left_commits_nothing(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        (joined,), _ = await join_all([member])
        await member.leave()
        with pytest.raises(RejoinError):
            await member.commit({tp: Commit(4)}, generation=joined.generation)
        assert await transport.committed(group_id) == {}

    @scenario
    async def test_only_an_empty_group_can_be_committed_from_outside(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        await transport.commit_offsets(group_id, {tp: Commit(1)})
        assert group_id in await transport.groups()
        member = world.member(transport, group_id)
        await join_all([member])
        with pytest.raises(UnknownMember):
            await transport.commit_offsets(group_id, {tp: Commit(2)})
        await member.leave()
        await transport.commit_offsets(group_id, {tp: Commit(3, "tool")})
        assert await transport.committed(group_id) == {tp: Commit(3, "tool")}

    @scenario
    async def test_commits_outlive_the_members(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        member = world.member(transport, group_id)
        (joined,), _ = await join_all([member])
        await member.commit({tp: Commit(8)}, generation=joined.generation)
        await member.leave()
        assert await (await world.transport()).committed(group_id) == {tp: Commit(8)}
