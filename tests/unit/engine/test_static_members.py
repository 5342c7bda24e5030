"""Static members keep their place; a rebalance says in one line why, and what it has changed."""

from __future__ import annotations

import logging

import pytest
from yarl import URL

from faust._engine.holdings import listed
from faust._machines.copartition import TaskId
from faust.testing.clock import VirtualClock
from faust.transport.base import TopicSpec, TransportOptions
from faust.transport.drivers.memory import MemoryTransport
from tests.support.rebalancing import (
    Party,
    a_leader_dies_before_it_plans,
    a_static_member_restarts,
    settled,
    wait,
)
from tests.support.virtual_time import virtual


async def opened(name: str) -> tuple[MemoryTransport, VirtualClock]:
    clock = VirtualClock.current()
    transport = MemoryTransport([URL(f"memory://{name}")], TransportOptions(clock=clock))
    await transport.open()
    return transport, clock


@virtual
async def test_a_static_member_that_restarts_keeps_its_tasks_and_nobody_hears_of_it() -> None:
    transport, clock = await opened("static-restart")
    await a_static_member_restarts(transport, clock, "group", "topic")


@virtual
async def test_a_static_member_that_stays_away_is_replaced_after_its_session() -> None:
    transport, clock = await opened("static-away")
    await transport.create_topic(TopicSpec("topic", 4))
    one, two = [
        await Party(transport, clock, "g", name, topic="topic", static=True).start()
        for name in "ab"
    ]
    await wait(settled(4, one, two))
    await one.stop()
    await clock.sleep(9.0)
    assert len(two.owned) == 2
    await clock.sleep(3.0)
    assert len(two.owned) == 4
    assert two.heard[-1] == "assign 2"
    await two.stop()


@virtual
async def test_a_dynamic_member_that_stops_is_replaced_at_once() -> None:
    transport, clock = await opened("dynamic-stop")
    await transport.create_topic(TopicSpec("topic", 4))
    one, two = [await Party(transport, clock, "g", name, topic="topic").start() for name in "ab"]
    await wait(settled(4, one, two))
    await one.stop()
    await clock.sleep(1.0)
    assert len(two.owned) == 4
    await two.stop()


@virtual
async def test_a_static_member_that_comes_back_as_another_version_joins_once_more() -> None:
    """KAFKA-12759: the broker gives it the plan that was made for what it had read before."""
    transport, clock = await opened("static-version")
    for topic in ("topic", "more"):
        await transport.create_topic(TopicSpec(topic, 4))
    one, two = [
        await Party(transport, clock, "g", name, topic="topic", static=True).start()
        for name in "ab"
    ]
    await wait(settled(4, one, two))
    await one.stop()
    back = Party(transport, clock, "g", "a", topic="topic", static=True, version="2")
    back.topics.add("more")
    await back.start()
    await wait(lambda: len(back.heard) >= 2)
    assert {tp.topic for tp in back.assignments[0].partitions} == {"topic"}
    await clock.sleep(1.0)
    assert {tp.topic for tp in back.assignments[-1].partitions} == {"topic", "more"}
    rounds = back.rebalancer.rounds
    await clock.sleep(60.0)
    assert back.rebalancer.rounds == rounds, "it goes on joining"
    await back.stop()
    await two.stop()


@virtual
async def test_what_a_static_member_gave_up_before_it_died_goes_to_who_waits_for_it() -> None:
    """Nobody would join again to say that the task is free: the round would not come."""
    transport, clock = await opened("static-withheld")
    await transport.create_topic(TopicSpec("topic", 4))
    one = await Party(transport, clock, "g", "a", topic="topic", static=True).start()
    await wait(settled(4, one))

    async def dies(*_: object) -> None:
        for task in one.rebalancer._tasks:
            task.cancel()

    one.rebalancer._callbacks = one.rebalancer._callbacks._replace(revoke=dies)
    two = await Party(transport, clock, "g", "b", topic="topic", static=True).start()
    await wait(lambda: two.heard == ["assign 0"])
    await clock.sleep(1.0)
    back = await Party(transport, clock, "g", "a", topic="topic", static=True).start()
    await wait(settled(4, back, two))
    for party in (back, two):
        await party.stop()


