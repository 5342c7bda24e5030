"""Which partition a key belongs to: murmur2, as Kafka's default partitioner computes it.

Any client that uses Kafka's default finds the same partition, so topics keyed by different programs
stay co-partitioned.  Hashes of keys seen lately are kept: a stream sends the same keys again and
again.
"""

from __future__ import annotations

from functools import lru_cache
from struct import unpack_from

__all__ = ["murmur2", "partition_for"]

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C
#: Keys whose hash is kept; at 60 bytes a key about 12 MB.
_CACHED_KEYS = 65_536


def _murmur2(data: bytes) -> int:
    """Return the 32-bit hash, unsigned."""
    size = len(data)
    h = _SEED ^ size
    for k in unpack_from(f"<{size >> 2}I", data):
        k = k * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    rest = size & 3
    if rest:
        h = (h ^ int.from_bytes(data[size - rest :], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


#: The 32-bit hash of a key, unsigned (``org.apache.kafka.common.utils.Utils.murmur2``).
murmur2 = lru_cache(_CACHED_KEYS)(_murmur2)


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition of ``key`` in a topic with that many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
