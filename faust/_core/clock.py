"""Time comes through an object, so that tests can replace it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]

_time_ns = time.time_ns


class Clock(Protocol):
    """What the time is, and waiting for it to pass."""

    def time(self) -> float:
        """Seconds since the epoch (for timestamps; may jump)."""

    def time_ms(self) -> int:
        """Milliseconds since the epoch, for the timestamps of records."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps back (for durations)."""

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""


class SystemClock:
    """The machine's own clocks."""

    @staticmethod
    def time_ms() -> int:
        """Milliseconds since the epoch."""
        return _time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        await asyncio.sleep(seconds)

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)  # last: hides the module in this class's body
