"""Channels and topics: what they are made of, who gets what, who waits."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from vocabulary_world import World, until, virtual

import faust
from faust.exceptions import ProducerSendError
from faust.types import TP, EventT


class Order(faust.Record):
    account: str
    amount: int = 1


# -- channels -----------------------------------------------------------------------------


@virtual
async def test_what_is_put_before_anybody_reads_is_not_lost(world: World) -> None:
    app = world.app()
    channel = app.channel()
    await channel.put(1)
    await channel.send(2, key="k")
    iterator = aiter(channel)
    assert await anext(iterator) == 1
    event = await anext(iterator)
    assert isinstance(event, EventT)
    assert (event.key, event.value) == ("k", 2)


@virtual
async def test_everybody_who_reads_a_channel_gets_everything(world: World) -> None:
    app, seen = world.app(), []
    channel = app.channel()

    async def read(name: str) -> None:
        async for value in channel.stream():
            seen.append((name, value))

    readers = [asyncio.create_task(read(name)) for name in "ab"]
    await until(lambda: channel.subscriber_count == 2)
    await channel.send(1)
    await until(lambda: len(seen) == 2)
    for reader in readers:
        reader.cancel()
    assert sorted(seen) == [("a", 1), ("b", 1)]


@virtual
async def test_who_sends_to_a_full_channel_waits(world: World) -> None:
    app = world.app()
    channel = app.channel(maxsize=2)
    await channel.send(1)
    await channel.send(2)
    third = asyncio.create_task(channel.send(3))
    await asyncio.sleep(10)
    assert not third.done()
    assert (await channel.get()).value == 1
    await third
    assert not channel.empty()
    assert [(await channel.get()).value for _ in range(2)] == [2, 3]
    assert channel.empty()
    with pytest.raises(TimeoutError):
        await channel.get(timeout=1)


@virtual
async def test_sending_to_a_channel_gives_what_can_be_awaited(world: World) -> None:
    app = world.app()
    done = []
    sent = await app.channel().send(1, callback=done.append)
    assert sent.done()
    assert (await sent).offset == 0
    assert done == [sent]
    assert sent.result().topic_partition == sent.tp


@virtual
async def test_a_channel_passes_on_an_exception_that_is_thrown(world: World) -> None:
    app = world.app()
    channel = app.channel()
    await channel.throw(KeyError("here"))
    with pytest.raises(KeyError):
        await anext(aiter(channel))


@virtual
async def test_an_agent_that_fails_gets_the_same_message_of_a_channel_again(world: World) -> None:
    app, seen = world.app(), []
    channel = app.channel()

    @app.agent(channel)
    async def process(values: Any) -> None:
        async for value in values:
            seen.append(value)
            if len(seen) == 1:
                raise ValueError("again")

    async with app:
        await channel.send(1)
        await channel.send(2)
        await until(lambda: len(seen) == 3)
    assert seen == [1, 1, 2]


# -- topics: definitions --------------------------------------------------------------------


def offline() -> faust.App:
    return faust.App("shop", broker="memory://never")


def test_a_topic_has_names_or_a_pattern() -> None:
    app = offline()
    assert app.topic("a", "b").topics == ["a", "b"]
    assert app.topic(pattern="a.*").matches("abc")
    assert not app.topic(pattern=re.compile("a.")).matches("abc")
    with pytest.raises(TypeError, match="names or a pattern"):
        app.topic("a", pattern="b")
    with pytest.raises(ValueError, match="several names"):
        app.topic("a", "b").get_topic_name()
    with pytest.raises(ValueError, match="no single name"):
        app.topic(pattern="a.*").get_topic_name()


@pytest.mark.parametrize("name", ["a b", "ö", "", "..", "a" * 250])
def test_an_impossible_name_is_refused_where_it_is_written(name: str) -> None:
    with pytest.raises(ValueError, match="topic name"):
        offline().topic(name)


def test_a_topic_has_partitions() -> None:
    with pytest.raises(ValueError, match="at least 1 partition"):
        offline().topic("a", partitions=0)


def test_a_derived_topic_leaves_the_schema_of_its_original_alone() -> None:
    app = offline()
    schema = faust.Schema(value_type=Order, value_serializer="json")
    original = app.topic("a", schema=schema)
    derived = original.derive_topic(suffix="-x", value_type=int)
    assert (derived.topics, derived.value_type) == (["a-x"], int)
    assert original.value_type is Order
    assert schema.value_type is Order
    with pytest.raises(ValueError, match="pattern"):
        app.topic(pattern="a").derive_topic(suffix="-x")


@virtual
async def test_an_internal_topic_is_created_as_it_is_described(world: World) -> None:
    app = world.app()
    topic = app.topic(
        "kept",
        internal=True,
        partitions=5,
        retention=60,
        compacting=True,
        deleting=True,
        config={"max.message.bytes": 1000000},
    )

    @app.agent(topic)
    async def process(values: Any) -> None:
        async for _ in values:
            pass

    async with app:
        assert world.broker.describe(["kept"])["kept"].partitions == 5
        config = world.broker.topic_config("kept")
    assert config["retention.ms"] == "60000"
    assert set(config["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert config["max.message.bytes"] == "1000000"


# -- topics: reading and writing ------------------------------------------------------------------


@virtual
async def test_a_topic_of_several_names_reads_all_of_them(world: World) -> None:
    app, seen = world.app(), []

    @app.agent(app.topic("a", "b"))
    async def process(values: Any) -> None:
        async for event in values.events():
            seen.append((event.message.topic, event.value))

    async with app:
        await app.send("a", value=1)
        await app.send("b", value=2)
        await until(lambda: len(seen) == 2)
    assert sorted(seen) == [("a", 1), ("b", 2)]


@virtual
async def test_a_pattern_finds_topics_that_appear_later(world: World) -> None:
    app, seen = world.app(consumer_metadata_max_age_ms=2000), []
    world.create("logs-1")

    @app.agent(app.topic(pattern="logs-.*"))
    async def process(values: Any) -> None:
        async for event in values.events():
            seen.append((event.message.topic, event.value))

    async with app:
        await app.send("logs-1", value=1)
        await until(lambda: seen)
        world.create("logs-2")
        await app.send("logs-2", value=2)
        await until(lambda: len(seen) == 2)
    assert seen == [("logs-1", 1), ("logs-2", 2)]


@virtual
async def test_nothing_is_a_tombstone_and_not_json(world: World) -> None:
    app = world.app()
    async with app:
        sent = await app.topic("t").send(None, key="k")
        await sent
    (record,) = world.records("t")
    assert record.value is None


@virtual
async def test_a_message_may_be_encoded_in_another_way_than_its_topic_says(world: World) -> None:
    app = world.app()
    topic = app.topic("t", value_type=Order, partitions=1)
    async with app:
        await topic.send(Order("a"), partition=0)
        await topic.send(b"\x00\xff", value_serializer="raw", partition=0)
        await topic.send({"x": 1}, key={"y": 2}, key_serializer="json", partition=0)
        schema = faust.Schema(value_serializer="json|binary")
        await (await topic.send([1], schema=schema, partition=0))
    records = world.records("t")
    assert records[1].value == b"\x00\xff"
    assert (records[2].key, records[2].value) == (b'{"y":2}', b'{"x":1}')
    assert records[3].value == b"WzFd"


@virtual
async def test_a_message_goes_where_it_is_told_and_says_where_it_went(world: World) -> None:
    app, done = world.app(), []
    topic = app.topic("t")
    async with app:
        sent = await topic.send(1, partition=1, timestamp=1000.5, callback=done.append)
        metadata = await sent
        assert (metadata.topic_partition, metadata.offset) == (TP("t", 1), 0)
        assert metadata.timestamp == 1000.5
        assert done == [sent]
        with pytest.raises(ValueError, match="has no partition 7"):
            await topic.send(1, partition=7)


@virtual
async def test_equal_keys_go_to_one_partition(world: World) -> None:
    app = world.app(topic_partitions=8)
    topic = app.topic("t", key_type=str)
    async with app:
        places = {await (await topic.send(n, key="same")) for n in range(20)}
    assert len({place.partition for place in places}) == 1


@virtual
async def test_an_event_is_forwarded_as_bytes_and_sent_anew(world: World) -> None:
    app = world.app()

    @app.agent(app.topic("t", value_type=Order, key_type=str))
    async def process(values: Any) -> None:
        async for event in values.events():
            await event.forward("forwarded")
            await event.send("sent", value=Order("b"), key="other")

    async with app:
        await app.topic("t").send(
            b'{"account": "a",  "amount": 3}', key="k", headers={"h": b"1"}, value_serializer="raw"
        )
        await until(lambda: world.broker.describe(["sent"]) and world.records("sent"))
    (forwarded,) = world.records("forwarded")
    (sent,) = world.records("sent")
    assert forwarded.value == b'{"account": "a",  "amount": 3}'
    assert (forwarded.key, list(forwarded.headers)) == (b"k", [("h", b"1")])
    assert (sent.key, sent.value[:13]) == (b"other", b'{"account":"b')


@virtual
async def test_a_message_that_cannot_be_delivered_says_so_where_it_is_awaited(
    world: World,
) -> None:
    app = world.app()
    async with app:
        sent = await app.topic("t", partitions=1).send("x" * 3_000_000)
        with pytest.raises(ProducerSendError):
            await sent
        assert "failed" in repr(sent)
