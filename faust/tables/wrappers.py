"""Windowed tables: a table seen through its windows.

``table.tumbling(10)`` returns a `WindowWrapper`; ``wrapper[key]`` is a
`~faust.tables.windowset.WindowSet`: all windows of one key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from faust.stores.overlay import ABSENT, DELETED
from faust.tables.eventtime import (
    EventTime,
    FieldTime,
    FixedTime,
    RelativeTo,
    WallTime,
    as_seconds,
)
from faust.tables.windowset import WindowSet, not_a_value
from faust.tables.windowviews import WindowedItems, WindowedKeys, WindowedValues
from faust.windows import Window, WindowRange

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.events import Event
    from faust.stores.overlay import Slice
    from faust.tables.base import Collection

__all__ = ["WindowSet", "WindowWrapper"]


class WindowWrapper(MutableMapping[Any, Any]):
    """A table seen through its windows.

    As a mapping it goes from keys to their `WindowSet`.  Iterating, ``len()`` and `keys` are about
    the keys that have a value in any window on this worker; `items` and `values` about one window.

    Arguments:
        table: The table; its ``window`` must be set.
        relative_to: The time that chooses the window of an event (default: the event's timestamp).
        key_index: Accepted for old callers, and not needed: the table itself knows its keys.
    """

    #: What its items are.
    ValueType: ClassVar[type[WindowSet[Any, Any]]] = WindowSet

    def __init__(
        self,
        table: Collection,
        *,
        relative_to: Any = None,
        key_index: bool = False,
        key_index_table: Any = None,
    ) -> None:
        if table.window is None:
            raise ValueError(f"table {table.name!r} has no windows")
        self.table = table
        self.window: Window = table.window
        self.key_index = key_index
        self.key_index_table = key_index_table
        self._clock = _as_clock(relative_to, table.app, table.name)
        self._own_clock = EventTime()
        self._overridden = type(self).on_set_key is not WindowWrapper.on_set_key
        table.add_wrapper(self)

    # -- what it is relative to ----------------------------------------------------------

    def clone(self, relative_to: Any) -> WindowWrapper:
        """Return the same windows, relative to something else (see `relative_to`)."""
        return type(self)(
            self.table,
            relative_to=relative_to,
            key_index=self.key_index,
            key_index_table=self.key_index_table,
        )

    def relative_to(self, ts: Any) -> WindowWrapper:
        """Return the same windows, relative to what ``ts`` says.

        Arguments:
            ts: A field (``Order.date``), a function of the event, a fixed time, or ``None`` for the
                event's timestamp.  All of them tell the time as a number (Unix time in seconds), a
                `datetime` or ISO 8601 text; without a zone it is UTC.
        """
        return self.clone(ts)

    def relative_to_now(self) -> WindowWrapper:
        """Return the same windows, relative to the worker's clock."""
        return self.clone(WallTime(self.table.app))

    def relative_to_field(self, field: Any) -> WindowWrapper:
        """Return the same windows, relative to a field of the event's value."""
        if not hasattr(field, "getattr"):
            raise TypeError(f"relative_to_field() takes a model's field, not {field!r}")
        return self.clone(field)

    def relative_to_stream(self) -> WindowWrapper:
        """Return the same windows, relative to the timestamp of the event (the default)."""
        return self.clone(EventTime())

    @property
    def get_relative_timestamp(self) -> Callable[[Any], float]:
        """The function from an event to the time that chooses its window."""
        return self._clock.of

    @property
    def by_wall_clock(self) -> bool:
        """Is it relative to the worker's clock?"""
        return isinstance(self._clock, WallTime)

    def get_timestamp(self, event: Event[Any] | None = None) -> float:
        """Return the time of an event (default: the one in progress) by what it is relative to.

        Raises:
            RuntimeError: it needs an event, and there is none.
        """
        return self._timestamp(self._clock, event)

    def stream_timestamp(self, event: Event[Any] | None = None) -> float:
        """Return the event's own timestamp; without any event, as `get_timestamp`."""
        if event is None and self._own_clock.in_progress() is None:
            return self.get_timestamp()
        return self._timestamp(self._own_clock, event)

    def _timestamp(self, clock: RelativeTo, event: Event[Any] | None) -> float:
        timestamp = clock.in_progress() if event is None else clock.of(event)
        if timestamp is None:
            raise RuntimeError(
                f"table {self.table.name!r}: which window is meant is told by an event, and none "
                f"is being processed here: use now(), relative_to_now(), or pass event="
            )
        return timestamp

    def now(self) -> float:
        """Return the time on the worker's clock, Unix time in seconds."""
        return self.table.app.clock.time()

    # -- reading and writing windows -----------------------------------------------------

    def range_at(self, key: Any, timestamp: float) -> WindowRange:
        """Return the (latest) window of a time."""
        return self.window.current(timestamp)

    def picks(self, window_range: WindowRange, timestamp: float) -> bool:
        """Is this the (latest) window of a time?"""
        return window_range == self.window.current(timestamp)

    def read(self, key: Any, window_range: Any) -> Any:
        """Return the value of a key in one window, or the table's default."""
        if self.table.watched:
            self.table.on_key_get((key, window_range))
        value = self.table.lookup((key, window_range))
        return self.default_of(key) if value is ABSENT else value

    def default_of(self, key: Any) -> Any:
        """Return what a key has in a window in which it has nothing.

        Raises:
            KeyError: the table has no default.
        """
        if self.table.default is None:
            raise KeyError(key)
        return self.table.default()

    def apply(
        self, key: Any, op: Callable[[Any, Any], Any], value: Any, event: Event[Any] | None
    ) -> None:
        """Replace the value in every window of the event's time by ``op`` of it and ``value``."""
        timestamp = self.get_timestamp(event)
        ranges = self.window.ranges(timestamp)
        piece, ranges = self._admitted(key, ranges, timestamp)
        expiry = self.table.expiry
        changed = []
        for each in ranges:
            kept = piece.key_of((key, each))
            before = piece.get(kept)
            if before is ABSENT:
                before = self.default_of(key)
            changed.append((kept, each, op(before, value)))
        for kept, each, after in changed:
            piece.set(kept, after)
            if expiry is not None:
                expiry.written(piece, each.end, kept)
            if self._tells:
                self._tell_set(key, each, after)

    @property
    def _tells(self) -> bool:
        return self.table.watched or self._overridden

    def _tell_set(self, key: Any, window_range: WindowRange, value: Any) -> None:
        if self.table.watched:
            self.table.on_key_set((key, window_range), value)
        self.on_set_key(key, value)

    def on_set_key(self, key: Any, value: Any) -> None:
        """Called when a key was set, in one window after the other; override to be told."""

    def on_del_key(self, key: Any) -> None:
        """Called when a key was deleted from some windows; override to be told."""

    def _admitted(
        self, key: Any, ranges: list[WindowRange], timestamp: float | None
    ) -> tuple[Slice, list[WindowRange]]:
        """Return the slice to write, and those of the ranges that are not closed."""
        table = self.table
        piece = table.slice_for_write()
        if table.is_global:
            for each in ranges:
                table.slice_for_write_of((key, each))
        if table.expiry is not None:
            admitted = table.expiry.admit(piece, timestamp, ranges)
            if table.late_callbacks and len(admitted) < len(ranges):
                self._tell_late(key, [each for each in ranges if each not in admitted])
            return piece, admitted
        return piece, ranges

    def _tell_late(self, key: Any, ranges: list[WindowRange]) -> None:
        for each in ranges:
            for fun in self.table.late_callbacks:
                fun(key, each)

    def write(self, key: Any, value: Any, event: Event[Any] | None = None) -> None:
        """Set the value in every window of the event's time."""
        timestamp = self.get_timestamp(event)
        self.write_ranges(key, value, self.window.ranges(timestamp), timestamp)

    def write_ranges(
        self, key: Any, value: Any, ranges: list[WindowRange], timestamp: float | None
    ) -> None:
        """Set the value in these windows; a ``timestamp`` moves the partition's time."""
        piece, ranges = self._admitted(key, ranges, timestamp)
        expiry = self.table.expiry
        for each in ranges:
            kept = piece.key_of((key, each))
            piece.set(kept, value)
            if expiry is not None:
                expiry.written(piece, each.end, kept)
            if self._tells:
                self._tell_set(key, each, value)

    def delete(self, key: Any, event: Event[Any] | None = None) -> None:
        """Delete the key from every window of the event's time."""
        self.delete_ranges(key, self.window.ranges(self.get_timestamp(event)))

    def delete_ranges(self, key: Any, ranges: Iterable[WindowRange]) -> None:
        """Delete the key from these windows.

        Raises:
            KeyError: it is in none of them.
        """
        piece = self.table.slice_for_write()
        found = [each for each in ranges if piece.get(piece.key_of((key, each))) is not ABSENT]
        if not found:
            raise KeyError(key)
        for each in found:
            piece.set(piece.key_of((key, each)), DELETED)
            if self.table.watched:
                self.table.on_key_del((key, each))
        self.on_del_key(key)

    def windows(self) -> Iterator[tuple[Any, WindowRange, Any]]:
        """Iterate over (key, range, value) of all windows that are here."""
        for ranged, value in self.table.raw_items():
            if type(ranged) is tuple and len(ranged) == 2 and type(ranged[1]) is WindowRange:
                yield ranged[0], ranged[1], value

    # -- a mapping of keys ---------------------------------------------------------------

    def __getitem__(self, key: Any) -> WindowSet[Any, Any]:
        return self.ValueType(key, self.table, self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, WindowSet):
            if value.wrapper.table is self.table and value.key == key:
                return  # the second half of ``table[key] += 1``: it is written
            raise not_a_value(value)
        self.write(key, value)

    def __delitem__(self, key: Any) -> None:
        self.delete(key)

    def __contains__(self, key: object) -> bool:
        """Has the key a value in the window that the table is relative to?"""
        window_range = self.range_at(key, self.get_timestamp())
        return self.table.lookup((key, window_range)) is not ABSENT

    def __iter__(self) -> Iterator[Any]:
        return iter(dict.fromkeys(key for key, _, _ in self.windows()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def keys(self) -> Any:
        """Return a view of all keys; its ``now()``, ``current()`` and ``delta()`` pick a window."""
        return WindowedKeys(self)

    def values(self, event: Event[Any] | None = None) -> Any:
        """Return a view of the values in the window that the table is relative to."""
        return WindowedValues(self, event)

    def items(self, event: Event[Any] | None = None) -> Any:
        """Return a view of (key, value) in the window that the table is relative to."""
        return WindowedItems(self, event)

    # -- the table -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.table.name

    def on_recover(self, fun: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Decorate a coroutine function that is called whenever a restore has finished."""
        return self.table.on_recover(fun)

    def on_late(
        self, fun: Callable[[Any, WindowRange], None]
    ) -> Callable[[Any, WindowRange], None]:
        """Decorate a function that is called with (key, range) when a write comes too late for its
        window (see `faust.tables.base.Collection.on_late`)."""
        return self.table.on_late(fun)

    def as_ansitable(self, title: str = "{table.name}", **options: Any) -> str:
        """Return the window that the table is relative to as a table for a terminal.

        Arguments: as `Table.as_ansitable`.
        """
        from faust.tables.ansitable import ansitable

        return ansitable(self.items(), title=title.format(table=self.table), **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.table.name} {self.window}>"


def _as_clock(given: Any, app: AppContext, table: str) -> RelativeTo:
    """Return what tells the time, for what users may say that a table is relative to.

    Raises:
        TypeError: it is nothing of the kind.
    """
    if given is None:
        return EventTime()
    if isinstance(given, RelativeTo):
        return given
    if hasattr(given, "getattr"):
        name = f"table {table!r}: field {getattr(given, 'ident', given)}"
        return FieldTime(lambda event: given.getattr(event.value), name)
    if isinstance(given, datetime | int | float | str) and not isinstance(given, bool):
        return FixedTime(as_seconds(given, f"table {table!r}: relative_to()"))
    if callable(given):
        return FieldTime(given, f"table {table!r}: what relative_to() calls")
    raise TypeError(
        f"table {table!r} cannot be relative to {given!r}: give a field, a function of the event, "
        f"a datetime or a number"
    )
