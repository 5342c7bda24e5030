"""Which runs come next, if workers are to crash at every point so many times.

A run has its scenario and guarantee, and the points that still need hits.  Most points are reached
by any app; some are only by one with a global table, say, or in transactions.  So what has hit a
point before is run more often, as long as that point needs hits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from random import Random
from typing import NamedTuple

from faust.testing.crashpoints import CrashPoint
from faust.testing.report import Report

__all__ = ["Aim", "Aims"]

#: How likely it is that a run is one of which something is known.
KNOWN = 0.7


class Aim(NamedTuple):
    """What a run is told.

    Attributes:
        scenario, guarantee: ``None``: drawn from the seed.
        points: A bit for each crash point, in their order: those that it crashes at.
    """

    scenario: str | None
    guarantee: str | None
    points: int


class Aims:
    """Hits so far, and what comes next.

    Arguments:
        points: All crash points, in order.
        times: How often each is to be hit.
        unreachable: Names of those that nobody stands at: they are not aimed at.

    Attributes:
        hits: How often each was hit.
    """

    def __init__(
        self, points: Sequence[CrashPoint], times: int, unreachable: Collection[str] = ()
    ) -> None:
        self._points = points
        self._times = times
        self._unreachable = frozenset(unreachable)
        self.hits: Counter[CrashPoint] = Counter()
        self._hit_by: dict[CrashPoint, Counter[tuple[str, str]]] = defaultdict(Counter)

    def needy(self) -> list[CrashPoint]:
        """Return the points that need more hits."""
        return [
            point
            for point in self._points
            if self.hits[point] < self._times and str(point) not in self._unreachable
        ]

    def wrongly_listed(self) -> list[CrashPoint]:
        """Return the points that were hit although nobody ever stands there."""
        return [
            point for point in self._points if self.hits[point] and str(point) in self._unreachable
        ]

    def add(self, report: Report) -> None:
        """Count what a run has hit."""
        self.hits.update(report.points)
        for point in report.points:
            self._hit_by[point][report.scenario, report.guarantee] += 1

    def next(self, seed: int) -> Aim:
        """Return what the run with this seed is to be; there must be points that need hits."""
        needy = self.needy()
        random = Random(f"aim {seed}")
        aimed = frozenset(needy)
        bits = sum(1 << bit for bit, point in enumerate(self._points) if point in aimed)
        known = self._hit_by[random.choice(needy)]
        if not known or random.random() > KNOWN:
            return Aim(None, None, bits)
        ((scenario, guarantee),) = random.choices(list(known), list(known.values()))
        return Aim(scenario, guarantee, bits)
