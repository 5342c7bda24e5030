"""Whose an event's effects are, and when they count: tasks, cursors, and the event in progress.

The *task* is the unit of everything that is assigned, cut, committed and restored: partition *n* of
all topics and tables of the app that have the same number of partitions.  A `TaskRun` is one
*incarnation* of a task on this worker: what belongs to an older one is ignored, because tables find
their state by the run itself, and a run that is over is in no table.

A `Cursor` is one reader's place in one partition of a task.  Its ``position`` is the next offset
that the reader has *finished* with; it moves only between events, so whatever looks at it (the
cut) sees a boundary.

The event in progress writes into its tables at once (`faust.stores.overlay.Slice`) and keeps an
undo log on its cursor: finishing the event empties the log, undoing plays it back.  What needs
more at the end than that (values to be encoded, marks of forwarded records) puts itself on
``noted``.  For an event without writes both lists are empty, and looking at one of them is all
that it costs here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from math import inf
from typing import Any, Protocol

from faust._machines.acks import Acks
from faust._values import TP

__all__ = [
    "Cursor",
    "Effectful",
    "Effects",
    "ForwardMark",
    "Gate",
    "Held",
    "Mark",
    "Output",
    "Refusal",
    "TaskRun",
    "Writable",
]


class Effectful(Protocol):
    """What has something to do when an event ends."""

    def prepare(self) -> None:
        """The event is about to finish.  May raise; then nothing counts, and all is undone."""

    def finish(self) -> None:
        """The event is finished: its effects count.  Must not raise."""

    def forget_event(self) -> None:
        """The event is over, finished or undone."""


class Writable(Protocol):
    """What can be written, and undone: a table's slice."""

    def restore_entry(self, key: Any, before: Any, before_dirty: Any) -> None:
        """Take back one write."""

    def hold(self, before: dict[Any, Any]) -> Any:
        """Keep finished writes out of cuts; return what `release` needs."""

    def release(self, held: Any) -> None:
        """Held writes count from now on."""


class Output(Protocol):
    """A message that counts when the event does that sent it."""

    def drop(self) -> None:
        """It is not sent: its event was undone, or its task is over."""


class Mark:
    """An effect that counts when its event does, and is in no cut before.

    Where acks are concurrent, or by hand, that is later than the event's end.
    """

    __slots__ = ()

    def prepare(self) -> None:
        """Nothing of it can fail."""

    def finish(self) -> None:
        """From now on it counts.  Must not raise."""

    def take_back(self) -> None:
        """It will never count: its event was undone, or its task is over."""

    def forget_event(self) -> None:
        """The event is over, finished or undone."""


class ForwardMark(Mark):
    """The effect of having been handed a forwarded record: its source offset is seen."""

    __slots__ = ("before", "mark", "offset", "run")

    def __init__(self, run: TaskRun, mark: str, offset: int) -> None:
        self.run = run
        self.mark = mark
        self.offset = offset
        self.before = run.seen.get(mark, -1)
        run.seen[mark] = offset

    def finish(self) -> None:
        """From now on commits say so, and the record, forwarded again, is dropped for good."""
        forwarded = self.run.forwarded
        forwarded[self.mark] = max(self.offset, forwarded.get(self.mark, -1))

    def take_back(self) -> None:
        """The event failed: the record will be handed out again."""
        self.run.seen[self.mark] = self.before


class Refusal:
    """The effect of having done what cannot count: the event fails when it ends, if not before.

    Whatever raised it may have been caught by the agent's own code.
    """

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def prepare(self) -> None:
        """Nothing of the event may count."""
        raise self.error

    def finish(self) -> None:
        """Never reached."""

    def forget_event(self) -> None:
        """Nothing is kept."""


class Gate:
    """Lets the readers of one task that share a table into an event one at a time.

    Attributes:
        inside: The readers that are inside an event now: one, or those whom the gate found there
            when it was made.
        readers: Who shares; others pass.
        unguarded: Of who is inside an event: whom nothing has kept out of theirs all the time.
    """

    __slots__ = ("inside", "readers", "unguarded", "waiters")

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.readers: set[str] = set()
        self.unguarded: dict[str, set[str]] = {}
        self.waiters: list[Any] = []

    def take_waiters(self) -> list[Any]:
        """Return who waits to enter, and forget them: each will try again."""
        waiters, self.waiters = self.waiters, []
        return waiters

    def try_enter(self, reader: str) -> bool:
        """Enter if nobody else is inside; who shares no table is let through."""
        if reader not in self.readers:
            return True
        if self.inside - {reader}:
            return False
        self.inside.add(reader)
        return True

    def leave(self, reader: str) -> None:
        """Leave; harmless for one who is not inside."""
        self.inside.discard(reader)
        self.unguarded.pop(reader, None)

    def extend(self, readers: set[str], inside: set[str]) -> None:
        """Share with further readers, of whom some are inside events already.

        Nothing kept the further ones out while those who are inside now were: they may have been
        inside as well, and have written, and left.
        """
        self.readers |= readers
        self.inside |= inside
        for reader in self.inside:
            met = self.readers if reader in readers else readers
            self.unguarded.setdefault(reader, set()).update(met - {reader})

    def in_the_way(self, reader: str, others: set[str]) -> set[str]:
        """Return whose writes the event of a reader may have missed that first writes a table.

        Arguments:
            reader: Who writes it.
            others: Who else has written it.
        """
        if reader not in self.readers or reader not in self.inside:
            return others
        return (others - self.readers) | (others & self.unguarded.get(reader, set()))


