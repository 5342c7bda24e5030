"""What stands still is named, with its place and its stack; what is idle, slow or suspended is not.

In virtual time, on a broker in this process; `watched` is what the watchdog's thread does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

import faust
from faust._core.stacks import stack_of
from faust.web.apps.health import stalls, unready
from tests.support.virtual_time import send_all, until, virtual, watched


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def hanging(app: faust.App, name: str = "slow", **options: Any) -> Any:
    """Add an agent that waits in every event until it is let go."""
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)
    let_go = asyncio.Event()

    async def ask_somebody() -> None:
        await let_go.wait()

    @app.agent(topic, name=name, **options)
    async def slow(stream: Any) -> None:
        async for _ in stream:
            await ask_somebody()

    return topic, let_go


# -- events ------------------------------------------------------------------------------------


@virtual
async def test_an_agent_that_awaits_what_never_comes_is_named_with_place_and_stack(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app()
    topic, let_go = hanging(app)
    async with app:
        await send_all(topic, ["a"])
        await watched(app, 295)
        assert not world.told(caplog)
        assert not unready(app)
        await watched(app, 10)
        (told,) = world.told(caplog)
        assert "agent slow has been inside the event at topic orders partition 0 offset 0" in told
        assert "in ask_somebody\n    await let_go.wait()" in told
        assert "agent slow has been inside the event" in unready(app)
        assert "agent slow" in app.monitor.asdict()["stalled"][0]
        assert not stalls(app), "a legal event makes nobody dead"
        let_go.set()
        await watched(app, 2)
        assert not unready(app)
        assert world.told(caplog)[-1].startswith("It goes on, after: agent slow has been inside")


@virtual
async def test_it_is_said_again_after_twice_as_long_and_not_more_often(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_commit_livelock_soft_timeout=10)
    topic, let_go = hanging(app)
    async with app:
        await send_all(topic, ["a"])
        await watched(app, 100)
        assert len(world.told(caplog)) == 4  # 10, 20, 40, 80
        let_go.set()


@virtual
async def test_an_agent_that_is_slow_but_goes_on_is_no_alarm(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_commit_livelock_soft_timeout=10)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic)
    async def slow(stream: Any) -> None:
        async for _ in stream:
            await app.clock.sleep(8)

    async with app:
        await send_all(topic, ["a"] * 30)
        await watched(app, 200)
        assert not world.told(caplog)
        assert not unready(app)


@virtual
async def test_a_worker_that_has_nothing_to_do_for_long_is_alive_and_ready(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app()
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)
    seen: list[str] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async with app:
        await send_all(topic, ["a"])
        await watched(app, 900, step=5.0)
        assert not world.told(caplog)
        assert (stalls(app), unready(app)) == ([], "")
        await send_all(topic, ["b"])
        await app.clock.sleep(0.5)
        assert seen == ["a", "b"]


@virtual
async def test_a_list_that_waits_to_be_filled_is_no_alarm(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_commit_livelock_soft_timeout=10)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for _ in stream.take(100):
            pass

    async with app:
        await send_all(topic, ["a"] * 3)
        await watched(app, 200)
        assert not world.told(caplog)
        assert not unready(app)


@virtual
async def test_events_that_nobody_acknowledges_are_named_once_no_more_are_handed_out(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_commit_livelock_soft_timeout=10, stream_buffer_maxsize=3)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic, name="forgetful")
    async def read(stream: Any) -> None:
        async for _ in stream.noack().events():
            pass

    async with app:
        await send_all(topic, ["a"] * 5)
        await watched(app, 30)
        told = world.told(caplog)[0]
        assert "agent forgetful has taken nothing from topic orders partition 0" in told
        assert "at offset 3, although 2 more are there" in told
        assert "holds 3 events that are not acknowledged" in told
        assert "agent forgetful has taken nothing" in unready(app)


@virtual
async def test_a_list_of_take_is_named_with_all_its_offsets(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_commit_livelock_soft_timeout=10)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)
    never = asyncio.Event()

    @app.agent(topic, name="lists")
    async def read(stream: Any) -> None:
        async for _ in stream.take(3, within=1):
            await never.wait()

    async with app:
        await send_all(topic, ["a"] * 3)
        await watched(app, 20)
        (told,) = world.told(caplog)
        assert (
            "agent lists has been inside the event at topic orders partition 0 offsets 0 to 2"
            in (told)
        )
        never.set()


@virtual
async def test_a_timer_that_hangs_is_named_and_the_worker_stays_ready(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_commit_livelock_soft_timeout=10)
    hanging(app)

    @app.timer(1.0)
    async def cleans() -> None:
        await asyncio.Event().wait()

    async with app:
        await watched(app, 25)
        told = world.told(caplog)[0]
        assert "cleans has been running for 10 s" in told
        assert "in cleans" in told
        assert not unready(app)


# -- fetching and committing ---------------------------------------------------------------------


@virtual
async def test_a_fetch_that_is_never_answered_makes_the_worker_dead_within_30_s(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_request_timeout=3600)
    hanging(app)
    async with app:
        await watched(app, 60)
        assert not stalls(app)
        world.broker.faults.black_hole("fetch")
        await watched(app, 24)
        assert not stalls(app)
        await watched(app, 6)
        (reason,) = stalls(app)
        assert "no answer from the broker to a fetch" in reason
        assert "no answer from the broker to a fetch" in world.told(caplog)[0]
        world.broker.faults.heal()
        await watched(app, 3)
        assert not stalls(app)


@virtual
async def test_a_commit_that_does_not_succeed_makes_the_worker_dead_within_30_s(
    world: World,
) -> None:
    app = world.app(broker_commit_interval=60, broker_request_timeout=3600)
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async with app:
        await watched(app, 300)
        assert not stalls(app), "nothing to commit is no stall"
        world.broker.faults.black_hole("commit")
        await send_all(topic, ["a"])
        await until(lambda: app.engine.committer.trying)
        await watched(app, 24)
        assert not stalls(app)
        await watched(app, 6)
        assert "no commit has succeeded" in stalls(app)[0]
        world.broker.faults.heal()
        await watched(app, 5)
        assert not stalls(app)


@virtual
async def test_a_worker_that_was_idle_is_not_dead_when_it_is_given_its_first_partition(
    world: World,
) -> None:
    """What it asked last was long ago, for it had nothing to ask for."""
    app, other = world.app(), world.app(datadir=str(world.directory / "other"))
    for each in (app, other):
        hanging(each)
    async with other, app:
        await watched(app, 100)
        idle: Any = app if not app.engine.tasks else other
        fetcher = idle.engine.fetcher
        assert fetcher.idle
        before = fetcher.last_answer
        fetcher.start({}, 1)
        assert fetcher.last_answer > before + 50


# -- readiness -------------------------------------------------------------------------------------


@virtual
async def test_a_worker_is_ready_once_it_processes_all_that_is_its_own_and_not_before(
    world: World,
) -> None:
    app = world.app()
    hanging(app)
    world.broker.faults.black_hole("open")
    starting = asyncio.ensure_future(app.start())
    await app.clock.sleep(1)
    assert unready(app) == "starting: waiting for a broker"
    world.broker.faults.heal()
    world.broker.faults.black_hole("create_topic")
    await app.clock.sleep(10)
    assert unready(app) == "starting: topics are looked for and created"
    world.broker.faults.heal()
    world.broker.faults.black_hole("join")
    await app.clock.sleep(10)
    assert unready(app) == "a rebalance is under way, and nothing is owned yet"
    world.broker.faults.heal()
    await starting
    assert not unready(app)
    await app.stop()
    assert unready(app)


# -- stacks --------------------------------------------------------------------------------------


@virtual
async def test_a_stack_goes_down_through_generators_to_the_line_that_waits() -> None:
    never = asyncio.Event()

    async def innermost() -> None:
        await never.wait()

    async def numbers() -> AsyncIterator[int]:
        await innermost()
        yield 1

    async def outermost() -> None:
        async for _ in numbers():
            pass

    task = asyncio.ensure_future(outermost())
    await asyncio.sleep(0)
    stack = stack_of(task)
    names = [line.rsplit(" ", 1)[-1] for line in stack.splitlines() if line.startswith("  File")]
    assert names == ["outermost", "numbers", "innermost", "wait"]
    assert "await innermost()" in stack
    never.set()
    await task
    assert stack_of(task) == ""


@virtual
async def test_a_stack_goes_on_in_the_task_that_is_waited_for() -> None:
    never = asyncio.Event()

    async def inner() -> None:
        await never.wait()

    async def outer() -> None:
        await asyncio.ensure_future(inner())

    task = asyncio.ensure_future(outer())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "in inner" in stack_of(task)
    never.set()
    await task
