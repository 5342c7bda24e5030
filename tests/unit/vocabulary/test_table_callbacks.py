"""What tables tell: that they are restored, from what, and every access, where overridden."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.tables import TableManager
from faust.tables.wrappers import WindowWrapper
from faust.topics import TopicConductor
from faust.types import TP


def summing(app: faust.App, partitions: int = 2, seen: Any = None, **options: Any) -> Any:
    topic = app.topic("numbers", internal=True, partitions=partitions, value_type=int)
    table = app.Table(
        "sums", default=int, partitions=partitions, key_type=str, value_type=int, **options
    )

    @app.agent(topic, name="sum")
    async def process(values: Any) -> None:
        async for value in values:
            if seen is not None:
                seen.append("event")
            table[f"k{value}"] += value

    return topic, table


async def fill(world: World) -> None:
    app = world.app()
    topic, table = summing(app)
    async with app:
        for n in range(6):
            await send_all(topic, [n], partition=n % 2)
        await until(lambda: sum(table.committed.get(f"k{n}", 0) for n in range(6)) == 15)


@virtual
async def test_on_recover_is_called_once_for_all_partitions_before_any_event(world: World) -> None:
    await fill(world)
    order: list[Any] = []

    async def given() -> None:
        order.append("given")

    app = world.app()
    topic, table = summing(app, seen=order, on_recover=given)

    @table.on_recover
    async def decorated() -> None:
        order.append(dict(table.items()))

    async with app:
        await send_all(topic, [7], partition=0)
        await until(lambda: "event" in order)
    assert order == ["given", {f"k{n}": n for n in range(6)}, "event"]


@virtual
async def test_on_recover_that_raises_stops_the_worker(world: World) -> None:
    app = world.app()

    async def broken() -> None:
        raise ArithmeticError("cache is down")

    summing(app, on_recover=broken)
    with pytest.raises(ArithmeticError, match="cache is down"):
        await app.start()
    await app.stop()


@virtual
async def test_every_worker_is_told_of_what_it_takes_over(world: World) -> None:
    told: list[tuple[str, int]] = []
    apps = [world.app(datadir=str(world.directory / name)) for name in ("one", "two")]
    for name, app in zip(("one", "two"), apps, strict=True):
        _, table = summing(app)

        @table.on_recover
        async def recovered(name: str = name, table: Any = table) -> None:
            told.append((name, len(table.slices)))

    one, two = apps
    async with one:
        assert told == [("one", 2)]
        async with two:
            await until(lambda: ("two", 1) in told)
        await until(lambda: told[-1] == ("one", 2) and len(told) == 3)


@virtual
async def test_on_changelog_event_sees_what_the_table_is_restored_from(world: World) -> None:
    await fill(world)
    app, seen = world.app(), []

    async def note(event: Any) -> None:
        seen.append((event.key, event.value, event.message.topic))

    summing(app, on_changelog_event=note)
    async with app:
        pass
    assert sorted(seen) == [(f"k{n}", n, "shop-sums-changelog") for n in range(6)]


@virtual
async def test_a_changelog_event_of_a_deleted_key_has_no_value(world: World) -> None:
    def define(app: faust.App, **options: Any) -> Any:
        topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
        table = app.Table("sums", partitions=1, key_type=str, value_type=int, **options)

        @app.agent(topic, name="sum")
        async def process(values: Any) -> None:
            async for value in values:
                if value:
                    table["a"] = value
                else:
                    del table["a"]

        return topic

    app = world.app()
    topic = define(app)
    async with app:
        for offset, value in enumerate((1, 0), 1):
            await send_all(topic, [value])
            await until(lambda at=offset: app.committed_position(TP("numbers", 0)) == at)
    seen: list[Any] = []

    async def note(event: Any) -> None:
        seen.append((event.key, event.value))

    app = world.app()
    define(app, on_changelog_event=note)
    async with app:
        pass
    assert seen == [("a", 1), ("a", None)]


class LoudTable(faust.Table):  # type: ignore[type-arg]  # as users write it
    """Notes every access, and everything it is told."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.told: list[Any] = []

    def on_key_get(self, key: Any) -> None:
        self.told.append(("get", key))

    def on_key_set(self, key: Any, value: Any) -> None:
        self.told.append(("set", key, value))

    def on_key_del(self, key: Any) -> None:
        self.told.append(("del", key))

    def on_clear(self) -> None:
        self.told.append("clear")

    async def on_start(self) -> None:
        self.told.append("start")
        await super().on_start()

    async def on_stop(self) -> None:
        self.told.append("stop")
        await super().on_stop()

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        self.told.append(("recovered", active_tps))
        await super().on_recovery_completed(active_tps, standby_tps)

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        self.told.append(("rebalance", sorted(assigned), sorted(revoked), sorted(newly_assigned)))


