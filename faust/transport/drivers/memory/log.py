"""A partition's batches in memory: appending, reading, retention, compaction."""

from __future__ import annotations

from bisect import bisect_right
from typing import Protocol

from faust._machines.log import Cleaner, Partition, cleaning_limit, retention_start
from faust._machines.topicrules import TopicPolicy
from faust._values import TP
from faust.transport.compaction import clean, extent
from faust.transport.producer import Placed
from faust.transport.records import (
    CONTROL_BIT,
    TRANSACTIONAL_BIT,
    Batch,
    control_batch,
    with_append_time,
)

__all__ = ["Follower", "Log", "ReadAnswer"]

ReadAnswer = tuple[list[Batch], int]

_NOT_PLAIN = CONTROL_BIT | TRANSACTIONAL_BIT


class Follower(Protocol):
    """Somebody who wants to hear that a partition has moved."""

    def on_moved(self, tp: TP) -> None:
        """There may be more to read (or the partition is gone)."""


class Log:
    """One partition.

    Attributes:
        tp: Which.
        state: What is true of it besides its bytes.
        batches: The batches, in log order; never changed in place, so that readers share them.
        followers: Readers to be told, in the order they came.
        is_deleted: Has its topic been deleted?
        is_suspect: Have its bytes been tampered with (by a fault)?  Then readers verify CRCs.
    """

    def __init__(self, tp: TP) -> None:
        self.tp = tp
        self.state = Partition()
        self.batches: list[Batch] = []
        self.followers: dict[int, Follower] = {}
        self.is_deleted = False
        self.is_suspect = False
        self._nexts: list[int] = []  # next_offset of each batch: what positions are looked up in
        self._horizons: dict[int, int] = {}  # base offset -> delete horizon, for cleaned batches
        self._clean_to = 0

    # -- appending -----------------------------------------------------------------

    def append(
        self,
        data: bytearray,
        now_ms: int,
        *,
        log_append_time: bool,
        producer: tuple[int, int, int] = (-1, -1, -1),
        transactional: bool = False,
    ) -> Placed:
        """Append a batch as its builder built it; ``producer``: id, epoch, base sequence."""
        span = int.from_bytes(data[23:27], "big") + 1
        base, is_duplicate = self.state.place(
            span,
            now_ms,
            producer_id=producer[0],
            epoch=producer[1],
            sequence=producer[2],
            transactional=transactional,
        )
        append_time = now_ms if log_append_time else -1
        if not is_duplicate:
            data[0:8] = base.to_bytes(8, "big")
            stored = bytes(data)
            if log_append_time:
                stored = with_append_time(stored, now_ms)
            self._store(Batch(self.tp, stored))
        return Placed(base, append_time, self.state.start)

    def mark(self, producer_id: int, epoch: int, now_ms: int, *, commit: bool) -> None:
        """Write the marker that ends a producer's transaction."""
        offset = self.state.mark(producer_id, epoch, now_ms, commit=commit)
        marker = control_batch(producer_id, epoch, now_ms, commit=commit)
        self._store(Batch(self.tp, offset.to_bytes(8, "big") + marker[8:]))

    def _store(self, batch: Batch) -> None:
        self.batches.append(batch)
        self._nexts.append(batch.next_offset)
        for follower in self.followers.values():
            follower.on_moved(self.tp)

    # -- reading -------------------------------------------------------------------

    def read(self, position: int, max_bytes: int, *, committed: bool) -> ReadAnswer:
        """Return batches from ``position`` on, at least one if there is one, and where they end."""
        limit = self.state.stable if committed else self.state.end
        filtered = committed and bool(self.state.aborted)
        found: list[Batch] = []
        for at in range(bisect_right(self._nexts, position), len(self.batches)):
            batch = self.batches[at]
            if batch.base_offset >= limit:
                break
            if found and max_bytes < len(batch.data):
                return found, position
            position = batch.next_offset
            if not (batch.attributes & _NOT_PLAIN and self._is_hidden(batch, filtered)):
                found.append(batch)
                max_bytes -= len(batch.data)
        return found, max(position, limit)

    def _is_hidden(self, batch: Batch, filtered: bool) -> bool:
        return batch.is_control or (filtered and self._is_aborted(batch))

    def _is_aborted(self, batch: Batch) -> bool:
        return self.state.is_aborted(batch.producer_id, batch.base_offset)

    def offset_at(self, timestamp_ms: int) -> int:
        """Return the offset of the first record of that time or later, or the end."""
        for batch in self.batches:
            if batch.max_timestamp < timestamp_ms or batch.is_control:
                continue
            for record in batch.records():
                if record.timestamp >= timestamp_ms and record.offset >= self.state.start:
                    return record.offset
        return self.state.end

    # -- what goes -----------------------------------------------------------------

    def delete_records(self, before: int) -> int:
        """Let the log begin at ``before``; return where it begins now."""
        start = self.state.delete_records(self.tp, before)
        self._drop_below(start)
        return start

    def maintain(self, policy: TopicPolicy, now_ms: int, *, force: bool) -> None:
        """Apply retention and compaction; compact only if half is dirty, unless forced."""
        if policy.delete:
            start = retention_start(
                [extent(batch) for batch in self.batches],
                now_ms,
                start=self.state.start,
                limit=self.state.stable,
                retention_ms=policy.retention_ms,
                retention_bytes=policy.retention_bytes,
            )
            self.state.start_at(start)
            self._drop_below(start)
        if policy.compact and (force or self._is_dirty()):
            self._compact(policy, now_ms)
        self.state.forget_producers(now_ms)

    def _drop_below(self, start: int) -> None:
        gone = bisect_right(self._nexts, start)
        for batch in self.batches[:gone]:
            self._horizons.pop(batch.base_offset, None)
        self.batches = self.batches[gone:]
        self._nexts = self._nexts[gone:]

    def _is_dirty(self) -> bool:
        total = sum(len(batch.data) for batch in self.batches)
        dirty = sum(len(batch.data) for batch in self.batches if batch.base_offset > self._clean_to)
        return dirty * 2 >= total

    def _compact(self, policy: TopicPolicy, now_ms: int) -> None:
        limit = cleaning_limit(
            [extent(batch) for batch in self.batches],
            now_ms,
            stable=self.state.stable,
            min_lag_ms=policy.min_compaction_lag_ms,
        )
        self.compact_below(limit, policy, now_ms)

    def compact_below(self, limit: int, policy: TopicPolicy, now_ms: int) -> None:
        """Compact what lies below an offset, however young it is."""
        at = bisect_right(self._nexts, limit)
        cleaner = Cleaner(now_ms, delete_retention_ms=policy.delete_retention_ms)
        old = [(batch, self._horizons.get(batch.base_offset)) for batch in self.batches[:at]]
        kept: list[Batch] = []
        for before, after, horizon_ms in clean(old, cleaner, self._is_aborted):
            self._horizons.pop(before.base_offset, None)
            if after is not None:
                kept.append(after)
                if horizon_ms is not None:
                    self._horizons[before.base_offset] = horizon_ms
        self.batches = kept + self.batches[at:]
        self._nexts = [batch.next_offset for batch in self.batches]
        self._clean_to = limit

    def corrupt(self, offset: int) -> None:
        """Flip a bit in the batch that holds ``offset`` (a fault)."""
        at = bisect_right(self._nexts, offset)
        data = bytearray(self.batches[at].data)
        data[-1] ^= 1
        self.batches = [*self.batches[:at], Batch(self.tp, bytes(data)), *self.batches[at + 1 :]]
        self.is_suspect = True
