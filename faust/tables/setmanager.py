"""The manager of a set table: changes sets from anywhere, by an agent that applies the changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from mode import Service

from faust.models import Record
from faust.serializers.compiled import hashable

__all__ = ["SetManagerOperation", "SetTableManager"]


class ManagedTable(Protocol):
    """A set table, as its manager sees it: `faust.tables.sets.SetTable`."""

    app: Any
    name: str
    key_type: Any
    partitions: int | None
    start_manager: bool
    manager_topic_name: str | None
    manager_topic_suffix: str

    def __getitem__(self, key: Any) -> Any: ...
    def members_from(self, members: Iterable[Any]) -> set[Any]: ...


class SetManagerOperation(Record, serializer="json", namespace="@SetManagerOperation"):
    """A change of one set.

    Attributes:
        action: Name of the set's method.
        key: Key of the set.
        members: Its argument; empty for ``clear``.
    """

    action: str
    key: Any
    members: Any


class SetTableManager(Service):
    """Changes the sets of a table from pages, timers and other apps: sends to the table's agent.

    Arguments:
        set_table: The table.

    Attributes:
        enabled: Has the table ``start_manager=True``?
        agent: The agent that applies the changes.
    """

    abstract = False

    def __init__(self, set_table: ManagedTable, **options: Any) -> None:
        super().__init__(**options)
        self.set_table = set_table
        self.app = set_table.app
        self.enabled = set_table.start_manager
        self.agent: Any = self._define_agent() if self.enabled else None

    def _define_agent(self) -> Any:
        table = self.set_table

        async def apply_set_operations(operations: Any) -> None:
            """Apply what was sent to a set table's manager."""
            async for operation in operations:
                key = operation.key if table.key_type is None else operations.current_event.key
                apply(table[hashable(key)], operation, table)

        app: Any = self.app
        define = app.agent(
            table.manager_topic_name,
            name=f"{table.name}{table.manager_topic_suffix}",
            key_type=table.key_type,
            value_type=SetManagerOperation,
            partitions=table.partitions,
        )
        return define(apply_set_operations)

    @property
    def topic(self) -> Any:
        """The topic that the changes go through."""
        return self._required_agent().channel

    def _required_agent(self) -> Any:
        if self.agent is None:
            raise RuntimeError(
                f"set table {self.set_table.name!r} has no manager: define it with "
                f"start_manager=True"
            )
        return self.agent

    async def add(self, key: Any, member: Any) -> None:
        """Add a member to the set of a key."""
        await self._send("update", key, [member])

    async def discard(self, key: Any, member: Any) -> None:
        """Remove a member from the set of a key."""
        await self._send("difference_update", key, [member])

    async def update(self, key: Any, members: Iterable[Any]) -> None:
        """Add members to the set of a key."""
        await self._send("update", key, members)

    async def clear(self, key: Any) -> None:
        """Remove all members from the set of a key."""
        await self._send("clear", key, ())

    async def difference_update(self, key: Any, members: Iterable[Any]) -> None:
        """Remove members from the set of a key."""
        await self._send("difference_update", key, members)

    async def intersection_update(self, key: Any, members: Iterable[Any]) -> None:
        """Keep only these members in the set of a key."""
        await self._send("intersection_update", key, members)

    async def symmetric_difference_update(self, key: Any, members: Iterable[Any]) -> None:
        """Remove those of these members that are in the set of a key, and add the others."""
        await self._send("symmetric_difference_update", key, members)

    async def _send(self, action: str, key: Any, members: Iterable[Any]) -> None:
        agent = self._required_agent()
        await agent.send(SetManagerOperation(action, key, list(members)), key=key)

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"{type(self).__name__}: {self.set_table.name}"


#: What a message may ask for.
ACTIONS = frozenset(
    {
        "clear",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
        "update",
    }
)


def apply(target: Any, operation: SetManagerOperation, table: ManagedTable) -> None:
    """Apply a change to a set.

    Raises:
        ValueError: it is no change that can be asked for.
    """
    if operation.action not in ACTIONS:
        raise ValueError(f"set table {table.name!r}: unknown action {operation.action!r}")
    method = getattr(target, operation.action)
    if operation.action == "clear":
        method()
    else:
        method(table.members_from(operation.members))
