"""What each setting of the producer, of streams, tables, agents and replies changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from settings_world import (
    World,
    effect_of,
    fails,
    run_whole,
    send_all,
    until,
    virtual,
    warnings_in,
    whole_app,
)

import faust
from faust.exceptions import (
    AgentFailed,
    ProducerSendError,
)
from faust.types import TP


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


# -- producer ------------------------------------------------------------------------------------


async def batches_of(world: World, values: list[bytes], **settings: Any) -> list[Any]:
    app = world.app(**settings)
    async with app:
        await send_all(app.topic("sent", internal=True, partitions=1), values)
    return list(world.broker.log(TP("sent", 0)).batches)


@effect_of("producer_max_batch_size")
def test_a_batch_is_full_at_its_size(world: World) -> None:
    @virtual
    async def flow() -> None:
        batches = await batches_of(world, [b"x" * 1000] * 20, producer_max_batch_size=2500)
        assert max(batch.count for batch in batches) == 2

    flow()


@effect_of("producer_compression_type")
def test_batches_are_compressed(world: World) -> None:
    @virtual
    async def flow() -> None:
        (batch,) = await batches_of(world, [b"x" * 50_000], producer_compression_type="gzip")
        assert len(batch.data) < 1000

    flow()


@effect_of("producer_linger")
@pytest.mark.parametrize(("linger", "batches"), [(0, 20), (1.0, 3)])
def test_a_message_waits_for_others_while_a_batch_is_under_way(
    world: World, linger: float, batches: int
) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(producer_linger=linger)
        topic = app.topic("sent", internal=True, partitions=1)
        async with app:
            await send_all(topic, [b"first"])
            world.broker.faults.delay("produce", 5.0, times=1)
            waiting = []
            for _ in range(20):
                waiting.append(await topic.send(value=b"next"))
                await app.clock.sleep(0.01)
            for each in waiting:
                await each
        assert len(world.broker.log(TP("sent", 0)).batches) <= batches + 1

    flow()
    assert linger == 0 or len(world.broker.log(TP("sent", 0)).batches) <= 3


@effect_of("producer_partitioner")
def test_a_partitioner_of_ones_own_places_keys(world: World) -> None:
    asked: list[Any] = []

    def last(key: bytes, every: list[int], available: list[int]) -> int:
        asked.append((key, every, available))
        return every[-1]

    @virtual
    async def flow() -> None:
        app = world.app(producer_partitioner=last)
        async with app:
            await send_all(app.topic("sent", internal=True, partitions=4), [b"v"] * 3, key="k")
        assert len(world.broker.log(TP("sent", 3)).batches) > 0
        assert asked[0] == (b"k", [0, 1, 2, 3], [0, 1, 2, 3])

    flow()


@effect_of("producer_max_request_size")
def test_a_message_that_is_too_large_is_refused(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(producer_max_request_size=200_000)
        async with app:
            sent = await app.topic("sent", internal=True).send(value=b"x" * 300_000)
            with pytest.raises(ProducerSendError):
                await sent

    flow()


# -- streams, tables -----------------------------------------------------------------------------


@effect_of("stream_buffer_maxsize")
def test_a_stream_holds_so_many_events_that_are_not_acknowledged(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(stream_buffer_maxsize=10)
        held: list[Any] = []
        orders = app.topic("orders", value_type=str, internal=True, partitions=1)

        @app.agent(orders)
        async def read(stream: Any) -> None:
            async for event in stream.noack().events():
                held.append(event)

        async with app:
            await send_all(orders, ["a"] * 30)
            await app.clock.sleep(5)
            assert len(held) == 10
            await held[0].ack()
            await until(lambda: len(held) == 11)

    flow()


@effect_of("stream_buffer_maxsize")
def test_sending_to_a_channel_waits_while_so_many_wait_in_it(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(stream_buffer_maxsize=10)
        channel = app.channel()
        for n in range(10):
            await channel.send(n)
        eleventh = asyncio.ensure_future(channel.send(10))
        await asyncio.sleep(1)
        assert not eleventh.done()
        async for value in app.stream(channel):
            if value == 10:
                break
        assert eleventh.done()

    flow()


@effect_of("table_cleanup_interval")
def test_windows_that_are_over_are_removed_at_the_interval(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(table_cleanup_interval=100)
        table = app.Table("seen", default=int).tumbling(10, expires=10)
        orders = app.topic("orders", key_type=str, value_type=str, internal=True, partitions=2)

        @app.agent(orders)
        async def count(stream: Any) -> None:
            async for event in stream.events():
                table[event.key] += 1

        def windows() -> int:
            return sum(len(list(piece.items())) for piece in app.tables["seen"].slices.values())

        async with app:
            now = app.clock.time()
            await send_all(orders, ["a"], key="k", timestamp=now)
            await send_all(orders, ["b"], key="k", timestamp=now + 60)
            await until(lambda: windows() == 2)
            await app.clock.sleep(50)
            assert windows() == 2
            await app.clock.sleep(120)
            assert windows() == 1

    flow()


@effect_of("table_standby_replicas")
def test_a_worker_alone_has_no_trouble_with_replicas(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    @virtual
    async def flow() -> None:
        app = whole_app(world, table_standby_replicas=2)
        await run_whole(world, app)
        assert app.assignor.replicas == 2

    flow()
    assert warnings_in(caplog).count("\n") == 0


# -- agents --------------------------------------------------------------------------------------


def failing(app: faust.App, tried: list[float]) -> None:
    @app.agent(app.topic("orders", value_type=str, internal=True, partitions=1), name="bad")
    async def bad(stream: Any) -> None:
        async for _ in stream:
            tried.append(app.clock.monotonic())
            raise ValueError("no")


@effect_of("agent_error_retries", "agent_error_backoff", "agent_error_backoff_max")
def test_an_event_is_tried_so_often_with_such_pauses(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(agent_error_retries=4, agent_error_backoff=10, agent_error_backoff_max=25)
        tried: list[float] = []
        failing(app, tried)
        async with app:
            await send_all(app.topic("orders"), ["a"])
            assert isinstance(await fails(app), AgentFailed)
        assert len(tried) == 5
        pauses = [b - a for a, b in pairwise(tried)]
        assert max(pauses) <= 25.5
        assert pauses[0] <= 10.5
        assert sum(pauses) > 30

    flow()


@effect_of("agent_error_policy")
def test_an_event_may_be_left_out(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(agent_error_policy="skip")
        tried: list[float] = []
        failing(app, tried)
        async with app:
            await send_all(app.topic("orders"), ["a", "b"])
            await until(lambda: world.committed().get(TP("orders", 0)) == 2)
        assert (len(tried), app.failure) == (2, None)

    flow()


@effect_of("decode_error_policy")
@pytest.mark.parametrize("policy", ["skip", "crash"])
def test_what_cannot_be_decoded_is_left_out_or_stops_the_worker(world: World, policy: str) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(decode_error_policy=policy)
        seen: list[Any] = []
        orders = app.topic("orders", value_type=int, internal=True, partitions=1)

        @app.agent(orders)
        async def read(stream: Any) -> None:
            async for value in stream:
                seen.append(value)

        async with app:
            raw = app.topic("orders")
            await send_all(raw, [b"not json"])
            if policy == "crash":
                await fails(app)
                return
            await send_all(raw, [b"3"])
            await until(lambda: seen == [3])

    flow()


# -- replies -------------------------------------------------------------------------------------


@effect_of("reply_timeout")
def test_an_answer_is_waited_for_so_long(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(reply_timeout=30)

        @app.agent(app.topic("orders", internal=True, partitions=1), name="silent")
        async def silent(stream: Any) -> None:
            async for _ in stream:
                pass

        async with app:
            began = app.clock.monotonic()
            with pytest.raises(TimeoutError):
                await silent.ask("anybody?")
            assert 30 <= app.clock.monotonic() - began < 40

    flow()


@effect_of("reply_create_topic", "reply_to", "reply_to_prefix", "reply_expires")
def test_the_reply_topic_is_made_and_named_as_the_settings_say(world: World) -> None:
    @virtual
    async def flow() -> None:
        given = {"reply_to_prefix": "answers-", "reply_expires": timedelta(hours=2)}
        lazy = world.app("lazy", **given)
        async with lazy:
            assert lazy.conf.reply_to not in world.broker.describe(None)
        eager = world.app("eager", reply_create_topic=True, **given)
        async with eager:
            assert eager.conf.reply_to.startswith("answers-")
            config = world.broker.topic_config(eager.conf.reply_to)
            assert config["retention.ms"] == str(2 * 3600 * 1000)
        named = whole_app(world, reply_to="mine")
        await run_whole(world, named)
        assert world.records("mine")

    flow()
