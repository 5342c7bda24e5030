"""What one run under faults has shown, as a line for the table of reliability.

Whoever lets an app run under faults (the simulation, the storms on SQLite and on Kafka) makes a
`Run` of it and calls `note`.  If the environment variable ``FAUST_RELIABILITY_LOG`` names a file,
the run is one more line of JSON there; any number of processes may append to it.
``python -m tools.reliability FILE...`` makes the table in ``docs/reliability.md`` of them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["LOG", "SCENARIOS", "Run", "code_version", "note", "read"]

#: Name of the environment variable with the name of the file.
LOG = "FAUST_RELIABILITY_LOG"

#: Number of each scenario -> what it is about.
SCENARIOS: Mapping[int, str] = {
    1: "never stuck",
    2: "recovery",
    3: "commits",
    4: "rebalances",
    5: "windows",
    6: "poison",
    7: "exactly once",
    8: "topics",
    9: "local state",
    10: "memory and back-pressure",
    11: "a blocking agent",
    12: "shutdown",
    13: "batches",
    14: "embedding",
    15: "asking agents",
    16: "metrics",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run has shown.

    Attributes:
        number: Number of the scenario, a key of `SCENARIOS`.
        driver: ``memory``, ``sqlite`` or ``kafka``.
        guarantee: ``at_least_once`` or ``exactly_once``.
        id: A seed, or whatever tells this run from others.
        name: What ran, where a scenario has several forms.
        seconds: How long it took (virtual seconds in simulation).
        events: Events that were sent.
        faults: Kind of fault -> how often it was injected; kills are here, too.
        kills: What a worker was doing when it was killed -> how often.
        lost: Ids that are not in the sink (I1).
        duplicates: Ids that are in the sink more than once.
        excess: Those of them that were not in flight when a fault struck (I3).
        wrong_keys: Keys of tables that are not equal to the truth (I4).
        longest_pause: The longest time that a partition with lag stood still once the faults had
            healed (I5), in seconds.
        findings: Sentences that say what was wrong; empty if nothing was.
        commit: Version of the code.
    """

    number: int
    driver: str
    guarantee: str = "at_least_once"
    id: str = ""
    name: str = ""
    seconds: float = 0.0
    events: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    kills: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    duplicates: int = 0
    excess: int = 0
    wrong_keys: int = 0
    longest_pause: float = 0.0
    findings: tuple[str, ...] = ()
    commit: str = ""

    def __post_init__(self) -> None:
        if self.number not in SCENARIOS:
            raise ValueError(f"there is no scenario {self.number}: 1 to {len(SCENARIOS)}")

    def line(self) -> str:
        """Return it as one line of JSON, without the end of the line."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, line: str) -> Run:
        """Return what a line says; keys that it does not know are left out."""
        known = {each.name for each in fields(cls)}
        given: dict[str, Any] = {k: v for k, v in json.loads(line).items() if k in known}
        given["findings"] = tuple(given.get("findings", ()))
        return cls(**given)


def note(run: Run) -> None:
    """Append a run to the log, if ``FAUST_RELIABILITY_LOG`` names one; else do nothing.

    A run without a version of the code gets that of this one.
    """
    if path := os.environ.get(LOG):
        if not run.commit:
            run = Run(**{**asdict(run), "commit": code_version()})
        _append(Path(path), run.line() + "\n")


def _append(path: Path, text: str) -> None:
    """Append in one write, which the system does not mix with those of others."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def read(paths: Iterable[Path | str]) -> Iterator[Run]:
    """Iterate over the runs in some logs."""
    for path in paths:
        for line in Path(path).read_text().splitlines():
            if line.strip():
                yield Run.parse(line)


@cache
def code_version() -> str:
    """Return the commit of this library's code, with a ``+`` if files differ from it; "" if it is
    not in a repository."""
    here = Path(__file__).resolve().parents[1]
    try:
        commit = _git(here, "rev-parse", "--short", "HEAD")
        changed = _git(here, "status", "--porcelain", "--", str(here))
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _git(directory: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(directory), *arguments],
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout.strip()  # fmt: skip
