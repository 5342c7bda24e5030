"""Workers in a simulation, one moment at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faust.testing.harness import Harness, Worker
from faust.testing.processes import SimulationLoop, run_simulated
from faust.testing.scenarios import SCENARIOS
from faust.testing.world import SETTINGS
from faust.transport.base import TopicSpec


def run(tmp_path: Path, play: Any, workers: int = 1) -> Any:
    """Let ``play(harness, worker)`` do something with workers that have not been started."""
    scenario = SCENARIOS["counting"](partitions=2)

    async def main(loop: SimulationLoop) -> Any:
        harness = Harness(
            loop,
            scenario.make_app,
            seed=1,
            workers=workers,
            directory=str(tmp_path),
            settings={**SETTINGS, "store": "memory://"},
        )
        for name, partitions in scenario.topics.items():
            harness.broker.create_topic(TopicSpec(name, partitions))
        try:
            return await play(harness, harness.workers[0])
        finally:
            await harness.end()

    return run_simulated(main, 1, time_limit=300.0)


async def until_ready(harness: Harness, worker: Worker) -> None:
    while not (worker.ready and worker.sources):
        await harness.clock.sleep(0.1)


def test_a_worker_that_has_just_been_started_is_not_taken_for_the_one_before(
    tmp_path: Path,
) -> None:
    async def play(harness: Harness, worker: Worker) -> tuple[bool, list[Any], dict[Any, Any]]:
        harness.start(worker)
        await until_ready(harness, worker)
        harness.kill(worker)
        harness.start(worker)
        return worker.ready, worker.sources, harness.table("count")[0]

    assert run(tmp_path, play) == (False, [], {})


def test_a_task_that_is_assigned_while_its_worker_stops_is_not_started(tmp_path: Path) -> None:
    async def play(harness: Harness, worker: Worker) -> list[Any]:
        async def release(tasks: object) -> None:
            harness.ask_to_stop(worker)
            await harness.clock.sleep(1.0)  # a standby hands over a store that is written to

        async def stop() -> None:
            await harness.clock.sleep(2.0)  # stores are closed

        other = harness.workers[1]
        for each in (worker, other):
            harness.start(each)
        for each in (worker, other):
            await until_ready(harness, each)
        engine: Any = worker.app and worker.app.engine
        engine.state.release, engine.state.stop = release, stop
        harness.kill(other)
        await worker.asked.wait()
        assert await harness.until_ended(worker, 60.0)
        return [*engine.tasks, *engine.starting]

    assert run(tmp_path, play, workers=2) == []