class Held:
    """What an event has done that is over and not acknowledged; called, it lets it count.

    Arguments:
        pieces: What was written: (slice, what its `hold` gave).
        marks: What else there is.
    """

    __slots__ = ("_marks", "_pieces")

    def __init__(self, pieces: list[tuple[Writable, Any]], marks: list[Mark]) -> None:
        self._pieces = pieces
        self._marks = marks

    def __call__(self) -> None:
        """It counts from the next cut on; to be called in offset order."""
        for piece, entries in self._pieces:
            piece.release(entries)
        for mark in self._marks:
            mark.finish()

    def drop(self) -> None:
        """It will not count: its task is over."""
        for mark in self._marks:
            mark.take_back()


class Effects:
    """What one event in progress has done and may have to take back.

    Readers of one task are inside their events at the same time, so each has its own.

    Attributes:
        undo_log: What it has written: (slice, key, what was live, what was dirty).
        noted: What has something to do when it ends.
    """

    __slots__ = ("noted", "undo_log")

    def __init__(self) -> None:
        self.undo_log: list[tuple[Writable, Any, Any, Any]] = []
        self.noted: list[Effectful] = []

    def note(self, effectful: Effectful) -> None:
        """Let it know when the event ends."""
        if effectful not in self.noted:
            self.noted.append(effectful)

    @property
    def has_effects(self) -> bool:
        """Has the event done anything?"""
        return bool(self.undo_log or self.noted)

    def finish(self) -> None:
        """The event is finished: what it did counts from the next cut on.

        Raises:
            Exception: a value cannot be encoded; nothing counts, and the event can be undone.
        """
        if self.noted:
            for effectful in self.noted:
                effectful.prepare()
            for effectful in self.noted:
                effectful.finish()
            self._forget()
        self.undo_log.clear()

    def hold(self) -> Held:
        """The event is over but not acknowledged: show its writes, keep them out of cuts.

        Returns what lets them count; must be called in offset order.
        """
        for effectful in self.noted:
            effectful.prepare()
        marks = [each for each in self.noted if isinstance(each, Mark)]
        for effectful in self.noted:
            if effectful not in marks:
                effectful.finish()
        self._forget()
        written: dict[int, tuple[Writable, dict[Any, Any]]] = {}
        for piece, key, _, before_dirty in self.undo_log:
            written.setdefault(id(piece), (piece, {}))[1].setdefault(key, before_dirty)
        self.undo_log.clear()
        return Held([(piece, piece.hold(before)) for piece, before in written.values()], marks)

    def undo(self) -> None:
        """The event failed: take back what it did."""
        log = self.undo_log
        for piece, key, before, before_dirty in reversed(log):
            piece.restore_entry(key, before, before_dirty)
        log.clear()
        for effectful in self.noted:
            if isinstance(effectful, Mark):
                effectful.take_back()
        self._forget()

    def _forget(self) -> None:
        for effectful in self.noted:
            effectful.forget_event()
        self.noted.clear()


