"""Agents: sinks, life, options, subclasses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vocabulary_world import World, send_all, until, virtual

import faust
from faust.exceptions import ImproperlyConfigured


@virtual
async def test_every_kind_of_sink_gets_each_value_once_and_in_order(world: World) -> None:
    """(behaviours 5)"""
    app, seen, read = world.app(), [], []
    local = app.channel()

    def plain(value: Any) -> None:
        seen.append(("plain", value))

    async def slow(value: Any) -> None:
        seen.append(("slow", value))

    @app.agent()
    async def next_one(values: Any) -> None:
        async for value in values:
            read.append(("agent", value))

    @app.agent(local)
    async def listens(values: Any) -> None:
        async for value in values:
            read.append(("channel", value))

    @app.agent("named")
    async def named(values: Any) -> None:
        async for value in values:
            read.append(("named", value))

    @app.agent(sink=[plain, slow, next_one, local, "named", plain])
    async def process(values: Any) -> Any:
        async for value in values:
            yield value

    process.add_sink(slow)
    process.add_sink("named")
    async with app:
        await process.send(1)
        await until(lambda: len(read) == 3)
    assert seen == [("plain", 1), ("slow", 1)]
    assert sorted(read) == [("agent", 1), ("channel", 1), ("named", 1)]


def test_a_sink_of_the_wrong_kind_or_of_an_agent_that_does_not_yield_is_refused() -> None:
    app = faust.App("shop", broker="memory://never")

    @app.agent()
    async def yields(values: Any) -> Any:
        async for value in values:
            yield value

    @app.agent()
    async def does_not(values: Any) -> None: ...

    with pytest.raises(TypeError, match="a sink is a topic"):
        yields.add_sink(3)
    with pytest.raises(ImproperlyConfigured, match="must yield to use sinks"):
        does_not.add_sink(print)


@virtual
async def test_an_exception_is_told_to_on_error(world: World) -> None:
    """(pitfalls C6)"""
    app, told = world.app(agent_error_policy="skip"), []

    async def tell(agent: Any, exc: BaseException) -> None:
        told.append((agent.name, repr(exc)))

    @app.agent(name="breaks", on_error=tell)
    async def breaks(values: Any) -> None:
        async for value in values:
            raise ValueError(value)

    async with app:
        await breaks.send(1)
        await until(lambda: told)
    assert told == [("breaks", "ValueError(1)")]


@virtual
async def test_a_subclass_is_asked_what_it_overrides(world: World) -> None:
    called = []

    class Mine(faust.Agent):
        async def on_start(self) -> None:
            called.append("start")
            await super().on_start()

        async def on_stop(self) -> None:
            called.append("stop")
            await super().on_stop()

        def stream(self, *args: Any, **options: Any) -> Any:
            called.append("stream")
            return super().stream(*args, **options)

        async def send(self, *args: Any, **options: Any) -> Any:
            called.append("send")
            return await super().send(*args, **options)

    app = world.app(Agent=Mine)

    @app.agent()
    async def double(values: Any) -> Any:
        async for value in values:
            yield 2 * value

    async with app:
        assert await double.ask(2) == 4
    assert called == ["start", "stream", "send", "stop"]


@virtual
async def test_an_agent_is_told_about_by_info_and_cloned_with_its_types(world: World) -> None:
    """(pitfalls B15)"""
    app = world.app()

    @app.agent(value_type=int, name="one", use_reply_headers=False)
    async def one(values: Any) -> Any:
        """Help."""
        async for value in values:
            yield value

    info = one.info()
    assert (info["name"], info["help"], info["use_reply_headers"]) == ("one", "Help.", False)
    twin = one.clone(name="two", concurrency=3)
    assert (twin.name, twin.concurrency, twin.use_reply_headers) == ("two", 3, False)
    assert twin.channel.value_type is int


@virtual
async def test_the_context_of_a_test_answers_who_asked(world: World) -> None:
    """(pitfalls C9)"""
    app = world.app()

    @app.agent()
    async def double(values: Any) -> Any:
        async for value in values:
            yield 2 * value

    async with double.test_context() as agent:
        event = await agent.put(3, reply_to="answers", correlation_id="x")
        assert event.value == 3
        assert agent.results == {0: 6}
        assert await double.ask(4, timeout=5) == 8


@virtual
async def test_instances_that_share_events_may_not_write_tables(world: World) -> None:
    """(pitfalls C7)"""
    app = world.app(agent_error_policy="skip")
    table = app.Table("t", default=int)
    errors: list[str] = []

    @app.agent(concurrency=2, on_error=lambda agent, exc: errors.append(str(exc)))
    async def count(values: Any) -> None:
        async for value in values:
            table[value] += 1

    async with app:
        await send_all(count.channel, ["a"])
        await until(lambda: errors)
    assert "concurrency" in errors[0]


@virtual
async def test_an_agent_that_was_restarted_goes_on_and_loses_nothing(world: World) -> None:
    app, begun, seen = world.app(topic_partitions=1), [], []

    @app.agent()
    async def process(values: Any) -> None:
        async for value in values:
            begun.append(value)
            await asyncio.sleep(5)
            seen.append(value)

    async with app:
        await send_all(process.channel, [1, 2, 3])
        await until(lambda: begun == [1, 2])
        await process.restart()
        assert process.started
        await until(lambda: len(seen) == 3)
        await until(lambda: sum(world.committed().values()) == 3)
        await process.restart()
        await send_all(process.channel, [4])
        await until(lambda: len(seen) == 4)
        assert app.failure is None
    assert (begun, seen) == ([1, 2, 2, 3, 4], [1, 2, 3, 4])


@virtual
async def test_an_agent_that_was_cancelled_handles_no_more_and_the_worker_stops_well(
    world: World,
) -> None:
    app, seen = world.app(topic_partitions=1), []

    @app.agent()
    async def process(values: Any) -> None:
        async for value in values:
            seen.append(value)

    async with app:
        await send_all(process.channel, [1])
        await until(lambda: seen == [1])
        process.cancel()
        await send_all(process.channel, [2])
        await until(lambda: all(actor.ended for actor in process.actors))
        assert app.failure is None
    assert seen == [1]
