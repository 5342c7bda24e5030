"""What a run has shown: the faults that struck, and what the oracle says about what is left."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from faults_cluster import Cluster
from faults_workload import Flow, Kept

from faust.testing.oracle import Truth, check_sink, check_table
from faust.testing.reliability import Run, note

__all__ = ["Report", "Strike", "judge", "judge_sink"]

#: A partition with lag may stand still for so long, once the fault has healed (seconds); longer
#: where the run is one of many tests, on whatever machine, and not `make soak`.
PROGRESS = 10.0 if "FAUST_RELIABILITY_LOG" in os.environ else 40.0
#: Added under exactly once on Kafka: a transaction times out, and the broker looks for such.
TRANSACTIONS = 20.0
KILL = "SIGKILL"
#: What no log may contain.
UNEXPECTED = ("Traceback (most", "was never retrieved", "was never awaited", "[CRITICAL]")


@dataclass
class Strike:
    """One fault that was injected.

    Attributes:
        kind: What it was.
        victims: Names of the incarnations that it struck; ``None``: all.
        committed: What was committed a moment before, by partition.
        lag: Events that were there and not committed.
        phase: What the victim was doing, where it was killed.
        ends: Where the partitions ended when it was healed; ``None``: it never is (a kill).
        harmless: It is no excuse for doing anything twice.
        began: Unix time.
        ended: Unix time at which it was healed.
    """

    kind: str
    victims: frozenset[str] | None
    committed: Mapping[int, int]
    lag: int
    phase: str = ""
    ends: Mapping[int, int] | None = None
    harmless: bool = False
    began: float = field(default_factory=time.time)
    ended: float = 0.0

    def excuses(self, first: Kept, again: Kept, partition: int, offset: int) -> bool:
        """May this record be there again: was it in flight when the fault struck?

        A victim may have been the first, or the second: a stopped process that goes on has some
        events in its hands.
        """
        if self.harmless:
            return False
        if self.victims is not None and not {first.by, again.by} & self.victims:
            return False
        below = self.ends is None or offset < self.ends.get(partition, 0)
        return self.committed.get(partition, 0) <= offset and below


@dataclass
class Report:
    """What came of a run."""

    label: str
    events: int
    number: int = 1
    driver: str = ""
    guarantee: str = "at_least_once"
    session: float = 0.0
    id: str = ""
    strikes: list[Strike] = field(default_factory=list)
    lost: int = 0
    duplicates: int = 0
    excess: int = 0
    wrong_keys: int = 0
    skipped: set[int] = field(default_factory=set)
    longest_pause: float = 0.0
    healed_in: float = 0.0
    #: Longest silence of a partition that stayed where it was, in a rebalance and without one.
    stayed: float | None = None
    quiet: float = 0.0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Is nothing to be there twice?"""
        return self.guarantee == "exactly_once"

    @property
    def kills(self) -> list[Strike]:
        """The processes that were killed."""
        return [strike for strike in self.strikes if strike.kind == KILL]

    @property
    def patience(self) -> float:
        """How long a partition may stand still (seconds)."""
        more = TRANSACTIONS if self.exact and self.driver == "kafka" else 0.0
        return max(PROGRESS, self.session) + more

    def __str__(self) -> str:
        kinds = Counter(s.kind for s in self.strikes if s.kind != KILL)
        faults = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        phases = Counter(kill.phase for kill in self.kills)
        shown = ", ".join(f"{n} {phase}" for phase, n in phases.most_common())
        landed = sum(1 for kill in self.kills if kill.lag)
        kills = f"{len(self.kills)} kills ({landed} under lag; {shown})" if self.kills else ""
        stayed = ""
        if self.stayed is not None:
            stayed = (
                f", partitions that stayed silent for {1000 * self.stayed:.0f} ms at most "
                f"({1000 * self.quiet:.0f} ms without a rebalance)"
            )
        return (
            f"{self.label}: {self.events} events, {', '.join(filter(None, [kills, faults]))}; "
            f"{self.lost} lost, {self.duplicates} duplicates ({self.excess} not in flight), "
            f"{self.wrong_keys} wrong keys, longest without a commit {self.longest_pause:.1f} s"
            f"{stayed}, all done {self.healed_in:.1f} s after the last fault"
        )

    def note(self) -> None:
        """Write the line of the reliability log, if there is one."""
        note(
            Run(
                number=self.number,
                driver=self.driver,
                guarantee=self.guarantee,
                id=self.id,
                name=self.label,
                seconds=round(self.seconds, 1),
                events=self.events,
                faults=dict(Counter(strike.kind for strike in self.strikes)),
                kills=dict(Counter(kill.phase for kill in self.kills)),
                lost=self.lost,
                duplicates=self.duplicates,
                excess=self.excess,
                wrong_keys=self.wrong_keys,
                longest_pause=round(self.longest_pause, 1),
                findings=tuple(self.findings),
            )
        )


