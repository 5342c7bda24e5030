"""What is in progress, and what stands still: named in the log, on ``/health`` and ``/ready``.

It is asked, and its clock is driven, by the watchdog's thread; it only reads.  The seconds it
counts are those in which the watchdog looked: time for which the whole process was suspended is
nobody's fault.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from typing import Any

from faust._core.stacks import stack_of
from faust._engine.spots import (
    COMMIT,
    FETCH,
    STALL,
    Spot,
    partitions,
    place_of,
    sentence_for,
    spot_text,
    spots,
)
from faust._machines.alarms import Alarms

__all__ = ["Inspector"]

logger = logging.getLogger(__name__)

#: How often it is looked at the partitions (seconds).
PARTITIONS_INTERVAL = 5.0


class Inspector:
    """Looks at what an app does.

    Arguments:
        host: The app.
        patience: Seconds inside one event, or without taking from a partition in which something
            waits, after which it is said (``broker_commit_livelock_soft_timeout``).
    """

    def __init__(self, host: Any, patience: float) -> None:
        self._host = host
        self._patience = patience
        self._alarms = Alarms()
        self._spots: dict[Hashable, Spot] = {}
        self._partitions: dict[Hashable, Spot] = {}
        self._since_partitions = PARTITIONS_INTERVAL

    def look(self, elapsed: float) -> None:
        """Another ``elapsed`` seconds are over."""
        self._since_partitions += elapsed
        if self._since_partitions >= PARTITIONS_INTERVAL:
            self._since_partitions = 0.0
            self._partitions = dict(partitions(self._host, self._patience))
        before = self._spots
        now = self._spots = {**dict(spots(self._host, self._patience)), **self._partitions}
        heard = self._alarms.look({key: spot.seen for key, spot in now.items()}, elapsed)
        for key, seconds in heard.tell:
            self._tell(now[key], seconds)
        for key, seconds in heard.over:
            logger.warning("It goes on, after: %s", before[key].say(seconds))

    @staticmethod
    def _tell(spot: Spot, seconds: float) -> None:
        stacks = [stack for task in spot.tasks() if (stack := stack_of(task))]
        where = ". It waits here:\n" + "\n...\n".join(stacks) if stacks else ""
        logger.warning("%s%s", spot.say(seconds), where)

    # -- what pages show ---------------------------------------------------------------------------

    def stuck(self) -> list[str]:
        """Return a sentence for each event, or partition, that has stood still for too long."""
        return self._sentences(blocking=True)

    def standing(self) -> list[str]:
        """Return a sentence for everything that has stood still for too long."""
        return self._sentences(blocking=False)

    def _sentences(self, *, blocking: bool) -> list[str]:
        known = self._spots
        return [
            known[key].say(seconds)
            for key, seconds in self._alarms.standing()
            if key in known and (known[key].blocks or not blocking)
        ]

    def stalls(self) -> list[str]:
        """Return what this worker cannot live without and does not do, in words."""
        host, known, found = self._host, self._spots, []
        if host._failure is not None:
            found.append(f"crashed: {host._failure}")
        blocked = host.watchdog.blocked_for
        if blocked >= STALL:
            found.append(f"the event loop has been blocked for {blocked:.0f} s")
        for key in (FETCH, COMMIT):
            seconds = self._alarms.seconds(key)
            if seconds >= STALL and key in known:
                found.append(known[key].say(seconds))
        return found

    def in_progress(self) -> list[str]:
        """Return a sentence for each event in progress, and for what is being done besides."""
        found = []
        for stream in list(self._host.streams()):
            place = place_of(stream)
            if place is not None:
                seconds = self._alarms.seconds(("event", stream))
                found.append(sentence_for(stream, place, seconds))
        doing: str = self._host.doing
        return [*found, doing] if doing else found

    def running(self) -> str:
        """Return which agent, if any, the app's loop is running now, and at which event."""
        loop = self._host._main_loop
        task = None if loop is None else asyncio.current_task(loop)
        if task is None:
            return ""
        for stream in list(self._host.streams()):
            place = place_of(stream)
            if place is not None and stream.asyncio_task is task:
                return f"agent {stream.reader} {spot_text(place)}"
        name = task.get_name()
        return name if name.startswith(("task:", "timer:", "agent:")) else ""
