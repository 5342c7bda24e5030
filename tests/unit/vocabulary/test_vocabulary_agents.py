"""Agents: what they read, what they yield, who asks them, and what happens when they raise."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.agents.replies import AgentError
from faust.exceptions import AgentFailed, ImproperlyConfigured
from faust.types.tuples import TP


class Order(faust.Record):
    account: str
    amount: int = 1


# -- what they read ------------------------------------------------------------------


@virtual
async def test_an_agent_reads_its_topic(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(app.topic("orders", value_type=Order))
    async def process(orders: Any) -> None:
        async for order in orders:
            seen.append(order)

    async with app:
        await send_all(app.topic("orders"), [Order("a"), Order("b", 2)], key="k")
        await until(lambda: len(seen) == 2)
    assert seen == [Order("a", 1), Order("b", 2)]


@virtual
async def test_an_agent_without_brackets_has_a_topic_of_its_own(world: World) -> None:
    app, seen = world.app(), []

    @app.agent
    async def process(values: Any) -> None:
        async for value in values:
            seen.append(value)

    async with app:
        await process.send(3)
        await process.cast(4)
        await until(lambda: len(seen) == 2)
    assert sorted(seen) == [3, 4]
    name = process.channel.get_topic_name()
    assert name.startswith("shop-")
    assert process.channel.internal


@virtual
async def test_an_agent_is_given_a_topic_by_name(world: World) -> None:
    app, seen = world.app(), []

    @app.agent("orders", value_type=Order)
    async def process(orders: Any) -> None:
        async for order in orders:
            seen.append(order)

    async with app:
        await app.send("orders", value=Order("x"))
        await until(lambda: seen)
    assert seen == [Order("x")]


@virtual
async def test_an_agent_reads_a_channel_also_what_was_sent_before_it_read(world: World) -> None:
    app, seen = world.app(), []
    channel = app.channel()

    @app.agent(channel)
    async def process(values: Any) -> None:
        async for value in values:
            seen.append(value)

    await channel.send(1)
    async with app:
        await channel.send(2)
        await until(lambda: len(seen) == 2)
    assert seen == [1, 2]


@virtual
async def test_two_agents_read_one_topic_each_all_of_it(world: World) -> None:
    app, one, other = world.app(), [], []
    topic = app.topic("numbers")

    @app.agent(topic)
    async def first(values: Any) -> None:
        async for value in values:
            one.append(value)

    @app.agent(topic)
    async def second(values: Any) -> None:
        async for value in values:
            other.append(value)

    async with app:
        await send_all(topic, range(20))
        await until(lambda: len(one) == len(other) == 20)
    assert sorted(one) == sorted(other) == list(range(20))


@virtual
async def test_concurrent_instances_share_the_events_and_commit_all(world: World) -> None:
    app, seen = world.app(topic_partitions=1), []
    topic = app.topic("numbers", partitions=1, internal=True)
    running = most = 0

    @app.agent(topic, concurrency=4)
    async def process(values: Any) -> None:
        nonlocal running, most
        async for value in values:
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.5 if value % 3 else 0.1)
            seen.append(value)
            running -= 1

    async with app:
        await send_all(topic, range(40))
        await until(lambda: len(seen) == 40)
    assert sorted(seen) == list(range(40))
    assert most == 4
    assert world.committed()[TP("numbers", 0)] == 40


# -- what they yield -------------------------------------------------------------------


@virtual
async def test_what_is_yielded_goes_to_every_kind_of_sink(world: World) -> None:
    app = world.app()
    into_function: list[Any] = []
    into_coroutine: list[Any] = []
    into_agent: list[Any] = []
    channel = app.channel()

    async def keep(value: Any) -> None:
        into_coroutine.append(value)

    @app.agent()
    async def downstream(values: Any) -> None:
        async for value in values:
            into_agent.append(value)

    sinks = [into_function.append, keep, channel, app.topic("doubles"), downstream]

    @app.agent(sink=sinks)
    async def double(values: Any) -> Any:
        async for value in values:
            yield value * 2

    async with app:
        await double.send(21)
        await until(lambda: into_agent)
        event = await channel.get(timeout=5)
        await until(lambda: world.records("doubles"))
    assert into_function == into_coroutine == into_agent == [42]
    assert event.value == 42
    assert [record.value for record in world.records("doubles")] == [b"42"]


@virtual
async def test_a_sink_may_be_added_later(world: World) -> None:
    app, got = world.app(), []

    @app.agent()
    async def double(values: Any) -> Any:
        async for value in values:
            yield value * 2

    double.add_sink(got.append)
    double.add_sink(got.append)
    async with app:
        await double.send(1)
        await until(lambda: got)
    assert got == [2, 2] or got == [2]


# -- asking ------------------------------------------------------------------------------


def adder(app: faust.App) -> Any:
    @app.agent(name="adder")
    async def add(values: Any) -> Any:
        async for value in values:
            yield value + 1

    return add


@virtual
async def test_ask_returns_what_the_agent_yields(world: World) -> None:
    app = world.app()
    add = adder(app)
    async with app:
        assert await add.ask(1) == 2
        assert await add.ask(41, key="k", timeout=10) == 42


@virtual
async def test_ask_gives_up_after_its_timeout_and_forgets_the_request(world: World) -> None:
    app = world.app()

    @app.agent()
    async def silent(values: Any) -> Any:
        async for value in values:
            if value:
                yield value

    async with app:
        with pytest.raises(TimeoutError):
            await silent.ask(0, timeout=3)
        assert len(app._replies) == 0
        assert await silent.ask(1, timeout=3) == 1


@virtual
async def test_a_client_without_a_worker_asks_the_worker(world: World) -> None:
    app, client = world.app(), world.app()
    ran = []

    @client.task
    async def never() -> None:
        ran.append(1)

    adder(app)
    add = adder(client)
    async with app:
        await client.start_client()
        try:
            assert await add.ask(1, timeout=30) == 2
        finally:
            await client.on_stop()
    assert not ran


@virtual
async def test_map_yields_and_join_keeps_the_order_with_two_thousand_outstanding(
    world: World,
) -> None:
    app = world.app()
    add = adder(app)
    numbers = list(range(2000))
    async with app:
        assert await add.join(numbers) == [n + 1 for n in numbers]
        assert await add.kvjoin((str(n), n) for n in numbers) == [n + 1 for n in numbers]
        assert sorted([n async for n in add.map(numbers)]) == [n + 1 for n in numbers]
        pairs = [(str(n), n) for n in numbers]
        assert sorted([n async for n in add.kvmap(pairs)]) == [n + 1 for n in numbers]
        assert len(app._replies) == 0


@virtual
async def test_a_second_yield_for_one_request_harms_nobody(world: World) -> None:
    app = world.app()

    @app.agent()
    async def twice(values: Any) -> Any:
        async for value in values:
            yield value
            yield value + 100

    async with app:
        assert await twice.ask(1) == 1
        assert await twice.ask(2) == 2


@virtual
async def test_a_reply_may_be_sent_to_any_topic_and_agent(world: World) -> None:
    app, got = world.app(), []

    @app.agent()
    async def answers(replies: Any) -> None:
        async for reply in replies:
            got.append(reply)

    add = adder(app)
    async with app:
        await add.send(5, reply_to=answers, correlation_id="me")
        await until(lambda: got)
    assert got[0].value == 6
    assert got[0].correlation_id == "me"


# -- definitions ----------------------------------------------------------------------------


def test_two_agents_of_one_name_are_refused(world: World) -> None:
    app = faust.App("shop", broker="memory://never")

    @app.agent(name="one")
    async def one(values: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="two agents with the name 'one'"):

        @app.agent(name="one")
        async def other(values: Any) -> None: ...


def test_an_agent_that_is_not_async_is_refused() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ImproperlyConfigured, match="'async def'"):

        @app.agent()
        def process(values: Any) -> None: ...


def test_sinks_need_a_yield() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ImproperlyConfigured, match="must yield to use sinks"):

        @app.agent(sink=[print])
        async def process(values: Any) -> None: ...


def test_types_belong_to_the_topic_not_to_the_agent_that_reads_it() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ImproperlyConfigured, match="to the topic"):

        @app.agent(app.topic("orders"), value_type=Order)
        async def process(values: Any) -> None: ...


def test_a_channel_must_be_one() -> None:
    app = faust.App("shop", broker="memory://never")

    with pytest.raises(TypeError, match="topic, a channel or a topic's name, not 3"):

        @app.agent(3)
        async def process(values: Any) -> None: ...


def test_an_agent_can_be_called_as_the_function_it_was() -> None:
    app = faust.App("shop", broker="memory://never")

    @app.agent()
    async def process(values: Any) -> Any:
        """Sum up."""
        return sum(values)

    assert asyncio.run(process([1, 2])) == 3
    assert process.help == "Sum up."


# -- errors -----------------------------------------------------------------------------------


@virtual
async def test_an_event_is_tried_again_until_it_succeeds(world: World) -> None:
    app, tries, seen = world.app(), Counter(), []
    topic = app.topic("numbers", partitions=1, internal=True)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            tries[value] += 1
            if value == 3 and tries[3] < 4:
                raise ValueError("not yet")
            seen.append(value)

    async with app:
        await send_all(topic, range(6), partition=0)
        await until(lambda: len(seen) == 6)
        await until(lambda: app.committed_position(TP("numbers", 0)) == 6)
    assert seen == list(range(6))
    assert tries[3] == 4


@virtual
async def test_an_agent_that_keeps_failing_stops_the_worker_and_loses_nothing(
    world: World, caplog: Any
) -> None:
    app, seen, broken = world.app(agent_error_retries=2), [], [True]
    topic = app.topic("numbers", partitions=1, internal=True)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            if value == 3 and broken[0]:
                raise ValueError("never")
            seen.append(value)

    async with app:
        await send_all(topic, range(6), partition=0)
        failure = await fails(app)
    assert isinstance(failure, AgentFailed)
    assert "failed 3 times at topic 'numbers' partition 0 offset 3" in str(failure)
    assert seen == [0, 1, 2]
    assert world.committed().get(TP("numbers", 0), 0) <= 3
    broken[0] = False
    again = world.app()
    process2 = again.agent(again.topic("numbers", partitions=1, internal=True), name=process.name)(
        process.fun
    )
    async with again:
        await until(lambda: seen[-1] == 5)
    assert process2.name == process.name
    assert set(seen) == set(range(6))


@virtual
async def test_a_skipped_event_is_counted_and_undone(world: World) -> None:
    app, seen = world.app(agent_error_policy="skip"), []
    topic = app.topic("numbers", partitions=1, internal=True)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value
            if value == 3:
                raise ValueError("no")
            seen.append(value)

    async with app:
        await send_all(topic, range(6), partition=0)
        await until(lambda: len(seen) == 5)
        await until(lambda: app.committed_position(TP("numbers", 0)) == 6)
        assert process.skipped == 1
        assert app.monitor.events_skipped == {process.name: 1}
        assert dict(sums.items()) == {"all": 0 + 1 + 2 + 4 + 5}


@virtual
async def test_an_agent_may_have_its_own_policy_and_be_told(world: World) -> None:
    told = []

    def tell(agent: Any, exc: Exception) -> None:
        told.append((agent.name, str(exc)))

    app, seen = world.app(), []

    @app.agent(name="mine", error_policy="skip", on_error=tell)
    async def process(values: Any) -> None:
        async for value in values:
            if not value:
                raise ValueError("zero")
            seen.append(value)

    async with app:
        await send_all(process.channel, [0, 1])
        await until(lambda: seen and told)
    assert told == [("mine", "zero")]


@virtual
async def test_a_request_that_is_skipped_is_answered_with_the_error(world: World) -> None:
    app = world.app(agent_error_policy="skip")

    @app.agent()
    async def divide(values: Any) -> Any:
        async for value in values:
            yield 10 / value

    async with app:
        with pytest.raises(AgentError, match="ZeroDivisionError"):
            await divide.ask(0, timeout=10)
        assert await divide.ask(5, timeout=10) == 2


@virtual
async def test_an_undecodable_event_stops_the_worker_at_once_and_is_not_lost(
    world: World,
) -> None:
    app, seen = world.app(), []
    topic = app.topic("orders", value_type=Order, partitions=1, internal=True)

    @app.agent(topic)
    async def process(orders: Any) -> None:
        async for order in orders:
            seen.append(order)

    async with app:
        await topic.send(Order("a"), partition=0)
        await topic.send(b"{not json", partition=0, value_serializer="raw")
        failure = await fails(app)
    assert isinstance(failure, AgentFailed)
    assert "at topic 'orders' partition 0 offset 1" in str(failure)
    assert seen == [Order("a")]
    assert world.committed().get(TP("orders", 0), 0) <= 1


@virtual
async def test_an_undecodable_event_may_be_left_out(world: World) -> None:
    app, seen = world.app(decode_error_policy="skip"), []
    topic = app.topic("orders", value_type=Order, partitions=1, internal=True)

    @app.agent(topic)
    async def process(orders: Any) -> None:
        async for order in orders:
            seen.append(order)

    async with app:
        await topic.send(Order("a"), partition=0)
        await topic.send(b"{not json", partition=0, value_serializer="raw")
        await topic.send(Order("b"), partition=0)
        await until(lambda: len(seen) == 2)
        await until(lambda: app.committed_position(TP("orders", 0)) == 3)
    assert seen == [Order("a"), Order("b")]
    assert app.monitor.events_skipped == {process.name: 1}


@virtual
async def test_promises_that_nobody_keeps_are_not_kept_either(world: World) -> None:
    app = world.app()
    add = adder(app)
    async with app:
        promise = await add.ask_nowait(1)
        promise.cancel()
        del promise
        gc.collect()
        await asyncio.sleep(1)
        assert len(app._replies) == 0


# -- one instance for each partition ----------------------------------------------------------


@virtual
async def test_isolated_partitions_do_not_wait_for_each_other(world: World) -> None:
    app, seen, slow = world.app(), [], asyncio.Event()
    topic = app.topic("numbers", partitions=3, internal=True, value_type=int)
    sums = app.Table("sums", default=int, key_type=str, value_type=int, partitions=3)
    tries: Counter[int] = Counter()

    @app.agent(topic, isolated_partitions=True)
    async def process(values: Any) -> None:
        async for event in values.events():
            partition = event.tp.partition
            sums[str(partition)] += event.value
            tries[partition] += 1
            if partition == 0:
                await slow.wait()
            if partition == 1 and tries[1] == 2:
                raise ValueError("only here")
            seen.append((partition, event.value))

    async with app:
        for n in range(9):
            await topic.send(n, partition=n % 3)
        await until(lambda: len(seen) == 6)
        assert {partition for partition, _ in seen} == {1, 2}
        slow.set()
        await until(lambda: len(seen) == 9)
        await until(lambda: app.committed_position(TP("numbers", 1)) == 3)
        assert dict(sums.items()) == {"0": 0 + 3 + 6, "1": 1 + 4 + 7, "2": 2 + 5 + 8}
        assert len(process.actors) == 3
    assert [value for partition, value in seen if partition == 1] == [1, 4, 7]
    async with app:
        await topic.send(9, partition=0)
        await until(lambda: len(seen) == 10)
        assert sums["0"] == 18


@virtual
async def test_isolated_partitions_move_to_another_worker(world: World) -> None:
    seen: list[tuple[str, int]] = []

    def worker(name: str) -> faust.App:
        app = world.app()
        topic = app.topic("numbers", partitions=4, internal=True, value_type=int)

        @app.agent(topic, name="reader", isolated_partitions=True)
        async def read(values: Any) -> None:
            async for value in values:
                await asyncio.sleep(0.05)
                seen.append((name, value))

        return app

    one, other = worker("one"), worker("other")
    topic = one.topic("numbers", value_type=int)
    async with one:
        for n in range(40):
            await topic.send(n, partition=n % 4)
        async with other:
            for n in range(40, 120):
                await topic.send(n, partition=n % 4)
            await until(lambda: len(seen) >= 120)
        await topic.send(120, partition=3)
        await until(lambda: len(seen) >= 121)
    assert sorted(value for _, value in seen) == list(range(121))
    assert {name for name, _ in seen} == {"one", "other"}


@virtual
async def test_isolated_partitions_cannot_be_forwarded(world: World) -> None:
    app = world.app(agent_error_retries=0)

    @app.agent(app.topic("numbers", value_type=int), isolated_partitions=True)
    async def process(values: Any) -> None:
        async for _ in values.through("other"):
            pass

    async with app:
        await app.topic("numbers").send(1)
        assert "isolated_partitions" in str(await fails(app))
