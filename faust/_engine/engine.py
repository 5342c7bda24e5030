"""A worker's moving parts, put together: what is started in which order, and what a rebalance does.

The main loop owns tasks (`TaskManager`).  The I/O loop owns the membership (`Rebalancer`) and calls
here through the bridge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from faust._core.background import in_background
from faust._engine.changelogs import Changelogs
from faust._engine.committer import Committer
from faust._engine.declarations import Declarations
from faust._engine.fetcher import Fetcher
from faust._engine.reach import Reach
from faust._engine.rebalancer import Callbacks, Rebalancer, Subscription
from faust._engine.sharing import Sharing
from faust._engine.state import State
from faust._engine.task_manager import TaskManager
from faust._engine.upkeep import Upkeep
from faust._engine.vigil import Vigil
from faust._machines import commits
from faust._machines.copartition import TaskId
from faust._machines.flow import Changes
from faust._values import TP
from faust.exceptions import BrokerError, BrokerUnavailable, ImproperlyConfigured, StopError

if TYPE_CHECKING:
    from faust._engine.connection import Connection
    from faust._engine.exactlyonce import ExactlyOnce
    from faust._engine.slots import Slot
    from faust.assignor.partition_assignor import Assignment
    from faust.transport.base import TopicInfo
    from faust.transport.reader import Fetched

__all__ = ["Engine"]

logger = logging.getLogger(__name__)

#: What giving tasks up may take beyond the grace of their events: the last commit (seconds).
REVOKE_MARGIN = 10.0

#: What the last commit may take beyond the grace of events in progress (seconds).
LAST_COMMIT_PATIENCE = 20.0
#: What leaving the group may take (seconds).
LEAVE_PATIENCE = 5.0

#: Bytes that a task's commit metadata may have (Kafka's ``offset.metadata.max.bytes``).
METADATA_LIMIT = 4096


class Engine:
    """What a worker runs on, between connecting and leaving.

    Arguments:
        host: The app: settings, agents, tables, conductor.
        connection: The open connection: bridge, transport, producer, outbox.

    Attributes:
        manager: What starts tasks and gives them up.
        tasks: Its tasks that are active here.
        starting: Its tasks that are being restored.
        assignment: The latest assignment.
    """

    def __init__(self, host: Any, connection: Connection) -> None:
        self.host = host
        self.connection = connection
        self.bridge = connection.bridge
        self.clock = host.clock
        self.conf = host.conf
        self.conductor = host.topics
        self.assignment: Assignment | None = None
        self.infos: dict[str, TopicInfo] = {}
        self.writer = host.writer_id or uuid4().hex[:12]
        self.caught_up = asyncio.Event()
        self.blocked: dict[str, str] = {}
        self.sharing = Sharing(host.agents, host.tables, host.streams)
        self.manager = TaskManager(
            host,
            self.bridge,
            self.sharing,
            caught_up=self.caught_up,
            on_started=self._look_if_caught_up,
            on_crash=self._crash,
        )
        self.tasks = self.manager.tasks
        self.starting = self.manager.starting
        #: What sensors know of rebalances that are not over.
        self._rebalances: list[Any] = []
        self._committing: asyncio.Task[None] | None = None
        self._cleaning: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._reaching: asyncio.Task[None] | None = None
        #: Who asks has not been told yet that the standbys are ready, after a rebalance.
        self._standbys_due = False
        #: Who asks is told of every rebalance, also where nothing is taken away.
        self._revoked_told = False
        self._made = False
        self._stopped = False
        self._subscription = Subscription(frozenset(), False, self.conductor.matching)
        self.exactly_once: ExactlyOnce | None = None
        self._slot: Slot | None = None

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
        await self._make_parts()
        await self.state.start()
        self._made = True
        self.conductor.on_flow = self._on_flow
        self.conductor.on_subscription_changed = self._on_subscription_changed
        self._note_subscription()
        bridge.post_io(self.fetcher.begin)
        bridge.post_io(self.rebalancer.begin)
        self._committing = in_background(self.committer.run(), "faust-committer", host.on_crash)
        if self.conf.broker_unavailable_timeout is not None:
            limit: float = self.conf.broker_unavailable_timeout
            self._reaching = in_background(self._end_when_lost(limit), "faust-reach", host.on_crash)
        upkeep = Upkeep(host, bridge, transport, self.tasks, self.committer)
        self._cleaning = in_background(upkeep.run(), "faust-cleaner", host.on_crash)

    async def _make_parts(self) -> None:
        from faust.transport.membership import GroupOptions
        from faust.transport.reader import ReaderOptions

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
            self.fetcher = Fetcher(
                reader, bridge, clock, self._deliver, self._on_fetch_error, host.on_crash
            )
            self.rebalancer = Rebalancer(
                bridge=bridge,
                clock=clock,
                transport=transport,
                membership=membership,
                assignor=host.assignor,
                subscription=lambda: self._subscription,
                url=str(conf.canonical_url),
                app_version=str(conf.version),
                static=conf.consumer_group_instance_id is not None,
                heartbeat_interval=conf.broker_heartbeat_interval,
                session_timeout=conf.broker_session_timeout,
                revoke_patience=conf.broker_rebalance_grace + REVOKE_MARGIN,
                cap=self._cap,
                callbacks=Callbacks(
                    self._on_revoked,
                    self._on_assigned,
                    self._on_lost,
                    self._crash,
                    self.manager.disown,
                    self._on_rebalance_start,
                    self._on_planned,
                ),
            )

        await bridge.call_io(make)
        connection.outbox.losses.final = True
        if host.in_transaction:
            await self._make_exact()
        self.committer = Committer(
            bridge=bridge,
            clock=clock,
            transport=transport,
            producer=connection.changelog_producer,
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
            vigil=self._make_vigil(),
            guarantee=self.exactly_once,
        )
        self.state = State(
            host,
            connection,
            cluster_id=self.cluster_id,
            tasks=self.tasks,
            starting=self.starting,
            rebalancer=self.rebalancer,
            sources=self._sources_with,
            on_caught_up=self._look_if_caught_up,
            on_standbys_settled=self._look_if_caught_up,
            on_crash=host.on_crash,
        )
        self.followers = self.state.followers
        self.manager.equip(self.fetcher, self.committer, self.state)

    def _make_vigil(self) -> Vigil:
        connection = self.connection
        return Vigil(
            bridge=self.bridge,
            transport=connection.transport,
            membership=self.membership,
            changelogs=Changelogs(
                connection.transport,
                connection.changelog_producer,
                batch_size=self.conf.producer_max_batch_size,
                now=self.clock.time,
            ),
            ensure=self._declarations.ensure,
            exact=self.exactly_once is not None,
        )

    async def _make_exact(self) -> None:
        """Under exactly once: take a transactional id, and end what a predecessor left open."""
        from faust._engine.exactlyonce import ExactlyOnce, new_producer
        from faust._engine.outputs import ExactOutbox
        from faust._engine.slots import Slot, take_slot

        host, conf, connection = self.host, self.conf, self.connection
        assert isinstance(connection.outbox, ExactOutbox)
        given = host.transactional_id
        self._slot = (
            Slot(given)
            if given
            else take_slot(conf.datadir, conf.id, conf.consumer_group_instance_id)
        )
        name = self._slot.name
        self.exactly_once = ExactlyOnce(
            bridge=self.bridge,
            transport=connection.transport,
            producer=await self.bridge.call_io(new_producer, connection.transport, conf, name),
            name=name,
            membership=self.membership,
            outbox=connection.outbox,
            group_id=conf.id,
            batch_size=conf.producer_max_batch_size,
            now=self.clock.time,
        )
        await self.exactly_once.start()

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
            if not self._stopped:
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
        await self.state.release(added)
        await self.manager.take_on(added, assignment, generation)
        await self.state.follow(assignment)
        if self.manager.closed:
            return
        if self._following is None:
            self._following = in_background(
                self.followers.run(), "faust-followers", self.host.on_crash
            )
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

    async def _on_revoked(self, revoked: frozenset[TaskId], reason: str) -> None:
        self._revoked_told = True
        await self.host.on_revoked(self._partitions(revoked, self.assignment))
        await self.manager.give_up(revoked)

    async def _on_lost(self, reason: str) -> None:
        """The group has forgotten us: whatever is not committed will be done by others."""
        await self.host.on_revoked(self._partitions(self.tasks, self.assignment))
        await self.manager.drop_all()

    @staticmethod
    def _partitions(tasks: Iterable[TaskId], assignment: Assignment | None) -> set[TP]:
        return set() if assignment is None else set(assignment.sources_of(tasks))

    # -- readiness --------------------------------------------------------------------------------

    @property
    def lagging(self) -> dict[tuple[str, int], int]:
        """Records still to be restored: (table, partition) -> how many."""
        return self.state.lagging if self._made else {}

    def standby_tasks(self) -> list[str]:
        """Return the names of the tasks of which copies are kept here."""
        return list(map(str, self.state.standbys.tasks)) if self._made else []

    def standby_lags(self) -> dict[TaskId, int]:
        """Return how many records the copies that are kept here are behind what is committed."""
        if not self._made:
            return {}
        kept, lags = self.state.standbys.tasks, dict(self.rebalancer.lags)
        return {task: lags[task] for task in kept if task in lags}

    def _look_if_caught_up(self) -> None:
        complete = not self.starting and self.followers.caught_up.is_set()
        if complete and self.generation >= 0:
            over, self._rebalances = self._rebalances, []
            for state in over:
                self.host.sensors.on_rebalance_end(self.host, state)
            if over:
                self.host.on_rebalance_end()
                self._standbys_due = True
            if self._standbys_due and self.state.standbys.settled:
                self._standbys_due = False
                self.host.on_standbys_ready()
            if not self.caught_up.is_set():
                self.caught_up.set()

    @property
    def is_made(self) -> bool:
        """Are all parts there?"""
        return self._made

    def background_tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks that commit, clean up and follow."""
        tasks = (self._committing, self._cleaning, self._following, self._reaching)
        return [task for task in tasks if task is not None]

    def rebalance_tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks that a rebalance waits in: its own, and those that start tasks."""
        return [*self.rebalancer.running(), *self.starting.values()]

    @property
    def generation(self) -> int:
        """The generation we are in; -1 outside of any, and while we are still starting."""
        return self.rebalancer.generation if self._made else -1

    def not_ready_because(self) -> str:
        """Return why this worker is not processing everything that is its own; "" if it is."""
        if self.generation < 0:
            return "not a member of the group yet"
        if self.starting:
            status = self.state.restoring()
            return f"{len(self.starting)} tasks are being restored{status and f': {status}'}"
        if not self.followers.caught_up.is_set():
            return "global tables are being read"
        for reason in self.blocked.values():
            return reason
        return ""

    # -- background -------------------------------------------------------------------------------

    async def _end_when_lost(self, limit: float) -> None:
        """End the app when no broker has answered for so long."""
        connection = self.connection
        reach = Reach(connection.transport, self.clock, self.conductor.topics, limit)
        why = await self.bridge.call_io(reach.lost)
        raise connection.away(limit, why)

    def _sources_with(self, partitions: int) -> list[str]:
        """Return the topics that are read here and have so many partitions.

        That is as the group sees it (a topic may have grown since), where we are in it already.
        """
        if self.assignment is not None:
            groups = self.assignment.topics
            return [
                name
                for name, group in groups.items()
                if group == str(partitions) and self.conductor.readers_of(name)
            ]
        return [
            name
            for name in self.conductor.topics()
            if name in self.infos and self.infos[name].partitions == partitions
        ]

    # -- stopping ---------------------------------------------------------------------------------

    async def stop(self, *, crashed: bool = False) -> None:
        """Drain, commit, leave.  After a crash nothing more is committed than is certain.

        Each step has its time: a broker that is away holds up nobody for ever.

        Raises:
            BrokerUnavailable: the last commit was not made; its events will be processed again.
        """
        self._stopped = True
        self.manager.close()
        for background in self.background_tasks():
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
        try:
            async with asyncio.timeout(self.conf.broker_rebalance_grace + LAST_COMMIT_PATIENCE):
                await self.manager.give_up([*self.tasks, *self.starting])
                if hasattr(self, "committer"):
                    # A task that was being started may have left a commit: it needs the group.
                    await self.committer.idle()
        except TimeoutError:
            await self.manager.drop_all()
        except Exception as exc:
            if not crashed:
                logger.error("The last commit failed: %s", exc)
        finally:
            if hasattr(self, "committer"):
                await self.committer.end()
            if hasattr(self, "state"):
                await self.state.stop()
            await self._leave()
        if not crashed and self._made and self.committer.trying:
            raise BrokerUnavailable(
                f"the last commit was not made, and what it was for will be processed again "
                f"({self.committer.trouble or 'the broker does not answer'})"
            )

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_PATIENCE):
                await self.bridge.call_io(self._end)
                if self.exactly_once is not None:
                    await self.exactly_once.close()
        except TimeoutError:
            logger.warning("The group was not told that this worker leaves: no broker answers")
        finally:
            if self.exactly_once is not None:
                self.exactly_once.drop()
            if self._slot is not None:
                self._slot.release()

    async def _end(self) -> None:
        """What was made is ended; a start that failed may not have come so far."""
        for part in ("fetcher", "rebalancer"):
            if hasattr(self, part):
                await getattr(self, part).end()
