"""What one simulation has shown."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from dataclasses import dataclass, field

from faust.testing.crashpoints import CrashPoint
from faust.testing.reliability import Run

__all__ = ["SEED", "Report"]

#: Name of the environment variable that lets tests run one seed only.
SEED = "FAUST_SIMULATION_SEED"


@dataclass
class Report:
    """What a run has shown.

    Attributes:
        seed: Its seed.
        scenario: Name of the scenario; ``app`` for an app of yours.
        number: Which of `faust.testing.reliability.SCENARIOS` it belongs to.
        guarantee: ``at_least_once`` or ``exactly_once``.
        findings: What is wrong; empty if nothing is.
        digest: Of the trace: the same for the same seed.
        events: How many events there were.
        repeats: Events handed out again after a fault.
        lost, duplicates, excess, wrong_keys, longest_pause: As in `faust.testing.reliability.Run`.
        faults: What went wrong, how often.
        kills: What a worker was doing when it was killed, how often.
        points: Crash points that were hit, how often.
        seconds: Virtual seconds that passed.
        trace: The trace, if it was asked for.
        aim: What else the command that repeats it must say.
    """

    seed: int
    scenario: str
    number: int = 1
    guarantee: str = "at_least_once"
    findings: list[str] = field(default_factory=list)
    digest: str = ""
    events: int = 0
    repeats: int = 0
    lost: int = 0
    duplicates: int = 0
    excess: int = 0
    wrong_keys: int = 0
    longest_pause: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    points: Counter[CrashPoint] = field(default_factory=Counter)
    seconds: float = 0.0
    trace: list[str] | None = None
    aim: str = ""

    @property
    def command(self) -> str:
        """What repeats it."""
        if self.scenario != "app":
            return (
                f"PYTHONHASHSEED=0 python -m faust.testing.simulation --seed {self.seed} "
                f"--scenario {self.scenario} --guarantee {self.guarantee}{self.aim}"
            )
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        what = ["-m", "pytest", test] if test else sys.argv
        return f"{SEED}={self.seed} python {shlex.join(what)}"

    def verify(self) -> None:
        """Raise `AssertionError` with all that is wrong, the trace and the command that repeats it,
        if anything is wrong."""
        if self.findings:
            raise AssertionError("\n".join([*(self.trace or ()), str(self)]))

    def as_run(self) -> Run:
        """Return it for the table of reliability."""
        return Run(
            number=self.number, driver="memory", guarantee=self.guarantee, id=str(self.seed),
            name=self.scenario, seconds=round(self.seconds, 1), events=self.events,
            faults=dict(self.faults), kills=dict(self.kills), lost=self.lost,
            duplicates=self.duplicates, excess=self.excess, wrong_keys=self.wrong_keys,
            longest_pause=round(self.longest_pause, 1), findings=tuple(self.findings),
        )  # fmt: skip

    def __str__(self) -> str:
        head = f"seed {self.seed} {self.scenario}: {self.events} events, {self.repeats} repeated, "
        faults = ", ".join(f"{name} {n}" for name, n in sorted(self.faults.items()))
        lines = [f"{head}{self.seconds:.0f} virtual seconds, {faults or 'no faults'}"]
        lines += [f"  {finding}" for finding in self.findings]
        if self.findings:
            lines.append(f"  again: {self.command}")
        return "\n".join(lines)
