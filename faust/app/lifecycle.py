"""An app's life: what is started around the engine, what is told, who leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mode import Service

from faust._core.threads import ThreadBridge
from faust._engine.host import start_again
from faust._engine.registry import TaskSpec, TimerSpec
from faust._values import TP
from faust.app import boot
from faust.app.configured import Configured

if TYPE_CHECKING:
    from faust._engine.engine import Engine

__all__ = ["Living"]

logger = logging.getLogger(__name__)


class Living(Configured):
    """An app that is started and stopped."""

    abstract = False

    #: What ``@app.web_server`` has put in the web server's place.
    _own_web_server: Any = None
    BootStrategy: type[boot.BootStrategy] = boot.BootStrategy
    #: Kept so that it is not collected while it runs.
    _starting_leader: asyncio.Future[Any] | None = None
    _telling_complete: asyncio.Future[None] | None = None
    _standing_down: asyncio.Future[None] | None = None

    # -- beginning ---------------------------------------------------------------------------------

    async def start_client(self) -> None:
        """Connect for sending and asking, without becoming a worker."""
        self.client_only = True
        await self.maybe_start_client()

    def worker_init(self) -> None:
        """A worker, or another command, begins: sent once for each process."""
        if not self._made.get("worker_inited"):
            self._made["worker_inited"] = True
            for fixup in self.fixups:
                fixup.on_worker_init()
            self.on_worker_init.send(self)

    # -- what is started ------------------------------------------------------------------------

    @property
    def boot_strategy(self) -> boot.BootStrategy:
        """Decides what is started: an instance of `BootStrategy`, or what was assigned."""
        made: boot.BootStrategy = self._part("boot_strategy", lambda: self.BootStrategy(self))
        return made

    @boot_strategy.setter
    def boot_strategy(self, strategy: boot.BootStrategy) -> None:
        self._made["boot_strategy"] = strategy

    @property
    def should_process(self) -> bool:
        return super().should_process and self.boot_strategy.consumes

    def keepers_of_tables(self) -> Iterable[Any]:
        return self.boot_strategy.tables()

    @property
    def serving(self) -> Any:
        """The web server, or what ``@app.web_server`` has put in its place."""
        if isinstance(self._own_web_server, type):
            self._own_web_server = self._own_web_server(beacon=self.beacon)
        return self._own_web_server or self.web

    # -- rebalances ------------------------------------------------------------------------------

    async def on_assigned(self, assigned: set[TP]) -> None:
        await super().on_assigned(assigned)
        await self.on_partitions_assigned.send(self, assigned)

    async def on_revoked(self, revoked: set[TP]) -> None:
        await super().on_revoked(revoked)
        await self.on_partitions_revoked.send(self, revoked)

    def on_rebalance_end(self) -> None:
        super().on_rebalance_end()
        if self._ready:  # of the first, `on_operational` tells
            self._telling_complete = asyncio.ensure_future(self._tell_complete())

    async def _tell_complete(self) -> None:
        try:
            await self.on_rebalance_complete.send(self)
        except Exception as exc:
            self.on_crash(exc)

    async def on_operational(self) -> None:
        if self.should_process:
            await self.on_rebalance_complete.send(self)
        await super().on_operational()

    async def on_start(self) -> None:
        self.conf.use(True)
        try:
            await self._start_around()
        except BaseException:
            self.conf.use(False)
            raise
        try:
            if self.client_only or self.boot_strategy.connects:
                await super().on_start()
            else:
                await super().on_operational()
        except BaseException:
            self.conf.use(False)
            await self._stop_around()
            raise

    async def on_stop(self) -> None:
        try:
            await self.on_before_shutdown.send(self)
            if self._standing_down is not None:
                await asyncio.wait([self._standing_down])
                self._standing_down = None
            if "leader" in self._made and self.leader.started:
                await self.leader.stop()
            await super().on_stop()
            client = self._made.pop("http_client", None)
            if client is not None:
                await client.close()
        finally:
            self.conf.use(False)
            await self._stop_around()

    async def __aenter__(self) -> Self:
        """Start; if that fails, what was started is stopped before it is raised."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Stop it, at the end of ``async with app:``.

        Raises:
            BaseException: why the app has failed, unless another exception is under way, or
                ``app.failure`` was read.
        """
        await super().__aexit__(exc_type, exc, traceback)
        if exc is None and self._failure is not None and not self._failure_was_read:
            raise self._failure

    async def _start_around(self) -> None:
        """Start what must answer while the broker is away or the loop is blocked."""
        if self.client_only:
            return
        try:
            for sensor in self.boot_strategy.sensors():
                await self._start_one_around(sensor)
            if self.make_bridge is ThreadBridge:  # a simulation has one thread
                self.watchdog.start()
                await self.on_started_init_web_server()
        except BaseException:
            await self._stop_around()
            raise

    async def on_started_init_web_server(self) -> None:
        """Start the web server: the one thing that is started before the broker has answered."""
        for server in self.boot_strategy.web_server():
            await self._start_one_around(server)

    async def _start_one_around(self, service: Any) -> None:
        self._around.append(service)
        if service.started:
            service.service_reset()
        await service.start()

    async def _stop_around(self) -> None:
        while self._around:
            service = self._around.pop()
            if isinstance(service, Service) and service.started:
                await service.stop()
        if "watchdog" in self._made:
            self.watchdog.stop()

    def _fail(self, error: BaseException) -> None:
        super()._fail(error)
        if not self.in_worker:  # a worker ends, and says why
            logger.error(
                "App %s has failed, and no worker ends with it: it leaves its group and stands "
                "still until it is stopped (wait for app.failed; "
                "faust.contrib.asgi.faust_app_running(app) ends the process). %s: %s",
                self.conf.id, type(error).__name__, error,
            )  # fmt: skip
            if self.engine is not None and not self._stopping:
                self._standing_down = asyncio.ensure_future(self._stand_down(self.engine))

    async def _stand_down(self, engine: Engine) -> None:
        """Leave the group now, not when whoever started the app ends it: others take over."""
        try:
            await engine.stop(crashed=True)
        except Exception as exc:
            logger.error("App %s has failed, and could not leave its group: %s", self.conf.id, exc)

    def _crash(self, reason: BaseException) -> None:
        """A service of this app has failed, says mode: so has the app."""
        super()._crash(reason)
        if self._failure is not None:
            return
        main = self._main_loop
        if main is None or main is asyncio._get_running_loop():
            self._fail(reason)
        elif not main.is_closed():  # the service has a thread of its own
            main.call_soon_threadsafe(self._fail, reason)

    def is_leader(self) -> bool:
        """Does this worker lead: does it hold the partition of the leader topic?

        The first call begins to take part in the choice; so do ``on_leader=True`` tasks and timers.
        Always false with ``topic_disable_leader``.
        """
        if self.conf.topic_disable_leader:
            return False
        if self.engine is not None and not self.leader.started:
            self._starting_leader = asyncio.ensure_future(self.leader.maybe_start())
        return self.leader.is_leader()

    async def prepare_processing(self) -> None:
        """Take part in the choice of a leader, where something runs on the leader only."""
        if self.conf.topic_disable_leader:
            return
        declared: list[TaskSpec | TimerSpec] = [*self.registry.tasks, *self.registry.timers]
        if "leader" in self._made or any(each.on_leader for each in declared):
            await start_again(self.leader)
