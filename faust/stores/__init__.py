"""Local state: the port (`base`), and the store that a URL names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias

from yarl import URL

from faust._core.names import symbol_by_name
from faust.exceptions import ImproperlyConfigured
from faust.stores.base import Checkpoint, PartitionStore, Store, StoreLocked

__all__ = [
    "STORES",
    "Checkpoint",
    "PartitionStore",
    "Store",
    "StoreLocked",
    "store_by_url",
]

#: Where each scheme's class is; imported when it is asked for.
STORES: dict[str, str] = {
    "memory": "faust.stores.memory:MemoryStore",
    "rocksdb": "faust.stores.rocksdb:RocksDBStore",
}

#: Entry points of other distributions: name = scheme, value = class.
ENTRY_POINTS = "faust.stores"

_Factory: TypeAlias = Callable[[Path, Mapping[str, Any]], Any]


def store_by_url(
    url: str | URL, directory: Path | str, options: Mapping[str, Any] | None = None
) -> Store:
    """Return a new store of the kind that ``url`` names.  Touches no file.

    Arguments:
        url: ``memory://``, ``rocksdb://``, a scheme that another distribution offers as an entry
            point of the group ``faust.stores``, or the path of a class
            (``package.module.Class://``).  What follows the scheme is not looked at: where the
            data lies is ``directory``.
        directory: Where a persistent store keeps its files; made when it is needed.
        options: The store's own options.  A class is called with ``(directory, options)``.

    Raises:
        ImproperlyConfigured: there is no such store, its library is not installed, or an option is
            unknown or of the wrong type.
    """
    scheme = str(url).partition(":")[0]
    factory = _factory(scheme)
    store = factory(Path(directory), dict(options or {}))
    if not isinstance(store, Store):
        raise ImproperlyConfigured(
            f"store {str(url)!r}: {type(store).__qualname__} is not a faust.stores.Store"
        )
    return store


def _factory(scheme: str) -> _Factory:
    path = STORES.get(scheme.lower())
    if path is not None:
        return _imported(scheme, path)
    offered = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if scheme in offered:
        return _imported(scheme, offered[scheme].value)
    if "." in scheme:
        return _imported(scheme, scheme)
    known = ", ".join(f"{name}://" for name in sorted({*STORES, *offered}))
    raise ImproperlyConfigured(
        f"store {scheme + '://'!r} is not known; there is {known}, "
        "or the path of a class (package.module.Class://)"
    )


def _imported(scheme: str, path: str) -> _Factory:
    try:
        factory: _Factory = symbol_by_name(path)
    except ImportError as exc:
        raise ImproperlyConfigured(f"store {scheme + '://'!r} cannot be used: {exc}") from exc
    if not callable(factory):
        raise ImproperlyConfigured(f"store {scheme + '://'!r}: {path!r} is not a class")
    return factory
