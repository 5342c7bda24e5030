"""Where faults strike: a group at work, and the rules of how a fault begins and ends.

While a fault has not healed, nothing needs to advance; from then on each partition with lag has to
(I5).  Whatever strikes says whom it strikes; who is not among them has no excuse for doing anything
twice (I3).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from faults_brokers import Brokers
from faults_cluster import Cluster, Plan, WorkerProcess
from faults_judge import Report, Strike
from faults_workload import Flow

__all__ = ["Arena", "Fault"]

#: How often workers are asked whether they are alive (seconds), and how often they must say that
#: they are not.
ASK, ALARMS = 1.0, 10


@dataclass
class Arena:
    """A group that works, and everything that can be done to it.

    Attributes:
        brokers: The Kafka cluster; ``None`` with other drivers.
        wanted: So many workers are to be there.
        calm: How long to wait for the group to come to itself (seconds).
    """

    cluster: Cluster
    flow: Flow
    sending: asyncio.Task[None]
    report: Report
    random: Random
    brokers: Brokers | None = None
    wanted: int = 3
    calm: float = 90.0

    @property
    def plan(self) -> Plan:
        """What the run is made of."""
        return self.cluster.plan

    @property
    def kafka(self) -> Brokers:
        """The Kafka cluster."""
        assert self.brokers is not None, "this fault is for Kafka only"
        return self.brokers

    @property
    def idle(self) -> bool:
        """Is everything sent and committed?"""
        return self.sending.done() and not self.flow.progress.lag

    def victim(self) -> WorkerProcess:
        """Return one of the workers."""
        return self.random.choice(self.cluster.living())

    @asynccontextmanager
    async def striking(
        self, kind: str, *victims: WorkerProcess, everyone: bool = False, harmless: bool = False
    ) -> AsyncIterator[Strike]:
        """A fault strikes, and has healed when the block is left.

        Arguments:
            kind: What it is.
            victims: Whom it strikes.
            everyone: It strikes all workers.
            harmless: Nothing may be done twice because of it.
        """
        progress = await self.flow.look()
        names = None if everyone else frozenset(victim.name for victim in victims)
        strike = Strike(kind, names, progress.committed, progress.lag, harmless=harmless)
        self.report.strikes.append(strike)
        self.flow.progress.excused = True
        yield strike
        await self.cluster.started()
        self.flow.progress.healed()
        # Whoever has lost its place while nobody could be asked hears of it by its next heartbeat.
        await asyncio.sleep(self.plan.session / 2)
        await self.ready()
        strike.ends = dict((await self.flow.look()).ends)
        strike.ended = time.time()

    async def ready(self) -> None:
        """Wait until the workers hold everything and say so themselves."""
        await self.cluster.tables(self.calm)

    def start_missing(self) -> list[WorkerProcess]:
        """Start workers until as many are there as are wanted; return the new ones."""
        used = {worker.slot for worker in self.cluster.living()}
        free = (slot for slot in range(2 * self.wanted + 8) if slot not in used)
        missing = self.wanted - len(used)
        return [self.cluster.start(next(free)) for _ in range(missing)]

    async def watch_health(self) -> None:
        """Ask all the time whether the workers are alive; whoever says no is a finding (I8).

        It may say so while a fault has not healed, and a little longer.
        """
        alarms: Counter[WorkerProcess] = Counter()
        while True:
            for worker in self.cluster.living():
                status, text = await asyncio.to_thread(worker.status, "/health")
                if status == 503 and worker.alive and not self.flow.progress.excused:
                    alarms[worker] += 1
                    if alarms[worker] == ALARMS:
                        self.report.findings.append(
                            f"I8 health: {worker.name} says that it is not alive: {text}"
                        )
                else:
                    alarms[worker] = 0
            await asyncio.sleep(ASK)

    async def check_ready(self) -> None:
        """Nothing troubles the group any more: each must answer that it is alive and ready (I8)."""
        await self.cluster.settled()  # whoever came last may still be joining
        for worker in self.cluster.living():
            for path in ("/health", "/ready"):
                status, text = await self._answer(worker, path)
                if status != 200:
                    self.report.findings.append(
                        f"I8 health: {path} of {worker.name} answers {status} at the end: {text}"
                    )

    async def _answer(self, worker: WorkerProcess, path: str) -> tuple[int, str]:
        """Ask until the answer is 200, or has been something else for too long."""
        status, text = 0, ""
        for _ in range(ALARMS):
            status, text = await asyncio.to_thread(worker.status, path)
            tolerated = self.cluster.tolerated
            if status == 200 or (tolerated and tolerated in text):
                return 200, ""
            await asyncio.sleep(ASK)  # a copy that has caught up brings one more round
        return status, text


#: What does something to the group.
Fault = Callable[[Arena], Coroutine[Any, Any, None]]
