"""Fetch and Produce on the wire: the two requests that carry records, encoded and decoded by hand.

aiokafka's struct types would copy every record batch at each level of nesting.  Here a fetch answer
stays one frame of bytes in which batches are found by their place (the only copy is the slice that
becomes a `Batch`), and a produce request is joined once.

Fetch v11 (Kafka 2.3) names topics; v13 (KIP-516, Kafka 3.1) has topic ids, so that a position never
slips into another topic of the same name.  Produce v8 is the last one that is not flexible.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.produce import ProduceResponse_v8

__all__ = [
    "FetchByIdRequest",
    "FetchByNameRequest",
    "FetchOptions",
    "FetchedPartition",
    "ProduceRequest",
    "Wanted",
]

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_HEAD = struct.Struct(">ihii")  # throttle, error, session, number of topics
_FLEXIBLE_HEAD = struct.Struct(">ihi")
_PARTITION = struct.Struct(">ihqqq")  # index, error, high watermark, last stable, log start
_ABORTED = struct.Struct(">qq")
_OPTIONS = struct.Struct(">iiiibii")
_ASKED_BY_NAME = struct.Struct(">iiqqi")
_ASKED_BY_ID = struct.Struct(">iiqiqib")


class Wanted(NamedTuple):
    """What is asked of one partition."""

    partition: int
    leader_epoch: int
    position: int
    max_bytes: int


class FetchOptions(NamedTuple):
    """What is asked of all of them."""

    max_wait_ms: int
    max_bytes: int
    read_committed: bool


class FetchedPartition(NamedTuple):
    """What the answer says of one partition; its batches lie at ``frame[start:end]``."""

    topic: str | bytes
    partition: int
    error_code: int
    high_watermark: int
    last_stable: int
    log_start: int
    aborted: list[tuple[int, int]]
    start: int
    end: int


class FetchAnswer(Response):
    """A fetch answer that keeps its frame."""

    API_KEY = 1
    API_VERSION = 11

    frame: bytes
    error_code: int
    partitions: list[FetchedPartition]

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Any:
        """Find the partitions in a frame; ``getvalue`` of an unchanged `BytesIO` copies nothing."""
        stream = data if isinstance(data, BytesIO) else BytesIO(data)
        answer = cls()
        answer.frame = stream.getvalue()
        answer.error_code, answer.partitions = cls.parse(answer.frame, stream.tell())
        return answer

    @staticmethod
    def parse(frame: bytes, at: int) -> tuple[int, list[FetchedPartition]]:
        """Return the answer's own error code and its partitions."""
        _, error_code, _, topics = _HEAD.unpack_from(frame, at)
        at += _HEAD.size
        found: list[FetchedPartition] = []
        for _ in range(topics):
            (size,) = _INT16.unpack_from(frame, at)
            topic = frame[at + 2 : at + 2 + size].decode()
            (partitions,) = _INT32.unpack_from(frame, at + 2 + size)
            at += 6 + size
            for _ in range(partitions):
                fields = _PARTITION.unpack_from(frame, at)
                (count,) = _INT32.unpack_from(frame, at + _PARTITION.size)
                at += _PARTITION.size + 4
                aborted = [_ABORTED.unpack_from(frame, at + 16 * n) for n in range(count)]
                at += 16 * max(0, count) + 4  # and the preferred read replica
                size = max(0, _INT32.unpack_from(frame, at)[0])
                found.append(
                    FetchedPartition._make((topic, *fields, aborted, at + 4, at + 4 + size))
                )
                at += 4 + size
        return error_code, found


class FetchAnswer_v13(FetchAnswer):
    """The same in the flexible encoding, with topic ids instead of names."""

    API_VERSION = 13

    @staticmethod
    def parse(frame: bytes, at: int) -> tuple[int, list[FetchedPartition]]:
        _, error_code, _ = _FLEXIBLE_HEAD.unpack_from(frame, at)
        topics, at = _varint(frame, at + _FLEXIBLE_HEAD.size)
        found: list[FetchedPartition] = []
        for _ in range(topics - 1):
            topic = frame[at : at + 16]
            partitions, at = _varint(frame, at + 16)
            for _ in range(partitions - 1):
                fields = _PARTITION.unpack_from(frame, at)
                count, at = _varint(frame, at + _PARTITION.size)
                aborted = [_ABORTED.unpack_from(frame, at + 17 * n) for n in range(count - 1)]
                at += 17 * max(0, count - 1) + 4  # each with its tags; the preferred read replica
                size, at = _varint(frame, at)
                end = at + max(0, size - 1)
                found.append(FetchedPartition._make((topic, *fields, aborted, at, end)))
                at = _skip_tags(frame, end)
            at = _skip_tags(frame, at)
        return error_code, found


