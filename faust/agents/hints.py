"""Which tables a function refers to: read from its code, before any event has come.

A hint, not a proof: it looks at the globals and closures that the function's code names, at what
these hold (attributes, items of lists and dictionaries), and at what such functions name in turn.
What it misses (a table reached through an argument) is learned when the table is first written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["tables_named_by"]

#: So many items of a list or dictionary are looked at.
MAX_ITEMS = 100


def tables_named_by(fun: Callable[..., Any], tables: Mapping[str, Any]) -> set[str]:
    """Return the names of the tables that ``fun`` refers to."""
    known = {id(table): name for name, table in tables.items()}
    found: set[str] = set()
    seen: set[int] = set()
    for value in _referred(fun, seen, depth=3):
        table = getattr(value, "table", value)
        name = known.get(id(table))
        if name is not None:
            found.add(name)
    return found


def _referred(fun: Any, seen: set[int], depth: int) -> Iterator[Any]:
    fun = getattr(fun, "__func__", fun)
    fun = getattr(fun, "__wrapped__", fun)
    if not isinstance(fun, FunctionType) or id(fun) in seen or depth == 0:
        return
    seen.add(id(fun))
    closure = dict(zip(fun.__code__.co_freevars, fun.__closure__ or (), strict=False))
    for name in _names(fun.__code__):
        value = None
        if name in closure:
            try:
                value = closure[name].cell_contents
            except ValueError:
                continue
        elif name in fun.__globals__:
            value = fun.__globals__[name]
        if value is None:
            continue
        yield value
        yield from _attributes(value, seen)
        yield from _referred(value, seen, depth - 1)


def _names(code: CodeType) -> set[str]:
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _attributes(value: Any, seen: set[int]) -> Iterator[Any]:
    """What an object holds that the function may use: ``repository.totals``, ``panes["hour"]``."""
    if isinstance(value, FunctionType | ModuleType | type) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        yield from islice(value, MAX_ITEMS)
    else:
        yield from list(getattr(value, "__dict__", {}).values())
