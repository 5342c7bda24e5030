"""Lets things go wrong in a simulation, as a plan says: each fault is a method of `Chaos`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from faust.testing import brokerfaults
from faust.testing.ambush import Ambushes
from faust.testing.crashpoints import CrashPoint, phase_of
from faust.testing.harness import Harness, Worker
from faust.testing.network import Weather
from faust.testing.plan import Plan
from faust.testing.scenario import Scenario

__all__ = ["Chaos"]

#: How long a crash at a chosen point is waited for (virtual seconds).
AMBUSH_PATIENCE = 5.0
#: So much time passes by at most while nobody runs: topics keep their records for a week (seconds).
MOST_PASSED = 5 * 86_400.0


class Chaos:
    """Lets things go wrong.

    Arguments:
        harness: The world.
        plan: What may.
        scenario: What runs.

    Attributes:
        faults: What did go wrong, how often.
        points: The crash points that were hit, how often.
        kills: What a worker was doing when it was killed, how often.
    """

    def __init__(self, harness: Harness, plan: Plan, scenario: Scenario) -> None:
        self.harness = harness
        self.plan = plan
        self.scenario = scenario
        self.faults: Counter[str] = Counter()
        self.points: Counter[CrashPoint] = Counter()
        self.kills: Counter[str] = Counter()
        self.random = Random(harness.seed + 2)
        harsh = {} if plan.gentle else scenario.faults
        self._weights = {**plan.weights, **harsh, **scenario.favours}
        self._ambushes = Ambushes(harness)
        self._next_target = plan.target
        self._pending: set[asyncio.Task[None]] = set()
        self._supervisor: asyncio.Task[None] | None = None

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
        self._ambushes.clear()
        await asyncio.gather(*self._pending)
        harness.network.weather = Weather(latency=0.003, slow=0.0)
        harness.network.cut_off.clear()
        harness.network.coordinator_moves = False
        harness.network.heal()
        for worker in harness.workers:
            if worker.process is not None:
                worker.process.resume()
            if worker.app is not None:
                harness.disk(worker).failing = 0
                harness.disk(worker).locked = False
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
        wipes = worker.starts and self.random.random() < 0.3 and not self.plan.gentle
        if wipes and not self.harness.shares_disk:
            self.faults["new disk"] += 1
            self.harness.disk(worker).wipe()
        self.harness.start(worker)

    # -- one fault ---------------------------------------------------------------------------

    async def _something(self) -> None:
        name = self.random.choices(list(self._weights), list(self._weights.values()))[0]
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
        points = self._ambushes.where(worker)
        self.points.update(points)
        inside = worker.process is not None and self.harness.journal.is_inside(worker.process)
        self.kills[phase_of(points) or ("event" if inside else "idle")] += 1
        self.harness.kill(worker)

    async def _ambush(self, worker: Worker) -> None:
        """The next that stands at one of some points dies there."""
        if self._ambushes.is_set("kill"):
            return
        if focus := self.plan.focus:
            targets = self.random.sample(focus, min(len(focus), 8))
        else:
            # Some in the order of their turns, so that rare ones have theirs.
            points = self._ambushes.points
            steps = [self._next_target + step for step in range(4)]
            targets = [points[step % len(points)] for step in steps]
            self._next_target += 4
        self._ambushes.lay("kill", targets, AMBUSH_PATIENCE, self._strike)

    async def _nudge(self, worker: Worker) -> None:
        """Something else happens to a worker that is near a point in which it is to crash."""
        strikes = (
            self._stop, self._suspend, self._doze, self._isolate, self._strike, self._expel,
            self._break_disk,
        )  # fmt: skip
        strike = self.random.choice(strikes)
        self._ambushes.lay("nudge", self._near(), AMBUSH_PATIENCE, strike)

    def _near(self) -> list[CrashPoint]:
        module = self.random.choice(self.plan.focus).module
        near = [point for point in self._ambushes.points if point.module == module]
        return self.random.sample(near, min(len(near), 4))

    async def _freeze(self, worker: Worker) -> None:
        self._suspend(worker)

    def _suspend(self, worker: Worker) -> None:
        self._stand_still(worker, self.random.choice((1.0, 12.0, 25.0)))

    def _doze(self, worker: Worker) -> None:
        """It wakes up at about the time when others begin with what was its own."""
        self._stand_still(worker, self.harness.session_timeout + 3.0 * self.random.random())

    def _stand_still(self, worker: Worker, seconds: float) -> None:
        process = worker.process
        if not worker.running or process is None or process.state != "running":
            return
        self.faults["zombie" if seconds > self.harness.session_timeout else "freeze"] += 1
        self.harness.journal.note("freeze", process.name)
        process.stop()
        self._later(seconds, process.resume)

    async def _block(self, worker: Worker) -> None:
        """An agent blocks its event loop; the thread beside it goes on."""
        process = worker.process
        if not worker.running or process is None or process.state != "running":
            return
        self.faults["blocked"] += 1
        self.harness.journal.note("block", process.name)
        process.block()
        self._later(self.random.choice((1.0, 6.0, 16.0, 30.0)), process.resume)

    async def _cut_off(self, worker: Worker) -> None:
        self._isolate(worker)

    def _isolate(self, worker: Worker) -> None:
        self._cut(worker, self.random.choice((0.5, 4.0, 14.0)))

    def _cut(self, worker: Worker, seconds: float) -> None:
        if not worker.running or worker.process is None:
            return
        self.faults["cut off"] += 1
        name = worker.process.name
        self.harness.journal.note("cut", name)
        cut_off = self.harness.network.cut_off
        cut_off.add(name)
        self._later(seconds, lambda: cut_off.discard(name))

    async def _strand(self, worker: Worker) -> None:
        """Somebody near such a point is told to stop, and nobody answers it for a while."""

        def strike(worker: Worker) -> None:
            self._cut(worker, self.random.uniform(2.0, 30.0))
            self._stop(worker)

        self._ambushes.lay("nudge", self._near(), AMBUSH_PATIENCE, strike)

    async def _leave(self, worker: Worker) -> None:
        self._stop(worker)

    def _stop(self, worker: Worker) -> None:
        if not worker.running or worker.asked.is_set():
            return
        self.faults["leave"] += 1
        self.harness.ask_to_stop(worker)

    async def _join(self, worker: Worker) -> None:
        for each in self.harness.workers:
            if each.asked.is_set() and not each.running:  # it may have been killed meanwhile
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
        self._break_disk(worker)

    def _break_disk(self, worker: Worker) -> None:
        if worker.running and worker.app is not None and worker.app._conf is not None:
            self.faults["disk error"] += 1
            self.harness.disk(worker).failing = self.random.choice((1, 1, 3))

    async def _everybody(self, worker: Worker) -> None:
        for each in self.harness.workers:
            await self._kill(each)

    async def _lock(self, worker: Worker) -> None:
        """Its process dies, and somebody else has its stores for a while."""
        if worker.running and worker.app is not None and worker.app._conf is not None:
            self.faults["locked store"] += 1
            disk = self.harness.disk(worker)
            disk.locked = True
            self._later(self.random.choice((2.0, 9.0)), lambda: setattr(disk, "locked", False))
            self._strike(worker)

    # -- faults of the broker ------------------------------------------------------------------

    async def _away(self, worker: Worker) -> None:
        self.faults["broker away"] += 1
        self.harness.network.make_unavailable()
        self._later(self.random.choice((0.5, 4.0, 14.0)), self.harness.network.heal)

    async def _coordinator(self, worker: Worker) -> None:
        self.faults["coordinator moved"] += 1
        network = self.harness.network
        network.coordinator_moves = True
        self._later(
            self.random.choice((0.2, 1.0, 5.0)),
            lambda: setattr(network, "coordinator_moves", False),
        )

    async def _forget(self, worker: Worker) -> None:
        members = brokerfaults.members(self.harness, self.scenario.app_id)
        if members:
            self._expel_member(self.random.choice(members))

    def _expel(self, worker: Worker) -> None:
        engine = None if worker.live_app is None else worker.live_app.engine
        if engine is not None and engine.is_made:
            self._expel_member(engine.membership.member_id)

    def _expel_member(self, member_id: str) -> None:
        if brokerfaults.forget_member(self.harness, self.scenario.app_id, member_id):
            self.faults["member forgotten"] += 1

    async def _compact(self, worker: Worker) -> None:
        gone = brokerfaults.compact(self.harness, self.scenario.app_id)
        if gone:
            self.faults["compaction"] += 1

    async def _delete(self, worker: Worker) -> None:
        if brokerfaults.delete_changelog(self.harness, self.scenario.app_id, self.random):
            self.faults["changelog deleted"] += 1

    async def _pass_by(self, worker: Worker) -> None:
        """Nobody runs for half a day: so long that no undoing is certain any more."""
        if self.harness.passed > MOST_PASSED:
            return
        await self._everybody(worker)
        self.faults["long outage"] += 1
        self.harness.pass_by(13 * 3600.0)

    async def _truncate(self, worker: Worker) -> None:
        scenario = self.scenario
        gone = brokerfaults.truncate(self.harness, scenario.app_id, scenario.committing)
        if gone:
            self.faults["retention"] += 1

    async def _grow(self, worker: Worker) -> None:
        if self.scenario.grows and self.scenario.partitions < 8:
            self.faults["partitions added"] += 1
            self.scenario.partitions = brokerfaults.grow(self.harness, "events")