class TaskRun:
    """One incarnation of a task.

    Attributes:
        id: Which task (hashable).
        partition: Its partition number.
        incarnation: Counts the runs of this worker; unique.
        generation: The group's, in which it was assigned: lower than that of whoever has it next.
        open: May more of its events be handed out?  False while it is being given back.
        steady: Is it open, and without a gate?  One look for what must not cost two.
        alive: Do its effects count?  False from the moment it was given back, fenced or undone.
        undo_log: What the event in progress has written: (slice, key, what was live,
            what was dirty).
        noted: What has something to do when the event in progress ends.  (Streams keep both lists
            at hand: they are emptied in place, never replaced.)
        cursors: One for each reader and source partition.
        forwarded: For repartitioned topics: source -> highest source offset handled.
        seen: The same, events in progress and those not acknowledged included.
        outputs: What its finished events have sent and no cut has taken yet, in order; only
            under exactly once (`faust._machines.outputs`).
    """

    __slots__ = (
        "__weakref__",
        "_gate",
        "_open",
        "_spare",
        "alive",
        "cursors",
        "forwarded",
        "generation",
        "id",
        "incarnation",
        "outputs",
        "partition",
        "seen",
        "steady",
        "whose",
    )

    def __init__(self, id: Hashable, partition: int, incarnation: int, generation: int = 0) -> None:
        self.id = id
        self.partition = partition
        self.incarnation = incarnation
        self.generation = generation
        self._open = self.steady = True
        self._gate: Gate | None = None
        self.alive = True
        self.cursors: list[Cursor] = []
        #: Returns the cursor of the event whose code is running, in any task; set by who reads.
        self.whose: Callable[[], Cursor | None] | None = None
        self._spare = Effects()
        self.forwarded: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.outputs: list[Output] = []

    @property
    def open(self) -> bool:
        """May more of its events be handed out?"""
        return self._open

    @open.setter
    def open(self, open: bool) -> None:
        self._open = open
        self.steady = open and self._gate is None

    @property
    def gate(self) -> Gate | None:
        """What its readers that share a table go through, one at a time."""
        return self._gate

    @gate.setter
    def gate(self, gate: Gate | None) -> None:
        self._gate = gate
        self.steady = self._open and gate is None

    def current(self) -> Effects:
        """Return the effects of the event in progress whose code is running."""
        found = None if self.whose is None else self.whose()
        if found is not None and found.task is self:
            return found
        return self.cursors[0] if self.cursors else self._spare

    def in_progress(self) -> Iterator[Effects]:
        """Iterate over the effects of all events that are in progress here."""
        yield from self.cursors
        yield self._spare

    def note(self, effectful: Effectful) -> None:
        """Let it know when the event ends whose code is running."""
        self.current().note(effectful)

    def close(self) -> None:
        """From now on nothing of it counts."""
        self.open = self.alive = False
        for effects in self.in_progress():
            effects.undo()
        outputs, self.outputs = self.outputs, []
        for output in outputs:
            output.drop()
        if self.gate is not None:
            self.gate.inside.clear()
            self.gate.unguarded.clear()

    def __repr__(self) -> str:
        state = "over" if not self.alive else "open" if self.open else "closing"
        return f"<TaskRun {self.id} #{self.incarnation} {state} cursors={len(self.cursors)}>"


class Cursor(Effects):
    """One reader's place in one source partition, and the effects of its event in progress.

    Attributes:
        task: The run it belongs to.
        tp: The partition.
        reader: Name of the reader (the agent's).
        position: Next offset the reader has not finished with, where acks are in order.
        acks: The interval set, where acks are concurrent or by hand; then `committable` asks it.
        end: End of the log as last heard, for lag.
        heard: When that was (Unix time, seconds); -inf before the first answer.
        waiting: Batches that were handed to the reader and are not used up.
        by_hand: Are its events acknowledged by hand (set when it first writes a table)?
        commits: Is its progress committed (``acks=True``)?
        floor: Lowest offset whose effects are still held back (`faust._machines.withheld`).
        gap: Where a gap ends that follows what waits; 0 if none is known.
    """

    __slots__ = (
        "acks",
        "by_hand",
        "commits",
        "end",
        "floor",
        "gap",
        "heard",
        "position",
        "reader",
        "task",
        "tp",
        "waiting",
    )

    def __init__(self, task: TaskRun, tp: TP, reader: str, position: int) -> None:
        super().__init__()
        self.task = task
        self.tp = tp
        self.reader = reader
        self.position = position
        self.acks: Acks | None = None
        self.end = position
        self.heard = -inf
        self.waiting = 0
        self.by_hand = False
        self.commits = True
        self.floor: int | None = None
        self.gap = 0
        task.cursors.append(self)

    @property
    def committable(self) -> int:
        """Next offset to commit for this reader: everything below is finished."""
        if self.acks is None:
            return self.position
        position = self.acks.position
        return position if self.floor is None else min(position, self.floor)

    @property
    def next_offset(self) -> int:
        """Next offset that the reader will be handed, or is inside of."""
        return self.position if self.acks is None else self.acks.next_offset

    def is_done(self, offset: int) -> bool:
        """Has the reader finished with the event at ``offset``?"""
        acks = self.acks
        if acks is None:
            return self.position > offset
        return not acks.expects(offset) and not acks.is_outstanding(offset)

    def skip_gap(self, position: int) -> None:
        """What lies below ``position`` and was not handed out does not exist (markers, gaps)."""
        if self.waiting:
            self.gap = position  # once all that waits is used up
            return
        if self.acks is not None:
            self.acks.skip_to(position)
        elif position > self.position:
            self.position = position

    def used_up(self) -> None:
        """A batch was used up; a gap behind the last one is passed now."""
        self.waiting -= 1
        if self.gap and not self.waiting and self.task.open:
            gap, self.gap = self.gap, 0
            self.skip_gap(gap)

    @property
    def lag(self) -> int:
        """Records between what is finished and the end of the log as last heard."""
        return max(0, self.end - self.committable)

    def __repr__(self) -> str:
        return f"<Cursor {self.reader} {self.tp}@{self.committable}>"
