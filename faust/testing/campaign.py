"""Many runs of the simulation, side by side on all cores, and what they have shown together.

``python -m faust.testing.simulation --seeds 0:5000 --jobs 0`` runs five thousand, on as many
processes as there are cores; ``--every-point 20`` lets workers crash at each ``await`` of the
engine twenty times.  Each run is a line of the log of reliability, if there is one
(`faust.testing.reliability`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from faust.testing import reliability
from faust.testing.aims import Aims
from faust.testing.crashpoints import CrashPoint, crash_points
from faust.testing.plan import Plan
from faust.testing.report import Report
from faust.testing.scenario import Scenario
from faust.testing.scenarios import SCENARIOS
from faust.testing.trial import simulate
from faust.testing.unreachable import UNREACHABLE

__all__ = ["Totals", "main"]

#: Seconds between two lines that say how far it is.
REPORT_INTERVAL = 20.0
#: So many rounds of runs without one more hit at a point that needs it, and the rest is given up.
VAIN_ROUNDS = 5
#: Runs of a round.
ROUND = 40
#: Seed of the first run that is aimed at points.
FIRST_AIMED = 1_000_000
#: So few points that need hits are named after each round.
FEW = 60
#: How many events are sent in a run, and at least in each virtual second where it is aimed.
EVENTS, EVENTS_PER_SECOND = 250, 2.0


class Job(NamedTuple):
    """One run, as a process of the campaign is told of it.

    Attributes:
        aim: At which crash points: a bit for each, in their order; 0 for a plan that is drawn.
    """

    seed: int
    scenario: str | None
    guarantee: str | None
    aim: int = 0
    trace: bool = False


def run(job: Job) -> Report:
    """Run one."""
    scenario = _scenario(job.scenario, job.seed)
    points = [point for bit, point in enumerate(_points()) if job.aim >> bit & 1]
    plan = Plan.focused(points, job.seed) if points else None
    # As many for the time as in other runs: a worker should have something to do.
    events = EVENTS if plan is None else max(EVENTS, round(plan.seconds * EVENTS_PER_SECOND))
    try:
        report = simulate(
            scenario, job.seed, events=events, plan=plan, guarantee=job.guarantee, trace=job.trace
        )
    except Exception:
        report = Report(job.seed, job.scenario or "simulation")
        report.findings.append(f"the simulation itself failed:\n{traceback.format_exc()}")
    if job.aim:
        report.aim = f" --aim {job.aim:x}"
    reliability.note(report.as_run())
    return report


def _points() -> list[CrashPoint]:
    return sorted(set(crash_points().values()))


def _scenario(name: str | None, seed: int) -> Scenario | None:
    if name is None:
        return None
    return SCENARIOS[name](partitions=Random(seed).choice((1, 2, 4, 5)))


def run_all(jobs: Iterable[Job], processes: int) -> Generator[Report]:
    """Run them, side by side, and yield each report as it comes, in the order of the jobs."""
    if processes == 1:
        yield from map(run, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=200) as pool:
        yield from pool.imap(run, jobs)


@dataclass
class Totals:
    """What many runs have shown."""

    runs: int = 0
    failed: list[int] = field(default_factory=list)
    events: int = 0
    repeats: int = 0
    lost: int = 0
    excess: int = 0
    wrong_keys: int = 0
    longest_pause: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    points: Counter[CrashPoint] = field(default_factory=Counter)
    scenarios: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Count one run."""
        self.runs += 1
        if report.findings:
            self.failed.append(report.seed)
        self.events += report.events
        self.repeats += report.repeats
        self.lost += report.lost
        self.excess += report.excess
        self.wrong_keys += report.wrong_keys
        self.longest_pause = max(self.longest_pause, report.longest_pause)
        self.faults.update(report.faults)
        self.kills.update(report.kills)
        self.points.update(report.points)
        self.scenarios[report.scenario] += 1

    def describe(self, *, points: bool) -> str:
        """Return it in words."""
        known = set(crash_points().values())
        lines = [
            f"{self.runs} runs, {self.events} events, {self.repeats} repeated; "
            f"{self.lost} lost, {self.excess} duplicates beyond what was in flight, "
            f"{self.wrong_keys} wrong keys, longest pause {self.longest_pause:.1f} virtual seconds",
            f"faults: {_listed(self.faults)}",
            f"kills by phase: {_listed(self.kills)}",
            f"crash points: {len(known)}, hit {len(self.points)}, "
            f"20 times {sum(n >= 20 for n in self.points.values())}",
        ]
        if points:
            lines += [f"  {self.points[point]:5} {point}" for point in sorted(known)]
        if self.failed:
            lines.append(f"FAILED: {len(self.failed)} seeds: {self.failed}")
        return "\n".join(lines)


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counter.items())) or "none"


