"""Global tables: written like a table, and read in full by every worker.

Every key belongs to the partition that wrote it first.  The partitions that are another worker's
are followed (``followed``): what is known to be committed of them is here, a commit interval late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from faust.exceptions import ConsistencyError
from faust.stores.memory import MemoryPartition
from faust.stores.overlay import ABSENT
from faust.tables.table import Table

if TYPE_CHECKING:
    from faust._machines.effects import TaskRun
    from faust.stores.overlay import Slice, SliceCodec

__all__ = ["GlobalTable", "Replica"]

KT = TypeVar("KT")
VT = TypeVar("VT")


class Replica:
    """A partition that another worker writes: what is known to be committed of it, read only.

    Arguments:
        codec: The table's.
        position: Next changelog offset to apply.
        topic_id: Id of the changelog topic that the position belongs to; "" if unknown.
    """

    def __init__(self, codec: SliceCodec, *, position: int = 0, topic_id: str = "") -> None:
        self.codec = codec
        self.position = position
        self.topic_id = topic_id
        self._store = MemoryPartition()

    def apply(self, entries: Iterable[tuple[bytes, bytes | None]], position: int) -> None:
        """Apply what lies in the changelog before ``position``."""
        self._store.apply(entries, None)
        self.position = position

    def leads_to(self, position: int, topic_id: str) -> bool:
        """Is it of this very changelog, and not beyond this position?"""
        same = not topic_id or not self.topic_id or topic_id == self.topic_id
        return same and self.position <= position

    def lookup(self, key: Any) -> Any:
        """Return the value of a key, or `ABSENT`."""
        data = self._store.get(self.codec.dump_key(key))
        return ABSENT if data is None else self.codec.load_value(data)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over all keys and values."""
        codec = self.codec
        for key, value in self._store.items():
            yield codec.load_key(key), codec.load_value(value)

    def count(self) -> int:
        """Return the number of keys."""
        return len(self._store)


class GlobalTable(Table[KT, VT]):
    """A table that every worker holds in full.

    An event writes it as it writes any table: into its own partition.  A key that another partition
    has is there for reading only; writing it raises, because two owners of one key could overtake
    each other.  What other workers have written is seen a commit later.

    Arguments: as `Table`.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **{**options, "is_global": True})
        #: Partition -> what is known of it, for those that are not written here.
        self.followed: dict[int, Replica] = {}

    # -- tasks -----------------------------------------------------------------------------

    def add_slice(self, run: TaskRun, piece: Slice) -> None:
        """A partition is written here from now on: its replica goes."""
        super().add_slice(run, piece)
        self.followed.pop(run.partition, None)

    def drop_slice(self, run: TaskRun) -> Slice | None:
        """A partition is no longer written here: what was committed of it stays, as a replica."""
        piece = super().drop_slice(run)
        if piece is not None:
            replica = Replica(self.codec, topic_id=piece.topic_id)
            replica.apply(piece.store.items(), piece.position)
            self.followed[run.partition] = replica
        return piece

    # -- reading ---------------------------------------------------------------------------

    def lookup(self, key: Any) -> Any:
        """Return the value of a key, from whatever partition, or `ABSENT`."""
        piece = self.current_slice()
        if piece is not None:
            value = piece.get(piece.key_of(key))
            if value is not ABSENT:
                return value
        return self._lookup_elsewhere(key, piece)[1]

    def _lookup_elsewhere(self, key: Any, own: Any) -> tuple[int, Any]:
        """Return (partition, value) from all slices but ``own``; the value may be `ABSENT`."""
        for piece in list(self.slices.values()):
            if piece is not own:
                value = piece.peek(piece.key_of(key))
                if value is not ABSENT:
                    return piece.task.partition, value
        for partition, followed in list(self.followed.items()):
            value = followed.lookup(key)
            if value is not ABSENT:
                return partition, value
        return -1, ABSENT

    def lookup_committed(self, key: Any) -> Any:
        """As `lookup`, but only what a crash cannot take back."""
        value = super().lookup_committed(key)
        if value is not ABSENT:
            return value
        found = (followed.lookup(key) for followed in list(self.followed.values()))
        return next((value for value in found if value is not ABSENT), ABSENT)

    def raw_items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over all keys and values of all partitions."""
        for piece in list(self.slices.values()):
            yield from piece.items()
        for followed in list(self.followed.values()):
            yield from followed.items()

    def count_keys(self) -> int:
        """Return the number of keys of all partitions."""
        parts: list[Any] = [*self.slices.values(), *self.followed.values()]
        return sum(part.count() for part in parts)

    def __getitem__(self, key: KT) -> VT:
        value = self.lookup(key)
        if value is not ABSENT:
            return value  # type: ignore[no-any-return]  # the slices hold values of this table
        if self.current_slice() is not None:
            return self.__missing__(key)
        return self._read_outside(key)

    # -- writing ---------------------------------------------------------------------------

    def slice_for_write_of(self, key: Any) -> Slice:
        """Return the slice that the event in progress may write this key to.

        Raises:
            ConsistencyError: the key belongs to another partition.
        """
        piece = self.slice_for_write()
        if piece.get(piece.key_of(key)) is ABSENT:
            owner, value = self._lookup_elsewhere(key, piece)
            if value is not ABSENT:
                raise ConsistencyError(
                    f"global table {self.name!r}: key {key!r} belongs to partition {owner}, which "
                    f"wrote it first, and cannot be written from partition "
                    f"{piece.task.partition}: key the events that write the table by what the "
                    f"table is keyed by"
                )
        return piece

    def __setitem__(self, key: KT, value: VT) -> None:
        self.slice_for_write_of(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: KT) -> None:
        self.slice_for_write_of(key)
        super().__delitem__(key)
