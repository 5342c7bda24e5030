"""``python -m tests.faults.soak``: runs under faults, one after the other, on SQLite or real Kafka.

Each run is a scenario of ``faults_run.SCENARIOS`` with a seed.  One that fails does not end the
others; its logs are kept, and their directory is named.  ``FAUST_RELIABILITY_LOG`` names a file
that gets a line for each.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # what tests of this directory import by its name alone
    sys.path.insert(0, str(HERE))

if TYPE_CHECKING:
    from faults_brokers import Brokers

GUARANTEES = ("at_least_once", "exactly_once")
#: A run may take so much longer than events are sent (seconds).
MORE = 600.0


class Job(NamedTuple):
    """One run to be."""

    scenario: str
    guarantee: str
    seed: int

    def __str__(self) -> str:
        return f"{self.scenario}, {self.guarantee}, seed {self.seed}"


def jobs(
    driver: str, count: int, guarantees: Sequence[str], only: Sequence[str], seed: int
) -> Iterator[Job]:
    """Iterate over so many runs: all scenarios that the driver has, under each guarantee."""
    from faults_run import SCENARIOS

    names = [n for n, s in SCENARIOS.items() if s.drawn(driver) and (not only or n in only)]
    pairs = [(name, g) for g in guarantees for name in names]
    pairs = [(n, g) for n, g in pairs if SCENARIOS[n].number != 7 or g == guarantees[-1]]
    for number, (name, guarantee) in enumerate(islice(cycle(pairs), count)):
        yield Job(name, guarantee, seed + number)


async def one(
    job: Job, driver: str, seconds: float, directory: Path, brokers: Brokers | None
) -> bool:
    """Do one run; return whether nothing was wrong."""
    from faults_run import fault_run, plan_for

    folder = Path(tempfile.mkdtemp(prefix=f"{job.scenario}-{job.seed}-", dir=directory))
    url = brokers.url if brokers else f"{driver}://{folder}/broker.db"
    plan = plan_for(url, job.scenario, job.seed, folder, job.guarantee)
    try:
        async with asyncio.timeout(seconds + MORE):
            report = await fault_run(
                plan, job.scenario, seconds=seconds, seed=job.seed, brokers=brokers
            )
    except Exception as exc:
        (folder / "failure.txt").write_text("".join(traceback.format_exception(exc)))
        print(f"FAILED {job}: {_first_line(exc)}\n    logs: {folder}", flush=True)
        return False
    if report.findings:
        (folder / "failure.txt").write_text("\n".join([str(report), *report.findings]))
        found = "\n    ".join(report.findings)
        print(f"FAILED {report}\n    {found}\n    logs: {folder}", flush=True)
        return False
    print(f"ok {report}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _first_line(exc: Exception) -> str:
    lines = str(exc).splitlines()
    return f"{type(exc).__name__}: {lines[0] if lines else ''}"


async def some(
    todo: Sequence[Job], driver: str, seconds: float, directory: Path, brokers: Brokers | None
) -> int:
    """Do some runs side by side; return how many failed."""
    done = await asyncio.gather(*(one(j, driver, seconds, directory, brokers) for j in todo))
    return sum(not good for good in done)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do all runs; return 1 if any failed."""
    from faults_brokers import Brokers

    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--driver", choices=["sqlite", "kafka"], default="sqlite")
    parser.add_argument("--runs", type=int, default=30, help="how many (30)")
    parser.add_argument("--seconds", type=float, default=60.0, help="events are sent for (60)")
    parser.add_argument("--guarantee", choices=[*GUARANTEES, "both"], default="both")
    parser.add_argument(
        "--scenario", action="append", default=[], help="only this; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run (1)")
    parser.add_argument("--together", type=int, default=0, help="side by side (2; Kafka: 1)")
    given = parser.parse_args(arguments)
    guarantees = GUARANTEES if given.guarantee == "both" else (given.guarantee,)
    todo = list(jobs(given.driver, given.runs, guarantees, given.scenario, given.seed))
    together = given.together or (2 if given.driver == "sqlite" else 1)
    directory = Path(tempfile.mkdtemp(prefix="faust-soak-"))
    failed = 0
    with ExitStack() as stack:
        brokers = stack.enter_context(Brokers()) if given.driver == "kafka" else None
        for start in range(0, len(todo), together):
            piece = todo[start : start + together]
            failed += asyncio.run(some(piece, given.driver, given.seconds, directory, brokers))
            if brokers is not None:
                brokers.heal()
    print(f"{len(todo)} runs on {given.driver}, {failed} failed", flush=True)
    if not failed:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
