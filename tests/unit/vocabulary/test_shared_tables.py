"""Agents that share a table which their code does not name: noticed at the first write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.exceptions import AgentFailed
from faust.types import TP

LEFT, RIGHT = TP("left", 0), TP("right", 0)


def topics(app: faust.App, partitions: int = 1) -> tuple[Any, Any]:
    left = app.topic("left", internal=True, partitions=partitions, value_type=int)
    right = app.topic("right", internal=True, partitions=partitions, value_type=int)
    return left, right


def adder(sums: list[Any], began: list[Any], pause: float) -> Any:
    """An agent's function whose table no look at its code can find."""

    async def add(values: Any) -> None:
        async for value in values:
            began.append(value)
            table = sums[0]
            before = table.get("all", 0)
            await asyncio.sleep(pause)
            table["all"] = before + value

    return add


@virtual
async def test_two_agents_with_one_table_by_argument_lose_no_update(world: World) -> None:
    app, began = world.app(), list[int]()
    left, right = topics(app)
    holder = [app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)]
    app.agent(left, name="left")(adder(holder, began, 0.003))
    app.agent(right, name="right")(adder(holder, began, 0.005))
    async with app:
        for _ in range(10):
            await send_all(left, [1])
            await send_all(right, [100])
        await until(lambda: app.committed_position(LEFT) == app.committed_position(RIGHT) == 10)
        assert holder[0]["all"] == 10 * 1 + 10 * 100
    assert len(began) == 21  # one event found out, and was handed out again


@virtual
async def test_what_was_learned_in_one_partition_holds_for_all(world: World) -> None:
    app, began = world.app(), list[int]()
    left, right = topics(app, 3)
    holder = [app.Table("sums", default=int, partitions=3, key_type=str, value_type=int)]
    app.agent(left, name="left")(adder(holder, began, 0.003))
    app.agent(right, name="right")(adder(holder, began, 0.005))
    async with app:
        for n in range(12):
            await send_all(left, [1], partition=n % 3)
            await send_all(right, [100], partition=n % 3)
        await until(
            lambda: (
                [app.committed_position(TP(t, p)) for t in ("left", "right") for p in range(3)]
                == [4] * 6
            )
        )
        found = [dict(piece.items())["all"] for piece in holder[0].slices.values()]
        assert found == [404] * 3
        assert app.engine is not None
        gates = {task.run.gate is not None for task in app.engine.tasks.values()}
        assert gates == {True}


@virtual
async def test_the_event_that_finds_out_is_handed_out_again_even_if_its_agent_swallows_errors(
    world: World,
) -> None:
    app, swallowed = world.app(), []
    left, right = topics(app)
    holder = [app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)]

    @app.agent(left, name="left")
    async def first(values: Any) -> None:
        async for value in values:
            holder[0]["all"] = holder[0].get("all", 0) + value

    @app.agent(right, name="right")
    async def second(values: Any) -> None:
        async for value in values:
            try:
                holder[0]["all"] = holder[0].get("all", 0) + value
            except Exception as exc:
                swallowed.append(type(exc).__name__)

    async with app:
        await send_all(left, [1])
        await until(lambda: app.committed_position(LEFT) == 1)
        await send_all(right, [100])
        await until(lambda: app.committed_position(RIGHT) == 1)
        assert holder[0]["all"] == 101
    assert swallowed == ["SharedTable"]


@virtual
async def test_lists_of_events_are_handed_out_again_too(world: World) -> None:
    app, lists = world.app(), []
    left, right = topics(app)
    holder = [app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)]

    @app.agent(left, name="left")
    async def first(values: Any) -> None:
        async for value in values:
            holder[0]["all"] = holder[0].get("all", 0) + value

    @app.agent(right, name="right")
    async def second(values: Any) -> None:
        async for many in values.take(2, within=0.1):
            lists.append(many)
            holder[0]["all"] = holder[0].get("all", 0) + sum(many)

    async with app:
        await send_all(left, [1])
        await until(lambda: app.committed_position(LEFT) == 1)
        await send_all(right, [100, 200])
        await until(lambda: app.committed_position(RIGHT) == 2)
        assert holder[0]["all"] == 301
    assert lists == [[100, 200], [100, 200]]


@virtual
async def test_an_agent_that_waits_for_the_one_that_must_wait_for_it_is_told(world: World) -> None:
    app, told = world.app(agent_error_policy="skip"), []
    left, right = topics(app)
    holder = [app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)]

    @app.agent(right, name="right")
    async def answers(values: Any) -> Any:
        async for value in values:
            holder[0]["all"] = holder[0].get("all", 0) + value
            yield value

    @app.agent(left, name="left")
    async def asks(values: Any) -> None:
        async for value in values:
            holder[0]["all"] = holder[0].get("all", 0) + value
            try:
                await app.agents["right"].ask(100)
            except RuntimeError as exc:
                told.append(str(exc))

    async with app:
        await send_all(left, [1])
        await until(lambda: app.committed_position(LEFT) == app.committed_position(RIGHT) == 1)
        assert holder[0]["all"] == 101
    assert "'left' asks agent 'right', and both write one table" in told[0]


@pytest.mark.parametrize("first", ["left", "right"])
def test_a_stream_that_acknowledges_by_hand_shares_no_table(world: World, first: str) -> None:
    @virtual
    async def check() -> None:
        app = world.app(agent_error_retries=0)
        left, right = topics(app)
        holder = [app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)]

        @app.agent(left, name="left")
        async def by_hand(values: Any) -> None:
            async for event in values.noack().events():
                holder[0]["all"] = event.value

        @app.agent(right, name="right")
        async def other(values: Any) -> None:
            async for value in values:
                holder[0]["all"] = holder[0].get("all", 0) + value

        await app.start()
        for topic in (left, right) if first == "left" else (right, left):
            await send_all(topic, [1])
            await asyncio.sleep(0.5)
        failure = await fails(app)
        assert isinstance(failure, AgentFailed)
        assert (
            "agent 'left' acknowledges events by hand (noack) and writes table 'sums', which is "
            "also used by agent 'right'"
        ) in str(failure)
        await app.stop()

    check()


@virtual
async def test_a_stream_that_acknowledges_by_hand_writes_no_table_that_another_agent_reads(
    world: World,
) -> None:
    app = world.app(agent_error_retries=0)
    left, right = topics(app)
    sums = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)

    @app.agent(left, name="left")
    async def by_hand(values: Any) -> None:
        async for event in values.noack().events():
            sums["all"] = event.value

    @app.agent(right, name="right")
    async def reads(values: Any) -> None:
        async for _ in values:
            sums.get("all")

    await app.start()
    await send_all(left, [1])
    assert "also used by agent 'right'" in str(await fails(app))
    await app.stop()


@virtual
async def test_a_stream_that_acknowledges_by_hand_may_have_a_table_for_itself(world: World) -> None:
    app, events = world.app(), []
    left, _ = topics(app)
    sums = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)

    @app.agent(left, name="left")
    async def by_hand(values: Any) -> None:
        async for event in values.noack().events():
            sums["all"] += event.value
            events.append(event)

    async with app:
        await send_all(left, [1, 2])
        await until(lambda: len(events) == 2)
        for event in events:
            event.ack()
        await until(lambda: app.committed_position(LEFT) == 2)
        assert sums.committed["all"] == 3
