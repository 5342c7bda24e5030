"""The simulation by seed: several workers, everything that can go wrong, and the oracle.

::

    report = simulate(SCENARIOS["counting"](), seed=7)
    assert not report.findings, report

One run is one world: a broker, some workers, a producer, and chaos for some virtual seconds; then
everything heals, lag must go to zero, and the oracle looks at sink and tables; then the workers
start again on disks of which some are new, and tables must be the same.  The same seed gives the
same trace.

``python -m faust.testing.simulation --seeds 0:100`` runs a hundred; ``--seed 7`` one, with its
trace.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import faust._records
import faust.streams
from faust._values import TP
from faust.exceptions import AgentFailed, BrokerUnavailable, ProducerSendError
from faust.testing.chaos import Chaos, Plan
from faust.testing.clock import DeadlockError
from faust.testing.crashpoints import CrashPoint, crash_points
from faust.testing.harness import Harness
from faust.testing.oracle import Event, Truth, check_sink, check_table, make_events
from faust.testing.processes import SimulationLoop, current_process, run_simulated
from faust.testing.scenario import APP_ID, Scenario
from faust.testing.scenarios import SCENARIOS
from faust.transport.base import TopicSpec
from faust.transport.records import new_builder

__all__ = ["Report", "simulate"]

#: Virtual seconds within which all lag must be gone once everything is well again (I5).
PATIENCE = 90.0
#: Virtual seconds after which a run is taken for endless.
TIME_LIMIT = 3_000.0

#: Modules that let the loop run after some busy time: the time is the simulation's own.
_LETTING_GO: tuple[Any, ...] = (faust.streams, faust._records)

SETTINGS: dict[str, Any] = {
    "web_enabled": False,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 1.0,
    "broker_rebalance_timeout": 15.0,
    "broker_rebalance_grace": 3.0,
    "broker_request_timeout": 5.0,
    "producer_request_timeout": 15.0,
    "agent_error_backoff": 0.05,
    "agent_error_backoff_max": 0.5,
}


@dataclass
class Report:
    """What a run has shown.

    Attributes:
        seed: Its seed.
        scenario: Name of the scenario.
        findings: What is wrong; empty if nothing is.
        digest: Of the trace: the same for the same seed.
        events: How many events there were.
        repeats: Events handed out again after a fault.
        faults: What went wrong, how often.
        points: Crash points that were hit, how often.
        seconds: Virtual seconds that passed.
        trace: The trace, if it was asked for.
    """

    seed: int
    scenario: str
    findings: list[str] = field(default_factory=list)
    digest: str = ""
    events: int = 0
    repeats: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    points: Counter[CrashPoint] = field(default_factory=Counter)
    seconds: float = 0.0
    trace: list[str] | None = None

    @property
    def command(self) -> str:
        """What repeats it."""
        return (
            f"PYTHONHASHSEED=0 python -m faust.testing.simulation --seed {self.seed} "
            f"--scenario {self.scenario}"
        )

    def __str__(self) -> str:
        head = f"seed {self.seed} {self.scenario}: {self.events} events, {self.repeats} repeated, "
        faults = ", ".join(f"{name} {n}" for name, n in sorted(self.faults.items()))
        lines = [f"{head}{self.seconds:.0f} virtual seconds, {faults or 'no faults'}"]
        lines += [f"  {finding}" for finding in self.findings]
        if self.findings:
            lines.append(f"  again: {self.command}")
        return "\n".join(lines)


def simulate(
    scenario: Scenario | None = None,
    seed: int = 0,
    *,
    workers: int | None = None,
    events: int = 250,
    plan: Plan | None = None,
    trace: bool = False,
) -> Report:
    """Run one simulation.

    Arguments:
        scenario: What runs (default: one drawn from the seed).
        seed: Draws all that happens by chance.
        workers: How many machines there are (default: 1 to 4, drawn).
        events: How many events are sent.
        plan: What goes wrong (default: drawn).
        trace: Keep the whole trace in the report.
    """
    random = Random(seed)
    if scenario is None:
        name = list(SCENARIOS)[seed % len(SCENARIOS)]
        scenario = SCENARIOS[name](partitions=random.choice((1, 2, 4, 5)))
    run = _Run(scenario, seed, random, workers, events, plan, trace=trace)
    before = [module.perf_counter for module in _LETTING_GO]
    quiet = logging.getLogger("faust"), logging.getLogger("asyncio")
    levels = [logger.level for logger in quiet]
    if not trace:
        for logger in quiet:
            logger.setLevel(logging.CRITICAL + 1)
    try:
        with tempfile.TemporaryDirectory(prefix="faust-simulation-") as directory:
            run_simulated(lambda loop: run.main(loop, directory), seed, time_limit=TIME_LIMIT)
    except DeadlockError as exc:
        run.report.findings.append(f"I5 progress: {exc}")
    finally:
        for module, counter in zip(_LETTING_GO, before, strict=True):
            module.perf_counter = counter
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)
    return run.report


class _Log(logging.Handler):
    """Puts what is logged into the trace."""

    def __init__(self, lines: list[str], loop: SimulationLoop) -> None:
        super().__init__()
        self._lines = lines
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        process = current_process()
        who = "" if process is None else process.name
        text = " ".join(record.getMessage().split())[:200]
        self._lines.append(f"      {self._loop.time():8.3f} {who} {record.levelname}: {text}")


class _Run:
    """One run."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        random: Random,
        workers: int | None,
        events: int,
        plan: Plan | None,
        *,
        trace: bool,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.random = random
        self.machines = workers or random.choice((1, 2, 2, 3, 3, 4))
        self.count = events
        self.plan = plan or Plan.draw(random, seed)
        self.report = Report(seed, scenario.name)
        self.trace = trace
        self.settings = {
            **SETTINGS,
            "store": random.choice(("memory://", "simulated://", "simulated://")),
            "broker_commit_interval": random.choice((0.2, 0.5, 1.0, 2.0)),
        }

    async def main(self, loop: SimulationLoop, directory: str) -> None:
        for module in _LETTING_GO:
            module.perf_counter = loop.busy_clock
        loop.set_exception_handler(self._unheard)
        harness = self.harness = Harness(
            loop,
            self.scenario.make_app,
            seed=self.seed,
            workers=self.machines,
            directory=directory,
            settings=self.settings,
        )
        if self.trace:
            lines = harness.journal.lines = self.report.trace = []
            logging.getLogger("faust").addHandler(_Log(lines, loop))
            logging.getLogger("faust").setLevel(logging.INFO)
        try:
            await self._run(harness)
        finally:
            report, journal = self.report, harness.journal
            report.findings += journal.findings
            report.digest, report.repeats = journal.digest, journal.repeats
            report.seconds = harness.clock.monotonic()
            loop.on_turn = None
            loop.set_exception_handler(lambda loop, context: None)
            await harness.end()

    def _unheard(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BrokerUnavailable | ProducerSendError | asyncio.CancelledError):
            return
        self.report.findings.append(f"an exception that nobody heard: {context}")

    async def _run(self, harness: Harness) -> None:
        for name, partitions in self.scenario.topics.items():
            harness.broker.create_topic(TopicSpec(name, partitions))
        seconds = self.plan.seconds
        events = make_events(
            self.count, self.random.choice((3, 10, 40)), self.random,
            start=harness.clock.time(), seconds=seconds,
        )  # fmt: skip
        self.report.events = len(events)
        chaos = Chaos(harness, self.plan, self.report.faults, self.report.points)
        producing = asyncio.create_task(self._produce(harness, events), name="producer")
        await chaos.run()
        await producing
        await chaos.heal()
        settled = await self._settle(harness)
        truth = Truth(events, [e.id for e in events if self.scenario.skips(e.id)])
        self._check_failures(harness)
        if not settled:
            return
        self._check(harness, truth, "")
        await self._start_again(harness, truth, chaos)

    # -- the producer ------------------------------------------------------------------------

    async def _produce(self, harness: Harness, events: list[Event]) -> None:
        from faust._core.partitioner import partition_for
        from faust.serializers.codecs import dumps

        partitions = self.scenario.topics["events"]
        waiting: dict[TP, list[tuple[int, bytes, bytes]]] = {}

        def send(tp: TP) -> None:
            builder = new_builder(1 << 14)
            for number, (stamp, key, value) in enumerate(waiting.pop(tp)):
                builder.append(number, stamp, key, value, [])
            harness.broker.append(harness.broker.log(tp), builder.build(), (-1, -1, -1))

        for event in events:
            await harness.clock.sleep(event.ts - harness.clock.time())
            key = self.scenario.routing_key(event.key, event.id).encode()
            value = dumps("json", event.plain()) or b""
            tp = TP("events", partition_for(key, partitions))
            waiting.setdefault(tp, []).append((int(event.ts * 1000), key, value))
            if self.random.random() < 0.4:
                send(tp)
        for tp in list(waiting):
            send(tp)

    # -- the end -----------------------------------------------------------------------------

    async def _settle(self, harness: Harness) -> bool:
        """Wait until all is committed; a finding if that takes too long."""
        deadline = harness.clock.monotonic() + PATIENCE
        while True:
            lagging = self._lagging(harness)
            if not lagging and all(worker.ready for worker in harness.workers):
                return True
            if harness.clock.monotonic() >= deadline:
                self._report_stuck(harness, lagging)
                return False
            await harness.clock.sleep(0.25)

    def _report_stuck(self, harness: Harness, lagging: list[str]) -> None:
        why = [
            f"{w.name}: {w.app.not_ready_because() if w.app and w.running else 'not running'}"
            for w in harness.workers
        ]
        self.report.findings.append(
            f"I5 progress: after {PATIENCE} s still {lagging[:4]} ({'; '.join(why)})"
        )
        if self.trace:
            self.report.findings.append(harness.loop.describe_tasks())

    def _lagging(self, harness: Harness) -> list[str]:
        known = [t for t in self.scenario.committing if t in harness.broker.describe(None)]
        if len(known) < len(self.scenario.committing):
            return ["topics are missing"]
        ends = harness.ends(known)
        owners = Counter(tp for worker in harness.workers for tp in worker.sources)
        if unowned := [str(tp) for tp in ends if owners[tp] != 1]:
            return [f"owned by nobody, or by two: {', '.join(unowned)}"]
        ends = {tp: end for tp, end in ends.items() if end}
        done = harness.committed(APP_ID, list(ends))
        return [f"{tp} {done.get(tp, 0)}<{end}" for tp, end in ends.items() if done.get(tp) != end]

    def _check_failures(self, harness: Harness) -> None:
        allowed = (BrokerUnavailable, ProducerSendError, OSError)
        for worker in harness.workers:
            for failure in worker.failures:
                if isinstance(failure, AgentFailed) and isinstance(failure.__cause__, allowed):
                    continue
                if not isinstance(failure, allowed):
                    self.report.findings.append(
                        f"{worker.name} ended with {type(failure).__name__}: {failure}"
                    )

    def _check(self, harness: Harness, truth: Truth, when: str) -> None:
        findings = check_sink(
            truth,
            self.scenario.sightings(harness),
            ordered=self.scenario.ordered,
            duplicates_allowed=not self.plan.gentle or self.scenario.repeats_when_moved,
        )
        expected = self.scenario.expected(truth)
        for name in self.scenario.tables:
            found, twice = harness.table(name)
            findings += twice + check_table(
                name, self.scenario.contents(name, found), expected[name]
            )
        self.report.findings += [f"{when}{finding}" for finding in findings]

    async def _start_again(self, harness: Harness, truth: Truth, chaos: Chaos) -> None:
        """All workers stop or die and start again, on new disks or old ones."""
        chaos.rest()
        for worker in harness.workers:
            if self.random.random() < 0.5:
                harness.ask_to_stop(worker)
            else:
                harness.kill(worker)
        for worker in harness.workers:
            if worker.process is not None and worker.process.alive:
                await harness.until_ended(worker, 60.0)
        wiped = self.random.random() < 0.5
        for worker in harness.workers:
            if wiped or self.random.random() < 0.5:
                harness.disk(worker).wipe()
            harness.start(worker)
        chaos.supervise()
        if await self._settle(harness):
            self._check(harness, truth, "after new disks: " if wiped else "after a restart: ")
        self._check_failures(harness)