class FetchRequest_v11(RequestStruct):
    API_KEY = 1
    API_VERSION = 11
    RESPONSE_TYPE = FetchAnswer

    def __init__(
        self, options: FetchOptions, topics: Sequence[tuple[str, Sequence[Wanted]]]
    ) -> None:
        self.options, self.topics = options, topics

    def encode(self) -> bytes:
        parts = [_options(self.options), _INT32.pack(len(self.topics))]
        for topic, wanted in self.topics:
            name = topic.encode()
            parts += [_INT16.pack(len(name)), name, _INT32.pack(len(wanted))]
            parts += [_ASKED_BY_NAME.pack(w[0], w[1], w[2], -1, w[3]) for w in wanted]
        parts.append(b"\0\0\0\0\0\0")  # no forgotten topics, no rack
        return b"".join(parts)


class FetchRequest_v13(RequestStruct):
    API_KEY = 1
    API_VERSION = 13
    RESPONSE_TYPE = FetchAnswer_v13
    FLEXIBLE_VERSION = True

    def __init__(
        self, options: FetchOptions, topics: Sequence[tuple[bytes, Sequence[Wanted]]]
    ) -> None:
        self.options, self.topics = options, topics

    def encode(self) -> bytes:
        parts = [_options(self.options), _packed_varint(len(self.topics) + 1)]
        for topic_id, wanted in self.topics:
            parts += [topic_id, _packed_varint(len(wanted) + 1)]
            parts += [_ASKED_BY_ID.pack(w[0], w[1], w[2], -1, -1, w[3], 0) for w in wanted]
            parts.append(b"\0")
        parts.append(b"\1\1\0")  # no forgotten topics, no rack, no tags
        return b"".join(parts)


class FetchByNameRequest(Request[FetchRequest_v11]):
    """Fetch from topics by name."""

    API_KEY = 1

    def __init__(
        self, options: FetchOptions, topics: Sequence[tuple[Any, Sequence[Wanted]]]
    ) -> None:
        self._fields = (options, topics)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


class FetchByIdRequest(Request[FetchRequest_v13]):
    """Fetch from topics by id."""

    API_KEY = 1

    def __init__(
        self, options: FetchOptions, topics: Sequence[tuple[Any, Sequence[Wanted]]]
    ) -> None:
        self._fields = (options, topics)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


class ProduceRequest_v8(RequestStruct):
    API_KEY = 0
    API_VERSION = 8
    RESPONSE_TYPE = ProduceResponse_v8

    def __init__(
        self,
        acks: int,
        timeout_ms: int,
        topics: Sequence[tuple[str, Sequence[tuple[int, bytes | bytearray]]]],
        transactional_id: str | None,
    ) -> None:
        self.acks, self.timeout_ms, self.topics = acks, timeout_ms, topics
        self.transactional_id = transactional_id

    def encode(self) -> bytes:
        parts: list[bytes | bytearray] = [_INT16.pack(-1)]
        if self.transactional_id is not None:
            own = self.transactional_id.encode()
            parts = [_INT16.pack(len(own)), own]
        parts.append(struct.pack(">hii", self.acks, self.timeout_ms, len(self.topics)))
        for topic, batches in self.topics:
            name = topic.encode()
            parts += [_INT16.pack(len(name)), name, _INT32.pack(len(batches))]
            for partition, data in batches:
                parts += [struct.pack(">ii", partition, len(data)), data]
        return b"".join(parts)


class ProduceRequest(Request[ProduceRequest_v8]):
    """Append batches, at most one for each partition."""

    API_KEY = 0

    def __init__(
        self,
        acks: int,
        timeout_ms: int,
        topics: Sequence[tuple[str, Sequence[tuple[int, bytes | bytearray]]]],
        transactional_id: str | None = None,
    ) -> None:
        self._fields = (acks, timeout_ms, topics, transactional_id)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


def _options(options: FetchOptions) -> bytes:
    # Replica id of a client, waiting, at least one byte, at most; isolation; no session (KIP-227).
    return _OPTIONS.pack(
        -1, options.max_wait_ms, 1, options.max_bytes, int(options.read_committed), 0, -1
    )


def _varint(frame: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned varint and the place after it."""
    value = shift = 0
    while True:
        byte = frame[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _packed_varint(value: int) -> bytes:
    packed = bytearray()
    while value >= 0x80:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)
    return bytes(packed)


def _skip_tags(frame: bytes, at: int) -> int:
    count, at = _varint(frame, at)
    for _ in range(count):
        _, at = _varint(frame, at)
        size, at = _varint(frame, at)
        at += size
    return at
