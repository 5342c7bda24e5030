"""Agents that share a table which their code does not name: noticed at the first write."""

from __future__ import annotations

import asyncio
from collections import deque
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


def adder(sums: deque[Any], began: list[Any], pause: float) -> Any:
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
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])
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
    holder = deque([app.Table("sums", default=int, partitions=3, key_type=str, value_type=int)])
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
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

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
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

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
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

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
        holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

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


@pytest.mark.parametrize(
    ("slow_left", "slow_right"),
    # The last: the other has left already, and had no gate (simulation: learning, seed 1000593).
    [(5.0, 6.0), (7.0, 6.0), (5.0, 0.0)],
)
def test_agents_inside_events_elsewhere_when_it_is_learned_lose_no_update_there(
    world: World, slow_left: float, slow_right: float
) -> None:
    @virtual
    async def check() -> None:
        app, began = world.app(), list[int]()
        left, right = topics(app, 2)
        holder = deque([app.Table("sums", default=int, partitions=2, key_type=str, value_type=int)])

        async def slow(values: Any) -> None:
            async for value in values:
                began.append(value)
                before = holder[0].get("all", 0)
                await asyncio.sleep(pauses.pop(value, 0.0))
                holder[0]["all"] = before + value

        # Both have read in partition 1, and not written; then partition 0 shows that they share.
        pauses = {1: slow_left, 100: slow_right}
        app.agent(left, name="left", isolated_partitions=True)(slow)
        app.agent(right, name="right", isolated_partitions=True)(slow)
        async with app:
            await send_all(left, [1], partition=1)
            await send_all(right, [100], partition=1)
            await until(lambda: began == [1, 100])
            await send_all(left, [2], partition=0)
            await until(lambda: app.committed_position(TP("left", 0)) == 1)
            await send_all(right, [200], partition=0)
            await until(
                lambda: (
                    [app.committed_position(TP(t, p)) for t in ("left", "right") for p in range(2)]
                    == [1] * 4
                )
            )
            found = sorted(dict(piece.items())["all"] for piece in holder[0].slices.values())
            assert found == [101, 202]

    check()


@virtual
async def test_a_table_is_shared_with_a_third_agent_by_one_that_has_a_gate_already(
    world: World,
) -> None:
    app = world.app()
    left, right = topics(app)
    third = app.topic("third", internal=True, partitions=1, value_type=int)
    named = app.Table("named", default=int, partitions=1, key_type=str, value_type=int)
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

    @app.agent(left, name="left")
    async def both(values: Any) -> None:
        async for value in values:
            named["all"] += value
            before = holder[0].get("all", 0)
            await asyncio.sleep(0.003)
            holder[0]["all"] = before + value

    @app.agent(right, name="right")
    async def known(values: Any) -> None:
        async for value in values:
            before = named["all"]
            await asyncio.sleep(0.002)
            named["all"] = before + value

    app.agent(third, name="third")(adder(holder, [], 0.005))
    async with app:
        await send_all(third, [10_000])
        await until(lambda: app.committed_position(TP("third", 0)) == 1)
        for n in range(10):
            await send_all(left, [1])
            await send_all(right, [100])
            await send_all(third, [10_000] if n else [])
        await until(
            lambda: (
                [app.committed_position(TP(t, 0)) for t in ("left", "right", "third")] == [10] * 3
            )
        )
        assert (named["all"], holder[0]["all"]) == (1010, 100_010)