@pytest.mark.parametrize("by", ["class", "path"])
def test_a_table_of_ones_own_class_is_told_of_every_access(world: World, by: str) -> None:
    @virtual
    async def check() -> None:
        path = f"{__name__}:LoudTable"
        app = world.app(Table=LoudTable if by == "class" else path)
        topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
        table: Any = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)

        @app.agent(topic)
        async def process(values: Any) -> None:
            async for value in values:
                table["a"] += value
                table["b"] = value
                del table["b"]
                table.clear()

        async with app:
            assert type(table).__name__ == "LoudTable"
            await send_all(topic, [5])
            await until(lambda: app.committed_position(TP("numbers", 0)) == 1)
        assert table.told == [
            "start",
            ("rebalance", [TP("numbers", 0)], [], [TP("numbers", 0)]),
            ("recovered", {TP("shop-sums-changelog", 0)}),
            ("get", "a"), ("set", "a", 0), ("set", "a", 5), ("set", "b", 5), ("del", "b"), "clear",
            "stop",
        ]  # fmt: skip
        assert type(table.clone()) is LoudTable

    check()


@virtual
async def test_a_windowed_table_tells_by_key_and_window(world: World) -> None:
    class Told(WindowWrapper):
        calls: list[Any] = []

        def on_set_key(self, key: Any, value: Any) -> None:
            self.calls.append(("set", key, value))

        def on_del_key(self, key: Any) -> None:
            self.calls.append(("del", key))

    class Windowed(LoudTable):
        WindowWrapper = Told

    app = world.app(Table=Windowed)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
    inner: Any = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)
    table = inner.tumbling(10.0)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            table["a"] += value
            table["a"].value()
            del table["a"]

    async with app:
        await (await topic.send(value=5, timestamp=1003.0))
        await until(lambda: app.committed_position(TP("numbers", 0)) == 1)
    assert Told.calls == [("set", "a", 5), ("del", "a")]
    window = ("a", (1000.0, 1010.0))
    assert [each for each in inner.told if each[0] in ("get", "set", "del")] == [
        ("set", window, 5), ("get", window), ("del", window),
    ]  # fmt: skip


