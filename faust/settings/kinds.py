"""Kinds of plain values: numbers, texts, durations, choices.  Each converts what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta, tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from faust.settings.params import Kind
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from pathlib import Path
    from ssl import SSLContext

__all__ = [
    "Bool",
    "Choice",
    "Duration",
    "EnumChoice",
    "Int",
    "JSONMapping",
    "LogLevel",
    "PathText",
    "TLSContext",
    "Text",
    "Timezone",
]

EnumT = TypeVar("EnumT", bound=Enum)

# What is given and what is read, for classes that need not be imported to define a setting.
_PathText: TypeAlias = "str | Path"
_Path: TypeAlias = "Path"
_SSLContext: TypeAlias = "SSLContext"

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0", ""})

#: The names that the command line takes; those of `logging` are asked for where these do not do.
_LEVELS = {"CRIT": 50, "ERROR": 40, "WARN": 30, "INFO": 20, "DEBUG": 10}


def _literal(words: Iterable[str]) -> str:
    return "Literal[" + ", ".join(f'"{word}"' for word in words) + "]"


class Bool(Kind[bool | int | str, bool]):
    """True or false; as text ``true yes on 1`` or ``false no off 0``, in any case."""

    annotation = "bool"
    expects = "true or false (as text: true, yes, on, 1, false, no, off, 0)"
    empty_text_counts = True

    def convert(self, value: Any) -> bool:
        text = str(value).strip().lower() if isinstance(value, bool | int | str) else "?"
        if text not in _TRUE and text not in _FALSE:
            raise ValueError
        return text in _TRUE


class Int(Kind[int | str, int]):
    """A whole number, within bounds; text is read.

    Arguments:
        low: The smallest there may be.
        high: The largest there may be.
        words: Texts with a meaning (``all`` for -1).
    """

    def __init__(
        self,
        low: int | None = None,
        high: int | None = None,
        *,
        words: Mapping[str, int] | None = None,
    ) -> None:
        self.low, self.high = low, high
        self.words = words or {}
        self.annotation = " | ".join(["int", *([_literal(self.words)] if self.words else [])])
        self.expects = "a whole number" + self._bounds() + "".join(f" or {w!r}" for w in self.words)

    def convert(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError
        word = self.words.get(value) if isinstance(value, str) else None
        number = int(value) if word is None else word
        if self.low is not None and number < self.low:
            raise ValueError
        if self.high is not None and number > self.high:
            raise ValueError
        return number

    def _bounds(self) -> str:
        if self.low is None:
            return ""
        return f" from {self.low}" + ("" if self.high is None else f" to {self.high}")


class Duration(Kind[Seconds, float]):
    """Seconds: a number, a `timedelta`, or text; read as a float, never negative."""

    annotation = "float | timedelta | str"
    expects = "a duration: seconds as a number, or a timedelta, not negative"

    def __init__(self, *, above_zero: bool = False) -> None:
        self.above_zero = above_zero
        if above_zero:
            self.expects = "a duration above zero: seconds as a number, or a timedelta"

    def convert(self, value: Any) -> float:
        if not isinstance(value, float | int | str | timedelta):
            raise TypeError
        seconds = want_seconds(value)
        if seconds < 0 or (self.above_zero and seconds == 0):
            raise ValueError
        return seconds


class Text(Kind[str, str]):
    """Text that is not empty."""

    annotation = "str"
    expects = "text that is not empty"

    def convert(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if not value:
            raise ValueError
        return value


class Choice(Kind[str, str]):
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.annotation = _literal(words)
        self.expects = "one of " + ", ".join(words)

    def convert(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError
        return str(value)


class EnumChoice(Kind[str | EnumT, EnumT], Generic[EnumT]):
    """A member of an enumeration, or its value as text."""

    def __init__(self, members: type[EnumT]) -> None:
        self.members = members
        words = [str(member.value) for member in members]
        self.annotation = f"{members.__name__} | {_literal(words)}"
        self.expects = "one of " + ", ".join(words)

    def convert(self, value: Any) -> EnumT:
        return self.members(value)


class PathText(Kind[_PathText, _Path]):
    """A path of the file system."""

    annotation = "str | Path"
    expects = "a path, as text or pathlib.Path"

    def convert(self, value: Any) -> str:
        import os

        path = os.fspath(value)
        if not isinstance(path, str):
            raise TypeError
        if not path:
            raise ValueError
        return path


class JSONMapping(Kind[Mapping[str, Any] | str, dict[str, Any]]):
    """A mapping, or JSON text of one."""

    annotation = "Mapping[str, Any] | str"
    expects = "a mapping, or JSON text of one"

    def convert(self, value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            from json import loads

            value = loads(value)
        if not isinstance(value, Mapping):
            raise TypeError
        return dict(value)


class Timezone(Kind[str | tzinfo, tzinfo]):
    """A timezone, or its name (``Europe/Berlin``)."""

    annotation = "str | tzinfo"
    expects = "a timezone, or the name of one such as 'Europe/Berlin'"
    tells = True

    def convert(self, value: Any) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        from zoneinfo import ZoneInfo

        if not isinstance(value, str):
            raise TypeError
        try:
            return ZoneInfo(value)
        except (KeyError, OSError) as exc:  # unknown names; folders and files that are no zones
            raise ValueError(f"there is no timezone {value!r}") from exc


class LogLevel(Kind[int | str, int]):
    """A level of `logging`, by number or by name in any case."""

    annotation = "int | str"
    expects = "a log level such as 'WARN', or its number"

    def convert(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError
        if isinstance(value, int) or value.isdigit():
            return int(value)
        level = _LEVELS.get(value.upper()) or _registered_level(value.upper())
        if level is None:
            raise ValueError
        return level


def _registered_level(name: str) -> int | None:
    """A level that the app has given a name to."""
    from logging import getLevelNamesMapping

    return getLevelNamesMapping().get(name)


class TLSContext(Kind[_SSLContext, _SSLContext]):
    """An `ssl.SSLContext`."""

    annotation = "SSLContext"
    expects = "an ssl.SSLContext"

    def convert(self, value: Any) -> SSLContext:
        from ssl import SSLContext

        if not isinstance(value, SSLContext):
            raise TypeError
        return value
