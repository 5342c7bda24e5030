"""The port to local state: encoded keys and values, and how far they have come.

A store holds the *committed* layer of one table's partition: what the overlay above it
(`faust.stores.overlay`) has committed, or what a restore has applied.  It knows bytes only.

The one promise that everything above stands on: `apply` is atomic.  After a crash at any instant
the store holds either all of a batch, its checkpoint included, or nothing of it.  A store may lose
the latest batches (a power cut), never part of one, and never out of order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

__all__ = ["Checkpoint", "PartitionStore", "Store", "StoreLocked"]


class Checkpoint(NamedTuple):
    """How far a partition's store has come.

    Attributes:
        position: Next changelog offset to apply.
        topic_id: Id of the changelog topic that the position belongs to ("" if unknown).
        crc: CRC of the changelog's record before ``position`` (`record_crc` in
            `faust._machines.restore`); 0 if unknown.
        wall_time: Seconds since the epoch when it was written.
        sequence: Sequence number of the commit that wrote it.
    """

    position: int
    topic_id: str = ""
    crc: int = 0
    wall_time: float = 0.0
    sequence: int = 0


class StoreLocked(Exception):
    """Another process holds this partition's store."""


class PartitionStore(ABC):
    """The committed state of one partition of one table.  Not shared between threads."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""

    @abstractmethod
    def apply(
        self, entries: Iterable[tuple[bytes, bytes | None]], checkpoint: Checkpoint | None
    ) -> None:
        """Write entries (``None`` deletes) and the checkpoint in one atomic batch.

        Later entries of a key win.  ``checkpoint`` ``None`` leaves the old one.

        Raises:
            OSError: the disk is full or broken; nothing was written.
        """

    @abstractmethod
    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over all entries in key order, as they were when the call was made."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of keys (may have to count)."""

    @property
    @abstractmethod
    def checkpoint(self) -> Checkpoint | None:
        """How far it has come; ``None`` for an empty store."""

    @property
    def is_asked_for(self) -> bool:
        """Does another process wait for it (`Store.ask_for`)?  Whoever can do without closes it."""
        return False

    @abstractmethod
    def wipe(self) -> None:
        """Forget everything, the checkpoint included."""

    @abstractmethod
    def flush(self) -> None:
        """Make what was applied durable (a clean stop)."""

    @abstractmethod
    def close(self) -> None:
        """Flush and release files and locks."""


class Store(ABC):
    """All partitions of one app's tables in one place on this machine."""

    #: Do partitions outlive the process?
    persistent: bool = False

    @abstractmethod
    def open(self, table: str, partition: int) -> PartitionStore:
        """Open, or create, one partition of a table.

        A partition that is corrupt is set aside and made anew, and the log says so.

        Raises:
            StoreLocked: another process has it (the lock dies with its process).
            OSError: the directory cannot be written; the message names it.
        """

    def checkpoints(self, table: str) -> Mapping[int, Checkpoint]:
        """Return how far the partitions of a table have come that are there and not open.

        A guess where a worker is to get what: what cannot be opened just now, or not at all, may be
        left out, and so may everything (the default).  Called in any thread.
        """
        return {}

    def ask_for(self, table: str, partition: int) -> None:
        """Ask for a partition that another process has open; the next `open` of it is the answer.

        Does nothing where stores are not shared between processes (the default).

        Raises:
            OSError: the directory cannot be written.
        """
        return

    @abstractmethod
    def destroy(self, table: str, partition: int | None = None) -> None:
        """Delete one partition, or all of a table's (never those of other tables)."""

    @abstractmethod
    def close(self) -> None:
        """Close everything that is open."""
