"""Sensors: every callback is really called, and the monitor's figures are true."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from http import HTTPStatus
from typing import Any

import pytest
from vocabulary_world import World, send_all, until, virtual

import faust
from faust.sensors import Monitor, Sensor
from faust.types import TP

NUMBERS = TP("numbers", 0)


class Notes(Sensor):
    """Notes every callback with what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def names(self) -> Counter[str]:
        return Counter(name for name, _ in self.calls)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [args for each, args in self.calls if each == name]


def _noting(name: str) -> Any:
    def note(self: Notes, *args: Any, **options: Any) -> Any:
        self.calls.append((name, args))
        return f"state of {name}"

    return note


CALLBACKS = [name for name in vars(Sensor) if name.startswith("on_") and name != "on_added"]
for _name in CALLBACKS:
    setattr(Notes, _name, _noting(_name))


def counting(app: faust.App, **options: Any) -> tuple[Any, Any, Any]:
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
    out = app.topic("out", internal=True, partitions=1, value_type=int)
    table = app.Table("sums", default=int, partitions=1, key_type=str, value_type=int, **options)

    @app.agent(topic, name="sum")
    async def process(values: Any) -> None:
        async for value in values:
            table["all"] += value
            if value == 3:
                table["three"] = value
                del table["three"]
            await out.send(value=value)

    return topic, out, table


@virtual
async def test_every_callback_is_called_with_what_it_promises(world: World) -> None:
    app, notes = world.app(), Notes()
    topic, _, table = counting(app)
    app.sensors.add(notes)
    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: app.committed_position(NUMBERS) == 3)
        await until(lambda: len(notes.of("on_send_completed")) == 6)
    assert [args[:2] for args in notes.of("on_message_in")] == [(NUMBERS, n) for n in range(3)]
    assert [args[:2] for args in notes.of("on_message_out")] == [(NUMBERS, n) for n in range(3)]
    ins, outs = notes.of("on_stream_event_in"), notes.of("on_stream_event_out")
    assert [(tp, offset, event.value) for tp, offset, _, event in ins] == [
        (NUMBERS, 0, 1), (NUMBERS, 1, 2), (NUMBERS, 2, 3),
    ]  # fmt: skip
    assert [args[4] for args in outs] == ["state of on_stream_event_in"] * 3
    assert notes.of("on_table_get") == [(table, "all")] * 3
    assert notes.of("on_table_set")[-2:] == [(table, "all", 6), (table, "three", 3)]
    assert notes.of("on_table_del") == [(table, "three")]
    sends = notes.of("on_send_initiated")
    assert [(args[0], args[1], args[3], args[4]) for args in sends] == [
        *[(app.producer, "numbers", 0, 1)] * 3, *[(app.producer, "out", 0, 1)] * 3,
    ]  # fmt: skip
    placed = [(args[1], args[2].topic, args[2].offset) for args in notes.of("on_send_completed")]
    assert placed == [
        ("state of on_send_initiated", name, n) for name in ("numbers", "out") for n in range(3)
    ]
    commits, done = notes.of("on_commit_initiated"), notes.of("on_commit_completed")
    assert commits[0] == (app.consumer,)
    assert done[-1] == (app.consumer, "state of on_commit_initiated")
    assert notes.of("on_tp_commit")[-1] == ({NUMBERS: 3},)
    assert notes.of("on_assignment_start") == [(app.assignor,)]
    assert notes.of("on_assignment_completed") == [(app.assignor, "state of on_assignment_start")]
    assert notes.of("on_rebalance_start") == [(app,)]
    assert notes.of("on_rebalance_return") == [(app, "state of on_rebalance_start")]
    assert notes.of("on_rebalance_end") == [(app, "state of on_rebalance_start")]
    assert notes.of("on_restored") == [(table, 0, 0)]
    assert sum(args[1] for args in notes.of("on_batch_in")) == 3
    assert sum(args[2] for args in notes.of("on_batch")) == 3
    assert notes.of("on_threaded_producer_buffer_processed")[0] == (app, 1)
    assert notes.of("on_tp_end")[-1] == (NUMBERS, 3)
    not_here = {
        "on_assignment_error", "on_event_dead_lettered", "on_event_retried", "on_event_skipped",
        "on_send_error", "on_topic_buffer_full", "on_web_request_end", "on_web_request_start",
    }  # fmt: skip
    assert set(CALLBACKS) - set(notes.names()) == not_here