def main(argv: Sequence[str] | None = None) -> int:
    """Run some seeds; return 1 if any of them has findings."""
    parser = argparse.ArgumentParser(prog="python -m faust.testing.simulation")
    parser.add_argument("--seeds", default="0:20", help="first:last, the last not included")
    parser.add_argument("--seed", type=int, help="only this one, with its trace")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="default: by the seed")
    parser.add_argument("--digests", action="store_true", help="print a digest for each seed")
    parser.add_argument("--points", action="store_true", help="list the crash points")
    parser.add_argument("--stop", action="store_true", help="stop at the first finding")
    parser.add_argument(
        "--every-point",
        type=int,
        metavar="TIMES",
        help="crash at every point so often; give up on one after 20 runs",
    )
    given = parser.parse_args(argv)
    if given.every_point:
        return _every_point(given.every_point)
    first, _, last = given.seeds.partition(":")
    seeds = [given.seed] if given.seed is not None else range(int(first), int(last or first + "1"))
    total = Totals()
    for seed in seeds:
        report = simulate(_scenario(given.scenario, seed), seed, trace=given.seed is not None)
        total.add(report)
        if given.seed is not None and report.trace is not None:
            print("\n".join(report.trace))
        if given.digests:
            print(f"{seed} {report.digest}", flush=True)
        if report.findings or given.seed is not None:
            print(report, flush=True)
        if given.stop and report.findings:
            break
    print(total.describe(points=given.points))
    return 1 if total.failed else 0


