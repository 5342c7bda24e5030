"""Apps in one process do not touch each other; clients and producers run less than workers."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mode import Service

import faust
from faust.exceptions import AgentFailed
from faust.transport.drivers.memory import forget_broker

_numbers = itertools.count()


@pytest.fixture
def options(tmp_path: Path) -> Iterator[dict[str, Any]]:
    name = f"apart-{next(_numbers)}"
    yield {
        "broker": f"memory://{name}",
        "web_enabled": False,
        "datadir": str(tmp_path),
        "topic_partitions": 1,
    }
    forget_broker(name)


class Counter:
    """An app that counts what it reads, and notes who told it what.

    Arguments:
        id: Of the app; agents, tables and topics are named alike in all of them.
    """

    def __init__(self, id: str, options: dict[str, Any]) -> None:
        self.app = faust.App(id, **options)
        self.told: list[str] = []
        self.table: Any = self.app.Table("counts", default=int, key_type=str, value_type=int)
        numbers = self.app.topic(f"{id}-numbers", value_type=int, internal=True)
        table = self.table

        @self.app.agent(numbers, name="count")
        async def count(stream: Any) -> Any:
            async for number in stream:
                table["all"] += number
                yield table["all"]

        self.count: Any = count
        self.app.on_rebalance_complete.connect(lambda app, **kw: self.told.append(app.conf.id))
        self.app.command(name=f"only-{id}")(lambda: None)


async def lives(counter: Counter, times: int) -> int:
    """Run an app, and ask its agent so often; return the last answer."""
    async with counter.app:
        answer = 0
        for _ in range(times):
            answer = await counter.count.ask(1)
        assert counter.table["all"] == times
        assert counter.app.monitor.events_total == times
        return answer


def check_apart(one: Counter, other: Counter) -> None:
    assert one.told == [one.app.conf.id]
    assert other.told == [other.app.conf.id]
    for part in ("monitor", "tables", "topics", "producer", "consumer", "sensors", "conf"):
        assert getattr(one.app, part) is not getattr(other.app, part)
    names = [[command.command_name() for command in c.app.registry.commands] for c in (one, other)]
    assert names == [[f"only-{one.app.conf.id}"], [f"only-{other.app.conf.id}"]]
    assert one.table.changelog_topic_name != other.table.changelog_topic_name


def test_apps_in_one_event_loop_do_not_touch_each_other(options: dict[str, Any]) -> None:
    """Agents, tables and commands are named alike; each counts its own."""
    one, other = Counter("one", options), Counter("other", options)

    async def main() -> tuple[int, int]:
        return await asyncio.gather(lives(one, 3), lives(other, 5))

    assert tuple(asyncio.run(main())) == (3, 5)
    check_apart(one, other)


def test_an_app_that_fails_leaves_the_other_running(options: dict[str, Any]) -> None:
    one, other = Counter("one", options), Counter("other", options)

    async def main() -> int:
        async with other.app:
            async with one.app:
                one.app.on_crash(RuntimeError("only this one"))
                await one.app.failed.wait()
                assert one.app.failure is not None
            assert other.app.failure is None
            answer: int = await other.count.ask(7)
            return answer

    assert asyncio.run(main()) == 7


def test_an_app_that_fails_where_no_worker_ends_with_it_says_so(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """In a web framework's loop the process lives on; its log tells that the app does not work."""
    app = faust.App("embedded", agent_error_retries=0, **options)

    @app.agent()
    async def refuse(stream: Any) -> None:
        async for _ in stream:
            raise ValueError("never")

    async def main() -> None:
        async with app, asyncio.timeout(90):
            await refuse.cast("x")
            await app.failed.wait()

    with pytest.raises(AgentFailed):
        asyncio.run(main())
    (told,) = [r.getMessage() for r in caplog.records if "has failed" in r.getMessage()]
    assert told.startswith("App embedded has failed, and no worker ends with it")
    assert "partition 0 offset 0 key None: ValueError: never" in told


def failing(options: dict[str, Any]) -> faust.App:
    app = faust.App("block", **options)

    @app.agent()
    async def idle(stream: Any) -> None:
        async for _ in stream:
            pass

    return app


def test_a_block_whose_app_has_failed_ended_as_if_nothing_were(options: dict[str, Any]) -> None:
    app = failing(options)

    async def main() -> None:
        async with app:
            app.on_crash(LookupError("lost"))

    with pytest.raises(LookupError, match="lost"):
        asyncio.run(main())


def test_a_block_that_could_not_be_entered_left_its_connection_open(
    options: dict[str, Any],
) -> None:
    """Nobody stopped what had been started: its thread went on, as a member of the group."""
    app = failing(options)

    @app.on_partitions_assigned.connect
    async def refuse(sender: Any, assigned: Any, **kwargs: Any) -> None:
        raise LookupError("no partitions, please")

    async def main() -> None:
        async with app:
            await app.failed.wait()

    with pytest.raises(LookupError, match="no partitions, please"):
        asyncio.run(main())
    assert "faust-io" not in {thread.name for thread in threading.enumerate()}


def test_a_failure_that_was_read_is_not_raised_at_the_end_of_the_block(
    options: dict[str, Any],
) -> None:
    app = failing(options)

    async def main() -> BaseException | None:
        async with app:
            assert app.failure is None
            app.on_crash(LookupError("lost"))
            return app.failure

    assert isinstance(asyncio.run(main()), LookupError)


def test_an_exception_of_the_block_goes_before_the_failure_of_its_app(
    options: dict[str, Any],
) -> None:
    app = failing(options)

    async def main() -> None:
        async with app:
            app.on_crash(LookupError("lost"))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())


def test_an_app_that_is_started_again_has_not_failed(options: dict[str, Any]) -> None:
    app = failing(options)

    async def main() -> None:
        with pytest.raises(LookupError):
            async with app:
                app.on_crash(LookupError("lost"))
        async with app:
            assert app.failure is None

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["client_only", "producer_only"])
def test_who_only_sends_runs_no_agents_and_a_client_nothing_else(
    options: dict[str, Any], mode: str
) -> None:
    """A client has no tasks, timers and services of the worker (pitfalls C5)."""
    counter, ran = Counter("sends", options), list[str]()
    app = counter.app
    setattr(app, mode, True)

    @app.task
    async def task() -> None:
        ran.append("task")

    @app.service
    class Serving(Service):
        async def on_start(self) -> None:
            ran.append("service")

    async def main() -> None:
        async with app:
            assert app.engine is None
            await (await counter.count.send(value=1))
            await asyncio.sleep(0)

    asyncio.run(main())
    assert sorted(ran) == ([] if mode == "client_only" else ["service", "task"])
    assert counter.told == []  # there was no rebalance


def test_a_client_asks_a_worker(options: dict[str, Any]) -> None:
    worker, client = Counter("same", options), Counter("same", options)

    async def main() -> int:
        async with worker.app:
            await client.app.start_client()
            await client.app.maybe_start_client()
            answer: int = await client.count.ask(4)
            assert client.app.connection is not None
            await client.app.connection.close()
            return answer

    assert asyncio.run(main()) == 4
