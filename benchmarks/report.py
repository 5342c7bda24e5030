"""The table: medians, ratios against both yardsticks, and against the stored baseline."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.works import Work

BASELINE = Path(__file__).with_name("baseline.json")


@dataclass
class Results:
    """Every figure taken, by work and contender, in the order of the rounds."""

    rates: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, work: str, contender: str, rate: float) -> None:
        """Keep one figure."""
        self.rates.setdefault(work, {}).setdefault(contender, []).append(rate)

    def median(self, work: str, contender: str) -> float | None:
        """Return the median of the rounds, or ``None`` where nothing was measured."""
        figures = self.rates.get(work, {}).get(contender)
        return statistics.median(figures) if figures else None

    def ratio(self, work: str, contender: str, to: str) -> float | None:
        """Return how many times ``to``'s rate ``contender`` reached."""
        ours, theirs = self.median(work, contender), self.median(work, to)
        return ours / theirs if ours is not None and theirs else None

    def medians(self) -> dict[str, dict[str, float]]:
        """Return all medians, rounded: what the baseline stores."""
        return {
            work: {name: round(statistics.median(rates)) for name, rates in by_name.items()}
            for work, by_name in self.rates.items()
        }


def format_table(results: Results, works: Iterable[Work], baseline: dict[str, Any]) -> str:
    """Return the table as text; rates in thousand records a second."""
    names = sorted({name for by_name in results.rates.values() for name in by_name})
    head = f"{'thousand records/s':32}" + "".join(f"{name:>16}" for name in names)
    lines = [head + f"{'/ streams':>11}{'/ hand':>8}{'at least':>10}{'aim':>6}{'baseline':>10}"]
    for work in works:
        if work.name not in results.rates:
            continue
        cells = (_number(results.median(work.name, name), 1000, 16) for name in names)
        ours = results.ratio(work.name, "faust", "kafka-streams")
        hand = results.ratio(work.name, "faust", "hand-loop")
        stored = _stored_ratio(baseline, work.name)
        line = f"{work.title:32}" + "".join(cells) + _ratio(ours, 11) + _ratio(hand, 8)
        line += f"{work.at_least:>10.1f}{work.aim:>6.1f}{_ratio(stored, 10)}"
        lines.append(line + ("" if ours is None or ours >= work.at_least else "  MISSED"))
    return "\n".join(lines)


def load_baseline() -> dict[str, Any]:
    """Return the stored figures; empty where there are none."""
    if not BASELINE.exists():
        return {}
    stored: dict[str, Any] = json.loads(BASELINE.read_text())
    return stored


def save_baseline(results: Results, extra: dict[str, Any]) -> None:
    """Store the medians, in records a second, over those stored before.

    What this run did not measure keeps its older figure.
    """
    before = load_baseline()
    rates: dict[str, dict[str, float]] = before.get("records_per_second", {})
    for work, by_name in results.medians().items():
        rates[work] = {**rates.get(work, {}), **by_name}
    document = {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "load": round(os.getloadavg()[0], 1),
        },
        **{name: {**before.get(name, {}), **figures} for name, figures in extra.items()},
        "records_per_second": rates,
    }
    BASELINE.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _stored_ratio(baseline: dict[str, Any], work: str) -> float | None:
    # Ratios travel between machines; rates do not.
    rates = baseline.get("records_per_second", {}).get(work, {})
    ours, theirs = rates.get("faust"), rates.get("kafka-streams")
    return ours / theirs if ours and theirs else None


def _number(value: float | None, scale: float, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value / scale:>{width},.0f}"


def _ratio(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.2f}"
