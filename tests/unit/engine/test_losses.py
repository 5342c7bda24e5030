"""What could not be delivered and nobody has asked for is never silent, and takes nothing along."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

from faust._core.threads import LoopBridge
from faust._engine.deliveries import LateMessage
from faust._engine.losses import Losses
from faust._engine.outbox import Outbox
from faust.exceptions import BrokerUnavailable, ProducerSendError, TopicAuthorizationFailed
from faust.testing.clock import VirtualClock
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


# -- before the start and after the end ------------------------------------------------------------


class SlowProducer:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Any]] = []

    def produce(self, tp: Any, builder: Any) -> asyncio.Future[Any]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


async def of_a_worker() -> tuple[Outbox, Any, SlowProducer]:
    """Return a worker's outbox, a topic with one partition, and what sends."""
    clock, producer, bridge = VirtualClock.current(), SlowProducer(), LoopBridge()
    outbox = Outbox(clock, linger=0.01, batch_size=1 << 12, compression=None, describe=str)
    await bridge.start()
    outbox.losses.final = True
    outbox.start(bridge, producer)  # type: ignore[arg-type]  # as much of a producer as is needed
    outbox.learn("numbers", 1, "")
    return outbox, outbox.target("numbers"), producer


@virtual
async def test_what_is_given_to_send_soon_after_the_end_waited_in_silence(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app()
    topic = app.topic("numbers", internal=True, value_type=int)
    await app.start_client()
    await send_all(topic, [1])
    await app.stop()
    late = [topic.send_soon(value=number) for number in (2, 3)]
    (told,) = [r.getMessage() for r in caplog.records if r.name == "faust._engine.outbox"]
    assert "after the app had stopped: messages to topic numbers wait" in told
    await app.start_client()
    assert [(await each).offset for each in late] == [1, 2]
    await app.stop()


@virtual
async def test_what_send_soon_was_given_before_a_start_that_fails_was_lost_in_silence(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app(broker_unavailable_timeout=1.0)
    early = app.topic("numbers", value_type=int).send_soon(value=1)
    world.broker.faults.make_unavailable()
    with pytest.raises(BrokerUnavailable):
        await app.start()
    await app.stop()
    with pytest.raises(ProducerSendError, match="stopped before it had a connection"):
        await early
    assert "send_soon() was given for topic numbers is lost" in caplog.text


@virtual
async def test_a_message_that_comes_while_the_connection_is_closed_was_lost_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox, target, _ = await of_a_worker()
    sent: list[Any] = []

    def send() -> None:
        sent.append(outbox.append_soon(target, 0, None, b"v", None, None))

    def send_in_a_thread() -> None:
        other = threading.Thread(target=send)
        other.start()
        other.join()

    send_in_a_thread()  # its turn comes when the outbox has ended
    await outbox.stop()
    send_in_a_thread()
    send()
    await asyncio.sleep(0)
    for each in sent:
        assert isinstance(each, LateMessage)
        with pytest.raises(ProducerSendError, match="the app has stopped sending"):
            await each
    assert caplog.text.count("is lost: the app has stopped sending") == 3


@virtual
async def test_what_a_worker_loses_after_its_last_check_is_not_lost_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No commit comes that would find it; where the broker is away, nobody waits for answers."""
    outbox, target, producer = await of_a_worker()
    outbox.append(target, 0, None, b"v", None, None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5.0):
            await outbox.stop()
    assert said(caplog) == []
    producer.answers[0].set_exception(BrokerUnavailable("gone"))
    await asyncio.sleep(0.1)
    (told,) = said(caplog)
    assert told.startswith("1 messages to topic numbers could not be delivered before the app end")
    assert told.endswith(": gone")


def test_failures_that_somebody_might_have_asked_for_are_said_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    losses, why = Losses(), ProducerSendError("no such topic")
    losses.final = True
    asked = LateMessage(None, 0, 0)
    losses.may_be("numbers", LateMessage(None, 0, 0).fail(why))
    losses.may_be("numbers", asked.fail(why))
    asked.claim()
    losses.close()
    losses.may_be("numbers", LateMessage(None, 0, 0).fail(why))
    first, second = said(caplog)
    assert first.startswith("1 messages to topic numbers")
    assert second.startswith("1 messages to topic numbers")


def test_what_ends_the_app_is_not_said_again_by_what_follows_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    losses = Losses()
    losses.final = True
    losses.add("numbers", 1, ProducerSendError("gone"))
    with pytest.raises(ProducerSendError):
        losses.check()
    losses.add("numbers", 5, ProducerSendError("gone"))
    losses.close()
    assert said(caplog) == []
