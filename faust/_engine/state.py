"""What keeps the state of tables on a worker, put together: stores, restorer, copies, replicas."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from faust._engine.copies import Wanted
from faust._engine.followers import Followers
from faust._engine.local_stores import LocalStores, StoreName
from faust._engine.replay import Replay
from faust._engine.restorer import Restorer
from faust._engine.standbys import Standbys
from faust._engine.startpoints import StartPoints
from faust._engine.takeback import TakeBack
from faust._machines.copartition import TaskId
from faust._values import TP

if TYPE_CHECKING:
    from faust._engine.connection import Connection
    from faust._engine.rebalancer import Rebalancer
    from faust._engine.tasks import ActiveTask
    from faust.assignor.partition_assignor import Assignment

__all__ = ["State"]

logger = logging.getLogger(__name__)


class State:
    """The state of a worker's tables (on the main loop).

    Arguments:
        host: The app: settings, clock, tables, conductor.
        connection: The open connection.
        cluster_id: The broker's own id.
        tasks: The tasks that are active here.
        starting: The tasks that are being restored.
        rebalancer: Is told what is here, and when a task may be moved here.
        sources: Returns the topics that are read here and have so many partitions.
        on_caught_up: Called when all that others write of global tables is here.
        on_standbys_settled: Called when all standbys have come to what was committed.
        on_crash: Called with what ends the worker.

    Attributes:
        lagging: Records still to be restored: (table, partition) -> how many.
    """

    def __init__(
        self,
        host: Any,
        connection: Connection,
        *,
        cluster_id: str,
        tasks: Mapping[TaskId, ActiveTask],
        starting: Collection[TaskId],
        rebalancer: Rebalancer,
        sources: Callable[[int], list[str]],
        on_caught_up: Callable[[], None],
        on_standbys_settled: Callable[[], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self.lagging: dict[tuple[str, int], int] = {}
        self._host = host
        self._bridge = connection.bridge
        self._tasks = tasks
        self._starting = starting
        self._rebalancer = rebalancer
        self._sources = sources
        bridge, clock, transport = connection.bridge, host.clock, connection.transport
        group_id, interval = host.conf.id, host.conf.broker_commit_interval
        replay = Replay(bridge, clock, transport, host.create_event)
        self.stores = LocalStores(host.tables, clock)
        self.restorer = Restorer(
            bridge=bridge,
            clock=clock,
            cluster_id=cluster_id,
            replay=replay,
            take_back=TakeBack(
                replay,
                transport,
                connection.changelog_producer,
                clock,
                exact=host.in_transaction,
            ),
            start_points=StartPoints(
                bridge=bridge,
                transport=transport,
                replay=replay,
                group_id=group_id,
                stable=host.in_transaction,
                reset=host.conf.consumer_auto_offset_reset,
                readers_of=host.topics.committing_readers_of,
                tables_elsewhere=self._tables_elsewhere,
            ),
            stores=self.stores,
            on_progress=self._on_progress,
            on_restored=host.sensors.on_restored,
        )
        self.followers = Followers(
            bridge=bridge,
            clock=clock,
            transport=transport,
            group_id=group_id,
            interval=interval,
            tables=host.tables,
            sources=sources,
            owned=lambda: {*tasks, *starting},
            on_caught_up=on_caught_up,
        )
        self.standbys = Standbys(
            bridge=bridge,
            clock=clock,
            transport=transport,
            replay=replay,
            stores=self.stores,
            group_id=group_id,
            cluster_id=cluster_id,
            interval=interval,
            sources=self._sources_of,
            is_restoring=lambda: bool(starting),
            on_lags=self._on_lags,
            on_warm=self._on_warm,
            on_settled=on_standbys_settled,
            on_crash=on_crash,
        )

    # -- what belongs to a task --------------------------------------------------------------------

    def tables_of(self, task: TaskId) -> dict[str, Any]:
        """Return the tables that belong to a task, by name."""
        return {
            name: table
            for name, table in self._host.tables.items()
            if str(table.partitions) == task.group
        }

    def _tables_elsewhere(self, task: TaskId) -> set[str]:
        """Return the names of the tables that belong to other tasks."""
        return {
            name
            for name, table in self._host.tables.items()
            if table.partitions and str(table.partitions) != task.group
        }

    def sources_of(self, task: TaskId, assignment: Assignment) -> tuple[TP, ...]:
        """Return the source partitions of a task that are read here."""
        return tuple(
            tp
            for tp in sorted(assignment.sources_of([task]))
            if self._host.topics.readers_of(tp.topic)
        )

    def _sources_elsewhere(self, task: TaskId, assignment: Assignment) -> tuple[TP, ...]:
        """Return the source partitions of a task that somebody else has."""
        return tuple(
            TP(topic, task.partition)
            for topic, group in sorted(assignment.topics.items())
            if group == task.group and self._host.topics.readers_of(topic)
        )

    # -- starting, following, stopping ------------------------------------------------------------

    async def start(self) -> None:
        """See what lies on the disk, before the group is joined."""
        tables, replicas = self._host.tables, self._host.conf.table_standby_replicas
        if not len(tables):
            return
        if replicas:
            logger.info(
                "Tables are copied to up to %d other workers, where there are any "
                "(table_standby_replicas=%d)", replicas, replicas,
            )  # fmt: skip
        await self.standbys.survey()
        self._bridge.post_io(self.standbys.begin)

    async def release(self, tasks: Iterable[TaskId]) -> None:
        """These tasks will be started here: their standbys hand over their stores."""
        await self.standbys.release(tasks)

    async def follow(self, assignment: Assignment) -> None:
        """Keep copies of what an assignment says; close what is of no more use."""
        wanted = {
            task: Wanted(
                self._sources_elsewhere(task, assignment),
                tuple(self.tables_of(task).values()),
                task in assignment.warming,
            )
            for task in sorted(assignment.standbys)
            if task not in self._tasks and task not in self._starting
        }
        await self.standbys.follow({task: each for task, each in wanted.items() if each.tables})
        self.stores.close_kept(self._is_wanted)

    def _is_wanted(self, store: StoreName) -> bool:
        """Is there a task being started, or a standby, that will open this store?"""
        table = self._host.tables[store.table]
        task = TaskId(str(table.partitions), store.partition)
        return task in self._starting or self.standbys.wants(store)

    async def stop(self) -> None:
        """Close everything; tasks must have been given up."""
        for store in await self._bridge.call_io(self.standbys.end):
            store.close()
        self.stores.close_kept()

    # -- what is told -----------------------------------------------------------------------------

    def _sources_of(self, task: TaskId) -> tuple[TP, ...]:
        return tuple(TP(topic, task.partition) for topic in self._sources(int(task.group)))

    def _on_lags(self, lags: Mapping[TaskId, int]) -> None:
        owned = self._rebalancer.owned
        self._rebalancer.lags = {task: lag for task, lag in lags.items() if task not in owned}

    def _on_warm(self, tasks: Collection[TaskId]) -> None:
        names = ", ".join(map(str, sorted(tasks)))
        self._rebalancer.request_rejoin(f"copies that were wanted here have caught up: {names}")

    def _on_progress(self, table: str, partition: int, left: int) -> None:
        if left:
            self.lagging[table, partition] = left
        else:
            self.lagging.pop((table, partition), None)

    def copied(self, table: Any) -> set[TP]:
        """Return the partitions of a table's changelog that are copied here for others."""
        return self.standbys.changelogs(table)

    def restoring(self) -> str:
        """Return how far restoring has come, in words; "" while nothing is read."""
        status = self.restorer.restores.status(self._host.clock.monotonic())
        return str(status) if status.left else ""
