"""Topics and channels: what was accepted elsewhere and had no effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import faust
from faust.testing import memory_broker, run_virtual, running
from faust.transport.base import TopicSpec
from faust.types import TP
from faust.types.core import merge_headers


def make_app(id: str = "compat", **settings: Any) -> faust.App:
    return faust.App(id, **{"broker": "memory://compat", "topic_partitions": 2, **settings})


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Let virtual time pass until something is so."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


async def send_all(topic: Any, values: Any) -> None:
    for sent in [await topic.send(value) for value in values]:
        await sent


@pytest.mark.parametrize(("given", "most"), [({"maxsize": 3}, 3), ({}, 7)])
@pytest.mark.parametrize("take", [False, True])
def test_maxsize_of_a_topic_limits_what_is_out(
    given: dict[str, int], most: int, take: bool
) -> None:
    """Without it, the setting does (pitfalls B2)."""
    app = make_app(stream_buffer_maxsize=7)
    topic = app.topic("numbers", internal=True, partitions=1, value_type=int, **given)
    out: list[Any] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        if take:
            async for events in stream.noack().take_events(2):
                out.extend(events)
        else:
            async for event in stream.noack().events():
                out.append(event)

    async def main() -> None:
        async with running(app):
            await send_all(topic, range(20))
            await asyncio.sleep(5)
            assert len(out) <= most + take  # a list may overshoot it once
            assert len(out) >= most - take
            for event in out:
                event.ack()
            await until(lambda: len(out) > most + take)
            for event in out:
                event.ack()

    run_virtual(main())


def test_what_is_derived_or_cloned_has_every_option_of_its_original() -> None:
    """(pitfalls B15)"""
    app = make_app()
    topic = app.topic(
        "orders", key_type=str, value_type=int, key_serializer="raw", value_serializer="json",
        partitions=3, retention=60.0, compacting=True, deleting=True, replicas=2, acks=False,
        internal=True, config={"a": "b"}, maxsize=5, allow_empty=True,
    )  # fmt: skip
    for made in (topic.derive(), topic.derive_topic(), topic.clone()):
        assert {**made.info(), "schema": None} == {**topic.info(), "schema": None}
        assert vars(made.schema) == vars(topic.schema)
    assert topic.derive(prefix="a-", suffix="-z", replicas=1).info()["replicas"] == 1
    assert topic.derive(prefix="a-", suffix="-z").get_topic_name() == "a-orders-z"

    closed: list[Any] = []
    table = app.GlobalTable(
        "totals", default=int, partitions=3, options={"x": 1}, on_window_close=closed.append,
        help="sums", standby_buffer_size=7,
    )  # fmt: skip
    assert table.clone(name="totals2").info() == {**table.info(), "name": "totals2"}
    assert table.clone(name="totals3").is_global

    stream = app.stream(topic, prefix="p-").noack()
    assert stream.clone().info() == stream.info()
    assert stream.info()["enable_acks"] is False

    async def fun(values: Any) -> None: ...

    agent = app.agent(topic, name="agent", concurrency=2, use_reply_headers=False)(fun)
    again = agent.clone(name="again")
    assert {**again.info(), "name": 0, "channel": 0} == {**agent.info(), "name": 0, "channel": 0}
    assert again.info()["use_reply_headers"] is False


def test_a_channel_sends_soon_and_says_that_it_has_no_name() -> None:
    """(pitfalls A10)"""
    app = make_app()
    channel, other = app.channel(value_type=int), app.channel()

    async def main() -> None:
        channel.send_soon(key="k", value=3)
        event = await channel.get(timeout=1)
        assert (event.key, event.value) == ("k", 3)
        with pytest.raises(ValueError, match="a channel in memory has no name"):
            channel.get_topic_name()

        @app.agent(channel, sink=[other])
        async def double(stream: Any) -> Any:
            async for value in stream:
                yield value * 2

        async with running(app):
            await channel.send(21)
            assert (await other.get(timeout=1)).value == 42

    run_virtual(main())


def test_a_list_can_be_taken_from_a_plain_iterable() -> None:
    """(pitfalls C14)"""
    app = make_app()

    async def main() -> None:
        lists = [values async for values in app.stream(range(5)).take(2, within=1.0)]
        assert lists == [[0, 1], [2, 3], [4]]

    run_virtual(main())


def test_what_is_read_from_a_running_app_is_subscribed_to_at_once() -> None:
    """(pitfalls C20)"""
    app = make_app()
    first = app.topic("first", internal=True, partitions=1, value_type=int)
    late = app.topic("late", internal=True, partitions=1, value_type=int)
    seen: list[int] = []

    @app.agent(first)
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async def read_late() -> None:
        async for value in late.stream():
            seen.append(value)

    async def main() -> None:
        async with running(app):
            await send_all(first, [1])
            reader = asyncio.create_task(read_late())
            await asyncio.sleep(5)
            await send_all(late, [2])
            await until(lambda: seen == [1, 2], 10.0)
            reader.cancel()

    run_virtual(main())


class Tagging(faust.Schema[Any, Any]):
    """As the models guide has it: the headers say what a message is."""

    def on_dumps_key_prepare_headers(self, key: Any, headers: Any) -> Any:
        return merge_headers(headers, {"key": "text"})

    def on_dumps_value_prepare_headers(self, value: Any, headers: Any) -> Any:
        merge_headers(headers, {"value": b"bytes"})


def test_headers_are_merged_in_place_and_returned() -> None:
    """(pitfalls C48)"""
    pairs, mapping = [("a", b"1")], {"a": b"1"}
    assert merge_headers(pairs, {"b": "2"}) is pairs
    assert merge_headers(mapping, {"b": "2"}) is mapping
    assert pairs == [("a", b"1"), ("b", b"2")]
    assert mapping == dict(pairs)
    assert merge_headers(None, {"b": "2"}) == merge_headers((), {"b": b"2"}) == [("b", b"2")]

    app = make_app()
    topic = app.topic("tagged", internal=True, partitions=1, schema=Tagging())

    async def main() -> None:
        async with memory_broker() as broker, running(app, broker=broker):
            broker.create_topic(TopicSpec("tagged", 1, 1, {}))
            await (await topic.send(key="k", value="v", headers={"own": b"1"}))
            (batch,) = broker.log(TP("tagged", 0)).batches
            (record,) = batch.records()
            assert list(record.headers) == [("own", b"1"), ("key", b"text"), ("value", b"bytes")]

    run_virtual(main())


def test_app_send_has_every_argument_of_a_message() -> None:
    """Names and objects alike; the callback is called, and the answer says where it is."""
    app = make_app()
    topic = app.topic("all", internal=True, partitions=4, key_type=str, value_type=int)
    called: list[Any] = []

    async def main() -> None:
        async with memory_broker() as broker, running(app, broker=broker):
            broker.create_topic(TopicSpec("all", 4, 1, {}))
            for target in (topic, "all"):
                sent = await app.send(
                    target, "k", b"v", 3, 1000.5, [("h", b"1")], faust.Schema(), "raw", "raw",
                    called.append,
                )  # fmt: skip
                metadata = await sent
                assert metadata.topic_partition == TP("all", 3)
                assert metadata.timestamp == 1000.5
            records = [r for b in broker.log(TP("all", 3)).batches for r in b.records()]
            assert [(r.key, r.value, list(r.headers)) for r in records] == [
                (b"k", b"v", [("h", b"1")])
            ] * 2
            await until(lambda: len(called) == 2)

    run_virtual(main())
