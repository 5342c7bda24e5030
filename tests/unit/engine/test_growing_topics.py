"""Two workers process two topics; one of them gets more partitions meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

import faust
from faust._engine import rebalancer
from faust._machines import commits
from faust._values import TP
from faust.transport.base import TopicSpec
from faust.transport.records import new_builder
from tests.support.virtual_time import until, virtual

NOBODY = (-1, -1, -1)
PLACES = ("growing", "steady")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(rebalancer, "LOOK_INTERVAL", 3.0)
    made = World(tmp_path)
    yield made
    made.close()


@dataclass
class Handled:
    """What the workers of a test have done."""

    events: Counter[str] = field(default_factory=Counter)
    #: Partition -> the workers that are inside an event of it.
    inside: Counter[TP] = field(default_factory=Counter)
    at_once: set[TP] = field(default_factory=set)


def worker(world: World, name: str, handled: Handled, **settings: Any) -> faust.App:
    """Make a worker that takes a while for each event."""
    app = world.app(datadir=str(world.directory / name), broker_heartbeat_interval=0.5, **settings)
    counts = app.Table("counts", key_type=str, value_type=int, default=int)

    async def handle(event: Any) -> None:
        tp = event.message.tp
        handled.inside[tp] += 1
        if handled.inside[tp] > 1:
            handled.at_once.add(tp)
        await app.clock.sleep(0.12)
        handled.inside[tp] -= 1
        handled.events[event.value] += 1

    @app.agent(app.topic("growing", key_type=str, value_type=str), name="sending")
    async def sending(stream: Any) -> None:
        async for event in stream.events():
            await handle(event)

    @app.agent(app.topic("steady", key_type=str, value_type=str), name="counting")
    async def counting(stream: Any) -> None:
        async for event in stream.events():
            counts[event.value] += 1
            await handle(event)

    return app


def append(broker: Any, log: Any, key: bytes, value: bytes) -> None:
    builder = new_builder(1 << 10)
    builder.append(0, 0, key, value, [])
    broker.append(log, builder.build(), NOBODY)


class Source:
    """Puts a numbered event into each partition, again and again."""

    def __init__(self, world: World) -> None:
        self.broker: Any = world.broker
        self.sent: set[str] = set()

    def partitions(self) -> list[TP]:
        return [log.tp for name in PLACES for log in self.broker.topic(name).logs]

    def put(self, topics: Iterable[str] = PLACES) -> None:
        for tp in [tp for tp in self.partitions() if tp.topic in topics]:
            value = f"{tp.topic}-{tp.partition}-{len(self.sent)}"
            self.sent.add(value)
            append(self.broker, self.broker.log(tp), value.encode(), b'"%s"' % value.encode())

    async def put_for(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            self.put()
            await asyncio.sleep(0.25)

    def all_committed(self, world: World) -> bool:
        found = world.committed()
        return all(found.get(tp) == self.broker.log(tp).state.end for tp in self.partitions())


def reads(app: faust.App) -> set[TP]:
    assert app.engine is not None
    return {tp for task in app.engine.tasks.values() for tp in task.sources}


def make_topics(world: World, growing: int, steady: int) -> Source:
    broker: Any = world.broker
    broker.create_topic(TopicSpec("growing", growing))
    broker.create_topic(TopicSpec("steady", steady))
    return Source(world)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize(
    ("growing", "steady", "later"), [(4, 4, 8), (2, 4, 4), (1, 2, 3)], ids=["out", "into", "beside"]
)
@virtual
async def test_no_event_is_handled_twice_when_a_topic_grows(
    world: World, guarantee: str, growing: int, steady: int, later: int
) -> None:
    """Its old partitions were read by their new owner while the old one had not given them up."""
    handled = Handled()
    one = worker(world, "one", handled, processing_guarantee=guarantee)
    two = worker(world, "two", handled, processing_guarantee=guarantee)
    source = make_topics(world, growing, steady)
    async with one, two:
        await until(lambda: len(reads(one) | reads(two)) == growing + steady)
        await source.put_for(2)
        world.broker.create_partitions("growing", later)
        await source.put_for(8)
        await until(lambda: source.all_committed(world))
        assert reads(one) | reads(two) == set(source.partitions())
        assert reads(one).isdisjoint(reads(two))
        assert not handled.at_once
        assert handled.events == Counter(source.sent)


@virtual
async def test_the_commit_of_a_table_is_not_forgotten_when_another_topic_joins_its_task(
    world: World,
) -> None:
    """The commit with the higher number was the other topic's, and knew nothing of the table: all
    of its changelog was taken for committed, also what a worker had left there before it died."""
    one = worker(world, "one", Handled())
    source = make_topics(world, 1, 2)
    async with one:
        await until(lambda: len(reads(one)) == 3)
        for topics in (PLACES, ["growing"]):
            source.put(topics)
            await until(lambda: source.all_committed(world))
        log = world.broker.log(TP("shop-counts-changelog", 0))
        append(world.broker, log, b"left", b"7")
        world.broker.create_partitions("growing", 2)
        await until(lambda: TP("growing", 1) in reads(one))
        source.put()
        await until(lambda: source.all_committed(world))
        table: Any = one.tables["counts"]
        assert "left" not in table
        assert set(table.values()) == {1}
        found = world.broker.groups.committed("shop", [TP("growing", 0)])
        entry = commits.decode(found[TP("growing", 0)].metadata)
        assert entry is not None
        assert set(entry.positions) == set(PLACES)
        assert "counts" in entry.tables
