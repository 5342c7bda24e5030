"""What the monitor and ``/metrics`` say equals what is known, through rebalances too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

import faust
from faust.sensors.prometheus import METRICS
from faust.types import TP
from tests.support.virtual_time import send_all, until, virtual

PARTITIONS = 4


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def worker(world: World, name: str, seen: list[int], seconds: float = 0.0) -> faust.App:
    app = world.app(datadir=str(world.directory / name), topic_partitions=PARTITIONS)
    numbers = app.topic("numbers", internal=True, partitions=PARTITIONS, value_type=int)
    out = app.topic("out", internal=True, partitions=1, value_type=int)

    @app.agent(numbers, name="forward")
    async def forward(stream: Any) -> None:
        async for value in stream:
            if seconds:
                await app.clock.sleep(seconds)
            await out.send(value=value)
            seen.append(value)

    return app


def metric(app: faust.App, name: str) -> dict[tuple[str, ...], float]:
    (definition,) = [each for each in METRICS if each.name == name]
    return dict(definition.read(app))


def total(apps: list[faust.App], name: str) -> float:
    return sum(sum(metric(app, name).values()) for app in apps)


@virtual
async def test_two_workers_count_every_event_once_through_joins_and_leaves(world: World) -> None:
    seen: list[int] = []
    first, second = (worker(world, name, seen) for name in ("a", "b"))
    apps, n = [first, second], 0

    async def send(count: int) -> None:
        nonlocal n
        for partition in range(PARTITIONS):
            await send_all(
                first.topic("numbers", value_type=int), range(n, n + count), partition=partition
            )
            n += count
        await until(lambda: len(seen) == n)

    async with first:
        await send(8)
        async with second:
            await until(lambda: len(second.engine.tasks) == 2)  # type: ignore[union-attr]
            await send(9)
            await first.clock.sleep(2)
            assert sorted(seen) == list(range(n)), "nothing twice: all was handed over in order"
            assert total(apps, "events") == n
            assert total(apps, "records_received") == n
            assert total(apps, "lag_records") == 0
            assert total(apps, "lag_seconds") == 0
            assert total(apps, "committed_offset") == n, "each partition's by its owner alone"
            assert len(metric(first, "committed_offset")) == 2
        await until(lambda: len(first.engine.tasks) == PARTITIONS)  # type: ignore[union-attr]
        await send(5)
        await first.clock.sleep(2)
        assert total([first], "committed_offset") == n
        assert total([first], "lag_records") == 0
        assert total(apps, "events") == n
        sent = sum(app.monitor.messages_sent_by_topic["out"] for app in apps)
        assert sent == n
        assert first.monitor.rebalances >= 3
        assert not any(app.monitor.send_errors for app in apps)


@virtual
async def test_lag_is_told_in_records_and_in_seconds(world: World) -> None:
    seen: list[int] = []
    app = worker(world, "a", seen, seconds=10)
    async with app:
        numbers = app.topic("numbers", value_type=int)
        await send_all(numbers, [1, 2], partition=0)
        await app.clock.sleep(3)
        await send_all(numbers, [3], partition=0)
        await app.clock.sleep(2)
        lag = app.monitor.asdict()
        assert lag["lag"]["numbers"] == {0: 3, 1: 0, 2: 0, 3: 0}
        assert lag["lag_seconds"]["numbers"][0] == pytest.approx(5, abs=0.2)
        await until(lambda: len(seen) == 1)
        await app.clock.sleep(5)
        assert app.topics.lag_seconds()[TP("numbers", 0)] == pytest.approx(15, abs=0.2)
        await until(lambda: len(seen) == 2)
        await app.clock.sleep(5)
        assert app.topics.lag_seconds()[TP("numbers", 0)] == pytest.approx(22, abs=0.2)
        await until(lambda: len(seen) == 3)
        await app.clock.sleep(1)
        assert metric(app, "lag_seconds")["numbers", "0"] == 0.0
