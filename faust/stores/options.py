"""What users may tune in the RocksDB store, checked when it is given."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from faust.exceptions import ImproperlyConfigured

__all__ = ["RocksDBOptions"]

logger = logging.getLogger(__name__)

_MIB = 1 << 20

#: Options of older releases that changed nothing of what is kept: named in the log, then left out.
_WITHOUT_EFFECT = frozenset({"block_cache_compressed_size", "driver", "use_rocksdict"})
#: Options of older releases that a table cannot be exact with.
_REFUSED = {
    "read_only": "a table's store is written by its worker",
    "ttl": "the changelog would bring back what has expired; give the table a window that expires",
}


@dataclass(frozen=True, kw_only=True)
class RocksDBOptions:
    """What may be tuned; sizes in bytes.

    Attributes:
        write_buffer_size: Size of a memtable; 16 MiB.
        max_write_buffer_number: Memtables for each partition, those being flushed included; 3.
        target_file_size_base: Size of a table file; 64 MiB.
        block_cache_size: Cache of all partitions together; 256 MiB.
        memtable_budget: Memtables of all partitions together, flushed early above it; 256 MiB.
        bloom_filter_size: Bits for each key; 10 (about 1 % false positives); 0: no filter.
        max_open_files: Files that each partition may keep open; 256 (-1: no limit).
    """

    write_buffer_size: int = 16 * _MIB
    max_write_buffer_number: int = 3
    target_file_size_base: int = 64 * _MIB
    block_cache_size: int = 256 * _MIB
    memtable_budget: int = 256 * _MIB
    bloom_filter_size: int = 10
    max_open_files: int = 256

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> RocksDBOptions:
        """Make options from a user's mapping.

        Raises:
            ImproperlyConfigured: an option is unknown or refused, or is no integer in its range.
        """
        known = [field.name for field in fields(cls)]
        given = {name: value for name, value in options.items() if value is not None}
        if ignored := sorted(_WITHOUT_EFFECT & given.keys()):
            logger.warning("rocksdb:// options without effect any more: %s", ", ".join(ignored))
        wanted = {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT}
        for name, value in wanted.items():
            _check_option(name, value, known)
        return cls(**wanted)


def _check_option(name: str, value: Any, known: list[str]) -> None:
    if name in _REFUSED:
        raise ImproperlyConfigured(f"rocksdb:// option {name!r} is not supported: {_REFUSED[name]}")
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(known)}"
        raise ImproperlyConfigured(f"rocksdb:// has no option {name!r}; {hint}")
    lowest = {"max_open_files": -1, "bloom_filter_size": 0}.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ImproperlyConfigured(
            f"rocksdb:// option {name!r} must be an integer, at least {lowest}, not {value!r}"
        )
