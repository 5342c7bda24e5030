"""Asking agents through real brokers: Kafka, and the SQLite one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.agents import AgentError, AskTimeout

pytestmark = [pytest.mark.timeout(300)]
_numbers = itertools.count()


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], faust.App]:
    """Return what makes apps with one id and one broker, each with an agent ``double``."""
    number = next(_numbers)
    kafka = request.param == "kafka"
    url = request.getfixturevalue("kafka").url if kafka else f"sqlite:///{tmp_path / 'log.db'}"

    def made() -> faust.App:
        app = faust.App(
            f"rpc-{request.param}-{number}", broker=url, web_enabled=False, topic_partitions=2,
            datadir=str(tmp_path / "data"), agent_error_policy="skip",
            broker_commit_interval=0.2,
        )  # fmt: skip

        @app.agent(name="double")
        async def double(values: Any) -> Any:
            async for value in values:
                if value == "bad":
                    raise ValueError("bad")
                if value != "quiet":
                    yield 2 * value

        return app

    return made


@asynccontextmanager
async def client_of(make: Callable[[], faust.App]) -> AsyncIterator[faust.App]:
    client = make()
    await client.start_client()
    try:
        yield client
    finally:
        await client.stop()


async def topics(app: faust.App) -> set[str]:
    connection: Any = app.connection
    return set(await connection.bridge.call_io(connection.transport.topics, None))


def test_a_client_asks_a_worker_and_leaves_no_topic(make: Callable[[], faust.App]) -> None:
    async def main() -> None:
        worker = make()
        async with worker:
            async with client_of(make) as client:
                double: Any = client.agents["double"]
                assert await double.ask(4, timeout=60) == 8
                with pytest.raises(AgentError, match="ValueError: bad"):
                    await double.ask("bad", timeout=60)
                with pytest.raises(AskTimeout):
                    await double.ask("quiet", timeout=0.2)
                assert await double.join(range(10_000), timeout=110) == list(range(0, 20_000, 2))
                assert len(client._replies) == 0
                gone = client.conf.reply_to
                assert gone in await topics(worker)
            here: Any = worker.agents["double"]
            assert await here.ask(1, timeout=60) == 2
            while gone in await topics(worker):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.1)
            await here.send(1, reply_to=gone)
            while not here.answers.dropped:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
            assert here.answers.dropped == 1
            assert await here.ask(2, timeout=60) == 4
            assert gone not in await topics(worker)
        assert worker.failure is None

    asyncio.run(main())


def test_a_reply_topic_deleted_by_somebody_is_made_again(make: Callable[[], faust.App]) -> None:
    async def main() -> None:
        async with make() as worker, client_of(make) as client:
            double: Any = client.agents["double"]
            assert await double.ask(4, timeout=60) == 8
            pending = await double.ask_nowait("quiet", timeout=3)
            connection: Any = worker.connection
            await connection.bridge.call_io(connection.transport.delete_topic, client.conf.reply_to)
            for _ in range(100):
                try:
                    assert await double.ask(5, timeout=1) == 10
                    break
                except AskTimeout:  # it was answered into the topic that was being deleted
                    continue
            else:
                pytest.fail("no answer arrived through the new topic")
            with pytest.raises(AskTimeout):
                await pending
            assert len(client._replies) == 0

    asyncio.run(main())


def test_a_client_in_two_event_loops(make: Callable[[], faust.App]) -> None:
    client = make()

    async def main(number: int) -> None:
        async with make():
            await client.start_client()
            assert await client.agents["double"].ask(number, timeout=60) == 2 * number
            await client.stop()

    asyncio.run(main(1))
    asyncio.run(main(2))
