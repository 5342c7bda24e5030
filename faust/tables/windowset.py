"""All windows of one key.

Bound to the event in progress: writing changes every window that the event's time belongs to;
reading picks one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faust.events import Event
from faust.stores.overlay import ABSENT
from faust.utils.times import Seconds, want_seconds
from faust.windows import WindowRange

if TYPE_CHECKING:
    from faust.tables.base import Collection
    from faust.tables.windowport import Windows

__all__ = ["WindowSet", "not_a_value"]

KT = TypeVar("KT")
VT = TypeVar("VT")


class WindowSet(MutableMapping[Any, VT], Generic[KT, VT]):
    """All windows of one key.

    As a mapping it goes from window ranges, ``(start, end)``, to values.  Indexing it with an event
    binds it to that event; assigning by event writes all windows of the event's time.

    Compared with anything but another `WindowSet` it stands for its `value`: ``table[key] == 3``
    and ``if table[key] > 3`` ask for the window that the table is relative to.

    Arguments:
        key: The key.
        table: The table.
        wrapper: The table with its windows.
        event: Bind to this event instead of the one in progress.
    """

    __slots__ = ("event", "key", "table", "wrapper")

    def __init__(
        self,
        key: KT,
        table: Collection,
        wrapper: Windows,
        event: Event[Any] | None = None,
    ) -> None:
        self.key = key
        self.table = table
        self.wrapper = wrapper
        self.event = event

    # -- reading one window --------------------------------------------------------------

    def value(self, event: Event[Any] | None = None) -> VT:
        """Return the value in the window of the time that the table is relative to.

        Raises:
            RuntimeError: that is the time of an event, and there is none.
            KeyError: there is no value, and the table has no default.
        """
        return self._at(self.wrapper.get_timestamp(event or self.event))

    def current(self, event: Event[Any] | None = None) -> VT:
        """Return the value in the window of the event's own timestamp, whatever the table is
        relative to; raises as `value`."""
        return self._at(self.wrapper.stream_timestamp(event or self.event))

    def now(self) -> VT:
        """Return the value in the window of this moment, by the worker's clock."""
        return self._at(self.wrapper.now())

    def delta(self, d: Seconds, event: Event[Any] | None = None) -> VT:
        """Return the value ``d`` seconds before the event's own timestamp; raises as `value`."""
        timestamp = self.wrapper.stream_timestamp(event or self.event)
        return self._at(timestamp - want_seconds(d))

    def _at(self, timestamp: float) -> VT:
        value: VT = self.wrapper.read(self.key, self.wrapper.range_at(self.key, timestamp))
        return value

    # -- writing all windows of a time ---------------------------------------------------

    def apply(
        self, op: Callable[[Any, Any], Any], value: Any, event: Event[Any] | None = None
    ) -> WindowSet[KT, VT]:
        """Replace the value ``v`` of every window of the event's time by ``op(v, value)``.

        Raises:
            KeyError: a window has no value, and the table no default; nothing was changed then.
        """
        self.wrapper.apply(self.key, op, value, event or self.event)
        return self

    def __iadd__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.add, other)

    def __isub__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.sub, other)

    def __imul__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.mul, other)

    def __itruediv__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.truediv, other)

    def __ifloordiv__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.floordiv, other)

    def __imod__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.mod, other)

    def __ipow__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.pow, other)

    def __ilshift__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.lshift, other)

    def __irshift__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.rshift, other)

    def __iand__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.and_, other)

    def __ior__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.or_, other)

    def __ixor__(self, other: Any) -> WindowSet[KT, VT]:
        return self.apply(operator.xor, other)

    # -- a mapping of ranges -------------------------------------------------------------

    def __getitem__(self, w: Any) -> Any:
        if isinstance(w, Event):
            return type(self)(self.key, self.table, self.wrapper, w)
        return self.wrapper.read(self.key, w)

    def __setitem__(self, w: Any, value: VT) -> None:
        if value is self:
            return  # the second half of ``table[key][event] += 1``
        if isinstance(value, WindowSet):
            if value.key == self.key and value.wrapper.table is self.table:
                return
            raise not_a_value(value)
        if isinstance(w, Event):
            self.wrapper.write(self.key, value, w)
        else:
            self.wrapper.write_ranges(self.key, value, [WindowRange(*w)], None)

    def __delitem__(self, w: Any) -> None:
        if isinstance(w, Event):
            self.wrapper.delete(self.key, w)
        else:
            self.wrapper.delete_ranges(self.key, [WindowRange(*w)])

    def __contains__(self, w: object) -> bool:
        if isinstance(w, Event):
            w = self.wrapper.range_at(self.key, self.wrapper.get_timestamp(w))
        return isinstance(w, tuple) and self.table.lookup((self.key, w)) is not ABSENT

    def __iter__(self) -> Iterator[WindowRange]:
        """Iterate over the ranges in which the key has a value, earliest first."""
        return iter(sorted(w for key, w, _ in self.wrapper.windows() if key == self.key))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    # -- standing for its value ----------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if isinstance(other, WindowSet):
            same_table = self.table is other.table
            return same_table and self.key == other.key and self.event is other.event
        return bool(self.value() == other)

    __hash__ = None  # type: ignore[assignment]  # its value changes

    def __bool__(self) -> bool:
        return bool(self.value())

    def __lt__(self, other: Any) -> Any:
        return self.value() < _value_of(other)

    def __le__(self, other: Any) -> Any:
        return self.value() <= _value_of(other)

    def __gt__(self, other: Any) -> Any:
        return self.value() > _value_of(other)

    def __ge__(self, other: Any) -> Any:
        return self.value() >= _value_of(other)

    def __repr__(self) -> str:
        try:
            shown = f"value={self.value()!r}"
        except KeyError:
            shown = "no value"
        except (RuntimeError, ValueError):
            shown = "outside of any event"
        return f"<{type(self).__name__}: {self.table.name}[{self.key!r}] {shown}>"


def _value_of(other: Any) -> Any:
    return other.value() if isinstance(other, WindowSet) else other


def not_a_value(window_set: WindowSet[Any, Any]) -> TypeError:
    """Return the error for storing all windows of a key as a value."""
    return TypeError(
        f"{window_set.table.name}[{window_set.key!r}] stands for all windows of a key and cannot "
        f"be stored: use its value(), current(), now() or delta()"
    )
