"""Flow control that cannot deadlock: real streams of every kind, with room for next to nothing.

The limits are set so low that everything pauses all the time: a few hundred bytes for a partition,
less for all of them than they may have together, a list of `take` that is larger than what a stream
may hold, an outbox that is full after some records.  Streams run at random speeds, tasks that are
ready together run in an order drawn from the seed, a second worker comes and goes.  Whatever the
order, each agent is handed everything, and what waits stays below its bounds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from engine_world import World

import faust
from faust._engine import outbox
from faust._machines.flow import Flow, FlowPolicy
from faust.testing.clock import run_virtual
from tests.support.virtual_time import until

POLICY = FlowPolicy(high_bytes=400, low_bytes=100, total_bytes=1500)
EVENTS = 40
PARTITIONS = 3
#: Largest batch here, in bytes.
BATCH = 300

Seen = dict[str, Counter[int]]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_order_every_agent_is_handed_everything_and_what_waits_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(outbox, "MAX_UNDER_WAY", 600)
    world = World(tmp_path)
    try:
        run_virtual(_run(world, Random(seed)), seed=seed)
    finally:
        world.close()


async def _run(world: World, random: Random) -> None:
    seen: Seen = {}
    most = [0]
    first, second = (_worker(world, name, random, seen, most) for name in ("a", "b"))
    async with first:
        sending = asyncio.ensure_future(_send(first, random))
        await first.clock.sleep(random.uniform(0, 2))
        async with second:
            await first.clock.sleep(random.uniform(0, 5))
        await sending
        everything = set(range(EVENTS))
        await until(lambda: len(seen) == 8 and all(set(c) >= everything for c in seen.values()))
        await until(lambda: not any(first.topics.lag().values()))
        assert not first.inspector.standing()
        assert (first.failure, second.failure) == (None, None)
    tps = 5 * PARTITIONS + 2
    assert most[0] <= 2 * POLICY.total_bytes + tps * BATCH * 3  # three readers count it each


def _worker(world: World, name: str, random: Random, seen: Seen, most: list[int]) -> faust.App:
    app = world.app(
        datadir=str(world.directory / name),
        topic_partitions=PARTITIONS,
        stream_buffer_maxsize=4,
        producer_max_batch_size=BATCH,
        agent_error_backoff=0.01,
        table_standby_replicas=0,
    )
    app.topics._flow = _Watched(POLICY, most)
    shared = app.topic("shared", internal=True, partitions=PARTITIONS, value_type=int)
    other = app.topic("other", internal=True, partitions=2, value_type=int)
    table = app.Table("sums", default=int, partitions=PARTITIONS, key_type=int, value_type=int)

    async def handle(agent: str, value: int) -> None:
        await app.clock.sleep(random.choice([0, 0, 0, 0.001, 0.05]))
        seen.setdefault(agent, Counter())[value] += 1

    @app.agent(shared, name="plain")
    async def plain(stream: Any) -> None:
        async for value in stream:
            table[value] += 1
            await handle("plain", value)

    @app.agent(shared, name="gated")
    async def gated(stream: Any) -> None:
        async for value in stream:
            table[-value - 1] += 1
            await handle("gated", value)

    @app.agent(shared, name="lists")
    async def lists(stream: Any) -> None:
        async for values in stream.take(9, within=0.2):
            for value in values:
                await handle("lists", value)

    @app.agent(shared, name="by_hand")
    async def by_hand(stream: Any) -> None:
        async for event in stream.noack().events():
            await handle("by_hand", event.value)
            asyncio.get_running_loop().call_later(random.uniform(0, 0.3), event.ack)

    @app.agent(shared, name="lists_by_hand")
    async def lists_by_hand(stream: Any) -> None:
        async for events in stream.noack_take(6, within=0.5):
            for event in events:
                await handle("lists_by_hand", event.value)
                asyncio.get_running_loop().call_later(random.uniform(0, 0.3), event.ack)

    @app.agent(other, name="many", concurrency=3)
    async def many(stream: Any) -> None:
        async for value in stream:
            await handle("many", value)

    @app.agent(other, name="forwards")
    async def forwards(stream: Any) -> None:
        async for value in stream.group_by(lambda n: n % 5, name="rest", partitions=PARTITIONS):
            await handle("forwards", value)

    failed: Counter[int] = Counter()  # fewer times than would end the worker

    @app.agent(other, name="fails")
    async def fails(stream: Any) -> None:
        async for value in stream:
            if value % 7 == 0 and failed[value] < 3 and random.random() < 0.4:
                failed[value] += 1
                raise ValueError("again")
            await handle("fails", value)

    return app


async def _send(app: faust.App, random: Random) -> None:
    for value in range(EVENTS):
        for name, partitions in (("shared", PARTITIONS), ("other", 2)):
            await app.topic(name, value_type=int).send(value=value, partition=value % partitions)
        if random.random() < 0.2:
            await app.clock.sleep(random.uniform(0, 0.1))


class _Watched(Flow):
    """Remembers the most that ever waited."""

    def __init__(self, policy: FlowPolicy, most: list[int]) -> None:
        super().__init__(policy)
        self.most = most

    def added(self, tp: Any, n_bytes: int) -> Any:
        changes = super().added(tp, n_bytes)
        self.most[0] = max(self.most[0], self.total)
        return changes
