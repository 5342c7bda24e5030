"""Tables, as agents write them: defaults, undo, and who may not write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.exceptions import ImproperlyConfigured
from faust.types import TP

NUMBERS = TP("numbers", 0)


class Account(faust.Record):
    total: int = 0
    notes: list[str] = []


def numbers(app: faust.App) -> Any:
    return app.topic("numbers", internal=True, partitions=1, value_type=int)


@virtual
async def test_a_missing_key_is_added_with_its_default(world: World) -> None:
    app, seen = world.app(), []
    counts = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)

    @app.agent(numbers(app))
    async def process(values: Any) -> None:
        async for _ in values:
            seen.append((counts["a"], "a" in counts, counts.get("b"), counts.get("b", 5)))
            seen.append(counts.setdefault("c", 3))

    async with app:
        await send_all(numbers(app), [1])
        await until(lambda: app.committed_position(NUMBERS) == 1)
        assert dict(counts.items()) == {"a": 0, "c": 3}
    assert seen == [(0, True, None, 5), 3]


@virtual
async def test_values_that_are_changed_in_place_and_put_back_are_undone_with_their_event(
    world: World,
) -> None:
    app, tries = world.app(), []
    accounts = app.Table("accounts", default=Account, partitions=1, value_type=Account)
    lists = app.Table("lists", default=list, partitions=1)

    @app.agent(numbers(app))
    async def process(values: Any) -> None:
        async for value in values:
            account = accounts["a"]
            account.total += value
            account.notes.append(str(value))
            accounts["a"] = account
            items = lists["a"]
            items.append(value)
            lists["a"] = items
            tries.append(value)
            if value == 2 and tries.count(2) < 3:
                raise ValueError("again")

    async with app:
        await send_all(numbers(app), [1, 2, 3])
        await until(lambda: app.committed_position(NUMBERS) == 3)
        assert accounts["a"] == Account(total=6, notes=["1", "2", "3"])
        assert lists["a"] == [1, 2, 3]
    assert tries == [1, 2, 2, 2, 3]


@virtual
async def test_a_table_is_the_same_after_a_restart(world: World) -> None:
    def define(app: faust.App) -> Any:
        counts = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)

        @app.agent(numbers(app), name="count")
        async def process(values: Any) -> None:
            async for value in values:
                counts[str(value % 3)] += 1
                if value == 8:
                    del counts["2"]

        return counts

    app = world.app()
    counts = define(app)
    async with app:
        await send_all(numbers(app), range(9))
        await until(lambda: app.committed_position(NUMBERS) == 9)
    again = world.app()
    counts = define(again)
    async with again:
        assert dict(counts.items()) == {"0": 3, "1": 3}


@pytest.mark.parametrize("place", ["nowhere", "timer", "channel", "concurrency"])
@virtual
async def test_only_a_stream_over_a_topic_may_write_a_table(world: World, place: str) -> None:
    app = world.app(agent_error_retries=0)
    errors: list[Exception] = []
    table = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)
    channel = app.channel()

    def write() -> None:
        try:
            table["a"] = 1
        except Exception as exc:
            errors.append(exc)
            raise

    @app.agent(numbers(app), concurrency=2 if place == "concurrency" else 1)
    async def process(values: Any) -> None:
        async for _ in values:
            if place == "concurrency":
                write()

    @app.agent(channel)
    async def other(values: Any) -> None:
        async for _ in values:
            write()

    if place == "timer":

        @app.timer(1.0)
        async def every_second() -> None:
            write()

    async with app:
        if place == "nowhere":
            with pytest.raises(TypeError, match="outside"):
                write()
        else:
            await send_all(numbers(app), [1])
            if place == "channel":
                await channel.send(1)
            await fails(app)
    (error,) = errors
    assert isinstance(error, TypeError)
    assert "counts" in str(error)
    expected = {
        "nowhere": "outside",
        "timer": "outside",
        "channel": "channel",
        "concurrency": "concurrency",
    }[place]
    assert expected in str(error), str(error)


@virtual
async def test_two_tables_of_one_name_are_refused(world: World) -> None:
    app = world.app()
    app.Table("counts", default=int)
    with pytest.raises(ImproperlyConfigured, match="counts"):
        app.Table("counts", default=int)


@virtual
async def test_a_table_cannot_be_added_while_the_app_runs(world: World) -> None:
    app = world.app()

    @app.agent(numbers(app))
    async def process(values: Any) -> None:
        async for _ in values:
            pass

    async with app:
        with pytest.raises(ImproperlyConfigured):
            app.Table("late", default=int)


@virtual
async def test_agents_of_one_task_write_one_table_one_after_the_other(world: World) -> None:
    app, inside, most = world.app(), 0, 0
    counts = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)
    other = app.topic("other", internal=True, partitions=1, value_type=int)

    async def add(value: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        before = counts["sum"]
        await asyncio.sleep(0.1)
        counts["sum"] = before + value
        inside -= 1

    @app.agent(numbers(app))
    async def first(values: Any) -> None:
        async for value in values:
            await add(value)

    @app.agent(other)
    async def second(values: Any) -> None:
        async for value in values:
            await add(value)

    async with app:
        await send_all(numbers(app), range(20))
        await send_all(other, range(20))
        await until(
            lambda: app.committed_position(NUMBERS) == app.committed_position(TP("other", 0)) == 20
        )
        assert counts["sum"] == 2 * sum(range(20))
