"""What is wrong with a program or its surroundings is said in one clear sentence."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.exceptions import (
    AgentFailed,
    BrokerUnavailable,
    ImproperlyConfigured,
    PartitionsMismatch,
    ProducerSendError,
    StopError,
)
from faust.types import TP

NUMBERS = TP("numbers", 0)


def counting(app: faust.App, *, name: str = "numbers", partitions: int | None = None) -> Any:
    """Define an agent that counts into a table."""
    counts = app.Table("counts", default=int, key_type=str, value_type=int, partitions=partitions)

    @app.agent(app.topic(name, value_type=int), name="count")
    async def count(values: Any) -> None:
        async for value in values:
            counts["all"] += value

    return counts


async def refused(app: faust.App, error: type[BaseException]) -> str:
    """Start an app that cannot be started; return why."""
    with pytest.raises(error) as caught:
        await run_until_it_fails(app)
    message = str(caught.value)
    assert "\n" not in message
    return message


async def run_until_it_fails(app: faust.App) -> None:
    async with app:
        raise await fails(app)


# -- settings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"topic_partitions": "many"}, ("topic_partitions", "'many'")),
        ({"broker_commit_interval": "soon"}, ("broker_commit_interval", "'soon'")),
        ({"agent_error_policy": "shrug"}, ("agent_error_policy", "'shrug'", "skip")),
        ({"brokr": "kafka://"}, ("brokr", "broker")),
    ],
)
def test_a_setting_of_the_wrong_type_or_name_is_named(
    settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    app = faust.App("shop", **settings)
    with pytest.raises((ImproperlyConfigured, TypeError, ValueError)) as caught:
        app.conf  # noqa: B018 - read on first use
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@virtual
async def test_an_unknown_scheme_lists_those_there_are(world: World) -> None:
    message = await refused(world.app(broker="rabbit://x"), ImproperlyConfigured)
    assert "'rabbit'" in message
    for known in ("kafka", "memory", "sqlite"):
        assert known in message


@virtual
async def test_an_app_needs_an_id(world: World) -> None:
    with pytest.raises(ImproperlyConfigured, match="id"):
        world.app("").finalize()


# -- the broker -----------------------------------------------------------------------


def test_a_broker_that_is_not_there_is_given_up_after_the_time_allowed(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listened at: refuses
        port = taken.getsockname()[1]
        app = faust.App(
            "shop",
            broker=f"kafka://127.0.0.1:{port}",
            broker_unavailable_timeout=0.5,
            web_enabled=False,
            datadir=str(world.directory),
        )
        counting(app)

        async def main() -> str:
            with pytest.raises(BrokerUnavailable) as caught:
                await app.start()
            await app.stop()
            return str(caught.value)

        message = asyncio.run(main())
    assert f"127.0.0.1:{port}" in message
    assert "broker_unavailable_timeout" in message


@virtual
async def test_a_topic_that_does_not_exist_and_may_not_be_created_is_named(world: World) -> None:
    app = world.app(broker=f"memory://{world.name}?auto_create=0")
    counting(app)
    message = await refused(app, ImproperlyConfigured)
    assert "topic 'numbers' does not exist" in message
    assert "internal=True" in message


@virtual
async def test_an_internal_topic_that_may_not_be_created_is_named(world: World) -> None:
    world.create("numbers")
    app = world.app(topic_allow_declare=False)
    counting(app)
    message = await refused(app, ImproperlyConfigured)
    assert "'shop-counts-changelog'" in message
    assert "topic_allow_declare" in message


@virtual
async def test_sending_to_a_topic_that_does_not_exist_says_so(world: World) -> None:
    app = world.app(broker=f"memory://{world.name}?auto_create=0")
    async with app:
        with pytest.raises(Exception, match="topic 'nowhere' does not exist"):
            await app.send("nowhere", value=1)
        sent = app.topic("nowhere").send_soon(1)
        with pytest.raises(Exception, match="topic 'nowhere' does not exist"):
            await sent


# -- partitions ---------------------------------------------------------------------------


@virtual
async def test_topics_that_feed_one_table_must_have_equal_partition_counts(world: World) -> None:
    world.create("numbers", 2)
    world.create("others", 3)
    app = world.app()
    counts = counting(app)

    @app.agent(app.topic("others", value_type=int), name="other")
    async def other(values: Any) -> None:
        async for value in values:
            counts["all"] += value

    message = await refused(app, PartitionsMismatch)
    for word in ("others", "3", "2", "counts", "group_by"):
        assert word in message


@virtual
async def test_a_changelog_with_the_wrong_partition_count_is_refused(world: World) -> None:
    world.create("numbers", 2)
    world.create("shop-counts-changelog", 5, **{"cleanup.policy": "compact"})
    app = world.app()
    counting(app)
    message = await refused(app, PartitionsMismatch)
    for word in ("'shop-counts-changelog'", "5", "2", "'counts'", "version"):
        assert word in message


@virtual
async def test_a_worker_that_starts_after_its_source_has_grown_processes_the_old_partitions(
    world: World,
) -> None:
    """Those that ran went on, and said why they were not ready; whoever started again ended."""
    world.create("numbers", 2)
    app = world.app()
    counting(app)
    async with app:
        await send_all(app.topic("numbers", value_type=int), [1], partition=1)
        await until(lambda: world.committed().get(TP("numbers", 1)) == 1)
    world.broker.create_partitions("numbers", 3)
    again = world.app()
    counts = counting(again)
    async with again:
        await send_all(again.topic("numbers", value_type=int), [10], partition=1)
        await until(lambda: counts.as_dict() == {"all": 11})
        assert "has grown to 3 partitions" in again.not_ready_because()


@virtual
async def test_an_internal_topic_with_other_partitions_than_declared_is_refused(
    world: World,
) -> None:
    world.create("mine", 3)
    app = world.app()

    @app.agent(app.topic("mine", internal=True, partitions=4))
    async def process(values: Any) -> None:
        async for _ in values:
            pass

    message = await refused(app, PartitionsMismatch)
    assert "'mine' has 3 partitions, but is declared with partitions=4" in message


@virtual
async def test_an_event_is_not_lost_that_writes_a_table_with_other_partitions_than_its_topic(
    world: World,
) -> None:
    world.create("numbers", 2)
    app = world.app(topic_partitions=5, agent_error_retries=0)
    holder = deque([app.Table("counts", default=int, key_type=str, value_type=int)])

    @app.agent(app.topic("numbers", value_type=int), name="count")
    async def count(values: Any) -> None:
        async for value in values:
            (counts,) = holder
            counts["all"] += value

    await app.start()
    await send_all(app.topic("numbers"), [1], partition=0)
    failure = await fails(app)
    await app.stop()
    assert isinstance(failure, AgentFailed)
    assert isinstance(failure.__cause__, PartitionsMismatch)
    for word in ("'numbers'", "'counts'", "partitions=", "group_by"):
        assert word in str(failure)
    assert app.committed_position(NUMBERS) in (None, 0)
    assert world.committed().get(NUMBERS, 0) == 0


# -- events and models -----------------------------------------------------------------------


@virtual
async def test_an_undecodable_event_is_named_and_not_lost(world: World) -> None:
    world.create("numbers", 1)
    app = world.app()
    counting(app)
    async with app:
        topic = app.topic("numbers", value_type=int)
        await send_all(topic, [1, 2], partition=0)
        await topic.send(b"???", value_serializer="raw", partition=0, key="the key")
        failure = await fails(app)
    message = str(failure)
    assert isinstance(failure, AgentFailed)
    assert "\n" not in message
    for word in ("agent count", "'numbers'", "partition 0", "offset 2", "the key"):
        assert word in message
    assert world.committed()[NUMBERS] <= 2


class Thing:
    """Of no type that a model knows."""


def define_a_model_of_things() -> None:
    class Order(faust.Record):
        account: str
        thing: Thing


def test_a_field_of_a_type_that_cannot_be_handled_is_named() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        define_a_model_of_things()
    message = str(caught.value)
    assert "\n" not in message
    for word in ("Order", "thing", "Thing"):
        assert word in message


def test_two_tables_or_agents_of_one_name_are_refused() -> None:
    app = faust.App("shop", broker="memory://never")
    counting(app)
    with pytest.raises(ImproperlyConfigured, match=r"two tables .*'counts'|'counts'"):
        app.Table("counts")
    with pytest.raises(ImproperlyConfigured, match="two agents with the name 'count'"):

        @app.agent(name="count")
        async def another(values: Any) -> None: ...


# -- files ---------------------------------------------------------------------------------------


@virtual
async def test_a_data_directory_that_cannot_be_written_is_named(world: World) -> None:
    (world.directory / "file").write_text("in the way")
    app = world.app(datadir=str(world.directory / "file"))
    counting(app)
    message = await refused(app, ImproperlyConfigured)
    assert str(world.directory / "file") in message
    assert "--datadir" in message


def sqlite_app(world: World, path: Path, id: str = "shop") -> faust.App:
    """An app in real time: SQLite has threads of its own."""
    return faust.App(
        id,
        broker=f"sqlite://{path}",
        web_enabled=False,
        topic_partitions=1,
        broker_commit_interval=0.05,
        datadir=str(world.directory / id),
    )


@pytest.mark.parametrize("kind", ["text", "other", "damaged"])
def test_a_file_that_is_no_broker_of_ours_is_left_alone(world: World, kind: str) -> None:
    path = world.directory / "broker.db"
    if kind == "text":
        path.write_text("notes of mine\n" * 500)
    elif kind == "other":
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE mine (x)")
        db.close()
    else:
        asyncio.run(use(sqlite_app(world, path)))
        data = bytearray(path.read_bytes())
        data[4096 : 4096 * 4] = b"\xa5" * (4096 * 3)
        path.write_bytes(bytes(data))
    before = path.read_bytes()
    app = sqlite_app(world, path)
    counting(app)

    async def start() -> str:
        with pytest.raises(StopError) as caught:
            await app.start()
        await app.stop()
        return str(caught.value)

    message = asyncio.run(start())
    assert str(path) in message
    assert "\n" not in message
    assert path.read_bytes() == before


async def use(app: faust.App) -> None:
    async with app:
        await (await app.topic("numbers").send(1))


def test_a_full_disk_stops_the_worker_and_loses_nothing(world: World) -> None:
    path = world.directory / "broker.db"

    def define(app: faust.App) -> Any:
        counts = app.Table("counts", default=int, key_type=str, value_type=int)
        out = app.topic("out", value_type=str)

        @app.agent(app.topic("numbers", value_type=int), name="count")
        async def count(values: Any) -> None:
            async for value in values:
                await out.send(f"{value:010000d}")
                counts["all"] += value

        return counts

    async def limit(app: faust.App, pages: int) -> None:
        async def change() -> None:
            transport: Any = app.connection.transport  # type: ignore[union-attr]
            await transport._connection.writer.call(
                lambda session: session.db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
            )

        assert app.connection is not None
        await app.connection.bridge.call_io(change)

    async def until_full() -> BaseException:
        app = sqlite_app(world, path)
        define(app)
        async with app:
            await send_all(app.topic("numbers"), range(100))
            await limit(app, 80)
            async with asyncio.timeout(90):
                for n in range(100, 200):
                    sent = await app.topic("numbers").send(n)
                    try:
                        await sent
                    except ProducerSendError:
                        return await fails(app)
                    accepted.append(n)
                return await fails(app)

    async def with_space_again() -> int:
        app = sqlite_app(world, path)
        counts = define(app)
        async with app, asyncio.timeout(90):
            while app.committed_position(NUMBERS) != len(accepted):  # noqa: ASYNC110 - real time
                await asyncio.sleep(0.01)
            return int(counts["all"])

    accepted = list(range(100))
    message = str(asyncio.run(until_full()))
    assert "space" in message or "full" in message
    assert "\n" not in message
    assert asyncio.run(with_space_again()) == sum(accepted)
