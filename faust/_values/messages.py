"""A record as users see it, what its delivery answers, and its headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple, TypeAlias

from faust._values.tuples import TP

__all__ = [
    "Headers",
    "HeadersArg",
    "Message",
    "RecordMetadata",
    "headers_as_list",
    "headers_as_mapping",
    "merge_headers",
]

#: Headers as the log keeps them: pairs in order, names may repeat.
Headers: TypeAlias = list[tuple[str, bytes]]
#: Headers as users give them.
HeadersArg: TypeAlias = Iterable[tuple[str, bytes]] | Mapping[str, bytes] | None


class RecordMetadata(NamedTuple):
    """Where a record that was sent has ended up.

    Attributes:
        topic: Topic name.
        partition: Partition number.
        topic_partition: Both, as `TP`.
        offset: Its offset; -1 where the broker was asked not to answer (``acks=0``).
        timestamp: Seconds since the epoch, or ``None`` if unknown.
        timestamp_type: 0 the sender's clock, 1 the broker's.
    """

    topic: str
    partition: int
    topic_partition: TP
    offset: int
    timestamp: float | None = None
    timestamp_type: int | None = None


class Message:
    """One record of a topic, with its raw key and value.

    Attributes:
        topic, partition, offset: Where it is.
        timestamp: Seconds since the epoch.
        timestamp_type: 0 the sender's clock, 1 the broker's.
        key, value: Bytes, or ``None``.
        headers: Pairs, in order.
        generation_id: The group generation in which it was read.
    """

    __slots__ = (
        "_acked",
        "_cursor",
        "checksum",
        "generation_id",
        "headers",
        "key",
        "offset",
        "partition",
        "time_in",
        "time_out",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: float,
        timestamp_type: int,
        headers: Headers,
        key: Any,
        value: Any,
        checksum: int | None = None,
        *,
        generation_id: int = 0,
        time_in: float | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.timestamp_type = timestamp_type
        self.headers = headers
        self.key = key
        self.value = value
        self.checksum = checksum
        self.generation_id = generation_id
        self.time_in = time_in
        self.time_out: float | None = None
        self._acked = False
        self._cursor: Any = None

    @classmethod
    def of_record(
        cls, tp: TP, record: Any, *, generation_id: int = 0, cursor: Any = None
    ) -> Message:
        """Return a record of a batch (timestamps in milliseconds) as users see it.

        Arguments:
            cursor: The reader's place, which knows whether it has finished with the record.
        """
        message = cls(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp / 1000.0,
            record.timestamp_type,
            record.headers,
            record.key,
            record.value,
            generation_id=generation_id,
        )
        message._cursor = cursor
        return message

    @property
    def acked(self) -> bool:
        """Has it been acknowledged, by hand or by its stream having gone on?"""
        return self._acked or (self._cursor is not None and self._cursor.is_done(self.offset))

    @acked.setter
    def acked(self, acked: bool) -> None:
        self._acked = acked

    @property
    def tp(self) -> TP:
        """The partition it came from."""
        return TP(self.topic, self.partition)

    @property
    def serialized_key_size(self) -> int:
        """Bytes in the key."""
        return len(self.key) if isinstance(self.key, bytes) else 0

    @property
    def serialized_value_size(self) -> int:
        """Bytes in the value."""
        return len(self.value) if isinstance(self.value, bytes) else 0

    def __repr__(self) -> str:
        return f"<Message: {self.topic}-{self.partition}@{self.offset}>"


def merge_headers(target: Any, source: Mapping[str, Any]) -> Any:
    """Add headers to those of a message: in place, where ``target`` can be changed.

    Arguments:
        target: A list of pairs, a mapping, or ``None`` for no headers yet.
        source: Names and values; text becomes UTF-8.

    Returns:
        All of them: ``target`` itself, or a new list where it cannot be changed.
    """
    added = {name: _want_bytes(value) for name, value in source.items()}
    if isinstance(target, MutableMapping):
        target.update(added)
        return target
    merged = target if isinstance(target, list) else headers_as_list(target)
    merged.extend(added.items())
    return merged


def _want_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def headers_as_list(headers: HeadersArg) -> Headers:
    """Return headers as a new list of pairs."""
    if headers is None:
        return []
    if isinstance(headers, Mapping):
        return list(headers.items())
    return list(headers)


def headers_as_mapping(headers: HeadersArg) -> dict[str, bytes]:
    """Return headers as a new dict; of a name that repeats, the last value."""
    return dict(headers_as_list(headers))
