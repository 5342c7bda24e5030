"""The stores on this machine that no task has open: handed on from a task to its standby and back.

A store that is handed on stays open: the state of a table in memory would be gone otherwise, and
one on disk would have to be opened again.  Whatever nobody has taken when a rebalance has said who
needs what is closed, so that other processes on the same disk can have it.

A store on disk belongs to one process at a time.  A standby in the same directory lets go of it
when it is asked for.  One that stays locked (by a predecessor that was suspended, and cannot let
go) is left alone, and the task gets a directory of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from faust.stores.base import Checkpoint, PartitionStore, StoreLocked

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust.tables.base import Collection as Table

__all__ = ["LocalStores", "StoreName"]

logger = logging.getLogger(__name__)

#: How long a task waits for a store that another process holds (seconds).
LOCK_PATIENCE = 5.0


class StoreName(NamedTuple):
    """One partition of one table."""

    table: str
    partition: int


class LocalStores:
    """Opens stores, and keeps those that are between two users (on the main loop).

    Attributes:
        tables: The table manager.
        left: What lies on this machine and is not open, as far as that is known; replaced as a
            whole whenever it changes, so that any thread may read it.
    """

    def __init__(self, tables: Any, clock: Clock) -> None:
        self.tables = tables
        self._clock = clock
        self._kept: dict[StoreName, PartitionStore] = {}
        self.left: Mapping[StoreName, Checkpoint] = {}

    async def open(self, table: Table, partition: int) -> PartitionStore:
        """Return a partition's store for a task: the one that was kept, or the one on disk.

        Raises:
            OSError: the directory cannot be written.
        """
        deadline = self._clock.monotonic() + LOCK_PATIENCE
        while True:
            try:
                return self.open_now(table, partition)
            except StoreLocked as exc:
                if self._clock.monotonic() >= deadline:
                    logger.warning(
                        "Table %r partition %d: %s; restoring into a directory of its own",
                        table.name, partition, exc,
                    )  # fmt: skip
                    store: PartitionStore = self.tables.open_apart(table, partition)
                    return store
                with suppress(OSError):
                    self.tables.store_for(table).ask_for(table.name, partition)
            await self._clock.sleep(0.1)

    def open_now(self, table: Table, partition: int) -> PartitionStore:
        """As `open`, without waiting.

        Raises:
            StoreLocked: another process holds it.
            OSError: the directory cannot be written.
        """
        name = StoreName(table.name, partition)
        kept = self._kept.pop(name, None)
        if kept is not None:
            return kept
        store: PartitionStore = self.tables.open_store(table, partition)
        if name in self.left:
            self.left = {each: known for each, known in self.left.items() if each != name}
        return store

    def keep(self, table: Table, partition: int, store: PartitionStore) -> None:
        """Whoever had this store has no more use for it."""
        self._kept[StoreName(table.name, partition)] = store

    def has_kept(self, table: Table, partition: int) -> bool:
        """Is a store of this partition kept for who comes next?"""
        return StoreName(table.name, partition) in self._kept

    def is_persistent(self, table: Table) -> bool:
        """Does the state of a table outlive its process?"""
        persistent: bool = self.tables.store_for(table).persistent
        return persistent

    def close_kept(self, wanted: Callable[[StoreName], bool] = lambda name: False) -> None:
        """Close what was kept, but for what is still wanted."""
        for name in [name for name in self._kept if not wanted(name)]:
            store = self._kept.pop(name)
            checkpoint = store.checkpoint
            if checkpoint is not None and self.is_persistent(self.tables[name.table]):
                self.left = {**self.left, name: checkpoint}
            store.close()

    def survey(self) -> None:
        """Look for what the disk has (in any thread; may take a while).

        What is locked, damaged or of another kind is left out.
        """
        self.left = {
            StoreName(name, partition): checkpoint
            for name, table in list(self.tables.items())
            for partition, checkpoint in self._stored(table).items()
            if table.partitions and partition < table.partitions
        }

    def _stored(self, table: Table) -> Mapping[int, Checkpoint]:
        try:
            stored: Mapping[int, Checkpoint] = self.tables.store_for(table).checkpoints(table.name)
        except OSError as exc:
            logger.warning("The local state of table %r cannot be read: %s", table.name, exc)
            return {}
        return stored

    def __repr__(self) -> str:
        return f"<LocalStores {len(self._kept)} kept>"
