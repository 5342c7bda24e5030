"""No commit passes an event that is not finished: acks in any order, gaps, revocations, failures.

Events are acknowledged by hand, in an order drawn from the seed; requests to commit fail, before
and after they have taken effect; a second worker comes and goes.  At every commit that has
succeeded, on either worker, all below its offsets has been acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from engine_world import World

import faust
from faust.exceptions import BrokerUnavailable, IllegalGeneration, RetryableError
from faust.sensors import Sensor
from faust.testing.clock import run_virtual
from faust.types import TP
from tests.support.virtual_time import until

EVENTS = 60
PARTITIONS = 3
FAILURES = (BrokerUnavailable("no answer"), RetryableError("moved"), IllegalGeneration("over"))


class Watch(Sensor):
    """Compares every commit with what was acknowledged."""

    def __init__(self, acked: set[tuple[TP, int]]) -> None:
        super().__init__()
        self.acked = acked
        self.wrong: list[str] = []
        self.commits = 0

    def on_tp_commit(self, tp_offsets: Mapping[TP, int]) -> None:
        self.commits += 1
        for tp, offset in tp_offsets.items():
            left = [n for n in range(offset) if (tp, n) not in self.acked]
            if left:
                self.wrong.append(f"{tp} was committed up to {offset}, and {left} is not finished")


@pytest.mark.parametrize("seed", range(6))
def test_at_every_commit_all_below_its_offsets_is_finished(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path)
    try:
        run_virtual(_run(world, Random(seed)), seed=seed)
    finally:
        world.close()


async def _run(world: World, random: Random) -> None:
    acked: set[tuple[TP, int]] = set()
    watch = Watch(acked)
    first, second = (_worker(world, name, random, acked, watch) for name in ("a", "b"))
    async with first:
        for value in range(EVENTS):
            await first.topic("orders", value_type=int).send(
                value=value, partition=value % PARTITIONS
            )
        for _ in range(4):
            failure = random.choice(FAILURES)
            world.broker.faults.fail("commit", failure, after=random.random() < 0.5)
            await first.clock.sleep(random.uniform(0.1, 1.0))
        async with second:
            await first.clock.sleep(random.uniform(0.5, 3.0))
        each = EVENTS // PARTITIONS
        goal = {TP("orders", n): each for n in range(PARTITIONS)}
        await until(lambda: world.committed() == goal)
    assert not watch.wrong
    assert watch.commits > 3
    assert (first.failure, second.failure) == (None, None)


def _worker(
    world: World, name: str, random: Random, acked: set[tuple[TP, int]], watch: Watch
) -> faust.App:
    app = world.app(
        datadir=str(world.directory / name), topic_partitions=PARTITIONS, stream_buffer_maxsize=10
    )
    app.sensors.add(watch)
    topic = app.topic("orders", internal=True, partitions=PARTITIONS, value_type=int)

    def finish(event: Any) -> None:
        # Before the ack: whoever commits it the moment after must find it here.
        acked.add((TP(event.message.topic, event.message.partition), event.message.offset))
        event.ack()

    @app.agent(topic, name="by_hand")
    async def by_hand(stream: Any) -> None:
        async for event in stream.noack().events():
            asyncio.get_running_loop().call_later(random.uniform(0, 1.5), finish, event)

    return app
