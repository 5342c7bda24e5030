"""One run of the simulation: a broker, workers, a producer, chaos; then the oracle."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from faust._core.partitioner import partition_for
from faust._values import TP
from faust.exceptions import AgentFailed
from faust.testing.chaos import Chaos
from faust.testing.harness import OUTSIDE, Harness
from faust.testing.oracle import (
    Truth,
    check_sink,
    check_table,
    lost_ids,
    make_events,
    repeated_ids,
    wrong_keys,
)
from faust.testing.plan import Plan
from faust.testing.processes import SimulationLoop, current_process
from faust.testing.report import Report
from faust.testing.scenario import Scenario
from faust.transport.base import TopicSpec
from faust.transport.records import new_builder

__all__ = ["World"]

#: Virtual seconds after which what is committed is in the stores, too.
APPLIED = 0.5
#: Events of a plan of so many seconds are rare.
LONG = 100.0
#: Virtual seconds within which all lag must be gone once everything is well again (I5).
PATIENCE = 90.0

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

#: What the producer sends: when, topic, key, value.
Outgoing = tuple[float, str, bytes, bytes | None]


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


class World:
    """One run.

    Arguments:
        scenario: What runs.
        seed: Its seed; ``random`` has drawn the scenario from it already.
        workers: How many machines; ``None``: drawn.
        events: How many numbered events.
        plan: What goes wrong; ``None``: drawn.
        guarantee: The processing guarantee; ``None``: drawn from the scenario's.
        trace: Keep the trace.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        random: Random,
        workers: int | None,
        events: int,
        plan: Plan | None,
        guarantee: str | None,
        *,
        trace: bool,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.random = random
        self.machines = workers or random.choice((1, 2, 2, 3, 3, 4))
        self.count = events
        self.plan = plan or Plan.draw(random, seed)
        drawn = random.choice(scenario.guarantees)
        self.guarantee = guarantee or drawn
        number = 4 if self.plan.gentle and scenario.number == 1 else scenario.number
        number = 7 if self.guarantee == "exactly_once" and number == 1 else number
        self.report = Report(seed, scenario.name, number, self.guarantee)
        self.trace = trace
        self.settings = {
            **SETTINGS,
            "store": random.choice(("memory://", "simulated://", "simulated://")),
            "broker_commit_interval": random.choice((0.2, 0.5, 1.0, 2.0)),
            # Of its own, so that what else is drawn from a seed does not depend on it.
            "table_standby_replicas": Random(f"standbys {seed}").choice((0, 1, 1, 2)),
            **scenario.draw_settings(random),
        }
        self.settings["processing_guarantee"] = self.guarantee

    async def main(self, loop: SimulationLoop, directory: str, pacers: Sequence[Any]) -> None:
        """Run it.

        Arguments:
            directory: Of the machines' data.
            pacers: Modules with a ``perf_counter`` of which the loop's time depends.
        """
        for module in pacers:
            module.perf_counter = loop.busy_clock
        loop.set_exception_handler(self._unheard)
        harness = self.harness = Harness(
            loop,
            self.scenario.make_app,
            seed=self.seed,
            workers=self.machines,
            directory=directory,
            settings=self.settings,
            shares_disk=self.scenario.shares_disk,
        )
        log: logging.Handler | None = None
        if self.trace:
            lines = harness.journal.lines = self.report.trace = []
            log = _Log(lines, loop)
            logging.getLogger("faust").addHandler(log)
            logging.getLogger("faust").setLevel(logging.INFO)
        try:
            await self._run(harness)
        finally:
            report, journal = self.report, harness.journal
            report.findings += journal.findings
            report.digest, report.repeats = journal.digest, journal.repeats
            report.excess = journal.excess
            report.seconds = harness.clock.monotonic()
            if log is not None:
                logging.getLogger("faust").removeHandler(log)
            loop.on_turn = None
            loop.set_exception_handler(lambda loop, context: None)
            await harness.end()

    def _unheard(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, (*OUTSIDE, asyncio.CancelledError)):
            return
        self.report.findings.append(f"an exception that nobody heard: {context}")

    async def _run(self, harness: Harness) -> None:
        for name, partitions in self.scenario.topics.items():
            harness.broker.create_topic(TopicSpec(name, partitions))
        events = make_events(
            self.count, self.random.choice((3, 10, 40)), self.random,
            start=harness.clock.time(), seconds=self.plan.seconds,
        )  # fmt: skip
        start = harness.clock.time()
        outgoing = self.scenario.outgoing(events, self.random, start, self.plan.seconds)
        self.report.events = len(outgoing)
        chaos = Chaos(harness, self.plan, self.scenario)
        report = self.report
        report.faults, report.points, report.kills = chaos.faults, chaos.points, chaos.kills
        producing = asyncio.create_task(self._produce(harness, outgoing), name="producer")
        outside = asyncio.create_task(self.scenario.outside(harness, events), name="outside")
        await chaos.run()
        await producing
        await chaos.heal()
        report.findings += await outside
        settled = await self._come_to_rest(harness)
        truth = Truth(events, [e.id for e in events if self.scenario.skips(e.id)])
        self._check_failures(harness)
        self._count_requests(harness)
        if not settled:
            return
        self._check(harness, truth, "")
        await self._start_again(harness, truth, chaos)

    @property
    def _as_committed(self) -> bool:
        """Are tables compared as they are committed?"""
        return self.scenario.committed_view and self.guarantee == "exactly_once"

    def _count_requests(self, harness: Harness) -> None:
        counts = harness.network.counts
        for name, kinds in (("request lost", counts.lost), ("answer lost", counts.unanswered)):
            if kinds:
                self.report.faults[name] += sum(kinds.values())

    # -- the producer ------------------------------------------------------------------------

    async def _produce(self, harness: Harness, outgoing: Iterable[Outgoing]) -> None:
        waiting: dict[TP, list[tuple[int, bytes, bytes | None]]] = {}

        def send(tp: TP) -> None:
            builder = new_builder(1 << 14)
            for number, (stamp, key, value) in enumerate(waiting.pop(tp)):
                builder.append(number, stamp, key, value, [])
            harness.broker.append(harness.broker.log(tp), builder.build(), (-1, -1, -1))

        for when, topic, key, value in outgoing:
            await harness.clock.sleep(when - harness.clock.time())
            partitions = len(harness.broker.topic(topic).logs)
            tp = TP(topic, partition_for(key, partitions))
            waiting.setdefault(tp, []).append((int(when * 1000), key, value))
            # Where events are rare, none is held back until windows have closed without it.
            if self.random.random() < 0.4 or self.plan.seconds > LONG:
                send(tp)
        for tp in list(waiting):
            send(tp)

    # -- the end -----------------------------------------------------------------------------

    async def _come_to_rest(self, harness: Harness) -> bool:
        """Wait until all is committed and in the stores, and no partition is being handed over.

        Stores hear of a commit a little later; a rebalance that begins meanwhile is waited for.
        """
        while await self._settle(harness):
            if not self._as_committed:
                return True
            await harness.clock.sleep(APPLIED)
            if self._is_settled(harness):
                return True
        return False

    def _is_settled(self, harness: Harness) -> bool:
        return not self._lagging(harness) and all(worker.ready for worker in harness.workers)

    async def _settle(self, harness: Harness) -> bool:
        """Wait until all is committed; a finding if that takes too long."""
        began = harness.clock.monotonic()
        moved: dict[str, float] = {}
        last: dict[str, str] = {}
        while True:
            now = harness.clock.monotonic()
            lagging = self._lagging(harness)
            for tp, at in lagging.items():
                if last.get(tp) != at:
                    moved[tp] = now if tp in last else began
                self.report.longest_pause = max(self.report.longest_pause, now - moved[tp])
            last = lagging
            if not lagging and all(worker.ready for worker in harness.workers):
                return True
            if now >= began + PATIENCE:
                self._report_stuck(harness, lagging)
                return False
            await harness.clock.sleep(0.25)

    def _report_stuck(self, harness: Harness, lagging: dict[str, str]) -> None:
        why = [
            f"{w.name}: {w.live_app.not_ready_because() if w.live_app else 'not running'}"
            for w in harness.workers
        ]
        still = [f"{tp} {at}" for tp, at in lagging.items()][:4]
        self.report.findings.append(
            f"I5 progress: after {PATIENCE} s still {still} ({'; '.join(why)})"
        )
        if self.trace:
            self.report.findings.append(harness.loop.describe_tasks())

    def _lagging(self, harness: Harness) -> dict[str, str]:
        """Return what is not committed, or not owned: which partition, and how far it is."""
        known = harness.broker.describe(None)
        owners = Counter(tp for worker in harness.workers for tp in worker.sources)
        read = {*self.scenario.committing, *(tp.topic for tp in owners if tp.topic in known)}
        if missing := [topic for topic in self.scenario.committing if topic not in known]:
            return dict.fromkeys(missing, "is missing")
        ends = harness.ends(sorted(read))
        if unowned := [tp for tp in ends if owners[tp] != 1]:
            return {str(tp): f"is owned by {owners[tp]}" for tp in unowned}
        ends = {tp: end for tp, end in ends.items() if end}
        waiting = self.scenario.waiting(harness)
        done = harness.committed(self.scenario.app_id, list(ends))
        lag = {
            str(tp): f"{done.get(tp, 0)}<{end}" for tp, end in ends.items() if done.get(tp) != end
        }
        return {**lag, **waiting}

    def _check_failures(self, harness: Harness) -> None:
        for worker in harness.workers:
            for failure in worker.failures:
                if isinstance(failure, AgentFailed) and isinstance(failure.__cause__, OUTSIDE):
                    continue
                if not isinstance(failure, (*OUTSIDE, *self.scenario.excused)):
                    self.report.findings.append(
                        f"{worker.name} ended with {type(failure).__name__}: {failure}"
                    )

    def _check(self, harness: Harness, truth: Truth, when: str) -> None:
        report, scenario = self.report, self.scenario
        findings = scenario.judge(harness)
        if self.count and scenario.has_sink:
            sink = scenario.sightings(harness)
            exact = self.guarantee == "exactly_once"
            gentle = self.plan.gentle and not scenario.repeats_when_moved
            findings += check_sink(
                truth, sink, ordered=scenario.ordered, duplicates_allowed=not (exact or gentle)
            )
            report.lost = max(report.lost, len(lost_ids(truth, sink)))
            report.duplicates = len(repeated_ids(sink))
            if exact:
                report.excess = max(report.excess, report.duplicates)
        expected = scenario.expected(truth)
        for name in scenario.tables:
            found, twice = harness.table(name, committed=self._as_committed)
            contents = scenario.contents(name, found)
            findings += twice + check_table(name, contents, expected[name])
            report.wrong_keys += len(wrong_keys(contents, expected[name]))
        report.findings += [f"{when}{finding}" for finding in findings]

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
        if await self._come_to_rest(harness):
            when = "after new disks: " if wiped else "after a restart: "
            self._check(harness, truth, when)
        self._check_failures(harness)
