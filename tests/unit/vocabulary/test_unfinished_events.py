"""Events that end at odd moments: filters that raise, acks by hand, batches that break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from vocabulary_world import World, virtual

import faust

Build = Callable[[], tuple[faust.App, Any, Any]]


async def live_and_after_a_restart(build: Build, values: list[int]) -> tuple[Any, Any]:
    """Run an app over values, then again over nothing; return its table both times."""
    app, topic, table = build()
    async with app:
        for value in values:
            await topic.send(value=value)
        await asyncio.sleep(3)
        live = dict(table.items())
    app, _, table = build()
    async with app:
        await asyncio.sleep(3)
        return live, dict(table.items())


def counting(world: World) -> tuple[faust.App, Any, Any]:
    app = world.app(topic_partitions=1)
    topic = app.topic("in", value_type=int, partitions=1)
    return app, topic, app.Table("t", default=int, partitions=1)


@virtual
async def test_a_list_whose_filter_raised_lost_an_event_and_counted_the_rest_twice(
    world: World,
) -> None:
    failures = [1]

    def build() -> tuple[faust.App, Any, Any]:
        app, topic, table = counting(world)

        def flaky(value: int) -> bool:
            if value == 3 and failures:
                failures.clear()
                raise RuntimeError("flaky")
            return True

        @app.agent(topic, name="a")
        async def a(stream: Any) -> None:
            async for values in stream.filter(flaky).take(2, within=0.1):
                for value in values:
                    table["sum"] += value

        return app, topic, table

    found = await live_and_after_a_restart(build, list(range(1, 9)))
    assert found == ({"sum": 36}, {"sum": 36})


@virtual
async def test_writes_of_lists_that_were_never_acknowledged_counted_twice(world: World) -> None:
    def build() -> tuple[faust.App, Any, Any]:
        app, topic, table = counting(world)

        @app.agent(topic, name="a")
        async def a(stream: Any) -> None:
            async for values in stream.noack().take(2, within=0.1):
                for value in values:
                    table["sum"] += value

        return app, topic, table

    assert await live_and_after_a_restart(build, [1, 2, 3, 4]) == ({"sum": 10}, {"sum": 10})


@virtual
async def test_what_an_event_wrote_before_its_early_ack_was_lost(world: World) -> None:
    def build() -> tuple[faust.App, Any, Any]:
        app, topic, table = counting(world)

        @app.agent(topic, name="a")
        async def a(stream: Any) -> None:
            events = []
            async for event in stream.noack().events():
                events.append(event)
                if event.value == 2:
                    table["before"] += 1
                    event.ack()
                    table["after"] += 1
                if event.value == 3:
                    for each in events:
                        each.ack()

        return app, topic, table

    both = {"before": 1, "after": 1}
    assert await live_and_after_a_restart(build, [1, 2, 3]) == (both, both)


@virtual
async def test_an_event_that_was_acknowledged_and_then_raised_was_handed_out_again(
    world: World,
) -> None:
    app, topic, table = counting(world)
    failures = [1]

    @app.agent(topic, name="a")
    async def a(stream: Any) -> None:
        async for event in stream.noack().events():
            async with event:
                table["sum"] += event.value
            if event.value == 1 and failures:
                failures.clear()
                raise RuntimeError("after its ack")

    async with app:
        for value in range(1, 9):
            await topic.send(value=value)
        await asyncio.sleep(5)
        assert table["sum"] == 36


@virtual
async def test_a_batch_that_broke_while_it_was_read_was_committed_whole(world: World) -> None:
    app, topic, _ = counting(world)
    got: list[int] = []
    failures = [1]

    class Breaking:
        def __init__(self, batch: Any) -> None:
            self._batch = batch

        def __getattr__(self, name: str) -> Any:
            return getattr(self._batch, name)

        def records(self) -> Any:
            for number, record in enumerate(self._batch.records()):
                if number == 2 and failures:
                    failures.clear()
                    raise ValueError("this record is damaged")
                yield record

    @app.agent(topic, name="a")
    async def a(stream: Any) -> None:
        async for value in stream:
            got.append(value)

    async with app:
        feed = next(iter(app.topics.feeds.values()))
        feed_type = type(feed)
        original = feed_type.push

        def push(self: Any, cursor: Any, batch: Any) -> None:
            original(self, cursor, Breaking(batch))

        feed_type.push = push  # type: ignore[method-assign]  # put back below
        try:
            for value in range(6):
                topic.send_soon(value=value)
            await asyncio.sleep(5)
        finally:
            feed_type.push = original  # type: ignore[method-assign]  # as it was
        assert got == [0, 1, 2, 3, 4, 5]


@virtual
async def test_a_key_that_cannot_be_decoded_is_left_out_under_skip(world: World) -> None:
    app = world.app(topic_partitions=1, decode_error_policy="skip")
    topic = app.topic("in", key_type=int, value_type=int, partitions=1)
    raw = app.topic("in", partitions=1)
    got: list[Any] = []

    @app.agent(topic, name="a")
    async def a(stream: Any) -> None:
        async for key, value in stream.items():
            got.append((key, value))

    async with app:
        await topic.send(key=1, value=1)
        await raw.send(key=b"no number", value=b"2")
        await topic.send(key=3, value=3)
        await asyncio.sleep(3)
    assert got == [(1, 1), (3, 3)]


@virtual
async def test_a_test_context_gives_tables_their_partitions_back(world: World) -> None:
    app, topic, table = counting(world)
    table.partitions = None

    @app.agent(topic, name="a")
    async def a(stream: Any) -> None:
        async for value in stream:
            table["sum"] += value

    async with a.test_context() as agent:
        await agent.put(3)
        assert table["sum"] == 3
    assert table.partitions is None


@virtual
async def test_events_before_one_that_raised_were_not_counted_by_the_monitor(
    world: World,
) -> None:
    app, topic, table = counting(world)
    failures = [1]

    @app.agent(topic, name="a")
    async def a(stream: Any) -> None:
        async for value in stream:
            if value == 3 and failures:
                failures.clear()
                raise RuntimeError("once")
            table["sum"] += value

    async with app:
        for value in range(6):
            topic.send_soon(value=value)
        await asyncio.sleep(5)
        assert table["sum"] == 15
        assert app.monitor.events_by_stream["a"] == 6