@virtual
async def test_who_is_inside_when_its_gate_is_made_for_others_too_is_waited_for(
    world: World,
) -> None:
    app, began = world.app(), list[str]()
    left, right = topics(app)
    named = app.Table("named", default=int, partitions=1, key_type=str, value_type=int)
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])
    pauses = {"left": 0.0, "right": 0.0, "third": 0.0, "fourth": 0.0}

    async def wait(who: str) -> None:
        began.append(who)
        await asyncio.sleep(pauses[who])

    @app.agent(left, name="left")
    async def one(values: Any) -> None:
        async for value in values:
            named["all"] += value
            await wait("left")

    @app.agent(right, name="right")
    async def two(values: Any) -> None:
        async for value in values:
            named["all"] += value
            await wait("right")

    def writer(name: str) -> Any:
        async def write(values: Any) -> None:
            async for value in values:
                before = holder[0].get("all", 0)
                await wait(name)
                holder[0]["all"] = before + value

        return write

    sources = [app.topic(n, internal=True, partitions=1, value_type=int) for n in ("t3", "t4")]
    app.agent(sources[0], name="third")(writer("third"))
    app.agent(sources[1], name="fourth")(writer("fourth"))
    async with app:
        await send_all(sources[0], [1])
        await until(lambda: app.committed_position(TP("t3", 0)) == 1)
        pauses |= {"right": 0.3, "third": 2.0}
        await send_all(sources[0], [1])
        await until(lambda: began == ["third", "third"])
        await send_all(right, [1])
        await until(lambda: began[-1] == "right")
        await send_all(sources[1], [100])
        await until(lambda: app.committed_position(TP("t3", 0)) == 2)
        await until(lambda: app.committed_position(TP("t4", 0)) == 1)
        assert holder[0]["all"] == 102


@virtual
async def test_who_has_read_before_its_gate_was_for_others_too_is_refused_though_alone_by_now(
    world: World,
) -> None:
    app = world.app()
    left, right = topics(app)
    third = app.topic("third", internal=True, partitions=1, value_type=int)
    named = app.Table("named", default=int, partitions=1, key_type=str, value_type=int)
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

    async def add(value: int, before_it: float, behind_it: float) -> None:
        before = holder[0].get("all", 0)
        await asyncio.sleep(before_it)
        holder[0]["all"] = before + value
        await asyncio.sleep(behind_it)

    @app.agent(left, name="left")
    async def reads_long(values: Any) -> None:
        async for value in values:
            named["all"] += value
            await add(value, 3.0, 0.0)

    @app.agent(right, name="right")
    async def writes_soon(values: Any) -> None:
        async for value in values:
            await add(value, 1.0, 1.0)

    @app.agent(third, name="third")
    async def finds_out(values: Any) -> None:
        async for value in values:
            await add(value, 0.0, 0.0)

    @app.agent(app.topic("fourth", internal=True, partitions=1, value_type=int), name="fourth")
    async def gives_left_a_gate(values: Any) -> None:
        async for value in values:
            named["all"] += value

    async with app:
        await send_all(right, [100])
        await asyncio.sleep(0.5)
        await send_all(left, [1])
        await asyncio.sleep(1.0)
        await send_all(third, [10])
        parts = [TP(name, 0) for name in ("left", "right", "third")]
        await until(lambda: [app.committed_position(tp) for tp in parts] == [1] * 3)
        assert holder[0]["all"] == 111


@virtual
async def test_an_event_that_waits_for_more_of_its_list_holds_no_gate(world: World) -> None:
    app = world.app()
    left, right = topics(app)
    holder = deque([app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)])

    async def look_up(value: int) -> int:
        await asyncio.sleep(1.0)
        return value

    @app.agent(left, name="left")
    async def pairs(values: Any) -> None:
        values.add_processor(look_up)
        async for many in values.take(2, within=None):
            holder[0]["all"] = holder[0].get("all", 0) + sum(many)

    app.agent(right, name="right")(adder(holder, [], 0.0))
    async with app:
        await send_all(left, [1, 2])
        await until(lambda: app.committed_position(LEFT) == 2)
        await send_all(left, [3])
        await asyncio.sleep(0.5)
        await send_all(right, [100])  # finds out while the third value is being looked up
        await until(lambda: app.committed_position(RIGHT) == 1)
        await send_all(left, [4])
        await until(lambda: app.committed_position(LEFT) == 4)
        assert holder[0]["all"] == 110
