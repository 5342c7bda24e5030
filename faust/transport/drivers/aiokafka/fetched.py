"""From the bytes of a fetched partition to its data batches: exactly what `read_committed` may see.

A broker answers with whole batches from the log, starting with the one that holds the position.
Among them are control batches (transaction markers) and batches of aborted transactions, which it
only lists: producer id and first offset of each.  A producer's transaction is aborted from that
offset up to its next abort marker (KIP-98).  The list of one answer covers that answer, so
nothing needs to be remembered between answers.

Old brokers may still hold messages of format v0 and v1; those are written anew as a v2 batch with
the same offsets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka.record.memory_records import MemoryRecords

from faust._values import TP
from faust.exceptions import CorruptRecord
from faust.transport.records import (
    HEADER_SIZE,
    Batch,
    new_builder,
    with_append_time,
    with_base_offset,
)

__all__ = ["Contents", "read_partition"]

_CONTROL, _TRANSACTIONAL = 0x20, 0x10
#: Where all formats have their number.
_MAGIC_AT = 16


class Contents(NamedTuple):
    """The data batches, and the offset after everything that was looked at."""

    batches: list[Batch]
    next_offset: int


def read_partition(
    tp: TP,
    frame: bytes,
    start: int,
    end: int,
    position: int,
    aborted: Iterable[tuple[int, int]] = (),
) -> Contents:
    """Return what a reader at ``position`` gets from ``frame[start:end]``.

    Arguments:
        aborted: Producer id and first offset of the aborted transactions; none for a reader that
            wants everything.

    Raises:
        CorruptRecord: something that is no batch.
    """
    found: list[Batch] = []
    filtering = _Aborted(aborted)
    at = start
    while end - at >= HEADER_SIZE:
        size = 12 + int.from_bytes(frame[at + 8 : at + 12], "big")
        if size > end - at:
            break  # the broker cuts the last batch where its limit is
        batch: Batch | None
        if frame[at + 16] == 2 and size >= HEADER_SIZE:
            batch = Batch(tp, frame[at : at + size])
            at += size
        else:
            batch, at = _legacy(tp, frame, at, end, position)
        if batch is None or batch.next_offset <= position:
            continue
        position = batch.next_offset
        if filtering.lets_through(batch) and batch.count:
            found.append(batch)
    return Contents(found, position)


class _Aborted:
    """Which producers' batches are being left out, as the log goes by."""

    __slots__ = ("_open", "_todo")

    def __init__(self, aborted: Iterable[tuple[int, int]]) -> None:
        self._todo = sorted(((first, pid) for pid, first in aborted), reverse=True)
        self._open: set[int] = set()

    def lets_through(self, batch: Batch) -> bool:
        """Is it data that a reader may see?"""
        attributes = batch.attributes
        if not attributes & (_CONTROL | _TRANSACTIONAL):
            return True
        while self._todo and self._todo[-1][0] < batch.next_offset:
            self._open.add(self._todo.pop()[1])
        if attributes & _CONTROL:
            if batch.producer_id in self._open and _is_abort_marker(batch):
                self._open.discard(batch.producer_id)
            return False
        return batch.producer_id not in self._open


def _is_abort_marker(batch: Batch) -> bool:
    # The key of a control record: version, int16, then type, int16, of which 0 is "abort".
    return any((record.key or b"")[2:4] == b"\0\0" for record in batch.records())


# -- messages of format v0 and v1 ------------------------------------------------


def _legacy(tp: TP, frame: bytes, start: int, end: int, position: int) -> tuple[Batch | None, int]:
    """Write a run of old messages anew as one batch; return it, and the place after the run."""
    at = start
    while end - at > _MAGIC_AT and frame[at + _MAGIC_AT] < 2:
        size = 12 + int.from_bytes(frame[at + 8 : at + 12], "big")
        if size > end - at:
            break
        at += size
    if at == start:
        magic = frame[start + _MAGIC_AT]
        raise CorruptRecord(f"{tp}: no record batch (format {magic}) at offset {position} or later")
    messages = MemoryRecords(frame[start:at])
    records: list[Any] = []
    while messages.has_next():
        records += messages.next_batch() or ()
    return _rewritten(tp, [r for r in records if r.offset >= position]), at


def _rewritten(tp: TP, records: list[Any]) -> Batch | None:
    if not records:
        return None
    base = records[0].offset
    builder = new_builder(1 << 30)
    for record in records:
        timestamp = -1 if record.timestamp is None else record.timestamp
        builder.append(record.offset - base, timestamp, record.key, record.value, [])
    data = with_base_offset(bytes(builder.build()), base)
    if records[0].timestamp_type == 1:
        data = with_append_time(data, max(record.timestamp for record in records))
    return Batch(tp, data)