async def judge(
    report: Report, cluster: Cluster, flow: Flow, *, any_duplicates: bool = False
) -> None:
    """Compare: the tables on whoever has them, the sink, and the tables restored from nothing.

    All must have been sent and be committed.

    Arguments:
        any_duplicates: Do not ask where duplicates come from.
    """
    truth = Truth(flow.events, report.skipped)
    if (there := sum(flow.progress.ends.values())) != len(flow.events):
        report.findings.append(
            f"the flow's own producer: {there} records in the log of {len(flow.events)} events"
        )
    twice = [place for place, n in Counter(flow.places.values()).items() if n > 1]
    if twice:
        shared = {p: [i for i, place in flow.places.items() if place == p] for p in twice[:5]}
        report.findings.append(
            f"acknowledged at one place: {len(twice)} times two events: {shared}"
        )
    report.longest_pause = flow.progress.longest
    if report.driver and report.longest_pause > report.patience:
        report.findings.append(
            f"I5 progress: a partition with lag stood still for {report.longest_pause:.1f} s, "
            f"{report.patience:.0f} s are allowed ({flow.progress.stood})"
        )
    await _judge_tables(report, cluster, truth, "live")
    await cluster.terminate(*cluster.living())
    sink = await flow.sink()
    judge_sink(report, sink, flow, truth, any_duplicates=any_duplicates)
    _measure_pauses(report, sink, flow)
    for slot in {worker.slot for worker in cluster.workers}:
        cluster.wipe(slot)
    cluster.start(0)
    await _judge_tables(report, cluster, truth, "restored from nothing")
    await cluster.terminate(*cluster.living())
    _judge_logs(report, cluster)
    if cluster.tolerated and cluster.tolerated not in cluster.workers[-1].log.read_text():
        report.findings.append(f"the last worker has not said {cluster.tolerated!r}")


def _judge_logs(report: Report, cluster: Cluster) -> None:
    """Nobody may have met an exception that nobody expected."""
    for worker in cluster.workers:
        text = worker.log.read_text(errors="replace")
        for sign in UNEXPECTED:
            if sign in text:
                line = next(line for line in text.splitlines() if sign in line)
                report.findings.append(f"log of {worker.name}: {line.strip()[:200]}")


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


def judge_sink(
    report: Report, sink: Sequence[Kept], flow: Flow, truth: Truth, *, any_duplicates: bool = False
) -> None:
    """Nothing is lost, all is in order, and what is twice was handled since the last commit."""
    sightings = [kept.sighting for kept in sink]
    report.findings += check_sink(truth, sightings, duplicates_allowed=not report.exact)
    seen = Counter(kept.id for kept in sink)
    report.lost = len(truth.ids - seen.keys())
    report.duplicates = sum(1 for times in seen.values() if times > 1)
    wrong: list[str] = []
    earlier: dict[int, Kept] = {}
    for kept in sink:
        if (first := earlier.get(kept.id)) is not None:
            partition, offset = flow.places[kept.id]
            if not any(s.excuses(first, kept, partition, offset) for s in report.strikes):
                wrong.append(f"{kept.id} at {partition}:{offset} by {first.by}, then by {kept.by}")
        earlier[kept.id] = kept
    if not any_duplicates:
        report.excess = report.duplicates if report.exact else len(wrong)
    if wrong and not any_duplicates:
        report.findings.append(
            f"I3 duplicates: {len(wrong)} not of events since a victim's last commit: {wrong[:5]}"
        )


def _measure_pauses(report: Report, sink: Sequence[Kept], flow: Flow) -> None:
    """Look how long partitions were silent that stayed where they were, while others moved."""
    windows = [(s.began, s.ended) for s in report.strikes if s.kind in ("joins", "leaves")]
    if not windows:
        return
    moments: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for kept in sink:
        moments[flow.places[kept.id][0]].append((kept.at, kept.by))
    report.stayed = 0.0
    for found in moments.values():
        found.sort()
        for (at, by), (then, who) in pairwise(found):
            if by != who:
                continue
            if any(began <= then and at <= ended for began, ended in windows):
                report.stayed = max(report.stayed, then - at)
            elif not any(s.began <= then and at <= (s.ended or then) for s in report.strikes):
                report.quiet = max(report.quiet, then - at)
