"""Lists of `take`: never mixed, handed out in time, and given again whole.

"In time" is meant in virtual seconds: a list is handed out when it is full, or when its first event
has waited for so long, whatever else is going on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from vocabulary_world import World, send_all, until, virtual

import faust
from faust.types import TP


def topic_of(app: faust.App, partitions: int = 2) -> Any:
    return app.topic("numbers", internal=True, partitions=partitions, value_type=int)


@virtual
async def test_a_list_is_handed_out_in_time_although_another_partition_has_enough(
    world: World,
) -> None:
    """It was looked at only when nothing else was there to be taken."""
    app = world.app()
    topic = topic_of(app)
    table = app.Table("sums", default=int, partitions=2, key_type=str, value_type=int)
    waited: list[float] = []
    sent_at: list[float] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for values in stream.take(4, within=1.0):
            table["all"] += len(values)
            if -1 in values:
                waited.append(app.clock.monotonic() - sent_at[0])
            await app.clock.sleep(0.02)

    async with app:
        await send_all(topic, [-1], partition=1)
        sent_at.append(app.clock.monotonic())
        await send_all(topic, range(2000), partition=0)
        await until(lambda: waited)
        assert 1.0 <= waited[0] < 1.05


@virtual
async def test_a_list_is_handed_out_in_time_although_no_more_events_may_be_taken(
    world: World,
) -> None:
    """With as many not acknowledged as may be held, what waited was not looked at any more."""
    app = world.app(stream_buffer_maxsize=4)
    topic = topic_of(app, partitions=1)
    lists: list[tuple[float, list[int]]] = []
    held: list[Any] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for events in stream.noack_take(4, within=1.0):
            lists.append((app.clock.monotonic(), [event.value for event in events]))
            held.extend(events)

    async with app:
        await send_all(topic, range(3))
        await until(lambda: lists)
        began = app.clock.monotonic()
        await send_all(topic, [3, 4])
        await until(lambda: len(lists) == 2)
        assert lists[1][1] == [3]
        assert 1.0 <= lists[1][0] - began < 1.05
        for event in held[:2]:
            event.ack()
        await until(lambda: len(lists) == 3)
        assert lists[2][1] == [4]


@virtual
async def test_who_holds_all_that_may_be_held_hears_of_the_end(world: World) -> None:
    """It waited for an acknowledgement for ever."""
    app = world.app(stream_buffer_maxsize=2)
    topic = topic_of(app, partitions=1)
    async with app:
        stream = topic.stream().noack()
        seen: list[int] = []

        async def read() -> None:
            async for value in stream:
                seen.append(value)

        reading = asyncio.ensure_future(read())
        await app.clock.sleep(1)
        await send_all(topic, range(5))
        await until(lambda: len(seen) == 2)
        await stream.stop()
        await asyncio.wait_for(reading, 5)


@virtual
async def test_lists_of_an_agent_that_writes_tables_hold_events_of_one_partition(
    world: World,
) -> None:
    app = world.app()
    topic = topic_of(app)
    table = app.Table("sums", default=int, partitions=2, key_type=int, value_type=int)
    partitions: list[set[int]] = []
    seen: Counter[int] = Counter()

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for events in stream.take_events(7, within=0.5):
            partitions.append({event.message.partition for event in events})
            for event in events:
                table[event.message.partition] += 1
                seen[event.value] += 1

    async with app:
        for n in range(100):
            await topic.send(value=n, partition=n % 2)
        await until(lambda: len(seen) == 100)
        assert all(len(each) == 1 for each in partitions)
        assert set(seen.values()) == {1}
        await app.clock.sleep(1)
    assert world.committed() == {TP("numbers", 0): 50, TP("numbers", 1): 50}


@virtual
async def test_what_a_filter_leaves_out_is_in_no_list_and_counts_as_handled(world: World) -> None:
    app = world.app()
    topic = topic_of(app, partitions=1)
    lists: list[list[int]] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for values in stream.filter(lambda n: n % 3 == 0).take(5, within=1.0):
            lists.append(values)

    async with app:
        await send_all(topic, range(40))
        await until(lambda: sum(map(len, lists)) == 14)
        await app.clock.sleep(1)
    assert [n for each in lists for n in each] == list(range(0, 40, 3))
    assert all(len(each) == 5 for each in lists[:2])
    assert world.committed() == {TP("numbers", 0): 40}


@virtual
async def test_a_list_whose_agent_raises_is_given_again_and_none_of_it_counts_before(
    world: World,
) -> None:
    app = world.app(agent_error_backoff=0.01)
    topic = topic_of(app, partitions=1)
    table = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)
    tries: list[list[int]] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for values in stream.take(10, within=0.5):
            tries.append(values)
            for value in values:
                table["all"] += value
            if len(tries) < 3:
                raise ValueError("not yet")

    async with app:
        await send_all(topic, range(10))
        await until(lambda: len(tries) == 3)
        await app.clock.sleep(1)
        assert tries == [list(range(10))] * 3
        assert table["all"] == 45
    assert world.committed() == {TP("numbers", 0): 10}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_lists_of_concurrent_instances_share_the_events_and_lose_none(
    world: World, concurrency: int
) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(agent_error_backoff=0.01)
        topic = topic_of(app)
        seen: Counter[int] = Counter()
        failed: set[int] = set()

        @app.agent(topic, concurrency=concurrency)
        async def read(stream: Any) -> None:
            async for values in stream.take(6, within=0.3):
                if values[0] % 5 == 0 and values[0] not in failed:
                    failed.add(values[0])
                    raise ValueError("once")
                await app.clock.sleep(0.01)
                seen.update(values)

        async with app:
            for n in range(200):
                await topic.send(value=n, partition=n % 2)
            await until(lambda: len(seen) == 200)
            await app.clock.sleep(1)
            assert set(seen.values()) == {1}
        assert world.committed() == {TP("numbers", 0): 100, TP("numbers", 1): 100}

    flow()


@virtual
async def test_an_event_acknowledged_by_hand_after_its_list_failed_is_not_in_the_next(
    world: World,
) -> None:
    app = world.app(agent_error_backoff=0.01)
    topic = topic_of(app, partitions=1)
    lists: list[list[int]] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for events in stream.noack_take(3, within=0.5):
            lists.append([event.value for event in events])
            for event in events:
                event.ack()

    async with app:
        await send_all(topic, range(9))
        await until(lambda: len(lists) == 3)
        await app.clock.sleep(1)
    assert lists == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert world.committed() == {TP("numbers", 0): 9}


@virtual
async def test_an_acknowledgement_inside_of_a_list_counts_when_the_list_is_finished(
    world: World,
) -> None:
    """The position went past the event at once, and a crash then lost what the list had written."""
    app = world.app()
    topic = topic_of(app, partitions=1)
    sums = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)
    go_on = asyncio.Event()
    inside = asyncio.Event()

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for events in stream.noack_take(3, within=0.5):
            for event in events:
                sums["all"] += event.value
                event.ack()
            inside.set()
            await go_on.wait()

    async with app:
        await send_all(topic, [1, 2, 3])
        await inside.wait()
        await app.clock.sleep(1)
        assert world.committed()[TP("numbers", 0)] == 0
        assert not sums.committed.get("all")
        go_on.set()
        await until(lambda: world.committed()[TP("numbers", 0)] == 3)
        assert sums.committed["all"] == 6


@virtual
async def test_what_was_acknowledged_of_a_list_that_fails_is_not_acknowledged(
    world: World,
) -> None:
    """What it had written was undone, and the position stayed behind the event."""
    app = world.app(agent_error_backoff=60.0)
    topic = topic_of(app, partitions=1)
    tries: list[int] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for events in stream.noack_take(3, within=0.5):
            tries.append(len(events))
            for event in events:
                event.ack()
                if len(tries) == 1 and event.value == 2:
                    raise RuntimeError("on purpose")

    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: tries)
        await app.clock.sleep(1)
        assert world.committed()[TP("numbers", 0)] == 0
        await until(lambda: world.committed()[TP("numbers", 0)] == 3)
    assert tries == [3, 3]


# -- what an agent's own code raises ----------------------------------------------------------


@virtual
async def test_an_agent_that_raises_partition_revoked_by_itself_skips_nothing(
    world: World,
) -> None:
    app = world.app(agent_error_backoff=0.01)
    topic = topic_of(app, partitions=1)
    tries: list[int] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for value in stream:
            tries.append(value)
            if len(tries) == 1:
                raise faust.exceptions.PartitionRevoked("by hand")

    async with app:
        await send_all(topic, [1, 2])
        await until(lambda: 2 in tries)
    assert tries == [1, 1, 2]
