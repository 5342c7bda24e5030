"""Autodiscovery: which packages the setting names, and how they are scanned."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Protocol

from faust._core.names import script_name
from faust.exceptions import ImproperlyConfigured
from faust.utils import venusian

__all__ = ["SCAN_CATEGORIES", "discover"]

#: What is attached to what a decorator of the app has decorated.
SCAN_CATEGORIES = ("faust.agent", "faust.command", "faust.page", "faust.service", "faust.task")


class Discoverer(Protocol):
    """What is asked of an app."""

    @property
    def conf(self) -> Any:
        """Its settings: ``autodiscover`` and ``origin``."""

    @property
    def fixups(self) -> list[Any]:
        """What other frameworks add."""


def discover(
    app: Discoverer, extra: Iterable[str], categories: Iterable[str], ignore: Iterable[Any]
) -> None:
    """Import and scan what `App.discover` says."""
    modules = list(dict.fromkeys([*_wanted(app), *extra]))
    if not modules:
        return
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    _know_the_script_by_its_name()
    venusian.scan(modules, categories=categories, ignore=ignore)


def _wanted(app: Discoverer) -> list[str]:
    wanted = app.conf.autodiscover
    if callable(wanted):
        return _packages(wanted())
    if wanted is True:
        found = [module for fixup in app.fixups for module in fixup.autodiscover_modules()]
        if app.conf.origin:
            return [_package_of(app.conf.origin), *found]
        if not found:
            raise ImproperlyConfigured(
                "autodiscover=True needs origin='your.package' to know what to scan"
            )
        return found
    return list(wanted) if wanted else []


def _packages(given: Any) -> list[str]:
    """Return what a function has returned, if it is packages."""
    if isinstance(given, Iterable) and not isinstance(given, str):
        found = list(given)
        if all(isinstance(each, str) for each in found):
            return found
        given = found
    raise ImproperlyConfigured(
        f"the function autodiscover must return a list of package names, but returned {given!r}"
    )


def _package_of(origin: str) -> str:
    """Return the package to scan: ``myproj`` for the origin ``myproj.app`` (a module in it)."""
    module = origin.partition(":")[0]
    owner = module.rpartition(".")[0]
    if not owner:
        return module
    try:
        spec = find_spec(module)
    except ImportError:
        spec = None  # ``myproj.module.app``: an attribute; or nothing, which the scan will say
    return module if spec is not None and spec.submodule_search_locations is not None else owner


def _know_the_script_by_its_name() -> None:
    """Let ``import examples.agent`` find the script that runs as ``__main__``.

    Otherwise scanning its package would run it a second time, and make a second app, to which all
    that is found would be added.
    """
    name = script_name()
    if name != "__main__":
        sys.modules.setdefault(name, sys.modules["__main__"])
