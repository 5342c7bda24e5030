"""The simulation: seeds by the hundred, each its own world of faults, and the oracle."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from faust.testing.campaign import Job, run
from faust.testing.crashpoints import crash_points
from faust.testing.unreachable import UNREACHABLE

#: Seeds of an ordinary test run, in parts that each take some seconds.
PARTS = [(first, first + 20) for first in range(0, 320, 20)]


def run_seeds(*arguments: str, hash_seed: str = "0", timeout: float = 280) -> tuple[int, str]:
    """Run the simulation's command in a process of its own; return its code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "faust.testing.simulation", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("first", "last"), PARTS)
def test_nothing_is_lost_and_tables_are_exact_whatever_goes_wrong(first: int, last: int) -> None:
    code, said = run_seeds("--seeds", f"{first}:{last}")
    assert code == 0, said


def test_the_same_seed_gives_the_same_trace_in_every_process() -> None:
    one = run_seeds("--seeds", "0:15", "--digests", hash_seed="1", timeout=140)
    other = run_seeds("--seeds", "0:15", "--digests", "--jobs", "2", hash_seed="2", timeout=140)
    assert one == other


@pytest.mark.parametrize("aim", [0, 1 << 40 | 1 << 20 | 1 << 5])
def test_the_command_of_a_report_repeats_it(aim: int) -> None:
    once = run(Job(3, None, None, aim))
    words = shlex.split(once.command.partition(" -m faust.testing.simulation ")[2])
    given = dict(zip(words[::2], words[1::2], strict=True))
    again = Job(
        int(given["--seed"]),
        given["--scenario"],
        given["--guarantee"],
        int(given.get("--aim", "0"), 16),
        trace=True,
    )
    assert once.digest == run(again).digest


def test_points_that_nobody_reaches_are_points_of_the_engine() -> None:
    known = {str(point) for point in crash_points().values()}
    assert not UNREACHABLE.keys() - known


def run_long(*arguments: str) -> int:
    """Run the simulation's command on all cores; what it says is seen at once (with ``-s``)."""
    command = [sys.executable, "-m", "faust.testing.simulation", *arguments, "--jobs", "0"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(command, check=False, env=environment, timeout=7_000).returncode


@pytest.mark.soak
def test_many_seeds() -> None:
    seeds = int(os.environ.get("SEEDS", "500"))
    assert run_long("--seeds", f"1000:{1000 + seeds}", "--points") == 0


@pytest.mark.soak
def test_a_crash_at_every_await_of_the_engine_is_survived() -> None:
    assert run_long("--every-point", "20") == 0
