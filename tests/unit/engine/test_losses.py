"""What could not be delivered and nobody has asked for is never silent, and takes nothing along."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

from faust.exceptions import ProducerSendError, TopicAuthorizationFailed
from tests.support.virtual_time import send_all, until, virtual


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def refuse(world: World, topic: str) -> None:
    """Let the broker refuse what is sent to a topic."""

    def before(request: Any) -> None:
        if request.kind == "produce" and request.subject.topic == topic:
            raise TopicAuthorizationFailed("no right to write")

    world.broker.faults.before = before


async def refused_client(world: World) -> tuple[Any, Any]:
    """Return a client, and a topic that it may not write to any more."""
    app = world.app()
    forbidden = app.topic("forbidden", internal=True, value_type=int)
    await app.start_client()
    await send_all(forbidden, [1])
    refuse(world, "forbidden")
    return app, forbidden


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "faust._engine.losses"]


@virtual
async def test_a_client_goes_on_sending_after_a_message_that_nobody_asked_for_was_lost(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app()
    forbidden = app.topic("forbidden", internal=True, value_type=int)
    free = app.topic("free", internal=True, value_type=int)
    await app.start_client()
    await send_all(free, [1])
    await send_all(forbidden, [1])
    refuse(world, "forbidden")
    for number in range(20):
        await forbidden.send(value=number)
        await asyncio.sleep(0.1)
    await send_all(free, [2])
    world.broker.faults.before = None
    await send_all(forbidden, [3])
    assert not app.failed.is_set()
    await asyncio.sleep(10)
    await app.stop()
    told = said(caplog)
    assert len(told) == 2, told
    assert told[0].startswith("1 messages to topic forbidden could not be delivered, and are lost")
    assert told[1].startswith("19 messages to topic forbidden")
    assert "no right to write" in told[0]


@virtual
async def test_what_a_client_has_lost_is_said_at_the_latest_when_it_stops(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app, forbidden = await refused_client(world)
    for number in range(3):
        await forbidden.send(value=number)
        await asyncio.sleep(0.1)
    await app.stop()
    assert said(caplog)[1:] == ["2 more messages to topic forbidden are lost"]


@virtual
async def test_a_client_whose_messages_are_asked_for_says_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app, forbidden = await refused_client(world)
    with pytest.raises(ProducerSendError, match="no right to write"):
        await (await forbidden.send(value=1))
    await app.stop()
    assert said(caplog) == []


@virtual
async def test_a_worker_that_is_idle_ends_over_a_lost_message_as_one_that_works(
    world: World,
) -> None:
    """It was noticed by the next commit of something, and there was none."""
    app = world.app()
    topic = app.topic("numbers", internal=True, value_type=int)
    forbidden = app.topic("forbidden", internal=True, value_type=int)

    @app.agent(topic)
    async def process(numbers: Any) -> None:
        async for _ in numbers:
            pass

    async def work() -> None:
        async with app:
            await send_all(forbidden, [1])
            refuse(world, "forbidden")
            await forbidden.send(value=1)
            await until(app.failed.is_set)

    with pytest.raises(ProducerSendError, match="'forbidden' could not be delivered: no right"):
        await work()


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("is_worker", [False, True])
@virtual
async def test_a_message_whose_topic_cannot_be_found_is_not_lost_in_silence(
    world: World, caplog: pytest.LogCaptureFixture, is_worker: bool, guarantee: str
) -> None:
    """`send_soon` returns before anybody knows whether there is such a topic."""
    app = world.app(processing_guarantee=guarantee)
    topic = app.topic("numbers", internal=True, value_type=int)
    lost = app.topic("lost", value_type=int)

    @app.agent(topic)
    async def process(numbers: Any) -> None:
        async for _ in numbers:
            pass

    def before(request: Any) -> None:
        if request.kind == "auto_create" and request.subject == "lost":
            raise TopicAuthorizationFailed("no right to see")

    async def use() -> None:
        world.broker.faults.before = before
        lost.send_soon(value=1)
        await asyncio.sleep(5)
        asked = lost.send_soon(value=1)
        with pytest.raises(ProducerSendError, match="no right to see"):
            await asked

    async def work() -> None:
        async with app:
            await use()
            await until(app.failed.is_set)

    if is_worker:
        with pytest.raises(ProducerSendError, match="topic 'lost'"):
            await work()
    else:
        await app.start_client()
        await use()
        await app.stop()
        (told,) = said(caplog)
        assert told.startswith("1 messages to topic lost could not be delivered, and are lost")
