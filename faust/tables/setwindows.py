"""Set tables with windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from faust.tables.windowset import WindowSet
from faust.tables.wrappers import WindowWrapper

__all__ = ["SetWindowSet", "SetWindowWrapper"]

KT = TypeVar("KT")
VT = TypeVar("VT")


class SetWindowSet(WindowSet[KT, "set[VT]"], Generic[KT, VT]):
    """All windows of one set: what changes it changes every window of the event's time.

    `value`, `current`, `now` and `delta` return the members in one window.
    """

    def _change(self, fun: Callable[[set[VT]], Any]) -> None:
        def changed(members: set[VT], _: None) -> set[VT]:
            fun(members)
            return members

        self.apply(changed, None)

    def add(self, value: VT) -> None:
        """Add a member."""
        self._change(lambda members: members.add(value))

    def discard(self, value: VT) -> None:
        """Remove a member, where it is."""
        self._change(lambda members: members.discard(value))

    def clear(self) -> None:
        """Remove all members."""
        self._change(lambda members: members.clear())

    def update(self, *others: Iterable[VT]) -> None:  # type: ignore[override]  # as a set
        """Add the members of all these."""
        added = set[VT]().union(*others)
        self._change(lambda members: members.update(added))

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove the members of all these."""
        removed = set[Any]().union(*others)
        self._change(lambda members: members.difference_update(removed))

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep only what is in each of these."""
        kept = [set(other) for other in others]
        self._change(lambda members: members.intersection_update(*kept))

    def symmetric_difference_update(self, other: Iterable[VT]) -> None:
        """Remove the members that are in ``other``, and add its others."""
        toggled = set(other)
        self._change(lambda members: members.symmetric_difference_update(toggled))

    def __ior__(self, other: Iterable[VT]) -> Any:
        self.update(other)
        return self

    def __isub__(self, other: Iterable[Any]) -> Any:
        self.difference_update(other)
        return self

    def __iand__(self, other: Iterable[Any]) -> Any:
        self.intersection_update(other)
        return self

    def __ixor__(self, other: Iterable[VT]) -> Any:
        self.symmetric_difference_update(other)
        return self


class SetWindowWrapper(WindowWrapper):
    """A set table seen through its windows."""

    ValueType = SetWindowSet

    def default_of(self, key: Any) -> set[Any]:
        """Return what a key has in a window in which it has nothing: no members."""
        return set()

    def write_ranges(self, key: Any, value: Any, *where: Any) -> None:
        """Set the members in these windows."""
        super().write_ranges(key, set(value), *where)
