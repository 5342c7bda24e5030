"""Brings a task's state to exactly what its last commit says, and finds where its readers go on.

`faust._machines.restore` decides; this file does it: read the commit, open the stores, apply the
changelog up to the committed position and no further, and take back what a worker that died between
producing and committing has left behind it.  Reading and applying happen on the I/O loop and in
threads: neither the user's loop nor the heartbeats wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from faust._engine.changelogs import Changelogs
from faust._engine.tasks import ActiveTask
from faust._machines import commits, restore
from faust._machines.commits import TableMark, TaskEntry
from faust._machines.restore import RestorePlan
from faust._machines.retry import backoff
from faust._values import TP, Message
from faust.exceptions import (
    ImproperlyConfigured,
    OffsetOutOfRange,
    RetryableError,
    UnknownTopic,
)
from faust.stores.base import Checkpoint, PartitionStore, StoreLocked
from faust.stores.overlay import Slice

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.tables.base import Collection
    from faust.transport.base import Commit, Producer, Transport

__all__ = ["Restored", "Restorer"]

logger = logging.getLogger(__name__)

#: Bytes of one partition in one answer while restoring: large, because nothing else is waiting.
FETCH_BYTES = 4 << 20
#: Local state older than this may have missed tombstones that compaction has removed meanwhile:
#: half of Kafka's default ``delete.retention.ms`` (seconds).
MAX_LOCAL_AGE = 12 * 3600.0
#: ``min.compaction.lag.ms`` of our changelogs: so long a committed value outlives what follows it.
COMPACTION_LAG_MS = 24 * 3600 * 1000
#: How long to wait for a store that another process holds (seconds).
LOCK_PATIENCE = 5.0
#: A key that no table has: what is written under it asks for the broker's time.
TIME_KEY = b"\x00faust-time"
#: How often progress is reported (seconds).
REPORT_INTERVAL = 5.0


@dataclass
class Restored:
    """Where a task goes on.

    Attributes:
        positions: Next offset of each source partition: the lowest of its readers.
        readers: Readers that are ahead of it: (reader, partition) -> next offset.
    """

    positions: dict[TP, int]
    readers: dict[tuple[str, TP], int]


class Restorer:
    """Restores tasks.

    Arguments:
        open_store: Opens a table's partition; may raise `StoreLocked`.
        open_apart: Opens it in a directory of its own, for a store that stays locked.
        readers_of: Topic -> names of the readers whose progress is committed.
        reset: ``earliest`` or ``latest``: where a group without a commit begins.
        on_progress: Called with (table, partition, records left) while a restore is under way.
        on_restored: Called with (table, partition, records read) on the main loop after it.
        make_event: Makes an event, for tables that want to see what they are restored from.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        clock: Clock,
        transport: Transport,
        producer: Producer,
        group_id: str,
        cluster_id: str,
        reset: str,
        open_store: Callable[[Collection, int], PartitionStore],
        open_apart: Callable[[Collection, int], PartitionStore],
        readers_of: Callable[[str], Sequence[str]],
        on_progress: Callable[[str, int, int], None],
        on_restored: Callable[[Any, int, int], None],
        make_event: Callable[..., Any],
        cache_size: int = 65_536,
    ) -> None:
        from faust.transport import base, records

        self._port = base
        self._records = records
        self._bridge = bridge
        self._clock = clock
        self._transport = transport
        self._producer = producer
        self._group_id = group_id
        self._cluster_id = cluster_id
        self._reset = reset
        self._open_store = open_store
        self._open_apart = open_apart
        self._readers_of = readers_of
        self._on_progress = on_progress
        self._on_restored = on_restored
        self._make_event = make_event
        self._cache_size = cache_size
        self._slots = asyncio.Semaphore(4)
        self._changelogs = Changelogs(transport, producer, batch_size=1 << 20, now=clock.time)

    async def restore(self, task: ActiveTask) -> Restored:
        """Restore one task; returns when its state is exact.

        Raises:
            ImproperlyConfigured: a reader was renamed and nobody said who goes on.
            RetryableError: the broker does not answer.
        """
        found = await self._bridge.call_io(self._committed, list(task.sources))
        chosen = commits.choose({tp.topic: (c.offset, c.metadata) for tp, c in found.items()})
        entry = task.entry = chosen.entry
        if entry is not None:
            task.run.forwarded.update(entry.forwarded)
        positions = await self._positions(task, found, chosen.positions)
        self._check_readers(task, entry)
        await self._restore_tables(task, entry)
        task.committed = {tp: c.offset for tp, c in found.items()}
        if not chosen.agrees or len(found) < len(task.sources):
            task.restless = True
        return self._resolve(task, entry, positions)

    async def _committed(self, tps: list[TP]) -> dict[TP, Commit]:
        found: dict[TP, Commit] = await self._patiently(
            lambda: self._transport.committed(self._group_id, tps)
        )
        return found

    async def _patiently(self, request: Callable[[], Any]) -> Any:
        """On the I/O loop: ask until the broker answers."""
        attempt = 0
        while True:
            try:
                return await request()
            except RetryableError as exc:
                if attempt == 0:
                    logger.warning("Restoring waits for the broker: %s", exc)
                attempt += 1
                await self._clock.sleep(backoff(attempt, 0.1, 5.0))

    # -- where the readers go on ---------------------------------------------------------

    async def _positions(
        self, task: ActiveTask, found: Mapping[TP, Commit], chosen: Mapping[str, int]
    ) -> dict[TP, int]:
        """Return a position for each source partition, resolving those without a commit."""
        positions = {tp: chosen[tp.topic] for tp in task.sources if tp.topic in chosen}
        missing = [tp for tp in task.sources if tp not in positions]
        if missing:
            positions.update(await self._bridge.call_io(self._first_positions, missing))
        return positions

    async def _first_positions(self, missing: list[TP]) -> dict[TP, int]:
        everything = await self._committed_anywhere({tp.topic for tp in missing})
        known = {tp.topic for tp in everything}
        late = self._reset == "latest"
        at_end = [tp for tp in missing if late and tp.topic not in known]
        at_start = [tp for tp in missing if tp not in at_end]
        port = self._port
        positions: dict[TP, int] = {}
        for tps, at in ((at_start, port.EARLIEST), (at_end, port.LATEST)):
            if tps:
                positions.update(await self._patiently(partial(self._transport.offsets, tps, at)))
        return {tp: positions.get(tp, 0) for tp in missing}

    async def _committed_anywhere(self, topics: set[str]) -> dict[TP, Commit]:
        """All the group's commits on these topics: a partition added to a known topic starts at
        its beginning, whatever ``consumer_auto_offset_reset`` says."""
        found = await self._patiently(lambda: self._transport.committed(self._group_id, None))
        return {tp: commit for tp, commit in found.items() if tp.topic in topics}

    def _check_readers(self, task: ActiveTask, entry: TaskEntry | None) -> None:
        """A reader that is gone and one that is new on one topic: nobody can know who is who."""
        if entry is None:
            return
        for tp in task.sources:
            present = list(self._readers_of(tp.topic))
            absent = commits.absent_readers(entry, tp.topic, present)
            new = [r for r in present if tp.topic not in entry.readers.get(r, {})]
            if absent and new:
                raise ImproperlyConfigured(
                    f"agent {absent[0]!r} has read topic {tp.topic!r} up to offset "
                    f"{entry.readers[absent[0]][tp.topic]} and is gone, and agent {new[0]!r} is "
                    f"new there: is it the same under another name? Give it name={absent[0]!r} to "
                    f"let it go on from there, or raise the app's version to start afresh"
                )

    def _resolve(
        self, task: ActiveTask, entry: TaskEntry | None, positions: Mapping[TP, int]
    ) -> Restored:
        readers: dict[tuple[str, TP], int] = {}
        lowest: dict[TP, int] = {}
        for tp, position in positions.items():
            names = list(self._readers_of(tp.topic))
            own = {
                name: position
                if entry is None
                else commits.reader_positions(entry, position, tp.topic, name)
                for name in names
            }
            lowest[tp] = min(own.values(), default=position)
            readers.update({(name, tp): at for name, at in own.items() if at != lowest[tp]})
        return Restored(lowest, readers)

    # -- tables ---------------------------------------------------------------------------

    async def _restore_tables(self, task: ActiveTask, entry: TaskEntry | None) -> None:
        """All at once; if one fails the others have ended before anybody hears of it."""
        restoring = [
            asyncio.ensure_future(self._restore_table(task, table, entry))
            for table in task.tables.values()
        ]
        try:
            await asyncio.gather(*restoring)
        except BaseException:
            for each in restoring:
                each.cancel()
            await asyncio.gather(*restoring, return_exceptions=True)
            raise

    async def _restore_table(
        self, task: ActiveTask, table: Collection, entry: TaskEntry | None
    ) -> None:
        async with self._slots:
            store = await self._open(table, task.run.partition)
            piece = Slice(task.run, store, table.codec, self._cache_size)
            mark = entry.tables.get(table.name) if entry is not None else None
            job = _Job(table, TP(table.changelog_topic_name, task.run.partition), store, piece)
            # The slice owns the store from now on: whoever closes the task closes it, too.
            task.slices[table.name] = piece
            try:
                await self._bridge.call_io(self._run, task, job, mark, entry)
                self._on_restored(table, task.run.partition, job.records)
            except asyncio.CancelledError:
                await self._until_idle(job)
                raise

    async def _until_idle(self, job: _Job) -> None:
        """A restore was cancelled: its store is closed next, and nobody may write to it then."""
        while job.writing:
            with suppress(asyncio.CancelledError):  # told twice; the caller raises it again
                await self._clock.sleep(0.005)

    async def _offload(self, job: _Job, fun: Callable[..., None], *args: Any) -> None:
        """Let a thread work on a store; whoever is cancelled meanwhile waits in `_until_idle`."""
        job.writing = True
        work = asyncio.ensure_future(self._bridge.offload(fun, *args))
        work.add_done_callback(lambda _: setattr(job, "writing", False))
        await asyncio.shield(work)

    async def _open(self, table: Collection, partition: int) -> PartitionStore:
        deadline = self._clock.monotonic() + LOCK_PATIENCE
        while True:
            try:
                return self._open_store(table, partition)
            except StoreLocked as exc:
                if self._clock.monotonic() >= deadline:
                    logger.warning(
                        "Table %r partition %d: %s; restoring into a directory of its own",
                        table.name, partition, exc,
                    )  # fmt: skip
                    return self._open_apart(table, partition)
            await self._clock.sleep(0.1)

    async def _run(
        self, task: ActiveTask, job: _Job, mark: TableMark | None, entry: TaskEntry | None
    ) -> None:
        """On the I/O loop: bring one table's partition to the committed position."""
        tp, store = job.changelog, job.store
        start, end, topic_id = await self._bounds(tp)
        checkpoint = store.checkpoint
        age = None
        if checkpoint is not None:
            age = self._clock.time() - checkpoint.wall_time
        plan = restore.plan(
            mark=mark,
            ids_match=_ids_match(mark, entry, topic_id, self._cluster_id),
            log_start=start,
            log_end=end,
            topic_id=topic_id,
            checkpoint=None
            if checkpoint is None
            else (checkpoint.position, checkpoint.topic_id, age if age is not None else 0.0),
            max_local_age=MAX_LOCAL_AGE,
        )
        job.topic_id = job.piece.topic_id = topic_id
        job.sequence = entry.sequence if entry is not None else 0
        if plan.wipe:
            await self._offload(job, store.wipe)
        if plan.boundary - plan.start > 0 or plan.undo:
            logger.info("Restoring %s: %s", tp, plan.reason)
        await self._apply(job, plan.start, plan.boundary)
        position = plan.boundary
        if plan.undo:
            position = await self._take_back(job, plan)
        if plan.recommit or position != plan.boundary:
            task.restless = True
        job.piece.position = job.piece.expected = position
        self._on_progress(job.table.name, tp.partition, 0)

    async def _bounds(self, tp: TP) -> tuple[int, int, str]:
        port, transport = self._port, self._transport
        topics = await self._patiently(lambda: transport.topics([tp.topic]))
        if tp.topic not in topics:
            raise UnknownTopic(f"changelog topic {tp.topic!r} is gone; it is made at the start")
        first = await self._patiently(lambda: transport.offsets([tp], port.EARLIEST))
        last = await self._patiently(lambda: transport.offsets([tp], port.LATEST))
        return first.get(tp, 0), last.get(tp, 0), topics[tp.topic].topic_id

    async def _apply(self, job: _Job, start: int, end: int) -> None:
        """Apply the changelog from ``start`` up to ``end`` and no further."""
        progress = restore.Progress(start, end, end)
        reported = self._clock.monotonic()
        async for batches, position in self._read(job.changelog, start, end):
            if batches:
                await self._offload(job, self._write, job, batches, start, min(position, end))
                if job.table.hears_changelog:
                    await self._bridge.call_main(self._tell, job, list(batches), start, end)
            progress.advance(position)
            now = self._clock.monotonic()
            left = max(0, end - position)
            self._on_progress(job.table.name, job.changelog.partition, left)
            if now - reported > REPORT_INTERVAL:
                reported = now
                logger.info("Restoring %s: %d records left", job.changelog, left)

    def _write(self, job: _Job, batches: Iterable[Any], start: int, end: int) -> None:
        """In a thread: put what lies in [start, end) into the store, with how far it has come."""
        entries: list[tuple[bytes, bytes | None]] = []
        append = entries.append
        crc = 0
        for batch in batches:
            if batch.base_offset >= start and batch.next_offset <= end:
                for record in batch.records():
                    append((record.key, record.value))
                crc = batch.crc
            else:
                for record in batch.records():
                    if start <= record.offset < end:
                        append((record.key, record.value))
        now = self._clock.time()
        job.records += len(entries)
        job.store.apply(entries, Checkpoint(end, job.topic_id, crc, now, job.sequence))

    async def _tell(self, job: _Job, batches: list[Any], start: int, end: int) -> None:
        """On the main loop: show a table what it is restored from."""
        codec = job.table.codec
        for batch in batches:
            for record in batch.records():
                if start <= record.offset < end and record.key != TIME_KEY:
                    message = Message.of_record(job.changelog, record)
                    value = None if record.value is None else codec.load_value(record.value)
                    key = codec.load_key(record.key)
                    event = self._make_event(key, value, record.headers, message)
                    await job.table.on_changelog_event(event)

    async def _read(self, tp: TP, start: int, end: int) -> Any:
        """Yield (batches, position) until the position has reached ``end``."""
        if start >= end:
            return
        reader = self._transport.reader(
            self._port.ReaderOptions(max_partition_bytes=FETCH_BYTES, max_bytes=4 * FETCH_BYTES)
        )
        reader.assign({tp: start})
        position = start
        try:
            while position < end:
                fetched = await self._patiently(lambda: reader.fetch(0.5))
                error = fetched.errors.get(tp)
                if isinstance(error, OffsetOutOfRange):
                    position = max(position, error.first if error.first is not None else end)
                    logger.warning("%s: the log was truncated under the restore; going on", tp)
                    reader.assign({tp: position})
                    continue
                if error is not None:
                    raise error
                position = max(position, fetched.positions.get(tp, position))
                yield fetched.batches, position
        finally:
            await reader.close()

    # -- what a dead worker left -------------------------------------------------------------

    async def _take_back(self, job: _Job, plan: RestorePlan) -> int:
        """Write the committed values of the keys in [boundary, end) again; return the new end.

        Undoing needs positive evidence: where the tail is older than half the compaction lag,
        compaction may have removed the committed value first, and the tail is applied instead.
        """
        tp, boundary, end = job.changelog, plan.boundary, plan.end
        undo = restore.Undo()
        first_stamp: int | None = None
        async for batches, _ in self._read(tp, boundary, end):
            for batch in batches:
                for record in batch.records():
                    if boundary <= record.offset < end:
                        undo.seen(record.key)
                        if first_stamp is None:
                            first_stamp = record.timestamp
        if first_stamp is None:
            return end
        now_ms, after = await self._broker_time(tp)
        if now_ms < 0 or restore.tail_is_old(first_stamp, now_ms, COMPACTION_LAG_MS):
            kept = plan.with_tail("uncommitted records are too old to be taken back with certainty")
            logger.warning("%s: %d records kept: %s", tp, end - boundary, kept.reason)
            await self._apply(job, boundary, after)
            return after
        records = undo.records(job.store.get)
        logger.info("%s: taking back %d keys that were not committed", tp, len(records))
        foreign = [(end, after - 1)] if after - 1 > end else []
        written, more = await self._changelogs.append(tp, records, after)
        return await self._changelogs.repair(tp, written, foreign + more, job.store.get)

    async def _broker_time(self, tp: TP) -> tuple[int, int]:
        """Return the broker's time (milliseconds), and the changelog's end: by a record that
        deletes a key that nobody has."""

        def produce() -> Any:
            builder = self._records.new_builder(1 << 10)
            builder.append(0, int(self._clock.time() * 1000), TIME_KEY, None, [])
            return self._producer.produce(tp, builder)

        placed = await self._patiently(produce)
        return placed.append_time, placed.base_offset + 1


@dataclass
class _Job:
    """One table's partition under restore."""

    table: Collection
    changelog: TP
    store: PartitionStore
    piece: Slice
    topic_id: str = ""
    sequence: int = 0
    writing: bool = False
    records: int = 0


def _ids_match(
    mark: TableMark | None, entry: TaskEntry | None, topic_id: str, cluster_id: str
) -> bool:
    """Does the commit speak of this very changelog, on this very cluster?"""
    if mark is None or entry is None:
        return False
    same_topic = not mark.topic_id or not topic_id or mark.topic_id == topic_id
    same_cluster = not entry.cluster_id or not cluster_id or entry.cluster_id == cluster_id
    return same_topic and same_cluster
