"""One slow agent on a long topic: what waits is bounded, others go on, nothing is dropped.

In virtual time and counted in bytes and events; `tests/sqlite/test_memory.py` measures a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

from faust._machines.flow import FlowPolicy
from tests.support.virtual_time import until, virtual

EVENTS = 20_000
POLICY = FlowPolicy()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@virtual
async def test_a_slow_agent_on_a_long_topic_holds_a_bounded_number_of_bytes_and_drops_nothing(
    world: World,
) -> None:
    app = world.app(producer_max_batch_size=200_000, web_enabled=False)
    long = app.topic("long", internal=True, partitions=2, value_type=bytes)
    short = app.topic("short", internal=True, partitions=1, value_type=int)
    slow, quick = [0], [0]
    is_slow = [True]

    @app.agent(long)
    async def slowly(stream: Any) -> None:
        async for _ in stream:
            slow[0] += 1
            if is_slow[0]:
                await app.clock.sleep(10)

    @app.agent(short)
    async def quickly(stream: Any) -> None:
        async for _ in stream:
            quick[0] += 1

    value = b"x" * 2_000  # 40 MB in all
    async with app:
        for n in range(EVENTS):
            await long.send(value=value, partition=n % 2, value_serializer="raw")
            if n % 100 == 0:
                await short.send(value=n)
        most = 0
        for _ in range(30):
            await app.clock.sleep(1)
            flow = app.topics._flow
            most = max(most, flow.total)
            assert app.topics.records_waiting() * len(value) <= flow.total * 1.1
        assert 0 < most <= 2 * (POLICY.high_bytes + (2 << 20)), "one answer may come on top"
        assert slow[0] < 10
        assert quick[0] == EVENTS // 100, "the other agent has handled all that is its own"
        assert len(flow.paused) == 2
        is_slow[0] = False
        await until(lambda: slow[0] == EVENTS)
        await app.clock.sleep(2)
        assert app.topics._flow.total == 0
        assert sum(world.committed().values()) == EVENTS + EVENTS // 100
