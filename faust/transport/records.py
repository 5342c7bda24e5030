"""Record batches: Kafka's message format v2, the one unit that crosses every boundary.

All drivers store, fetch and hand over whole v2 batches as bytes, and all of them are built and
read by the same compiled code (``aiokafka.record``; this file and the Kafka driver are its only
importers).  A batch is parsed where it is consumed: `Batch.records` gives a fresh view each time,
because the compiled batch can be iterated only once.

Layout of the 61 bytes before the records (all big-endian)::

    0  base offset            int64     23 last offset delta  int32     51 producer epoch  int16
    8  length after this      int32     27 first timestamp    int64     53 base sequence   int32
    12 leader epoch           int32     35 max timestamp      int64     57 record count    int32
    16 magic                  int8      43 producer id        int64
    17 CRC-32C of 21..end     uint32
    21 attributes             int16     bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control

The base offset lies outside of the CRC: a broker that appends a batch writes its offset without
reading the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, Protocol

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from faust._values import TP
from faust.exceptions import CorruptRecord

__all__ = [
    "CODECS",
    "Batch",
    "Builder",
    "Record",
    "build_batch",
    "control_batch",
    "new_builder",
    "split_batches",
    "with_append_time",
    "with_base_offset",
    "with_last_offset",
]

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = HEADER.size
_ATTRIBUTES_AT = 21
_LAST_OFFSET_DELTA_AT = 23
_MAX_TIMESTAMP_AT = 35
_CRC_AT = 17
LOG_APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20

#: Compression codecs by name, as the wire numbers them.
CODECS: dict[str | None, int] = {None: 0, "none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class Record(Protocol):
    """One record inside a batch (a compiled object: reading an attribute is all it costs)."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...  # milliseconds
    @property
    def timestamp_type(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[tuple[str, bytes | None]]: ...


class Builder(Protocol):
    """A batch being built (compiled)."""

    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> object | None:
        """Append record number ``offset`` (from 0); return ``None`` if it no longer fits."""

    def set_producer_state(self, producer_id: int, epoch: int, base_sequence: int) -> None: ...
    def build(self) -> bytearray: ...
    def size(self) -> int: ...


class Batch:
    """One record batch of one partition, unparsed.

    Attributes:
        tp: The partition.
        data: The batch's bytes, header included.
        base_offset: Offset of its first record (compaction may have removed that record).
        next_offset: The offset after its last record: where reading goes on.
        count: Records in it.
        max_timestamp: The latest timestamp in it, milliseconds.
        attributes: Codec, timestamp type, transactional and control bits.
        producer_id: Who produced it; -1 for a producer without an id.
    """

    __slots__ = (
        "attributes",
        "base_offset",
        "count",
        "data",
        "max_timestamp",
        "next_offset",
        "producer_epoch",
        "producer_id",
        "tp",
    )

    def __init__(self, tp: TP, data: bytes) -> None:
        self.tp = tp
        self.data = data
        fields = HEADER.unpack_from(data)
        self.base_offset: int = fields[0]
        self.attributes: int = fields[5]
        self.next_offset: int = fields[0] + fields[6] + 1
        self.max_timestamp: int = fields[8]
        self.producer_id: int = fields[9]
        self.producer_epoch: int = fields[10]
        self.count: int = fields[12]

    @property
    def is_control(self) -> bool:
        """Does it hold a transaction marker instead of records?"""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def is_transactional(self) -> bool:
        """Was it produced inside a transaction?"""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def first_timestamp(self) -> int:
        """The timestamp of its first record, milliseconds."""
        if self.attributes & LOG_APPEND_TIME_BIT:
            return self.max_timestamp  # all were stamped at once
        value: int = HEADER.unpack_from(self.data)[7]
        return value

    @property
    def crc(self) -> int:
        """The CRC-32C in its header."""
        value: int = HEADER.unpack_from(self.data)[4]
        return value

    def records(self) -> Iterator[Record]:
        """Return a fresh iterator over the records (a fetched batch may begin below the position).

        It may be left and gone on with: the compiled batch itself refuses to be iterated over
        again.
        """
        return chain(DefaultRecordBatch(self.data))

    def validate_crc(self) -> bool:
        """Do the bytes match the CRC in the header?"""
        return bool(DefaultRecordBatch(self.data).validate_crc())

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return (
            f"<Batch {self.tp} {self.base_offset}..{self.next_offset - 1} ({self.count} records)>"
        )


def split_batches(tp: TP, data: bytes) -> list[Batch]:
    """Split a fetched buffer into its batches; an incomplete one at the end is left out.

    Raises:
        CorruptRecord: a batch is not of format v2.
    """
    found: list[Batch] = []
    at, end = 0, len(data)
    while end - at >= HEADER_SIZE:
        size = 12 + int.from_bytes(data[at + 8 : at + 12], "big")
        if size > end - at:
            break
        if data[at + 16] != 2:
            raise CorruptRecord(f"{tp}: record batch of format {data[at + 16]} at byte {at}")
        found.append(Batch(tp, data[at : at + size]))
        at += size
    return found


def new_builder(
    size_limit: int, compression: str | None = None, *, transactional: bool = False
) -> Builder:
    """Return an empty batch that holds up to about ``size_limit`` bytes (one record always
    fits)."""
    builder: Any = DefaultRecordBatchBuilder(
        2, CODECS[compression], int(transactional), -1, -1, -1, size_limit
    )
    made: Builder = builder
    return made


class Item(NamedTuple):
    """A record to be put into a batch: the argument of `build_batch`."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes]] = []


def build_batch(
    items: Iterable[Item | tuple[bytes | None, bytes | None, int]],
    compression: str | None = None,
) -> bytes:
    """Build one batch from records; offsets count from zero until a broker places it."""
    builder = new_builder(1 << 30, compression)
    for number, item in enumerate(items):
        key, value, timestamp = item[0], item[1], item[2]
        headers = item[3] if len(item) > 3 else []
        builder.append(number, timestamp, key, value, headers)
    return bytes(builder.build())


def with_base_offset(data: bytes, base_offset: int) -> bytes:
    """Return the batch placed at ``base_offset``, as a broker does when it appends."""
    return base_offset.to_bytes(8, "big") + data[8:]


def with_append_time(data: bytes, timestamp_ms: int) -> bytes:
    """Return the batch stamped by the broker's clock (``message.timestamp.type=LogAppendTime``)."""
    changed = bytearray(data)
    attributes = int.from_bytes(data[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 2], "big")
    changed[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 2] = (attributes | LOG_APPEND_TIME_BIT).to_bytes(
        2, "big"
    )
    changed[_MAX_TIMESTAMP_AT : _MAX_TIMESTAMP_AT + 8] = timestamp_ms.to_bytes(8, "big")
    return _with_crc(changed)


def with_last_offset(data: bytes, last_offset: int) -> bytes:
    """Return the batch reaching up to ``last_offset`` (compaction removed its last records)."""
    changed = bytearray(data)
    delta = last_offset - int.from_bytes(data[:8], "big")
    changed[_LAST_OFFSET_DELTA_AT : _LAST_OFFSET_DELTA_AT + 4] = delta.to_bytes(4, "big")
    return _with_crc(changed)


def control_batch(
    producer_id: int, producer_epoch: int, timestamp_ms: int, *, commit: bool
) -> bytes:
    """Return a transaction marker: one control record that takes one offset of the log."""
    builder = new_builder(1 << 10, transactional=True)
    builder.set_producer_state(producer_id, producer_epoch, -1)
    key = struct.pack(">hh", 0, 1 if commit else 0)
    builder.append(0, timestamp_ms, key, struct.pack(">hi", 0, 0), [])
    changed = builder.build()
    attributes = int.from_bytes(changed[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 2], "big")
    changed[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 2] = (attributes | CONTROL_BIT).to_bytes(2, "big")
    return _with_crc(changed)


def _with_crc(changed: bytearray) -> bytes:
    crc = calc_crc32c(bytes(changed[_ATTRIBUTES_AT:]))
    changed[_CRC_AT : _CRC_AT + 4] = crc.to_bytes(4, "big")
    return bytes(changed)
