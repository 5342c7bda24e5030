"""Who may write a table, in every way that it can be written; objects of one's own in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from vocabulary_world import World, send_all, until, virtual

import faust
from faust.exceptions import ImproperlyConfigured
from faust.tables.objects import ChangeloggedObject, ChangeloggedObjectManager
from faust.types import TP

NUMBERS = TP("numbers", 0)

WAYS: dict[str, Callable[[Any], Any]] = {
    "table: set": lambda t: t["table"].__setitem__("a", 1),
    "table: update": lambda t: t["table"].update(a=1),
    "table: setdefault": lambda t: t["table"].setdefault("a", 1),
    "table: delete": lambda t: t["table"].__delitem__("a"),
    "table: clear": lambda t: t["table"].clear(),
    "set: add": lambda t: t["set"].add(1),
    "set: discard": lambda t: t["set"].discard(1),
    "set: update": lambda t: t["set"].update([1]),
    "set: clear": lambda t: t["set"].clear(),
    "set table: add": lambda t: t["groups"]["a"].add(1),
    "set table: set": lambda t: t["groups"].__setitem__("a", {1}),
    "global table: set": lambda t: t["everywhere"].__setitem__("a", 1),
    "windowed table: set": lambda t: t["windows"].__setitem__("a", 1),
}


def tables_of(app: faust.App) -> dict[str, Any]:
    return {
        "table": app.Table("table", default=int, partitions=1, key_type=str, value_type=int),
        "set": app.Set("set", partitions=1, key_type=int),
        "groups": app.SetTable("groups", partitions=1, key_type=str, value_type=int),
        "everywhere": app.GlobalTable("everywhere", partitions=1, key_type=str, value_type=int),
        "windows": app.Table("windows", default=int, partitions=1, key_type=str, value_type=int)
        .tumbling(10.0)
        .relative_to(1000.0),
    }  # fmt: skip


def name_of(way: str) -> str:
    names = {"set table": "groups", "global table": "everywhere", "windowed table": "windows"}
    kind = way.split(":")[0]
    return names.get(kind, kind)


@virtual
async def test_no_way_of_writing_is_open_outside_of_an_event(world: World) -> None:
    app, said = world.app(), dict[str, dict[str, str]]()
    tables = tables_of(app)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
    channel = app.channel()

    def write(where: str) -> None:
        found = said.setdefault(where, {})
        for way, fun in WAYS.items():
            try:
                fun(tables)
            except TypeError as exc:
                found[way] = str(exc)

    @app.agent(topic, name="reads")
    async def reads(values: Any) -> None:
        async for _ in values:
            pass

    @app.agent(channel, name="by channel")
    async def by_channel(values: Any) -> None:
        async for _ in values:
            write("channel")

    @app.agent(app.topic("others", internal=True, partitions=1), concurrency=3, name="many")
    async def many(values: Any) -> None:
        async for _ in values:
            write("many")

    @app.task
    async def task() -> None:
        write("task")

    @app.timer(1.0)
    async def timer() -> None:
        write("timer")

    @app.page("/write/")
    async def page(view: Any, request: Any) -> None:
        write("page")

    async with app:
        await channel.send(1)
        await send_all(app.topic("others"), [1])
        view: Any = app.registry.pages[0].view(app, app.web)
        await view.get(None)
        await until(lambda: set(said) == {"channel", "many", "task", "timer", "page"})
        assert all(len(table) == 0 for table in tables.values())
    for where, found in said.items():
        assert set(found) == set(WAYS), where
        for way, sentence in found.items():
            assert f"{name_of(way)!r}" in sentence
    assert "agent 'by channel', which reads a channel in memory" in said["channel"]["table: set"]
    assert "agent 'many' runs with concurrency above 1" in said["many"]["table: set"]
    assert "Send to an agent that reads a topic" in said["timer"]["table: set"]


class Counter(ChangeloggedObject):
    """A counter, changed by operations."""

    count: int

    def __post_init__(self) -> None:
        self.count = 0

    def add(self, value: int) -> None:
        self.manager.send_changelog_event(self.key, 1, value)

    def apply_changelog_event(self, operation: int, value: Any) -> None:
        assert operation == 1
        self.count += value

    def as_stored_value(self) -> Any:
        return {"count": self.count}

    def sync_from_storage(self, value: Any) -> None:
        self.count = value["count"]


class Counters(ChangeloggedObjectManager):
    ValueType = Counter


@virtual
async def test_objects_of_ones_own_are_kept_undone_and_restored_like_values(world: World) -> None:
    def define(app: faust.App, tries: list[int]) -> tuple[Any, Counters]:
        topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
        counters = Counters(app.Table("counters", partitions=1, key_type=str))

        @app.agent(topic, name="count")
        async def process(values: Any) -> None:
            async for value in values:
                tries.append(value)
                counters["a"].add(value)
                if value == 2 and tries.count(2) == 1:
                    raise ValueError("again")

        return topic, counters

    app, tries = world.app(), list[int]()
    topic, counters = define(app, tries)
    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: app.committed_position(NUMBERS) == 3)
        assert counters["a"].count == 6
        assert counters["b"].count == 0
        assert (list(counters), "b" in counters) == (["a"], False)
        with pytest.raises(TypeError, match="outside"):
            counters["a"].add(1)
    assert tries == [1, 2, 2, 3]
    again = world.app()
    _, restored = define(again, tries)
    async with again:
        assert {key: each.count for key, each in restored.data.items()} == {"a": 6}


@virtual
async def test_a_key_of_bytes_was_written_to_a_table_of_texts_and_could_not_be_read_back(
    world: World,
) -> None:
    """Nor a member of a set; where keys are bytes, they are read back as such."""
    app = world.app()
    texts = app.Table("texts", key_type=str, value_type=int, partitions=1)
    members = app.Set("members", key_type=str, partitions=1)
    raw = app.Table("raw", key_type=bytes, value_type=int, partitions=1)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
    said: list[str] = []

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            raw[b"\xff"] = value
            for change in (lambda: texts.__setitem__(b"k", 1), lambda: members.add(b"k")):
                with pytest.raises(TypeError) as failed:
                    change()
                said.append(str(failed.value))

    async with app:
        await send_all(topic, [7])
        await until(lambda: app.committed_position(NUMBERS) == 1)
        assert dict(raw.items()) == {b"\xff": 7}
        assert list(texts.items()) == list(members) == []
    assert len(said) == 2
    assert all("b'k'" in each and "key_type=bytes" in each for each in said)
    assert "'texts'" in said[0]
    assert "'members'" in said[1]


@pytest.mark.parametrize("windowed", [False, True])
@virtual
async def test_a_table_without_a_type_could_not_be_iterated_over_once_it_had_an_events_key(
    world: World, windowed: bool
) -> None:
    """Keys of a topic without a type are bytes; so they are in a table, also when restored."""

    def build() -> tuple[faust.App, Any, Any]:
        app = world.app()
        table = app.Table("counts", default=int, partitions=1)
        topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
        counts = table.tumbling(10.0) if windowed else table

        @app.agent(topic)
        async def process(stream: Any) -> None:
            async for event in stream.events():
                counts[event.key] += event.value
                counts["text"] += event.value

        return app, topic, table

    for start in (0, 2):  # the second time, the table is restored
        app, topic, table = build()
        async with app:
            if not start:
                await send_all(topic, [1, 2], key=b"ada", timestamp=1000.0)
                await until(lambda app=app: app.committed_position(NUMBERS) == 2)
            keys = [key[0] if windowed else key for key in table]
            assert sorted(keys, key=repr) == ["text", b"ada"]
            assert list(table.values()) == [3, 3]


@virtual
async def test_a_worker_that_is_alone_says_once_that_there_are_no_standbys(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(table_standby_replicas=1)
    tables_of(app)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for _ in values:
            pass

    with caplog.at_level("INFO"):
        async with app:
            await send_all(topic, range(5))
            await until(lambda: app.committed_position(NUMBERS) == 5)
    said = [r for r in caplog.records if "table_standby_replicas=1" in r.getMessage()]
    assert len(said) == 1
    assert not [r for r in caplog.records if r.levelname in ("WARNING", "ERROR")]


@virtual
async def test_on_late_of_a_table_without_windows_was_never_called(world: World) -> None:
    """Nobody said so."""
    app = world.app()
    table = app.Table("plain", key_type=str, value_type=int, default=int)
    table.on_late(lambda key, window: None)

    @app.agent(app.topic("numbers", key_type=str, value_type=int, internal=True))
    async def process(stream: Any) -> None:
        async for _ in stream:
            table["a"] += 1

    with pytest.raises(ImproperlyConfigured, match="'plain' has on_late, but no windows"):
        await app.start()
