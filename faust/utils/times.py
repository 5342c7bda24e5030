"""Durations: what users may write, as seconds."""

from __future__ import annotations

from datetime import timedelta
from math import isfinite
from typing import TypeAlias

__all__ = ["Seconds", "want_seconds"]

#: A duration: seconds as a number or as text, a `timedelta`, or a rate such as ``"8/s"``.
Seconds: TypeAlias = float | timedelta | str

#: How many seconds there are in the unit after the slash of a rate.
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def want_seconds(value: Seconds) -> float:
    """Return ``value`` as seconds.

    A rate gives the number for one second, which is how `mode` reads it: ``"8/s"`` is 8.0, and
    ``"120/m"`` is 2.0.  Text without a slash is a number of seconds.

    Raises:
        TypeError: ``value`` is neither a number, a text nor a `timedelta`.
        ValueError: the text cannot be read, or the number is not finite.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"not a duration: {value!r}")
    return _finite(float(value), value)


def _from_text(text: str) -> float:
    number, slash, unit = text.strip().partition("/")
    if slash and unit not in _UNITS:
        raise ValueError(f"unknown unit {unit!r} in {text!r}: one of s, m, h, d")
    try:
        seconds = float(number)
    except ValueError:
        raise ValueError(f"not a number of seconds: {text!r}") from None
    return _finite(seconds / _UNITS[unit or "s"], text)


def _finite(seconds: float, given: object) -> float:
    if not isfinite(seconds):
        raise ValueError(f"not a finite number of seconds: {given!r}")
    return seconds