def main(argv: Sequence[str] | None = None) -> int:
    """Run some seeds; return 1 if any of them has findings."""
    given = _parser().parse_args(argv)
    processes = given.jobs or os.cpu_count() or 1
    if given.every_point:
        return _every_point(given.every_point, processes)
    first, _, last = given.seeds.partition(":")
    numbers = range(int(first), int(last or int(first) + 1))
    one = given.seed is not None
    jobs = [
        Job(seed, given.scenario, given.guarantee, int(given.aim, 16), trace=one)
        for seed in ([given.seed] if one else numbers)
    ]
    total = Totals()
    progress = _Progress(len(jobs))
    with closing(run_all(jobs, 1 if one else processes)) as reports:
        for report in reports:
            total.add(report)
            if report.trace is not None:
                print("\n".join(report.trace))
            if given.digests:
                print(f"{report.seed} {report.digest}", flush=True)
            if report.findings or one:
                print(report, flush=True)
            if given.stop and report.findings:
                break
            if not given.digests:
                progress.show(total)
    print(total.describe(points=given.points))
    return 1 if total.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m faust.testing.simulation",
        description="Run apps with known results under faults, each run drawn from its seed.",
    )
    parser.add_argument("--seeds", default="0:20", help="first:last, the last not included")
    parser.add_argument("--seed", type=int, help="only this one, with its trace")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="default: by the seed")
    parser.add_argument("--guarantee", choices=("at_least_once", "exactly_once"))
    parser.add_argument("--jobs", type=int, default=1, help="processes; 0: one for each core")
    parser.add_argument("--digests", action="store_true", help="print a digest for each seed")
    parser.add_argument("--points", action="store_true", help="list the crash points")
    parser.add_argument("--stop", action="store_true", help="stop at the first finding")
    parser.add_argument("--aim", default="0", help="at which crash points, as --every-point says")
    parser.add_argument(
        "--every-point",
        type=int,
        metavar="TIMES",
        help="crash at every await of committer, restorer and rebalancer so often",
    )
    return parser


class _Progress:
    """Says now and then how far it is, to standard error."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._began = self._said = time.monotonic()

    def show(self, total: Totals) -> None:
        now = time.monotonic()
        if now - self._said >= REPORT_INTERVAL:
            self._said = now
            rate = total.runs / (now - self._began)
            left = (self._jobs - total.runs) / rate if rate else 0.0
            print(
                f"{total.runs}/{self._jobs} runs, {len(total.failed)} with findings, "
                f"{rate:.1f} a second, {left:.0f} s left",
                file=sys.stderr, flush=True,
            )  # fmt: skip


def _every_point(times: int, processes: int) -> int:
    """Crash at each point until it was hit so often; return 1 if a run has findings, or if a point
    was not hit that is not known for it, or one was that is."""
    total = Totals()
    aims = Aims(_points(), times, UNREACHABLE)
    context = multiprocessing.get_context("spawn")
    vain = 0
    with context.Pool(processes, maxtasksperchild=100) as pool:
        while (needy := aims.needy()) and vain < VAIN_ROUNDS:
            first = FIRST_AIMED + total.runs
            jobs = [Job(seed, *aims.next(seed)) for seed in range(first, first + ROUND)]
            before = sum(aims.hits[point] for point in needy)
            for report in pool.imap(run, jobs):
                total.add(report)
                aims.add(report)
                if report.findings:
                    print(f"crashing at points:\n{report}", flush=True)
            vain = vain + 1 if sum(aims.hits[point] for point in needy) == before else 0
            _say_what_is_left(total.runs, aims, times)
    print(total.describe(points=True))
    for point in aims.needy():
        print(f"hit {aims.hits[point]} times only: {point}")
    for point in aims.wrongly_listed():
        print(f"hit {aims.hits[point]} times, and known to be unreachable: {point}")
    return 1 if total.failed or aims.needy() or aims.wrongly_listed() else 0


def _say_what_is_left(runs: int, aims: Aims, times: int) -> None:
    needy = aims.needy()
    print(f"{runs} runs, {len(needy)} points to go", file=sys.stderr, flush=True)
    for point in needy if len(needy) <= FEW else ():
        print(f"  {aims.hits[point]:2} of {times}: {point}", file=sys.stderr, flush=True)
