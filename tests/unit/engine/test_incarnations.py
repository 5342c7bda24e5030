"""What belongs to an older run of a task does not reach the new one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import faust
from faust._core.threads import LoopBridge
from faust._values import TP
from faust.exceptions import PartitionRevoked
from faust.testing import disk
from faust.testing.broker import memory_broker
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import Fetched, TopicSpec
from faust.transport.records import Batch, new_builder


def batch_at(tp: TP, offset: int) -> Batch:
    builder = new_builder(1 << 10)
    builder.append(0, 0, b"k", b'"v"', [])
    data = bytearray(builder.build())
    data[0:8] = offset.to_bytes(8, "big")
    return Batch(tp, bytes(data))


def with_app(tmp_path: Path, check: Any) -> None:
    async def main() -> None:
        clock = VirtualClock.current()
        async with memory_broker(clock=clock) as broker:
            broker.create_topic(TopicSpec("events", 1))
            app = faust.App(
                "incarnations", broker=broker.url, store="memory://", datadir=tmp_path,
                web_enabled=False, broker_commit_interval=0.1,
            )  # fmt: skip
            app.clock, app.make_bridge = clock, LoopBridge
            topic = app.topic("events", key_type=str, value_type=str)
            table = app.Table("seen", key_type=str, value_type=str)
            gate = asyncio.Event()
            outcome: list[BaseException | str] = []

            async def slow(stream: Any) -> None:
                async for value in stream:
                    await gate.wait()
                    try:
                        table[value] = value
                    except PartitionRevoked as exc:
                        outcome.append(exc)
                        raise
                    outcome.append(value)

            app.agent(topic, name="slow")(slow)
            async with app:
                await check(app, topic, gate, outcome, clock)

    run_virtual(main(), 1)


def test_a_write_for_a_task_that_was_lost_is_refused(tmp_path: Path) -> None:
    async def check(app: Any, topic: Any, gate: Any, outcome: list[Any], clock: Any) -> None:
        await topic.send(key="k", value="a")
        await clock.sleep(1.0)
        await app.engine._on_lost("a test")
        gate.set()
        await clock.sleep(1.0)
        assert [type(each) for each in outcome] == [PartitionRevoked]

    with_app(tmp_path, check)


@pytest.mark.parametrize(("stale", "waiting"), [(True, 0), (False, 1)])
def test_what_was_fetched_for_an_older_run_is_dropped(
    tmp_path: Path, stale: bool, waiting: int
) -> None:
    async def check(app: Any, topic: Any, gate: Any, outcome: list[Any], clock: Any) -> None:
        tp = TP("events", 0)
        await topic.send(key="k", value="a")
        await clock.sleep(1.0)
        (cursor,) = app.topics.cursors()
        (feed,) = app.topics.feeds.values()
        incarnation = cursor.task.incarnation - stale
        app.topics.deliver(Fetched([batch_at(tp, 7)], {}, {}, {}, {}), {tp: incarnation})
        assert len(feed.queue) == waiting
        feed.queue.clear()
        gate.set()

    with_app(tmp_path, check)


def test_an_event_that_failed_is_not_handed_out_while_its_task_is_being_given_back(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        clock = VirtualClock.current()
        async with memory_broker(clock=clock) as broker:
            broker.create_topic(TopicSpec("events", 1))
            app = faust.App(
                "giving-back", broker=broker.url, store="memory://", datadir=tmp_path,
                web_enabled=False, agent_error_backoff=1.0,
            )  # fmt: skip
            app.clock, app.make_bridge = clock, LoopBridge
            topic = app.topic("events", key_type=str, value_type=str)
            handled: list[str] = []

            async def failing(stream: Any) -> None:
                async for value in stream:
                    handled.append(value)
                    raise ValueError(value)

            app.agent(topic, name="failing")(failing)
            async with app:
                await topic.send(key="k", value="a")
                await clock.sleep(0.5)
                assert handled == ["a"]
                assert app.engine is not None
                (task,) = app.engine.tasks.values()
                task.run.open = False
                await clock.sleep(5.0)
                assert handled == ["a"]

    run_virtual(main(), 1)


def test_a_task_that_is_lost_during_its_last_commit_does_not_leave_a_closed_store_behind(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        clock = VirtualClock.current()
        async with memory_broker(clock=clock) as broker:
            broker.create_topic(TopicSpec("events", 1))
            app = faust.App(
                "incarnations", broker=broker.url, store="simulated://", datadir=tmp_path,
                web_enabled=False, broker_commit_interval=60.0,
            )  # fmt: skip
            app.clock, app.make_bridge = clock, LoopBridge
            topic = app.topic("events", key_type=str, value_type=str)
            table = app.Table("seen", key_type=str, value_type=str)

            async def seeing(stream: Any) -> None:
                async for value in stream:
                    table[value] = value

            app.agent(topic, name="seeing")(seeing)
            async with app:
                await topic.send(key="k", value="a")
                await clock.sleep(1.0)
                engine: Any = app.engine
                broker.faults.black_hole("commit")
                giving_up = asyncio.ensure_future(engine.manager.give_up(list(engine.tasks)))
                await clock.sleep(1.0)
                await engine._on_lost("a test")
                broker.faults.heal()
                await giving_up
                store = engine.state.stores.open_now(table, 0)
                assert store.get(b"x") is None
                store.close()

    disk.forget_disks(str(tmp_path))
    run_virtual(main(), 1)
