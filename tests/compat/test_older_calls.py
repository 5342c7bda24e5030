"""Names and calls that programs for earlier versions have in them."""

from __future__ import annotations

import asyncio
from typing import Any

import mode
import pytest

import faust
from faust.cli import base, params
from faust.testing import run_virtual, running


def make_app(id: str = "older", **settings: Any) -> faust.App:
    return faust.App(id, **{"broker": "memory://older", "topic_partitions": 1, **settings})


async def send_all(topic: Any, *values: Any, **options: Any) -> None:
    for sent in [await topic.send(value=value, **options) for value in values]:
        await sent


def committed(app: faust.App, topic: Any) -> int:
    return app.monitor.tp_committed_offsets.get(topic.get_topic_name(), {}).get(0, 0)


def test_names_are_where_they_were() -> None:
    assert faust.Service is mode.Service
    assert faust.ServiceT is mode.ServiceT
    assert faust.EventT is faust.Event
    assert faust.StreamT is faust.Stream
    assert faust.version_info_t is faust.VersionInfo
    assert faust.uuid() != faust.uuid()
    assert base.argument is params.argument
    assert base.option is params.option


def test_everything_of_what_an_event_sends_on_can_be_given_by_position() -> None:
    app = make_app()
    source = app.topic("source", internal=True, value_type=str)
    target = app.topic("target", internal=True, value_serializer="raw")
    told: list[Any] = []
    read: list[tuple[Any, Any]] = []
    schema: Any = faust.Schema(value_serializer="json")

    @app.agent(source)
    async def pass_on(stream: Any) -> None:
        async for event in stream.events():
            rest = (None, None, {"h": b"1"}, None, "raw", "raw", told.append, True)
            await event.send(target, "k", "sent", *rest)
            await event.forward(target, b"k", b"forwarded", *rest)
            await event.send(target, "k", "schema", None, None, None, schema)

    @app.agent(target)
    async def keep(stream: Any) -> None:
        async for event in stream.events():
            read.append((event.message.value, dict(event.headers)))

    async def main() -> None:
        async with running(app):
            await send_all(source, "x")
            while len(read) < 3:
                await app.sleep(0.1)

    run_virtual(main())
    assert read == [(b"sent", {"h": b"1"}), (b"forwarded", {"h": b"1"}), (b'"schema"', {})]
    assert len(told) == 2


def test_lists_can_be_taken_with_the_timestamps_of_their_messages() -> None:
    """A dict gets it; other values stay as they are (pitfalls C14)."""
    app = make_app()
    topic = app.topic("dated", internal=True)
    lists: list[Any] = []

    @app.agent(topic)
    async def keep(stream: Any) -> None:
        async for values in stream.take_with_timestamp(3, 1, "at"):
            lists.append(values)

    async def main() -> None:
        async with running(app):
            await send_all(topic, {"n": 1}, {"n": 2, "at": 7}, "text", timestamp=1000.5)
            while not lists:
                await app.sleep(0.1)

    run_virtual(main())
    assert lists == [[{"n": 1, "at": 1000.5}, {"n": 2, "at": 1000.5}, "text"]]


def test_lists_of_events_can_be_taken_without_acknowledging_them() -> None:
    app = make_app()
    topic = app.topic("unacked", internal=True, value_type=int)
    taken: list[Any] = []

    @app.agent(topic)
    async def keep(stream: Any) -> None:
        async for events in stream.noack_take(2, within=1):
            taken.extend(events)

    async def main() -> None:
        async with running(app):
            await send_all(topic, 1, 2, 3, 4)
            while len(taken) < 4:
                await app.sleep(0.1)
            await app.sleep(10)
            assert committed(app, topic) == 0
            assert not any(event.acked for event in taken)
            for event in taken:
                event.ack()
            await app.sleep(10)
            assert committed(app, topic) == 4

    run_virtual(main())
    assert [event.value for event in taken] == [1, 2, 3, 4]


