"""Global tables on several workers of one app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from faust._core.threads import LoopBridge
from faust.app.base import App
from faust.models import Record
from faust.testing.broker import memory_broker
from faust.testing.clock import VirtualClock, run_virtual


@pytest.fixture(autouse=True)
def directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Airline(Record):
    code: str
    name: str


def make_app(broker: Any, partitions: int | None = None) -> App:
    app = App(
        "global-tables",
        broker=broker.url,
        store="memory://",
        topic_partitions=4,
        broker_commit_interval=0.1,
        web_enabled=False,
    )
    app.clock = VirtualClock.current()
    app.make_bridge = LoopBridge
    table = app.GlobalTable("airlines", key_type=str, value_type=str)
    topic = app.topic(
        "airlines", key_type=str, value_type=Airline, internal=True, partitions=partitions
    )

    @app.agent(topic, name="load")
    async def load(airlines: Any) -> None:
        async for airline in airlines:
            table[airline.code] = airline.name

    return app


async def eventually(said: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not said():  # noqa: ASYNC110 - virtual time: nothing is polled
            await asyncio.sleep(0.05)


async def send(app: App, names: dict[str, str]) -> None:
    topic = app.topic("airlines", key_type=str, value_type=Airline)
    for code, name in names.items():
        await topic.send(key=code, value=Airline(code, name))


def scenario(fun: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        async with memory_broker() as broker:
            await fun(broker)

    run_virtual(main())


NAMES = {code: f"Airline {code}" for code in "ABCDEFGHIJ"}


def test_every_worker_reads_what_the_others_have_written() -> None:
    async def both(broker: Any) -> None:
        first, second = make_app(broker), make_app(broker)
        await first.start()
        await second.start()
        one: Any = first.tables["airlines"]
        two: Any = second.tables["airlines"]
        await eventually(lambda: len(one.slices) == len(two.slices) == 2)
        await send(first, NAMES)
        await eventually(lambda: dict(one.items()) == dict(two.items()) == NAMES)
        assert len(one.followed) == len(two.followed) == 2
        assert one["A"] == two["A"] == "Airline A"
        await send(first, {"A": "Another"})
        await eventually(lambda: one["A"] == two["A"] == "Another")
        await second.stop()
        await eventually(lambda: len(one.slices) == 4)
        assert one.followed == {}
        assert dict(one.items()) == {**NAMES, "A": "Another"}
        await first.stop()

    scenario(both)


def test_a_worker_is_ready_only_when_it_knows_the_whole_table() -> None:
    async def late(broker: Any) -> None:
        first, second = make_app(broker), make_app(broker)
        await first.start()
        await send(first, NAMES)
        one: Any = first.tables["airlines"]
        await eventually(lambda: dict(one.items()) == NAMES)
        await asyncio.sleep(1)
        await second.start()
        two: Any = second.tables["airlines"]
        assert dict(two.committed.items()) | dict(two.items()) == NAMES
        await second.stop()
        await first.stop()

    scenario(late)


def test_a_partition_that_comes_to_us_while_we_ask_is_not_followed() -> None:
    """A copy made then would never be followed again, and would hide what is written here."""

    async def taken_meanwhile(broker: Any) -> None:
        first, second = make_app(broker), make_app(broker)
        await first.start()
        await send(first, NAMES)
        one: Any = first.tables["airlines"]
        await eventually(lambda: dict(one.items()) == NAMES)
        await asyncio.sleep(1)
        await second.start()
        two: Any = second.tables["airlines"]
        await eventually(lambda: len(one.slices) == len(two.slices) == 2)
        engine: Any = second.engine
        followers = engine.followers
        ours = set(engine.tasks)
        followers._owned = lambda: ()  # as when the look was begun
        targets = followers._targets()
        followers._owned = lambda: {*engine.tasks, *engine.starting}
        followers._targets = lambda: targets
        await followers.follow()
        assert not {task.partition for task in ours} & two.followed.keys()
        await second.stop()
        await first.stop()

    scenario(taken_meanwhile)


@pytest.mark.parametrize("updates", [1, 30])
def test_a_changelog_that_is_deleted_was_made_anew_by_who_follows_it(updates: int) -> None:
    """It had as many partitions as a topic has by default, and no worker could start any more.

    On other brokers, who followed it ended; and where the log had become shorter, who followed it
    waited for as many records as there had been, and left the rest of the table as it was.
    """

    async def both(broker: Any) -> None:
        first, second = make_app(broker, 2), make_app(broker, 2)
        await first.start()
        await second.start()
        tables: list[Any] = [app.tables["airlines"] for app in (first, second)]
        await eventually(lambda: [len(table.slices) for table in tables] == [1, 1])
        for _ in range(updates):
            await send(first, NAMES)
        await eventually(lambda: all(dict(table.items()) == NAMES for table in tables))
        await asyncio.sleep(1)
        for table in tables:
            table.followed.clear()  # as where a follower has not come to what is committed
        broker.delete_topic("global-tables-airlines-changelog")
        await asyncio.sleep(1)
        now = dict.fromkeys(NAMES, "Another")
        await send(first, now)
        await eventually(lambda: all(dict(table.items()) == now for table in tables))
        assert len(broker.topic("global-tables-airlines-changelog").logs) == 2
        assert [app.failure for app in (first, second)] == [None, None]
        await second.stop()
        await first.stop()

    scenario(both)
