"""Groups: rounds, leaders, plans, generations, static members."""

from __future__ import annotations

import asyncio

import pytest

from faust.exceptions import (
    FencedMember,
    IllegalGeneration,
    RebalanceInProgress,
    RejoinError,
    UnknownMember,
)
from faust.testing.conformance.base import Suite, World, join_all, scenario, until_rebalance
from faust.testing.conformance.scenarios import answers
from faust.transport.membership import Commit, Membership, Round

__all__ = ["GroupConformance"]

PLAIN = [("range", b"")]


class GroupConformance(Suite):
    """What holds of group memberships."""

    @scenario
    async def test_a_first_member_leads_and_plans_for_itself(self, world: World) -> None:
        transport = await world.transport()
        member = world.member(transport, world.name("group"))
        assert (member.member_id, member.generation) == ("", -1)
        joined = await member.join([("ours", b"metadata"), ("range", b"other")])
        assert joined.is_leader
        assert joined.member_id == member.member_id != ""
        assert joined.generation == member.generation > 0
        assert joined.protocol == "ours"
        assert dict(joined.members) == {member.member_id: b"metadata"}
        assert await member.sync(joined.generation, {member.member_id: b"all"}) == b"all"
        await member.heartbeat()

    @scenario
    async def test_all_members_of_a_round_get_their_part_of_the_leaders_plan(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id) for _ in range(3)]
        offered = [[("range", b"metadata %d" % n)] for n in range(3)]
        joined, parts = await join_all(members, offered)
        (leader,) = [found for found in joined if found.is_leader]
        assert {found.leader for found in joined} == {leader.member_id}
        assert dict(leader.members) == {
            member.member_id: b"metadata %d" % n for n, member in enumerate(members)
        }
        assert [dict(found.members) for found in joined if not found.is_leader] == [{}, {}]
        assert parts == [b"for " + member.member_id.encode() for member in members]

    @scenario
    async def test_the_protocol_is_one_that_all_members_know(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id) for _ in range(2)]
        offered = [[("new", b"n"), ("old", b"o1")], [("old", b"o2")]]
        joined, _ = await join_all(members, offered)
        assert {found.protocol for found in joined} == {"old"}
        assert sorted(next(f for f in joined if f.is_leader).members.values()) == [b"o1", b"o2"]

    @scenario
    async def test_a_newcomer_asks_the_others_to_join_again_and_moves_nobody_until_then(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        old, new = (world.member(transport, group_id) for _ in range(2))
        (first,), _ = await join_all([old])
        joining = asyncio.create_task(new.join(PLAIN))
        await until_rebalance(old)
        assert not joining.done()
        assert old.generation == first.generation
        again = await old.join(PLAIN)
        joined = await joining
        assert again.generation == joined.generation == first.generation + 1
        assert again.is_leader is not joined.is_leader
        assert old.member_id == first.member_id

    @scenario
    async def test_a_leader_that_joins_again_starts_a_round(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id) for _ in range(2)]
        joined, _ = await join_all(members)
        leader, follower = members if joined[0].is_leader else reversed(members)
        joining = asyncio.create_task(leader.join(PLAIN))
        await until_rebalance(follower)
        again = await follower.join(PLAIN)
        assert (await joining).generation == again.generation == joined[0].generation + 1

    @scenario
    async def test_a_member_that_leaves_is_not_waited_for(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id) for _ in range(2)]
        joined, _ = await join_all(members)
        stays, leaves = members
        await leaves.leave()
        assert (leaves.member_id, leaves.generation) == ("", -1)
        await until_rebalance(stays)
        alone = await stays.join(PLAIN)
        assert alone.is_leader
        assert alone.generation == joined[0].generation + 1
        assert dict(alone.members) == {stays.member_id: b""}

    @scenario
    async def test_leaving_twice_or_without_having_joined_is_no_error(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        member = world.member(transport, group_id)
        await member.leave()
        await join_all([member])
        await member.leave()
        await member.leave()
        with pytest.raises(RejoinError):
            await member.heartbeat()

    @scenario
    async def test_a_sync_of_an_old_generation_is_refused(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        member = world.member(transport, group_id)
        joined = await member.join(PLAIN)
        with pytest.raises(IllegalGeneration):
            await member.sync(joined.generation - 1, {})

    @scenario
    async def test_a_sync_that_a_new_round_overtakes_is_void(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        old, new = (world.member(transport, group_id) for _ in range(2))
        joined = await old.join(PLAIN)
        joining = asyncio.create_task(new.join(PLAIN))
        await until_rebalance(old)
        with pytest.raises(RebalanceInProgress):
            await old.sync(joined.generation, {})
        again = await old.join(PLAIN)
        assert (await joining).generation == again.generation

    @scenario
    async def test_a_follower_waits_in_sync_for_the_leaders_plan(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        old, new = (world.member(transport, group_id) for _ in range(2))
        await join_all([old])
        joining = asyncio.create_task(new.join(PLAIN))
        await until_rebalance(old)
        again = await old.join(PLAIN)
        joined = await joining
        leader, follower = (old, new) if again.is_leader else (new, old)
        syncing = asyncio.create_task(follower.sync(joined.generation, None))
        await asyncio.sleep(0.3)
        assert not syncing.done()
        plan = {old.member_id: b"o", new.member_id: b"n"}
        part = await leader.sync(joined.generation, plan)
        assert {leader: part, follower: await syncing} == {old: b"o", new: b"n"}

    @scenario
    async def test_a_cancelled_join_leaves_the_membership_usable(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        old, new = (world.member(transport, group_id) for _ in range(2))
        await join_all([old])
        joining = asyncio.create_task(new.join(PLAIN))
        await asyncio.sleep(0.3)
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        joined, _ = await join_all([old, new])
        assert {*dict(next(f for f in joined if f.is_leader).members)} >= {
            old.member_id,
            new.member_id,
        }

    @scenario
    async def test_a_story_of_rounds_goes_as_in_kafka(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        a, b, c = (world.member(transport, group_id) for _ in range(3))
        story = [
            await _round("a", a),
            await _round("ab", b, a),
            await _round("abc", c, b, a),
        ]
        await a.leave()
        story.append(await _round("bc", b, c))
        # A follower that joins again with what it had gets the generation that stands; only the
        # leader begins a new one.  Which of the two leads is up to the broker.
        leads_b = story[-1].leader == b.member_id
        story.append(await _round("bc", *((b, c) if leads_b else (c, b))))
        await b.leave()
        await c.leave()
        story.append(await _round("a", a))
        recorded = answers("rounds")
        first = story[0].generation - recorded[0]["generation"]
        assert [found.generation - first for found in story] == [
            told["generation"] for told in recorded
        ]
        assert [[len(found.members)] for found in story] == [told["members"] for told in recorded]
        assert story[3].leader == story[4].leader

    @scenario
    async def test_groups_are_listed_while_they_have_members(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        assert group_id not in await transport.groups()
        await join_all([world.member(transport, group_id)])
        assert group_id in await transport.groups()

    # -- static members -------------------------------------------------------------------

    @scenario
    async def test_a_static_member_that_returns_keeps_its_part_without_a_round(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id, instance_id=f"i{n}") for n in range(2)]
        joined, parts = await join_all(members)
        leader = next(found for found in joined if found.is_leader)
        assert sorted(leader.instances.values()) == ["i0", "i1"]
        number = next(n for n in range(2) if not joined[n].is_leader)
        await members[number].close()
        back = world.member(transport, group_id, instance_id=f"i{number}")
        again = await back.join(PLAIN)
        assert again.generation == leader.generation
        assert again.member_id != joined[number].member_id
        assert await back.sync(again.generation, None) == parts[number]
        await members[1 - number].heartbeat()

    @scenario
    async def test_a_static_leader_that_returns_is_told_that_its_plan_stands(
        self, world: World
    ) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id, instance_id=f"i{n}") for n in range(2)]
        joined, parts = await join_all(members)
        number = next(n for n in range(2) if joined[n].is_leader)
        await members[number].close()
        back = world.member(transport, group_id, instance_id=f"i{number}")
        again = await back.join(PLAIN)
        assert (again.is_leader, again.skip_assignment) == (True, True)
        assert again.generation == joined[number].generation
        assert {*again.members} == {back.member_id, members[1 - number].member_id}
        assert await back.sync(again.generation, {}) == parts[number]
        await members[1 - number].heartbeat()

    @scenario
    async def test_the_predecessor_of_a_static_member_is_fenced(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        tp = await world.partition(transport)
        old = world.member(transport, group_id, instance_id="same")
        await join_all([old])
        new = world.member(transport, group_id, instance_id="same")
        await join_all([new])
        with pytest.raises(FencedMember):
            await old.heartbeat()
        with pytest.raises(FencedMember):
            await old.commit({tp: Commit(1)}, generation=old.generation)
        await old.leave()
        await new.heartbeat()

    @scenario
    async def test_a_static_member_that_leaves_gives_up_its_place(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        members = [world.member(transport, group_id, instance_id=f"i{n}") for n in range(2)]
        await join_all(members)
        await members[0].leave()
        await until_rebalance(members[1])
        assert dict((await members[1].join(PLAIN)).members) == {members[1].member_id: b""}

    @scenario
    async def test_an_unknown_member_is_a_new_one_the_next_time(self, world: World) -> None:
        transport, group_id = await world.transport(), world.name("group")
        first, second = (world.member(transport, group_id, instance_id="i") for _ in range(2))
        await join_all([first])
        await second.join(PLAIN)  # takes the place
        await second.leave()
        with pytest.raises(UnknownMember):
            await first.heartbeat()
        assert (await first.join(PLAIN)).is_leader


async def _round(names: str, *members: Membership) -> Round:
    """Let members join one after another, and sync; return the leader's round."""
    joining = []
    for member in members:
        joining.append(asyncio.create_task(member.join(PLAIN)))
        await asyncio.sleep(0.3)
    joined = await asyncio.gather(*joining)
    assert len({(found.generation, found.leader) for found in joined}) == 1, names
    together = zip(members, joined, strict=True)
    await asyncio.gather(*(m.sync(f.generation, {} if f.is_leader else None) for m, f in together))
    return next(found for found in joined if found.is_leader)
