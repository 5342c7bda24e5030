"""Views of a windowed table: its keys, values and items in one window."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from faust.stores.overlay import ABSENT
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust.events import Event
    from faust.tables.windowport import Windows

__all__ = ["WindowedItems", "WindowedKeys", "WindowedValues"]


class _View:
    """What the three views have in common.

    A key that has no value in the window is left out; where the table has a default, that is shown.
    """

    def __init__(self, wrapper: Windows, event: Event[Any] | None = None) -> None:
        self._wrapper = wrapper
        self._event = event

    @abstractmethod
    def _of(self, key: Any, value: Any) -> Any:
        """Return what the view shows of a key and a value."""

    def now(self) -> Iterator[Any]:
        """Iterate over the window of this moment, by the worker's clock."""
        return self._at(self._wrapper.now())

    def current(self, event: Event[Any] | None = None) -> Iterator[Any]:
        """Iterate over the window of the event's own timestamp.

        Raises:
            RuntimeError: there is no event.
        """
        return self._at(self._wrapper.stream_timestamp(event or self._event))

    def delta(self, d: Seconds, event: Event[Any] | None = None) -> Iterator[Any]:
        """Iterate over the window ``d`` seconds before the event's own timestamp.

        Raises:
            RuntimeError: there is no event.
        """
        timestamp = self._wrapper.stream_timestamp(event or self._event)
        return self._at(timestamp - want_seconds(d))

    def __iter__(self) -> Iterator[Any]:
        return self._at(self._wrapper.get_timestamp(self._event))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _at(self, timestamp: float) -> Iterator[Any]:
        found: dict[Any, Any] = {}
        picks = self._wrapper.picks
        for key, each, value in self._wrapper.windows():
            if picks(each, timestamp):
                found[key] = value
            else:
                found.setdefault(key, ABSENT)
        default = self._wrapper.table.default
        for key, value in found.items():
            if value is not ABSENT:
                yield self._of(key, value)
            elif default is not None:
                yield self._of(key, default())


class WindowedItems(_View):
    """(key, value) in one window."""

    def _of(self, key: Any, value: Any) -> Any:
        return key, value

    def __contains__(self, item: object) -> bool:
        return any(each == item for each in self)


class WindowedValues(_View):
    """Values in one window."""

    def _of(self, key: Any, value: Any) -> Any:
        return value

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)


class WindowedKeys(_View):
    """Keys: all that have a value in any window, or, by its methods, those of one window."""

    def _of(self, key: Any, value: Any) -> Any:
        return key

    def __iter__(self) -> Iterator[Any]:
        return iter(self._wrapper)

    def __contains__(self, key: object) -> bool:
        return any(each == key for each in self)
