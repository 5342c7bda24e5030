"""`take`: when a list of events is full, or has waited long enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Buffer"]

T = TypeVar("T")


class Buffer(Generic[T]):
    """Events that wait to be handed out as one list.

    Arguments:
        max_size: A list with so many is full; at least 1.
        within: Seconds that the first of them may wait; ``None`` for any time.

    Attributes:
        deadline: When the list is due although it is not full; ``None`` for an empty one, or
            without ``within``.

    Raises:
        ValueError: ``max_size`` is below 1, or ``within`` below 0.
    """

    __slots__ = ("_items", "deadline", "max_size", "within")

    def __init__(self, max_size: int, within: float | None = None) -> None:
        if max_size < 1:
            raise ValueError(f"a list must have room for 1 event, not {max_size}")
        if within is not None and not within >= 0:
            raise ValueError(f"a list cannot be due in {within} seconds")
        self.max_size = max_size
        self.within = within
        self.deadline: float | None = None
        self._items: list[T] = []

    def add(self, item: T, now: float) -> bool:
        """Append an event; return whether the list is full."""
        items = self._items
        if not items and self.within is not None:
            self.deadline = now + self.within
        items.append(item)
        return len(items) >= self.max_size

    def due(self, now: float) -> bool:
        """Return whether the list must be handed out, full or not; an empty one never."""
        return self.deadline is not None and now >= self.deadline

    def drain(self) -> list[T]:
        """Return the list and begin a new one."""
        items, self._items = self._items, []
        self.deadline = None
        return items

    def discard(self, unwanted: Callable[[T], bool]) -> None:
        """Forget the events that are ``unwanted``; the deadline stays while any are left."""
        self._items = [item for item in self._items if not unwanted(item)]
        if not self._items:
            self.deadline = None

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<Buffer {len(self)} of {self.max_size}, due at {self.deadline}>"