@virtual
async def test_what_an_event_that_fails_and_is_left_out_tells(world: World) -> None:
    app, notes = world.app(agent_error_policy="skip"), Notes()
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)

    @app.agent(topic, name="picky")
    async def process(values: Any) -> None:
        async for _ in values:
            raise ValueError("no")

    app.sensors.add(notes)
    async with app:
        await send_all(topic, [1])
        await until(lambda: app.committed_position(NUMBERS) == 1)
    assert notes.of("on_event_skipped") == [("picky", NUMBERS)]
    assert len(notes.of("on_stream_event_out")) == len(notes.of("on_message_out")) == 1


@virtual
async def test_an_event_that_is_tried_again_comes_in_twice_and_goes_out_once(world: World) -> None:
    app, notes, tries = world.app(), Notes(), []
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for value in values:
            tries.append(value)
            if len(tries) == 1:
                raise ValueError("again")

    app.sensors.add(notes)
    async with app:
        await send_all(topic, [1])
        await until(lambda: app.committed_position(NUMBERS) == 1)
    names = notes.names()
    assert (names["on_stream_event_in"], names["on_stream_event_out"]) == (2, 2)
    assert (names["on_message_in"], names["on_message_out"]) == (1, 1)


@virtual
async def test_a_message_is_out_when_the_last_of_its_readers_has_done_with_it(world: World) -> None:
    app, notes = world.app(), Notes()
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)
    let_go = asyncio.Event()

    @app.agent(topic)
    async def quick(values: Any) -> None:
        async for _ in values:
            pass

    @app.agent(topic)
    async def slow(values: Any) -> None:
        async for _ in values:
            await let_go.wait()

    app.sensors.add(notes)
    async with app:
        await send_all(topic, [1])
        await until(lambda: notes.names()["on_stream_event_out"] == 1)
        assert notes.of("on_message_out") == []
        let_go.set()
        await until(lambda: notes.names()["on_stream_event_out"] == 2)
        assert len(notes.of("on_message_out")) == 1


@virtual
async def test_with_noack_a_message_is_out_when_it_is_acknowledged(world: World) -> None:
    app, notes, held = world.app(), Notes(), []
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int)

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for event in values.noack().events():
            held.append(event)

    app.sensors.add(notes)
    async with app:
        await send_all(topic, [1, 2])
        await until(lambda: len(held) == 2 and notes.names()["on_stream_event_out"] == 2)
        assert notes.of("on_message_out") == []
        held[1].ack()
        held[0].ack()
        assert [args[1] for args in notes.of("on_message_out")] == [1, 0]


@virtual
async def test_a_send_that_fails_is_told_and_counted(world: World) -> None:
    app, notes = world.app(), Notes()
    topic = app.topic("numbers", internal=True, partitions=1, config={"max.message.bytes": "100"})
    app.sensors.add(notes)
    async with app:
        sent = await topic.send(value="x" * 1000)
        with pytest.raises(faust.exceptions.ProducerSendError):
            await sent
    ((producer, error, state),) = notes.of("on_send_error")
    assert (producer, state) == (app.producer, "state of on_send_initiated")
    assert isinstance(error, faust.exceptions.MessageTooLarge)
    assert app.monitor.send_errors == 1


