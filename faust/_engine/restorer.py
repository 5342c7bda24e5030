"""Brings a task's state to exactly what its last commit says.

`faust._machines.restore` decides; this file does it: open the stores, apply the changelog up to the
committed position and no further (`Replay`), and take back what a worker that died between
producing and committing has left behind it (`TakeBack`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faust._engine.replay import Copy, Replay
from faust._engine.startpoints import Restored, StartPoints
from faust._engine.takeback import TakeBack
from faust._engine.tasks import ActiveTask
from faust._machines import restore
from faust._machines.commits import TableMark, TaskEntry
from faust._machines.progress import Restores
from faust._machines.restore import RestorePlan
from faust._values import TP
from faust.stores.overlay import Slice

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust._engine.local_stores import LocalStores
    from faust.tables.base import Collection

__all__ = ["MAX_LOCAL_AGE", "Restorer", "decide"]

logger = logging.getLogger(__name__)

#: Local state older than this may have missed tombstones that compaction has removed meanwhile:
#: half of Kafka's default ``delete.retention.ms`` (seconds).
MAX_LOCAL_AGE = 12 * 3600.0
#: How often progress is reported (seconds).
REPORT_INTERVAL = 5.0
#: Partitions of tables that are restored at the same time.
AT_ONCE = 4


class Restorer:
    """Restores tasks.

    Arguments:
        start_points: Find where the readers go on.
        stores: Where stores come from.
        on_progress: Called with (table, partition, records left) while a restore is under way.
        on_restored: Called with (table, partition, records read) on the main loop after it.

    Attributes:
        restores: What is under way.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        clock: Clock,
        cluster_id: str,
        replay: Replay,
        take_back: TakeBack,
        start_points: StartPoints,
        stores: LocalStores,
        on_progress: Callable[[str, int, int], None],
        on_restored: Callable[[Any, int, int], None],
        cache_size: int = 65_536,
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._cluster_id = cluster_id
        self._replay = replay
        self._taking_back = take_back
        self._start_points = start_points
        self._stores = stores
        self._on_progress = on_progress
        self._on_restored = on_restored
        self._cache_size = cache_size
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.restores = Restores(REPORT_INTERVAL)

    async def restore(self, task: ActiveTask) -> Restored:
        """Restore one task; returns when its state is exact.

        Raises:
            ImproperlyConfigured: a reader was renamed and nobody said who goes on.
            RetryableError: the broker does not answer.
            RestoreError: a local store is damaged, or the changelog cannot be read.
        """
        restored = await self._start_points.find(task)
        await self._restore_tables(task, task.entry)
        return restored

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
            partition = task.run.partition
            store = await self._stores.open(table, partition)
            piece = Slice(task.run, store, table.codec, self._cache_size)
            mark = entry.tables.get(table.name) if entry is not None else None
            copy = Copy(table, TP(table.changelog_topic_name, partition), store)
            # The slice owns the store from now on: whoever closes the task closes it, too.
            task.slices[table.name] = piece
            try:
                await self._bridge.call_io(self._run, task, copy, piece, mark, entry)
                self._on_restored(table, partition, copy.records)
            except asyncio.CancelledError:
                await self._replay.until_idle(copy)
                raise

    async def _run(
        self,
        task: ActiveTask,
        copy: Copy,
        piece: Slice,
        mark: TableMark | None,
        entry: TaskEntry | None,
    ) -> None:
        """On the I/O loop: bring one table's partition to the committed position."""
        plan = await decide(self._replay, copy, mark, entry, self._cluster_id, self._clock.time())
        piece.topic_id = copy.topic_id
        if plan.wipe:
            await self._replay.offload(copy, copy.store.wipe)
        if plan.loss or plan.wipe or plan.undo or plan.boundary > plan.start:
            level = logging.WARNING if plan.loss else logging.INFO
            logger.log(level, "Restoring %s: %s", copy.changelog, plan.reason)
        await self._apply(copy, plan.start, plan.boundary)
        position = plan.boundary
        if plan.undo:
            position = await self._take_back(copy, plan, piece)
        if plan.recommit or position != plan.boundary:
            task.restless = True
        piece.position = piece.expected = position
        self._on_progress(copy.table.name, copy.changelog.partition, 0)

    async def _take_back(self, copy: Copy, plan: RestorePlan, piece: Slice) -> int:
        """Undo the tail, or apply it if it is too old; return the changelog's end."""
        position, kept, piece.owed = await self._taking_back.take_back(copy, plan)
        if kept:
            await self._apply(copy, plan.boundary, position)
        return position

    async def _apply(self, copy: Copy, start: int, end: int) -> None:
        """Apply the changelog from ``start`` up to ``end`` and no further."""
        if start >= end:
            return
        self.restores.begin(copy, start, end, self._clock.monotonic())
        restored = False
        try:
            async for batches, position in self._replay.read(copy.changelog, start, end):
                if batches:
                    await self._replay.write(copy, batches, start, min(position, end))
                self._note(copy, position, end)
            restored = True
        finally:
            self.restores.end(copy, restored=restored)

    def _note(self, copy: Copy, position: int, end: int) -> None:
        self.restores.advance(copy, position)
        left = max(0, end - position)
        self._on_progress(copy.table.name, copy.changelog.partition, left)
        status = self.restores.report(self._clock.monotonic())
        if status is not None:
            logger.info("Restoring tables: %s", status)


async def decide(
    replay: Replay,
    copy: Copy,
    mark: TableMark | None,
    entry: TaskEntry | None,
    cluster_id: str,
    now: float,
) -> RestorePlan:
    """On the I/O loop: look at log and store, note the topic's id, and return what to do."""
    start, end, topic_id = await replay.bounds(copy.changelog)
    copy.topic_id = topic_id
    copy.sequence = entry.sequence if entry is not None else 0
    known = copy.store.checkpoint
    found = 0
    if known is not None and known.crc and start < known.position <= end:
        found = await replay.crc_before(copy.changelog, known.position)
    return restore.plan(
        mark=mark,
        ids_match=_ids_match(mark, entry, topic_id, cluster_id),
        log_start=start,
        log_end=end,
        topic_id=topic_id,
        checkpoint=None
        if known is None
        else (known.position, known.topic_id, now - known.wall_time),
        max_local_age=MAX_LOCAL_AGE,
        differs=known is not None and found not in (0, known.crc),
    )


def _ids_match(
    mark: TableMark | None, entry: TaskEntry | None, topic_id: str, cluster_id: str
) -> bool:
    """Does the commit speak of this very changelog, on this very cluster?"""
    if mark is None or entry is None:
        return False
    same_topic = not mark.topic_id or not topic_id or mark.topic_id == topic_id
    same_cluster = not entry.cluster_id or not cluster_id or entry.cluster_id == cluster_id
    return same_topic and same_cluster
