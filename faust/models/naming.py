"""The name by which a model class is known on the wire."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["canonical_name"]


def canonical_name(cls: type) -> str:
    """Return ``module.qualname``; a script's module has the name it would be imported by."""
    return f"{_module_name(cls.__module__)}.{cls.__qualname__}"


def _module_name(module: str) -> str:
    """Return a module's name; for ``__main__``, its path from the working directory, dotted."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    path = getattr(main, "__file__", None)
    return _dotted(Path(path)) if path else module


def _dotted(path: Path) -> str:
    path = path.resolve().with_suffix("")
    here = Path.cwd()
    return ".".join(path.relative_to(here).parts) if path.is_relative_to(here) else path.name
