"""Asking agents: time-outs, exceptions that travel, callers that have gone, topics that vanish."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from vocabulary_world import World, fails, until, virtual

import faust
from faust.agents import AgentError, AskTimeout
from faust.agents.models import ReqRepResponse
from faust.exceptions import BrokerUnavailable, FaustError
from faust.testing.clock import run_virtual


def doubler(app: faust.App, **options: Any) -> Any:
    @app.agent(name="double", **options)
    async def double(values: Any) -> Any:
        async for value in values:
            yield 2 * value

    return double


def mute(app: faust.App) -> Any:
    @app.agent(name="mute")
    async def silent(values: Any) -> Any:
        async for value in values:
            if value is None:
                yield value

    return silent


# -- time-outs -----------------------------------------------------------------------------------


@virtual
async def test_a_time_out_names_agent_topic_and_seconds(world: World) -> None:
    """(pitfalls C3)"""
    app = world.app()
    silent = mute(app)
    async with app:
        began = app.clock.monotonic()
        with pytest.raises(AskTimeout) as caught:
            await silent.ask(1, timeout=timedelta(seconds=3))
        assert 3 <= app.clock.monotonic() - began < 4
        assert len(app._replies) == 0
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.agent, error.topic, error.seconds) == ("mute", "shop-mute", 3)
    assert "agent 'mute' has not answered within 3 seconds" in str(error)
    assert "topic 'shop-mute'" in str(error)


@virtual
async def test_without_a_timeout_the_setting_says_how_long(world: World) -> None:
    app = world.app(reply_timeout=7)
    silent = mute(app)
    async with app:
        with pytest.raises(AskTimeout, match="7 seconds"):
            await silent.ask(1)
        promise = await silent.ask_nowait(1)
        with pytest.raises(AskTimeout, match="7 seconds"):
            await promise
        with pytest.raises(AskTimeout, match="7 seconds"):
            await silent.join([1, 2])
        with pytest.raises(AskTimeout, match="2 seconds"):
            [x async for x in silent.map([1, 2], timeout=2)]
        assert len(app._replies) == 0


def test_an_ask_waits_as_long_as_answers_are_kept_unless_told_otherwise() -> None:
    assert faust.App("shop").conf.reply_timeout == 86400
    assert faust.App("shop", reply_expires=60).conf.reply_timeout == 60
    assert faust.App("shop", reply_timeout=5).conf.reply_timeout == 5


@virtual
async def test_nobody_running_the_agent_is_a_time_out_too(world: World) -> None:
    client = world.app()
    double = doubler(client)
    await client.start_client()
    with pytest.raises(AskTimeout):
        await double.ask(1, timeout=5)
    await client.stop()


@virtual
async def test_the_first_ask_does_not_wait_for_anything_but_its_answer(world: World) -> None:
    """(pitfalls C4)"""
    app = world.app()
    double = doubler(app)
    async with app:
        began = app.clock.monotonic()
        assert await double.ask(1) == 2
        assert app.clock.monotonic() - began < 0.5


# -- exceptions -----------------------------------------------------------------------------------


@virtual
async def test_the_exception_travels_with_type_message_and_traceback(world: World) -> None:
    app = world.app(agent_error_policy="skip")

    @app.agent(name="divide")
    async def divide(values: Any) -> Any:
        async for value in values:
            yield 10 / value

    async with app:
        with pytest.raises(AgentError) as caught:
            await divide.ask(0, timeout=10)
        assert await divide.ask(5, timeout=10) == 2
    error = caught.value
    assert (error.kind, error.message, error.agent) == (
        "ZeroDivisionError", "division by zero", "divide",
    )  # fmt: skip
    assert "yield 10 / value" in error.traceback
    assert error.traceback in error.__notes__[0]
    assert str(error) == "agent 'divide' raised ZeroDivisionError: division by zero"


@virtual
async def test_an_event_that_succeeds_at_the_third_try_is_answered_then(world: World) -> None:
    app, tries = world.app(), Counter[int]()

    @app.agent()
    async def moody(values: Any) -> Any:
        async for value in values:
            tries[value] += 1
            if tries[value] < 3:
                raise ValueError("not yet")
            yield value

    async with app:
        assert await moody.ask(5, timeout=60) == 5
        assert app._replies.ignored == 0
    assert tries == {5: 3}


@virtual
async def test_an_event_that_is_given_up_tells_its_caller_before_the_worker_stops(
    world: World,
) -> None:
    app, client = world.app(agent_error_retries=2), world.app("client")
    tries = []

    @app.agent("work")
    async def broken(values: Any) -> Any:
        async for value in values:
            tries.append(value)
            raise KeyError(value)
            yield

    @client.agent("work", name="broken")
    async def asked(values: Any) -> Any:
        yield 0

    await client.start_client()
    async with app:
        with pytest.raises(AgentError, match="KeyError: 'a'"):
            await asked.ask("a", timeout=60)
        assert "failed 3 times" in str(await fails(app))
    assert tries == ["a", "a", "a"]
    await client.stop()


@virtual
async def test_join_ends_with_the_first_exception_and_waits_for_no_other(world: World) -> None:
    app = world.app(agent_error_policy="skip")

    @app.agent()
    async def picky(values: Any) -> Any:
        async for value in values:
            if value == 2:
                raise ValueError("two")
            if value != 3:
                yield value

    async with app:
        with pytest.raises(AgentError, match="ValueError: two"):
            await picky.join([1, 2, 3], key="k")
        with pytest.raises(AgentError, match="ValueError: two"):
            [x async for x in picky.map([1, 2, 3], key="k")]
        await asyncio.sleep(0)
        assert len(app._replies) == 0


@virtual
async def test_a_map_that_is_left_early_leaves_nothing_behind(world: World) -> None:
    app = world.app()
    double = doubler(app)
    async with app:
        answers = double.map(range(100))
        assert await anext(answers) in range(0, 200, 2)
        await answers.aclose()
        await asyncio.sleep(0)  # futures tell that they are done in the loop's next turn
        assert len(app._replies) == 0
        assert await double.ask(1) == 2


# -- answers that nobody takes ---------------------------------------------------------------


@virtual
async def test_answers_to_a_caller_that_has_gone_are_dropped_and_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app, client = world.app(), world.app()
    double, asked = doubler(app), doubler(client)
    seen = []
    double.add_sink(seen.append)
    await client.start_client()
    async with app:
        assert await asked.ask(1) == 2
        await client.stop()
        assert client.conf.reply_to not in world.broker.describe(None)
        with caplog.at_level(logging.WARNING):
            for n in range(5):
                await double.send(n, reply_to=client.conf.reply_to)
            await until(lambda: len(seen) == 6)
            await asyncio.sleep(2)
        assert double.answers.dropped == 5
        said = [r.message for r in caplog.records if "an answer was dropped" in r.message]
        assert len(said) == 3, "at 1, 2 and 4"
        assert client.conf.reply_to not in world.broker.describe(None), "made for nobody"
        assert client.conf.reply_to not in app.outbox._targets
        assert await double.ask(4) == 8
        assert app.failure is None
        await until(lambda: sum(world.committed().values()) == 7)


@virtual
async def test_a_second_answer_is_ignored_and_counted(world: World) -> None:
    """(pitfalls C3)"""
    app = world.app()

    @app.agent()
    async def twice(values: Any) -> Any:
        async for value in values:
            yield value
            yield -value

    async with app:
        for n in range(1, 6):
            assert await twice.ask(n) == n
        await until(lambda: app._replies.ignored == 5)
        reply = ReqRepResponse(key=None, value=1, correlation_id="unknown")
        await app.topic(app.conf.reply_to).send(value=reply)
        await until(lambda: app._replies.ignored == 6)
        assert len(app._replies) == 0


# -- the reply topic -------------------------------------------------------------------------


@virtual
async def test_a_reply_topic_with_a_drawn_name_ends_with_the_app(world: World) -> None:
    app = world.app()
    double = doubler(app)
    for _ in range(2):  # the second time it is made again
        async with app:
            assert await double.ask(1) == 2
            assert app.conf.reply_to in world.broker.describe(None)
        assert app.conf.reply_to not in world.broker.describe(None)


@virtual
async def test_a_reply_topic_that_was_named_stays(world: World) -> None:
    app = world.app(reply_to="answers")
    double = doubler(app)
    async with app:
        assert await double.ask(1) == 2
        assert await double.ask(1, reply_to="others") == 2
    assert {"answers", "others"} <= set(world.broker.describe(None))


@virtual
async def test_a_reply_topic_that_is_deleted_is_made_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app()
    double, silent = doubler(app), mute(app)
    async with app:
        assert await double.ask(1) == 2
        pending = await silent.ask_nowait(1, timeout=30)
        world.broker.delete_topic(app.conf.reply_to)
        await until(lambda: app.conf.reply_to in world.broker.describe(None))
        assert "was deleted: it is made again" in caplog.text
        assert await double.ask(2, timeout=10) == 4
        assert await double.join(range(10), timeout=10) == list(range(0, 20, 2))
        with pytest.raises(AskTimeout):
            await pending
        assert len(app._replies) == 0


@virtual
async def test_asks_that_wait_when_the_app_stops_end(world: World) -> None:
    app = world.app()
    silent = mute(app)
    async with app:
        promise = await silent.ask_nowait(1)
    with pytest.raises(FaustError, match="stopped before the answer came"):
        await promise


# -- who asks --------------------------------------------------------------------------------


@virtual
async def test_ten_thousand_are_outstanding_at_once(world: World) -> None:
    """(pitfalls C2)"""
    app = world.app()
    double = doubler(app)
    async with app:
        numbers = range(10_000)
        promises = [await double.ask_nowait(n) for n in numbers]
        assert await asyncio.gather(*promises) == [2 * n for n in numbers]
        assert len(app._replies) == 0


@virtual
async def test_agents_of_one_worker_ask_each_other_in_a_chain(world: World) -> None:
    app = world.app(topic_partitions=1)
    double = doubler(app)

    @app.agent()
    async def middle(values: Any) -> Any:
        async for value in values:
            yield 1 + await double.ask(value)

    @app.agent()
    async def outer(values: Any) -> Any:
        async for value in values:
            yield sum(await middle.join([value, value]))

    async with app:
        assert await outer.ask(5, timeout=10) == 22
        assert await outer.join(range(50), timeout=60) == [2 * (2 * n + 1) for n in range(50)]


@virtual
async def test_an_agent_with_one_instance_that_asks_itself_is_told_so(world: World) -> None:
    app = world.app(agent_error_policy="skip")

    @app.agent(name="factorial")
    async def factorial(values: Any) -> Any:
        async for n in values:
            yield n * await factorial.ask(n - 1) if n > 1 else 1

    async with app:
        assert await factorial.ask(1, timeout=5) == 1
        with pytest.raises(AgentError, match="whose every instance waits for the event that asks"):
            await factorial.ask(2, timeout=5)


@virtual
async def test_an_agent_with_several_instances_asks_itself_as_deep_as_they_are_many(
    world: World,
) -> None:
    app = world.app(agent_error_policy="skip")

    @app.agent(name="factorial", concurrency=4)
    async def factorial(values: Any) -> Any:
        async for n in values:
            yield n * await factorial.ask(n - 1) if n > 1 else 1

    async with app:
        assert await factorial.ask(4, timeout=5) == 24
        with pytest.raises(AgentError, match="whose every instance waits"):
            await factorial.ask(5, timeout=5)
        assert await factorial.ask(3, timeout=5) == 6


@virtual
async def test_two_agents_that_ask_each_other_in_a_circle_are_told_so(world: World) -> None:
    app = world.app(agent_error_policy="skip")

    @app.agent()
    async def ping(values: Any) -> Any:
        async for value in values:
            yield await pong.ask(value)

    @app.agent()
    async def pong(values: Any) -> Any:
        async for value in values:
            yield await ping.ask(value)

    async with app:
        with pytest.raises(AgentError, match="whose every instance waits"):
            await ping.ask(1, timeout=5)


def test_a_client_lives_in_each_of_two_event_loops_and_starts_nothing(world: World) -> None:
    """(pitfalls C1, C5)"""
    ran: list[str] = []

    async def live() -> None:
        app, client = world.app(), world.app()
        doubler(app)
        client.task(lambda: ran.append("task"))
        client.timer(0.1)(lambda: ran.append("timer"))
        double = doubler(client)
        async with app:
            await client.start_client()
            assert await double.ask(4, timeout=10) == 8
            await asyncio.sleep(1)
            await client.stop()
            await client.start_client()
            assert await double.ask(5, timeout=10) == 10
            await client.stop()
        assert not [name for name in world.broker.describe(None) if name.startswith("f-reply")]

    run_virtual(live())
    run_virtual(live())
    assert not ran


def test_one_client_is_used_by_two_event_loops_one_after_the_other(tmp_path: Any) -> None:
    name = f"two-loops-{id(tmp_path)}"
    given: dict[str, Any] = {"broker": f"memory://{name}", "web_enabled": False}
    worker = faust.App("loops", topic_partitions=1, datadir=str(tmp_path), **given)
    client = faust.App("loops", topic_partitions=1, datadir=str(tmp_path), **given)
    doubler(worker)
    double = doubler(client)
    ready, over = threading.Event(), threading.Event()

    async def work() -> None:
        async with worker:
            ready.set()
            await asyncio.to_thread(over.wait, 100)

    async def ask(number: int) -> int:
        await client.start_client()
        answer: int = await double.ask(number, timeout=80)
        await client.stop()
        return answer

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        assert ready.wait(80)
        assert asyncio.run(ask(1)) == 2
        assert asyncio.run(ask(2)) == 4
    finally:
        over.set()
        thread.join(80)


def test_threads_with_and_without_an_event_loop_ask(tmp_path: Any) -> None:
    app = faust.App(
        "threads-ask", broker=f"memory://threads-{id(tmp_path)}", web_enabled=False,
        topic_partitions=1, datadir=str(tmp_path),
    )  # fmt: skip
    double, silent = doubler(app), mute(app)

    async def main() -> None:
        async with app:
            loop = asyncio.get_running_loop()

            def without_loop() -> int:
                asking = asyncio.run_coroutine_threadsafe(double.ask(1, timeout=80), loop)
                answer: int = asking.result(90)
                return answer

            def with_loop() -> list[int]:
                with pytest.raises(AskTimeout):
                    asyncio.run(silent.ask(1, timeout=0.05))
                answers: list[int] = asyncio.run(double.join(range(20), timeout=80))
                return answers

            assert await asyncio.to_thread(without_loop) == 2
            assert await asyncio.to_thread(with_loop) == list(range(0, 40, 2))
            assert len(app._replies) == 0

    asyncio.run(main())


@virtual
async def test_a_replier_that_is_gone_half_way_is_replaced_by_who_takes_over(world: World) -> None:
    """Each answer is the right one, whoever gives it, and none is missing."""
    first, second, client = world.app(), world.app(), world.app()
    for app in (first, second):
        doubler(app)
    double = doubler(client)
    await client.start_client()
    await second.start()
    await first.start()
    asking = asyncio.ensure_future(double.join(range(500), timeout=100))
    await asyncio.sleep(0.01)
    await first.stop()
    assert await asking == [2 * n for n in range(500)]
    await second.stop()
    await client.stop()


@virtual
async def test_a_broker_that_is_away_when_an_answer_is_due_does_not_fail_the_event(
    world: World,
) -> None:
    app = world.app()
    double = doubler(app, error_policy="skip")
    async with app:
        assert await double.ask(1, timeout=30) == 2
        double.answers._topics.clear()  # so that the reply topic is looked up again
        world.broker.faults.fail("topics", BrokerUnavailable("away"), times=3)
        assert await double.ask(2, timeout=30) == 4
