"""What becomes of a stream's event that failed: handed out again, taken apart, or left out.

An event is *left out* when its agent does not handle it and it counts as finished all the same: its
own effects are undone, and what was sent in its place (a dead letter, a copy for a retry topic) is
an effect of the event in their stead, and counts when the position moves behind it.
"""

from __future__ import annotations

from typing import Any

from faust._acking import Acking
from faust._forwarded import was_seen
from faust._machines.effects import Cursor
from faust._values import Message
from faust.exceptions import DecodeError

__all__ = ["SKIPPED", "Failing"]

#: In place of a value: the event is left out, and counts as handled.
SKIPPED: Any = object()


class Failing(Acking):
    """The part of `faust.Stream` that knows what to do with an event that failed.

    Attributes:
        undecoded: What could not be decoded, and is not to be left out.
        sees_forwarded: Does it read what a stream of the same reader forwards?
    """

    abstract = False

    def __init__(self, channel: Any, **options: Any) -> None:
        super().__init__(channel, **options)
        self.undecoded: Exception | None = None
        self.sees_forwarded = False

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
            was_seen(self.reader, cursor, record, lead)

    def forget_failure(self) -> None:
        """What failed is being handed out again."""
        self.replay = False

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
            was_seen(self.reader, cursor, record, cursor)
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
        seen = self.sees_forwarded and was_seen(self.reader, cursor, record, cursor)
        if not seen and not await self._leaves_out(cursor, record, error):
            self.undecoded = error
            raise error
        if not others and self.effects.has_effects and cursor.task.alive:
            self._count([(cursor, record.offset)], cursor)
        self.acknowledge(cursor, record)
        self.leave()
