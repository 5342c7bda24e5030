"""Standbys: warm copies of tables whose tasks are other workers', ready to be taken over from.

Once in a commit interval one request asks what is committed of all these tasks.  What lies below
the marks is read, all partitions by one reader, and written; what lies beyond may yet be taken back
and is read again when it is committed.  Restoring and processing come first: a copy that has a long
way to go is read with pauses in between.

What is here of which task, and how far behind it is, is told to the group whenever it is joined
(``lags``): by that it decides where a task may go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from faust._core.background import in_background
from faust._engine.copies import Copies, Wanted
from faust._engine.following import Following
from faust._machines import commits, restore
from faust._machines.copartition import TaskId
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import BrokerError, OffsetOutOfRange, RetryableError

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust._engine.local_stores import LocalStores, StoreName
    from faust._engine.replay import Replay
    from faust._machines.commits import TaskEntry
    from faust.stores.base import PartitionStore
    from faust.tables.base import Collection as Table
    from faust.transport.base import Transport
    from faust.transport.membership import Commit
    from faust.transport.reader import Reader

__all__ = ["Standbys"]

logger = logging.getLogger(__name__)

#: Seconds that one request waits for records.
MAX_WAIT = 0.5
#: The shortest time between two looks at what is committed (seconds).
SHORTEST_INTERVAL = 0.2
#: How often it is looked whether somebody waits for a store that is copied to (seconds).
LET_GO_INTERVAL = 0.5
#: Seconds of rest for each second of work, and while tasks are being restored.
REST, REST_WHILE_RESTORING = 1.0, 9.0


class Standbys:
    """The standbys of one worker.

    Arguments:
        interval: Seconds between two looks: the commit interval.
        sources: Returns the source partitions of a task, of which nothing else is known here.
        is_restoring: Are tasks being restored here, that come first?
        on_lags: Called on the I/O loop with task -> offsets behind, whenever it was looked.
        on_warm: Called on the I/O loop with what has caught up of what is to be moved here.
        on_settled: Called on the main loop when everything has come to what was committed.
        on_crash: Called on the main loop with what ends the worker.

    Attributes:
        settled: Has everything come to what was committed?
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        clock: Clock,
        transport: Transport,
        replay: Replay,
        stores: LocalStores,
        group_id: str,
        cluster_id: str,
        interval: float,
        sources: Callable[[TaskId], tuple[TP, ...]],
        is_restoring: Callable[[], bool],
        on_lags: Callable[[Mapping[TaskId, int]], None],
        on_warm: Callable[[Collection[TaskId]], None],
        on_settled: Callable[[], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._transport = transport
        self._replay = replay
        self._stores = stores
        self._group_id = group_id
        self._cluster_id = cluster_id
        self._interval = max(interval, SHORTEST_INTERVAL)
        self._sources = sources
        self._is_restoring = is_restoring
        self._on_lags = on_lags
        self._on_warm = on_warm
        self._on_settled = on_settled
        self._on_crash = on_crash
        self._standbys: dict[TaskId, Copies] = {}
        self._reader: Reader | None = None
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        #: Sources of the tasks of which something lies on the disk, and what was committed of them.
        self._left: dict[TaskId, tuple[TP, ...]] = {}
        self._entries: dict[TaskId, TaskEntry | None] = {}
        self.settled = True

    # -- from the main loop -----------------------------------------------------------------------

    async def follow(self, wanted: Mapping[TaskId, Wanted]) -> None:
        """Keep copies of these tasks from now on, and of no others."""
        self._note_left()
        gone = [task for task in self._standbys if task not in wanted]
        await self.release(gone)
        await self._bridge.call_io(self._set, dict(wanted))

    async def release(self, tasks: Iterable[TaskId]) -> None:
        """Follow these no more; their stores are kept for who comes next."""
        for following, store in await self._bridge.call_io(self._release, list(tasks)):
            self._stores.keep(following.table, following.partition, store)

    def wants(self, store: StoreName) -> bool:
        """Is this store one that is followed, or will be?"""
        return any(
            (copy.table.name, copy.partition) == store
            for standby in list(self._standbys.values())
            for copy in standby.copies
        )

    @property
    def tasks(self) -> list[TaskId]:
        """The tasks of which copies are kept."""
        return sorted(self._standbys)

    def changelogs(self, table: Table) -> set[TP]:
        """Return the partitions of a table's changelog that are followed."""
        return {
            copy.changelog
            for standby in list(self._standbys.values())
            for copy in standby.copies
            if copy.table is table
        }

    async def survey(self) -> None:
        """See what the disk has, and how far behind it is, before the group is joined."""
        await self._bridge.offload(self._stores.survey)
        self._note_left()
        if self._left:
            await self._bridge.call_io(self._first_look)

    def _note_left(self) -> None:
        tables: dict[str, Any] = self._stores.tables
        tasks = {
            TaskId(str(tables[name.table].partitions), name.partition) for name in self._stores.left
        }
        self._left = {task: self._sources(task) for task in sorted(tasks)}

    # -- on the I/O loop --------------------------------------------------------------------------

    def begin(self) -> None:
        """Follow, until `end`."""

        def fail(error: BaseException) -> None:
            self._bridge.post_main(self._on_crash, error)

        self._running = in_background(self._run(), "faust-standbys", fail)

    async def end(self) -> list[PartitionStore]:
        """Follow no more; return the stores, to be closed."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        stores = [store for _, store in await self._release(list(self._standbys))]
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
        return stores

    async def _set(self, wanted: dict[TaskId, Wanted]) -> None:
        for task, each in wanted.items():
            known = self._standbys.get(task)
            if known is not None and known.wanted.tables == each.tables:
                known.wanted = each
                continue
            copies = [self._following(table, task.partition) for table in each.tables]
            ours = all(self._stores.has_kept(t, task.partition) for t in each.tables)
            self._standbys[task] = Copies(each, copies, was_ours=ours)
        self.settled = not self._standbys
        self._publish()
        self._changed.set()

    def _following(self, table: Table, partition: int) -> Following:
        return Following(
            table,
            partition,
            bridge=self._bridge,
            clock=self._clock,
            replay=self._replay,
            stores=self._stores,
            cluster_id=self._cluster_id,
        )

    async def _release(self, tasks: list[TaskId]) -> list[tuple[Following, PartitionStore]]:
        released: list[tuple[Following, PartitionStore]] = []
        for task in tasks:
            standby = self._standbys.pop(task, None)
            for copy in () if standby is None else standby.copies:
                store = await copy.stop()
                if store is not None:
                    released.append((copy, store))
        return released

    async def _run(self) -> None:
        failures = 0
        while True:
            self._changed.clear()
            try:
                await self._look()
                await self._read()
                failures = 0
            except RetryableError as exc:
                failures += 1
                if failures == 1:
                    logger.warning("Following tables waits for the broker: %s", exc)
            self._tell()
            await self._pause(backoff(failures, 0.1, 5.0) if failures else self._interval)

    async def _pause(self, seconds: float) -> None:
        """Wait, or until other copies are wanted; meanwhile let go of what its owner waits for."""
        deadline = self._clock.monotonic() + seconds
        asked = 0.0
        while (left := deadline - self._clock.monotonic()) > 0 and not self._changed.is_set():
            await self._clock.sleep(min(left, 0.1))
            if self._clock.monotonic() - asked > LET_GO_INTERVAL:
                asked = self._clock.monotonic()
                for standby in list(self._standbys.values()):
                    for copy in standby.copies:
                        await copy.let_go()

    # -- what is committed ------------------------------------------------------------------------

    async def _first_look(self) -> None:
        try:
            await self._look()
        except RetryableError as exc:
            logger.warning("How far behind local state is, is not known yet: %s", exc)
        self._publish()

    async def _look(self) -> None:
        standbys, left = dict(self._standbys), dict(self._left)
        tps = {tp for each in standbys.values() for tp in each.wanted.sources}
        tps.update(tp for sources in left.values() for tp in sources)
        if not tps:
            return
        found = await self._transport.committed(self._group_id, sorted(tps))
        for standby in standbys.values():
            entry = _entry(found, standby.wanted.sources)
            for copy in standby.copies:
                await self._try(copy, copy.aim, entry)
            standby.looked = True
        self._entries = {task: _entry(found, sources) for task, sources in left.items()}

    def _publish(self) -> None:
        lags = {
            task: lag
            for task, entry in self._entries.items()
            if (lag := self._lag(task, entry)) >= 0
        }
        for task, standby in self._standbys.items():
            here = standby.lag
            if here is not None:
                lags[task] = here
        self._on_lags(lags)

    def _lag(self, task: TaskId, entry: TaskEntry | None) -> int:
        """How far behind is what lies on the disk of a task?  -1 if that is not known."""
        if entry is None:
            return -1
        left = {
            name.table: (known.position, known.topic_id)
            for name, known in self._stores.left.items()
            if name.partition == task.partition
        }
        if not left.keys() & entry.tables.keys():
            return -1
        return sum(restore.lag(mark, left.get(name)) for name, mark in entry.tables.items())

    # -- reading ----------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until everything is here that is known to be committed, or it is time to look."""
        deadline = self._clock.monotonic() + self._interval
        while behind := self._behind():
            began = self._clock.monotonic()
            await self._read_some(behind)
            now = self._clock.monotonic()
            if now >= deadline or self._changed.is_set():
                self._changed.set()  # no rest: there is more to read
                return
            rest = REST_WHILE_RESTORING if self._is_restoring() else REST
            await self._clock.sleep(min(rest * (now - began), MAX_WAIT))
        for standby in list(self._standbys.values()):
            for copy in standby.copies:
                await self._try(copy, copy.refresh)

    def _behind(self) -> dict[TP, Following]:
        return {
            copy.changelog: copy
            for standby in self._standbys.values()
            for copy in standby.copies
            if copy.behind
        }

    async def _read_some(self, behind: Mapping[TP, Following]) -> None:
        reader = self._assigned(behind)
        fetched = await reader.fetch(MAX_WAIT)
        for tp, error in fetched.errors.items():
            if tp in behind:
                await self._on_error(behind[tp], error)
        batches: dict[TP, list[Any]] = {}
        for batch in fetched.batches:
            batches.setdefault(batch.tp, []).append(batch)
        for tp, position in fetched.positions.items():
            if tp in behind:
                copy = behind[tp]
                await self._try(copy, copy.take, batches.get(tp, []), position)

    def _assigned(self, behind: Mapping[TP, Following]) -> Reader:
        """Return the reader, at the positions of what is behind and of nothing else."""
        reader = self._reader
        if reader is None:
            reader = self._reader = self._transport.reader(self._replay.reader_options())
        at = reader.positions()
        reader.unassign([tp for tp in at if tp not in behind])
        reader.assign({tp: c.position for tp, c in behind.items() if at.get(tp) != c.position})
        return reader

    async def _on_error(self, copy: Following, error: BrokerError) -> None:
        assert self._reader is not None
        self._reader.unassign([copy.changelog])
        if isinstance(error, OffsetOutOfRange):
            logger.warning("Following %s: the log was truncated; looking again", copy.changelog)
            copy.lost_its_place()
        elif not isinstance(error, RetryableError):
            await copy.fail(error)

    @staticmethod
    async def _try(copy: Following, fun: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Whatever is wrong with one copy ends neither the worker nor the other copies."""
        try:
            await fun(*args)
        except RetryableError:
            raise
        except (BrokerError, OSError) as exc:
            await copy.fail(exc)

    # -- telling ----------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Say how far everything has come, and what has caught up."""
        self._publish()
        warm = [t for t, each in self._standbys.items() if each.wanted.warming and each.is_warm]
        if warm:
            for task in warm:
                standby = self._standbys[task]
                standby.wanted = standby.wanted._replace(warming=False)
            self._on_warm(warm)
        if not self.settled and all(each.settled for each in self._standbys.values()):
            self.settled = True
            self._bridge.post_main(self._on_settled)

    def __repr__(self) -> str:
        return f"<Standbys {len(self._standbys)} tasks, {'settled' if self.settled else 'behind'}>"


def _entry(found: Mapping[TP, Commit], sources: Iterable[TP]) -> TaskEntry | None:
    """Return what the commits of a task's source partitions say together."""
    return commits.choose(
        {tp.topic: (found[tp].offset, found[tp].metadata) for tp in sources if tp in found}
    ).entry
