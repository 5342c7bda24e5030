"""A task as this worker holds it: its run, its slices, and what of it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faust._machines import outputs
from faust._machines.commits import TableMark, TaskEntry
from faust._machines.copartition import TaskId
from faust._machines.effects import TaskRun
from faust._values import TP

if TYPE_CHECKING:
    from faust.stores.overlay import Slice
    from faust.tables.base import Collection

__all__ = ["ActiveTask", "Cut", "TableCut"]


@dataclass(eq=False)
class ActiveTask:
    """One task that is ours.

    Attributes:
        run: Its current incarnation.
        sources: Its source partitions.
        tables: Tables with a slice here, by name.
        slices: The slices, by table name.
        entry: The metadata of the last commit, ours or found.
        committed: Committed offset of each source partition.
        restless: Something besides events must be committed (an undone tail, a first position).
        blocked: Why it is not processed, if it is not.
    """

    run: TaskRun
    sources: tuple[TP, ...]
    tables: dict[str, Collection] = field(default_factory=dict)
    slices: dict[str, Slice] = field(default_factory=dict)
    entry: TaskEntry | None = None
    committed: dict[TP, int] = field(default_factory=dict)
    restless: bool = False
    blocked: str = ""

    @property
    def id(self) -> TaskId:
        """Which task it is."""
        task_id: TaskId = self.run.id  # type: ignore[assignment]  # runs of the engine have one
        return task_id

    @property
    def dirty(self) -> int:
        """Keys changed since the last cut."""
        return sum(len(piece.dirty) for piece in self.slices.values())

    def positions(self) -> dict[TP, int]:
        """Return for each source partition the lowest position of its readers.

        A partition that nobody commits (``acks=False``) keeps what was committed.
        """
        lowest: dict[TP, int] = {}
        for cursor in self.run.cursors:
            if cursor.commits:
                position = cursor.committable
                lowest[cursor.tp] = min(position, lowest.get(cursor.tp, position))
        return lowest

    def readers(self) -> dict[str, dict[str, int]]:
        """Return every reader's own position: reader -> topic -> next offset."""
        found: dict[str, dict[str, int]] = {}
        for cursor in self.run.cursors:
            if cursor.commits:
                found.setdefault(cursor.reader, {})[cursor.tp.topic] = cursor.committable
        return found


@dataclass(eq=False)
class TableCut:
    """What a cut took from one table.

    Attributes:
        taken: Kept key -> value, as the slice gave it.
        entries: The same, encoded (filled in by the committer).
        deleted: How many of them are deletions.
        position: The changelog position that goes with the commit (when it is known).
        foreign: Stretches of the changelog that somebody else has written since we last did.
    """

    name: str
    piece: Slice
    changelog: TP
    taken: dict[Any, Any]
    entries: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    deleted: int = 0
    position: int = 0
    foreign: list[tuple[int, int]] = field(default_factory=list)


@dataclass(eq=False)
class Cut:
    """Exactly the effects of the events below the positions that it commits."""

    task: ActiveTask
    generation: int
    sequence: int
    positions: Mapping[TP, int]
    readers: Mapping[str, Mapping[str, int]]
    forwarded: Mapping[str, int]
    watermarks: Mapping[str, float]
    tables: list[TableCut]
    outputs: list[Any] = field(default_factory=list)

    def marks(self, old: Mapping[str, TableMark]) -> dict[str, TableMark]:
        """Return the marks of the task's tables once this cut is committed."""
        marks = dict(old)
        for table in self.tables:
            changed = bool(table.taken) or table.name not in old
            sequence = self.sequence if changed else old[table.name].sequence
            marks[table.name] = TableMark(sequence, table.position, table.piece.topic_id)
        return marks

    def undo(self) -> None:
        """The commit failed: what was taken is dirty, and waits to be sent, again."""
        if not self.task.run.alive:
            for output in self.outputs:
                output.drop()
            return
        for table in self.tables:
            table.piece.uncut(table.taken)
        outputs.put_back(self.task.run, self.outputs)
