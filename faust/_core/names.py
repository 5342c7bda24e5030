"""The one place where a string becomes a class, and where code gets its name."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["module_name_of", "qualified_name", "script_name", "shorten_name", "symbol_by_name"]


def symbol_by_name(name: Any) -> Any:
    """Return what ``name`` names: ``pkg.mod:Class``, ``pkg.mod.Class`` or ``pkg.mod``.

    Anything but text is returned as it is.

    Raises:
        ImportError: the name leads nowhere; the message names the part that is missing.  If the
            module is there but cannot be imported, its own error is the cause.
    """
    if not isinstance(name, str):
        return name
    module_name, colon, attributes = name.partition(":")
    if not all(module_name.split(".")):
        raise ImportError(f"{name!r} is not a path such as 'package.module:Class'")
    if not colon:
        return _by_dots(name)
    module, missing = _import(module_name)
    if module is None:
        raise ImportError(f"there is no module {missing!r} (in {name!r})")
    return _attribute(module, attributes, name)


def _by_dots(name: str) -> Any:
    """Import the longest part that is a module; the rest are attributes."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        module, _ = _import(".".join(parts[:size]))
        if module is not None:
            return _attribute(module, ".".join(parts[size:]), name)
    raise ImportError(f"there is no module {parts[0]!r} (in {name!r})")


def _import(module_name: str) -> tuple[ModuleType | None, str]:
    """Return the module; if there is none, ``None`` and the part of the path that is missing."""
    try:
        return import_module(module_name), ""
    except ImportError as exc:
        if isinstance(exc, ModuleNotFoundError) and _is_part_of(exc.name, module_name):
            return None, str(exc.name)
        raise ImportError(f"{module_name!r} cannot be imported: {exc}") from exc


def _is_part_of(missing: str | None, module_name: str) -> bool:
    """Whether the module that was not found is one that we asked for, not one that it imports."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


def _attribute(owner: Any, path: str, name: str) -> Any:
    for part in path.split(".") if path else ():
        try:
            owner = getattr(owner, part)
        except AttributeError:
            where = getattr(owner, "__name__", repr(owner))
            raise ImportError(
                f"{where!r} has no {part!r} (in {name!r}){_hint(owner, part)}"
            ) from None
    return owner


def _hint(owner: Any, part: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(part, dir(owner), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def module_name_of(obj: Any, *, cwd: str | None = None) -> str:
    """Return the import path of the module that defines ``obj`` (a function or class).

    A script that is run has the name ``__main__``, which says nothing: it is named as it would be
    imported.  With ``python -m`` that is what was asked for; otherwise it is the path of the script
    relative to the working directory (``examples/agent.py`` is ``examples.agent``), or its bare
    name if it lies elsewhere.

    Arguments:
        obj: Something with a ``__module__``.
        cwd: The working directory, if it is not the process's.
    """
    module = getattr(obj, "__module__", None) or "__main__"
    return script_name(cwd=cwd) if module == "__main__" else str(module)


def script_name(*, cwd: str | None = None) -> str:
    """Return the import path of the script that is being run (see `module_name_of`).

    ``__main__`` where there is no file: an interactive session, ``python -c``.
    """
    return _name_of_script(sys.modules.get("__main__"), cwd or os.getcwd())


def _name_of_script(main: ModuleType | None, cwd: str) -> str:
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if not file:
        return "__main__"
    relative = _relative(os.path.join(cwd, file), cwd)
    stem = os.path.splitext(relative)[0]
    return ".".join(_as_name(part) for part in stem.split(os.sep))


def _relative(path: str, cwd: str) -> str:
    """``path`` below ``cwd``, links followed if need be; the bare name if it lies elsewhere."""
    folder, name = os.path.split(path)
    for base, start in ((folder, cwd), (os.path.realpath(folder), os.path.realpath(cwd))):
        relative = os.path.relpath(os.path.join(base, name), start)
        if not relative.startswith(os.pardir + os.sep):
            return relative
    return name


def _as_name(part: str) -> str:
    """Keep what a topic name may hold: letters and digits of ASCII, ``-`` and ``_``."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "-_" else "_" for c in part)


def qualified_name(obj: Any, *, cwd: str | None = None) -> str:
    """Return ``module.name`` of a function or class, without the ``<locals>`` of nested ones."""
    name = getattr(obj, "__qualname__", None) or type(obj).__qualname__
    name = name.replace("<locals>.", "").replace("<lambda>", "lambda")
    return f"{module_name_of(obj, cwd=cwd)}.{name}"


def shorten_name(name: str, origin: str | None) -> str:
    """Return ``name`` without the module of ``origin`` (``proj.app[:app]``) in front."""
    module = (origin or "").partition(":")[0]
    return name.removeprefix(f"{module}.") if module else name
