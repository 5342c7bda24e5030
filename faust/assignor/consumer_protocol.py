"""Kafka's ConsumerProtocol: what members of a group of type ``consumer`` tell each other.

The broker passes these bytes on unread, but Kafka's own tools read them: in this form they show our
members with their partitions.  Ours is in the ``user_data`` of both.

::

    subscription = version int16, topics [string], user_data bytes?
                   1: owned partitions [topic string, partitions [int32]]
                   2: generation int32
                   3: rack string?
    assignment   = version int16, partitions [topic string, partitions [int32]], user_data bytes?

Integers are big-endian; strings and arrays carry their length (int16 and int32); ``?`` may be null
(length -1).  Each version only adds at the end, so a reader takes the fields that it knows from
whatever version there is (KIP-429, KIP-792, KIP-881).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from faust._values import TP

__all__ = [
    "ConsumerAssignment",
    "ConsumerSubscription",
    "Malformed",
    "pack_assignment",
    "pack_subscription",
    "unpack_assignment",
    "unpack_subscription",
]

_SUBSCRIPTION_VERSION = 2
_ASSIGNMENT_VERSION = 1
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")


class Malformed(ValueError):
    """The bytes are not what they should be."""


class ConsumerSubscription(NamedTuple):
    """What a member joins with.

    Attributes:
        topics: Source topics it reads.
        user_data: The assignor's own; ``None`` if there is none.
        owned: Partitions it has open.
        generation: The generation in which it got them; -1 if unknown.
    """

    topics: tuple[str, ...]
    user_data: bytes | None = None
    owned: tuple[TP, ...] = ()
    generation: int = -1


class ConsumerAssignment(NamedTuple):
    """What a member is given.

    Attributes:
        partitions: Partitions of source topics.
        user_data: The assignor's own; ``None`` if there is none.
    """

    partitions: tuple[TP, ...]
    user_data: bytes | None = None


def pack_subscription(subscription: ConsumerSubscription) -> bytes:
    """Return a subscription as bytes."""
    topics = sorted(subscription.topics)
    return b"".join(
        (
            _INT16.pack(_SUBSCRIPTION_VERSION),
            _INT32.pack(len(topics)),
            *map(_string, topics),
            _nullable_bytes(subscription.user_data),
            _partitions(subscription.owned),
            _INT32.pack(subscription.generation),
        )
    )


def pack_assignment(assignment: ConsumerAssignment) -> bytes:
    """Return an assignment as bytes."""
    return b"".join(
        (
            _INT16.pack(_ASSIGNMENT_VERSION),
            _partitions(assignment.partitions),
            _nullable_bytes(assignment.user_data),
        )
    )


def unpack_subscription(data: bytes) -> ConsumerSubscription:
    """Return a subscription of any version.

    Raises:
        Malformed: ``data`` is no subscription.
    """
    source = _Source(data)
    version = source.version()
    topics = tuple(source.string() for _ in range(source.count()))
    user_data = source.nullable_bytes()
    owned = source.partitions() if version >= 1 else ()
    generation = source.int32() if version >= 2 else -1
    return ConsumerSubscription(topics, user_data, owned, generation)


def unpack_assignment(data: bytes) -> ConsumerAssignment:
    """Return an assignment of any version; an empty one for no bytes at all.

    Raises:
        Malformed: ``data`` is no assignment.
    """
    if not data:
        return ConsumerAssignment(())
    source = _Source(data)
    source.version()
    return ConsumerAssignment(source.partitions(), source.nullable_bytes())


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _INT16.pack(len(encoded)) + encoded


def _nullable_bytes(data: bytes | None) -> bytes:
    return _INT32.pack(-1) if data is None else _INT32.pack(len(data)) + data


def _partitions(tps: Iterable[TP]) -> bytes:
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(tps):
        by_topic.setdefault(topic, []).append(partition)
    parts = [_INT32.pack(len(by_topic))]
    for topic, numbers in by_topic.items():
        parts += (_string(topic), struct.pack(f">i{len(numbers)}i", len(numbers), *numbers))
    return b"".join(parts)


class _Source:
    """Bytes, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def version(self) -> int:
        version = self._int16()
        if version < 0:
            raise Malformed(f"version {version} cannot be")
        return version

    def int32(self) -> int:
        value: int = _INT32.unpack(self._take(4))[0]
        return value

    def _int16(self) -> int:
        value: int = _INT16.unpack(self._take(2))[0]
        return value

    def count(self) -> int:
        """The length of an array."""
        count = self.int32()
        if not 0 <= count <= len(self._data):
            raise Malformed(f"an array of {count} elements in {len(self._data)} bytes cannot be")
        return count

    def string(self) -> str:
        try:
            return self._take(self._int16()).decode()
        except UnicodeDecodeError as exc:
            raise Malformed(f"a name is not UTF-8: {exc}") from exc

    def nullable_bytes(self) -> bytes | None:
        size = self.int32()
        return None if size < 0 else self._take(size)

    def partitions(self) -> tuple[TP, ...]:
        found: list[TP] = []
        for _ in range(self.count()):
            topic = self.string()
            found += [TP(topic, self.int32()) for _ in range(self.count())]
        return tuple(found)

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise Malformed(f"{len(self._data)} bytes end in the middle of a field")
        piece = self._data[self._at : end]
        self._at = end
        return piece
