"""A storm of kills, and what the oracle says afterwards."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from faults_cluster import Cluster, Plan, WorkerProcess
from faults_marks import PHASES
from faults_workload import Flow, Kept, numbered

from faust.testing.oracle import Truth, check_sink, check_table

__all__ = ["Kill", "Report", "storm"]

WORKERS = 3
KEYS = 5_000
#: How long a kill waits for the phase that it is meant for (seconds).
AIM = 2.5
#: How long the last events may take once nobody is killed any more (seconds).
DRAIN = 120.0


@dataclass(frozen=True)
class Kill:
    """One SIGKILL.

    Attributes:
        victim: Name of the incarnation.
        phase: What it was doing.
        lag: Events that were there and not committed.
        committed: What was committed afterwards, by partition.
        ends: What had been sent by then, by partition.
    """

    victim: str
    phase: str
    lag: int
    committed: dict[int, int]
    ends: dict[int, int]


@dataclass
class Report:
    """What came of a run."""

    label: str
    events: int
    kills: list[Kill] = field(default_factory=list)
    lost: int = 0
    duplicates: int = 0
    wrong_keys: int = 0
    longest_pause: float = 0.0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        phases = Counter(kill.phase for kill in self.kills)
        shown = ", ".join(f"{n} {phase}" for phase, n in phases.most_common())
        landed = sum(1 for kill in self.kills if kill.lag)
        return (
            f"{self.label}: {self.events} events, {len(self.kills)} kills ({landed} under lag; "
            f"{shown}), {self.lost} lost, {self.duplicates} duplicates, {self.wrong_keys} wrong keys, "
            f"longest without a commit {self.longest_pause:.1f} s"
        )


async def storm(
    plan: Plan, label: str, *, seconds: float, rate: float, every: float, seed: int
) -> Report:
    """Send for some seconds, kill a worker every so often, and let the oracle judge.

    Raises:
        AssertionError: it did not come to an end; the notes have the workers' logs.
    """
    random = Random(seed)
    events = numbered(int(seconds * rate), KEYS, seed)
    report = Report(label, len(events))
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(Cluster(plan))
        flow = await stack.enter_async_context(Flow(plan, events))
        for slot in range(WORKERS):
            cluster.start(slot)
        await cluster.tables()
        watching = asyncio.create_task(flow.watch())
        sending = asyncio.create_task(flow.send(rate))
        try:
            await _kill_until(sending, cluster, flow, report, every, random)
            await sending
            await flow.until_done(DRAIN, cluster.check_alive)
        finally:
            for task in (watching, sending):
                task.cancel()
            await asyncio.gather(watching, sending, return_exceptions=True)
        report.longest_pause = flow.progress.longest
        await judge(report, cluster, flow, Truth(events))
    return report


async def _kill_until(
    sending: asyncio.Task[None],
    cluster: Cluster,
    flow: Flow,
    report: Report,
    every: float,
    random: Random,
) -> None:
    """Kill and replace until everything is sent; each kill waits a little for its phase."""
    while not sending.done():
        began = time.monotonic()
        victim = random.choice(cluster.living())
        wanted = PHASES[len(report.kills) % len(PHASES)]
        report.kills.append(await _kill(cluster, flow, victim, wanted))
        await asyncio.sleep(random.uniform(0.1, every / 2))
        if random.random() < 0.5:
            cluster.wipe(victim.slot)
        cluster.start(victim.slot)
        cluster.check_alive()
        left = every - (time.monotonic() - began)
        await asyncio.wait([sending], timeout=max(0.1, left))


async def _kill(cluster: Cluster, flow: Flow, victim: WorkerProcess, wanted: str) -> Kill:
    if wanted in ("restore", "undo"):
        victim = await _somebody_who(cluster, wanted) or victim
    else:
        deadline = time.monotonic() + AIM
        while time.monotonic() < deadline and not victim.marks.doing(wanted):
            await asyncio.sleep(0)
    victim.kill()
    phase = wanted if victim.marks.doing(wanted) else victim.marks.phase
    seen = await flow.look()
    return Kill(victim.name, phase, seen.lag, dict(seen.committed), dict(seen.ends))


async def _somebody_who(cluster: Cluster, wanted: str) -> WorkerProcess | None:
    deadline = time.monotonic() + AIM
    while time.monotonic() < deadline:
        for worker in cluster.living():
            if worker.marks.doing(wanted):
                return worker
        await asyncio.sleep(0)
    return None


async def judge(report: Report, cluster: Cluster, flow: Flow, truth: Truth) -> None:
    """Compare: the tables on whoever has them, the sink, and the tables restored from nothing."""
    await _judge_tables(report, cluster, truth, "live")
    await cluster.terminate(*cluster.living())
    judge_sink(report, await flow.sink(), flow, truth)
    for slot in {worker.slot for worker in cluster.workers}:
        cluster.wipe(slot)
    cluster.start(0)
    await _judge_tables(report, cluster, truth, "restored from nothing")
    await cluster.terminate(*cluster.living())


async def _judge_tables(report: Report, cluster: Cluster, truth: Truth, when: str) -> None:
    tables = await cluster.tables()
    for name, found, expected in (
        ("count", tables.count, truth.counts()),
        ("last", tables.last, truth.last()),
    ):
        report.findings += check_table(f"{name} ({when})", found, expected)
        report.wrong_keys += sum(
            1 for key in {*found, *expected} if found.get(key) != expected.get(key)
        )


def judge_sink(report: Report, sink: Sequence[Kept], flow: Flow, truth: Truth) -> None:
    """Nothing is lost, all is in order, and what is twice was handled since the last commit."""
    report.findings += check_sink(truth, [kept.sighting for kept in sink])
    seen = Counter(kept.id for kept in sink)
    report.lost = len(truth.ids - seen.keys())
    report.duplicates = sum(1 for times in seen.values() if times > 1)
    excused = {kill.victim: kill for kill in report.kills}
    wrong: list[str] = []
    earlier: dict[int, Kept] = {}
    for kept in sink:
        if (first := earlier.get(kept.id)) is not None:
            partition, offset = flow.places[kept.id]
            kill = excused.get(first.by)
            if kill is None or offset < kill.committed.get(partition, 0):
                wrong.append(f"{kept.id} at {partition}:{offset} by {first.by}, then by {kept.by}")
        earlier[kept.id] = kept
    if wrong:
        report.findings.append(
            f"I3 duplicates: {len(wrong)} not of events since a victim's last commit: {wrong[:5]}"
        )
