"""A storm of kills, and what the oracle says afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from random import Random
from typing import NamedTuple

from faults_cluster import Cluster, Plan, WorkerProcess
from faults_judge import KILL, Report, Strike, judge
from faults_workload import Flow, numbered

from faust.testing.oracle import Event

__all__ = ["Killer", "running", "settle", "storm"]

WORKERS = 3
KEYS = 5_000
#: Phases of a worker that has nothing to restore.
WORKING = ("produce", "commit", "event", "cut", "apply")
#: How long a kill waits for the phase that it is meant for (seconds).
AIM = 1.5
#: How often the next burst waits until everything is being processed again.
CALM = 0.7
#: How long the last events may take once nobody is killed any more (seconds).
DRAIN = 120.0


class Seen(NamedTuple):
    """A look at the group: how much is not committed, and what is."""

    lag: int
    committed: Mapping[int, int]


async def storm(
    plan: Plan, label: str, *, seconds: float, rate: float, rest: float, seed: int
) -> Report:
    """Send for some seconds, kill in bursts with some rest in between, and let the oracle judge.

    Raises:
        AssertionError: it did not come to an end; the notes have the workers' logs.
    """
    random = Random(seed)
    events = numbered(int(seconds * rate), KEYS, seed)
    report = Report(
        label,
        len(events),
        number=2,
        driver=plan.driver,
        guarantee=plan.guarantee,
        session=plan.session,
        id=str(seed),
    )
    began = time.monotonic()
    async with running(plan, events, rate) as (cluster, flow, sending):
        killer = Killer(cluster, flow, report, random)
        await cluster.until("a first commit", lambda: any(flow.progress.committed.values()))
        while not sending.done():
            flow.progress.excused = True
            await killer.burst()
            await cluster.started()
            flow.progress.healed()
            if random.random() < CALM:
                await cluster.tables()
            await asyncio.wait([sending], timeout=random.uniform(0.3, 1.0) * rest)
        await settle(report, cluster, flow, sending)
        await judge(report, cluster, flow)
    report.seconds = time.monotonic() - began
    return report


@asynccontextmanager
async def running(
    plan: Plan,
    events: Sequence[Event],
    rate: float,
    workers: int = WORKERS,
    *,
    before: Callable[[Cluster], Awaitable[object]] = Cluster.tables,
    **environment: str,
) -> AsyncIterator[tuple[Cluster, Flow, asyncio.Task[None]]]:
    """A cluster that is ready, and its flow, which is being sent (the task ends when all is).

    Arguments:
        before: What is waited for before anything is sent.
    """
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(Cluster(plan))
        flow = await stack.enter_async_context(Flow(plan, events))
        for slot in range(workers):
            cluster.start(slot, **environment)
        await before(cluster)
        watching = asyncio.create_task(flow.watch())
        sending = asyncio.create_task(flow.send(rate))
        try:
            yield cluster, flow, sending
        finally:
            for task in (watching, sending):
                task.cancel()
            await asyncio.gather(watching, sending, return_exceptions=True)


async def settle(report: Report, cluster: Cluster, flow: Flow, sending: asyncio.Task[None]) -> None:
    """Wait until all is sent and committed."""
    began = time.monotonic()
    await sending
    await flow.until_done(DRAIN, cluster.check_alive)
    report.healed_in = time.monotonic() - began


class Killer:
    """Kills in bursts, replaces the dead, and lets the group come to itself in between.

    A burst takes two workers at once, each in a phase of a commit or of an event.  In every other
    burst those who take over are killed as well, while they restore.
    """

    def __init__(self, cluster: Cluster, flow: Flow, report: Report, random: Random) -> None:
        self._cluster = cluster
        self._flow = flow
        self._report = report
        self._random = random
        self._alive: dict[WorkerProcess, Seen] = {}
        self._phases = cycle(WORKING)
        self._bursts = 0

    async def burst(self) -> None:
        """Kill two, or more; start replacements."""
        self._bursts += 1
        victims = self._random.sample(self._cluster.living(), 2)
        self._note_dead(victims, await self._seen())
        for victim in victims:
            victim.marks.wish(next(self._phases))
        for victim in await self._until_dead(victims, 0, AIM):
            victim.kill()
            self._note_dead([victim], self._alive[victim])
        if self._bursts % 2 == 0 and self._flow.sent < len(self._flow.events):
            await self._kill_heirs("undo" if self._bursts % 4 else "restore")
        await self._replace()

    async def _kill_heirs(self, phase: str) -> None:
        """Kill whoever restores now; one replacement is there to take part in it."""
        await self._replace(1)
        heirs = self._cluster.living()
        self._note_dead(heirs, await self._seen())
        for heir in heirs:
            heir.marks.wish(phase)
        living = await self._until_dead(heirs, 1, self._cluster.plan.session + AIM)
        for heir in living:
            heir.marks.wish(None)
        await asyncio.sleep(0.2)  # who had begun to die is dead
        self._note_dead(living, await self._seen())

    async def _until_dead(
        self, workers: Sequence[WorkerProcess], left: int, timeout: float
    ) -> list[WorkerProcess]:
        """Wait until no more than ``left`` of these live, or the time is over; note the dead.

        Returns those who live.

        What was committed is looked up again and again, so that for each of them there is an answer
        from a moment at which it was still alive.
        """
        deadline = time.monotonic() + timeout
        living = list(workers)
        seen = await self._seen()
        while len(living) > left and time.monotonic() < deadline:
            living = self._note_dead(living, seen)
            await asyncio.sleep(0.01)  # the flow goes through the same connection
            seen = await self._seen()
        return self._note_dead(living, seen)

    async def _seen(self) -> Seen:
        """Look; for whoever is alive afterwards that is a look before his death."""
        progress = await self._flow.look()
        return Seen(progress.lag, progress.committed)

    def _note_dead(self, workers: Sequence[WorkerProcess], seen: Seen) -> list[WorkerProcess]:
        """Note who is dead; return who is not, with what was seen while they lived."""
        living: list[WorkerProcess] = []
        for worker in workers:
            if worker.alive:
                self._alive[worker] = seen
                living.append(worker)
            else:
                worker.killed = True
                before = self._alive.get(worker, seen)
                self._report.strikes.append(
                    Strike(
                        KILL,
                        frozenset({worker.name}),
                        before.committed,
                        seen.lag,
                        worker.marks.phase,
                    )
                )
        return living

    async def _replace(self, count: int = WORKERS) -> None:
        """Start workers where some are missing, some of them on a wiped directory."""
        used = {worker.slot for worker in self._cluster.living()}
        for slot in sorted(set(range(WORKERS)) - used)[:count]:
            await asyncio.sleep(self._random.uniform(0.1, 1.0))
            if self._random.random() < 0.5:
                self._cluster.wipe(slot)
            self._cluster.start(slot)
        self._cluster.check_alive()
