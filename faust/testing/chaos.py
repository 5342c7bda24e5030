"""What goes wrong in a simulation, and when: drawn from a seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from faust.testing.crashpoints import CrashPoint, crash_points, points_of
from faust.testing.harness import Harness, Worker
from faust.testing.network import Weather

__all__ = ["Chaos", "Plan"]

#: How long a crash at a chosen point is waited for (virtual seconds).
AMBUSH_PATIENCE = 5.0


@dataclass(frozen=True)
class Plan:
    """What may go wrong.

    Attributes:
        seconds: How long it does (virtual seconds).
        pause: Mean seconds between two faults.
        weights: Fault -> how likely it is among the others.
        weather: The network meanwhile.
        gentle: Workers come and go in an orderly way and nothing else happens: no event may be
            handled twice.
        target: Number of the crash point that ambushes begin with.
        focus: Crash here again and again.
    """

    seconds: float = 30.0
    pause: float = 3.0
    weights: dict[str, float] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    gentle: bool = False
    target: int = 0
    focus: CrashPoint | None = None

    @classmethod
    def focused(cls, point: CrashPoint, seed: int) -> Plan:
        """Return a plan that crashes at one point as often as anybody comes there."""
        weights = {"ambush": 8.0, "leave": 1.0, "join": 1.5, "kill": 0.5, "freeze": 0.5}
        weather = Weather(
            latency=0.02, slow=0.05, slow_latency=1.0, lost=0.03, unanswered=0.04,
            lost_sends=0.003 * (seed % 2),
        )  # fmt: skip
        return cls(pause=1.0, weights=weights, weather=weather, focus=point)

    @classmethod
    def draw(cls, random: Random, seed: int) -> Plan:
        """Draw one: some seeds see everything, some one kind of fault only, some almost none."""
        everything = {
            "ambush": 4.0, "kill": 2.0, "freeze": 1.0, "cut_off": 1.0, "leave": 1.5, "join": 1.5,
            "storm": 1.0, "jump": 0.5, "disk": 0.5,
        }  # fmt: skip
        weather = Weather(
            latency=random.choice((0.0, 0.003, 0.02)),
            slow=random.choice((0.0, 0.02, 0.1)),
            slow_latency=random.choice((0.3, 1.0, 3.0)),
            lost=random.choice((0.0, 0.0, 0.02)),
            unanswered=random.choice((0.0, 0.0, 0.02)),
            lost_sends=random.choice((0.0, 0.0, 0.002)),
        )
        kind = random.random()
        if kind < 0.1:
            calm = Weather(latency=weather.latency)
            return cls(weights={"leave": 1.0, "join": 1.0}, weather=calm, gentle=True)
        if kind < 0.35:
            return cls(
                pause=1.0,
                weights={
                    "ambush": 7.0,
                    "storm": 1.0,
                    "leave": 0.7,
                    "join": 1.0,
                    "cut_off": 0.3,
                    "freeze": 0.4,
                },
                weather=replace(
                    weather, latency=0.02, lost=0.03, unanswered=0.03, lost_sends=0.003
                ),
                target=seed * 4,
            )
        if kind < 0.55:
            name = random.choice(list(everything))
            everything = {name: 1.0, "join": 0.3}
        return cls(
            pause=random.choice((1.5, 3.0, 5.0)),
            weights=everything,
            weather=weather,
            target=seed * 4,
        )


class Chaos:
    """Lets things go wrong.

    Arguments:
        harness: The world.
        plan: What may.
        faults: Counts what did.
        points: Counts the crash points that were hit.
    """

    def __init__(
        self, harness: Harness, plan: Plan, faults: Counter[str], points: Counter[CrashPoint]
    ) -> None:
        self.harness = harness
        self.plan = plan
        self.faults = faults
        self.points = points
        self.random = Random(harness.seed + 2)
        self._table = crash_points()
        self._targets = sorted(set(self._table.values()))
        self._next_target = plan.target
        self._armed: tuple[frozenset[CrashPoint], float] | None = None
        self._pending: set[asyncio.Task[None]] = set()
        self._supervisor: asyncio.Task[None] | None = None
        harness.loop.on_turn = self._on_turn

    async def run(self) -> None:
        """Start the workers; let things go wrong for as long as the plan says."""
        harness, plan, random = self.harness, self.plan, self.random
        harness.network.weather = plan.weather
        for worker in harness.workers:
            harness.start(worker)
            if random.random() < 0.5:
                await harness.clock.sleep(random.random() * 2)
        self.supervise()
        deadline = harness.clock.monotonic() + plan.seconds
        while harness.clock.monotonic() < deadline:
            await harness.clock.sleep(random.expovariate(1 / plan.pause))
            await self._something()
        self.rest()

    async def heal(self) -> None:
        """Let everything be well again."""
        harness = self.harness
        self._armed = None
        await asyncio.gather(*self._pending)
        harness.network.weather = Weather(latency=0.003, slow=0.0)
        harness.network.cut_off.clear()
        for worker in harness.workers:
            if worker.process is not None:
                worker.process.resume()
            if worker.app is not None:
                harness.disk(worker).failing = 0
        for worker in harness.workers:
            if worker.asked.is_set() and not await harness.until_ended(worker, 60.0):
                harness.journal.findings.append(f"I5 progress: {worker.name} does not end")
            elif worker.asked.is_set():
                self._start(worker)
        self.supervise()

    def supervise(self) -> None:
        """From now on, start again what ends."""
        self._supervisor = asyncio.create_task(self._supervise(), name="supervisor")

    def rest(self) -> None:
        """Leave workers alone."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            self._supervisor = None

    async def _supervise(self) -> None:
        """Start again what has ended or died, after a while."""
        while True:
            for worker in self.harness.workers:
                if not worker.running and not worker.asked.is_set():
                    self._start(worker)
            await self.harness.clock.sleep(1.0)

    def _start(self, worker: Worker) -> None:
        if worker.starts and self.random.random() < 0.3 and not self.plan.gentle:
            self.faults["new disk"] += 1
            self.harness.disk(worker).wipe()
        self.harness.start(worker)

    # -- one fault ---------------------------------------------------------------------------

    async def _something(self) -> None:
        names = list(self.plan.weights)
        name = self.random.choices(names, [self.plan.weights[n] for n in names])[0]
        worker = self.random.choice(self.harness.workers)
        fault: Callable[[Worker], Awaitable[None]] = getattr(self, f"_{name}")
        await fault(worker)

    def _later(self, seconds: float, do: Callable[[], Any]) -> None:
        async def wait() -> None:
            await self.harness.clock.sleep(seconds)
            do()

        task = asyncio.create_task(wait(), name="chaos")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _kill(self, worker: Worker) -> None:
        if worker.running:
            self._strike(worker)

    def _strike(self, worker: Worker) -> None:
        self.faults["kill"] += 1
        for point in self._where(worker):
            self.points[point] += 1
        self.harness.kill(worker)

    async def _ambush(self, worker: Worker) -> None:
        if self._armed is not None:
            return
        if self.plan.focus is not None:
            self._armed = (frozenset({self.plan.focus}), float("inf"))
            return
        # Some in the order of their turns, so that rare ones have theirs.
        targets = frozenset(
            self._targets[(self._next_target + step) % len(self._targets)] for step in range(4)
        )
        self._next_target += 4
        until = self.harness.clock.monotonic() + AMBUSH_PATIENCE
        self._armed = (targets, until)

    async def _freeze(self, worker: Worker) -> None:
        process = worker.process
        if not worker.running or process is None or process.state != "running":
            return
        self.faults["freeze"] += 1
        self.harness.journal.note("freeze", process.name)
        process.stop()
        self._later(self.random.choice((1.0, 12.0, 25.0)), process.resume)

    async def _cut_off(self, worker: Worker) -> None:
        if not worker.running or worker.process is None:
            return
        self.faults["cut off"] += 1
        name = worker.process.name
        self.harness.journal.note("cut", name)
        cut_off = self.harness.network.cut_off
        cut_off.add(name)
        self._later(self.random.choice((0.5, 4.0, 14.0)), lambda: cut_off.discard(name))

    async def _leave(self, worker: Worker) -> None:
        if not worker.running or worker.asked.is_set():
            return
        self.faults["leave"] += 1
        self.harness.ask_to_stop(worker)

    async def _join(self, worker: Worker) -> None:
        for each in self.harness.workers:
            if each.asked.is_set() and each.ended:
                self.faults["join"] += 1
                self._start(each)
                return

    async def _storm(self, worker: Worker) -> None:
        network = self.harness.network
        self.faults["storm"] += 1
        before = network.weather
        network.weather = Weather(
            latency=0.05, slow=0.2, slow_latency=4.0, lost=0.15, unanswered=0.15,
            lost_sends=self.random.choice((0.0, 0.05)),
        )  # fmt: skip

        def over() -> None:
            network.weather = before

        await self.harness.clock.sleep(self.random.random() * 3)
        over()

    async def _jump(self, worker: Worker) -> None:
        if worker.running and worker.app is not None:
            self.faults["clock jump"] += 1
            clock: Any = worker.app.clock
            clock.jump(self.random.choice((-3600.0, -1.0, 1.0, 3600.0, 90_000.0)))

    async def _disk(self, worker: Worker) -> None:
        if worker.running and worker.app is not None and worker.app._conf is not None:
            self.faults["disk error"] += 1
            self.harness.disk(worker).failing = self.random.choice((1, 1, 3))

    # -- crashes at a point --------------------------------------------------------------------

    def _on_turn(self) -> None:
        if self._armed is None:
            return
        targets, until = self._armed
        if self.harness.clock.monotonic() > until:
            self._armed = None
            return
        for worker in self.harness.workers:
            if worker.running and targets & self._where(worker):
                self._armed = None
                self._strike(worker)
                return

    def _where(self, worker: Worker) -> set[CrashPoint]:
        """Return the points at which a worker's tasks stand."""
        process = worker.process
        if process is None:
            return set()
        tasks = [process.main, *process.tasks]
        found: set[CrashPoint] = set()
        for task in tasks:
            if task is not None and not task.done():
                found.update(points_of(task.get_coro(), self._table))
        return found
