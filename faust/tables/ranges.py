"""Keys of windowed tables: ``(key, (start, end))``, in the log ``["k",[1000.0,1010.0]]``.

The key itself is encoded as in any table, whatever its codec; the range follows it as JSON.  A
range holds no bracket, so the last ``,[`` is where it begins, and the end of a window can be read
from the bytes alone: expiry decodes no keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust.windows import WindowRange

__all__ = ["end_of", "key_of", "range_of", "ranged_dump", "ranged_load"]


def ranged_dump(dump: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the function that encodes (key, range), by the one that encodes the key.

    A key of type ``str`` or ``int`` without a range stays what it is: the table has been written
    without its windows.  Any other raises `TypeError`.
    """
    recent: Any = None
    suffix = b""

    def dump_ranged(ranged: Any) -> bytes:
        nonlocal recent, suffix
        try:
            key, window_range = ranged
            if window_range != recent:
                start, end = window_range
                suffix = b",[%r,%r]]" % (float(start), float(end))
                recent = WindowRange(start, end)
        except (TypeError, ValueError):
            return _dump_plain(dump, ranged)
        if type(ranged) is not tuple:
            return _dump_plain(dump, ranged)
        return b"[" + dump(key) + suffix

    return dump_ranged


def _dump_plain(dump: Callable[[Any], bytes], key: Any) -> bytes:
    if type(key) is str or type(key) is int:
        return dump(key)
    raise TypeError(
        f"the keys of a windowed table are (key, (start, end)), not {key!r}: read and write it "
        f"through what tumbling(), hopping(), sliding() or using_window() returned"
    )


def ranged_load(load: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return the function that decodes (key, range), by the one that decodes the key."""

    def load_ranged(data: bytes) -> Any:
        window_range = range_of(data)
        if window_range is None:
            return load(data)
        return load(key_of(data)[1:]), window_range

    return load_ranged


def key_of(data: bytes) -> bytes:
    """Return what all windows of one key have in common in their encoded keys."""
    return data[: data.rfind(b",[")]


def range_of(data: bytes) -> WindowRange | None:
    """Return the window of an encoded key; ``None`` for a key without a window."""
    at = data.rfind(b",[")
    if at < 0 or data[:1] != b"[" or data[-2:] != b"]]":
        return None
    start, _, end = data[at + 2 : -2].partition(b",")
    return WindowRange(float(start), float(end))


def end_of(data: bytes) -> float | None:
    """Return the end of the window of an encoded key; ``None`` for a key without a window."""
    if data[:1] != b"[" or data[-2:] != b"]]" or data.rfind(b",[") < 0:
        return None
    return float(data[data.rfind(b",") + 1 : -2])
