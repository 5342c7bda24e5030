"""Streams: forms of iteration, operators, acknowledgements."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.exceptions import ImproperlyConfigured
from faust.types import TP


class Order(faust.Record):
    account: str
    amount: int = 1


NUMBERS = TP("numbers", 0)


def numbers(app: faust.App, **options: Any) -> Any:
    """A topic of one partition."""
    return app.topic("numbers", internal=True, partitions=1, value_type=int, **options)


def committed(app: faust.App, tp: TP = NUMBERS) -> Any:
    return lambda: app.committed_position(tp)


# -- forms of iteration ---------------------------------------------------------------


@virtual
async def test_events_carry_key_headers_and_place(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app, key_type=str))
    async def process(stream: Any) -> None:
        async for event in stream.events():
            seen.append(event)

    async with app:
        await numbers(app).send(7, key="k", headers={"h": b"1"}, timestamp=1_700_000_000.5)
        await until(lambda: seen)
    (event,) = seen
    assert (event.key, event.value, event.headers, event.tp) == ("k", 7, {"h": b"1"}, NUMBERS)
    assert event.message.offset == 0
    assert event.message.timestamp == 1_700_000_000.5


@virtual
async def test_items_give_key_and_value(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app, key_type=str))
    async def process(stream: Any) -> None:
        async for key, value in stream.items():
            seen.append((key, value))

    async with app:
        await send_all(numbers(app), [1, 2], key="k")
        await until(lambda: len(seen) == 2)
    assert seen == [("k", 1), ("k", 2)]


@virtual
async def test_enumerate_counts(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for at, value in stream.enumerate():
            seen.append((at, value))

    async with app:
        await send_all(numbers(app), [5, 6])
        await until(lambda: len(seen) == 2)
    assert seen == [(0, 5), (1, 6)]


@virtual
async def test_a_stream_is_left_with_break_and_taken_up_again(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for value in stream:
            seen.append(("first", value))
            break
        async for value in stream:
            seen.append(("then", value))

    async with app:
        await send_all(numbers(app), [1, 2, 3])
        await until(lambda: len(seen) == 3)
        await until(lambda: app.committed_position(NUMBERS) == 3)
    assert seen == [("first", 1), ("then", 2), ("then", 3)]


@virtual
async def test_two_streams_in_one_task_know_their_own_events(world: World) -> None:
    app, seen = world.app(), []
    one, other = (app.topic(name, internal=True, partitions=1) for name in ("one", "other"))

    @app.agent(one)
    async def process(stream: Any) -> None:
        theirs = aiter(other.stream())
        async for value in stream:
            before = faust.current_event()
            assert before is not None
            other_value = await anext(theirs)
            seen.append((before.message.topic, value, other_value))

    async with app:
        await send_all(other, ["x", "y"])
        await send_all(one, ["a", "b"])
        await until(lambda: len(seen) == 2)
    assert seen == [("one", "a", "x"), ("one", "b", "y")]


@virtual
async def test_the_current_event_is_there_for_what_the_agent_calls(world: World) -> None:
    app, seen = world.app(), []

    async def deep_inside() -> None:
        await asyncio.sleep(0.1)
        event = faust.current_event()
        assert event is not None
        seen.append((event.message.offset, event.value))

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for _ in stream:
            await deep_inside()

    async with app:
        await send_all(numbers(app), [5, 6])
        await until(lambda: len(seen) == 2)
    assert seen == [(0, 5), (1, 6)]
    assert faust.current_event() is None


@virtual
async def test_a_stream_over_an_iterable_ends_with_it(world: World) -> None:
    app = world.app()
    assert [value async for value in app.stream([1, 2, 3])] == [1, 2, 3]
    assert [chunk async for chunk in app.stream(range(5)).take(2)] == [[0, 1], [2, 3], [4]]


def test_a_stream_is_not_iterated_synchronously() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(TypeError, match="async for"):
        iter(app.stream([1]))
    with pytest.raises(TypeError, match="neither a channel nor iterable"):
        asyncio.run(_first(app.stream(3)))


async def _first(stream: Any) -> Any:
    return await anext(aiter(stream))


# -- take ------------------------------------------------------------------------------


@virtual
async def test_take_hands_out_lists_that_are_full_or_due(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for values in stream.take(3, within=5):
            seen.append((values, asyncio.get_running_loop().time()))

    async with app:
        began = asyncio.get_running_loop().time()
        await send_all(numbers(app), range(4))
        await until(lambda: len(seen) == 2)
        assert app.monitor.messages_received_total == 4
        await until(lambda: app.committed_position(NUMBERS) == 4)
    assert [values for values, _ in seen] == [[0, 1, 2], [3]]
    assert 4.9 < seen[1][1] - began < 5.5


@virtual
async def test_take_without_within_waits_until_the_list_is_full(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for values in stream.take(3):
            seen.append(values)

    async with app:
        await send_all(numbers(app), range(4))
        await until(lambda: seen)
        await asyncio.sleep(60)
        assert seen == [[0, 1, 2]]
        assert app.committed_position(NUMBERS) == 3
        await send_all(numbers(app), [4, 5])
        await until(lambda: len(seen) == 2)
    assert seen == [[0, 1, 2], [3, 4, 5]]


@virtual
async def test_a_list_is_handed_out_again_after_an_exception(world: World) -> None:
    app, seen = world.app(), []
    sums = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int)

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for values in stream.take(3, within=1):
            seen.append(values)
            sums["all"] += sum(values)
            if len(seen) == 1:
                raise ValueError("again")

    async with app:
        await send_all(numbers(app), range(6))
        await until(lambda: app.committed_position(NUMBERS) == 6)
        assert dict(sums.items()) == {"all": 15}
    assert seen == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]


@virtual
async def test_take_events_gives_events(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for events in stream.take_events(2, within=1):
            seen.append([(event.message.offset, event.value) for event in events])

    async with app:
        await send_all(numbers(app), [5, 6])
        await until(lambda: seen)
    assert seen == [[(0, 5), (1, 6)]]


@virtual
async def test_a_list_of_requests_that_is_skipped_answers_all_who_asked(world: World) -> None:
    from faust.agents.replies import AgentError

    app = world.app(agent_error_policy="skip")

    @app.agent(topic := app.topic("asked", partitions=1, internal=True))
    async def process(stream: Any) -> Any:
        async for values in stream.take(2):
            raise ValueError("no")
            yield values

    assert topic.partitions == 1
    async with app:
        promises = [await process.ask_nowait(n) for n in range(2)]
        answers = await asyncio.gather(*promises, return_exceptions=True)
    assert [type(answer) for answer in answers] == [AgentError, AgentError]


# -- operators -----------------------------------------------------------------------------


@virtual
async def test_filters_leave_events_out_and_commit_them(world: World) -> None:
    app, seen = world.app(), []

    async def below_five(value: int) -> bool:
        return value < 5

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for value in stream.filter(lambda v: v % 2).filter(below_five):
            seen.append(value)

    async with app:
        await send_all(numbers(app), range(9))
        await until(lambda: app.committed_position(NUMBERS) == 9)
    assert seen == [1, 3]


def test_a_filter_is_a_function() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(TypeError, match="takes a function"):
        app.stream([1]).filter(True)


@virtual
async def test_processors_change_values_on_their_way(world: World) -> None:
    app, seen = world.app(), []

    async def double(value: int) -> int:
        return value * 2

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        stream.add_processor(lambda value: value + 1)
        stream.add_processor(double)
        async for value in stream:
            seen.append(value)

    async with app:
        await send_all(numbers(app), [1, 2])
        await until(lambda: len(seen) == 2)
    assert seen == [4, 6]


def by_account(order: Order) -> str:
    return order.account


@pytest.mark.parametrize(
    ("key", "name", "topic"),
    [
        (Order.account, None, "Order.account"),
        (by_account, None, "by_account"),
        (lambda order: order.account, "mine", "mine"),
    ],
)
@virtual
async def test_group_by_brings_equal_keys_together(
    world: World, key: Any, name: Any, topic: str
) -> None:
    app, seen = world.app(topic_partitions=4), []
    orders = app.topic("orders", value_type=Order, partitions=4)
    counts = app.Table("counts", default=int, key_type=str, value_type=int)

    @app.agent(orders, name="count")
    async def count(stream: Any) -> None:
        async for order in stream.group_by(key, name=name):
            event = faust.current_event()
            assert event is not None
            seen.append((order.account, event.key, event.tp))
            counts[order.account] += order.amount

    async with app:
        await send_all(orders, [Order(f"a{n % 7}", n) for n in range(70)])
        await until(lambda: len(seen) == 70)
        found = dict(counts.items())
    assert found == {f"a{k}": sum(n for n in range(70) if n % 7 == k) for k in range(7)}
    assert all(key in (account, account.encode()) for account, key, _ in seen)
    assert len({(account, tp) for account, _, tp in seen}) == 7
    assert {tp.topic for _, _, tp in seen} == {f"count-orders-{topic}-repartition"}


@virtual
async def test_a_nameless_function_to_group_by_needs_a_name(world: World) -> None:
    app = world.app()
    stream = app.topic("orders", value_type=Order).stream()
    with pytest.raises(TypeError, match="needs name="):
        stream.group_by(lambda order: order.account)
    with pytest.raises(TypeError, match="a field or a function"):
        stream.group_by(3)


@virtual
async def test_group_by_and_concurrency_do_not_go_together(world: World) -> None:
    app = world.app(agent_error_retries=0)

    @app.agent(app.topic("orders", value_type=Order), concurrency=2)
    async def process(stream: Any) -> None:
        async for _ in stream.group_by(Order.account):
            pass

    with pytest.raises(Exception, match="needs concurrency=1"):
        async with app:
            await asyncio.sleep(0)


@virtual
async def test_through_goes_on_from_another_topic(world: World) -> None:
    app, seen = world.app(), []
    other = app.topic("other", value_type=int, partitions=3, internal=True)

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for value in stream.through(other):
            event = faust.current_event()
            assert event is not None
            seen.append((event.message.topic, value))

    async with app:
        await send_all(numbers(app), range(5))
        await until(lambda: len(seen) == 5)
    assert sorted(seen) == [("other", n) for n in range(5)]


@virtual
async def test_echo_keeps_keys_and_headers(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app, key_type=str))
    async def process(stream: Any) -> None:
        async for value in stream.echo("copies"):
            seen.append(value)

    async with app:
        await numbers(app).send(5, key="k", headers={"h": b"1"})
        await until(lambda: world.broker.describe(["copies"]) and world.records("copies"))
    (record,) = world.records("copies")
    assert (record.key, record.value, list(record.headers)) == (b"k", b"5", [("h", b"1")])


# -- acknowledgements by hand -----------------------------------------------------------------


@virtual
async def test_with_noack_only_what_was_acknowledged_is_committed(world: World) -> None:
    app, events = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for event in stream.noack().events():
            events.append(event)

    async with app:
        await send_all(numbers(app), range(5))
        await until(lambda: len(events) == 5)
        await asyncio.sleep(5)
        assert (app.committed_position(NUMBERS) or 0) == 0
        events[2].ack()
        events[1].ack()
        await asyncio.sleep(5)
        assert (app.committed_position(NUMBERS) or 0) == 0
        assert await events[0].ack()
        assert not events[0].ack()
        assert events[0].acked
        await until(lambda: app.committed_position(NUMBERS) == 3)
        async with events[3]:
            pass
        with pytest.raises(KeyError):
            async with events[4]:
                raise KeyError
        await until(lambda: app.committed_position(NUMBERS) == 4)
    assert not events[4].acked
    assert world.committed()[NUMBERS] == 4


@virtual
async def test_noack_survives_further_operators(world: World) -> None:
    app, events = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for event in stream.noack().filter(lambda value: value != 1).events():
            events.append(event)

    async with app:
        await send_all(numbers(app), range(3))
        await until(lambda: len(events) == 2)
        await asyncio.sleep(3)
        assert (app.committed_position(NUMBERS) or 0) == 0
        for event in events:
            event.ack()
        await until(lambda: app.committed_position(NUMBERS) == 3)


@virtual
async def test_topics_without_acks_are_never_committed(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app, acks=False))
    async def process(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async with app:
        await send_all(numbers(app), range(3))
        await until(lambda: len(seen) == 3)
        await asyncio.sleep(2)
    assert world.committed().get(NUMBERS, 0) == 0


@virtual
async def test_no_more_events_are_out_than_the_buffer_may_hold(world: World) -> None:
    app, events = world.app(stream_buffer_maxsize=10), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for event in stream.noack().events():
            events.append(event)

    async with app:
        await send_all(numbers(app), range(50))
        await until(lambda: len(events) >= 10)
        await asyncio.sleep(5)
        assert len(events) == 10
        while len(events) < 50:
            for event in events:
                event.ack()
            await asyncio.sleep(0.1)
    assert [event.value for event in events] == list(range(50))
    assert world.committed()[NUMBERS] >= 40


@virtual
async def test_a_stream_cannot_be_forwarded_twice(world: World) -> None:
    app = world.app()
    stream = app.topic("orders", value_type=Order).stream()
    stream.forwarded_to = stream
    with pytest.raises(ImproperlyConfigured, match="twice"):
        stream.through("other")


@virtual
async def test_the_current_event_of_a_list_is_its_last(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(numbers(app))
    async def process(stream: Any) -> None:
        async for values in stream.take(2, within=1):
            event = faust.current_event()
            assert event is not None
            seen.append((values, event.value))

    async with app:
        await send_all(numbers(app), [5, 6])
        await until(lambda: seen)
    assert seen == [([5, 6], 6)]


@virtual
async def test_take_loses_nothing_when_its_agent_keeps_failing(world: World) -> None:
    app, seen = world.app(agent_error_retries=1), []

    def define(app: faust.App, fails_at: int) -> None:
        @app.agent(numbers(app), name="taker")
        async def process(stream: Any) -> None:
            async for values in stream.take(3, within=1):
                if fails_at in values:
                    raise ValueError("no")
                seen.append(values)

    define(app, 4)
    async with app:
        await send_all(numbers(app), range(8))
        await fails(app)
    assert seen == [[0, 1, 2]]
    assert world.committed()[NUMBERS] <= 3
    again = world.app()
    define(again, -1)
    async with again:
        await until(lambda: again.committed_position(NUMBERS) == 8)
    assert sorted({value for values in seen for value in values}) == list(range(8))


@virtual
async def test_a_channel_is_grouped_in_place(world: World) -> None:
    app, seen = world.app(), []
    channel = app.channel(value_type=Order)

    @app.agent(channel)
    async def process(stream: Any) -> None:
        async for key, order in stream.group_by(Order.account).items():
            seen.append((key, order))

    async with app:
        await channel.send(Order("a"))
        await until(lambda: seen)
    assert seen == [("a", Order("a"))]


@virtual
async def test_asking_who_waits_for_oneself_is_refused_at_once(world: World) -> None:
    app, errors = world.app(agent_error_policy="skip"), []
    counts = app.Table("counts", default=int, partitions=1, key_type=str, value_type=int)
    asked = app.topic("asked", internal=True, partitions=1, value_type=int)

    @app.agent(asked)
    async def answerer(stream: Any) -> Any:
        async for value in stream:
            counts["answers"] += 1
            yield value

    @app.agent(numbers(app))
    async def asker(stream: Any) -> None:
        async for value in stream:
            counts["questions"] += 1
            try:
                await answerer.ask(value)
            except RuntimeError as exc:
                errors.append(str(exc))

    async with app:
        await send_all(numbers(app), [1])
        await until(lambda: errors)
    assert "both write one table" in errors[0]


@virtual
async def test_an_agent_gets_on_with_its_event_after_a_rebalance(world: World) -> None:
    """A second worker takes half of the partitions; nobody loses or repeats anything."""
    seen: list[tuple[str, int]] = []

    def worker(name: str) -> faust.App:
        app = world.app()

        @app.agent(app.topic("wide", internal=True, partitions=4, value_type=int), name="reader")
        async def read(stream: Any) -> None:
            async for value in stream:
                await asyncio.sleep(0.05)
                seen.append((name, value))

        return app

    one, other = worker("one"), worker("other")
    topic = one.topic("wide", value_type=int)
    async with one:
        for n in range(40):
            await topic.send(n, partition=n % 4)
        await asyncio.sleep(0.3)
        async with other:
            for n in range(40, 200):
                await topic.send(n, partition=n % 4)
            await until(lambda: len(seen) >= 200)
    assert sorted(value for _, value in seen) == list(range(200))
    assert {name for name, _ in seen} == {"one", "other"}


# -- sensors ---------------------------------------------------------------------------------


class Watcher(faust.Sensor):
    """Keeps what it is told of events."""

    def __init__(self) -> None:
        self.active: dict[int, Any] = {}
        self.told: list[tuple[str, int]] = []

    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> Any:
        assert offset not in self.active
        self.active[offset] = event
        self.told.append(("in", event.value))
        return offset

    def on_stream_event_out(
        self, tp: TP, offset: int, stream: Any, event: Any, state: Any = None
    ) -> None:
        assert state == offset
        del self.active[offset]
        self.told.append(("out", event.value))


@pytest.mark.parametrize("form", ["plain", "take", "noack", "concurrent"])
@virtual
async def test_a_sensor_is_told_of_every_event_as_it_begins_and_ends(
    world: World, form: str
) -> None:
    app, watcher, failing = world.app(), Watcher(), [True]
    app.sensors.add(watcher)
    seen: list[int] = []

    @app.agent(numbers(app), concurrency=2 if form == "concurrent" else 1)
    async def process(stream: Any) -> None:
        stream.filter(lambda value: value != 2)
        if form == "noack":
            stream.noack()
        async for values in stream.take(2, within=1) if form == "take" else stream:
            await asyncio.sleep(0.1)
            if failing and form != "noack":
                failing.clear()
                raise ValueError("again")
            seen.extend(values if form == "take" else [values])

    async with app:
        await send_all(numbers(app), range(5))
        await until(lambda: len(seen) >= 4)
        await asyncio.sleep(2)
    assert not watcher.active
    for value in (0, 1, 3, 4):
        told = [what for what, of in watcher.told if of == value]
        assert told[:2] == ["in", "out"]
        assert told.count("in") == told.count("out")


@virtual
async def test_an_agent_that_takes_lists_has_begun_to_iterate_and_is_not_waited_for(
    world: World,
) -> None:
    app = world.app()
    orders = app.topic("orders", value_type=int, internal=True)

    @app.agent(orders)
    async def in_pairs(stream: faust.Stream[int]) -> None:
        async for _pair in stream.take(2):
            pass

    async with app:
        assert in_pairs.settled
