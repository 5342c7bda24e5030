"""When a crontab entry runs next, in a timezone that may change its clocks.

What people expect of cron when clocks change, and what is done here:

- A time that is skipped in spring (02:30 where clocks jump from 02:00 to 03:00) runs at the jump,
  once however many of the entry's times were skipped, and not again if 03:00 is one of its times.
- A time that comes twice in autumn runs at the first of the two, because "at 01:30" means once a
  day.
- An entry whose hour field begins with ``*`` (every hour, every ten minutes) means a distance, not
  a time of the day: it runs in both of the two equal hours, and skipped times are no loss to it.

`croniter` is asked about naive local times only; the mapping to instants is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import croniter as croniter_module

from faust.exceptions import ImproperlyConfigured

__all__ = ["Cron"]

#: It publishes no types.
croniter: Any = vars(croniter_module)["croniter"]

#: As cron itself has them; a sixth is seconds.
FIELDS = 5


class Cron:
    """A crontab entry in a timezone.

    Arguments:
        expression: Five fields (minute, hour, day of month, month, day of week), or an alias such
            as ``@hourly``; a sixth field is seconds.
        timezone: Where the clock hangs that the entry means; UTC by default.

    Raises:
        ImproperlyConfigured: the expression is no crontab entry.
    """

    def __init__(self, expression: str, timezone: tzinfo = UTC) -> None:
        if why_not := _why_not(expression):
            raise ImproperlyConfigured(
                f"not a crontab entry: {expression!r} ({why_not}); the fields are minute, hour, "
                f"day of month, month, day of week, and second if there is a sixth"
            )
        self.expression = expression
        self.timezone = timezone
        self._every_hour = _is_every_hour(expression)

    def __repr__(self) -> str:
        return f"<Cron: {self.expression} ({self.timezone})>"

    def next_after(self, timestamp: float) -> float:
        """Return the first time to run after ``timestamp``; both are Unix times in seconds.

        Give the time of the last planned run rather than the clock's: a timer that wakes up a
        little early then never runs twice.

        Raises:
            ImproperlyConfigured: there is no such time (30 February).
        """
        second_passes: list[float] = []
        for wall in self._walls(self._first_wall(timestamp)):
            first, second = self._instants(wall)
            if second is not None and second > timestamp:
                second_passes.append(second)
            if first is not None and first > timestamp:
                return min([first, *second_passes])
        raise ImproperlyConfigured(f"the crontab entry {self.expression!r} never runs")

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """Naive local times of the entry, in order, all after ``after``."""
        times = croniter(self.expression, after.replace(tzinfo=UTC), ret_type=datetime)
        try:
            while True:
                yield times.get_next().replace(tzinfo=None)
        except ValueError:  # croniter's own error for "none in the next 50 years"
            return

    def _first_wall(self, timestamp: float) -> datetime:
        """The local time to search from: earlier in the first of two equal hours.

        There the second pass of times that are already over on the clock is still to come.
        """
        local = datetime.fromtimestamp(timestamp, self.timezone)
        wall = local.replace(tzinfo=None, fold=0)
        return wall - self._repeated(wall) if local.fold == 0 else wall

    def _repeated(self, wall: datetime) -> timedelta:
        """How long a stretch of local time around ``wall`` comes twice; nothing if it does not."""
        before, after = self._offset(wall, 0), self._offset(wall, 1)
        return max(before - after, timedelta())

    def _instants(self, wall: datetime) -> tuple[float | None, float | None]:
        """The Unix times at which the entry runs for the local time ``wall``: none, one or two."""
        first, second = self._timestamp(wall, 0), self._timestamp(wall, 1)
        # 1. An ordinary time, or the first of two equal ones for a time of the day.
        if first == second or (first < second and not self._every_hour):
            return first, None
        # 2. A time that comes twice.
        if first < second:
            return first, second
        # 3. A time that is skipped.
        return (None if self._every_hour else self._jump_between(second, first)), None

    def _jump_between(self, low: float, high: float) -> float:
        """The moment between two Unix times at which the clock jumps, to the second."""
        before = self._offset_at(low)
        earlier, later = int(low), int(high)
        while later - earlier > 1:
            middle = (earlier + later) // 2
            if self._offset_at(middle) == before:
                earlier = middle
            else:
                later = middle
        return float(later)

    def _timestamp(self, wall: datetime, fold: int) -> float:
        return wall.replace(tzinfo=self.timezone, fold=fold).timestamp()

    def _offset(self, wall: datetime, fold: int) -> timedelta:
        return wall.replace(tzinfo=self.timezone, fold=fold).utcoffset() or timedelta()

    def _offset_at(self, timestamp: float) -> timedelta:
        return datetime.fromtimestamp(timestamp, self.timezone).utcoffset() or timedelta()


def _why_not(expression: Any) -> str:
    """Return what is wrong with a crontab entry; "" if nothing is."""
    if not isinstance(expression, str):
        return "it is no text"
    fields = expression.split()
    if len(fields) < FIELDS and not expression.startswith("@"):
        return f"it has {len(fields)} fields"
    try:
        croniter.expand(expression)
    except (ValueError, AttributeError) as exc:
        return str(exc) or "it is empty"
    return ""


def _is_every_hour(expression: str) -> bool:
    fields = expression.split()
    return fields[0] == "@hourly" if len(fields) == 1 else fields[1][0] in "*?"
