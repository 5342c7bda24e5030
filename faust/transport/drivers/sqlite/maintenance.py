"""What somebody has to do: expire members, retention, compaction, checkpoints.

Theory.  One process at a time holds the *lease*, a row in the file; any other takes it over when
its holder is certainly dead, or has not renewed it in time.  The lease saves work, it protects
nothing: every step is a short write transaction of its own that is right whoever does it, so two
holders (one that slept, and its successor) do no harm, and writers wait for milliseconds.

Every process, holder or not, begins an (empty) write transaction each `TICK` seconds: the proof
that it could have written, without which it may not hold silence against anybody
(`writer.Writability`).

Compaction reads beside the writers, on a thread of its own with its own connection, and replaces
batch by batch, each only if it is still as it was.  As in Kafka it learns the last offset of each
key in what was written since last time, up to a million keys, then looks through the log up to
there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from faust._machines.log import (
    Cleaner,
    Entry,
    Extent,
    Verdict,
    cleaning_limit,
    retention_start,
)
from faust._machines.topicrules import DEFAULTS, TopicPolicy
from faust._values import TP
from faust.exceptions import FaustError
from faust.transport.compaction import entries, rewrite
from faust.transport.drivers.sqlite import groups
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.schema import OFFSET_BITS, batch_key, open_reader
from faust.transport.records import Batch

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["Maintenance"]

#: Seconds between two looks at what is due.
TICK = 0.5
#: Seconds for which a lease holds; renewed at half of it.
LEASE = 10.0
#: Seconds between two looks at retention and compaction, and between two at producers long silent.
SWEEP = 5.0
#: Batches in one step of clearing (8 MiB of 64 KiB batches), of retention, and of compaction.
CLEAR_STEP = 128
RETENTION_STEP = 512
COMPACTION_STEP = 64
#: Keys that one compaction learns (about 100 MB).
MOST_KEYS = 1_000_000
#: Bytes of the write-ahead log above which it is cut back although readers have to wait.
_LARGE_WAL = 256 << 20
_PRODUCER_EXPIRY_MS = 86_400_000


class _Log(NamedTuple):
    """A partition, as maintenance looks at it."""

    id: int
    tp: TP
    start: int
    stable: int
    bytes: int
    cleaned: int
    policy: TopicPolicy
    dirty_ratio: float


class Maintenance:
    """The task that keeps the file in order while its process holds the lease."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._task: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None
        self._busy = asyncio.Lock()
        self._leading = False

    def __repr__(self) -> str:
        return f"<Maintenance {'leading' if self._leading else 'following'}>"

    def start(self) -> None:
        """Begin (on the event loop)."""
        self._task = asyncio.create_task(self._work(), name="faust-sqlite-maintenance")

    async def close(self) -> None:
        """Stop; the lease is given back."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._leading:
            with contextlib.suppress(FaustError):
                await self._connection.writer.call(self._give_back, timeout=1.0)
        async with self._busy:
            if self._db is not None:
                self._db.close()
                self._db = None

    async def _work(self) -> None:
        clock = self._connection.options.clock
        sweep_at = clock.monotonic() + SWEEP
        while True:
            await clock.sleep(TICK)
            # What goes wrong here goes wrong for those who append, too, and they are told.
            with contextlib.suppress(FaustError, sqlite3.Error):
                await self.tick()
                if self._leading and clock.monotonic() >= sweep_at:
                    sweep_at = clock.monotonic() + SWEEP
                    await self.sweep()

    # -- every tick --------------------------------------------------------------------------

    async def tick(self) -> None:
        """Prove that we can write; with the lease, apply what time and death decide."""
        self._connection.bell.ensure()
        dead = self._connection.bell.the_dead() if self._leading else []
        self._leading = await self._connection.writer.call(self._take_lease)
        if self._leading:
            await self._connection.writer.call(lambda session: self._tick_groups(session, dead))
            self._connection.bell.bury(dead)

    def _take_lease(self, session: Session) -> bool:
        bell, now = self._connection.bell, session.clock.monotonic()
        row = session.db.execute("SELECT holder, until FROM lease").fetchone()
        if row is not None:
            holder, until = row
            # A time too far ahead is from before the machine was started anew.
            in_force = now <= until <= now + LEASE
            if holder != bell.name and in_force and not bell.is_dead(holder):
                return False
            if holder == bell.name and now < until - LEASE / 2:
                return True
        session.db.execute(
            "INSERT INTO lease VALUES ('maintenance', ?, ?) ON CONFLICT (name) DO UPDATE SET"
            " holder = excluded.holder, until = excluded.until",
            (bell.name, now + LEASE),
        )
        return True

    def _give_back(self, session: Session) -> None:
        session.db.execute("DELETE FROM lease WHERE holder = ?", (self._connection.bell.name,))

    def _tick_groups(self, session: Session, dead: list[str]) -> None:
        if dead:
            groups.remove_dead(session, dead)
        groups.tick_all(session)

    # -- every sweep ---------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Apply retention and compaction to all partitions, once."""
        async with self._busy:
            await self._clear_garbage()
            now_ms = int(self._connection.options.clock.time() * 1000)
            await self._connection.writer.call(
                lambda session: _forget_producers(session, now_ms - _PRODUCER_EXPIRY_MS)
            )
            for log in await self._connection.read(_logs):
                await self._retain(log, now_ms)
                await self._clear(log.id, log.start)
                if log.policy.compact:
                    await self._compact(log, now_ms)
            await asyncio.to_thread(self._checkpoint)

    async def _clear_garbage(self) -> None:
        for (partition_id,) in await self._connection.read(
            lambda db: db.execute("SELECT partition FROM garbage").fetchall()
        ):
            await self._clear(partition_id, (1 << OFFSET_BITS) - 1)
            await self._connection.writer.call(
                lambda session, id=partition_id: session.db.execute(  # type: ignore[misc]
                    "DELETE FROM garbage WHERE partition = ?", (id,)
                )
            )

    async def _clear(self, partition_id: int, below: int) -> None:
        def first(db: sqlite3.Connection) -> bool:
            keys = partition_id << OFFSET_BITS, batch_key(partition_id, below)
            row = db.execute(
                "SELECT 1 FROM batch WHERE id >= ? AND id < ? LIMIT 1", keys
            ).fetchone()
            return row is not None

        while await self._connection.read(first):
            await self._connection.writer.call(
                lambda session: session.clear(partition_id, below, CLEAR_STEP)
            )
            await asyncio.sleep(0)

    async def _retain(self, log: _Log, now_ms: int) -> None:
        policy = log.policy
        if not policy.delete or (policy.retention_ms < 0 and policy.retention_bytes < 0):
            return
        start = log.start
        while True:
            extents, rest = await self._connection.read(
                lambda db, start=start: _extents(db, log, start, RETENTION_STEP)  # type: ignore[misc]
            )
            # The machine adds up what it is shown; what lies behind counts as kept.
            most = max(0, policy.retention_bytes - rest) if policy.retention_bytes >= 0 else -1
            wanted = retention_start(
                extents,
                now_ms,
                start=start,
                limit=log.stable,
                retention_ms=policy.retention_ms,
                retention_bytes=most,
            )
            if wanted <= start:
                return
            start = wanted
            await self._connection.writer.call(
                lambda session, at=start: _start_at(session, log.tp, log.id, at)  # type: ignore[misc]
            )
            await self._clear(log.id, start)

    # -- compaction ----------------------------------------------------------------------------

    async def _compact(self, log: _Log, now_ms: int) -> None:
        limit = await asyncio.to_thread(self._cleanable_until, log, now_ms)
        if limit is None:
            return
        cleaner = Cleaner(now_ms, delete_retention_ms=log.policy.delete_retention_ms)
        limit = await asyncio.to_thread(self._learn, log, limit, cleaner)
        position = log.start
        while position < limit:
            done, changes = await asyncio.to_thread(self._judge, log, position, limit, cleaner)
            if changes:
                await self._connection.writer.call(
                    lambda session, c=changes: _replace(session, c)  # type: ignore[misc]
                )
            position = done
        await self._connection.writer.call(
            lambda session: session.db.execute(
                "UPDATE partition SET cleaned_offset = max(cleaned_offset, ?) WHERE id = ?",
                (limit, log.id),
            )
        )

    def _cleanable_until(self, log: _Log, now_ms: int) -> int | None:
        """Return the offset up to which compaction is worth while now, or ``None``."""
        db = self._own_db()
        extents, _ = _extents(db, log, log.start, -1)
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

    def _learn(self, log: _Log, limit: int, cleaner: Cleaner) -> int:
        for batch, _, _ in self._batches(log, max(log.start, log.cleaned), limit):
            if len(cleaner.latest) >= MOST_KEYS:
                return batch.base_offset
            if not batch.is_control:
                cleaner.learn(entries(batch))
        return limit

    def _judge(
        self, log: _Log, position: int, limit: int, cleaner: Cleaner
    ) -> tuple[int, list[tuple[int, int, int | None, bytes | None, int | None]]]:
        """Judge some batches; return where to go on, and (key, size, horizon, bytes, horizon)."""
        changes: list[tuple[int, int, int | None, bytes | None, int | None]] = []
        seen = 0
        for batch, key, horizon in self._batches(log, position, limit):
            if seen >= COMPACTION_STEP:
                return batch.base_offset, changes
            seen += 1
            verdict = _judge_batch(cleaner, batch, horizon)
            if len(verdict.keep) == batch.count and verdict.horizon_ms == horizon:
                continue
            after = batch if len(verdict.keep) == batch.count else rewrite(batch, verdict.keep)
            data = after.data if after is not None else None
            changes.append((key, len(batch.data), horizon, data, verdict.horizon_ms))
        return limit, changes

    def _batches(
        self, log: _Log, position: int, limit: int
    ) -> Iterator[tuple[Batch, int, int | None]]:
        db = self._own_db()
        key, last = batch_key(log.id, position), batch_key(log.id, limit)
        while rows := db.execute(
            "SELECT id, horizon_ms, data FROM batch WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (key, last, COMPACTION_STEP),
        ).fetchall():
            for row_id, horizon, data in rows:
                yield Batch(log.tp, data), row_id, horizon
                key = row_id + 1

    # -- the file --------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        # PASSIVE waits for nobody.  The writer does its own only where this one cannot keep up.
        db = self._own_db()
        row = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if row is not None and row[1] * 8192 > _LARGE_WAL:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _own_db(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_reader(self._connection.location, query_only=False)
        return self._db


def _logs(db: sqlite3.Connection) -> list[_Log]:
    rows = db.execute(
        "SELECT p.id, t.name, p.number, p.start_offset, coalesce(p.stable_offset, p.next_offset),"
        " p.bytes, p.cleaned_offset, t.config FROM partition p JOIN topic t ON t.id = p.topic"
        " WHERE p.next_offset > p.start_offset OR p.start_offset > 0"
    ).fetchall()
    found = []
    for row in rows:
        config = {**DEFAULTS, **json.loads(row[7])}
        policy = TopicPolicy.parse(config)
        ratio = float(config["min.cleanable.dirty.ratio"])
        start, stable, size, cleaned = row[3:7]
        tp = TP(row[1], row[2])
        found.append(_Log(row[0], tp, start, stable, size, cleaned, policy, ratio))
    return found


def _extents(db: sqlite3.Connection, log: _Log, start: int, most: int) -> tuple[list[Extent], int]:
    """Return the batches from there on, at most so many, and about how many bytes lie behind."""
    rows = db.execute(
        "SELECT base_offset, id, max_timestamp, length(data), bytes_before FROM batch"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (batch_key(log.id, start), (log.id + 1) << OFFSET_BITS, most),
    ).fetchall()
    mask = (1 << OFFSET_BITS) - 1
    extents = [Extent(base, (key & mask) + 1, stamp, size) for base, key, stamp, size, _ in rows]
    behind = log.bytes - rows[-1][4] - rows[-1][3] if rows else 0
    return extents, max(behind, 0)


def _judge_batch(cleaner: Cleaner, batch: Batch, horizon: int | None) -> Verdict:
    if batch.is_control:
        return cleaner.judge_marker(batch.base_offset, horizon)
    found = entries(batch)
    # A key that was not learnt was not written again: its record is the latest.
    own = [e for e in found if e.key is not None and e.key not in cleaner.latest]
    cleaner.learn(own)
    verdict = cleaner.judge(found, horizon)
    for entry in own:
        cleaner.latest.pop(_key_of(entry), None)
    return verdict


def _key_of(entry: Entry) -> bytes:
    return entry.key if entry.key is not None else b""


def _start_at(session: Session, tp: TP, partition_id: int, offset: int) -> None:
    log = session.find(tp)
    if log is not None and log.id == partition_id:
        session.start_at(log, offset)


def _forget_producers(session: Session, before_ms: int) -> None:
    cursor = session.db.execute("DELETE FROM producer WHERE last_timestamp < ?", (before_ms,))
    if cursor.rowcount:
        session.flush()
        session.forget()


def _replace(
    session: Session, changes: list[tuple[int, int, int | None, bytes | None, int | None]]
) -> None:
    for key, size, horizon, data, new_horizon in changes:
        same = (key, size, horizon)
        if data is None:
            session.db.execute(
                "DELETE FROM batch WHERE id = ? AND length(data) = ? AND horizon_ms IS ?", same
            )
        else:
            session.db.execute(
                "UPDATE batch SET data = ?, horizon_ms = ?"
                " WHERE id = ? AND length(data) = ? AND horizon_ms IS ?",
                (data, new_horizon, *same),
            )
