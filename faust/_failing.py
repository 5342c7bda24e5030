"""What becomes of a stream's event that failed: handed out again, taken apart, or left out.

An event is *left out* when its agent does not handle it and it counts as finished all the same: its
own effects are undone, and what was sent in its place (a dead letter, a copy for a retry topic) is
an effect of the event in their stead, and counts when the position moves behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from faust._machines.effects import Cursor, Effects, Held, Mark, TaskRun
from faust._machines.withheld import Withheld
from faust._values import Message
from faust.exceptions import DecodeError

if TYPE_CHECKING:
    from faust._context import AppContext

__all__ = ["SKIPPED", "Failing"]

#: In place of a value: the event is left out, and counts as handled.
SKIPPED: Any = object()

Item: TypeAlias = tuple[Cursor, Any, Any]


class Failing:
    """The part of `faust.Stream` that knows what to do with an event that failed.

    Attributes:
        taken: The list that `take` has handed out: (cursor, record, value).
        singles: Of a list that failed: what is to be handed out one by one.
        pending: A record that `take` has in its hands and no list has yet.
        undecoded: What could not be decoded, and is not to be left out.
        busy_itself: Is it putting an event where it is not lost, on its own behalf?
    """

    app: AppContext
    channel: Any
    cursor: Cursor | None
    record: Any
    enable_acks: bool
    hooks: Any
    inside: bool
    replay: bool
    task: Any
    sees_forwarded: bool
    shared: bool
    leave: Callable[[], None]
    leave_gate: Callable[[TaskRun], None]
    speaking: Callable[[], AbstractContextManager[None]]
    was_seen: Callable[[Cursor, Any, Effects], bool]
    _records: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.taken: list[Item] = []
        self.singles: deque[Item] = deque()
        self.pending: tuple[Cursor, Any] | None = None
        self.undecoded: Exception | None = None
        self.busy_itself = False
        self._withheld = Withheld()
        #: What an event does that others of its partition are in progress with (``concurrency``).
        self.own_effects = Effects()
        #: What processors have sent for events that are in no list of `take` yet, or are in one.
        self.early: dict[tuple[Cursor, int], Mark] = {}
        #: What was acknowledged by hand of the list in progress: it counts with what the list does.
        self.acked: set[tuple[Cursor, int]] = set()

    @property
    def effects(self) -> Effects:
        """What the event in progress does is kept here, until it is finished or undone."""
        if self.shared:
            return self.own_effects
        assert self.cursor is not None
        return self.cursor

    def failed(self, *, redeliver: bool) -> None:
        """The agent raised: undo what the event in progress wrote.

        With ``redeliver`` the next iteration begins with the same event, otherwise after it.
        """
        self.undo()
        if redeliver and not self._acked_by_hand():
            self.replay = self.inside or bool(self.taken)
            self.inside = False
            if self.hooks is not None:
                self.hooks.event_out(self)
            if self.task is not None and self.task.gate is not None:
                self.leave_gate(self.task)
        else:
            self.leave_out()

    def undo(self) -> None:
        """Take back what the event in progress did; it is still in progress."""
        if self.cursor is not None:
            self.effects.undo()
        self.acked.clear()
        self._records = None  # a batch is gone on with from the start: what is finished is skipped

    def leave_out(self) -> None:
        """The event in progress is not handled; what was sent in its place since `undo` counts."""
        cursor = self.cursor
        if cursor is not None and cursor.task.alive and (self.inside or self.taken):
            self._note_seen()
            places = [(c, r.offset) for c, r in self._places()]
            self.join_early(places)
            if self.effects.has_effects:
                self._count(places, cursor)
        self._finish_quietly()
        if cursor is not None:
            self._withheld.settle(cursor.task)

    def _note_seen(self) -> None:
        """Forwarded records that are left out are not to come again, either."""
        lead = self.cursor
        if not self.sees_forwarded or lead is None:
            return
        for cursor, record in self._places():
            self.was_seen(cursor, record, lead)

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

    def hold_mark(self, mark: Mark, cursor: Cursor, offset: int) -> None:
        """Let a mark count when this offset is acknowledged, and all before it."""
        self._withheld.hold([(cursor, offset)], Held([], [mark]), by_offset=self.shared)

    def join_early(self, places: list[tuple[Cursor, int]]) -> None:
        """What processors have sent for these events counts with what they do."""
        if self.early:
            found = [self.early.pop(place) for place in places if place in self.early]
            self.effects.noted.extend(found)

    def split(self) -> bool:
        """The list in progress failed for good: hand its events out one by one; is it a list?

        Those that were acknowledged by hand, too: what they did was undone with the list.
        """
        if len(self.taken) < 2:
            return False
        self.failed(redeliver=True)
        self.singles.extendleft(reversed(self.taken))
        self.taken, self.replay = [], False
        return True

    def acknowledge_list(self) -> None:
        """The list in progress is over: what was acknowledged of it by hand is done."""
        acked, self.acked = self.acked, set()
        for cursor, offset in acked:
            if cursor.acks is not None:
                cursor.acks.done(offset)

    def is_in_list(self, cursor: Cursor, offset: int) -> bool:
        """Is this event in the list in progress?"""
        return any(c is cursor and r.offset == offset for c, r, _ in self.taken)

    def _acked_by_hand(self) -> bool:
        """Was the event in progress acknowledged before its agent raised?"""
        cursor, record = self.cursor, self.record
        if self.enable_acks or self.taken or not self.inside or cursor is None or record is None:
            return False
        return cursor.acks is not None and not cursor.acks.is_outstanding(record.offset)

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

    def acknowledge(self, cursor: Cursor, record: Any) -> None:
        """Where acks are out of order: this record is done, and others may count now."""
        if cursor.acks is not None:
            cursor.acks.done(record.offset)
            self._withheld.settle(cursor.task)

    def _ack_record(self, cursor: Cursor, record: Any) -> None:
        if cursor.acks is not None:
            cursor.acks.done(record.offset)
        elif cursor.task.alive:
            cursor.position = record.offset + 1

    async def leaves_out_key(self, exc: Exception) -> bool:
        """The key of the event in progress cannot be decoded: say so; is the event left out?

        If it is, it is undone, and what is sent in its place counts when it is finished.
        """
        cursor, record = self.cursor, self.record
        if cursor is None or record is None:
            return False
        message = Message.of_record(cursor.tp, record)
        await self.channel.on_key_decode_error(exc, message)
        self.effects.undo()
        if self.sees_forwarded:
            self.was_seen(cursor, record, cursor)
        return await self._leaves_out(cursor, record, exc)

    async def _leaves_out(self, cursor: Cursor, record: Any, exc: Exception) -> bool:
        with self.speaking():
            return await self.app.leaves_out(self, cursor, record, exc)

    async def undecodable(self, cursor: Cursor, record: Any, exc: Exception) -> Any:
        """Decode again the complete way; what fails then goes the way of the error policy.

        Raises:
            DecodeError: the value cannot be decoded and the policy is ``crash``; it is not lost.
        """
        self.inside = True
        try:
            return await self.channel.decode_again(cursor, record)
        except DecodeError as error:
            await self._left_out_undecoded(cursor, record, error)
            return SKIPPED

    async def undecodable_key(self, cursor: Cursor, record: Any, exc: Exception) -> None:
        """An event of a list that is about to be handed out has no key that can be decoded.

        Raises:
            DecodeError: the policy is ``crash``; it is not lost.
        """
        await self.channel.on_key_decode_error(exc, Message.of_record(cursor.tp, record))
        self.cursor, self.record, self.inside = cursor, record, True
        await self._left_out_undecoded(cursor, record, exc)

    async def _left_out_undecoded(self, cursor: Cursor, record: Any, error: Exception) -> None:
        """Leave a record out that nobody has been handed, or raise what is wrong with it.

        What others have done that are in the same list is on the cursor, too, and finishes later.
        """
        others = self.effects.has_effects
        seen = self.sees_forwarded and self.was_seen(cursor, record, cursor)
        if not seen and not await self._leaves_out(cursor, record, error):
            self.undecoded = error
            raise error
        if not others and self.effects.has_effects and cursor.task.alive:
            self._count([(cursor, record.offset)], cursor)
        self.acknowledge(cursor, record)
        self.leave()
