"""Tables whose every access somebody wants to know of: a sensor, or a subclass of `Table`.

Only then a table's class is replaced by one whose methods say what they do; for all other tables
nothing is paid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust.tables.base import Collection
from faust.tables.sets import ChangeloggedSet, Set, SetTable
from faust.tables.table import Table

__all__ = ["watch"]

#: What a subclass may override to be told.
HOOKS = ("on_key_get", "on_key_set", "on_key_del", "on_clear")


class _WatchedTable(Table[Any, Any]):
    """Tells of every access by key."""

    watched = True

    def __getitem__(self, key: Any) -> Any:
        self.on_key_get(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.on_key_set(key, value)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self.on_key_del(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key that is there, else ``default``; adds nothing."""
        self.on_key_get(key)
        return super().get(key, default)

    def clear(self) -> None:
        """Delete all keys of the task whose event is in progress."""
        super().clear()
        self.on_clear()


class _WatchedSetTable(SetTable[Any, Any]):
    """Tells of every access to one of its sets."""

    watched = True

    def __getitem__(self, key: Any) -> Any:
        self.on_key_get(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if not isinstance(value, ChangeloggedSet):  # else it was told when it was changed
            self.on_key_set(key, value)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self.on_key_del(key)

    def clear(self) -> None:
        """Delete all sets of the task whose event is in progress."""
        super().clear()
        self.on_clear()

    def change(self, key: Any, fun: Callable[[set[Any]], Any]) -> None:
        """Let ``fun`` change the members of a set, and write them if it did."""
        super().change(key, fun)
        self.on_key_set(key, ChangeloggedSet(self, key).data)


class _WatchedSet(Set[Any]):
    """Tells of every member that comes, goes or is looked for."""

    watched = True

    def add(self, value: Any) -> None:
        """Add a member; nothing is written if it is there."""
        super().add(value)
        self.on_key_set(value, True)

    def discard(self, value: Any) -> None:
        """Remove a member, if it is there."""
        super().discard(value)
        self.on_key_del(value)

    def clear(self) -> None:
        """Remove all members of the event's partition."""
        super().clear()
        self.on_clear()

    def __contains__(self, value: object) -> bool:
        self.on_key_get(value)
        return super().__contains__(value)


_made: dict[type, type] = {}


def watch(table: Any, *, sensors: bool) -> None:
    """Let a table tell of every access, if a sensor or its own class wants to know; or no more."""
    plain: type = getattr(type(table), "plain", None) or type(table)
    wanted = sensors or any(getattr(plain, n) is not getattr(Collection, n) for n in HOOKS)
    wanted_class = _watched(plain) if wanted else plain
    if wanted_class is not type(table):
        table.__class__ = wanted_class


def _watched(cls: type) -> type:
    made = _made.get(cls)
    if made is None:
        mixin: type = _WatchedTable
        if issubclass(cls, Set):
            mixin = _WatchedSet
        elif issubclass(cls, SetTable):
            mixin = _WatchedSetTable
        names = {
            "__doc__": cls.__doc__, "__module__": cls.__module__, "abstract": False, "plain": cls,
        }  # fmt: skip
        made = _made[cls] = type(cls.__name__, (mixin, cls), names)
    return made