def _scenario(name: str | None, seed: int) -> Scenario | None:
    if name is None:
        return None
    return SCENARIOS[name](partitions=Random(seed).choice((1, 2, 4, 5)))


def _every_point(times: int) -> int:
    """Crash at each point until it was hit so often; points where nobody ever waits are not hit."""
    total = Totals()
    for number, point in enumerate(sorted(set(crash_points().values()))):
        for attempt in range(20):
            if total.points[point] >= times or (attempt >= 4 and not total.points[point]):
                break
            seed = 10_000 + 20 * number + attempt
            report = simulate(None, seed, plan=Plan.focused(point, seed))
            total.add(report)
            if report.findings:
                print(f"crashing at {point}:\n{report}", flush=True)
    print(total.describe(points=True))
    return 1 if total.failed else 0


@dataclass
class Totals:
    """What many runs have shown."""

    runs: int = 0
    failed: list[int] = field(default_factory=list)
    events: int = 0
    repeats: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    points: Counter[CrashPoint] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Count one run."""
        self.runs += 1
        if report.findings:
            self.failed.append(report.seed)
        self.events += report.events
        self.repeats += report.repeats
        self.faults.update(report.faults)
        self.points.update(report.points)

    def describe(self, *, points: bool) -> str:
        """Return it in words."""
        known = set(crash_points().values())
        lines = [
            f"{self.runs} runs, {self.events} events, {self.repeats} repeated; faults: "
            + ", ".join(f"{name} {n}" for name, n in sorted(self.faults.items())),
            f"crash points: {len(known)}, hit {len(self.points)}, "
            f"20 times {sum(n >= 20 for n in self.points.values())}",
        ]
        if points:
            lines += [f"  {self.points[point]:5} {point}" for point in sorted(known)]
        if self.failed:
            lines.append(f"FAILED: {len(self.failed)} seeds: {self.failed}")
        return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