@virtual
async def test_a_full_buffer_is_told_and_counted(world: World) -> None:
    app, notes = world.app(), Notes()
    topic = app.topic("numbers", internal=True, partitions=1, value_type=str)
    let_go = asyncio.Event()

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for _ in values:
            await let_go.wait()

    app.sensors.add(notes)
    async with app:
        await send_all(topic, ["x" * 100_000] * 400)
        await until(lambda: notes.of("on_topic_buffer_full"))
        assert notes.of("on_topic_buffer_full")[0] == (NUMBERS,)
        assert app.monitor.topic_buffer_full[NUMBERS] == len(notes.of("on_topic_buffer_full"))
        assert app.monitor.messages_active > 1
        assert app.monitor.events_active == 1
        let_go.set()
        await until(lambda: app.committed_position(NUMBERS) == 400)
        await until(lambda: app.monitor.messages_active == 0)
        assert app.monitor.events_active == 0


@virtual
async def test_an_assignor_that_fails_is_told_and_counted(world: World) -> None:
    class Broken(faust.assignor.PartitionAssignor):
        def plan(self, members: Any, counts: Any) -> Any:
            raise ArithmeticError("no plan")

    app, notes = world.app(PartitionAssignor=Broken), Notes()
    counting(app)
    app.sensors.add(notes)
    with pytest.raises(ArithmeticError):
        await app.start()
    await app.stop()
    ((assignor, state, error),) = notes.of("on_assignment_error")
    assert (assignor, state) == (app.assignor, "state of on_assignment_start")
    assert str(error) == "no plan"
    assert app.monitor.assignments_failed == 1
    assert len(app.monitor.assignment_latency) == 1


@virtual
async def test_the_monitor_counts_without_being_called_for_each_event(world: World) -> None:
    called = []

    class Watching(Monitor):
        def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
            super().on_send_completed(producer, state, metadata)
            called.append(metadata.offset)

    app = world.app(Monitor=Watching)
    topic, _, table = counting(app)
    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: app.committed_position(NUMBERS) == 3)
        m = app.monitor
        assert app.sensors.event_hooks is None
        assert app.sensors.table_hooks is None
        assert type(table) is faust.Table
        assert (m.messages_received_total, m.events_total) == (3, 3)
        assert m.messages_received_by_topic == {"numbers": 3}
        assert m.events_by_stream == {"sum": 3}
        assert set(m.stream_lookup.values()) == {"sum"}
        (name,) = set(m.task_lookup.values())
        assert m.events_by_task == {name: 3}
        await until(lambda: m.messages_sent_by_topic == {"numbers": 3, "out": 3})
        assert m.messages_sent == 6
        state = m.tables["sums"]
        assert state.table is table
        assert state.keys_retrieved == 3
        assert (state.keys_updated, state.keys_deleted) == (1, 1)
        assert m.tp_committed_offsets == {"numbers": {0: 3}}
        assert m.tp_read_offsets == {"numbers": {0: 3}}
        assert m.tp_end_offsets == {"numbers": {0: 3}}
        assert NUMBERS in m.stream_inbound_time
        assert (m.rebalances, m.assignments_completed, m.assignments_failed) == (1, 1, 0)
        assert len(m.rebalance_return_latency) == len(m.rebalance_end_latency) == 1
        assert m.rebalance_end_avg >= m.rebalance_return_avg >= 0
        assert m.commits == len(m.commit_latency) > 0
        assert len(m.send_latency) > 0
        assert m.events_runtime_avg > 0
        assert (m.max_avg_history, m.max_commit_latency_history) == (100, 30)
        assert (m.max_send_latency_history, m.max_assignment_latency_history) == (30, 30)
        m.count("apples", 2)
        assert m.metric_counts == {"apples": 2}
        shown = m.asdict()
        assert shown["tables"]["sums"]["keys_updated"] == 1
        assert shown["topic_committed_offsets"] == {"numbers": {0: 3}}
    assert sorted(called) == [0, 0, 1, 1, 2, 2]


def test_rates_are_of_the_last_second() -> None:
    now = [100.0]
    monitor = Monitor(time=lambda: now[0])
    monitor.on_batch(NUMBERS, "a", 50, 50, 0.5)
    monitor.on_batch_in(NUMBERS, 50)
    now[0] += 2.0
    assert (monitor.events_s, monitor.messages_s) == (25, 25)
    now[0] += 1.0
    assert (monitor.events_s, monitor.messages_s) == (0, 0)
    assert monitor.events_runtime_avg == 0.01


