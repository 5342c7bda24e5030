"""Tables: distributed dictionaries.

``__getitem__`` and ``__setitem__`` are on the hot path: in an event, a read or write of a scalar
costs one context variable, three dictionary look-ups and no further Python call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from faust._inprogress import current_stream
from faust.stores.overlay import ABSENT, DELETED, SCALARS
from faust.tables import wrappers
from faust.tables.base import Collection

if TYPE_CHECKING:
    from faust.tables.sessions import SessionWrapper
    from faust.utils.times import Seconds
    from faust.windows import Window

__all__ = ["CommittedView", "Table"]

KT = TypeVar("KT")
VT = TypeVar("VT")


class Table(Collection, MutableMapping[KT, VT], Generic[KT, VT]):
    """A dictionary whose keys are spread over the workers, kept in a changelog (see `Collection`).

    Only an agent that is handling an event of a topic may write it.  A key that is missing is
    *added* with its default when it is read there.  Pages, timers and other threads read what
    finished events have left; `committed` is the view that a crash cannot take back.

    Subclasses may override `on_key_get`, `on_key_set`, `on_key_del` and `on_clear`.

    Attributes:
        WindowWrapper: The class of this table seen through windows.
    """

    WindowWrapper: ClassVar[type[wrappers.WindowWrapper]] = wrappers.WindowWrapper

    # -- hot path -------------------------------------------------------------------------

    def __getitem__(self, key: KT) -> VT:
        stream = current_stream()
        if stream is not None and stream.inside:
            piece = self.slices.get(stream.task)  # type: ignore[arg-type]  # None is in no table
            if piece is not None:
                piece.reads += 1
                kind = type(key)
                kept: Any = key if kind is str or kind is int else piece.key_of(key)
                value = piece.live.get(kept, ABSENT)
                kind = type(value)
                if kind is not int and kind not in SCALARS:
                    value = piece.get(kept)
                    if value is ABSENT:
                        return self.__missing__(key)
                return value  # type: ignore[no-any-return]  # the slice holds values of this table
        return self._read_outside(key)

    def __setitem__(self, key: KT, value: VT) -> None:
        stream = current_stream()
        piece = None
        if stream is not None and stream.inside:
            piece = self.writable.get(stream.cursor)  # type: ignore[arg-type]  # None is not in it
        if piece is None:
            piece = self.slice_for_write()
        kind = type(key)
        kept: Any = key if kind is str or kind is int else piece.key_of(key)
        live, dirty = piece.live, piece.dirty
        before = live.get(kept, ABSENT)
        stream.cursor.undo_log.append(  # type: ignore[union-attr]  # slice_for_write() has looked
            (piece, kept, before, dirty.get(kept, ABSENT))
        )
        live[kept] = dirty[kept] = value
        written = type(value)
        if written is not int and written not in SCALARS:
            piece.note_fresh(kept)

    # -- the rest of a dictionary ----------------------------------------------------------

    def __missing__(self, key: KT) -> VT:
        """Add the default of a key that is missing (in an event of an agent that may write)."""
        if self.default is None:
            raise KeyError(key)
        value: VT = self.default()
        stream = current_stream()
        if stream is not None and stream.may_write:
            self[key] = value
        return value

    def _read_outside(self, key: KT) -> VT:
        value = self.lookup(key)
        if value is ABSENT:
            if self.default is None:
                raise KeyError(key)
            value = self.default()
        return value  # type: ignore[no-any-return]  # the slice holds values of this table

    def __delitem__(self, key: KT) -> None:
        piece = self.slice_for_write()
        kept = piece.key_of(key)
        if piece.get(kept) is ABSENT:
            raise KeyError(key)
        piece.set(kept, DELETED)

    def __contains__(self, key: object) -> bool:
        return self.lookup(key) is not ABSENT

    def get(self, key: KT, default: Any = None) -> Any:
        """Return the value of a key that is there, else ``default``; adds nothing."""
        value = self.lookup(key)
        return default if value is ABSENT else value

    def pop(self, key: KT, *default: Any) -> Any:
        """Delete a key and return its value; without it, ``default`` or `KeyError`."""
        value = self.lookup(key)
        if value is ABSENT:
            if default:
                return default[0]
            raise KeyError(key)
        del self[key]
        return value

    def setdefault(self, key: KT, default: Any = None) -> Any:
        """Return the value of a key; where it is missing, write ``default`` first."""
        value = self.lookup(key)
        if value is ABSENT:
            self[key] = value = default
        return value

    def __iter__(self) -> Iterator[KT]:
        return (key for key, _ in self.raw_items())

    def __len__(self) -> int:
        return self.count_keys()

    def __bool__(self) -> bool:
        return True

    def items(self) -> Any:
        """Return a view of the keys and values of the partitions that are here."""
        return _Items(self)

    def values(self) -> Any:
        """Return a view of the values of the partitions that are here."""
        return _Values(self)

    def clear(self) -> None:
        """Delete all keys of the task whose event is in progress."""
        piece = self.slice_for_write()
        for key, _ in list(piece.items()):
            piece.set(piece.key_of(key), DELETED)

    @property
    def committed(self) -> CommittedView[KT, VT]:
        """The view of this table that a crash cannot take back (read only)."""
        return CommittedView(self)

    def as_dict(self) -> dict[KT, VT]:
        """Return a copy of what is here."""
        return dict(self.raw_items())

    def as_ansitable(self, title: str = "{table.name}", **options: Any) -> str:
        """Return what is here as a table for a terminal.

        Arguments:
            title: Shown in the border; ``{table}`` is this table.
            key, value: Names of the columns (default: ``Key`` and ``Value``).
            sort: Sort the rows, by ``sortkey`` of (key, value) if given, else by the key.
        """
        from faust.tables.ansitable import ansitable

        return ansitable(self.raw_items(), title=title.format(table=self), **options)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    # -- windows ------------------------------------------------------------------------------

    def tumbling(
        self, size: Seconds, expires: Seconds | None = None, key_index: bool = False
    ) -> wrappers.WindowWrapper:
        """Return this table with tumbling windows of ``size`` seconds."""
        from faust.windows import TumblingWindow

        return self.using_window(TumblingWindow(size, expires), key_index=key_index)

    def hopping(
        self,
        size: Seconds,
        step: Seconds,
        expires: Seconds | None = None,
        key_index: bool = False,
    ) -> wrappers.WindowWrapper:
        """Return this table with windows of ``size`` seconds, one beginning every ``step``."""
        from faust.windows import HoppingWindow

        return self.using_window(HoppingWindow(size, step, expires), key_index=key_index)

    def sliding(
        self,
        before: Seconds,
        after: Seconds,
        expires: Seconds | None = None,
        key_index: bool = False,
    ) -> wrappers.WindowWrapper:
        """Return this table with a window around each event."""
        from faust.windows import SlidingWindow

        return self.using_window(SlidingWindow(before, after, expires), key_index=key_index)

    def session(
        self,
        gap: Seconds,
        expires: Seconds | None = None,
        merge: Callable[[Any, Any], Any] | None = None,
    ) -> SessionWrapper:
        """Return this table with sessions: events of a key that are less than ``gap`` apart.

        Arguments:
            gap: Seconds without an event after which a session is over.
            expires: Seconds after its end for which it waits for late events, and is kept.
            merge: Makes one value of those of two sessions that an event has joined, the earlier
                first (default: their sum).
        """
        from faust.tables.sessions import SessionWrapper
        from faust.windows import SessionWindow

        self.set_window(SessionWindow(gap, expires))
        return SessionWrapper(self, merge=merge)

    def using_window(self, window: Window, *, key_index: bool = False) -> wrappers.WindowWrapper:
        """Return this table with the given windows."""
        from faust.windows import SessionWindow

        if isinstance(window, SessionWindow):
            return self.session(window.gap, window.expires)
        self.set_window(window)
        return self.WindowWrapper(self, key_index=key_index)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} partitions={len(self.slices)}>"


class _Items:
    """A view of (key, value) pairs, as ``dict.items()``."""

    def __init__(self, table: Table[Any, Any]) -> None:
        self._table = table

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._table.raw_items()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        value = self._table.lookup(item[0])
        return value is not ABSENT and bool(value == item[1])


class _Values(_Items):
    """A view of the values, as ``dict.values()``."""

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._table.raw_items())

    def __contains__(self, item: object) -> bool:
        return any(value == item for value in self)


class CommittedView(Generic[KT, VT]):
    """Reads only what has been committed."""

    def __init__(self, table: Table[KT, VT]) -> None:
        self._table = table

    def __getitem__(self, key: KT) -> VT:
        value = self._table.lookup_committed(key)
        if value is ABSENT:
            raise KeyError(key)
        return value  # type: ignore[no-any-return]  # the store holds values of this table

    def get(self, key: KT, default: Any = None) -> Any:
        """Return the committed value of a key, else ``default``."""
        value = self._table.lookup_committed(key)
        return default if value is ABSENT else value

    def __contains__(self, key: object) -> bool:
        return self._table.lookup_committed(key) is not ABSENT

    def items(self) -> Iterator[tuple[KT, VT]]:
        """Iterate over the committed keys and values that are here."""
        for piece in list(self._table.slices.values()):
            codec = piece.codec
            for raw, data in piece.store.items():
                yield codec.load_key(raw), codec.load_value(data)
