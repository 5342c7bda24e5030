"""How many a second: by looking at a total now and then."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Rate"]

#: Over how long a rate is taken at least (seconds).
SPAN = 1.0


class Rate:
    """The rate at which a total grows, over the last second or since it was last looked at.

    Arguments:
        time: The clock.
    """

    __slots__ = ("_began", "_rate", "_start", "_time")

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._began = time()
        self._start = 0
        self._rate = 0.0

    def of(self, total: int) -> float:
        """Return the rate, now that the total is this."""
        now = self._time()
        elapsed = now - self._began
        if elapsed >= SPAN:
            self._rate = (total - self._start) / elapsed
            self._began, self._start = now, total
        elif not self._rate and elapsed > 0.2:
            return (total - self._start) / elapsed
        return self._rate
