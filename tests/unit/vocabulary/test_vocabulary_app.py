"""The app: signals, tasks, timers, services, threads, and being started again."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from mode import Service
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.exceptions import ImproperlyConfigured
from faust.types import TP, AppT

NUMBERS = TP("numbers", 0)


def numbers(app: faust.App) -> Any:
    return app.topic("numbers", internal=True, partitions=2, value_type=int)


def collector(app: faust.App, seen: list[Any]) -> Any:
    @app.agent(numbers(app), name="collector")
    async def collect(values: Any) -> None:
        async for value in values:
            seen.append(value)

    return collect


# -- signals -------------------------------------------------------------------------------


SIGNALS = [
    "on_before_configured",
    "on_configured",
    "on_after_configured",
    "on_worker_init",
    "on_partitions_assigned",
    "on_partitions_revoked",
    "on_rebalance_complete",
    "on_before_shutdown",
    "on_produce_message",
]


@pytest.mark.parametrize("bare", [True, False])
@virtual
async def test_every_signal_is_sent_to_who_has_connected(world: World, bare: bool) -> None:
    app, told = world.app(), []

    def connect(name: str) -> None:
        signal = getattr(app, name)

        def handler(sender: Any, *args: Any, **kwargs: Any) -> None:
            assert sender is app
            told.append(name)

        assert (signal(handler) if bare else signal.connect(handler)) is handler

    for name in SIGNALS:
        connect(name)
    collector(app, [])
    collector(other := world.app(), [])
    app.worker_init()
    app.worker_init()
    async with app:
        await send_all(numbers(app), [1])
        async with other:
            await until(lambda: len(app.engine.tasks) == 1)
    assert set(told) == set(SIGNALS)
    assert told[:3] == SIGNALS[:3]
    assert told.count("on_worker_init") == 1
    assert told.index("on_rebalance_complete") < told.index("on_before_shutdown")


@virtual
async def test_a_signal_of_the_class_is_sent_for_every_app(world: World) -> None:
    told = []

    class MyApp(faust.App):
        pass

    @MyApp.on_configured.connect
    def configure(app: Any, conf: Any, **kwargs: Any) -> None:
        told.append(app)
        conf.broker_url = "memory://elsewhere"

    one, other = MyApp("one"), MyApp("other")
    assert str(one.conf.broker[0]) == "memory://elsewhere"
    assert str(other.conf.broker[0]) == "memory://elsewhere"
    assert told == [one, other]
    assert not faust.App.on_configured


@virtual
async def test_partitions_are_told_as_they_come_and_go(world: World) -> None:
    app, told = world.app(), []

    @app.on_partitions_assigned.connect
    async def assigned(app: AppT, assigned: set[TP], **kwargs: Any) -> None:
        await asyncio.sleep(0)
        if assigned:  # after a rebalance that brings nothing: empty
            told.append(("assigned", assigned))

    @app.on_partitions_revoked
    async def revoked(app: AppT, revoked: set[TP], **kwargs: Any) -> None:
        if revoked:
            told.append(("revoked", revoked))

    firsts: list[Any] = []

    @app.on_partitions_revoked.connect
    async def first(app: AppT, revoked: set[TP], **kwargs: Any) -> None:
        firsts.append(revoked)

    collector(app, [])
    collector(other := world.app(), [])
    async with app:
        async with other:
            await until(lambda: len(told) == 2)
        await until(lambda: len(told) == 3)
    both = {TP("numbers", 0), TP("numbers", 1)}
    assert firsts[0] == set()  # told of every rebalance, also of the first
    assert told[0] == ("assigned", both)
    assert told[1][0] == "revoked"
    assert told[2] == ("assigned", told[1][1])


@virtual
async def test_a_handler_may_change_what_is_sent_along(world: World) -> None:
    app = world.app()

    @app.on_produce_message.connect
    def trace(app: AppT, key: Any, value: Any, headers: list[Any], **kwargs: Any) -> None:
        headers.append(("trace", b"1"))

    async with app:
        await (await numbers(app).send(1))
    (record,) = world.records("numbers")
    assert list(record.headers) == [("trace", b"1")]


def test_handlers_are_checked_where_they_are_connected() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ImproperlyConfigured, match=r"\*\*kwargs"):
        app.on_configured.connect(lambda app, conf: None)

    async def waits(app: Any, **kwargs: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="synchronous signal"):
        app.on_configured.connect(waits)
    with pytest.raises(TypeError, match="callable"):
        app.on_configured.connect(3)


# -- tasks, timers, services --------------------------------------------------------------------


@virtual
async def test_tasks_run_once_with_or_without_the_app_and_brackets(world: World) -> None:
    app, ran = world.app(), []

    @app.task
    async def plain() -> None:
        ran.append("plain")

    @app.task()
    async def with_app(app: Any) -> None:
        ran.append(app)

    async with app:
        await asyncio.sleep(60)
    assert ran == ["plain", app]


@virtual
async def test_a_task_that_fails_stops_the_worker(world: World) -> None:
    app = world.app()

    @app.task
    async def broken() -> None:
        raise KeyError("broken")

    async with app:
        assert isinstance(await fails(app), KeyError)


@virtual
async def test_a_timer_does_not_drift_and_leaves_missed_turns_out(world: World) -> None:
    app, times = world.app(), []
    clock = asyncio.get_running_loop().time

    @app.timer(interval=10.0)
    async def every_ten() -> None:
        times.append(clock())
        await asyncio.sleep(25 if len(times) == 3 else 3)

    async with app:
        began = clock()
        await asyncio.sleep(100)
    turns = [round(time - began) for time in times]
    assert turns == [10, 20, 30, 60, 70, 80, 90, 100][: len(turns)]
    assert len(turns) >= 7


def test_a_timer_needs_an_interval() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ValueError, match="above 0 seconds"):
        app.timer(0)


@pytest.mark.parametrize(
    "zone", [{"timezone": ZoneInfo("Asia/Tokyo")}, {"tz": "Asia/Tokyo"}, {"timezone": UTC}]
)
@virtual
async def test_a_crontab_runs_at_its_hour_in_its_zone(world: World, zone: Any) -> None:
    app, times = world.app(), []

    @app.crontab("0 9 * * *", **zone)
    async def at_nine() -> None:
        times.append(datetime.fromtimestamp(app.clock.time(), next(iter(_zone(zone)))))

    async with app:
        await asyncio.sleep(3 * 86400)
    assert len(times) == 3
    assert {(time.hour, time.minute) for time in times} == {(9, 0)}


def _zone(given: Any) -> Any:
    for value in given.values():
        yield ZoneInfo(value) if isinstance(value, str) else value


def test_a_crontab_is_checked_where_it_is_written() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ImproperlyConfigured, match="no time zone"):
        app.crontab("* * * * *", tz="Nowhere/City")
    with pytest.raises(ImproperlyConfigured, match="not a crontab entry"):
        app.crontab("not a crontab")


@virtual
async def test_services_live_as_long_as_the_app(world: World) -> None:
    app, told = world.app(), []

    @app.service
    class Mine(Service):
        async def on_start(self) -> None:
            told.append("class started")

        async def on_stop(self) -> None:
            told.append("class stopped")

        @Service.task
        async def work(self) -> None:
            told.append("worked")

    class Other(Service):
        async def on_start(self) -> None:
            told.append("instance started")

    app.service(Other())
    async with app:
        await asyncio.sleep(1)
    assert told[0] == "class started"
    assert set(told) == {"class started", "worked", "instance started", "class stopped"}


# -- several apps, threads, restarts --------------------------------------------------


@virtual
async def test_several_apps_live_in_one_process(world: World) -> None:
    one, other = world.app("one"), world.app("other")
    seen_one: list[int] = []
    seen_other: list[int] = []
    collector(one, seen_one)
    collector(other, seen_other)
    async with one, other:
        await send_all(numbers(one), range(5), partition=0)
        await until(lambda: len(seen_one) == len(seen_other) == 5)
    assert world.committed("one") == world.committed("other")


@virtual
async def test_an_app_can_be_started_again(world: World) -> None:
    app, seen = world.app(), []
    collector(app, seen)
    counts = app.Table("counts", default=int, partitions=2, key_type=str, value_type=int)

    @app.agent(numbers(app), name="count")
    async def count(values: Any) -> None:
        async for value in values:
            counts["all"] += value

    for turn in range(3):
        async with app:
            await send_all(numbers(app), [turn], partition=0)
            await until(lambda: app.committed_position(NUMBERS) == len(seen))
            await until(lambda turn=turn: counts["all"] == sum(range(turn + 1)))
    assert seen == [0, 1, 2]


@virtual
async def test_an_agent_that_begins_to_forward_late_is_still_served(world: World) -> None:
    app, seen = world.app(), []
    other = app.topic("other", value_type=int, partitions=1, internal=True)

    @app.agent(numbers(app))
    async def process(values: Any) -> None:
        await asyncio.sleep(20)
        async for value in values.through(other):
            seen.append(value)

    async with app:
        await send_all(numbers(app), range(3))
        await until(lambda: len(seen) == 3)
    assert sorted(seen) == [0, 1, 2]


def real_app(world: World) -> faust.App:
    return faust.App(
        "threads",
        broker=f"memory://{world.name}",
        web_enabled=False,
        topic_partitions=4,
        datadir=str(world.directory),
    )


def test_eight_threads_send_at_once_and_everything_arrives(world: World) -> None:
    async def main() -> None:
        app, seen = real_app(world), []
        topic = app.topic("numbers", value_type=int)
        all_there = asyncio.Event()

        @app.agent(topic)
        async def collect(values: Any) -> None:
            async for value in values:
                seen.append(value)
                if len(seen) == 8 * 200:
                    all_there.set()

        def send(thread: int) -> list[int]:
            sent = [topic.send_soon(thread * 1000 + n, key=str(thread)) for n in range(200)]
            return [future.result(timeout=90).offset for future in sent]

        async with app:
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(8) as pool:
                answers = await asyncio.gather(
                    *(loop.run_in_executor(pool, send, thread) for thread in range(8))
                )
            async with asyncio.timeout(90):
                await all_there.wait()
        for offsets in answers:
            assert offsets == sorted(offsets)
        assert sorted(seen) == sorted(t * 1000 + n for t in range(8) for n in range(200))

    asyncio.run(main())


def test_a_thread_without_a_loop_reads_a_table_while_it_changes(world: World) -> None:
    async def main() -> None:
        app = real_app(world)
        topic = app.topic("numbers", value_type=int)
        counts = app.Table("counts", default=int, key_type=str, value_type=int)
        done, failures = threading.Event(), []

        @app.agent(topic)
        async def count(values: Any) -> None:
            async for value in values:
                counts[str(value % 50)] += 1

        def read() -> None:
            while not done.is_set():
                try:
                    assert sum(dict(counts.items()).values()) >= 0
                    counts.get("7")
                except Exception as exc:
                    failures.append(exc)
                    return

        async with app:
            readers = [threading.Thread(target=read) for _ in range(4)]
            for reader in readers:
                reader.start()
            for n in range(2000):
                await topic.send(n)
            async with asyncio.timeout(90):
                while sum(dict(counts.items()).values()) < 2000:  # noqa: ASYNC110 - real time
                    await asyncio.sleep(0.01)
            done.set()
            for reader in readers:
                await asyncio.to_thread(reader.join)
        assert not failures

    asyncio.run(main())


@virtual
async def test_what_is_sent_soon_before_the_start_goes_out_with_it(world: World) -> None:
    app, seen = world.app(), []
    collector(app, seen)
    sent = numbers(app).send_soon(7, partition=0)
    assert not sent.done()
    async with app:
        assert (await sent).topic_partition == NUMBERS
        await until(lambda: seen)
    assert seen == [7]