@virtual
async def test_what_stays_is_committed_although_the_leader_has_died_before_it_planned() -> None:
    """A broker takes no commit of a generation that waits for its plan: all stood for a session."""
    transport, clock = await opened("dead-leader")
    await a_leader_dies_before_it_plans(transport, clock, "group", "topic", to_the_end=True)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith("Rebalance ")]


@virtual
async def rebalances_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    transport, clock = await opened("log-line")
    await transport.create_topic(TopicSpec("topic", 4))
    one = await Party(transport, clock, "g", "a", topic="topic").start()
    await wait(settled(4, one))
    assert lines(caplog) == [
        "Rebalance 1: generation 1 in 0.00 s, because a:6066 joined: "
        "0 stay, 0 went, 4 came (0-3 of 4), 0 warming up"
    ]
    caplog.clear()
    two = await Party(transport, clock, "g", "b", topic="topic").start()
    await wait(settled(4, one, two))
    said = lines(caplog)
    assert any(
        "because b:6066 joined: 2 stay (0-1 of 4), 2 went (2-3 of 4), 0 came, 0 warming up; "
        "another round follows" in line
        for line in said
    ), said
    assert any("because a:6066: gave up 2 tasks that others get: 0 stay, 0 went, 2 came" in line
               for line in said), said  # fmt: skip
    caplog.clear()
    two.rebalancer.request_rejoin("this worker reads other topics now")
    await clock.sleep(2.0)
    assert len(lines(caplog)) == 2
    assert all("because b:6066: this worker reads other topics now:" in x for x in lines(caplog))
    caplog.clear()
    await two.stop()
    await wait(settled(4, one))
    assert "because b:6066 is gone: 2 stay" in lines(caplog)[0]
    await one.stop()


def test_every_rebalance_says_in_one_line_who_caused_it_and_what_it_changed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="faust._engine.rebalancer"):
        rebalances_in_the_log(caplog)


@virtual
async def test_a_table_moves_when_its_copy_has_caught_up_and_not_before() -> None:
    transport, clock = await opened("warm-move")
    await transport.create_topic(TopicSpec("topic", 4))
    options = {"topic": "topic", "tables": {"changelog": 4}}
    one = await Party(transport, clock, "g", "a", **options).start()  # type: ignore[arg-type]
    await wait(settled(4, one))
    two = await Party(transport, clock, "g", "b", **options).start()  # type: ignore[arg-type]
    await wait(lambda: bool(two.assignments))
    await clock.sleep(2.0)
    assert one.heard == ["assign 4", "assign 0"]
    coming = two.assignments[-1].warming
    assert len(coming) == 2
    assert two.assignments[-1].standbys == coming
    two.rebalancer.lags = dict.fromkeys(coming, 17)
    two.rebalancer.request_rejoin("copies have caught up")
    await wait(settled(4, one, two))
    assert two.owned == coming
    assert two.assignments[-1].warming == frozenset()
    for party in (one, two):
        await party.stop()


@virtual
async def test_a_copy_of_which_nobody_says_that_it_has_caught_up_is_asked_for_after_a_while() -> (
    None
):
    transport, clock = await opened("probing")
    await transport.create_topic(TopicSpec("topic", 2))
    options = {"topic": "topic", "tables": {"changelog": 2}}
    one = await Party(transport, clock, "g", "a", **options).start()  # type: ignore[arg-type]
    await wait(settled(2, one))
    two = await Party(transport, clock, "g", "b", **options).start()  # type: ignore[arg-type]
    await wait(lambda: bool(two.assignments))
    two.rebalancer.lags = dict.fromkeys(two.assignments[-1].warming, 0)
    await clock.sleep(500.0)
    assert not two.owned
    await clock.sleep(200.0)
    assert len(two.owned) == 1
    for party in (one, two):
        await party.stop()


def test_tasks_are_listed_as_runs_and_not_without_end() -> None:
    assert listed([]) == ""
    assert listed([TaskId("8", n) for n in (7, 0, 1, 2, 5)]) == " (0-2,5,7 of 8)"
    assert listed([TaskId("1", 0), TaskId("4", 3)]) == " (0 of 1; 3 of 4)"
    many = listed([TaskId("999", n) for n in range(0, 999, 2)])
    assert many.startswith(" (0,2,4,")
    assert many.endswith(",…)")
    assert len(many) < 66
