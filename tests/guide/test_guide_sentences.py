"""What the guide says in passing, beside its snippets: one test for each sentence."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from guide_world import GuideWorld, send_all, until, virtual

import faust
from faust.types import TP


def counting(world: GuideWorld, seen: list[Any], **settings: Any) -> faust.App:
    """An app that counts what it reads from a source topic."""
    app = world.prepare(faust.App("shop", **settings))
    counts = app.Table("counts", key_type=str, default=int, partitions=1)

    @app.agent(app.topic("numbers", value_type=int))
    async def count(stream: Any) -> None:
        async for number in stream:
            counts["all"] += number
            seen.append((app.conf.id, number, counts["all"]))

    return app


@virtual
async def test_another_version_is_an_isolated_instance_and_leaves_source_topics_alone(
    world: GuideWorld,
) -> None:
    """It reads from the start, into a table of its own; a source topic stays as it was made."""
    world.create("numbers", partitions=1)
    seen: list[Any] = []
    first = counting(world, seen)
    async with first:
        await send_all(first.topic("numbers", value_type=int), [5])
        await until(lambda: seen)
    async with counting(world, seen, version=2, topic_partitions=4):
        await until(lambda: len(seen) == 2)
    async with counting(world, seen):
        await asyncio.sleep(5.0)
    assert seen == [("shop", 5, 5), ("shop-v2", 5, 5)]
    topics = world.broker.describe(None)
    assert {"shop-counts-changelog", "shop-v2-counts-changelog"} <= set(topics)
    assert topics["numbers"].partitions == 1


@virtual
async def test_two_instances_with_one_id_share_the_work_and_two_ids_do_not(
    world: GuideWorld,
) -> None:
    """``id``: instances with the same id are in the same group."""
    seen: list[tuple[str, int]] = []

    def reading(id: str, name: str) -> faust.App:
        app = world.prepare(faust.App(id))

        @app.agent(app.topic("numbers", value_type=int))
        async def read(stream: Any) -> None:
            async for number in stream:
                seen.append((name, number))

        return app

    world.create("numbers", partitions=2)
    apps = [reading("one", "one/1"), reading("one", "one/2"), reading("other", "other")]
    async with apps[0], apps[1], apps[2]:
        await until(lambda: all(len(app.engine.tasks) == 1 for app in apps[:2]))  # type: ignore[union-attr]
        topic = apps[0].topic("numbers", value_type=int)
        for partition in (0, 1):
            await send_all(topic, range(3), partition=partition)
        await until(lambda: len(seen) == 12)
    assert Counter(name for name, _ in seen) == {"one/1": 3, "one/2": 3, "other": 6}


def test_the_settings_that_on_configured_gets_become_those_of_the_app() -> None:
    """``conf`` is the instance that ``app.conf`` is set to after the signal."""
    app, got = faust.App("shop", env={}), []

    @app.on_configured
    def configure(sender: faust.App, conf: faust.Settings, **kwargs: Any) -> None:
        assert sender is app
        assert not app.configured
        got.append(conf)
        conf.topic_partitions = 3

    assert app.conf.topic_partitions == 3
    assert got == [app.conf]
    assert got[0] is app.conf


def test_a_signal_takes_positional_and_new_keyword_arguments() -> None:
    """Handlers accept ``**kwargs``, so that arguments can be added."""
    told: list[Any] = []
    app = faust.App("shop", env={})

    @app.on_worker_init.connect
    def init(sender: Any, *args: Any, **kwargs: Any) -> None:
        told.append((sender, args, kwargs["later"]))

    app.on_worker_init.send(app, 1, 2, later="added")
    assert told == [(app, (1, 2), "added")]


@pytest.mark.parametrize("scheme", ["kafka", "aiokafka"])
def test_kafka_on_this_machine_is_read_without_a_broker(scheme: str) -> None:
    """``kafka://localhost`` is used if no URL is given; the port is Kafka's own."""
    default = faust.App("shop", env={}).conf.broker
    named = faust.App("shop", env={}, broker=f"{scheme}://localhost").conf.broker
    assert [(url.host, url.port) for url in default] == [("localhost", 9092)]
    assert [(url.host, url.port) for url in named] == [("localhost", 9092)]


@virtual
async def test_a_task_is_started_when_partitions_are_consumed_and_tables_are_there(
    world: GuideWorld,
) -> None:
    """A task is started once the app is operational: its partitions are being consumed."""
    world.create("numbers", partitions=1)
    seen: list[Any] = []
    app = counting(world, seen)
    found: list[Any] = []

    @app.task
    async def mytask() -> None:
        assert app.engine is not None
        found.append((sorted(app.consumer.assignment()), app.engine.caught_up.is_set()))

    async with app:
        await until(lambda: found)
    assert found == [([TP("numbers", 0)], True)]
