"""Effects of events that are over but not acknowledged: shown, and kept out of cuts.

They count in the order in which the events were over, over all partitions of a task: a later event
may have built on what an earlier one wrote.  An event that is acknowledged before an older one
therefore waits, and its position is not committed before its effects count (`Cursor.floor`).
Concurrent instances write no tables, and end their events in any order: theirs count in the order
of offsets.

Nothing counts at or above an offset whose own effects still wait: the position stays there, and
what had counted above it would come again after a crash.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

from faust._machines.effects import Cursor, Held, TaskRun

__all__ = ["Withheld"]


class _Entry(NamedTuple):
    """One event, or one list of them: who must have acknowledged what, and what counts then."""

    needs: tuple[tuple[Cursor, int], ...]
    release: Held

    @property
    def acknowledged(self) -> bool:
        """Is every event of it, and everything before it in its partition, acknowledged?"""
        return all(c.acks is None or c.acks.position > offset for c, offset in self.needs)

    @property
    def first(self) -> int:
        """Its lowest offset."""
        return min(offset for _, offset in self.needs)


class Withheld:
    """What one stream holds back."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, list[_Entry]] = {}

    def hold(
        self, needs: Sequence[tuple[Cursor, int]], release: Held, *, by_offset: bool = False
    ) -> None:
        """Hold back the effects of one event (or list).

        Arguments:
            needs: What must be acknowledged; all of one task.
            release: Lets them count.
            by_offset: Do they count in the order of offsets, and not in that of the calls?
        """
        entries = self._entries.setdefault(needs[0][0].task.incarnation, [])
        entry = _Entry(tuple(needs), release)
        if by_offset:
            insort(entries, entry, key=lambda each: each.first)
        else:
            entries.append(entry)
        for cursor, offset in needs:
            if cursor.floor is None or offset < cursor.floor:
                cursor.floor = offset

    def settle(self, run: TaskRun) -> None:
        """Let everything count that may, in order."""
        entries = self._entries.get(run.incarnation)
        if not entries:
            return
        done = 0
        while done < len(entries) and entries[done].acknowledged:
            done += 1
        while done and _reaches_beyond(entries[:done], entries[done:]):
            done -= 1
        if not done:
            return
        for entry in entries[:done]:
            entry.release()
        for entry in entries[:done]:
            for cursor, _ in entry.needs:
                cursor.floor = None
        del entries[:done]
        for entry in entries:
            for cursor, offset in entry.needs:
                if cursor.floor is None or offset < cursor.floor:
                    cursor.floor = offset
        if not entries:
            del self._entries[run.incarnation]

    def drop(self, run: TaskRun) -> None:
        """A task is over: what was held of it will be done again elsewhere."""
        for entry in self._entries.pop(run.incarnation, ()):
            entry.release.drop()

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))


def _reaches_beyond(these: Sequence[_Entry], others: Sequence[_Entry]) -> bool:
    """Have some of these a higher offset in a partition than one of the others?"""
    last: dict[Cursor, int] = {}
    for entry in these:
        for cursor, offset in entry.needs:
            last[cursor] = max(offset, last.get(cursor, -1))
    return any(offset < last.get(c, -1) for entry in others for c, offset in entry.needs)