@virtual
async def test_sets_and_set_tables_tell_of_their_members(world: World) -> None:
    class LoudSet(faust.Set):  # type: ignore[type-arg]  # as users write it
        told: list[Any] = []

        def on_key_set(self, key: Any, value: Any) -> None:
            self.told.append(("set", key))

        def on_key_del(self, key: Any) -> None:
            self.told.append(("del", key))

    class LoudSetTable(faust.SetTable):  # type: ignore[type-arg]  # as users write it
        told: list[Any] = []

        def on_key_set(self, key: Any, value: Any) -> None:
            self.told.append((key, sorted(value)))

    class LoudGlobal(faust.GlobalTable):  # type: ignore[type-arg]  # as users write it
        told: list[Any] = []

        def on_key_set(self, key: Any, value: Any) -> None:
            self.told.append((key, value))

    app = world.app(Set=LoudSet, SetTable=LoudSetTable, GlobalTable=LoudGlobal)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
    members = app.Set("members", partitions=1, key_type=int)
    groups = app.SetTable("groups", partitions=1, key_type=str, value_type=int)
    everywhere = app.GlobalTable("everywhere", partitions=1, key_type=str, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            members.add(value)
            members.discard(value)
            groups["g"].add(value)
            groups["g"] |= {7}
            everywhere["x"] = value

    async with app:
        await send_all(topic, [5])
        await until(lambda: app.committed_position(TP("numbers", 0)) == 1)
    assert LoudSet.told == [("set", 5), ("del", 5)]
    assert LoudSetTable.told == [("g", [5]), ("g", [5, 7])]
    assert LoudGlobal.told == [("x", 5)]


class LoudManager(TableManager):
    """Notes everything it is told."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.told: list[Any] = []

    def add(self, table: Any) -> Any:
        self.told.append(("add", table.name))
        return super().add(table)

    def on_rebalance_start(self) -> None:
        self.told.append("rebalance start")

    async def on_rebalance(self, *args: Any) -> None:
        self.told.append(("rebalance", len(args[0]), len(args[2])))
        await super().on_rebalance(*args)

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        if revoked:
            self.told.append(("revoked", sorted(revoked)))

    def on_actives_ready(self) -> None:
        self.told.append("actives ready")

    def on_standbys_ready(self) -> None:
        self.told.append("standbys ready")

    def on_commit_tp(self, tp: TP) -> None:
        self.told.append(("commit", tp))

    async def on_start(self) -> None:
        self.told.append("start")
        await super().on_start()

    async def on_stop(self) -> None:
        self.told.append("stop")
        await super().on_stop()


class LoudConductor(TopicConductor):
    """Notes what it is told."""

    told: list[Any]

    async def on_partitions_assigned(self, assigned: set[TP]) -> None:
        self.told = [*getattr(self, "told", []), sorted(assigned)]

    def on_batch(self, cursor: Any, batch: Any) -> None:
        self.told.append((cursor.reader, batch.count))


@virtual
async def test_managers_of_ones_own_are_told_what_happens(world: World) -> None:
    app = world.app(TableManager=LoudManager, TopicConductor=f"{__name__}:LoudConductor")
    topic, _ = summing(app, partitions=1)
    conductor: Any = app.topics
    async with app:
        await send_all(topic, [5])
        await until(lambda: app.committed_position(TP("numbers", 0)) == 1)
        assert topic in conductor
        assert list(conductor) == [topic]
    manager: Any = app.tables
    assert manager.told == [
        ("add", "sums"), "start", "rebalance start", ("rebalance", 1, 1),
        ("commit", TP("numbers", 0)), "actives ready", "standbys ready",
        ("commit", TP("numbers", 0)), "stop",
    ]  # fmt: skip
    assert conductor.told == [[TP("numbers", 0)], ("sum", 1)]


class LoudStream(faust.Stream):  # type: ignore[type-arg]  # as users write it
    """Notes what it is told, and doubles every value."""

    told: list[str] = []

    async def on_merge(self, value: Any = None) -> Any:
        self.told.append(f"merge {value}")
        return value * 2

    async def on_start(self) -> None:
        self.told.append("start")
        await super().on_start()

    async def on_stop(self) -> None:
        self.told.append("stop")
        await super().on_stop()


@virtual
async def test_a_stream_of_ones_own_class_sees_every_value_and_lives_with_its_agent(
    world: World,
) -> None:
    LoudStream.told, seen = [], []
    app = world.app(Stream=LoudStream)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            seen.append(value)

    async with app:
        await send_all(topic, [1, 2])
        await until(lambda: len(seen) == 2)
    assert seen == [2, 4]
    assert LoudStream.told == ["start", "merge 1", "merge 2", "stop"]


class LoudTopic(faust.Topic):  # type: ignore[type-arg]  # as users write it
    """Notes what cannot be decoded, and what is sent."""

    told: list[Any] = []

    async def on_key_decode_error(self, exc: Exception, message: Any) -> None:
        self.told.append(("key", type(exc).__name__, message.offset))
        await super().on_key_decode_error(exc, message)

    async def on_value_decode_error(self, exc: Exception, message: Any) -> None:
        self.told.append(("value", type(exc).__name__, message.offset))
        await super().on_value_decode_error(exc, message)

    async def on_decode_error(self, exc: Exception, message: Any) -> None:
        self.told.append(("any", message.offset))

    def on_stop_iteration(self) -> None:
        self.told.append("stopped")

    def prepare_headers(self, headers: Any) -> Any:
        return [*super().prepare_headers(headers), ("by", b"LoudTopic")]


@virtual
async def test_a_topic_of_ones_own_class_is_told_of_what_cannot_be_decoded(world: World) -> None:
    LoudTopic.told, seen = [], []
    app = world.app(Topic=LoudTopic, decode_error_policy="skip")
    raw = app.topic("numbers", internal=True, partitions=1, value_serializer="raw")
    topic = app.topic("numbers", internal=True, partitions=1, key_type=int, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            seen.append((value, values.current_event.key, values.current_event.headers))

    async with app:
        for key, value in ((b"1", b"1"), (b"2", b"no"), (b"no", b"3"), (b"4", b"4")):
            await (await raw.send(key=key, value=value))
        await until(lambda: app.committed_position(TP("numbers", 0)) == 4)
        assert app.monitor.events_skipped == {process.name: 2}
    assert [(value, key) for value, key, _ in seen] == [(1, 1), (4, 4)]
    assert seen[0][2] == {"by": b"LoudTopic"}
    assert [each for each in LoudTopic.told if each != "stopped"] == [
        ("value", "ValueDecodeError", 1), ("any", 1), ("key", "KeyDecodeError", 2), ("any", 2),
    ]  # fmt: skip
    assert LoudTopic.told[-1] == "stopped"


@virtual
async def test_a_key_that_cannot_be_decoded_stops_the_worker_and_is_told(world: World) -> None:
    LoudTopic.told = []
    app = world.app(Topic=LoudTopic)
    raw = app.topic("numbers", internal=True, partitions=1, value_serializer="raw")
    topic = app.topic("numbers", internal=True, partitions=1, key_type=int, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for event in values.events():
            assert event.key

    await app.start()
    await (await raw.send(key=b"no", value=b"1"))
    assert "cannot be decoded" in str(await fails(app))
    await app.stop()
    assert ("key", "KeyDecodeError", 0) in LoudTopic.told


@virtual
async def test_an_eager_partition_is_the_one_of_the_moment(world: World) -> None:
    app = world.app()
    topic = app.topic("numbers", internal=True, partitions=2, value_type=int)
    with pytest.raises(faust.exceptions.NotReady, match="how many partitions topic 'numbers' has"):
        topic.send_soon(1, key="a", eager_partitioning=True)
    async with app:
        await (await topic.send(value=0, key="d"))
        assert app.producer.key_partition("numbers", b"d") == TP("numbers", 1)
        sent: list[Any] = []

        def elsewhere() -> None:
            sent.append(topic.send_soon(1, key="d", eager_partitioning=True))
            sent.append(topic.send_soon(2, key="d"))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        app.outbox.learn("numbers", 1, "")  # what is known changes before they are placed
        eager, late = sent
        with pytest.raises(faust.exceptions.ProducerSendError):
            await eager
        assert (await late).partition == 0
