"""Agents, asking them, and what monitors count: where it went wrong elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import faust
from faust.testing import run_virtual, running


def make_app(**settings: Any) -> faust.App:
    return faust.App("agents", broker="memory://agents", topic_partitions=1, **settings)


async def until(condition: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 30.0
    while not condition():
        assert loop.time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


def test_the_first_question_is_answered_as_fast_as_the_others() -> None:
    """(pitfalls C4)"""
    app = make_app()

    @app.agent(name="double")
    async def double(numbers: Any) -> Any:
        async for number in numbers:
            yield number * 2

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with running(app):
            begin = loop.time()
            assert await double.ask(21) == 42
            assert loop.time() - begin < 0.5

    run_virtual(main())


def test_what_is_sent_to_an_agent_tells_its_callback_where_it_is() -> None:
    """(pitfalls B8, D6)"""
    app = make_app()
    told: list[Any] = []
    seen: list[Any] = []

    @app.agent(name="listener")
    async def listener(values: Any) -> None:
        async for value in values:
            seen.append(value)

    async def main() -> None:
        async with running(app):
            await listener.send("by position", callback=told.append)
            await listener.send(value="by name", callback=told.append)
            await until(lambda: len(told) == 2 and len(seen) == 2)
            assert [each.result().offset for each in told] == [0, 1]
            assert seen == ["by position", "by name"]

    run_virtual(main())


def test_an_agent_under_test_gets_its_values_plain_and_answers_them() -> None:
    """(pitfalls C9)"""
    app = make_app()
    seen: list[Any] = []

    @app.agent(name="upper")
    async def upper(words: Any) -> Any:
        async for word in words:
            seen.append(word)
            yield word.upper()

    async def main() -> None:
        async with upper.test_context() as context:
            event = await context.put("a")
            assert event.value == "a"
            assert context.results == {0: "A"}
        assert seen == ["a"]

    run_virtual(main())


def test_lists_and_events_acknowledged_by_hand_are_not_counted_as_active_for_ever() -> None:
    """(pitfalls C13)"""
    app = make_app()
    lists: list[int] = []

    @app.agent(app.topic("a", internal=True, value_type=int), name="lists")
    async def take(numbers: Any) -> None:
        async for values in numbers.take(3, within=0.1):
            lists.append(len(values))

    @app.agent(app.topic("b", internal=True, value_type=int), name="by hand")
    async def by_hand(numbers: Any) -> None:
        async for event in numbers.noack().events():
            assert await event.ack()

    async def main() -> None:
        async with running(app):
            for name in ("a", "b"):
                for number in range(7):
                    await (await app.topic(name).send(number))
            await until(lambda: sum(lists) == 7)
            await asyncio.sleep(1)
            assert app.monitor.events_total == 14
            assert app.monitor.events_active == 0

    run_virtual(main())


def test_a_key_serializer_of_a_channel_is_taken() -> None:
    """(pitfalls D4)"""
    channel = make_app().channel(key_serializer="json", value_serializer="raw", value_type=bytes)

    async def main() -> None:
        await channel.send(b"v", key=1)
        event = await channel.get(timeout=1)
        assert (event.key, event.value) == (1, b"v")

    run_virtual(main())
