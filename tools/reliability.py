"""``python -m tools.reliability FILE...``: the table of reliability, from the logs of runs.

Each line of a log (`faust.testing.reliability`) is one run; all runs of a scenario with one driver
under one guarantee are one row.  The rows are kept in ``docs/reliability-runs.json`` and shown in
``docs/reliability.md``.  New runs take the place of a row's older ones; with ``--add`` they are
added to them.  Without files, only the table is written again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faust.testing.reliability import SCENARIOS, Run, read

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "docs" / "reliability-runs.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- the table of runs: begin -->", "<!-- the table of runs: end -->"
DRIVERS = ("memory", "sqlite", "kafka")
#: So many of a row's findings are kept.
EXAMPLES = 3

Key = tuple[int, int, str]


@dataclass
class Row:
    """All runs of one scenario, with one driver, under one guarantee."""

    number: int
    driver: str
    guarantee: str
    runs: int = 0
    failed: int = 0
    seconds: float = 0.0
    events: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    lost: int = 0
    duplicates: int = 0
    excess: int = 0
    wrong_keys: int = 0
    longest_pause: float = 0.0
    findings: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """What it is the row of, in the order of the table."""
        known = self.driver in DRIVERS
        driver = DRIVERS.index(self.driver) if known else len(DRIVERS)
        return self.number, driver, self.guarantee

    def add(self, run: Run) -> None:
        """Count one more run."""
        self.runs += 1
        self.failed += bool(run.findings)
        self.seconds = round(self.seconds + run.seconds, 1)
        self.events += run.events
        self.faults = _sum(self.faults, run.faults)
        self.kills = _sum(self.kills, run.kills)
        self.names = sorted({*self.names, *filter(None, [run.name])})
        self.lost += run.lost
        self.duplicates += run.duplicates
        self.excess += run.excess
        self.wrong_keys += run.wrong_keys
        self.longest_pause = round(max(self.longest_pause, run.longest_pause), 1)
        self.findings = [*self.findings, *run.findings][:EXAMPLES]
        self.commits = sorted({*self.commits, *filter(None, [run.commit])})

    def cells(self) -> list[str]:
        """Return what the table shows of it."""
        what = f"{self.number}. {SCENARIOS[self.number]}"
        guarantee = self.guarantee.replace("_", " ")
        numbers = [self.runs, self.events, sum(self.faults.values())]
        zeros = [self.lost, self.excess, self.wrong_keys]
        return [
            what, self.driver, guarantee, *(f"{n:,}" for n in numbers), *(f"{n:,}" for n in zeros),
            f"{self.longest_pause:.1f} s", str(self.failed),
        ]  # fmt: skip


def _sum(one: Any, other: Any) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))


HEAD = (
    "scenario", "driver", "guarantee", "runs", "events", "faults injected", "ids lost",
    "duplicates beyond what was in flight", "wrong table keys", "longest time without progress",
    "runs with findings",
)  # fmt: skip


def load(data: Path = DATA) -> dict[Key, Row]:
    """Return the rows that are kept."""
    if not data.exists():
        return {}
    rows = [Row(**row) for row in json.loads(data.read_text())]
    return {row.key: row for row in rows}


def merge(kept: dict[Key, Row], runs: Iterable[Run], *, add: bool = False) -> dict[Key, Row]:
    """Return the rows, with new runs in the place of older ones, or added to them."""
    new: dict[Key, Row] = dict(kept) if add else {}
    for run in runs:
        row = Row(run.number, run.driver, run.guarantee)
        new.setdefault(row.key, row).add(run)
    merged = {**kept, **new}
    return {key: merged[key] for key in sorted(merged)}


def table(rows: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|---|" + "---:|" * (len(HEAD) - 3)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def page_with(page: str, rows: Iterable[Row]) -> str:
    """Return a page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Write data and table; return 1 if a run has findings."""
    parser = argparse.ArgumentParser(prog="python -m tools.reliability", description=__doc__)
    parser.add_argument("logs", nargs="*", metavar="FILE", help="logs of runs")
    parser.add_argument("--add", action="store_true", help="add to a row's older runs")
    given = parser.parse_args(argv)
    rows = merge(load(), read(given.logs), add=given.add)
    DATA.write_text(json.dumps([asdict(row) for row in rows.values()], indent=1) + "\n")
    PAGE.write_text(page_with(PAGE.read_text(), rows.values()))
    for row in rows.values():
        print(" | ".join(row.cells()))
        for finding in row.findings:
            print(f"    {finding}")
    return 1 if any(row.failed for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