@virtual
async def test_a_second_rebalance_is_counted_and_timed_too(world: World) -> None:
    apps = [world.app(), world.app(datadir=str(world.directory / "second"))]
    topics = [app.topic("numbers", internal=True, partitions=2, value_type=int) for app in apps]
    for app, topic in zip(apps, topics, strict=True):

        @app.agent(topic, name="same")
        async def process(values: Any) -> None:
            async for _ in values:
                pass

    first, second = apps
    async with first:
        assert first.monitor.rebalances == 1
        async with second:
            await until(lambda: first.monitor.rebalances > 1 and not first.rebalancing)
            await until(lambda: len(first.monitor.rebalance_end_latency) >= 2)
            await until(
                lambda: len(first.monitor.rebalance_end_latency) == first.monitor.rebalances
            )
        assert second.monitor.rebalances == len(second.monitor.rebalance_return_latency)


@virtual
async def test_a_sensor_may_come_and_go_while_the_app_runs(world: World) -> None:
    app, notes = world.app(), Notes()
    topic, _, table = counting(app)
    async with app:
        await send_all(topic, [1])
        await until(lambda: app.committed_position(NUMBERS) == 1)
        app.sensors.add(notes)
        assert list(app.sensors) == [app.monitor, notes]
        await send_all(topic, [2])
        await until(lambda: app.committed_position(NUMBERS) == 2)
        assert [args[3].value for args in notes.of("on_stream_event_in")] == [2]
        assert notes.of("on_table_get") == [(table, "all")]
        assert len(notes.of("on_send_initiated")) == 2
        app.sensors.remove(notes)
        before = len(notes.calls)
        await send_all(topic, [3])
        await until(lambda: app.committed_position(NUMBERS) == 3)
        assert len(notes.calls) == before


@virtual
async def test_a_sensor_that_raises_is_logged_once_and_the_app_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Sensor):
        def on_batch(self, *args: Any) -> None:
            raise ValueError("batch")

        def on_stream_event_in(self, *args: Any) -> None:
            raise ValueError("in")

        def on_commit_initiated(self, consumer: Any) -> None:
            raise ValueError("commit")

    app = world.app()
    topic, _, table = counting(app)
    app.sensors.add(Broken())
    with caplog.at_level(logging.ERROR, logger="faust.sensors"):
        async with app:
            for value in (1, 2, 3):
                await send_all(topic, [value])
                await until(lambda at=value: app.committed_position(NUMBERS) == at)
            assert table["all"] == 6
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "on_stream_event_in" in line]) == 1
    assert len([line for line in said if "on_batch" in line]) == 1
    assert len([line for line in said if "on_commit_initiated" in line]) == 1


def test_requests_for_pages_are_told_and_counted() -> None:
    import aiohttp

    app = faust.App("seen", broker="memory://", web_port=0, web_bind="127.0.0.1")
    notes = Notes()
    app.sensors.add(notes)

    @app.page("/hello/")
    async def hello(view: Any, request: Any) -> Any:
        return view.json({"hello": "you"})

    async def main() -> None:
        async with app, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{app.web.port}"
            for path in ("/hello/", "/health"):
                async with session.get(url + path) as answer:
                    assert answer.status == 200
            async with session.post(url + "/hello/") as answer:
                assert answer.status == 405

    asyncio.run(main())
    starts, ends = notes.of("on_web_request_start"), notes.of("on_web_request_end")
    assert [args[1].path for args in starts] == ["/hello/", "/health", "/hello/"]
    assert [args[2].status for args in ends] == [200, 200, 405]
    assert {args[3] for args in ends} == {"state of on_web_request_start"}
    assert app.monitor.http_response_codes == {
        HTTPStatus.OK: 2, HTTPStatus.METHOD_NOT_ALLOWED: 1,
    }  # fmt: skip
    assert app.monitor.http_response_latency_avg > 0
