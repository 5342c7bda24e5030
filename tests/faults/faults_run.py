"""One run: a scenario of faults against a group at work, and what the oracle says afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

from faults_arena import Arena
from faults_brokers import SIZE, Brokers
from faults_cluster import Plan
from faults_judge import Report, judge
from faults_list import BROKER_FAULTS, WORKER_FAULTS
from faults_storm import KEYS, running, settle
from faults_workload import numbered

__all__ = ["SCENARIOS", "Scenario", "fault_run", "plan_for"]

#: A test cluster grants no shorter session to a Kafka group.
KAFKA_SESSION, SQLITE_SESSION = 6.0, 4.0
FAULTS = {**WORKER_FAULTS, **BROKER_FAULTS}
#: Pause between two faults (seconds).
REST = (0.5, 3.0)
NETWORK = ("black-hole", "cut", "slow")


@dataclass(frozen=True)
class Scenario:
    """What strikes, and against what.

    Attributes:
        number: As in `faust.testing.reliability.SCENARIOS`.
        faults: Names of faults, drawn at random, but each once before any comes again.
        kafka_faults: More of them, with Kafka.
        rate: Events a second.
        workers: How many.
        pause: Seconds between two faults, at least and at most.
        longer: So many times as long as others.
    """

    number: int
    faults: tuple[str, ...]
    kafka_faults: tuple[str, ...] = ()
    rate: float = 700.0
    workers: int = 3
    partitions: int = 6
    pause: tuple[float, float] = REST
    longer: float = 1.0

    def drawn(self, driver: str) -> list[str]:
        """Return the names of the faults with a driver; none: this is not for it."""
        return [*self.faults, *(self.kafka_faults if driver == "kafka" else ())]


SCENARIOS: Mapping[str, Scenario] = {
    "never-stuck": Scenario(
        1,
        ("kill", "stop", "zombie", "resize", "block", "wipe", "delete"),
        ("coordinator-killed", "coordinator-paused", "brokers-restarted", *NETWORK),
        partitions=32,
    ),
    "coordinator": Scenario(1, (), ("coordinator-killed", "coordinator-paused")),
    "rolling-restart": Scenario(1, (), ("brokers-restarted",)),
    "network": Scenario(1, (), NETWORK),
    "zombies": Scenario(1, ("zombie",)),
    "deletion": Scenario(2, ("delete", "wipe", "stop-recovering")),
    "growth": Scenario(1, ("grow", "stop")),
    "resizes": Scenario(4, ("resize",)),
    "resizes-and-kills": Scenario(4, ("resize", "kill")),
    "exactly-once": Scenario(
        7,
        ("kill", "kill", "resize", "zombie"),
        ("coordinator-killed",),
        rate=2500.0,
        partitions=10,
        pause=(2.0, 5.0),
        longer=2.0,  # 300,000 events in two minutes
    ),
    "hand-overs": Scenario(9, ("stop", "kill", "wipe")),
    "blocking": Scenario(11, ("block",)),
    "shutdown": Scenario(
        12, ("stop", "stop-starting", "stop-recovering", "stop-rebalancing"), ("stop-away",)
    ),
}  # fmt: skip


def plan_for(
    broker: str,
    scenario: str,
    seed: int,
    directory: Path,
    guarantee: str = "at_least_once",
    *,
    replicas: int = SIZE,
) -> Plan:
    """Return a plan with names of its own; every third one has its tables in memory.

    Arguments:
        replicas: Nodes that keep a Kafka topic; a killed one is not to be the only one.
    """
    kafka = broker.startswith("kafka")
    name = f"{scenario}-{seed}-{uuid4().hex[:6]}"
    in_memory = seed % 3 == 2 and SCENARIOS[scenario].number != 7
    store = "memory://" if in_memory else "rocksdb://"
    partitions = SCENARIOS[scenario].partitions
    return Plan(
        name,
        broker,
        store,
        KAFKA_SESSION if kafka else SQLITE_SESSION,
        directory / name,
        partitions=partitions,
        guarantee=guarantee,
        replicas=replicas if kafka else 1,
    )


async def fault_run(
    plan: Plan, scenario: str, *, seconds: float, seed: int, brokers: Brokers | None = None
) -> Report:
    """Send for some seconds while faults strike; return what came of it.

    Raises:
        AssertionError: it did not come to an end; the notes have the workers' logs.
    """
    what, random = SCENARIOS[scenario], Random(f"{scenario} {seed}")
    events = numbered(int(seconds * what.longer * what.rate), KEYS, seed)
    store = plan.store.partition(":")[0]
    report = Report(
        f"{scenario} on {plan.driver}, {store}, {plan.guarantee}, seed {seed}",
        len(events),
        number=what.number,
        driver=plan.driver,
        guarantee=plan.guarantee,
        session=plan.session,
        id=f"{scenario}:{seed}",
    )
    began = time.monotonic()
    try:
        async with running(plan, events, what.rate, what.workers) as (cluster, flow, sending):
            arena = Arena(cluster, flow, sending, report, random, brokers, wanted=what.workers)
            await cluster.until("a first commit", lambda: any(flow.progress.committed.values()))
            asking = asyncio.create_task(arena.watch_health())
            try:
                await _strike(arena, what)
                await settle(report, cluster, flow, sending)
                await arena.check_ready()
            finally:
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking
            await judge(report, cluster, flow)
    except BaseException as exc:
        report.findings.append(
            f"{type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"
        )
        raise
    finally:
        report.seconds = time.monotonic() - began
        report.note()
    return report


async def _strike(arena: Arena, what: Scenario) -> None:
    """Let faults strike, one at a time, until everything is sent."""
    names: list[str] = []
    while not arena.sending.done():
        if not names:
            names = what.drawn(arena.plan.driver)
            arena.random.shuffle(names)
        await FAULTS[names.pop()](arena)
        arena.cluster.check_alive()
        await asyncio.wait([arena.sending], timeout=arena.random.uniform(*what.pause))
    assert arena.report.strikes, "nothing has struck"
