"""Stopping leaves nothing running: with real threads, where the two loops end one after the other.

What still runs on the main loop when the other is closed shows as a traceback after everything is
over ("Task was destroyed", "Event loop is closed"), or as a coroutine that nobody has awaited.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

import faust
from faust.exceptions import ProducerSendError

GUARANTEES = ("at_least_once", "exactly_once")
#: Where a commit may hang, under each.
STEPS = [
    ("at_least_once", ("away", "produce", "commit")),
    ("exactly_once", ("away", "begin", "produce", "txn_offsets", "txn_commit")),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of stopping has a fraction of a second instead of many."""
    monkeypatch.setattr("faust._engine.engine.LAST_COMMIT_PATIENCE", 0.3)
    monkeypatch.setattr("faust._engine.engine.LEAVE_PATIENCE", 0.2)
    monkeypatch.setattr("faust._engine.host.AWAY_PATIENCE", 0.2)
    monkeypatch.setattr("faust._engine.outbox.LATE_PATIENCE", 0.2)


def real(world: World, guarantee: str) -> tuple[faust.App, Any, list[str]]:
    """Make an app with two loops, that counts and forwards."""
    app = world.real_app(
        processing_guarantee=guarantee, broker_rebalance_grace=0.1, broker_request_timeout=20,
        broker_commit_interval=0.05,
    )  # fmt: skip
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)
    sink = app.topic("sink", internal=True, partitions=1, value_type=str)
    counts = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)
    seen: list[str] = []

    @app.agent(topic, name="count")
    async def count(stream: Any) -> None:
        async for value in stream:
            counts[value] += 1
            await sink.send(value=value)
            seen.append(value)

    return app, topic, seen


async def soon(condition: Any) -> None:
    """Wait in real time."""
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.005)


async def stopped(app: faust.App) -> None:
    """Stop; nothing of the app goes on."""
    before = {asyncio.current_task()}
    await app.stop()
    assert [task for task in asyncio.all_tasks() if task not in before] == []


def ends_well(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Run to the end, as a process would: what is left is destroyed, and nobody complains."""
    asyncio.run(flow)
    slips = [
        f"{record.name}: {record.getMessage()}"
        for record in caplog.records
        if record.levelno >= logging.ERROR
        and (record.exc_info or not record.name.startswith("faust."))
    ]
    caplog.clear()  # records hold exceptions, and these what was never awaited
    gc.collect()
    assert slips == []


@pytest.mark.parametrize(("guarantee", "kind"), [(g, kind) for g, kinds in STEPS for kind in kinds])
def test_stopping_while_a_commit_hangs_leaves_nothing_running(
    world: World, hurried: None, caplog: pytest.LogCaptureFixture, guarantee: str, kind: str
) -> None:
    """A commit went on behind its shield when all was over, and went to a loop that was closed."""

    async def flow() -> None:
        app, topic, seen = real(world, guarantee)
        await app.start()
        await topic.send(value="a")
        await soon(lambda: seen and app.engine.committer._sequence)
        if kind == "away":
            world.broker.faults.make_unavailable()
        else:
            world.broker.faults.black_hole(kind)
        topic.send_soon(value="b")
        await asyncio.sleep(0.2)
        await stopped(app)

    ends_well(flow(), caplog)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_stopping_while_tasks_are_given_up_leaves_nothing_running(
    world: World, hurried: None, caplog: pytest.LogCaptureFixture, guarantee: str
) -> None:
    """A round had asked for it; it went on when the round was over, and so did its last commit."""

    async def flow() -> None:
        app, topic, seen = real(world, guarantee)
        await app.start()
        await topic.send(value="a")
        await soon(lambda: seen)
        engine = app.engine
        assert engine is not None
        world.broker.faults.make_unavailable()
        topic.send_soon(value="b")
        revoked = frozenset(engine.tasks)
        engine.bridge.post_io(
            lambda: engine.rebalancer._tasks.append(
                asyncio.ensure_future(engine.rebalancer._revoke(revoked))
            )
        )
        await soon(lambda: not all(task.run.open for task in engine.tasks.values()))
        await stopped(app)

    ends_well(flow(), caplog)


@pytest.mark.parametrize("kind", ["topics", "begin", "join", "committed"])
def test_stopping_while_it_starts_leaves_nothing_running(
    world: World, hurried: None, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    async def flow() -> None:
        app, _, _ = real(world, "exactly_once")
        world.broker.faults.black_hole(kind)
        starting = asyncio.create_task(app.start())
        await asyncio.sleep(0.3)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await stopped(app)

    ends_well(flow(), caplog)


def test_a_message_whose_topic_nobody_knows_yet_is_not_waited_for_for_ever(
    world: World, hurried: None, caplog: pytest.LogCaptureFixture
) -> None:
    """What asked for its topic went on without the app, and who had sent it heard of nothing."""

    async def flow() -> None:
        app, _, _ = real(world, "at_least_once")
        await app.start()
        world.broker.faults.make_unavailable()
        sent = app.topic("elsewhere").send_soon(value="a")
        await asyncio.sleep(0.1)
        await stopped(app)
        with pytest.raises(ProducerSendError):
            await sent

    ends_well(flow(), caplog)
