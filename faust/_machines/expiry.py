"""Which windows are stale, and what time it is by the events of a partition."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from math import inf
from typing import Generic, TypeVar

__all__ = ["ExpiryIndex", "Watermark"]

K = TypeVar("K", bound=Hashable)


class ExpiryIndex(Generic[K]):
    """Keys by the end of their window: the stale ones are found without looking at the rest.

    Ends are few and shared by many keys; they are kept in a heap, each with its keys in the order
    in which they were added.
    """

    __slots__ = ("_ends", "_keys", "_size")

    def __init__(self) -> None:
        self._keys: dict[float, dict[K, None]] = {}
        #: Every end that has keys, and perhaps ends whose keys were all discarded.
        self._ends: list[float] = []
        self._size = 0

    def add(self, window_end: float, key: K) -> None:
        """Note a key of a window; adding it again changes nothing."""
        keys = self._keys.get(window_end)
        if keys is None:
            keys = self._keys[window_end] = {}
            heappush(self._ends, window_end)
        if key not in keys:
            keys[key] = None
            self._size += 1

    def discard(self, window_end: float, key: K) -> None:
        """Forget a key of a window, if it is there."""
        keys = self._keys.get(window_end)
        if keys is not None and key in keys:
            del keys[key]
            self._size -= 1
            self._drop_empty()

    def expired(self, up_to: float) -> list[tuple[float, K]]:
        """Take out the keys of all windows that end at ``up_to`` or before, the earliest first."""
        found: list[tuple[float, K]] = []
        ends = self._ends
        while ends and ends[0] <= up_to:
            end = heappop(ends)
            found += [(end, key) for key in self._keys.pop(end)]
        self._size -= len(found)
        self._drop_empty()
        return found

    @property
    def next_end(self) -> float | None:
        """The earliest end of a window that has keys."""
        return self._ends[0] if self._ends else None

    def _drop_empty(self) -> None:
        # Empty ends further back go when they come to the front.
        while self._ends and not self._keys[self._ends[0]]:
            del self._keys[heappop(self._ends)]

    def __len__(self) -> int:
        return self._size

    def __contains__(self, item: tuple[float, K]) -> bool:
        end, key = item
        return key in self._keys.get(end, ())

    def __iter__(self) -> Iterator[tuple[float, K]]:
        return ((end, key) for end in sorted(self._keys) for key in self._keys[end])

    def __repr__(self) -> str:
        return f"<ExpiryIndex {self._size} keys, next end {self.next_end}>"


class Watermark:
    """What time it is by the events of a partition: the latest timestamp seen.

    Arguments:
        value: Where it stands; ``None`` before the first event.
    """

    __slots__ = ("_value",)

    def __init__(self, value: float | None = None) -> None:
        self._value = -inf if value is None else value

    def observe(self, timestamp: float) -> bool:
        """An event with this timestamp has come; return whether time has moved.

        It never goes back: an earlier timestamp, or one that is no number, moves nothing.
        """
        if timestamp > self._value:
            self._value = timestamp
            return True
        return False

    @property
    def value(self) -> float | None:
        """Unix time in seconds; ``None`` before the first event."""
        return None if self._value == -inf else self._value

    def __repr__(self) -> str:
        return f"<Watermark {self.value}>"
