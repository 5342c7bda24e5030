"""A worker's moving parts, put together: what is started in which order, and what a rebalance does.

The main loop owns tasks: `_start_task` restores and starts one, `_give_up` cuts, commits and closes
some.  The I/O loop owns the membership (`Rebalancer`) and calls here through the bridge.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from faust._engine.committer import Committer
from faust._engine.declarations import Declarations
from faust._engine.fetcher import Fetcher
from faust._engine.followers import Followers
from faust._engine.rebalancer import Callbacks, Rebalancer, Subscription
from faust._engine.recovery import Recovery
from faust._engine.restorer import Restorer
from faust._engine.sharing import Sharing
from faust._engine.tasks import ActiveTask
from faust._machines import commits
from faust._machines.copartition import TaskId
from faust._machines.effects import TaskRun
from faust._machines.flow import Changes
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import BrokerError, ImproperlyConfigured, RetryableError, StopError

if TYPE_CHECKING:
    from faust._engine.connection import Connection
    from faust.assignor.partition_assignor import Assignment
    from faust.transport.base import Fetched, TopicInfo

__all__ = ["Engine"]

logger = logging.getLogger(__name__)

#: What giving tasks up may take beyond the grace of their events: the last commit (seconds).
REVOKE_MARGIN = 10.0

#: Bytes that a task's commit metadata may have (Kafka's ``offset.metadata.max.bytes``).
METADATA_LIMIT = 4096


class Engine:
    """What a worker runs on, between connecting and leaving.

    Arguments:
        host: The app: settings, agents, tables, conductor.
        connection: The open connection: bridge, transport, producer, outbox.

    Attributes:
        tasks: The tasks that are active here.
        starting: Tasks that are being restored.
        assignment: The latest assignment.
        lagging: Records still to be restored: (table, partition) -> how many.
    """

    def __init__(self, host: Any, connection: Connection) -> None:
        self.host = host
        self.connection = connection
        self.bridge = connection.bridge
        self.clock = host.clock
        self.conf = host.conf
        self.conductor = host.topics
        self.tasks: dict[TaskId, ActiveTask] = {}
        self.starting: dict[TaskId, asyncio.Task[None]] = {}
        self.assignment: Assignment | None = None
        self.lagging: dict[tuple[str, int], int] = {}
        self.infos: dict[str, TopicInfo] = {}
        self.writer = host.writer_id or uuid4().hex[:12]
        self.caught_up = asyncio.Event()
        self.blocked: dict[str, str] = {}
        self.sharing = Sharing(host.agents, host.tables, host.streams)
        self._recovery = Recovery()
        #: What sensors know of rebalances that are not over.
        self._rebalances: list[Any] = []
        self._incarnations = 0
        self._reads: dict[TaskId, frozenset[tuple[str, str]]] = {}
        self._committing: asyncio.Task[None] | None = None
        self._cleaning: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        #: Who asks is told of every rebalance, also where nothing is taken away.
        self._revoked_told = False
        self._made = False
        self._stopped = False
        self._subscription = Subscription(frozenset(), False, self.conductor.matching)

    # -- starting ------------------------------------------------------------------------

    async def start(self) -> None:
        """Create and check topics, then join the group; agents must have been started before."""
        host, connection, bridge = self.host, self.connection, self.bridge
        transport = connection.transport
        self.cluster_id = await bridge.call_io(transport.cluster_id)
        self._declarations = Declarations(
            self.conf, transport, self.conductor, host.tables, host.agents, host.needed_topics
        )
        self.infos = await bridge.call_io(self._declarations.ensure)
        for info in self.infos.values():
            connection.outbox.learn(info.name, info.partitions, info.topic_id)
        self._check_metadata_size()
        host.tables.frozen = True
        if len(host.tables) and self.conf.table_standby_replicas:
            logger.info(
                "Tables have no standby copies (table_standby_replicas=%d): this version restores "
                "a partition that moves from its changelog", self.conf.table_standby_replicas,
            )  # fmt: skip
        await self._make_parts()
        self._made = True
        self.conductor.on_flow = self._on_flow
        self.conductor.on_subscription_changed = self._on_subscription_changed
        self._note_subscription()
        bridge.post_io(self.fetcher.begin)
        bridge.post_io(self.rebalancer.begin)
        self._committing = asyncio.create_task(self._commit_forever(), name="faust-committer")
        self._cleaning = asyncio.create_task(self._clean_forever(), name="faust-cleaner")

    async def _make_parts(self) -> None:
        from faust.transport.base import GroupOptions, ReaderOptions

        host, conf, connection = self.host, self.conf, self.connection
        transport, bridge, clock = connection.transport, self.bridge, self.clock

        async def make() -> None:
            membership = transport.membership(
                GroupOptions(
                    group_id=conf.id,
                    instance_id=conf.consumer_group_instance_id,
                    session_timeout=conf.broker_session_timeout,
                    rebalance_timeout=conf.broker_rebalance_timeout,
                )
            )
            reader = transport.reader(
                ReaderOptions(
                    max_partition_bytes=conf.consumer_max_fetch_size,
                    check_crcs=conf.broker_check_crcs,
                )
            )
            self.membership = membership
            self.fetcher = Fetcher(reader, bridge, clock, self._deliver, self._on_fetch_error)
            self.rebalancer = Rebalancer(
                bridge=bridge,
                clock=clock,
                transport=transport,
                membership=membership,
                assignor=host.assignor,
                subscription=lambda: self._subscription,
                url=str(conf.canonical_url),
                app_version=str(conf.version),
                heartbeat_interval=conf.broker_heartbeat_interval,
                session_timeout=conf.broker_session_timeout,
                revoke_patience=conf.broker_rebalance_grace + REVOKE_MARGIN,
                cap=self._cap,
                callbacks=Callbacks(
                    self._on_revoked,
                    self._on_assigned,
                    self._on_lost,
                    self._crash,
                    self._disown,
                    self._on_rebalance_start,
                    self._on_planned,
                ),
            )

        await bridge.call_io(make)
        self.committer = Committer(
            bridge=bridge,
            clock=clock,
            transport=transport,
            producer=connection.producer,
            membership=self.membership,
            outbox=connection.outbox,
            group_id=conf.id,
            cluster_id=self.cluster_id,
            writer=self.writer,
            interval=conf.broker_commit_interval,
            every=conf.broker_commit_every or 0,
            batch_size=conf.producer_max_batch_size,
            tasks=lambda: self.tasks.values(),
            generation=lambda: self.generation,
            sensors=host.sensors,
            consumer=host.consumer,
            on_committed=host.tables.on_commit,
        )
        self.followers = Followers(
            bridge=bridge,
            clock=clock,
            transport=transport,
            group_id=conf.id,
            interval=conf.broker_commit_interval,
            tables=host.tables,
            sources=self._sources_with,
            owned=lambda: {*self.tasks, *self.starting},
            on_caught_up=self._look_if_caught_up,
        )
        self.restorer = Restorer(
            bridge=bridge,
            clock=clock,
            transport=transport,
            producer=connection.producer,
            group_id=conf.id,
            cluster_id=self.cluster_id,
            reset=conf.consumer_auto_offset_reset,
            open_store=host.tables.open_store,
            open_apart=host.tables.open_apart,
            readers_of=self.conductor.committing_readers_of,
            on_progress=self._on_restore_progress,
            on_restored=host.sensors.on_restored,
            make_event=host.create_event,
        )

    def _check_metadata_size(self) -> None:
        """Fail now, not at the first commit, where a task's positions cannot fit."""
        by_count: dict[int, list[str]] = {}
        for name in self.conductor.topics():
            if name in self.infos:
                by_count.setdefault(self.infos[name].partitions, []).append(name)
        for count, names in by_count.items():
            readers = sorted({r for name in names for r in self.conductor.readers_of(name)})
            tables = [n for n, t in self.host.tables.items() if t.partitions == count]
            size = commits.worst_case_size(names, readers, tables, 0)
            if size > METADATA_LIMIT:
                raise ImproperlyConfigured(
                    f"topics, agents and tables with {count} partitions need up to {size} bytes "
                    f"of commit metadata, and a broker keeps {METADATA_LIMIT}: give some of them "
                    f"another number of partitions, or split the app"
                )

    # -- subscription ----------------------------------------------------------------------

    def _note_subscription(self) -> None:
        self._subscription = Subscription(
            frozenset(self.conductor.topics()),
            self.conductor.has_patterns(),
            self.conductor.matching,
        )

    def _on_subscription_changed(self) -> None:
        """An agent reads something new while we are running."""
        if not self._stopped:
            asyncio.ensure_future(self._resubscribe())  # noqa: RUF006 - ends by itself, below

    async def _resubscribe(self) -> None:
        try:
            self.infos = await self.bridge.call_io(self._declarations.ensure)
        except Exception as exc:
            await self._crash(exc)
            return
        for info in self.infos.values():
            self.connection.outbox.learn(info.name, info.partitions, info.topic_id)
        self._note_subscription()
        self.bridge.post_io(self.rebalancer.request_rejoin, "this worker reads other topics now")

    def _cap(self, counts: Mapping[str, int]) -> dict[str, int]:
        """A source that feeds a table and has grown: its new partitions are not started."""
        capped = dict(counts)
        blocked: dict[str, str] = {}
        for relation in self._declarations.together():
            topic, changelog = relation.topics
            known = self.infos.get(changelog)
            if known is not None and topic in capped and capped[topic] > known.partitions:
                capped[topic] = known.partitions
                blocked[topic] = (
                    f"topic {topic!r} has grown to {counts[topic]} partitions, but "
                    f"{relation.reason} and has {known.partitions}: partitions from "
                    f"{known.partitions} on are not processed. Build the table anew (raise the "
                    f"app's version), or repartition with group_by()"
                )
        for topic, reason in blocked.items():
            if topic not in self.blocked:
                logger.error("Not ready: %s", reason)
        self.blocked = blocked
        return capped

    # -- batches, flow, errors ------------------------------------------------------------------

    def _deliver(self, fetched: Fetched, incarnations: Mapping[TP, int]) -> None:
        self.conductor.deliver(fetched, incarnations)

    def _on_flow(self, changes: Changes) -> None:
        if changes.pause:
            self.bridge.post_io(self.fetcher.pause, changes.pause)
        if changes.resume:
            self.bridge.post_io(self.fetcher.resume, changes.resume)

    def _on_fetch_error(self, tp: TP, error: BrokerError) -> None:
        if isinstance(error, StopError):
            asyncio.ensure_future(self._crash(error))  # noqa: RUF006 - ends the worker
            return
        logger.error("%s cannot be read: %s", tp, error)
        self.blocked[tp.topic] = f"{tp} cannot be read: {error}"

    async def _crash(self, error: BaseException) -> None:
        self.host.on_crash(error)

    # -- rebalances, called from the I/O loop -----------------------------------------------------

    def _on_rebalance_start(self) -> None:
        self._rebalances.append(self.host.sensors.on_rebalance_start(self.host))
        self.host.on_rebalance_start()

    def _on_planned(self, seconds: float, error: BaseException | None) -> None:
        self.host.sensors.on_assigned_by_us(self.host.assignor, seconds, error)

    async def _on_assigned(
        self, added: frozenset[TaskId], assignment: Assignment, generation: int
    ) -> None:
        """Start what is new; restoring goes on in the background."""
        self.assignment = assignment
        if self._stopped:
            return
        changed = {
            task_id
            for task_id in (*self.starting, *self.tasks)
            if self._reads.get(task_id) != self._readers_in(task_id, assignment)
        }
        if changed:
            await self.give_up(changed)
        for task_id in sorted(added | changed):
            self._recovery.expect(task_id, self._tables_of(task_id).values())
        for task_id in sorted(added | changed):
            if task_id not in self.starting and task_id not in self.tasks:
                self.caught_up.clear()
                self._reads[task_id] = self._readers_in(task_id, assignment)
                self.starting[task_id] = asyncio.create_task(
                    self._start_until_done(task_id, assignment), name=f"faust-start-{task_id}"
                )
        if self._following is None:
            self._following = asyncio.create_task(self._follow_forever(), name="faust-followers")
        if not self._revoked_told:
            await self.host.on_revoked(set())
        self._revoked_told = False
        await self.host.on_assigned(self._partitions(added, assignment))
        for state in self._rebalances:
            self.host.sensors.on_rebalance_return(self.host, state)
        self.host.on_rebalance_return()
        self._look_if_caught_up()

    def assigned_partitions(self) -> set[TP]:
        """Return all partitions that are read here, those still being restored included."""
        return self._partitions([*self.tasks, *self.starting], self.assignment)

    def _tables_of(self, task_id: TaskId) -> dict[str, Any]:
        return {
            name: table
            for name, table in self.host.tables.items()
            if str(table.partitions) == task_id.group
        }

    def _readers_in(self, task_id: TaskId, assignment: Assignment) -> frozenset[tuple[str, str]]:
        """Return who reads what in a task: (topic, reader).

        Where that changes while the task stays here (a pattern matches a new topic, an agent reads
        another one), the task is committed, closed and started again with what it has now.
        """
        return frozenset(
            (topic, reader)
            for topic, group in assignment.topics.items()
            if group == task_id.group
            for reader in self.conductor.readers_of(topic)
        )

    async def _on_revoked(self, revoked: frozenset[TaskId], reason: str) -> None:
        self._revoked_told = True
        await self.host.on_revoked(self._partitions(revoked, self.assignment))
        await self.give_up(revoked)

    def _disown(self, ids: frozenset[TaskId]) -> None:
        """On the I/O loop, while the main loop is blocked: nothing of these tasks counts any
        more."""
        for task_id in ids:
            task = self.tasks.get(task_id)
            if task is not None:
                task.run.open = task.run.alive = False

    async def _on_lost(self, reason: str) -> None:
        """The group has forgotten us: whatever is not committed will be done by others."""
        await self.host.on_revoked(self._partitions(self.tasks, self.assignment))
        for starting in list(self.starting.values()):
            starting.cancel()
        await asyncio.gather(*self.starting.values(), return_exceptions=True)
        self.starting.clear()
        for task in list(self.tasks.values()):
            self._close(task)

    @staticmethod
    def _partitions(tasks: Iterable[TaskId], assignment: Assignment | None) -> set[TP]:
        if assignment is None:
            return set()
        wanted = set(tasks)
        return {
            TP(topic, task.partition)
            for task in wanted
            for topic, group in assignment.topics.items()
            if group == task.group
        }

    # -- a task's life ----------------------------------------------------------------------------

    async def _start_until_done(self, task_id: TaskId, assignment: Assignment) -> None:
        attempt = 0
        try:
            while True:
                try:
                    await self._start_task(task_id, assignment)
                    return
                except RetryableError as exc:
                    attempt += 1
                    logger.warning("Task %s is not started yet: %s", task_id, exc)
                    await self.clock.sleep(backoff(attempt, 0.1, 5.0))
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            await self._crash(exc)
        finally:
            self.starting.pop(task_id, None)
            self._recovery.give_up(task_id)
            self._look_if_caught_up()

    async def _start_task(self, task_id: TaskId, assignment: Assignment) -> None:
        """Restore, give the readers their cursors, commit the start, begin to fetch."""
        self._incarnations += 1
        run = TaskRun(task_id, task_id.partition, self._incarnations)
        topics = [
            topic
            for topic, group in sorted(assignment.topics.items())
            if group == task_id.group and self.conductor.readers_of(topic)
        ]
        tables = self._tables_of(task_id)
        task = ActiveTask(
            run, tuple(TP(topic, task_id.partition) for topic in topics), dict(tables)
        )
        began = time.perf_counter()
        try:
            restored = await self.restorer.restore(task)
            await self.followers.caught_up.wait()
            self.conductor.start_task(run, restored.positions, restored.readers)
            for name, piece in task.slices.items():
                tables[name].add_slice(run, piece)
                if task.entry is not None and name in task.entry.watermarks:
                    tables[name].restore_watermark(run.partition, task.entry.watermarks[name])
            self.sharing.make_gate(run)
            self.tasks[task_id] = task
            await self._recovery.restored(task_id, tables.values())
            if task.restless and task.sources:
                await self._commit_start(task)
        except BaseException:
            self._close(task)
            raise
        logger.info("Task %s started in %.2f s", task_id, time.perf_counter() - began)
        if restored.positions and run.alive:
            self.bridge.post_io(self.fetcher.start, restored.positions, run.incarnation)
        self.host.on_task_started(task)

    async def _commit_start(self, task: ActiveTask) -> None:
        """Before the first record is handed out its position is committed: ``latest`` cannot skip
        what was read and not committed, and every changelog has a commit to go with."""
        attempt = 0
        while task.run.alive and task.restless:
            if await self.committer.commit([task]):
                return
            attempt += 1
            await self.clock.sleep(backoff(attempt, 0.05, 1.0))

    async def give_up(self, ids: Iterable[TaskId]) -> None:
        """Stop these tasks: let events in progress end, commit, close.

        A task that is inside an event gets ``broker_rebalance_grace`` seconds; then the event is
        undone.
        """
        wanted = sorted(ids)
        starting = [self.starting[i] for i in wanted if i in self.starting]
        for each in starting:
            each.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        tasks = [self.tasks[i] for i in wanted if i in self.tasks]
        if not tasks:
            return
        for task in tasks:
            task.run.open = False
            self.bridge.post_io(self.fetcher.stop, list(task.sources))
        await self._wait_for_events(tasks, self.conf.broker_rebalance_grace)
        try:
            await self._commit_finally(tasks)
        finally:
            for task in tasks:
                self._close(task)

    async def _wait_for_events(self, tasks: Iterable[ActiveTask], grace: float) -> None:
        runs = {task.run for task in tasks}
        deadline = self.clock.monotonic() + grace
        for stream in self.host.streams():
            stream.wake()
        while busy := [
            s for s in self.host.streams() if s.inside and s.task in runs and not s.is_left
        ]:
            if self.clock.monotonic() >= deadline:
                for stream in busy:
                    logger.warning(
                        "%s has not finished its event at %s within %.0f s; the event is undone "
                        "and will be processed by another worker",
                        stream.reader, stream.cursor, grace,
                    )  # fmt: skip
                return
            await self.clock.sleep(0.005)

    async def _commit_finally(self, tasks: list[ActiveTask]) -> None:
        for attempt in range(1, 4):
            try:
                if await self.committer.commit(tasks):
                    return
            except RetryableError as exc:
                logger.warning("The last commit of %d tasks waits: %s", len(tasks), exc)
            await self.clock.sleep(backoff(attempt, 0.1, 1.0))

    def _close(self, task: ActiveTask) -> None:
        """From now on nothing of it counts."""
        run = task.run
        run.close()
        self.bridge.post_io(self.fetcher.stop, list(task.sources))
        for stream in self.host.streams():
            stream.drop_task(run)
        self.conductor.stop_task(run)
        for name, piece in task.slices.items():
            task.tables[name].drop_slice(run)
            piece.store.close()
        if self.tasks.get(task.id) is task:
            del self.tasks[task.id]

    # -- readiness --------------------------------------------------------------------------------

    def _on_restore_progress(self, table: str, partition: int, left: int) -> None:
        if left:
            self.lagging[table, partition] = left
        else:
            self.lagging.pop((table, partition), None)

    def _look_if_caught_up(self) -> None:
        complete = not self.starting and self.followers.caught_up.is_set()
        if complete and self.generation >= 0:
            over, self._rebalances = self._rebalances, []
            for state in over:
                self.host.sensors.on_rebalance_end(self.host, state)
            if over:
                self.host.on_rebalance_end()
            if not self.caught_up.is_set():
                self.caught_up.set()

    @property
    def generation(self) -> int:
        """The generation we are in; -1 outside of any, and while we are still starting."""
        return self.rebalancer.generation if self._made else -1

    def not_ready_because(self) -> str:
        """Return why this worker is not processing everything that is its own; "" if it is."""
        if self.generation < 0:
            return "not a member of the group yet"
        if self.starting:
            left = sum(self.lagging.values())
            tail = f", {left} records left" if left else ""
            return f"{len(self.starting)} tasks are being restored{tail}"
        if not self.followers.caught_up.is_set():
            return "global tables are being read"
        for reason in self.blocked.values():
            return reason
        return ""

    # -- background -------------------------------------------------------------------------------

    async def _commit_forever(self) -> None:
        try:
            await self.committer.run()
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            await self._crash(exc)

    async def _follow_forever(self) -> None:
        try:
            await self.followers.run()
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            await self._crash(exc)

    def _sources_with(self, partitions: int) -> list[str]:
        """Return the topics that are read here and have so many partitions."""
        return [
            name
            for name in self.conductor.topics()
            if name in self.infos and self.infos[name].partitions == partitions
        ]

    async def _clean_forever(self) -> None:
        """Expire windows, and purge our repartition topics behind what is committed."""
        try:
            while True:
                await self.clock.sleep(self.conf.table_cleanup_interval)
                await self._expire()
                try:
                    await self._purge()
                except BrokerError as exc:
                    logger.debug("Purging waits: %s", exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            await self._crash(exc)

    async def _expire(self) -> None:
        """Delete what has expired: these are writes of the tasks, committed like any other."""
        for task in list(self.tasks.values()):
            for name, piece in task.slices.items():
                if task.run.open:
                    await task.tables[name].expire(piece, self.clock.time())

    async def _purge(self) -> None:
        """Repartition topics that we made keep everything that is not committed, and no more."""
        ours = {
            name
            for topic in self.conductor.topic_objects()
            if topic.repartition
            for name in topic.topics
        }
        before = {
            tp: offset
            for task in self.tasks.values()
            for tp, offset in task.committed.items()
            if tp.topic in ours and offset > 0
        }
        if before:
            transport = self.connection.transport
            await self.bridge.call_io(transport.delete_records, before)

    # -- stopping ---------------------------------------------------------------------------------

    async def stop(self, *, crashed: bool = False) -> None:
        """Drain, commit, leave.  After a crash nothing more is committed than is certain."""
        self._stopped = True
        for background in (self._committing, self._cleaning, self._following):
            if background is not None:
                background.cancel()
                await asyncio.gather(background, return_exceptions=True)
        try:
            await self.give_up([*self.tasks, *self.starting])
        except Exception as exc:
            if not crashed:
                logger.error("The last commit failed: %s", exc)
        finally:
            await self.bridge.call_io(self._end)

    async def _end(self) -> None:
        """What was made is ended; a start that failed may not have come so far."""
        for part in ("fetcher", "rebalancer"):
            if hasattr(self, part):
                await getattr(self, part).end()
