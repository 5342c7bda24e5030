"""Time comes through an object, so that tests can replace it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the time is, and waiting for it to pass."""

    def time(self) -> float:
        """Seconds since the epoch (for timestamps; may jump)."""

    def time_ns(self) -> int:
        """Nanoseconds since the epoch, for the timestamps of records."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps back (for durations)."""

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""


class SystemClock:
    """The machine's own clocks."""

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        await asyncio.sleep(seconds)

    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)  # last: hides the module in this class's body
