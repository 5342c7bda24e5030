"""What users name on the command line: agents, topics, types, and values of those types."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from faust._core.names import shorten_name, symbol_by_name
from faust.cli.state import UsageError

__all__ = ["find_agent", "find_topic", "find_type", "import_relative", "read_as", "suggestion"]

_PLAIN: dict[str, Any] = {"str": str, "int": int, "float": float, "bytes": bytes}


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the name that was probably meant as " (did you mean …?)", or ""."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def find_topic(app: Any, entity: str) -> Any:
    """Return the agent ``@name``, or the topic of that name.

    Raises:
        UsageError: there is no such agent; the message lists those there are.
    """
    if not entity or entity == "@":
        raise UsageError("name a topic, or an @agent")
    if entity.startswith("@"):
        return find_agent(app, entity[1:])
    try:
        return app.topic(entity)
    except ValueError as exc:
        raise UsageError(str(exc)) from exc


def find_agent(app: Any, name: str) -> Any:
    """Return an agent by its name, by its name without the app's module, or ``module.name``.

    Raises:
        UsageError: there is none, or there are several; the message lists them.
    """
    agents = app.agents
    if name in agents:
        return agents[name]
    exact = [a for full, a in agents.items() if shorten_name(full, app.conf.origin) == name]
    ending = [a for full, a in agents.items() if full.endswith(f".{name}")]
    matches = exact if len(exact) == 1 else ending
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(f"@{agent.name}" for agent in matches)
        raise UsageError(f"@{name} could be any of {names}")
    there = ", ".join(f"@{shorten_name(n, app.conf.origin)}" for n in sorted(agents)) or "none"
    raise UsageError(f"there is no agent @{name} (there are: {there})")


def import_relative(app: Any, attr: str) -> Any:
    """Return what a path names; also looked for in the app's module and its ``models``.

    Raises:
        UsageError: it is nowhere, or cannot be imported.
    """
    origin = (app.conf.origin or "").partition(":")[0]
    tried = [attr] + [f"{origin}{part}.{attr}" for part in (".models", "") if origin]
    for path in tried:
        try:
            found = symbol_by_name(path)
        except ImportError as exc:
            if exc.__cause__ is not None:  # it is there, and broken
                raise UsageError(str(exc)) from exc
            continue
        if not inspect.ismodule(found):
            return found
    raise UsageError(f"there is no {attr!r} (looked for {', '.join(tried)})")


def find_type(app: Any, name: str) -> Any:
    """Return a type by its name: ``str``, ``int``, ``float``, ``bytes``, or a model."""
    return _PLAIN.get(name) or import_relative(app, name)


def read_as(app: Any, typ: str | None, value: str, serializer: Any) -> Any:
    """Return text as bytes, or as an object of a type (a model's text is JSON).

    Raises:
        UsageError: it is no such object.
    """
    if typ is None:
        return value.encode()
    cls = find_type(app, typ)
    try:
        if hasattr(cls, "loads"):
            return cls.loads(value.encode(), serializer=serializer)
        return value.encode() if cls is bytes else cls(value)
    except (ValueError, TypeError) as exc:
        raise UsageError(f"{value!r} is no {typ}: {exc}") from exc
