"""The Kafka driver's memberships and offsets, against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from faust._core.clock import SystemClock
from faust._values import TP
from faust.exceptions import (
    FencedMember,
    IllegalGeneration,
    RebalanceInProgress,
    RejoinError,
    StopError,
    UnknownMember,
    UnknownTopic,
)
from faust.transport.base import Commit, GroupOptions, Membership, Round
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from tests.kafka.driver_support import new_topic, opened, run, unique, until
from tests.support.rebalancing import a_leader_dies_before_it_plans, a_static_member_restarts
from tools.kafka import KafkaNode

pytestmark = pytest.mark.kafka


def group_options(group: str, instance: str | None = None) -> GroupOptions:
    # Of a "consumer" group, Kafka 4 parses what members join with.
    return GroupOptions(
        group_id=group,
        instance_id=instance,
        session_timeout=30.0,
        rebalance_timeout=30.0,
        protocol_type="test",
    )


@asynccontextmanager
async def members(
    transport: KafkaTransport, *options: GroupOptions
) -> AsyncIterator[list[Membership]]:
    found = [transport.membership(o) for o in options]
    try:
        yield found
    finally:
        for member in found:
            await member.close()


async def one_round(*everybody: Membership) -> tuple[list[Round], list[bytes]]:
    """Let all of them live until they are in one generation; the plan gives each a number."""
    at: dict[Membership, tuple[Round, bytes]] = {}

    def settled() -> bool:
        rounds = [r for r, _ in at.values()]
        leaders = [r for r in rounds if r.is_leader]
        return (
            len(at) == len(everybody)
            and len({r.generation for r in rounds}) == 1
            and len(leaders[0].members) == len(everybody)
        )

    async def live(member: Membership) -> None:
        while True:
            at.pop(member, None)
            try:
                r = await member.join([("plan", member.member_id.encode())])
                plan = {m: f"part-{n}".encode() for n, m in enumerate(sorted(r.members))}
                at[member] = r, await member.sync(r.generation, plan if r.is_leader else None)
                while not settled():
                    await member.heartbeat()
                    await asyncio.sleep(0.02)
            except RejoinError:
                continue
            return

    await asyncio.gather(*map(live, everybody))
    return [at[m][0] for m in everybody], [at[m][1] for m in everybody]


def test_three_members_join_one_after_the_other_and_leave_again(kafka: KafkaNode) -> None:
    async def work() -> None:
        group = unique("group")
        async with (
            opened(kafka.bootstrap) as transport,
            members(transport, *[group_options(group)] * 3) as (a, b, c),
        ):
            rounds, parts = await one_round(a)
            assert rounds[0].is_leader
            assert parts == [b"part-0"]
            await a.heartbeat()

            joining = asyncio.create_task(b.join([("plan", b"b")]))

            async def told() -> bool:
                try:
                    await a.heartbeat()
                except RebalanceInProgress:
                    return True
                return False

            await until(told)
            # Commits of the old generation hold until its members have joined the next one.
            topic = await new_topic(transport)
            refused = await a.commit({TP(topic, 0): Commit(3, "x")}, generation=a.generation)
            assert refused == {}
            first = await a.join([("plan", b"a")])
            second = await joining
            assert first.generation == second.generation == 2
            assert first.members == {a.member_id: b"a", b.member_id: b"b"}
            assert second.members == {}

            rounds, parts = await one_round(a, b, c)
            assert sorted(parts) == [b"part-0", b"part-1", b"part-2"]
            assert sum(r.is_leader for r in rounds) == 1
            with pytest.raises(IllegalGeneration):
                await a.commit({TP(topic, 0): Commit(4)}, generation=2)
            assert await transport.committed(group) == {TP(topic, 0): Commit(3, "x")}

            await b.leave()
            assert (b.member_id, b.generation) == ("", -1)
            rounds, parts = await one_round(a, c)
            assert sorted(parts) == [b"part-0", b"part-1"]
            assert group in await transport.groups()

    run(work())


def test_a_member_that_is_unknown_joins_as_a_new_one(kafka: KafkaNode) -> None:
    async def work() -> None:
        group = unique("group")
        async with (
            opened(kafka.bootstrap) as transport,
            members(transport, group_options(group)) as (member,),
        ):
            await one_round(member)
            before, generation = member.member_id, member.generation
            other = transport.membership(group_options(group))
            other._member_id = before  # type: ignore[attr-defined]  # somebody removes the member
            await other.leave()
            topic = await new_topic(transport)
            with pytest.raises(UnknownMember):
                await member.commit({TP(topic, 0): Commit(1)}, generation=generation)
            assert member.member_id == ""
            await one_round(member)
            assert member.member_id != before
            await member.leave()

    run(work())


def test_a_static_member_that_comes_back_keeps_its_place_and_fences_its_predecessor(
    kafka: KafkaNode,
) -> None:
    async def work() -> None:
        group = unique("group")
        a_options, b_options = group_options(group, "a"), group_options(group, "b")
        async with (
            opened(kafka.bootstrap) as transport,
            members(transport, a_options, b_options, a_options) as (a, b, a_again),
        ):
            rounds, _ = await one_round(a, b)
            generation = rounds[0].generation
            leader = next(r for r in rounds if r.is_leader)
            assert sorted(leader.instances.values()) == ["a", "b"]
            assert leader.skip_assignment is False
            topic = await new_topic(transport)

            back = await a_again.join([("plan", a.member_id.encode())])
            assert back.generation == generation
            # KIP-814: the leader that came back sees the members, but its plan is not used.
            assert back.skip_assignment is back.is_leader
            part = await a_again.sync(generation, {} if back.is_leader else None)
            assert part in (b"part-0", b"part-1")
            await b.heartbeat()  # and nobody was disturbed
            await a_again.heartbeat()

            for refused in (
                a.heartbeat(),
                a.commit({TP(topic, 0): Commit(1)}, generation=generation),
            ):
                with pytest.raises((FencedMember, UnknownMember)):
                    await refused
            await a.leave()  # of one who is out already: says nothing, hurts nobody
            await a_again.heartbeat()
            assert not await a_again.commit({TP(topic, 0): Commit(2)}, generation=generation)

            await a_again.leave()

            async def told() -> bool:
                try:
                    await b.heartbeat()
                except RejoinError:
                    return True
                return False

            await until(told)
            rounds, parts = await one_round(b)
            assert parts == [b"part-0"]
            await b.leave()

    run(work())


def test_an_old_static_member_is_fenced(kafka: KafkaNode) -> None:
    async def work() -> None:
        options = group_options(unique("group"), "a")
        async with (
            opened(kafka.bootstrap) as transport,
            members(transport, options, options) as (old, new),
        ):
            await one_round(old)
            await new.join([("plan", b"")])
            with pytest.raises(FencedMember):
                await old.heartbeat()
            with pytest.raises(FencedMember):
                await old.commit({}, generation=old.generation)
            await new.leave()

    run(work())


def test_a_join_that_is_cancelled_leaves_a_membership_that_can_join(kafka: KafkaNode) -> None:
    async def work() -> None:
        group = unique("group")
        async with (
            opened(kafka.bootstrap) as transport,
            members(transport, *[group_options(group)] * 2) as (a, b),
        ):
            await one_round(a)
            joining = asyncio.create_task(b.join([("plan", b"")]))  # waits for a
            await asyncio.sleep(0.3)
            joining.cancel()
            assert (await asyncio.gather(joining, return_exceptions=True))[0]
            _, parts = await one_round(a, b)
            assert len(parts) == 2
            await b.leave()
            await a.leave()

    run(work())


def test_offsets_come_back_with_their_metadata_and_only_where_there_are_any(
    kafka: KafkaNode,
) -> None:
    async def work() -> None:
        group = unique("group")
        async with (
            opened(kafka.bootstrap) as transport,
            members(transport, group_options(group)) as (member,),
        ):
            topic, other = await new_topic(transport, 3), await new_topic(transport)
            rounds, _ = await one_round(member)
            missing = TP(unique("missing"), 0)
            text = "ä" * 1000
            refused = await member.commit(
                {
                    TP(topic, 0): Commit(5, text),
                    TP(topic, 1): Commit(0),
                    TP(topic, 2): Commit(1, "x" * 5000),
                    TP(other, 0): Commit(7, "seven"),
                    missing: Commit(1),
                },
                generation=rounds[0].generation,
            )
            assert refused.keys() == {TP(topic, 2), missing}
            assert isinstance(refused[missing], UnknownTopic)
            assert isinstance(refused[TP(topic, 2)], StopError)
            expected = {TP(topic, 0): Commit(5, text), TP(topic, 1): Commit(0)}
            tps = [TP(topic, n) for n in range(3)]
            assert await transport.committed(group, tps) == expected
            assert await transport.committed(group, tps, stable=True) == expected
            everything = {**expected, TP(other, 0): Commit(7, "seven")}
            assert await transport.committed(group) == everything
            assert await transport.committed(unique("group")) == {}

            with pytest.raises(UnknownMember):
                await transport.commit_offsets(group, {TP(topic, 0): Commit(9)})
            await member.leave()
            await transport.commit_offsets(group, {TP(topic, 0): Commit(9, "tool")})
            assert (await transport.committed(group))[TP(topic, 0)] == Commit(9, "tool")

    run(work())


def test_a_session_time_out_that_the_broker_refuses_stops_the_app(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            options = GroupOptions(group_id=unique("group"), session_timeout=0.01)
            member = transport.membership(options)
            with pytest.raises(StopError, match="INVALID_SESSION_TIMEOUT"):
                await member.join([("plan", b"")])
            await member.close()

    run(work())


def test_a_static_member_that_restarts_keeps_its_tasks_and_nobody_hears_of_it(
    kafka: KafkaNode,
) -> None:
    async def main() -> None:
        async with opened(kafka.bootstrap) as transport:
            await a_static_member_restarts(
                transport, SystemClock(), unique("group"), unique("topic")
            )

    run(main())


def test_what_stays_is_committed_although_the_leader_has_died_before_it_planned(
    kafka: KafkaNode,
) -> None:
    async def main() -> None:
        async with opened(kafka.bootstrap) as transport:
            await a_leader_dies_before_it_plans(
                transport, SystemClock(), unique("group"), unique("topic"), to_the_end=False
            )

    run(main())
