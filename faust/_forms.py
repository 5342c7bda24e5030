"""In which form a stream hands out its events: with their keys, numbered, as events, in lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faust._inprogress import InProgress

if TYPE_CHECKING:
    from faust.events import Event
    from faust.utils.times import Seconds

__all__ = ["Forms"]

T_co = TypeVar("T_co", covariant=True)


class Forms(InProgress, Generic[T_co]):
    """The forms in which a stream is iterated over, beside the plain one; see `faust.Stream`."""

    abstract = False

    _start_iteration: Callable[[Callable[[Any], Any] | None], AsyncIterator[Any]]

    async def events(self) -> AsyncIterator[Event[T_co]]:
        """Iterate over events instead of values."""
        async for event in self._start_iteration(self.as_event):
            yield event

    async def items(self) -> AsyncIterator[tuple[Any, T_co]]:
        """Iterate over (key, value)."""
        async for event in self._start_iteration(self.as_event):
            yield event.key, event.value

    async def enumerate(self, start: int = 0) -> AsyncIterator[tuple[int, T_co]]:
        """Iterate over (number, value)."""
        this: Any = self
        number = start
        async for value in this:
            yield number, value
            number += 1

    def take(self, max_: int, within: Seconds | None = None) -> AsyncIterator[list[T_co]]:
        """Iterate over lists of up to ``max_`` values.

        A list is handed out when it is full, or ``within`` seconds after its first value arrived
        (``None``: only when full).  Its events are finished together when the agent comes back
        for the next list; an exception undoes and repeats all of them.  Where the agent may write
        tables, a list holds events of one task only.
        """
        from faust._takes import take

        this: Any = self
        return take(this, max_, within, events=False)

    def take_events(
        self, max_: int, within: Seconds | None = None
    ) -> AsyncIterator[list[Event[T_co]]]:
        """As `take`, with events instead of values."""
        from faust._takes import take

        this: Any = self
        return take(this, max_, within, events=True)

    def noack_take(
        self, max_: int, within: Seconds | None = None
    ) -> AsyncIterator[list[Event[T_co]]]:
        """As `take_events`, for events that are acknowledged by hand (see `noack`).

        An acknowledgement counts when the list is finished that the event is in, with all that was
        done for it; an exception undoes it.
        """
        this: Any = self
        events: AsyncIterator[list[Event[T_co]]] = this.noack().take_events(max_, within)
        return events

    async def take_with_timestamp(
        self, max_: int, within: Seconds | None = None, timestamp_field_name: str = "timestamp"
    ) -> AsyncIterator[list[T_co]]:
        """As `take`; every value that is a dict gets its message's timestamp, in seconds."""
        async for events in self.take_events(max_, within):
            for event in events:
                if isinstance(event.value, dict):
                    event.value[timestamp_field_name] = event.message.timestamp
            yield [event.value for event in events]
