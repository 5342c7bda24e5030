"""Windows: which stretches of time an event belongs to.  Arithmetic only.

A window's range is half-open, ``start <= t < end``: the end of one tumbling window is the start of
the next, and every time belongs to exactly one of them.

Sizes and steps are taken as the decimals that they are written as (``0.1`` is one tenth, not the
binary number next to it), and the *n*-th start is computed as ``n * step`` in whole numbers and
rounded once.  So starts do not drift, the end of a window *is* the start of the one that follows
(the same float, which JSON and a table's keys keep), and two workers always agree.  Adding ``step``
to a float again and again, or ``start + size``, does none of this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from faust.exceptions import ImproperlyConfigured
from faust.utils.times import Seconds, want_seconds

__all__ = [
    "HoppingWindow",
    "SessionWindow",
    "SlidingWindow",
    "TumblingWindow",
    "Window",
    "WindowRange",
]


class WindowRange(NamedTuple):
    """From when to when: Unix times in seconds, ``end`` not included."""

    start: float
    end: float


class Window(ABC):
    """Base of all windows.

    Attributes:
        expires: Seconds after its end at which a window may be forgotten; ``None`` for never.
    """

    expires: float | None = None

    @abstractmethod
    def ranges(self, timestamp: float) -> list[WindowRange]:
        """Return all ranges that ``timestamp`` belongs to, earliest first."""

    @abstractmethod
    def current(self, timestamp: float) -> WindowRange:
        """Return the latest range that ``timestamp`` belongs to."""

    @abstractmethod
    def earliest(self, timestamp: float) -> WindowRange:
        """Return the earliest range that ``timestamp`` belongs to."""

    def delta(self, timestamp: float, d: Seconds) -> WindowRange:
        """Return the latest range of the time that was ``d`` (seconds) before ``timestamp``."""
        return self.current(timestamp - want_seconds(d))

    def stale(self, timestamp: float | tuple[float, float], latest_timestamp: float) -> bool:
        """Return whether a window may be forgotten: it ended ``expires`` seconds ago or more.

        Arguments:
            timestamp: The window's range, or its end.
            latest_timestamp: The time it is now, by whichever clock the table goes.
        """
        if self.expires is None:
            return False
        end = timestamp[1] if isinstance(timestamp, tuple) else timestamp
        return end <= latest_timestamp - self.expires


class HoppingWindow(Window):
    """Windows of ``size`` that begin every ``step``; they overlap if ``step`` is smaller.

    If ``size`` is a multiple of ``step``, every time belongs to exactly ``size / step`` of them.
    They are aligned to the Unix epoch.

    Arguments:
        size: How long a window is.
        step: How far apart windows begin; not above ``size`` (times between would be in none).
        expires: How long after its end a window is kept; for ever if ``None``.

    Raises:
        ImproperlyConfigured: a duration cannot be, or ``step`` is above ``size``.
    """

    def __init__(self, size: Seconds, step: Seconds, expires: Seconds | None = None) -> None:
        exact_size, exact_step = _exact("size", size), _exact("step", step)
        if exact_step > exact_size:
            raise ImproperlyConfigured(
                f"a window's step ({step!r}) is above its size ({size!r}): "
                f"the times between two windows would belong to none"
            )
        self.size = float(exact_size)
        self.step = float(exact_step)
        self.expires = _expires(expires)
        # In units of 1/unit seconds both are whole numbers.
        self._unit = lcm(exact_size.denominator, exact_step.denominator)
        self._size_units = int(exact_size * self._unit)
        self._step_units = int(exact_step * self._unit)
        # The last answers, and from when until when they hold: most times are close together.
        self._recent = (0.0, 0.0, WindowRange(0.0, 0.0))
        self._recent_ranges: tuple[float, float, list[WindowRange]] = (0.0, 0.0, [])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, step={self.step}, expires={self.expires})"

    def current(self, timestamp: float) -> WindowRange:
        since, until, recent = self._recent
        if since <= timestamp < until:
            return recent
        n = self._index(timestamp)
        found = self._range(n)
        self._recent = (found.start, self._start(n + 1), found)
        return found

    def earliest(self, timestamp: float) -> WindowRange:
        return self._range(self._earliest_index(timestamp, self._index(timestamp)))

    def ranges(self, timestamp: float) -> list[WindowRange]:
        since, until, recent = self._recent_ranges
        if since <= timestamp < until:
            return list(recent)
        last = self._index(timestamp)
        first = self._earliest_index(timestamp, last)
        found = [self._range(n) for n in range(first, last + 1)]
        until = min(self._start(last + 1), found[0].end)
        self._recent_ranges = (max(found[-1].start, self._end(first - 1)), until, found)
        return list(found)

    def _range(self, n: int) -> WindowRange:
        start = n * self._step_units
        return WindowRange(start / self._unit, (start + self._size_units) / self._unit)

    def _start(self, n: int) -> float:
        return n * self._step_units / self._unit

    def _end(self, n: int) -> float:
        return (n * self._step_units + self._size_units) / self._unit

    def _index(self, timestamp: float) -> int:
        """The number of the last window that has begun at ``timestamp``.

        The division is off by one now and then; what counts is the start that we would give out.
        """
        n = int(timestamp // self.step)
        while self._start(n) > timestamp:
            n -= 1
        while self._start(n + 1) <= timestamp:
            n += 1
        return n

    def _earliest_index(self, timestamp: float, last: int) -> int:
        """The number of the first window that has not ended at ``timestamp``."""
        n = last - (self._size_units - 1) // self._step_units
        while self._end(n) <= timestamp:
            n += 1
        while n > last - self._size_units // self._step_units and self._end(n - 1) > timestamp:
            n -= 1
        return n


class TumblingWindow(HoppingWindow):
    """Windows of ``size``, one after the other: every time belongs to exactly one.

    Arguments:
        size: How long a window is.
        expires: How long after its end a window is kept; for ever if ``None``.

    Raises:
        ImproperlyConfigured: a duration cannot be.
    """

    def __init__(self, size: Seconds, expires: Seconds | None = None) -> None:
        super().__init__(size, size, expires)

    def ranges(self, timestamp: float) -> list[WindowRange]:
        return [self.current(timestamp)]


class SlidingWindow(Window):
    """What lies around each event: from ``before`` seconds before it to ``after`` seconds after.

    Unlike the other windows its range holds both of its ends: the event itself and, with equal
    distances, each of two events in the window of the other.

    Arguments:
        before: Seconds before the event.
        after: Seconds after it.
        expires: How long after its end a window is kept; for ever if ``None``.

    Raises:
        ImproperlyConfigured: a duration cannot be.
    """

    def __init__(self, before: Seconds, after: Seconds, expires: Seconds | None) -> None:
        self.before = _duration("before", before)
        self.after = _duration("after", after)
        self.expires = _expires(expires)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(before={self.before}, after={self.after}, "
            f"expires={self.expires})"
        )

    def current(self, timestamp: float) -> WindowRange:
        return WindowRange(timestamp - self.before, timestamp + self.after)

    def earliest(self, timestamp: float) -> WindowRange:
        return self.current(timestamp)

    def ranges(self, timestamp: float) -> list[WindowRange]:
        return [self.current(timestamp)]


class SessionWindow(Window):
    """What comes without a pause: events of a key that are less than ``gap`` apart.

    A session begins with its first event and ends ``gap`` after its last one (half-open, as all
    windows).  An event that comes in between two sessions and touches both makes them one.  So what
    the sessions of a key are is known to its table only; here an event stands alone.

    Arguments:
        gap: Seconds without an event after which a session is over.
        expires: How long after its end a session is kept, and waits for late events; for ever if
            ``None``.

    Raises:
        ImproperlyConfigured: a duration cannot be.
    """

    def __init__(self, gap: Seconds, expires: Seconds | None = None) -> None:
        self.gap = _duration("gap", gap)
        if self.gap == 0:
            raise ImproperlyConfigured(f"a session's gap must be above zero, but is {gap!r}")
        self.expires = _expires(expires)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(gap={self.gap}, expires={self.expires})"

    def current(self, timestamp: float) -> WindowRange:
        return WindowRange(timestamp, timestamp + self.gap)

    def earliest(self, timestamp: float) -> WindowRange:
        return self.current(timestamp)

    def ranges(self, timestamp: float) -> list[WindowRange]:
        return [self.current(timestamp)]


def _exact(what: str, value: Seconds) -> Fraction:
    """The duration as the decimal that was written."""
    seconds = _duration(what, value)
    if seconds == 0:
        raise ImproperlyConfigured(f"a window's {what} must be above zero, but is {value!r}")
    if isinstance(value, timedelta):
        return Fraction(value // timedelta(microseconds=1), 1_000_000)
    return Fraction(repr(seconds))


def _duration(what: str, value: Seconds) -> float:
    try:
        seconds = want_seconds(value)
    except (TypeError, ValueError) as exc:
        raise ImproperlyConfigured(f"a window's {what} cannot be {value!r}: {exc}") from None
    if seconds < 0:
        raise ImproperlyConfigured(f"a window's {what} cannot be negative: {value!r}")
    return seconds


def _expires(value: Seconds | None) -> float | None:
    return None if value is None else _duration("expires", value)
