"""When what an event did counts: at once, in the order of offsets, or by hand.

Where events are finished one after another, the cursor's position moves behind each and what it did
counts at once.  Where streams share a feed (``concurrency``), where `take` hands out lists and
where acknowledgements come by hand (`noack`), an event may be over before an earlier one is: its
effects are held back (`faust._machines.withheld`) until all before it are acknowledged, too.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from faust._inprogress import InProgress, Item
from faust._machines.effects import Cursor, Held, Mark, TaskRun
from faust._machines.withheld import Withheld
from faust.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faust._feeds import Feed

__all__ = ["Acking"]


class Acking(InProgress):
    """The part of `faust.Stream` that finishes events, and acknowledges them.

    Attributes:
        singles: Of a list that failed: what is to be handed out one by one.
        pending: A record that `take` has in its hands and no list has yet.
        buffers: What `take` gathers for its next lists.
    """

    abstract = False

    def __init__(self, channel: Any, **options: Any) -> None:
        super().__init__(channel, **options)
        self.singles: deque[Item] = deque()
        self.pending: tuple[Cursor, Any] | None = None
        self.buffers: dict[Any, Any] = {}
        self._withheld = Withheld() if self._feed is None else self._feed.withheld
        #: What processors have sent for events that are in no list of `take` yet, or are in one.
        self.early: dict[tuple[Cursor, int], Mark] = {}
        #: What was acknowledged by hand of the list in progress: it counts with what the list does.
        self.acked: set[tuple[Cursor, int]] = set()

    # -- the end of an event ---------------------------------------------------------

    def finished(self) -> None:
        """The agent's function returned: its last event is finished."""
        if self.inside or self.taken:
            cursor = self.cursor
            if cursor is not None:
                places = [(c, r.offset) for c, r in self._places()]
                self.join_early(places)
                self._count(places, cursor)
            self._finish_quietly()
            if cursor is not None:
                self._withheld.settle(cursor.task)

    def _finish_quietly(self) -> None:
        """Count the event in progress as finished, without effects of its own."""
        self.pending = None
        for cursor, record, _value in self.taken:
            if cursor.acks is not None:
                cursor.acks.done(record.offset)
        self.taken = []
        self.acked.clear()
        if self.inside and self.cursor is not None and self.record is not None:
            self._ack_record(self.cursor, self.record)
        self.leave()

    def _ack_record(self, cursor: Cursor, record: Any) -> None:
        if cursor.acks is not None:
            cursor.acks.done(record.offset)
        elif cursor.task.alive:
            cursor.position = record.offset + 1

    def _places(self) -> list[tuple[Cursor, Any]]:
        if self.taken:
            return [(cursor, record) for cursor, record, _ in self.taken]
        cursor, record = self.cursor, self.record
        return [] if cursor is None or record is None else [(cursor, record)]

    def _count(self, places: list[tuple[Cursor, int]], cursor: Cursor) -> None:
        """Let what was sent count: at once, or where acks are out of order, in the order of events.

        Who acknowledges then calls `acknowledge`, or settles what is held back.
        """
        if cursor.acks is None:
            self.effects.finish()
        else:
            self._withheld.hold(places, self.effects.hold(), by_offset=self.shared)

    def hold_effects(self, cursor: Cursor, needs: Sequence[tuple[Cursor, int]]) -> None:
        """Hold back what the event in progress did until all of ``needs`` is acknowledged."""
        if self.effects.has_effects:
            self._withheld.hold(needs, self.effects.hold(), by_offset=self.shared)
        self._withheld.settle(cursor.task)

    def hold_mark(self, mark: Mark, cursor: Cursor, offset: int) -> None:
        """Let a mark count when this offset is acknowledged, and all before it."""
        self._withheld.hold([(cursor, offset)], Held([], [mark]), by_offset=self.shared)

    def join_early(self, places: list[tuple[Cursor, int]]) -> None:
        """What processors have sent for these events counts with what they do."""
        if self.early:
            found = [self.early.pop(place) for place in places if place in self.early]
            self.effects.noted.extend(found)

    def drop_task(self, task: TaskRun) -> None:
        """A task is over: what this stream holds of it no longer counts."""
        if task.gate is not None:
            self.leave_gate(task)
        if self.task is task:
            self.replay = False
            self.taken = [item for item in self.taken if item[0].task is not task]
            self.acked = {place for place in self.acked if place[0].task is not task}
            self.own_effects.undo()
        for place in [place for place in self.early if place[0].task is task]:
            self.early.pop(place).take_back()
        if self.singles:
            self.singles = deque(item for item in self.singles if item[0].task is not task)
        for buffer in self.buffers.values():
            buffer.discard(lambda item: item[0].task is task)
        self._withheld.drop(task)
        if self.pending is not None and self.pending[0].task is task:
            self.pending = None

    # -- acknowledgements ------------------------------------------------------------

    def acknowledge(self, cursor: Cursor, record: Any) -> None:
        """Where acks are out of order: this record is done, and others may count now."""
        if cursor.acks is not None:
            cursor.acks.done(record.offset)
            self._withheld.settle(cursor.task)

    def acknowledge_list(self) -> None:
        """The list in progress is over: what was acknowledged of it by hand is done."""
        acked, self.acked = self.acked, set()
        for cursor, offset in acked:
            if cursor.acks is not None:
                cursor.acks.done(offset)

    def is_in_list(self, cursor: Cursor, offset: int) -> bool:
        """Is this event in the list in progress?"""
        return any(c is cursor and r.offset == offset for c, r, _ in self.taken)

    def outstanding(self, feed: Feed) -> int:
        """How many records are out, not acknowledged yet."""
        return sum(c.acks.outstanding for c in feed.cursors.values() if c.acks is not None)

    async def ack(self, event: Event[Any]) -> bool:
        """Acknowledge an event by hand (see `noack`); true if this call did it."""
        return bool(event.ack())

    def _on_event_ack(self, event: Event[Any]) -> None:
        if self.enable_acks or self._feed is None:
            return
        cursor = self._feed.cursors.get(event.tp)
        if cursor is None or cursor.acks is None:
            return
        if cursor.task.incarnation != event.message.generation_id:
            return
        offset = event.message.offset
        if self.taken and self.is_in_list(cursor, offset):
            self.acked.add((cursor, offset))
        else:
            here = self.inside and self.cursor is cursor and self.record is not None
            if here and self.record.offset == offset:
                held = self.effects.hold()
                self._withheld.hold([(cursor, offset)], held, by_offset=self.shared)
            cursor.acks.done(offset)
            self._withheld.settle(cursor.task)
            self._feed.acked()
        if self.hooks is not None:
            self.hooks.message_out(cursor, event.message)

    def _acked_by_hand(self) -> bool:
        """Was the event in progress acknowledged before its agent raised?"""
        cursor, record = self.cursor, self.record
        if self.enable_acks or self.taken or not self.inside or cursor is None or record is None:
            return False
        return cursor.acks is not None and not cursor.acks.is_outstanding(record.offset)
