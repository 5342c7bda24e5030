"""Compaction: what the log machine decides, done to stored batches beside the writers.

Reading and judging happen on a thread of its own with its own connection; each judged step becomes
one short write transaction that replaces batches, each only if it is still as it was.  As in
Kafka it learns the last offset of each key in what was written since last time, up to a million
keys, then looks through the log up to there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from faust._machines.log import Aborted, Cleaner, Verdict, cleaning_limit
from faust.exceptions import BrokerUnavailable
from faust.transport.compaction import entries, rewrite
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.partitions import (
    PartitionLog,
    aborted_below,
    extents_of,
    forget_aborted,
)
from faust.transport.drivers.sqlite.schema import batch_key
from faust.transport.records import Batch

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["Compaction"]

R = TypeVar("R")

#: Batches in one step.
STEP = 64
#: Keys that one compaction learns (about 100 MB).
MOST_KEYS = 1_000_000


class InThread(Protocol):
    """Runs a function on the thread that owns the connection."""

    async def __call__(self, run: Callable[..., R], *args: object) -> R: ...


class _Change(NamedTuple):
    """A batch to be replaced (``data``) or removed (``None``), and how it was when judged."""

    key: int
    size: int
    horizon_ms: int | None
    data: bytes | None
    new_horizon_ms: int | None


class Compaction:
    """Compacts one partition after the other."""

    def __init__(
        self,
        connection: Connection,
        own_db: Callable[[], sqlite3.Connection],
        in_thread: InThread,
    ) -> None:
        self._connection = connection
        self._own_db = own_db
        self._in_thread = in_thread
        self._stopped = False

    def stop(self) -> None:
        """Come to an end soon."""
        self._stopped = True

    async def run(self, log: PartitionLog, now_ms: int) -> None:
        """Compact one partition if that is worth while now."""
        limit = await self._in_thread(self._cleanable_until, log, now_ms)
        if limit is None:
            return
        cleaner = Cleaner(now_ms, delete_retention_ms=log.policy.delete_retention_ms)
        aborted = await self._in_thread(self._aborted, log, limit)
        limit = await self._in_thread(self._learn, log, limit, cleaner, aborted)
        writer, position = self._connection.writer, log.start
        while position < limit:
            position, changes = await self._in_thread(
                self._judge, log, position, limit, cleaner, aborted
            )
            if changes:
                await writer.call(partial(_replace, changes))
        await writer.call(partial(_note_cleaned, log.id, limit))
        if aborted:
            await writer.call(partial(forget_aborted, log.id, limit))

    def _aborted(self, log: PartitionLog, limit: int) -> list[Aborted]:
        return aborted_below(self._own_db(), log.id, limit)

    def _cleanable_until(self, log: PartitionLog, now_ms: int) -> int | None:
        """Return the offset up to which compaction is worth while now, or ``None``."""
        db = self._own_db()
        extents, _ = extents_of(db, log, log.start, -1)
        lag = log.policy.min_compaction_lag_ms
        limit = cleaning_limit(extents, now_ms, stable=log.stable, min_lag_ms=lag)
        # 1. As Kafka: enough of what may be cleaned is new since last time.
        old = sum(e.size for e in extents if e.next_offset <= log.cleaned)
        new = sum(e.size for e in extents if log.cleaned < e.next_offset <= limit)
        if new and new >= log.dirty_ratio * (old + new):
            return limit
        # 2. The time of tombstones that were seen before has come.
        due = db.execute(
            "SELECT 1 FROM batch WHERE id >= ? AND id < ? AND horizon_ms <= ? LIMIT 1",
            (batch_key(log.id, log.start), batch_key(log.id, limit), now_ms),
        ).fetchone()
        return limit if due is not None else None

    def _learn(
        self, log: PartitionLog, limit: int, cleaner: Cleaner, aborted: list[Aborted]
    ) -> int:
        for _, _, batch in self._batches(log, max(log.start, log.cleaned), limit):
            if len(cleaner.latest) >= MOST_KEYS:
                return batch.base_offset
            if not batch.is_control and not _is_aborted(batch, aborted):
                cleaner.learn(entries(batch))
        return limit

    def _judge(
        self,
        log: PartitionLog,
        position: int,
        limit: int,
        cleaner: Cleaner,
        aborted: list[Aborted],
    ) -> tuple[int, list[_Change]]:
        """Judge some batches; return where to go on, and what becomes of them."""
        changes: list[_Change] = []
        for number, (key, horizon, batch) in enumerate(self._batches(log, position, limit)):
            if number >= STEP:
                return batch.base_offset, changes
            verdict = Verdict(frozenset(), horizon)
            if not _is_aborted(batch, aborted):
                verdict = _judge_batch(cleaner, batch, horizon)
            whole = len(verdict.keep) == batch.count
            if whole and verdict.horizon_ms == horizon:
                continue
            after = batch if whole else rewrite(batch, verdict.keep)
            data = after.data if after is not None else None
            changes.append(_Change(key, len(batch.data), horizon, data, verdict.horizon_ms))
        return limit, changes

    def _batches(
        self, log: PartitionLog, position: int, limit: int
    ) -> Iterator[tuple[int, int | None, Batch]]:
        """Yield key, horizon and batch of what ends from ``position`` to below ``limit``."""
        db = self._own_db()
        key, last = batch_key(log.id, position), batch_key(log.id, limit)
        while rows := db.execute(
            "SELECT id, horizon_ms, data FROM batch WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (key, last, STEP),
        ).fetchall():
            for row_id, horizon, data in rows:
                if self._stopped:
                    raise BrokerUnavailable("compaction was stopped")
                yield row_id, horizon, Batch(log.tp, data)
                key = row_id + 1


def _is_aborted(batch: Batch, aborted: list[Aborted]) -> bool:
    if not batch.is_transactional or batch.is_control:
        return False
    return any(
        stretch.producer_id == batch.producer_id
        and stretch.first <= batch.base_offset <= stretch.last
        for stretch in aborted
    )


def _judge_batch(cleaner: Cleaner, batch: Batch, horizon: int | None) -> Verdict:
    if batch.is_control:
        return cleaner.judge_marker(batch.base_offset, horizon)
    found = entries(batch)
    # A key that was not learnt was not written again: its record here is the latest.
    own = {e.key for e in found if e.key is not None} - cleaner.latest.keys()
    cleaner.learn(e for e in found if e.key in own)
    verdict = cleaner.judge(found, horizon)
    for key in own:
        del cleaner.latest[key]
    return verdict


def _replace(changes: list[_Change], session: Session) -> None:
    for change in changes:
        as_judged = change.key, change.size, change.horizon_ms
        if change.data is None:
            session.db.execute(
                "DELETE FROM batch WHERE id = ? AND length(data) = ? AND horizon_ms IS ?",
                as_judged,
            )
        else:
            session.db.execute(
                "UPDATE batch SET data = ?, horizon_ms = ?"
                " WHERE id = ? AND length(data) = ? AND horizon_ms IS ?",
                (change.data, change.new_horizon_ms, *as_judged),
            )


def _note_cleaned(partition_id: int, limit: int, session: Session) -> None:
    session.db.execute(
        "UPDATE partition SET cleaned_offset = max(cleaned_offset, ?) WHERE id = ?",
        (limit, partition_id),
    )
