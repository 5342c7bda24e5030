"""Tasks that come back while this worker has not given them up yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

from tests.support.virtual_time import send_all, until, virtual


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@virtual
async def test_a_task_that_comes_back_while_it_is_given_up_late_is_started(world: World) -> None:
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
