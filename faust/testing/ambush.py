"""Ambushes: something happens to a worker at the moment when it stands at one of some points."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from faust.testing.crashpoints import CrashPoint, crash_points, points_of
from faust.testing.harness import Harness, Worker
from faust.testing.processes import Step

__all__ = ["Ambushes"]


@dataclass(eq=False)
class _Ambush:
    targets: frozenset[CrashPoint]
    until: float
    strike: Callable[[Worker], None]
    is_fresh: bool = True


class Ambushes:
    """Those that are set, at most one of each name.

    Arguments:
        harness: The world; its loop's turns are looked at as long as an ambush is set.

    Attributes:
        points: All points there are, in order.
    """

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._table = crash_points()
        self.points = sorted(set(self._table.values()))
        self._set: dict[str, _Ambush] = {}
        harness.loop.on_turn = self._on_turn

    def is_set(self, name: str) -> bool:
        """Is an ambush of this name waiting?"""
        return name in self._set

    def lay(
        self,
        name: str,
        targets: Iterable[CrashPoint],
        patience: float,
        strike: Callable[[Worker], None],
    ) -> None:
        """Call ``strike`` with the first worker that stands at a target, once.

        Arguments:
            patience: How long it is waited for one (virtual seconds).
        """
        until = self._harness.clock.monotonic() + patience
        self._set[name] = _Ambush(frozenset(targets), until, strike)

    def clear(self) -> None:
        """Lie in wait for nobody any more."""
        self._set.clear()

    def where(self, worker: Worker) -> set[CrashPoint]:
        """Return the points at which a worker's tasks stand."""
        process = worker.process
        if process is None:
            return set()
        found: set[CrashPoint] = set()
        for task in (process.main, *process.tasks):
            if task is not None:
                found.update(self._points(task))
        return found

    def _points(self, task: asyncio.Task[Any]) -> Iterable[CrashPoint]:
        return () if task.done() else points_of(task.get_coro(), self._table)

    def _on_turn(self, steps: Iterable[Step]) -> None:
        if not self._set:
            return
        steps = list(steps)
        for name, ambush in list(self._set.items()):
            if self._harness.clock.monotonic() > ambush.until:
                del self._set[name]
            elif (worker := self._find(ambush, steps)) is not None:
                del self._set[name]
                ambush.strike(worker)

    def _find(self, ambush: _Ambush, steps: Iterable[Step]) -> Worker | None:
        """Return a worker that stands at a target; only who has run may be new there."""
        if ambush.is_fresh:
            ambush.is_fresh = False
            workers = self._harness.workers
            return next((w for w in workers if w.running and ambush.targets & self.where(w)), None)
        for process, task in steps:
            if ambush.targets.isdisjoint(self._points(task)):
                continue
            for worker in self._harness.workers:
                if worker.process is process and worker.running:
                    return worker
        return None
