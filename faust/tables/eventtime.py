"""What time it is for a windowed table: by the event, by one of its fields, or by the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from faust._inprogress import current_stream

if TYPE_CHECKING:
    from faust._context import AppContext

__all__ = ["EventTime", "FieldTime", "FixedTime", "RelativeTo", "WallTime", "as_seconds"]


class RelativeTo:
    """Tells the time by which a window is chosen.

    Attributes:
        needs_event: Is there no time without an event?
    """

    needs_event = True

    def of(self, event: Any) -> float:
        """Return the time of an event (``None`` if there is none), Unix time in seconds."""
        raise TypeError(f"{type(self).__name__} tells no time")

    def in_progress(self) -> float | None:
        """Return the time of the event in progress; ``None`` if there is none."""
        stream = current_stream()
        if stream is None or not stream.inside:
            return None
        return self.of(stream.current_event)


class EventTime(RelativeTo):
    """The timestamp of the event's record."""

    def of(self, event: Any) -> float:
        return float(event.message.timestamp)

    def in_progress(self) -> float | None:
        stream = current_stream()
        return stream.timestamp if stream is not None and stream.inside else None


class FieldTime(RelativeTo):
    """A time that the event's value holds.

    Arguments:
        read: Returns it for an event: a number (Unix time, seconds), a `datetime` or ISO 8601 text.
            Without a time zone it is taken as UTC, so that all workers agree.
        what: Its name, for messages.
    """

    def __init__(self, read: Callable[[Any], Any], what: str) -> None:
        self._read = read
        self._what = what

    def of(self, event: Any) -> float:
        return as_seconds(self._read(event), self._what)


class WallTime(RelativeTo):
    """The worker's clock, whatever the events say."""

    needs_event = False

    def __init__(self, app: AppContext) -> None:
        self._app = app

    def of(self, event: Any) -> float:
        return self._app.clock.time()

    def in_progress(self) -> float | None:
        return self._app.clock.time()


class FixedTime(RelativeTo):
    """Always the same time."""

    needs_event = False

    def __init__(self, timestamp: float) -> None:
        self._timestamp = timestamp

    def of(self, event: Any) -> float:
        return self._timestamp

    def in_progress(self) -> float | None:
        return self._timestamp


def as_seconds(value: Any, what: str) -> float:
    """Return a number, `datetime` or ISO 8601 text as Unix time in seconds.

    Raises:
        ValueError: it is none of these; the message names ``what``.
    """
    given = value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{what} is no time in ISO 8601: {given!r}") from None
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return float(value)
    raise ValueError(
        f"{what} must be a Unix time in seconds, a datetime or ISO 8601 text, not {given!r}"
    )
