"""From what ``-A`` says to an app, or to one sentence that says what is wrong with it."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from faust.exceptions import ImproperlyConfigured

__all__ = ["cannot_import", "find_app"]


def find_app(where: str) -> tuple[Any, str]:
    """Return the app that ``where`` names, and the name of its module.

    Arguments:
        where: ``module``, ``module:attribute``, ``module.attribute``, or the path of a file (with
            ``:attribute`` behind it).  Without an attribute it is ``app``, or the only app there.

    Raises:
        ImproperlyConfigured: nothing is there, or it cannot be imported; one sentence.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    target, _, attribute = where.partition(":")
    if target.endswith(".py") or os.sep in target:
        module = _import(_module_of_file(target, where), where)
    else:
        module, attribute = _import_dotted(target, attribute, where)
    found = _app_in(module, attribute, where)
    return found, module.__name__


def _module_of_file(path: str, where: str) -> str:
    """Return the import name of a file; below the working directory that is its path there."""
    full = os.path.abspath(path)
    if not os.path.isfile(full):
        raise ImproperlyConfigured(f"there is no file {path!r} (-A {where})")
    stem = os.path.splitext(os.path.relpath(full, os.getcwd()))[0]
    if not stem.startswith(os.pardir + os.sep):
        return ".".join(stem.split(os.sep))
    sys.path.insert(0, os.path.dirname(full))
    return os.path.basename(stem)


def _import_dotted(target: str, attribute: str, where: str) -> tuple[ModuleType, str]:
    module = _import(target, where, optional=not attribute and "." in target)
    if module is not None:
        return module, attribute
    owner, _, attribute = target.rpartition(".")
    return _import(owner, where), attribute


def _import(name: str, where: str, *, optional: bool = False) -> Any:
    """Import a module; its errors become one sentence that points at the line."""
    try:
        return import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name and f"{name}.".startswith(f"{exc.name}."):
            if optional:
                return None
            raise ImproperlyConfigured(
                f"there is no module {exc.name!r} (-A {where}; looked in {os.getcwd()})"
            ) from None
        raise cannot_import(repr(name), exc) from exc
    except ValueError as exc:
        if "Empty module name" in str(exc):
            raise ImproperlyConfigured(f"-A {where!r} names no module") from None
        raise cannot_import(repr(name), exc) from exc
    except Exception as exc:
        raise cannot_import(repr(name), exc) from exc


def cannot_import(what: str, exc: Exception) -> ImproperlyConfigured:
    """Return the error that says in one sentence why something cannot be imported, and where."""
    text = " ".join(str(exc.msg if isinstance(exc, SyntaxError) else exc).split())
    return ImproperlyConfigured(
        f"{what} cannot be imported: {type(exc).__name__}: {text}{_place(exc)}"
    )


def _place(exc: Exception) -> str:
    """Return the line of the user's code that is to blame."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return f" ({_short(exc.filename)}, line {exc.lineno})"
    frames = traceback.extract_tb(exc.__traceback__)
    own = [f for f in frames if not _is_foreign(f.filename)]
    return f" ({_short(own[-1].filename)}, line {own[-1].lineno})" if own else ""


def _is_foreign(filename: str) -> bool:
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return (
        filename.startswith((here + os.sep, "<frozen", os.path.dirname(os.__file__)))
        or "site-packages" in filename
    )


def _short(filename: str) -> str:
    relative = os.path.relpath(filename)
    return filename if relative.startswith(os.pardir) else relative


def _has_submodule(module: ModuleType, name: str) -> bool:
    """Is this a package with a module of that name, imported or not?"""
    return hasattr(module, "__path__") and find_spec(f"{module.__name__}.{name}") is not None


def _app_in(module: ModuleType, attribute: str, where: str) -> Any:
    from faust.app.base import App

    apps = {name: value for name, value in vars(module).items() if isinstance(value, App)}
    found: Any = module
    if attribute:
        for part in attribute.split("."):
            found = getattr(found, part, None)
    else:
        found = apps.get("app") or (next(iter(apps.values())) if len(apps) == 1 else None)
    if isinstance(found, App):
        return found
    if not attribute and len(apps) > 1:
        names = ", ".join(f"-A {module.__name__}:{name}" for name in sorted(apps))
        raise ImproperlyConfigured(f"module {module.__name__!r} has several apps: say {names}")
    there = f"it has {', '.join(sorted(apps))}" if apps else "it has no app at all"
    if not (attribute or apps) and _has_submodule(module, "app"):
        there = f"say -A {module.__name__}.app"
    raise ImproperlyConfigured(
        f"module {module.__name__!r} has no app {attribute or 'app'!r} (-A {where}): {there}"
    )
