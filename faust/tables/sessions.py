"""Session windows of a table: what comes without a pause.

Theory.  A session of a key is kept as any window, under ``(key, (start, end))``, but its range
changes: an event that belongs to it moves its end (or its start, where events come out of order),
and one that touches two makes them one.  So a write looks for the sessions of the key that the
event's own range ``[t, t + gap)`` overlaps, deletes them, and writes one in their place.  All of
these are writes of the event: failing undoes them together.

Which sessions a key has is told by an index in memory, made from the keys of the slice at the first
write, about 100 bytes for each session.  It names candidates only: whether one is there is asked of
the slice, so undoing an event needs nothing here.

A session that is closed (`faust.tables.expiry`) is never joined again, whether or not it has been
swept: what an event counts in depends on the events before it alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from faust.stores.overlay import ABSENT, DELETED
from faust.tables.ranges import key_of, range_of
from faust.tables.wrappers import WindowWrapper
from faust.windows import SessionWindow, WindowRange

if TYPE_CHECKING:
    from faust._machines.effects import TaskRun
    from faust.events import Event
    from faust.stores.overlay import Slice
    from faust.tables.base import Collection

__all__ = ["SessionWrapper"]

#: Encoded key without its range -> ranges that the key may have.
Index = dict[bytes, list[WindowRange]]


class SessionWrapper(WindowWrapper):
    """A table seen through its sessions.

    ``table[key] += n`` counts in the session of the event; ``value()``, ``now()`` and the views
    pick the session that holds the time.

    Arguments:
        table: The table; its ``window`` must be a `SessionWindow`.
        merge: Makes one value of those of two sessions that an event has joined, the earlier first
            (default: their sum).
    """

    def __init__(
        self,
        table: Collection,
        *,
        merge: Callable[[Any, Any], Any] | None = None,
        relative_to: Any = None,
        key_index: bool = False,
        key_index_table: Any = None,
    ) -> None:
        super().__init__(
            table, relative_to=relative_to, key_index=key_index, key_index_table=key_index_table
        )
        if not isinstance(self.window, SessionWindow):
            raise TypeError(f"table {table.name!r} has no sessions, but {self.window}")
        if merge is not None and not callable(merge):
            raise TypeError(f"table {table.name!r}: merge takes a function, not {merge!r}")
        self.merge = merge or operator.add
        self._indexes: WeakKeyDictionary[TaskRun, Index] = WeakKeyDictionary()

    def clone(self, relative_to: Any) -> WindowWrapper:
        """Return the same sessions, relative to something else."""
        return type(self)(self.table, merge=self.merge, relative_to=relative_to)

    # -- reading -------------------------------------------------------------------------

    def range_at(self, key: Any, timestamp: float) -> WindowRange:
        """Return the session of a key that holds a time; what a new one would be, if none does."""
        alone = self.window.current(timestamp)
        piece = self.table.current_slice()
        for each in self._candidates(piece, key, alone):
            if self.picks(each, timestamp) and self.table.lookup((key, each)) is not ABSENT:
                return each
        return alone

    def picks(self, window_range: WindowRange, timestamp: float) -> bool:
        """Does a session hold this time?"""
        return window_range.start <= timestamp < window_range.end

    # -- writing -------------------------------------------------------------------------

    def apply(
        self, key: Any, op: Callable[[Any, Any], Any], value: Any, event: Event[Any] | None
    ) -> None:
        """Replace the value of the session of the event's time by ``op`` of it and ``value``."""

        def change(before: Any) -> Any:
            return op(self.default_of(key) if before is ABSENT else before, value)

        self._join(key, event, change)

    def write(self, key: Any, value: Any, event: Event[Any] | None = None) -> None:
        """Set the value of the session of the event's time."""
        self._join(key, event, lambda _: value)

    def write_ranges(
        self, key: Any, value: Any, ranges: list[WindowRange], timestamp: float | None
    ) -> None:
        """Set the value of sessions that are named by their ranges."""
        super().write_ranges(key, value, ranges, timestamp)
        piece = self.table.slice_for_write()
        for each in ranges:
            self._note(piece, key, each)

    def delete(self, key: Any, event: Event[Any] | None = None) -> None:
        """Delete the session of the event's time.

        Raises:
            KeyError: there is none.
        """
        self.delete_ranges(key, [self.range_at(key, self.get_timestamp(event))])

    def _join(self, key: Any, event: Event[Any] | None, change: Callable[[Any], Any]) -> None:
        """Let an event into the session that it belongs to, or makes, or makes of several."""
        timestamp = self.get_timestamp(event)
        alone = self.window.current(timestamp)
        piece, expiry = self.table.slice_for_write(), self.table.expiry
        if expiry is not None:
            expiry.observe(piece, timestamp)
        joined = sorted(
            each
            for each in self._sessions(piece, key, alone)
            if each.start < alone.end
            and alone.start < each.end
            and (expiry is None or not expiry.is_closed(piece, each))
        )
        whole = WindowRange(
            min(each.start for each in (alone, *joined)), max(each.end for each in (alone, *joined))
        )
        if not self._admitted(key, [whole], timestamp)[1]:
            return
        before = ABSENT
        for each in joined:
            value = piece.get(piece.key_of((key, each)))
            before = value if before is ABSENT else self.merge(before, value)
        after = change(before)
        for each in joined:
            if each != whole:
                piece.set(piece.key_of((key, each)), DELETED)
        kept = piece.key_of((key, whole))
        piece.set(kept, after)
        self._note(piece, key, whole)
        if expiry is not None:
            expiry.written(piece, whole.end, kept)
        if self._tells:
            self._tell_set(key, whole, after)

    # -- which sessions there are -----------------------------------------------------------

    def _sessions(self, piece: Slice, key: Any, alone: WindowRange) -> list[WindowRange]:
        """Return the sessions that a key has; forget candidates that are gone for good."""
        found, gone = [], []
        for each in self._candidates(piece, key, alone):
            kept = piece.key_of((key, each))
            if piece.get(kept) is not ABSENT:
                found.append(each)
            elif piece.is_free(kept):
                gone.append(each)
        if gone:
            index, name = self._index(piece), _name(piece, key, alone)
            index[name] = [each for each in index[name] if each not in gone]
            if not index[name]:
                del index[name]
        return found

    def _candidates(self, piece: Slice | None, key: Any, alone: WindowRange) -> list[WindowRange]:
        """Return the ranges that sessions of a key may have, here or in any slice."""
        pieces = list(self.table.slices.values()) if piece is None else [piece]
        return [each for one in pieces for each in self._index(one).get(_name(one, key, alone), ())]

    def _note(self, piece: Slice, key: Any, window_range: WindowRange) -> None:
        candidates = self._index(piece).setdefault(_name(piece, key, window_range), [])
        if window_range not in candidates:
            candidates.append(window_range)

    def _index(self, piece: Slice) -> Index:
        index = self._indexes.get(piece.task)
        if index is None:
            index = self._indexes[piece.task] = {}
            for raw in piece.raw_keys():
                window_range = range_of(raw)
                if window_range is not None:
                    index.setdefault(key_of(raw), []).append(window_range)
        return index


def _name(piece: Slice, key: Any, window_range: WindowRange) -> bytes:
    raw: bytes = piece.key_of((key, window_range))[0]
    return key_of(raw)
