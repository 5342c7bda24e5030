"""The host: an app's life, from defined to stopped.

``Host`` has what the engine and the vocabulary need, in layers, a file each: ``connected`` (it
sends and asks), ``reading`` (it reads, and knows who does), ``rebalances`` (who hears of partitions
that come and go), and here starting, failing and stopping; ``App`` (in ``faust/app``) adds the
conveniences that users write with.  The order of a worker's start::

    connect -> agents (they call their functions, which say what they read)
            -> topics are created and checked -> the group is joined
            -> tasks are restored and started, one by one
            -> all that is ours is being processed -> tasks, timers, services, "ready"

Stopping goes back the same way: timers and services, then events in progress are finished, cut and
committed, the group is left, what was sent is delivered, the connection closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mode import Service

from faust._engine.rebalances import Rebalanced
from faust._engine.registry import Registry
from faust._engine.timers import Background
from faust._values import ProcessingGuarantee
from faust.exceptions import BrokerUnavailable, ImproperlyConfigured

if TYPE_CHECKING:
    from faust._feeds import Feed
    from faust.agents.agent import Agent
    from faust.topics import Topic

__all__ = ["Host"]

logger = logging.getLogger(__name__)

#: How long agents may take to come to their first iteration before the group is joined (seconds).
SETTLE_PATIENCE = 5.0
#: How long what is under way is waited for at the end, where the broker is away (seconds).
AWAY_PATIENCE = 5.0


class Host(Rebalanced):
    """An app without its conveniences.

    Attributes:
        registry: What was declared.
    """

    abstract = False

    def __init__(self, *, beacon: Any = None, loop: Any = None) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.registry = Registry()
        self._failure: BaseException | None = None
        self._failure_was_read = False
        self._telling: asyncio.Future[None] | None = None
        self.client_only = False
        self.producer_only = False
        #: Unique id of this process in its commits; drawn, unless set (simulation).
        self.writer_id = ""
        #: Our transactional id; found in the data directory, unless set (simulation).
        self.transactional_id = ""
        self.failed = asyncio.Event()
        self._background: Background | None = None
        self._extra_services: list[Any] = []
        self._starting_late: asyncio.Task[None] | None = None
        self._ready = False
        #: What starting, or stopping, waits for now, in words.
        self.doing = ""
        self._stopping = False

    # What App provides ------------------------------------------------------------------

    monitor: Any
    assignor: Any

    async def start(self) -> None:
        """Start; an app that was stopped can be started again."""
        if self._stopped.is_set():
            self.service_reset()
        await super().start()

    # -- a worker's life -------------------------------------------------------------------------

    @property
    def should_process(self) -> bool:
        """Is it to be a worker, and not only to send?"""
        return not (self.client_only or self.producer_only)

    async def on_start(self) -> None:
        """Start (see the module's docstring)."""
        self._failure, self._failure_was_read = None, False
        self.failed = asyncio.Event()
        self._stopping = False
        self.prepare_directories()
        self.doing = "starting: waiting for a broker"
        await self._connect_for_work()
        if self.conf.reply_create_topic:
            self.doing = "starting: the reply topic"
            await self.start_replies()
        self.doing = "starting"
        await self.prepare_processing()
        if self.should_process and (self.agents or self._streams_of_no_agent or len(self.topics)):
            await self._start_processing()
        await self.on_operational()

    async def _connect_for_work(self) -> None:
        try:
            await self.maybe_start_client()
        except asyncio.CancelledError:
            if self._starting_client is not None:
                self._starting_client.cancel()
            raise

    def keepers_of_tables(self) -> Iterable[Any]:
        """Return the services to start before the agents."""
        return [self.tables]

    async def prepare_processing(self) -> None:
        """Called before it is decided whether there is anything to read."""

    @property
    def in_transaction(self) -> bool:
        """Do outputs, tables and positions count together, by ``exactly_once``?"""
        return self.conf.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE

    async def _start_processing(self) -> None:
        from faust._engine.engine import Engine

        assert self.connection is not None
        self.watch_tables()
        for service in self.keepers_of_tables():
            await start_again(service)
        await start_again(self.topics)
        for agent in self.agents.values():
            await start_again(agent)
        await self._settle()
        self.engine = Engine(self, self.connection)
        self.doing = "starting: topics are looked for and created"
        await self.engine.start()
        self.doing = "starting: joining the group, restoring tables"
        waiting = {
            asyncio.ensure_future(self.engine.caught_up.wait()),
            asyncio.ensure_future(self.failed.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if self._failure is not None:
            raise self._failure

    def subscribe(self, topic: Topic[Any], reader: str) -> Feed:
        """Read a topic on behalf of a reader."""
        feed = super().subscribe(topic, reader)
        if self._ready and self.engine is None and self.should_process:
            self._process_from_now_on()
        return feed

    def _process_from_now_on(self) -> None:
        """There was nothing to read when the app started; a task of it reads a topic now."""
        if self._starting_late is None:
            self._starting_late = asyncio.create_task(self._start_late(), name="faust-starting")

    async def _start_late(self) -> None:
        try:
            await self._start_processing()
        except Exception as exc:
            self.on_crash(exc)

    async def _settle(self) -> None:
        """Let every agent come to its first iteration: then what it reads is known."""
        for _ in range(50):
            if all(agent.settled for agent in self.agents.values()):
                return
            await asyncio.sleep(0)
        deadline = self.clock.monotonic() + SETTLE_PATIENCE
        while self.clock.monotonic() < deadline:
            if all(agent.settled for agent in self.agents.values()):
                return
            await self.clock.sleep(0.01)
        for agent in self.agents.values():
            if not agent.settled:
                logger.warning(
                    "Agent %s has not begun to iterate yet; what it reads through group_by() or "
                    "through() is subscribed to when it does", agent.name,
                )  # fmt: skip

    async def on_operational(self) -> None:
        """Everything that is ours is being processed: begin the rest."""
        self._background = Background(self, self.clock, self.is_leader, self.on_crash)
        if not self.client_only:
            await self.on_started_init_extra_tasks()
            await self.on_started_init_extra_services()
        self._ready = True
        self.doing = ""
        logger.info("Worker ready")

    async def on_started_init_extra_tasks(self) -> None:
        """Start tasks, timers and crontabs; override to start something beside them."""
        assert self._background is not None
        self._background.start(self.registry.tasks, self.registry.timers)

    async def on_started_init_extra_services(self) -> None:
        """Start what was given to ``app.service``, in that order."""
        for service in self.registry.services:
            await self.on_init_extra_service(service)

    async def on_init_extra_service(self, service: Any) -> Any:
        """Make a service, if a class was given, and start it; return it."""
        if isinstance(service, type):
            made = service(beacon=self.beacon)
        else:
            made = service
            made.beacon.reattach(self.beacon)
        self._extra_services.append(made)
        await start_again(made)
        return made

    def prepare_directories(self) -> None:
        """Create the data directory, where something will be kept in it.

        Raises:
            ImproperlyConfigured: it cannot be written.
        """
        conf = self.conf
        directories = [conf.datadir, conf.appdir, conf.tabledir] if len(self.tables) else []
        if str(conf.broker[0].scheme) == "sqlite":
            directories.insert(0, conf.datadir)
        for directory in directories:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                probe = directory / ".writable"
                probe.touch()
                probe.unlink(missing_ok=True)  # another worker may have been faster
            except OSError as exc:
                raise ImproperlyConfigured(
                    f"the data directory {str(directory)!r} cannot be written "
                    f"({exc.strerror or exc}): choose another with --datadir"
                ) from exc

    def is_leader(self) -> bool:
        """Does this worker hold partition 0 of the leader topic?"""
        return False

    @property
    def background(self) -> Background | None:
        """What runs tasks and timers, once it does."""
        return self._background

    def not_ready_because(self) -> str:
        """Return why this worker is not (fully) working; "" if it is."""
        if self._failure is not None:
            return f"crashed: {self._failure}"
        starting = self.doing or "starting"
        if not self.started or self.engine is None:
            return starting if self.should_process and self.agents else ""
        if self._stopping or not self.engine.is_made:
            return starting
        if self.rebalancing and not self.engine.tasks:
            return "a rebalance is under way, and nothing is owned yet"
        return self.engine.not_ready_because() or ("" if self._ready else starting)

    # -- crashes ---------------------------------------------------------------------------------

    @property
    def failure(self) -> BaseException | None:
        """Why the app had to stop, or ``None``.

        Whoever has read it deals with it: the end of ``async with app:`` does not raise it.
        """
        self._failure_was_read = self._failure is not None
        return self._failure

    def on_crash(self, error: BaseException) -> None:
        """Something failed that cannot be gone on from: the worker stops."""
        if self._failure is None:
            self._fail(error)
            self._telling = asyncio.ensure_future(self.crash(error))

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self.failed.set()

    async def crash(self, reason: BaseException) -> None:
        """End the worker because of ``reason``.

        Called once, with what the app cannot go on from; whoever overrides it hears of that.
        """
        if self._failure is None:
            self._fail(reason)

    async def _on_agent_error(self, agent: Agent, exc: BaseException) -> None:
        """An agent has raised; what becomes of the event is decided by its error policy.

        Does nothing; monitoring packages replace it.
        """

    def on_agent_crashed(self, agent: Agent, error: BaseException | None) -> None:
        """An agent failed for good."""
        if error is not None:
            self.on_crash(error)

    # -- stopping --------------------------------------------------------------------------------

    async def on_stop(self) -> None:
        """Stop (see the module's docstring); every step is tried, whatever an earlier one said."""
        self._ready = False
        self._stopping = True
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("timers, tasks and services are being stopped", self._stop_background),
            ("events are being finished, the last commit is made", self._stop_processing),
        ]
        if self._reply_reader is not None:
            steps.append(("the reader of answers is being stopped", self._reply_reader.stop))
        if self.connection is not None:
            steps.append(("what was sent is being delivered", self._disconnect))
        steps.append(("tables are being closed", self._stop_tables))
        for doing, step in steps:
            self.doing = doing
            try:
                await step()
            except Exception as exc:
                if self._failure is None:
                    self._failure = exc
                logger.error("Stopping: %s", exc)
        self.doing = ""
        self._reply_reader = None
        self.connection = None
        self.tables.frozen = False

    async def _disconnect(self) -> None:
        """Where no broker answers, what is under way is not waited for."""
        assert self.connection is not None
        away = isinstance(self._failure, BrokerUnavailable)
        await self.connection.close(AWAY_PATIENCE if away else None)

    async def _stop_tables(self) -> None:
        if self.tables.started:
            await self.tables.stop()
        self.tables.close_stores()

    async def _stop_background(self) -> None:
        if self._background is not None:
            await self._background.stop()
        for service in reversed(self._extra_services):
            await service.stop()
        self._extra_services.clear()

    async def _stop_processing(self) -> None:
        if self._starting_late is not None:
            self._starting_late.cancel()
            await asyncio.wait({self._starting_late})
            self._starting_late = None
        try:
            if self.engine is not None:
                await self.engine.stop(crashed=self._failure is not None)
        finally:
            for agent in self.agents.values():
                await agent.stop()
            for stream in self._streams_of_no_agent:
                await stream.stop()
            await self.topics.stop()
            self.engine = None

    def describe(self) -> Mapping[str, Any]:
        """Return the state of the app, for pages and logs."""
        engine = self.engine
        return {
            "id": self.conf.id,
            "ready": not self.not_ready_because(),
            "not_ready_because": self.not_ready_because(),
            "generation": engine.generation if engine else -1,
            "tasks": sorted(map(str, engine.tasks)) if engine else [],
            "standbys": engine.standby_tasks() if engine else [],
            "agents": sorted(self.agents),
            "tables": sorted(self.tables),
        }


async def start_again(service: Service) -> None:
    """Start a service, also one that was stopped before."""
    if service._stopped.is_set() or service._crashed.is_set():
        service.service_reset()
    await service.maybe_start()
