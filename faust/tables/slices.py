"""What a table holds on this worker: one slice of state for each task, and who may write it.

A table finds its state by the *run* of the task whose event is in progress: a run that is over, or
one of topics with another number of partitions, is not in ``slices``, and the write is refused with
a sentence that says why.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mode import Service

from faust._inprogress import InProgress, current_stream
from faust.exceptions import ImproperlyConfigured, PartitionsMismatch
from faust.stores.overlay import ABSENT, Slice
from faust.tables.sharing import admit_writer

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._machines.effects import Cursor, TaskRun
    from faust.tables.expiry import Expiry

__all__ = ["SlicedState"]


class SlicedState(Service):
    """State that comes and goes with tasks (see `faust.tables.base.Collection`).

    Attributes:
        slices: State by task run: only runs that are alive here.
        writable: The same by reader, for those that have written it: what they may write.
        keys_updated, keys_deleted: How many keys' new value, or deletion, was committed.
    """

    app: AppContext
    name: str
    partitions: int | None
    expiry: Expiry | None

    def __init__(self, *, beacon: Any = None, loop: Any = None) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.slices: dict[TaskRun, Slice] = {}
        self.writable: dict[Cursor, Slice] = {}
        self.keys_updated = 0
        self.keys_deleted = 0
        self._reads = 0

    @property
    @abstractmethod
    def changelog_topic_name(self) -> str:
        """Name of the changelog topic."""

    # -- tasks ----------------------------------------------------------------------------

    def add_slice(self, run: TaskRun, piece: Slice) -> None:
        """State of a task is here, restored."""
        self.slices[run] = piece

    def drop_slice(self, run: TaskRun) -> Slice | None:
        """A task is over: its overlay goes with it."""
        piece = self.slices.pop(run, None)
        for cursor in run.cursors:
            self.writable.pop(cursor, None)
        if piece is not None:
            self._reads += piece.reads
        if self.expiry is not None:
            self.expiry.drop(run)
        return piece

    def slice_for_write(self) -> Slice:
        """Return the slice that the event in progress may write.

        Raises:
            TypeError: no event of a topic is in progress here, or its agent runs concurrently.
            PartitionRevoked: its task was given to another worker.
            PartitionsMismatch: its topic has another number of partitions than this table.
            SharedTable, ImproperlyConfigured: another agent writes it, too (see
                `faust.tables.sharing`).
        """
        stream = current_stream()
        if stream is not None and stream.inside:
            known = self.writable.get(stream.cursor)  # type: ignore[arg-type]  # None is not in it
            if known is not None:
                return known
        if stream is None or stream.task is None or not stream.inside:
            raise TypeError(self._no_event(stream))
        if not stream.may_write:
            raise TypeError(
                f"agent {stream.reader!r} runs with concurrency above 1 and cannot modify table "
                f"{self.name!r}: events of one key could overtake each other. Use concurrency=1 "
                f"for the agent that writes the table (and send to it from the concurrent one)"
            )
        piece = self.slices.get(stream.task)
        if piece is None:
            stream.check_alive()
            raise self._wrong_task(stream)
        admit_writer(self, stream)
        self.writable[stream.cursor] = piece  # type: ignore[index]  # with a task there is one
        return piece

    def slice_for_write_of(self, key: Any) -> Slice:
        """Return the slice that the event in progress may write this key to; raises as above."""
        return self.slice_for_write()

    def _no_event(self, stream: InProgress | None) -> str:
        where = "outside of a stream iteration"
        if stream is not None and stream.task is None:
            where = f"in agent {stream.reader!r}, which reads a channel in memory"
        return (
            f"cannot modify table {self.name!r} {where}: every change must belong to an event of a "
            f"topic, so that both can be committed together. Send to an agent that reads a topic, "
            f"and let it write the table"
        )

    def _wrong_task(self, stream: InProgress) -> Exception:
        assert stream.cursor is not None
        tp = stream.cursor.tp
        if self.partitions is None:
            return ImproperlyConfigured(
                f"table {self.name!r} was defined after the app had started: define tables where "
                f"the app is defined"
            )
        return PartitionsMismatch(
            f"agent {stream.reader!r} reads {tp.topic!r}, whose number of partitions differs from "
            f"that of table {self.name!r} (changelog {self.changelog_topic_name!r}): partition "
            f"{tp.partition} of both must be on one worker. Give the table partitions=..., or "
            f"repartition the stream with group_by()"
        )

    def current_slice(self) -> Slice | None:
        """Return the slice of the event in progress, if this table has it."""
        stream = current_stream()
        if stream is None or stream.task is None or not stream.inside:
            return None
        return self.slices.get(stream.task)

    # -- reading from anywhere ----------------------------------------------------------

    def lookup(self, key: Any) -> Any:
        """Return the value of a key from the partitions that are here, or `ABSENT`.

        With an event in progress: from its task, what the event itself wrote included.
        """
        piece = self.current_slice()
        if piece is not None:
            piece.reads += 1
            return piece.get(piece.key_of(key))
        for other in list(self.slices.values()):
            value = other.peek(other.key_of(key))
            if value is not ABSENT:
                return value
        return ABSENT

    def lookup_committed(self, key: Any) -> Any:
        """As `lookup`, but only what a crash cannot take back."""
        for piece in list(self.slices.values()):
            value = piece.peek_committed(piece.key_of(key))
            if value is not ABSENT:
                return value
        return ABSENT

    def raw_items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over all keys and values that are here."""
        piece = self.current_slice()
        pieces = [piece] if piece is not None else list(self.slices.values())
        for each in pieces:
            yield from each.items()

    def count_keys(self) -> int:
        """Return the number of keys that are here."""
        piece = self.current_slice()
        pieces = [piece] if piece is not None else list(self.slices.values())
        return sum(each.count() for each in pieces)

    # -- counting ------------------------------------------------------------------------

    @property
    def keys_retrieved(self) -> int:
        """How often events have read a key."""
        return self._reads + sum(piece.reads for piece in list(self.slices.values()))

    def count_committed(self, taken: Mapping[Any, Any], deleted: int) -> None:
        """These keys were committed; so many of them are deletions."""
        self.keys_updated += len(taken) - deleted
        self.keys_deleted += deleted
