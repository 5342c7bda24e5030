"""How far restoring has come, for a worker as a whole: records left, rate, time left."""

from __future__ import annotations

from typing import NamedTuple

from faust._machines.restore import Progress

__all__ = ["RestoreStatus", "Restores"]


class RestoreStatus(NamedTuple):
    """What is under way.

    Attributes:
        left: Records that are still to be read.
        rate: Records per second since this wave of restores began; 0.0 before any time has passed.
        seconds: How long the rest will take at that rate; ``None`` while nobody can know.
        done: Partitions of tables that are restored.
        total: Partitions of tables in all, those that wait for their turn included as they begin.
    """

    left: int
    rate: float
    seconds: float | None
    done: int
    total: int

    def __str__(self) -> str:
        text = f"{self.left:,} records left, {self.done} of {self.total} partitions restored"
        if self.rate:
            text += f", {self.rate:,.0f} records/s"
        if self.seconds is not None:
            text += f", about {max(1, round(self.seconds))} s left"
        return text


class Restores:
    """The restores of one worker.  A wave begins with the first, and is over with the last.

    Arguments:
        interval: Seconds between two reports.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._under_way: dict[object, Progress] = {}
        self._done = 0
        self._read = 0
        self._began = 0.0
        self._reported = 0.0

    def begin(self, key: object, start: int, end: int, now: float) -> None:
        """A restore begins that reads the offsets in [start, end)."""
        if not self._under_way:
            self._done = self._read = 0
            self._began = self._reported = now
        self._under_way[key] = Progress(start, end, end, now)

    def advance(self, key: object, position: int) -> None:
        """A restore has come to ``position``."""
        progress = self._under_way.get(key)
        if progress is not None:
            before = progress.position
            progress.advance(position)
            self._read += progress.position - before

    def end(self, key: object, *, restored: bool) -> None:
        """A restore is over, or was given up."""
        if self._under_way.pop(key, None) is not None:
            self._done += restored

    def status(self, now: float) -> RestoreStatus:
        """Return what is under way."""
        left = sum(progress.left for progress in self._under_way.values())
        seconds = now - self._began
        rate = self._read / seconds if seconds > 0 and self._under_way else 0.0
        eta = left / rate if rate and left else None
        return RestoreStatus(left, rate, eta, self._done, self._done + len(self._under_way))

    def report(self, now: float) -> RestoreStatus | None:
        """Return what is under way where it is time to say so again."""
        if not self._under_way or now - self._reported < self._interval:
            return None
        self._reported = now
        return self.status(now)
