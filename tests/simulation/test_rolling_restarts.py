"""Workers restarted one after the other, under load: what moves, and that tables stay exact."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from faust import App
from faust._values import TP
from faust.testing.harness import Harness, Worker, WorkerEnvironment
from faust.testing.processes import SimulationLoop, run_simulated
from faust.transport.base import TopicSpec
from faust.transport.records import new_builder

PARTITIONS = 12
TPS = [TP("events", n) for n in range(PARTITIONS)]
SETTINGS = {
    "web_enabled": False,
    "store": "simulated://",
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 0.5,
    "broker_commit_interval": 0.5,
}


class Roll:
    """A group of workers, what is sent to it, and who has which partition in the course of time."""

    def __init__(self, harness: Harness, replicas: int) -> None:
        self.harness = harness
        self.replicas = replicas
        self.sent: Counter[str] = Counter()
        self.moves: list[tuple[TP, str, str]] = []
        self.owner: dict[TP, str] = {}
        self.sending = True

    async def send(self) -> None:
        random = Random(self.harness.seed)
        while self.sending:
            number = random.randrange(PARTITIONS)
            key = f"{number}-{random.randrange(3)}"
            builder = new_builder(1 << 10)
            stamp = int(self.harness.clock.time() * 1000)
            builder.append(0, stamp, key.encode(), b"1", [])
            self.harness.broker.append(
                self.harness.broker.log(TPS[number]), builder.build(), (-1, -1, -1)
            )
            self.sent[key] += 1
            await self.harness.clock.sleep(0.05)

    async def watch(self) -> None:
        while True:
            for worker in self.harness.workers:
                for tp in worker.sources:
                    if self.owner.get(tp, worker.name) != worker.name:
                        self.moves.append((tp, self.owner[tp], worker.name))
                    self.owner[tp] = worker.name
            await self.harness.clock.sleep(0.02)

    def is_settled(self) -> bool:
        """Is everything processed, evenly, with nothing on its way?"""
        workers = self.harness.workers
        if not all(worker.ready for worker in workers):
            return False
        counts = [len(worker.sources) for worker in workers]
        if sum(counts) != PARTITIONS or max(counts) - min(counts) > 1:
            return False
        engines = [worker.app.engine for worker in workers if worker.app is not None]
        assigned = [engine.assignment for engine in engines if engine is not None]
        copies = sum(len(each.standbys) for each in assigned if each is not None)
        return copies == PARTITIONS * self.replicas

    async def settle(self) -> None:
        deadline = self.harness.clock.monotonic() + 120.0
        while not self.is_settled():
            assert self.harness.clock.monotonic() < deadline, [w.sources for w in self.all]
            await self.harness.clock.sleep(0.1)

    @property
    def all(self) -> list[Worker]:
        return self.harness.workers

    async def restart(self, worker: Worker) -> None:
        """As an orchestrator does it: SIGTERM, wait for the end, start, wait until it is ready."""
        self.harness.ask_to_stop(worker)
        assert await self.harness.until_ended(worker, 30.0)
        await self.harness.clock.sleep(2.0)
        self.harness.start(worker)
        await self.settle()
        await self.harness.clock.sleep(3.0)

    async def totals(self) -> dict[str, int]:
        """What the table holds once all that was sent is committed."""
        self.sending = False
        ends = self.harness.ends(["events"])
        wanted = {tp: end for tp, end in ends.items() if end}
        while self.harness.committed("roll", TPS) != wanted:
            await self.harness.clock.sleep(0.1)
        contents, twice = self.harness.table("totals")
        assert not twice
        return contents


def roll(
    tmp_path: Path, workers: int, *, static: bool, replicas: int
) -> tuple[Roll, list[tuple[str, set[TP], list[tuple[TP, str, str]]]], dict[str, int]]:
    """Restart all workers in turn; return for each what it had and what moved meanwhile."""

    def make_app(env: WorkerEnvironment) -> App:
        machine = env.name.partition(".")[0]
        options: dict[str, Any] = {"consumer_group_instance_id": machine} if static else {}
        app = App(
            "roll",
            broker=env.broker_url,
            datadir=env.datadir,
            canonical_url=f"http://{machine}:6066",
            table_standby_replicas=replicas,
            **options,
            **env.settings,
        )
        totals = app.Table("totals", default=int, key_type=str, partitions=PARTITIONS)
        events = app.topic("events", key_type=str, value_type=int)

        @app.agent(events)
        async def count(stream: Any) -> None:
            async for key, value in stream.items():
                totals[key] += value

        return app

    async def main(loop: SimulationLoop) -> Any:
        harness = Harness(
            loop, make_app, seed=7, workers=workers, directory=str(tmp_path), settings=SETTINGS
        )
        world = Roll(harness, replicas)
        harness.broker.create_topic(TopicSpec("events", PARTITIONS))
        background = [asyncio.ensure_future(world.send()), asyncio.ensure_future(world.watch())]
        restarts = []
        try:
            for worker in world.all:
                harness.start(worker)
            await world.settle()
            await harness.clock.sleep(5.0)
            for worker in world.all:
                had = set(worker.sources)
                world.moves.clear()
                await world.restart(worker)
                restarts.append((worker.name, had, list(world.moves)))
            totals = await world.totals()
            assert not any(worker.failures for worker in world.all)
        finally:
            for each in background:
                each.cancel()
            await harness.end()
        return world, restarts, totals

    result: Any = run_simulated(main, 7, time_limit=2_000.0)
    return result  # type: ignore[no-any-return]  # as main returns it


#: More workers are more of the same, and take longer.
FIVE = pytest.mark.soak


@pytest.mark.parametrize(("workers", "replicas"), [(3, 0), (3, 1), pytest.param(5, 1, marks=FIVE)])
def test_a_rolling_restart_moves_only_what_each_worker_had_away_once_and_back_once(
    tmp_path: Path, workers: int, replicas: int
) -> None:
    world, restarts, totals = roll(tmp_path, workers, static=False, replicas=replicas)
    assert totals == dict(world.sent)
    for name, had, moves in restarts:
        moved = Counter(tp for tp, *_ in moves)
        assert set(moved) <= had, f"{name}: {moves}"
        assert max(moved.values()) <= 2 + (not replicas), f"{name}: {moves}"
        assert max(Counter(tp for tp, _, to in moves if to == name).values()) <= 1


@pytest.mark.parametrize("workers", [3, pytest.param(5, marks=FIVE)])
def test_a_rolling_restart_of_static_members_moves_nothing(tmp_path: Path, workers: int) -> None:
    world, restarts, totals = roll(tmp_path, workers, static=True, replicas=1)
    assert totals == dict(world.sent)
    assert [moves for _, _, moves in restarts] == [[]] * workers


def test_a_worker_that_starts_again_is_not_ready_because_it_was_ready_when_it_was_killed(
    tmp_path: Path,
) -> None:
    async def main(loop: SimulationLoop) -> list[bool]:
        def make_app(env: WorkerEnvironment) -> App:
            app = App("again", broker=env.broker_url, datadir=env.datadir, **env.settings)
            app.agent(app.topic("events"))(_pass)
            return app

        harness = Harness(
            loop, make_app, seed=7, workers=1, directory=str(tmp_path), settings=SETTINGS
        )
        harness.broker.create_topic(TopicSpec("events", 1))
        (worker,) = harness.workers
        said = []
        try:
            for _ in range(2):
                harness.start(worker)
                said.append(worker.ready)
                while not worker.ready:
                    await harness.clock.sleep(0.1)
                harness.kill(worker)
        finally:
            await harness.end()
        return said

    result: Any = run_simulated(main, 7, time_limit=2_000.0)
    assert result == [False, False]


async def _pass(stream: Any) -> None:
    async for _ in stream:
        pass
