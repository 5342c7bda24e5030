"""Tables of objects of one's own, changed by operations: what a table of counters or trees needs.

An object is kept as its stored value, whole, like every other value of a table: it is undone with
its event and committed with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import Any, ClassVar

from faust.stores.overlay import ABSENT

__all__ = ["ChangeloggedObject", "ChangeloggedObjectManager"]


class ChangeloggedObject(ABC):
    """One object of a table: give it state of its own, and these three methods.

    A method that changes it calls
    ``self.manager.send_changelog_event(self.key, operation, value)``.

    Arguments:
        manager: The manager that it belongs to.
        key: Its key.
    """

    def __init__(self, manager: ChangeloggedObjectManager, key: Any) -> None:
        self.manager = manager
        self.key = key
        self.__post_init__()

    def __post_init__(self) -> None:  # noqa: B027 - to override, or not
        """Called at the end of ``__init__``: make the state that a new object has."""

    @abstractmethod
    def sync_from_storage(self, value: Any) -> None:
        """Take over the state that `as_stored_value` has returned."""

    @abstractmethod
    def as_stored_value(self) -> Any:
        """Return the state, as a value of the table."""

    @abstractmethod
    def apply_changelog_event(self, operation: int, value: Any) -> None:
        """Change the state as the operation says."""


class ChangeloggedObjectManager(MutableMapping[Any, Any]):
    """The objects of a table, by key; an object that is not there is made, as ``ValueType``.

    Subclass it and set ``ValueType``.

    Arguments:
        table: Where they are kept.
    """

    ValueType: ClassVar[type[ChangeloggedObject]]

    def __init__(self, table: Any, **_options: Any) -> None:
        self.table = table

    def __getitem__(self, key: Any) -> Any:
        made = self.ValueType(self, key)
        stored = self.table.lookup(key)
        if stored is not ABSENT:
            made.sync_from_storage(stored)
        return made

    def __setitem__(self, key: Any, value: Any) -> None:
        stored = value.as_stored_value() if isinstance(value, ChangeloggedObject) else value
        self.table[key] = stored

    def __delitem__(self, key: Any) -> None:
        del self.table[key]

    def send_changelog_event(self, key: Any, operation: int, value: Any) -> None:
        """Let the object of a key change as the operation says, and write it.

        Raises:
            TypeError: no event of a topic is in progress here.
        """
        changed = self[key]
        changed.apply_changelog_event(operation, value)
        self[key] = changed

    @property
    def data(self) -> dict[Any, Any]:
        """The objects that are here."""
        return {key: self[key] for key in self}

    def __contains__(self, key: object) -> bool:
        return key in self.table

    def __iter__(self) -> Iterator[Any]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)
