"""One app and eight threads that configure, declare, send, ask, read and connect at once."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.transport.drivers.memory import forget_broker

_numbers = itertools.count()
THREADS = 8
#: Seconds after which what has not come is not expected any more.
PATIENCE = 60.0


@pytest.fixture(params=["memory", "sqlite"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[faust.App]:
    name = f"threads-{next(_numbers)}"
    broker = f"memory://{name}" if request.param == "memory" else f"sqlite:///{tmp_path}/b.db"
    yield faust.App(
        "threads", broker=broker, web_enabled=False, topic_partitions=2, datadir=str(tmp_path)
    )
    forget_broker(name)


def at_once(work: Callable[[int], None]) -> None:
    """Let eight threads work at the same time; raise what one of them has raised."""
    barrier, errors = threading.Barrier(THREADS), []

    def run(number: int) -> None:
        try:
            barrier.wait(PATIENCE)
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    for error in errors:
        raise error


@pytest.mark.parametrize("again", range(20))
def test_an_app_is_configured_once_however_many_ask(again: int) -> None:
    app, told = faust.App(f"once-{again}", web_enabled=False), []
    app.on_configured.connect(lambda app, conf, **kwargs: told.append(conf))
    found: list[Any] = []

    def work(number: int) -> None:
        found.append(app.conf)
        found.append(app.topic(f"topic-{number}").app.conf)
        app.on_after_configured.connect(lambda app, **kwargs: None)

    at_once(work)
    assert len(told) == 1
    assert {id(conf) for conf in found} == {id(app.conf)}


def test_parts_of_an_app_are_made_once_however_many_ask() -> None:
    for again in range(10):
        app = faust.App(f"parts-{again}", web_enabled=False)
        found: list[list[Any]] = []

        def work(number: int, app: faust.App = app, found: list[Any] = found) -> None:
            found.append([app.tables, app.topics, app.monitor, app.serializers, app.router])

        at_once(work)
        assert len({tuple(map(id, parts)) for parts in found}) == 1


@pytest.mark.parametrize("again", range(3))
def test_eight_threads_use_a_running_app(app: faust.App, again: int) -> None:
    """Everything sent is handled once, every question gets its own answer, tables can be read.

    (pitfalls C65)
    """
    totals = app.Table("totals", default=int, key_type=str, value_type=int)
    numbers = app.topic("numbers", key_type=str, value_type=int, internal=True)
    refused: list[Exception] = []

    @app.agent(numbers, name="double")
    async def double(stream: Any) -> Any:
        async for key, number in stream.items():
            totals[key] += number
            yield 2 * number

    def work(number: int) -> None:
        key = f"k{number}"
        mine = app.topic(f"numbers-{number}", key_type=str, value_type=int, internal=True)
        app.on_produce_message.connect(lambda *args, **kwargs: None)
        sent = [numbers.send_soon(value=n, key=key) for n in range(50)]
        offsets = [each.result(timeout=PATIENCE).offset for each in sent]
        assert offsets == sorted(offsets)

        async def ask() -> list[int]:
            sent = await (await mine.send(value=1, key=key))
            assert sent.topic == f"numbers-{number}"
            return [await double.ask(n, key=key) for n in range(5)]

        assert asyncio.run(ask()) == [0, 2, 4, 6, 8]
        assert totals[key] == sum(range(50)) + sum(range(5))
        assert app.conf.id == "threads"
        try:
            totals[key] = 0
        except Exception as error:
            refused.append(error)

    async def main() -> None:
        async with app:
            await asyncio.to_thread(at_once, work)
            assert {key: totals[key] for key in (f"k{n}" for n in range(THREADS))} == {
                f"k{n}": 1235 for n in range(THREADS)
            }

    asyncio.run(main())
    assert len(refused) == THREADS
    assert all("totals" in str(error) for error in refused)


def test_a_thread_without_a_loop_sends_before_the_app_runs(app: faust.App) -> None:
    """What is given to ``send_soon`` early goes out when the app starts."""
    topic = app.topic("early", value_type=int, internal=True)
    seen: list[int] = []
    all_seen = asyncio.Event()

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)
            if len(seen) == THREADS:
                all_seen.set()

    early: list[Any] = []
    at_once(lambda number: early.append(topic.send_soon(value=number)))

    async def main() -> None:
        async with app:
            for each in early:
                await asyncio.to_thread(each.result, PATIENCE)
            await asyncio.wait_for(all_seen.wait(), PATIENCE)

    asyncio.run(main())
    assert sorted(seen) == list(range(THREADS))


def test_apps_in_loops_of_their_own_do_not_touch_each_other(tmp_path: Path) -> None:
    """Eight apps with one id space each, in eight threads: each has its tables and its monitor."""
    name = f"threads-{next(_numbers)}"
    results: dict[int, Any] = {}

    async def live(number: int) -> None:
        app = faust.App(
            f"own-{number}", broker=f"memory://{name}", web_enabled=False, topic_partitions=1,
            datadir=str(tmp_path / str(number)),
        )  # fmt: skip
        table = app.Table("counts", default=int, key_type=str, value_type=int)
        told: list[Any] = []
        app.on_partitions_assigned.connect(lambda app, assigned, **kw: told.append(app.conf.id))

        @app.agent(app.topic(f"own-{number}", value_type=int, internal=True), name="add")
        async def add(stream: Any) -> Any:
            async for value in stream:
                table["all"] += value
                yield table["all"]

        async with app:
            for value in range(number + 1):
                await add.ask(value)
            results[number] = (table["all"], app.monitor.events_total, set(told))

    at_once(lambda number: asyncio.run(live(number)))
    forget_broker(name)
    assert results == {n: (sum(range(n + 1)), n + 1, {f"own-{n}"}) for n in range(THREADS)}


def test_the_future_of_a_failed_send_tells_the_thread_why(app: faust.App) -> None:
    topic = app.topic("typed", value_type=int, internal=True, partitions=1)

    def send(failed: Future[str]) -> None:
        try:
            topic.send_soon(value=1, partition=7).result(timeout=PATIENCE)
        except Exception as error:
            failed.set_result(str(error))

    async def main() -> str:
        async with app:
            failed: Future[str] = Future()
            thread = threading.Thread(target=send, args=(failed,))
            thread.start()
            await asyncio.to_thread(thread.join, PATIENCE)
            return failed.result(timeout=1)

    assert "no partition 7" in asyncio.run(main())


def test_threads_that_send_at_once_make_one_connection(app: faust.App) -> None:
    """Nobody has started the app: the first connects, in its loop, the others wait for it."""
    topic = app.topic("first", value_type=int, internal=True, partitions=1)
    done, sent = threading.Barrier(THREADS), []

    def work(number: int) -> None:
        async def send() -> None:
            sent.append(await (await topic.send(value=number)))
            await asyncio.to_thread(done.wait, PATIENCE)
            if app._main_loop is asyncio.get_running_loop():
                assert app.connection is not None
                await app.connection.close()

        asyncio.run(send())

    at_once(work)
    assert sorted(each.offset for each in sent) == list(range(THREADS))
