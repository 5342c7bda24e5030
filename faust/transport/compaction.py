"""Compaction of stored batches: what `faust._machines.log` decides, done to the bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from faust._machines.log import Cleaner, Entry, Extent, Verdict
from faust.transport.records import (
    CODECS,
    HEADER,
    Batch,
    new_builder,
    with_append_time,
    with_base_offset,
    with_last_offset,
)

__all__ = ["Cleaned", "clean", "entries", "extent", "rewrite"]

_CODEC_NAMES = {number: name for name, number in CODECS.items()}
_CODEC_BITS = 0x07
_APPEND_TIME_BIT = 0x08
_BASE_SEQUENCE_FIELD = 11


class Cleaned(NamedTuple):
    """What became of one batch.

    Attributes:
        before: The batch as it was.
        after: As it is now: ``before`` itself if nothing went, ``None`` if all of it went.
        horizon_ms: When its tombstones may go (to be kept with it); see `Verdict`.
    """

    before: Batch
    after: Batch | None
    horizon_ms: int | None


def extent(batch: Batch) -> Extent:
    """Return what retention and compaction look at."""
    return Extent(batch.base_offset, batch.next_offset, batch.max_timestamp, len(batch.data))


def entries(batch: Batch) -> list[Entry]:
    """Return what compaction looks at in each record."""
    return [Entry(record.offset, record.key, record.value is None) for record in batch.records()]


def rewrite(batch: Batch, keep: Collection[int]) -> Batch | None:
    """Return the batch with these offsets only, at the same place in the log; ``None``: empty."""
    kept = [record for record in batch.records() if record.offset in keep]
    if not kept:
        return None
    header = HEADER.unpack_from(batch.data)
    builder = new_builder(
        1 << 30,
        _CODEC_NAMES[batch.attributes & _CODEC_BITS],
        transactional=batch.is_transactional,
    )
    builder.set_producer_state(
        batch.producer_id, batch.producer_epoch, header[_BASE_SEQUENCE_FIELD]
    )
    for record in kept:
        headers = [(name, value or b"") for name, value in record.headers]
        number = record.offset - batch.base_offset
        builder.append(number, record.timestamp, record.key, record.value, headers)
    data = with_base_offset(bytes(builder.build()), batch.base_offset)
    if batch.attributes & _APPEND_TIME_BIT:
        data = with_append_time(data, batch.max_timestamp)
    return Batch(batch.tp, with_last_offset(data, batch.next_offset - 1))


def clean(
    batches: Sequence[tuple[Batch, int | None]],
    cleaner: Cleaner,
    is_aborted: Callable[[Batch], bool],
) -> Iterable[Cleaned]:
    """Compact these batches (all those below the cleaning limit, each with its horizon)."""
    aborted = {id(batch) for batch, _ in batches if batch.is_transactional and is_aborted(batch)}
    parsed = [
        [] if batch.is_control or id(batch) in aborted else entries(batch) for batch, _ in batches
    ]
    for found in parsed:
        cleaner.learn(found)
    for (batch, horizon_ms), found in zip(batches, parsed, strict=True):
        if batch.is_control:
            verdict = cleaner.judge_marker(batch.base_offset, horizon_ms)
            after = batch if verdict.keep else None
        else:
            verdict = cleaner.judge(found, horizon_ms)
            after = _apply(batch, verdict)
        yield Cleaned(batch, after, verdict.horizon_ms)


def _apply(batch: Batch, verdict: Verdict) -> Batch | None:
    if len(verdict.keep) == batch.count:
        return batch
    return rewrite(batch, verdict.keep)
