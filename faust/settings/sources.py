"""Where values come from: names made canonical, and config sources opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple
from warnings import warn

from faust._core.names import symbol_by_name
from faust.exceptions import FaustWarning, ImproperlyConfigured
from faust.settings.params import Setting
from faust.settings.retired import RETIRED

__all__ = ["Names", "Source", "caller_outside", "open_source"]

#: How alike a name has to be to be suggested: catches transposed and missing letters, no synonyms.
_ALIKE = 0.7
#: A public variable of a config module is suspected only if it is very much like a setting's name.
_VERY_ALIKE = 0.88


class Source(NamedTuple):
    """Where a value came from: ``level`` is one of `Source.LEVELS`, ``detail`` says which one."""

    level: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.level} {self.detail}".rstrip()


DEFAULT = Source("default")
KEYWORD = Source("keyword")
COMMAND_LINE = Source("command line")
ASSIGNMENT = Source("assignment")


class Names:
    """The names by which the settings of one class go.

    Arguments:
        definitions: The settings.
    """

    def __init__(self, definitions: Mapping[str, Setting[Any, Any]]) -> None:
        self.definitions = definitions
        self.aliases = {a: n for n, d in definitions.items() for a in d.aliases}
        self.old_names = {o: n for n, d in definitions.items() for o in d.renamed_from}
        self.in_milliseconds = {
            d.in_milliseconds: n for n, d in definitions.items() if d.in_milliseconds
        }

    def __contains__(self, name: str) -> bool:
        known = (self.definitions, self.aliases, self.old_names, self.in_milliseconds)
        return any(name in names for names in known)

    def canonical(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``values`` by canonical name, without those that are ``None``.

        Raises:
            ImproperlyConfigured: a name is unknown, retired, or given twice under two names.
        """
        found: dict[str, tuple[str, Any]] = {}
        for given, value in values.items():
            name = self.resolve(given, value)
            if name is None or value is None:
                continue
            if name in found:
                raise ImproperlyConfigured(
                    f"{found[name][0]!r} and {given!r} are the same setting: give one of them"
                )
            found[name] = (given, self.in_our_unit(given, value))
        return {name: value for name, (_, value) in found.items()}

    def resolve(self, given: str, value: Any = None) -> str | None:
        """Return the canonical name; ``None`` if the setting is gone and may be ignored.

        Arguments:
            value: What it is to be: a setting that is gone may be ignored where it is off.

        Raises:
            ImproperlyConfigured: there is no such setting, or it is gone and would be missed.
        """
        if given in self.definitions:
            return given
        if given in self.aliases:
            return self.aliases[given]
        if given in self.old_names:
            name = self.old_names[given]
            warn(
                f"setting {given!r} is now called {name!r}",
                FutureWarning,
                stacklevel=caller_outside(),
            )
            return name
        if given in self.in_milliseconds:
            name = self.in_milliseconds[given]
            warn(
                f"setting {given!r} (milliseconds) is now {name!r} (seconds)",
                FutureWarning,
                stacklevel=caller_outside(),
            )
            return name
        self._check_retired(given, value)
        return None

    def in_our_unit(self, given: str, value: Any) -> Any:
        """Return a value that was given in milliseconds in seconds.

        Raises:
            ImproperlyConfigured: it is no number.
        """
        if given not in self.in_milliseconds:
            return value
        try:
            return float(value) / 1000.0
        except (TypeError, ValueError):
            raise ImproperlyConfigured(
                f"setting {given!r} must be a number of milliseconds, but is {value!r}"
            ) from None

    def _check_retired(self, given: str, value: Any) -> None:
        retired = RETIRED.get(given)
        if retired is None:
            raise ImproperlyConfigured(f"there is no setting {given!r}{self.suggestion(given)}")
        if not retired.harmless and value:
            raise ImproperlyConfigured(f"setting {given!r} is not supported: {retired.why}")
        warn(
            f"setting {given!r} has no effect: {retired.why}",
            FutureWarning,
            stacklevel=caller_outside(),
        )

    def suggestion(self, given: str, cutoff: float = _ALIKE) -> str:
        """Return "; did you mean …?" or nothing."""
        from difflib import get_close_matches

        known = [*self.definitions, *self.aliases]
        found = get_close_matches(given, known, n=1, cutoff=cutoff)
        return f"; did you mean {found[0]!r}?" if found else ""


def open_source(source: Any, names: Names) -> tuple[dict[str, Any], Source]:
    """Return the settings in a config source, and what to call it.

    Arguments:
        source: A mapping, a module, an object with attributes, or the dotted path of one of these.
            Every key of a mapping must be a setting; of modules and objects the attributes that
            are settings are taken.

    Raises:
        ImproperlyConfigured: the path leads nowhere, or a key is no setting.
    """
    label = source if isinstance(source, str) else _label(source)
    if isinstance(source, str):
        try:
            source = symbol_by_name(source)
        except ImportError as exc:
            raise ImproperlyConfigured(f"config source {label!r} cannot be read: {exc}") from exc
    values = source if isinstance(source, Mapping) else dict(_attributes(source, label, names))
    return names.canonical(values), Source("config source", label)


def _attributes(source: Any, label: str, names: Names) -> Iterator[tuple[str, Any]]:
    for name in dir(source):
        if name.startswith("_"):
            continue
        value = getattr(source, name)
        if name in names or name in RETIRED:
            # A module that imports a class by the name of a setting (`Agent`) does not set it.
            if not (isinstance(source, ModuleType) and _is_imported(value, source)):
                yield name, value
        elif hint := _hint_at_misspelling(name, value, names):
            warn(
                f"{name!r} in {label} is no setting{hint}",
                FaustWarning,
                stacklevel=caller_outside(),
            )


def _is_imported(value: Any, module: ModuleType) -> bool:
    home = getattr(value, "__module__", None)
    return isinstance(value, type) and home != module.__name__ and str(home).startswith("faust.")


def _hint_at_misspelling(name: str, value: Any, names: Names) -> str:
    if callable(value) or isinstance(value, ModuleType):
        return ""
    return names.suggestion(name, _VERY_ALIKE)


def _label(source: Any) -> str:
    if isinstance(source, Mapping):
        return "mapping"
    return str(getattr(source, "__name__", None) or type(source).__qualname__)


def caller_outside() -> int:
    """How far up the first caller outside of this package is, for `warnings.warn`."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("faust.settings"):
        level, frame = level + 1, frame.f_back
    return level
