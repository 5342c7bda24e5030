"""Finding decorated functions by scanning packages: thin helpers over `venusian`.

A decorator attaches a callback to what it decorates; the callback runs when the module that holds
it is scanned for the callback's category.  Scanning imports every module of the package, but never
``__main__`` modules and never tests, and an error while importing one of them is raised, not
swallowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar

import venusian as venusian_module

__all__ = ["attach", "ignored", "scan"]

T = TypeVar("T")

#: It publishes no types.
venusian: Any = venusian_module


def attach(target: T, callback: Callable[[T], None], *, category: str) -> T:
    """Have ``callback(target)`` called when the module of ``target`` is scanned for ``category``.

    Returns ``target`` itself, so a decorator can end with it.
    """

    def found(scanner: object, name: str, obj: object) -> None:
        callback(target)

    venusian.attach(target, found, category=category)
    return target


def scan(
    packages: Iterable[str],
    categories: Iterable[str],
    *,
    ignore: Iterable[str | Callable[[str], bool]] = (),
) -> None:
    """Import ``packages`` with all their modules, and run what was attached to ``categories``.

    Arguments:
        packages: Import paths of packages or modules.
        categories: Which attached callbacks to run.
        ignore: Modules to leave out: import paths (``"proj.web"``), relative ones (``".web"``), or
            functions that take a module's path; `ignored` always counts.

    Raises:
        Exception: whatever importing one of the modules raised.
    """
    scanner = venusian.Scanner()
    wanted, skipped = tuple(categories), [ignored, *ignore]
    for package in packages:
        scanner.scan(import_module(package), categories=wanted, ignore=skipped)


def ignored(module: str) -> bool:
    """Return whether scanning leaves ``module`` out: ``__main__``, tests, ``conftest``."""
    parts = module.split(".")
    return any(
        part in ("__main__", "conftest", "tests") or part.startswith("test_") for part in parts[1:]
    )
