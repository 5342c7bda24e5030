"""Local state in dicts: gone with the process, restored from the changelog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.stores.base import Checkpoint, PartitionStore, Store, StoreLocked

__all__ = ["MemoryPartition", "MemoryStore"]


class MemoryPartition(PartitionStore):
    """One partition as a dict."""

    def __init__(self, on_close: Callable[[], None] | None = None) -> None:
        self._data: dict[bytes, bytes] = {}
        self._checkpoint: Checkpoint | None = None
        self._on_close = on_close
        #: The dict's own method: a read costs no call of ours.
        self.get = self._data.get  # type: ignore[assignment, method-assign]

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        return self._data.get(key)

    def apply(
        self, entries: Iterable[tuple[bytes, bytes | None]], checkpoint: Checkpoint | None
    ) -> None:
        """Write entries and the checkpoint; all of them, or none if ``entries`` raises."""
        changes = dict(entries)
        deleted = [key for key, value in changes.items() if value is None]
        data = self._data
        if not deleted:
            data.update(changes)  # type: ignore[arg-type]  # no value is None here
        else:
            for key in deleted:
                del changes[key]
                data.pop(key, None)
            data.update(changes)  # type: ignore[arg-type]  # no value is None any more
        if checkpoint is not None:
            self._checkpoint = checkpoint

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over a sorted copy."""
        return iter(sorted(self._data.items()))

    def __len__(self) -> int:
        return len(self._data)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far it has come; ``None`` for an empty store."""
        return self._checkpoint

    def wipe(self) -> None:
        """Forget everything."""
        self._data.clear()
        self._checkpoint = None

    def flush(self) -> None:
        """Memory has no more durable form: nothing to do."""

    def close(self) -> None:
        """Forget everything: nothing of it outlives the close."""
        self.wipe()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __repr__(self) -> str:
        return f"<MemoryPartition: {len(self._data)} keys, {self._checkpoint}>"


class MemoryStore(Store):
    """All partitions in this process's memory.

    Arguments:
        directory, options: Taken, and not needed, so that all stores are made alike.
    """

    persistent = False

    def __init__(
        self, directory: Path | str = "", options: Mapping[str, Any] | None = None
    ) -> None:
        self._open: dict[tuple[str, int], MemoryPartition] = {}

    def open(self, table: str, partition: int) -> MemoryPartition:
        """Make one partition, empty.

        Raises:
            StoreLocked: it is open already.
        """
        name = (table, partition)
        if name in self._open:
            raise StoreLocked(f"partition {partition} of table {table!r} is open already")
        self._open[name] = store = MemoryPartition(lambda: self._forget(name))
        return store

    def _forget(self, name: tuple[str, int]) -> None:
        self._open.pop(name, None)

    def destroy(self, table: str, partition: int | None = None) -> None:
        """Close, and so forget, one partition or all of a table's."""
        for name, store in list(self._open.items()):
            if name[0] == table and partition in (None, name[1]):
                store.close()

    def close(self) -> None:
        """Close everything that is open."""
        for store in list(self._open.values()):
            store.close()

    def __repr__(self) -> str:
        return f"<MemoryStore: {len(self._open)} partitions>"
