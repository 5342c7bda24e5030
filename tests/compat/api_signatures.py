"""Compares what the published interface of earlier versions names with what there is here.

The data are interface facts: names, and parameters as ``[kind, name]`` or ``[kind, name, default]``
with the kinds ``pos``, ``kw``, ``*`` and ``**``; one line a class.  A difference is a sentence; it
is none where every call that was possible still is.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

__all__ = ["ENTRIES", "differences"]

_text = Path(__file__).with_name("api_signatures.json").read_text(encoding="utf-8")
#: Import path -> level, kind, other paths, methods, properties.
ENTRIES: dict[str, dict[str, Any]] = json.loads(_text)


def differences(path: str) -> list[str]:
    """Return the ways in which what is at ``path`` is not what it was."""
    entry = ENTRIES[path]
    places = {place: _find(place) for place in (path, *entry["also"])}
    found = next((thing for thing in places.values() if thing is not None), None)
    if found is None:
        return [f"{path}: missing"]
    said = [f"{place}: not at this path" for place, thing in places.items() if thing is None]
    said += [f"{path}.{n}: missing" for n in entry["properties"] if not _has(found, n)]
    for name, parameters in entry["methods"].items():
        method = found if name == "__call__" and not inspect.isclass(found) else _get(found, name)
        if method is None:
            said.append(f"{path}.{name}(): missing")
        else:
            said += [f"{path}.{name}(): {what}" for what in _calls(method, parameters)]
    return said


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        return None


def _get(owner: Any, name: str) -> Any:
    return getattr(owner, name, None)


def _has(owner: Any, name: str) -> bool:
    """Has it, or have its instances, such an attribute?"""
    if hasattr(owner, name) or not inspect.isclass(owner):
        return hasattr(owner, name)
    return any(name in _own_names(cls) for cls in owner.__mro__)


@cache
def _own_names(cls: type) -> frozenset[str]:
    """Return what instances of a class are given: annotated, or assigned to ``self`` in it."""
    names = set(getattr(cls, "__annotations__", ()))
    names |= set(getattr(cls, "__struct_fields__", ()))
    try:
        tree = ast.parse(dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return frozenset(names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return frozenset(names)


def _calls(method: Any, old: list[list[str]]) -> Iterator[str]:
    """Say which calls are not possible any more, or mean something else."""
    try:
        new = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return
    if new and new[0].name in ("self", "cls"):
        new = new[1:]
    named = {p.name: p for p in new}
    any_name = any(p.kind is p.VAR_KEYWORD for p in new)
    any_place = any(p.kind is p.VAR_POSITIONAL for p in new)
    order = [p.name for p in new if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for place, name in enumerate(name for kind, name, *_ in old if kind == "pos"):
        if not any_place and order[place : place + 1] != [name]:
            yield f"parameter {place} is not {name}"
    for kind, name, *default in old:
        if kind in ("pos", "kw") and name not in named and not any_name:
            yield f"no parameter {name}"
        elif kind == "*" and not any_place:
            yield "no further arguments"
        elif default and name in named and "VAR" not in named[name].kind.name:
            yield from _defaults(named[name], default[0])
    known = {name for _, name, *_ in old}
    for p in new:
        if p.default is p.empty and p.name not in known and "VAR" not in p.kind.name:
            yield f"{p.name} must be given"


def _defaults(parameter: inspect.Parameter, old: str) -> Iterator[str]:
    if parameter.default is parameter.empty:
        yield f"{parameter.name} must be given"
        return
    try:
        was = ast.literal_eval(old)
    except (ValueError, SyntaxError):
        return  # an object: nothing to compare
    if parameter.default != was or type(parameter.default) is not type(was):
        yield f"{parameter.name} is {parameter.default!r} by default, not {was!r}"
