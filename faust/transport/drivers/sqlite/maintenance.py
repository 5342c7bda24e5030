"""What somebody has to do: expire members, retention, compaction, checkpoints.

Theory.  One process at a time holds the *lease*, a row in the file; any other takes it over when
its holder is certainly dead, or has not renewed it in time.  The lease saves work, it protects
nothing: every step is a short write transaction of its own that is right whoever does it, so two
holders (one that slept, and its successor) do no harm, and writers wait for milliseconds.

Every process, holder or not, begins an (empty) write transaction each `TICK` seconds: the proof
that it could have written, without which it may not hold silence against anybody
(`writer.Writability`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from faust._machines.log import PRODUCER_EXPIRY_MS, retention_start
from faust._values import TP
from faust.exceptions import FaustError
from faust.transport.drivers.sqlite import groups, transactions
from faust.transport.drivers.sqlite.compaction import Compaction
from faust.transport.drivers.sqlite.errors import FileReplaced
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.partitions import (
    PartitionLog,
    extents_of,
    forget_aborted,
    logs_of,
)
from faust.transport.drivers.sqlite.schema import (
    OFFSET_BITS,
    PAGE_SIZE,
    batch_key,
    open_reader,
)

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["Maintenance"]

R = TypeVar("R")

#: Seconds between two looks at what is due.
TICK = 0.5
#: Seconds for which a lease holds; renewed at half of it.
LEASE = 10.0
#: Seconds between two looks at retention and compaction, and between two at producers long silent.
SWEEP = 5.0
#: Seconds between two looks at one partition by compaction.
COMPACTION_PAUSE = 30.0
#: Batches in one step of clearing (8 MiB of 64 KiB batches) and of retention.
CLEAR_STEP = 128
RETENTION_STEP = 512
#: Bytes of the write-ahead log above which it is cut back although readers have to wait.
_LARGE_WAL = 256 << 20


class Maintenance:
    """The task that keeps the file in order while its process holds the lease."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: list[asyncio.Task[None]] = []
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "faust-sqlite-maintenance")
        self._busy = asyncio.Lock()
        self._compaction = Compaction(connection, self._own_db, self._in_thread)
        self._compact_at: dict[int, float] = {}
        self._leading = False

    def __repr__(self) -> str:
        return f"<Maintenance {'leading' if self._leading else 'following'}>"

    def start(self) -> None:
        """Begin (on the event loop)."""
        self._tasks = [
            asyncio.create_task(self._tick_always(), name="faust-sqlite-tick"),
            asyncio.create_task(self._sweep_always(), name="faust-sqlite-sweep"),
        ]

    async def close(self) -> None:
        """Stop; the lease is given back."""
        self._compaction.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._leading:
            with contextlib.suppress(FaustError):
                await self._connection.writer.call(self._give_back, timeout=1.0)
        await self._in_thread(self._close_db)
        self._thread.shutdown()

    # -- every tick --------------------------------------------------------------------------

    async def _tick_always(self) -> None:
        clock = self._connection.options.clock
        while True:
            await clock.sleep(TICK)
            try:
                await self.tick()
                if self._leading:
                    await self._in_thread(self._checkpoint)
            except FileReplaced as error:
                self._connection.failure = error
                self._connection.bell.notify()
            except (FaustError, sqlite3.Error):
                # What goes wrong here goes wrong for those who append, too, and they are told.
                continue

    async def tick(self) -> None:
        """Prove that we can write; with the lease, apply what time and death decide."""
        bell = self._connection.bell
        bell.ensure()
        dead = bell.the_dead() if self._leading else []
        self._leading = await self._connection.writer.call(partial(self._lead, dead))
        if self._leading:
            bell.bury(dead)

    def _lead(self, dead: list[str], session: Session) -> bool:
        if not self._take_lease(session):
            return False
        if dead:
            groups.remove_dead(session, dead)
            transactions.end_dead(session, dead)
        groups.tick_all(session)
        transactions.tick_all(session)
        return True

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

    # -- every sweep ---------------------------------------------------------------------------

    async def _sweep_always(self) -> None:
        clock = self._connection.options.clock
        while True:
            await clock.sleep(SWEEP)
            if self._leading:
                with contextlib.suppress(FaustError, sqlite3.Error):
                    await self.sweep()

    async def sweep(self, *, thorough: bool = False) -> None:
        """Apply retention and compaction to all partitions.

        Looking whether compaction is worth while reads the sizes of all batches, so it is done
        once in `COMPACTION_PAUSE` for each partition, unless ``thorough``.
        """
        async with self._busy:
            await self._clear_garbage()
            now_ms = int(self._connection.options.clock.time() * 1000)
            horizon = now_ms - PRODUCER_EXPIRY_MS
            await self._connection.writer.call(partial(_forget_producers, horizon))
            await self._connection.writer.call(transactions.forget_unused)
            for log in await self._connection.read(logs_of):
                await self._retain(log, now_ms)
                await self._clear(log.id, log.start)
                if log.policy.compact and (thorough or self._is_due(log)):
                    await self._compaction.run(log, now_ms)
                await asyncio.sleep(0)

    def _is_due(self, log: PartitionLog) -> bool:
        now = self._connection.options.clock.monotonic()
        if now < self._compact_at.get(log.id, 0.0):
            return False
        self._compact_at[log.id] = now + COMPACTION_PAUSE
        return True

    async def _clear_garbage(self) -> None:
        for (partition_id,) in await self._connection.read(
            lambda db: db.execute("SELECT partition FROM garbage").fetchall()
        ):
            await self._clear(partition_id, (1 << OFFSET_BITS) - 1)
            await self._connection.writer.call(partial(_forget_garbage, partition_id))

    async def _clear(self, partition_id: int, below: int) -> None:
        keys = partition_id << OFFSET_BITS, batch_key(partition_id, below)

        def left(db: sqlite3.Connection) -> tuple[int, int]:
            batches = "SELECT 1 FROM batch WHERE id >= ? AND id < ?"
            aborted = "SELECT 1 FROM aborted WHERE partition = ? AND last_offset < ?"
            found: tuple[int, int] = db.execute(
                f"SELECT EXISTS ({batches}), EXISTS ({aborted})", (*keys, partition_id, below)
            ).fetchone()
            return found

        while (rest := await self._connection.read(left))[0]:
            await self._connection.writer.call(
                lambda session: session.clear(partition_id, below, CLEAR_STEP)
            )
            await asyncio.sleep(0)
        if rest[1]:
            # Only now: a reader leaves out by them what it may have found of the batches.
            await self._connection.writer.call(partial(forget_aborted, partition_id, below))

    async def _retain(self, log: PartitionLog, now_ms: int) -> None:
        policy = log.policy
        if not policy.delete or (policy.retention_ms < 0 and policy.retention_bytes < 0):
            return
        start, step = log.start, 1
        while True:
            # Most of the time the first batch stays, and that is all there is to look at.
            look = partial(extents_of, log=log, start=start, most=step)
            step = RETENTION_STEP
            extents, rest = await self._connection.read(look)
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
            await self._connection.writer.call(partial(_start_at, log.tp, log.id, start))
            await self._clear(log.id, start)

    # -- the file --------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        # PASSIVE waits for nobody.  The writer does its own only where this one cannot keep up.
        db = self._own_db()
        row = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if row is not None and row[1] * PAGE_SIZE > _LARGE_WAL:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def _in_thread(self, run: Callable[..., R], *args: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, run, *args)

    def _close_db(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _own_db(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_reader(self._connection.location, query_only=False)
        return self._db


def _start_at(tp: TP, partition_id: int, offset: int, session: Session) -> None:
    log = session.find(tp)
    if log is not None and log.id == partition_id:
        session.start_at(log, offset)


def _forget_producers(before_ms: int, session: Session) -> None:
    cursor = session.db.execute("DELETE FROM producer WHERE last_timestamp < ?", (before_ms,))
    if cursor.rowcount:
        session.flush()
        session.forget()


def _forget_garbage(partition_id: int, session: Session) -> None:
    session.db.execute("DELETE FROM garbage WHERE partition = ?", (partition_id,))
