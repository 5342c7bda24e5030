"""`event_timeout`: an agent that is inside one event for too long is cancelled there.

Nothing is paid for it per event: a timer looks at where the agent is, four times within the limit,
and knows since when it has been there.  So an event is cancelled between one and one and a quarter
of its time after it began.  What the agent does without coming back to the event loop cannot be
interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from faust.exceptions import EventTimeout, FaustPredicate, ImproperlyConfigured
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust.streams import Stream

__all__ = ["Missed", "Timeouts", "timeout_of"]

#: How often it is looked within the limit.
LOOKS = 4


def timeout_of(agent: str, given: Seconds | None) -> float | None:
    """Return an agent's limit in seconds, ``None`` for none.

    Raises:
        ImproperlyConfigured: it is no number of seconds above zero.
    """
    try:
        seconds = None if given is None else want_seconds(given)
    except (TypeError, ValueError) as exc:
        raise ImproperlyConfigured(
            f"agent {agent!r}: event_timeout must be above 0 seconds: {exc}"
        ) from None
    if seconds is not None and not seconds > 0:
        raise ImproperlyConfigured(
            f"agent {agent!r}: event_timeout must be above 0 seconds, not {given!r}"
        )
    return seconds


class Watched(Protocol):
    """An instance of an agent, as it is watched."""

    def current_stream(self) -> Stream[Any]: ...


class Missed(FaustPredicate):
    """The agent was cancelled, but not inside the event for which it should have been."""


class Timeouts:
    """The limit of one instance of an agent.

    Arguments:
        actor: The instance.
        limit: Seconds for each event, ``None`` for no limit.
    """

    def __init__(self, actor: Watched, clock: Clock, limit: float | None) -> None:
        self._actor = actor
        self._clock = clock
        self._limit = limit
        #: The event for which it was cancelled, and how often in this run.
        self._blamed: Any = None
        self._cancels = 0

    async def run(self, function: Coroutine[Any, Any, None]) -> None:
        """Run the agent's function.

        Raises:
            EventTimeout: it was inside one event for too long; it was cancelled.
            Missed: the same, but it came back for the next event in that very moment.
        """
        limit, task = self._limit, asyncio.current_task()
        if limit is None or task is None:
            await function
            return
        self._blamed, self._cancels = None, 0
        watching = asyncio.create_task(self._watch(task, limit), name=f"{task.get_name()}:watch")
        try:
            await function
        except asyncio.CancelledError:
            for _ in range(self._cancels):
                task.uncancel()
            if task.cancelling() or not self._cancels:
                raise
            if self._inside() is not self._blamed:
                raise Missed from None
            raise EventTimeout(
                f"the agent was inside the event for more than {limit:g} s (event_timeout)"
            ) from None
        finally:
            watching.cancel()

    async def _watch(self, task: asyncio.Task[Any], limit: float) -> None:
        place: Any = None
        since = 0.0
        while True:
            await self._clock.sleep(limit / LOOKS)
            here, now = self._inside(), self._clock.monotonic()
            if here is None or here is not place:
                place, since = here, now
            elif now - since >= limit:
                self._blamed, since = here, now
                self._cancels += 1
                task.cancel()

    def _inside(self) -> Any:
        """Return the event that the agent's own code has in its hands, ``None`` for none.

        Not its own doing is waiting until others that share its tables have left their events,
        and putting an event where it is not lost.
        """
        stream = self._actor.current_stream()
        if not stream.inside or stream.busy_itself:
            return None
        gate = None if stream.task is None else stream.task.gate
        if gate is not None and stream.reader in gate.readers and stream.reader not in gate.inside:
            return None
        return stream.event if stream.record is None else stream.record
