"""Tasks that come back while this worker has not given them up yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

from faust._machines.copartition import TaskId
from tests.support.virtual_time import send_all, until, virtual


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


async def inside_an_event(world: World) -> tuple[Any, Any, list[str], asyncio.Event]:
    """Return an app whose agent is inside the event "a", its topic, what it has seen, and what lets
    it go."""
    app = world.app(broker_rebalance_grace=5.0)
    source = app.topic("source", internal=True, partitions=1, value_type=str)
    seen: list[str] = []
    release = asyncio.Event()

    @app.agent(source, name="waits")
    async def waits(stream: Any) -> None:
        async for value in stream:
            seen.append(value)
            await release.wait()

    await app.start()
    await send_all(source, ["a"])
    await until(lambda: seen == ["a"])
    return app, source, seen, release


@virtual
async def test_a_task_that_comes_back_while_it_is_given_up_late_is_started(world: World) -> None:
    app, _, seen, release = await inside_an_event(world)
    manager, assignment = app.engine.manager, app.engine.assignment
    (task_id,) = manager.tasks
    # The main loop was blocked for longer than a revocation has: it is taken away, and comes back.
    manager.disown(frozenset({task_id}))
    late = asyncio.ensure_future(manager.give_up({task_id}))
    await app.clock.sleep(0.1)
    await manager.take_on({task_id}, assignment, 1)
    await late
    await until(lambda: task_id in manager.tasks and manager.tasks[task_id].run.alive)
    release.set()
    await until(lambda: seen == ["a", "a"])
    await app.stop()


@virtual
async def test_a_partition_is_read_that_comes_in_another_task_while_its_old_one_is_given_up_late(
    world: World,
) -> None:
    """Its topic has grown.  The end of the old task ended reading it for the new one, too."""
    app, source, seen, release = await inside_an_event(world)
    manager, before = app.engine.manager, app.engine.assignment
    (old,) = manager.tasks
    new = TaskId("2", 0)
    after = replace(before, tasks=frozenset({new}), topics={"source": "2"})
    manager.disown(frozenset({old}))
    late = asyncio.ensure_future(manager.give_up({old}))
    await app.clock.sleep(0.1)
    await manager.take_on({new}, after, 1)
    await late
    release.set()
    await until(lambda: seen == ["a", "a"])
    await send_all(source, ["b"])
    await until(lambda: seen == ["a", "a", "b"])
    assert list(manager.tasks) == [new]
    await app.stop()


@virtual
async def test_a_task_that_is_given_up_late_is_not_taken_for_one_that_reads_something_else(
    world: World,
) -> None:
    """It was started again, although it was somebody else's (seed 1312)."""
    app, _, seen, release = await inside_an_event(world)
    manager, before = app.engine.manager, app.engine.assignment
    (task_id,) = manager.tasks
    after = replace(before, tasks=frozenset(), partitions=frozenset())
    manager.disown(frozenset({task_id}))
    late = asyncio.ensure_future(manager.give_up({task_id}))
    await app.clock.sleep(0.1)
    await manager.take_on((), after, 1)
    await late
    release.set()
    await app.clock.sleep(5.0)
    assert not manager.tasks
    assert not manager.starting
    assert seen == ["a"]
    await app.stop()
