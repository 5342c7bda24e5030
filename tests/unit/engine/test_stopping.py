"""Stopping, in any state: all is drained, committed and left, or it is said what is missing.

In virtual time, on a broker in this process.  Processes and signals: `tests/cli`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

import faust
from faust._machines.members import Phase
from faust.exceptions import BrokerUnavailable, RebalanceInProgress
from faust.types import TP
from faust.worker import Worker
from tests.support.virtual_time import send_all, until, virtual

ORDERS = TP("orders", 0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def counting(app: faust.App, seconds: float = 0.0) -> tuple[Any, Any, list[str]]:
    """Add an agent that counts, and takes its time for each event."""
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)
    counts = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)
    seen: list[str] = []

    @app.agent(topic, name="count")
    async def count(stream: Any) -> None:
        async for value in stream:
            counts[value] += 1
            if seconds:
                await app.clock.sleep(seconds)
            seen.append(value)

    return topic, counts, seen


async def stopped(app: faust.App) -> float:
    """Stop an app; return the virtual seconds that it took."""
    began = app.clock.monotonic()
    await app.stop()
    return app.clock.monotonic() - began


def members(world: World) -> int:
    return len(world.broker.groups.group("shop").members)


@virtual
async def test_stopping_inside_an_event_finishes_and_commits_it(world: World) -> None:
    app = world.app()
    topic, _, seen = counting(app, seconds=5)
    await app.start()
    await send_all(topic, ["a", "b"])
    await app.clock.sleep(1)
    assert await stopped(app) < 10
    assert (seen, world.committed()[ORDERS], members(world)) == (["a"], 1, 0)
    assert app.failure is None


@virtual
async def test_stopping_inside_an_event_that_hangs_ends_after_the_grace_and_gives_it_again(
    world: World,
) -> None:
    app = world.app(broker_rebalance_grace=3)
    topic, counts, seen = counting(app, seconds=3600)
    await app.start()
    await send_all(topic, ["a"])
    await app.clock.sleep(1)
    assert 3 <= await stopped(app) < 10
    assert (seen, world.committed()[ORDERS], members(world)) == ([], 0, 0)
    again = world.app()
    topic, counts, seen = counting(again)
    async with again:
        await until(lambda: seen)
        assert (seen, counts["a"]) == (["a"], 1)


@virtual
async def test_a_clean_restart_has_no_duplicates_and_recovers_nothing(world: World) -> None:
    app = world.app(store="rocksdb://")
    topic, counts, seen = counting(app)
    await app.start()
    await send_all(topic, ["a"] * 50)
    await until(lambda: len(seen) == 20 or len(seen) > 20)
    await app.stop()
    before = len(seen)
    again = world.app(store="rocksdb://")
    topic, counts, seen = counting(again)
    async with again:
        await until(lambda: before + len(seen) == 50)
        assert again.monitor.records_restored["counts"] == 0
        assert counts["a"] == 50
        await again.clock.sleep(5)
    assert before + len(seen) == 50


@pytest.mark.parametrize("kind", ["open", "topics", "create_topic", "join", "sync", "committed"])
def test_stopping_while_it_starts_ends_at_once(world: World, kind: str) -> None:
    """Waiting for the broker, for topics, for the group, or for what it has committed."""

    @virtual
    async def flow() -> None:
        app = world.app()
        counting(app)
        world.broker.faults.black_hole(kind)
        starting = asyncio.ensure_future(app.start())
        await app.clock.sleep(3)
        assert not starting.done()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert await stopped(app) < 30
        world.broker.faults.heal()
        again = world.app()
        topic, _, seen = counting(again)
        async with again:
            await send_all(topic, ["a"])
            await until(lambda: seen)

    flow()


@virtual
async def test_stopping_while_a_table_is_restored_ends_at_once(world: World) -> None:
    app = world.app()
    topic, _, seen = counting(app)
    async with app:
        await send_all(topic, ["a"] * 10)
        await until(lambda: len(seen) == 10)
    again = world.app(datadir=str(world.directory / "elsewhere"))
    counting(again)
    world.broker.faults.black_hole("fetch")
    starting = asyncio.ensure_future(again.start())
    await again.clock.sleep(5)
    assert again.engine.starting  # type: ignore[union-attr]  # it has one by now
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert await stopped(again) < 30
    assert members(world) == 0


@virtual
async def test_stopping_while_a_commit_is_under_way_waits_for_it(world: World) -> None:
    app = world.app()
    topic, _, seen = counting(app)
    await app.start()
    await send_all(topic, ["a"] * 3)
    world.broker.faults.delay("commit", 4.0)
    await until(lambda: len(seen) == 3 and app.engine.committer.trying)  # type: ignore[union-attr]
    assert await stopped(app) < 10
    assert (world.committed()[ORDERS], members(world), app.failure) == (3, 0, None)


@virtual
async def test_stopping_while_the_broker_is_away_ends_and_says_what_was_not_committed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_request_timeout=90)
    topic, _, seen = counting(app)
    await app.start()
    await send_all(topic, ["a"] * 3)
    world.broker.faults.make_unavailable()
    await until(lambda: len(seen) == 3)
    assert await stopped(app) < Worker.shutdown_timeout
    assert isinstance(app.failure, BrokerUnavailable)
    assert "the last commit was not made" in str(app.failure)
    world.broker.faults.heal()
    again = world.app()
    topic, counts, seen = counting(again)
    async with again:
        await until(lambda: len(seen) == 3)
        assert counts["a"] == 3


@virtual
async def test_stopping_while_the_broker_is_away_and_all_is_committed_is_no_failure(
    world: World,
) -> None:
    app = world.app(broker_request_timeout=90)
    topic, _, _ = counting(app)
    await app.start()
    await send_all(topic, ["a"] * 3)
    await app.clock.sleep(5)
    world.broker.faults.make_unavailable()
    await app.clock.sleep(30)
    assert await stopped(app) < Worker.shutdown_timeout
    assert app.failure is None


@virtual
async def test_stopping_while_others_join_leaves_nobody_waiting(world: World) -> None:
    first = world.app(datadir=str(world.directory / "a"))
    counting(first)
    second = world.app(datadir=str(world.directory / "b"))
    topic2, _, seen2 = counting(second)
    await first.start()
    world.broker.faults.delay("sync", 5.0, times=2)
    starting = asyncio.ensure_future(second.start())
    await until(lambda: first.rebalancing)
    assert await stopped(first) < 30
    await starting
    await send_all(topic2, ["a"])
    await until(lambda: seen2)
    await second.stop()
    assert members(world) == 0


@virtual
async def test_stopping_while_a_round_waits_for_its_plan_commits_once_it_has_one(
    world: World,
) -> None:
    """A broker takes no commits then; after three attempts the events were left to be repeated."""
    first = world.app(datadir=str(world.directory / "a"), broker_commit_interval=600)
    topic, _, seen = counting(first)
    second = world.app(datadir=str(world.directory / "b"))
    _, _, again = counting(second)
    await first.start()
    await send_all(topic, ["a"] * 3)
    await until(lambda: len(seen) == 3)
    world.broker.faults.delay("sync", 5.0, times=2)
    starting = asyncio.ensure_future(second.start())
    await until(lambda: world.broker.groups.group("shop").phase is Phase.SYNCING)
    assert await stopped(first) < 10
    assert (world.committed()[ORDERS], first.failure) == (3, None)
    await starting
    await send_all(topic, ["b"])
    await until(lambda: again)
    assert again == ["b"]
    await second.stop()


@virtual
async def test_stopping_while_every_commit_is_refused_ends_and_says_so(world: World) -> None:
    app = world.app(broker_commit_interval=600)
    topic, _, seen = counting(app)
    await app.start()
    await send_all(topic, ["a"])
    await until(lambda: seen)
    world.broker.faults.fail("commit", RebalanceInProgress("no plan"), times=10_000)
    assert await stopped(app) < 10
    assert isinstance(app.failure, BrokerUnavailable)
    assert "refused, the group has moved on: no plan" in str(app.failure)


@virtual
async def test_stopping_while_an_agent_waits_to_try_again_does_not_wait_for_it(
    world: World,
) -> None:
    app = world.app(agent_error_backoff=600, agent_error_backoff_max=600)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic)
    async def fails(stream: Any) -> None:
        async for _ in stream:
            raise ValueError("no")

    await app.start()
    await send_all(topic, ["a"])
    await app.clock.sleep(5)
    assert await stopped(app) < 5
    assert (world.committed()[ORDERS], members(world), app.failure) == (0, 0, None)


@virtual
async def test_an_agent_that_has_failed_for_good_ends_the_app_in_good_order(world: World) -> None:
    app = world.app(agent_error_retries=0)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic)
    async def fails(stream: Any) -> None:
        async for value in stream:
            if value == "bad":
                raise ValueError("no")

    await app.start()
    await send_all(topic, ["a", "b", "bad", "c"])
    await app.failed.wait()
    assert await stopped(app) < 5
    assert (world.committed()[ORDERS], members(world)) == (2, 0)


# -- a broker that does not come back -------------------------------------------------------------


@virtual
async def test_a_worker_whose_broker_has_been_away_for_too_long_ends_with_one_clear_error(
    world: World,
) -> None:
    app = world.app(broker_unavailable_timeout=60, broker_request_timeout=90)
    topic, _, seen = counting(app)
    await app.start()
    await send_all(topic, ["a"])
    await until(lambda: seen)
    began = app.clock.monotonic()
    world.broker.faults.make_unavailable()
    await app.failed.wait()
    assert 60 <= app.clock.monotonic() - began < 70
    assert "for 60 seconds (broker_unavailable_timeout)" in str(app.failure)
    assert await stopped(app) < Worker.shutdown_timeout


@virtual
async def test_a_broker_that_comes_back_in_time_ends_nobody(world: World) -> None:
    app = world.app(broker_unavailable_timeout=60, broker_request_timeout=10)
    topic, _, seen = counting(app)
    async with app:
        for _ in range(3):
            world.broker.faults.make_unavailable()
            await app.clock.sleep(50)
            world.broker.faults.heal()
            await app.clock.sleep(50)
        assert app.failure is None
        await send_all(topic, ["a"])
        await until(lambda: seen)


@virtual
async def test_a_worker_that_owns_nothing_notices_a_broker_that_is_away_too(world: World) -> None:
    apps = [
        world.app(
            broker_unavailable_timeout=30, broker_request_timeout=90,
            datadir=str(world.directory / str(n)),
        )
        for n in range(2)
    ]  # fmt: skip
    for app in apps:
        counting(app)
        await app.start()
    await apps[0].clock.sleep(10)
    world.broker.faults.make_unavailable()
    for app in apps:
        await app.failed.wait()
    for app in apps:
        assert await stopped(app) < Worker.shutdown_timeout


@virtual
async def test_without_a_limit_a_broker_that_is_away_is_waited_for(world: World) -> None:
    app = world.app(broker_request_timeout=30)
    topic, _, seen = counting(app)
    async with app:
        world.broker.faults.make_unavailable()
        await app.clock.sleep(600)
        assert app.failure is None
        world.broker.faults.heal()
        await send_all(topic, ["a"])
        await until(lambda: seen)


@virtual
async def test_an_app_that_has_failed_outside_of_a_worker_leaves_its_group_at_once(
    world: World,
) -> None:
    """It kept its partitions for as long as the block around it went on."""
    app = world.app(agent_error_retries=0, datadir=str(world.directory / "a"))
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic, name="count")
    async def fails(stream: Any) -> None:
        async for value in stream:
            if value == "bad":
                raise ValueError("no")

    other = world.app(datadir=str(world.directory / "b"))
    _, _, seen = counting(other)
    async with app:
        await send_all(topic, ["a", "bad", "c"])
        await app.failed.wait()
        await until(lambda: members(world) == 0)
        assert world.committed()[ORDERS] == 1
        async with other:
            await until(lambda: len(seen) == 2)
        assert app.failure is not None
