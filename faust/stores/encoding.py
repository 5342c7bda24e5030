"""Keys and checkpoints as a RocksDB partition keeps them: ours apart, the order of keys kept."""

from __future__ import annotations

import struct
from bisect import bisect_left
from operator import itemgetter

from faust.stores.base import Checkpoint

__all__ = [
    "CHECKPOINT_KEY",
    "FORMAT",
    "FORMAT_KEY",
    "RESERVED",
    "NotOurs",
    "decode_checkpoint",
    "encode_checkpoint",
    "escaped",
]

#: Prefix of our own keys.
RESERVED = b"\x00\x00faust\x00"
CHECKPOINT_KEY = RESERVED
FORMAT_KEY = RESERVED + b"\x00format"
FORMAT = b"faust-2/1"
#: version, position, crc, wall time, sequence; the topic id follows as UTF-8.
_STRUCT = struct.Struct(">BqIdq")
_CHECKPOINT_VERSION = 1
_by_key = itemgetter(0)


class NotOurs(Exception):
    """The database was not written by this format."""


def escaped(ordered: list[tuple[bytes, bytes | None]]) -> list[tuple[bytes, bytes | None]]:
    """Lengthen the keys that begin like ours; there are next to none, and the list is sorted."""
    first = bisect_left(ordered, RESERVED, key=_by_key)
    if first == len(ordered) or not ordered[first][0].startswith(RESERVED):
        return ordered
    return [(RESERVED + key if key.startswith(RESERVED) else key, value) for key, value in ordered]


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the bytes that are kept."""
    position, topic_id, crc, wall_time, sequence = checkpoint
    return _STRUCT.pack(_CHECKPOINT_VERSION, position, crc, wall_time, sequence) + topic_id.encode()


def decode_checkpoint(data: bytes | None) -> Checkpoint | None:
    """Return what `encode_checkpoint` was given; ``None`` where there is nothing.

    Raises:
        NotOurs: it is of another version, or damaged.
    """
    if data is None:
        return None
    if data[:1] != bytes([_CHECKPOINT_VERSION]):
        raise NotOurs(f"its checkpoint is of version {data[:1]!r}, not {_CHECKPOINT_VERSION}")
    try:
        _, position, crc, wall_time, sequence = _STRUCT.unpack_from(data)
        topic_id = data[_STRUCT.size :].decode()
    except (struct.error, UnicodeDecodeError) as exc:
        raise NotOurs(f"its checkpoint cannot be read: {exc}") from exc
    return Checkpoint(position, topic_id, crc, wall_time, sequence)