def test_an_event_is_acknowledged_when_its_stream_has_gone_on() -> None:
    """Whichever way it was read; its message says the same."""
    app = make_app()
    topic = app.topic("going-on", internal=True, value_type=int)
    kept: dict[str, list[Any]] = {"events": [], "current": [], "taken": [], "shared": []}
    before: list[bool] = []

    @app.agent(topic)
    async def events(stream: Any) -> None:
        async for event in stream.events():
            before.append(event.acked)
            kept["events"].append(event)

    @app.agent(topic)
    async def current(stream: Any) -> None:
        async for _ in stream:
            kept["current"].append(stream.current_event)

    @app.agent(topic)
    async def taken(stream: Any) -> None:
        async for some in stream.take_events(2, within=1):
            before.extend(event.acked for event in some)
            kept["taken"].extend(some)

    @app.agent(topic, concurrency=2)
    async def shared(stream: Any) -> None:
        async for event in stream.events():
            before.append(event.acked)
            kept["shared"].append(event)

    async def main() -> None:
        async with running(app):
            await send_all(topic, 1, 2, 3)
            await app.sleep(5)

    run_virtual(main())
    assert before == [False] * 9
    for name, found in kept.items():
        assert [(event.acked, event.message.acked) for event in found] == [(True, True)] * 3, name


def test_flow_control_holds_back_queues_of_ones_own() -> None:
    """Tests for earlier versions resume it; that is needed no more, and does no harm."""
    app = make_app()
    queue = app.FlowControlQueue(maxsize=2)
    cleared = app.FlowControlQueue(clear_on_resume=True)

    async def main() -> None:
        await queue.put(1)
        await cleared.put(1)
        app.flow_control.suspend()
        assert not app.flow_control.is_active()
        waiting = asyncio.ensure_future(queue.put(2))
        await asyncio.sleep(1)
        assert queue.qsize() == 1
        app.flow_control.resume()
        await waiting
        assert (queue.qsize(), cleared.qsize()) == (2, 0)

    run_virtual(main())


def test_parts_of_an_app_can_be_assigned() -> None:
    app, other = make_app(), make_app("other")
    configured = [app.configured]
    app.finalize()
    assert [*configured, app.configured] == [False, True]
    for name in ("assignor", "monitor", "router", "serializers", "tables", "topics", "web"):
        setattr(app, name, getattr(other, name))
        assert getattr(app, name) is getattr(other, name)


@pytest.mark.parametrize("in_memory", [False, True])
def test_an_agent_under_test_says_how_far_it_has_come(in_memory: bool) -> None:
    app = make_app()
    errors: list[str] = []

    @app.agent(app.channel() if in_memory else None)
    async def double(stream: Any) -> Any:
        async for value in stream:
            yield value * 2

    async def main() -> None:
        async with double.test_context(on_error=lambda _, exc: errors.append(repr(exc))) as agent:
            assert (agent.sent_offset, agent.processed_offset) == (0, 0)
            await agent.put(1)
            await agent.put(2, wait=False)
            assert agent.sent_offset == 2
            await app.sleep(1)
            assert agent.processed_offset == 2
            await agent.throw(KeyError("thrown"))
            await app.sleep(1)
            assert errors == ["KeyError('thrown')"]

    run_virtual(main())


def test_an_agent_can_be_called_over_a_channel() -> None:
    app = make_app()
    channel = app.channel()

    @app.agent()
    async def double(stream: Any) -> Any:
        async for value in stream:
            yield value * 2

    async def main() -> None:
        await channel.send(21)
        async for value in double(channel=channel):
            assert value == 42
            break
        async for value in double(stream=app.stream([4])):
            assert value == 8

    run_virtual(main())


def test_a_topic_can_be_iterated_over_as_it_is() -> None:
    app = make_app()
    topic = app.topic("plainly", internal=True, value_type=int)
    read: list[tuple[Any, Any]] = []

    @app.task
    async def reading() -> None:
        async for event in topic:
            read.append((event.key, event.value))

    async def main() -> None:
        async with running(app):
            await send_all(topic, 1, 2, key="k")
            await app.sleep(3)

    run_virtual(main())
    assert read == [(b"k", 1), (b"k", 2)]


def test_each_task_reads_a_topic_for_itself() -> None:
    app = make_app()
    topic = app.topic("for-each", internal=True, value_type=int)
    read: dict[str, list[int]] = {"one": [], "two": []}

    @app.task
    async def one() -> None:
        async for value in topic.stream():
            read["one"].append(value)

    @app.task
    async def two() -> None:
        async for values in topic.stream().take(2, within=1):
            read["two"].extend(values)

    async def main() -> None:
        async with running(app):
            await send_all(topic, 1, 2, 3, 4)
            await app.sleep(5)

    run_virtual(main())
    assert read == {"one": [1, 2, 3, 4], "two": [1, 2, 3, 4]}
