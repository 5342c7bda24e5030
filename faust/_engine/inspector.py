"""What is in progress: which agent has been inside which event for how long.

It is asked, and its clock is driven, by the watchdog's thread; it only reads.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

__all__ = ["Inspector"]

logger = logging.getLogger(__name__)


class Inspector:
    """Looks at the streams of an app.

    Arguments:
        host: The app.
        patience: Seconds inside one event after which it is said, once
            (``broker_commit_livelock_soft_timeout``).
    """

    def __init__(self, host: Any, patience: float) -> None:
        self._host = host
        self._patience = patience
        self._inside: dict[Any, tuple[Any, float]] = {}
        self._told: set[Any] = set()

    def look(self, elapsed: float) -> None:
        """Another ``elapsed`` seconds are over."""
        now: dict[Any, tuple[Any, float]] = {}
        for stream in list(self._host.streams()):
            place = _place(stream)
            if place is None:
                continue
            before, seconds = self._inside.get(stream, (None, 0.0))
            now[stream] = (place, seconds + elapsed if before == place else 0.0)
        self._inside = now
        self._told.intersection_update(place for place, _ in now.values())
        for stream, (place, seconds) in now.items():
            if seconds >= self._patience and place not in self._told:
                self._told.add(place)
                self._tell(stream, place, seconds)

    def _tell(self, stream: Any, place: Any, seconds: float) -> None:
        stack = _stack_of(stream)
        logger.warning(
            "%s; it is not committed until the agent comes back for the next event%s",
            _sentence(stream, place, seconds), f". It waits here:\n{stack}" if stack else "",
        )  # fmt: skip

    def stuck(self) -> list[str]:
        """Return a sentence for each event that has been in progress for too long."""
        return [
            _sentence(stream, place, seconds)
            for stream, (place, seconds) in self._inside.items()
            if seconds >= self._patience
        ]

    def in_progress(self) -> list[str]:
        """Return a sentence for each event in progress."""
        return [_sentence(s, place, seconds) for s, (place, seconds) in self._inside.items()]

    def running(self) -> str:
        """Return which agent, if any, the app's loop is running now, and at which event."""
        loop = self._host._main_loop
        task = None if loop is None else asyncio.current_task(loop)
        name = "" if task is None else task.get_name()
        for stream in list(self._host.streams()):
            place = _place(stream)
            if place is not None and name.startswith(f"agent:{stream.reader}"):
                return f"agent {stream.reader} at {_spot(place)}"
        return name if name.startswith(("task:", "timer:", "agent:")) else ""


def _place(stream: Any) -> Any:
    """Return (partition, offset) of the event that a stream is inside of."""
    cursor, record = stream.cursor, stream.record
    if not stream.inside or cursor is None or record is None:
        return None
    return (cursor.tp, record.offset)


def _spot(place: Any) -> str:
    tp, offset = place
    return f"topic {tp.topic} partition {tp.partition} offset {offset}"


def _sentence(stream: Any, place: Any, seconds: float) -> str:
    return f"agent {stream.reader} has been inside the event at {_spot(place)} for {seconds:.0f} s"


def _stack_of(stream: Any) -> str:
    """Return where the agent's asyncio task waits."""
    import traceback

    for task in getattr(stream.agent, "_running", ()):
        frames = task.get_stack(limit=8)
        if frames:
            summary = traceback.StackSummary.from_list(
                [(f.f_code.co_filename, f.f_lineno, f.f_code.co_name, None) for f in frames]
            )
            return "".join(summary.format()).rstrip()
    return ""
