"""A disk for simulations: stores that survive the crash of their process, and can fail.

``simulated://`` names it as a store.  The data lies in this process's memory, in one `Disk` for
each directory; a `PartitionStore` that is open belongs to the process that opened it, and is of no
effect once that is dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.stores import STORES
from faust.stores.base import Checkpoint, PartitionStore, Store, StoreLocked
from faust.testing.processes import Process, current_process

__all__ = ["Disk", "SimulatedStore", "disk_at", "forget_disks"]

Name = tuple[str, int]

_disks: dict[str, Disk] = {}


class Disk:
    """What a machine keeps: partitions by table and number.

    Attributes:
        failing: So many of the next writes fail (``ENOSPC``).
        locked: Somebody else has all that is not open: who opens it is told so.
        asked: What another process waits for.
        writes: Batches written so far.
    """

    def __init__(self) -> None:
        self.data: dict[Name, dict[bytes, bytes]] = {}
        self.checkpoints: dict[Name, Checkpoint] = {}
        self.holders: dict[Name, SimulatedPartition] = {}
        self.failing = 0
        self.locked = False
        self.asked: set[Name] = set()
        self.writes = 0

    def wipe(self) -> None:
        """A new disk."""
        self.data.clear()
        self.checkpoints.clear()


def disk_at(directory: Path | str) -> Disk:
    """Return the disk of a directory; the first to ask makes it."""
    return _disks.setdefault(str(directory), Disk())


def forget_disks(prefix: str) -> None:
    """Drop the disks of all directories that begin so."""
    for directory in [d for d in _disks if d.startswith(prefix)]:
        del _disks[directory]


class SimulatedPartition(PartitionStore):
    """One partition on a simulated disk, as one process has it open."""

    def __init__(self, disk: Disk, name: Name) -> None:
        self._disk = disk
        self._name = name
        self._owner: Process | None = current_process()
        self._closed = False
        self._data = disk.data.setdefault(name, {})

    @property
    def held(self) -> bool:
        """Is it open, in a process that lives?"""
        return not self._closed and (self._owner is None or self._owner.alive)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        self._check()
        return self._data.get(key)

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError(f"the store of {self._name} was used after it was closed")

    def apply(
        self, entries: Iterable[tuple[bytes, bytes | None]], checkpoint: Checkpoint | None
    ) -> None:
        """Write all of it, or nothing."""
        self._check()
        if not self.held:
            return
        if self._disk.failing:
            self._disk.failing -= 1
            raise OSError(28, "No space left on device")
        self._disk.writes += 1
        for key, value in list(entries):
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value
        if checkpoint is not None:
            self._disk.checkpoints[self._name] = checkpoint

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over a sorted copy."""
        return iter(sorted(self._data.items()))

    def __len__(self) -> int:
        return len(self._data)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far it has come."""
        return self._disk.checkpoints.get(self._name)

    @property
    def is_asked_for(self) -> bool:
        """Does another process wait for it?"""
        return self._name in self._disk.asked

    def wipe(self) -> None:
        """Forget everything."""
        if self.held:
            self._data.clear()
            self._disk.checkpoints.pop(self._name, None)

    def flush(self) -> None:
        """What was written is durable already."""

    def close(self) -> None:
        """Release it."""
        self._closed = True
        if self._disk.holders.get(self._name) is self:
            del self._disk.holders[self._name]


class SimulatedStore(Store):
    """The stores of one simulated machine.

    Arguments:
        directory: Which disk.
        options: None are known.
    """

    persistent = True

    def __init__(
        self, directory: Path | str = "", options: Mapping[str, Any] | None = None
    ) -> None:
        self.disk = disk_at(directory)
        self._opened: list[SimulatedPartition] = []

    def open(self, table: str, partition: int) -> SimulatedPartition:
        """Open one partition.

        Raises:
            StoreLocked: a process that lives has it.
        """
        name = (table, partition)
        holder = self.disk.holders.get(name)
        if self.disk.locked or (holder is not None and holder.held):
            raise StoreLocked(f"partition {partition} of table {table!r} is open already")
        self.disk.asked.discard(name)
        made = self.disk.holders[name] = SimulatedPartition(self.disk, name)
        self._opened.append(made)
        return made

    def ask_for(self, table: str, partition: int) -> None:
        """Ask the process that has it open."""
        self.disk.asked.add((table, partition))

    def checkpoints(self, table: str) -> dict[int, Checkpoint]:
        """Return how far the partitions of a table have come that are not open."""
        holders = self.disk.holders
        return {
            name[1]: checkpoint
            for name, checkpoint in self.disk.checkpoints.items()
            if name[0] == table and not (name in holders and holders[name].held)
        }

    def destroy(self, table: str, partition: int | None = None) -> None:
        """Delete one partition, or all of a table's."""
        for name in [n for n in self.disk.data if n[0] == table and partition in (None, n[1])]:
            self.disk.data.pop(name, None)
            self.disk.checkpoints.pop(name, None)

    def close(self) -> None:
        """Close everything that is open."""
        for partition in self._opened:
            partition.close()
        self._opened.clear()


STORES.setdefault("simulated", "faust.testing.disk:SimulatedStore")
