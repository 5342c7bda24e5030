"""Streams that no agent owns: a task, a page or a script reads them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from vocabulary_world import World, send_all, until, virtual

import faust
from faust.exceptions import PartitionsMismatch
from faust.types import TP


def reading_one(world: World, seen: list[int], then: float = 0.0) -> tuple[faust.App, Any]:
    """An app without agents whose task leaves its loop at the first value."""
    app = world.app(topic_partitions=1)
    topic = app.topic("numbers", value_type=int, internal=True)

    @app.task
    async def read() -> None:
        async for value in topic.stream():
            seen.append(value)
            break
        await asyncio.sleep(then)

    return app, topic


@virtual
async def test_a_task_of_an_app_without_agents_waited_for_ever_for_its_topic(world: World) -> None:
    """Nothing was read where the first stream was made after the app had found none."""
    seen: list[int] = []
    app = world.app(topic_partitions=1)
    numbers = app.topic("numbers", value_type=int, internal=True)

    @app.task
    async def read() -> None:
        async for value in numbers.stream():
            seen.append(value)

    for round_ in (1, 2):  # the second time, it goes on after what is committed
        async with app:
            await send_all(numbers, [round_])
            await until(lambda expected=round_: len(seen) == expected)
            assert app.consumer_generation_id > 0
    assert seen == [1, 2]


@virtual
async def test_a_late_stream_that_cannot_be_read_did_not_end_the_app(world: World) -> None:
    """What is found out at a late start is as final as at the start."""
    app = world.app(topic_partitions=1)
    world.create("numbers", partitions=3)

    @app.task
    async def read() -> None:
        async for _ in app.topic("numbers", partitions=2, internal=True).stream():
            pass

    async with app:
        await asyncio.wait_for(app.failed.wait(), 60.0)
        failure = app.failure
    assert isinstance(failure, PartitionsMismatch)
    assert "numbers" in str(failure)


@pytest.mark.parametrize("then", [0.0, 1000.0])
@virtual
async def test_a_loop_that_was_left_by_break_held_up_the_stop(
    world: World, caplog: pytest.LogCaptureFixture, then: float
) -> None:
    """The app waited ``broker_rebalance_grace`` for somebody who would not come back."""
    seen: list[int] = []
    app, topic = reading_one(world, seen, then)
    with caplog.at_level(logging.WARNING):
        async with app:
            await send_all(topic, [1, 2])
            await until(lambda: seen)
            await asyncio.sleep(1.0)
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < app.conf.broker_rebalance_grace / 2
    assert not [r for r in caplog.records if "has not finished" in r.getMessage()]


@virtual
async def test_a_loop_that_is_in_the_middle_of_an_event_is_waited_for(world: World) -> None:
    seen: list[str] = []
    app = world.app(topic_partitions=1)
    topic = app.topic("numbers", value_type=int, internal=True)

    async def read() -> None:
        async for _ in topic.stream():
            seen.append("begun")
            await asyncio.sleep(2.0)
            seen.append("ended")

    async with app:
        reading = asyncio.ensure_future(read())
        await send_all(topic, [1])
        await until(lambda: seen)
    assert seen == ["begun", "ended"]
    await reading


@virtual
async def test_a_stream_that_is_read_again_goes_on_after_the_break(world: World) -> None:
    seen: list[int] = []
    app = world.app(topic_partitions=1)
    topic = app.topic("numbers", value_type=int, internal=True)

    @app.task
    async def read() -> None:
        stream = topic.stream()
        async for value in stream:
            seen.append(value)
            break
        async for value in stream:
            seen.append(value)

    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: len(seen) == 3)
        before = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - before < app.conf.broker_rebalance_grace / 2
    assert seen == [1, 2, 3]


@virtual
async def test_another_stream_of_the_same_topic_goes_on_where_one_was_left_with_break(
    world: World,
) -> None:
    """What was left of the first one's batch came after a restart only."""
    app, seen = world.app(), []
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)

    @app.task
    async def read() -> None:
        async for value in topic.stream():
            seen.append(("first", value))
            if value == 2:
                break
        async for value in topic.stream():
            seen.append(("then", value))

    async with app:
        await until(lambda: app.engine is not None)
        for sent in [await topic.send(value=n) for n in range(1, 6)]:
            await sent
        await until(lambda: len(seen) == 5)
        await app.clock.sleep(1)
        assert app.committed_position(TP("numbers", 0)) == 5
    assert seen == [("first", 1), ("first", 2), ("then", 3), ("then", 4), ("then", 5)]


@virtual
async def test_a_task_whose_event_was_given_to_another_worker_did_not_end_the_worker(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """(simulation: widening, seed 1000399)"""
    seen: list[int] = []
    app = world.app(topic_partitions=1, broker_heartbeat_interval=1.0)
    topic = app.topic("numbers", value_type=int, internal=True)
    world.create("out", 1)
    out = app.topic("out", value_type=int)

    @app.task
    async def pass_on() -> None:
        async for value in topic.stream():
            seen.append(value)
            if seen == [1]:
                await asyncio.sleep(20.0)  # longer than it takes to be thrown out, and to be back
            await out.send(value=value)

    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: seen)
        groups = world.broker.groups
        groups.group("shop").leave(app.engine.membership.member_id, now=world.broker.now())
        groups.notify("shop")
        await until(lambda: len(world.records("out")) == 3)
        assert not app.failed.is_set()
    assert seen == [1, 1, 2, 3]
    assert "pass_on begins anew" in caplog.text


@pytest.mark.parametrize("what", ["timer", "crontab"])
@virtual
async def test_a_timer_whose_event_was_given_to_another_worker_did_not_end_the_worker(
    world: World, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """A task began anew, and a timer that reads a stream ended the app."""
    seen: list[int] = []
    app = world.app(topic_partitions=1, broker_heartbeat_interval=1.0)
    topic = app.topic("numbers", value_type=int, internal=True)
    world.create("out", 1)
    out = app.topic("out", value_type=int)

    @(app.timer(30.0) if what == "timer" else app.crontab("* * * * *"))
    async def pass_on() -> None:
        async for value in topic.stream():
            seen.append(value)
            if seen == [1]:
                await asyncio.sleep(20.0)  # longer than it takes to be thrown out, and to be back
            await out.send(value=value)
            if value == 3:
                return

    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: seen)
        groups = world.broker.groups
        groups.group("shop").leave(app.engine.membership.member_id, now=world.broker.now())
        groups.notify("shop")
        await until(lambda: len(world.records("out")) == 3)
        assert not app.failed.is_set()
    assert seen == [1, 1, 2, 3]
    (said,) = [r.getMessage() for r in caplog.records if r.name == "faust._engine.timers"]
    assert "pass_on has broken this turn off, and goes on with the next: " in said
