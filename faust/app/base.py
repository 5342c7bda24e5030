"""The application: what users define everything with.

Lazy: making an app, and everything at import time, touches no broker, no file and no event loop.
The settings are read when something first needs one; the classes they name are imported then.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, Unpack, overload
from warnings import warn
from zoneinfo import ZoneInfo

from mode import Service

from faust._core.threads import ThreadBridge
from faust._engine.host import Host, start_again
from faust._engine.registry import PageSpec, TaskSpec, TimerSpec
from faust._engine.signals import Signal, SyncSignal
from faust._values import TP, Headers, HeadersArg, Message
from faust.app.discovery import SCAN_CATEGORIES, discover
from faust.exceptions import AlreadyConfiguredWarning, ImproperlyConfigured
from faust.settings import Settings as _Settings
from faust.settings.env import is_strict
from faust.settings.sources import COMMAND_LINE
from faust.utils import venusian
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust._context import Sent
    from faust._core.watchdog import Watchdog
    from faust._engine.inspector import Inspector
    from faust.agents.agent import Agent
    from faust.assignor.leader_assignor import LeaderAssignor
    from faust.assignor.partition_assignor import PartitionAssignor
    from faust.channels import Channel
    from faust.conductor import TopicConductor
    from faust.events import Event
    from faust.fixups import Fixup
    from faust.router import Router
    from faust.sensors.delegate import SensorDelegate
    from faust.sensors.monitor import Monitor
    from faust.serializers.registry import Registry
    from faust.settings.keywords import SettingsKeywords
    from faust.streams import Stream
    from faust.tables.manager import TableManager
    from faust.tables.table import Table
    from faust.topics import Topic

__all__ = ["App"]

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W")


class App(Host):
    """An application: agents, tables, topics, timers, pages, commands, and the worker that runs
    them.

    Arguments:
        id: Names the app; all its workers form the group of that name.
        monitor: Use this monitor.
        config_source: Where further settings come from (module, path, mapping, object).
        env: The environment variables that set settings (default: those of the process).
        settings: Any setting (see the settings reference); unknown names are refused.

    Raises:
        ImproperlyConfigured: a setting is unknown or of the wrong type (when first needed).

    Attributes:
        Settings: The class of `conf`; a subclass of `faust.Settings` may add settings of your own.
    """

    abstract = False

    #: Kept so that it is not collected while it runs.
    _starting_leader: asyncio.Future[Any] | None = None

    Settings: ClassVar[type[_Settings]] = _Settings

    SCAN_CATEGORIES: ClassVar[tuple[str, ...]] = SCAN_CATEGORIES

    on_before_configured = SyncSignal()
    on_configured = SyncSignal()
    on_after_configured = SyncSignal()
    on_worker_init = SyncSignal()
    on_partitions_assigned = Signal()
    on_partitions_revoked = Signal()
    on_rebalance_complete = Signal()
    on_before_shutdown = Signal()
    on_produce_message = SyncSignal()

    def __init__(
        self,
        id: str,
        *,
        monitor: Monitor | None = None,
        config_source: Any = None,
        env: Mapping[str, str] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        beacon: Any = None,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self._id = id
        self._given: Mapping[str, Any] = settings
        self._env = env
        self._config_source = config_source
        self._conf: _Settings | None = None
        self._cli_settings: dict[str, Any] = {}
        self._configuring = threading.RLock()
        self._made: dict[str, Any] = {} if monitor is None else {"monitor": monitor}
        self._task_categories: dict[Any, str] = {}
        self.finalized = False
        self.in_worker = False
        self.tracer: Any = None
        self._own_web_server: Any = None

    # -- configuration -----------------------------------------------------------------------

    @property
    def conf(self) -> _Settings:
        """The settings; read on first use.

        Raises:
            ImproperlyConfigured: a setting is unknown, of the wrong type, or contradicts another;
                or ``FAUST_STRICT`` is set, and `finalize` has not been called.
        """
        conf = self._conf
        return conf if conf is not None else self._configure()

    @conf.setter
    def conf(self, conf: _Settings) -> None:
        if not isinstance(conf, _Settings):
            raise TypeError(f"app.conf must be faust.Settings, not {type(conf).__name__}")
        runs = self.started and not self._stopped.is_set()
        if runs:
            self._warn_too_late("app.conf is assigned")
        conf.use(runs)
        for name, value in self._cli_settings.items():
            conf.change(name, value, COMMAND_LINE)
        self._conf = conf
        self._made.pop("serializers", None)

    def _warn_too_late(self, what: str) -> None:
        warn(
            f"{what} while the app runs: what has read the settings keeps the old ones",
            AlreadyConfiguredWarning,
            stacklevel=3,
        )

    def _configure(self) -> _Settings:
        with self._configuring:
            conf = self._settings_there_are()
            if conf is not None:
                return conf
            self._check_may_configure()
            self.on_before_configured.send(self)
            conf = self._settings_there_are()
            if conf is not None:  # a handler has assigned them
                return conf
            conf = self.Settings(
                self._id,
                env=self._env,
                cli=self._cli_settings,
                config_source=self._config_source,
                **self._given,
            )
            self.on_configured.send(self, conf)
            conf.seal()
            self._conf = conf
        self.on_after_configured.send(self)
        return conf

    def _settings_there_are(self) -> _Settings | None:
        return self._conf

    def _check_may_configure(self) -> None:
        if not self.finalized and is_strict(os.environ if self._env is None else self._env):
            raise ImproperlyConfigured(
                f"FAUST_STRICT is set, and the settings of app {self._id!r} are read before "
                f"app.finalize() was called"
            )

    def config_from_object(self, obj: Any, *, silent: bool = False, force: bool = False) -> None:
        """Take settings from a module, a path of one, a mapping or an object.

        They are read when a setting is first needed.  Where that was before, they are read again,
        with a warning, and what was assigned to ``conf`` since is forgotten.

        Arguments:
            silent: Ignore a path that cannot be imported.
            force: Read them now; no warning.

        Raises:
            ImproperlyConfigured: as by `conf`, where they are read now.
        """
        if silent and isinstance(obj, str):
            from faust._core.names import symbol_by_name

            try:
                obj = symbol_by_name(obj)
            except ImportError:
                return
        self._config_source = obj
        if self._conf is not None and not force:
            warn(
                f"app {self._id!r} has been configured before config_from_object() was called: "
                f"what has read the settings keeps the old ones",
                AlreadyConfiguredWarning,
                stacklevel=2,
            )
        if self._conf is not None or force:
            self._conf = None
            self._made.pop("serializers", None)
            self._configure()

    def use_command_line(self, **settings: Any) -> None:
        """Settings given as options of a command: they come before all others."""
        self._cli_settings.update({k: v for k, v in settings.items() if v is not None})
        if self._conf is not None:
            for name, value in settings.items():
                if value is not None:
                    self._conf.change(name, value, COMMAND_LINE)

    def finalize(self) -> None:
        """Check that the app is complete.

        Raises:
            ImproperlyConfigured: it has no id.
        """
        if not self.finalized:
            self.finalized = True
            try:
                _ = self.conf
            except BaseException:
                self.finalized = False
                raise

    # -- parts, made on first use ------------------------------------------------------------

    def _part(self, name: str, make: Callable[[], Any]) -> Any:
        part = self._made.get(name)
        if part is None:
            with self._configuring:
                part = self._made.get(name)
                if part is None:
                    part = self._made[name] = make()
        return part

    @property
    def serializers(self) -> Registry:
        """The registry of serializers."""
        conf = self.conf
        made: Registry = self._part(
            "serializers",
            lambda: conf.Serializers(
                key_serializer=conf.key_serializer, value_serializer=conf.value_serializer
            ),
        )
        return made

    @property
    def monitor(self) -> Monitor:
        """The main sensor."""
        made: Monitor = self._part("monitor", lambda: self.conf.Monitor())
        return made

    @monitor.setter
    def monitor(self, monitor: Monitor) -> None:
        self._made["monitor"] = monitor
        if "sensors" in self._made:
            self.sensors.replace_main(monitor)

    @property
    def sensors(self) -> SensorDelegate:
        """All sensors as one.  Add further ones here: ``app.sensors.add(sensor)``."""
        made: SensorDelegate = self._part("sensors", self._make_sensors)
        return made

    def _make_sensors(self) -> SensorDelegate:
        from faust.sensors.delegate import SensorDelegate

        sensors = SensorDelegate(self, self.monitor)
        sensors.on_change(self.on_sensors_changed)
        return sensors

    @property
    def topics(self) -> TopicConductor:
        """The topic conductor: who reads what."""
        made: TopicConductor = self._part(
            "topics", lambda: self.conf.TopicConductor(self, beacon=self.beacon)
        )
        return made

    @property
    def tables(self) -> TableManager:
        """The table manager: the tables by name."""
        made: TableManager = self._part(
            "tables", lambda: self.conf.TableManager(self, beacon=self.beacon)
        )
        return made

    @property
    def assignor(self) -> PartitionAssignor:
        """What assigns partitions."""
        made: PartitionAssignor = self._part(
            "assignor",
            lambda: self.conf.PartitionAssignor(self, replicas=self.conf.table_standby_replicas),
        )
        return made

    @property
    def router(self) -> Router:
        """What finds the worker for a key."""
        made: Router = self._part("router", lambda: self.conf.Router(self))
        return made

    @property
    def http_client(self) -> Any:
        """An HTTP client session, made on first use and closed with the app."""
        return self._part("http_client", lambda: self.conf.HttpClient())

    @http_client.setter
    def http_client(self, client: Any) -> None:
        self._made["http_client"] = client

    @property
    def web(self) -> Any:
        """The web server's views."""
        from faust.web import server_for

        return self._part("web", lambda: server_for(self))

    @property
    def inspector(self) -> Inspector:
        """What is in progress, and for how long."""
        from faust._engine.inspector import Inspector

        patience = self.conf.broker_commit_livelock_soft_timeout
        made: Inspector = self._part("inspector", lambda: Inspector(self, patience))
        return made

    @property
    def watchdog(self) -> Watchdog:
        """What notices that the event loop is blocked."""
        made: Watchdog = self._part("watchdog", self._make_watchdog)
        return made

    def _make_watchdog(self) -> Watchdog:
        from faust._core.watchdog import Watchdog

        inspector = self.inspector
        return Watchdog(self.conf.blocking_timeout, inspector.running, also=inspector.look)

    # -- topics, channels, streams ------------------------------------------------------------

    def topic(
        self,
        *topics: str,
        pattern: str | re.Pattern[str] | None = None,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        partitions: int | None = None,
        retention: Seconds | None = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        replicas: int | None = None,
        acks: bool = True,
        internal: bool = False,
        config: Mapping[str, Any] | None = None,
        maxsize: int | None = None,
        allow_empty: bool = False,
        has_prefix: bool = False,
        loop: Any = None,
    ) -> Topic[Any]:
        """Describe one or several topics (see `faust.Topic`)."""
        made: Topic[Any] = self.conf.Topic(
            self,
            topics=topics,
            pattern=pattern,
            schema=schema,
            key_type=key_type,
            value_type=value_type,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            partitions=partitions,
            retention=retention,
            compacting=compacting,
            deleting=deleting,
            replicas=replicas,
            acks=acks,
            internal=internal,
            config=config,
            maxsize=maxsize,
            allow_empty=allow_empty,
            has_prefix=has_prefix,
        )
        return made

    def channel(
        self,
        *,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        maxsize: int | None = None,
        loop: Any = None,
    ) -> Channel[Any]:
        """Make a channel in memory (see `faust.Channel`); nothing in it is serialized."""
        from faust.channels import Channel

        return Channel(
            self, schema=schema, key_type=key_type, value_type=value_type, maxsize=maxsize
        )

    def stream(self, channel: Any, beacon: Any = None, **options: Any) -> Stream[Any]:
        """Make a stream over a topic, a channel or any iterable."""
        name = options.pop("name", "")
        made: Stream[Any] = self.conf.Stream(
            channel, app=self, name=name, beacon=beacon or self.beacon, **options
        )
        if not name and getattr(channel, "is_topic", False):
            self.note_stream(made)
        return made

    def create_event(
        self, key: Any, value: Any, headers: HeadersArg, message: Message
    ) -> Event[Any]:
        """Make an event of this app."""
        made: Event[Any] = self.conf.Event(self, key, value, headers, message)
        return made

    # -- agents ----------------------------------------------------------------------------------

    @overload
    def agent(self, channel: Callable[[Any], Any], /) -> Agent: ...

    @overload
    def agent(
        self,
        channel: Channel[Any] | str | None = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        supervisor_strategy: Any = None,
        sink: Iterable[Any] | None = None,
        isolated_partitions: bool = False,
        use_reply_headers: bool = True,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Agent]: ...

    def agent(
        self,
        channel: Any = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        supervisor_strategy: Any = None,
        sink: Iterable[Any] | None = None,
        isolated_partitions: bool = False,
        use_reply_headers: bool = True,
        **options: Any,
    ) -> Any:
        """Decorate a function of a stream: it becomes an agent (see `faust.Agent`).

        Raises:
            ImproperlyConfigured: there is an agent of that name; the function is not asynchronous.
        """
        if callable(channel) and not hasattr(channel, "stream"):
            return self._add_agent(channel)  # @app.agent without brackets

        return partial(
            self._add_agent,
            channel=channel,
            name=name,
            concurrency=concurrency,
            supervisor_strategy=supervisor_strategy,
            sink=sink,
            isolated_partitions=isolated_partitions,
            use_reply_headers=use_reply_headers,
            **options,
        )

    actor = agent

    def _add_agent(self, fun: Callable[..., Any], **options: Any) -> Agent:
        agent: Agent = self.conf.Agent(fun, app=self, beacon=self.beacon, **options)
        known = self.agents.get(agent.name)
        if known is not None and not _same_code(known.fun, fun):
            raise ImproperlyConfigured(
                f"there are two agents with the name {agent.name!r}: give one another with name=..."
            )
        self.agents[agent.name] = agent
        venusian.attach(agent, lambda _found: None, category="faust.agent")
        return agent

    def test_context_of(self, agent: Agent, *, on_error: Any = None) -> Any:
        """Return the context in which an agent is tested (see `Agent.test_context`)."""
        from faust.testing.agents import AgentTestContext

        return AgentTestContext(agent, on_error=on_error)

    # -- tables ------------------------------------------------------------------------------------

    def Table(
        self,
        name: str,
        *,
        default: Callable[[], Any] | None = None,
        window: Any = None,
        partitions: int | None = None,
        help: str | None = None,
        **options: Any,
    ) -> Table[Any, Any]:
        """Define a table (see `faust.Table`)."""
        made: Table[Any, Any] = self._add_table(
            self.conf.Table,
            name=name,
            default=default,
            window=window,
            partitions=partitions,
            help=help,
            **options,
        )
        return made

    def GlobalTable(self, name: str, **options: Any) -> Any:
        """Define a table that every worker has all of (see `faust.GlobalTable`)."""
        return self._add_table(self.conf.GlobalTable, name=name, **options)

    def Set(self, name: str, **options: Any) -> Any:
        """Define a distributed set (see `faust.Set`)."""
        return self._add_table(self.conf.Set, name=name, **options)

    def SetTable(self, name: str, **options: Any) -> Any:
        """Define a table of sets (see `faust.SetTable`)."""
        return self._add_table(self.conf.SetTable, name=name, **options)

    def SetGlobalTable(self, name: str, **options: Any) -> Any:
        """Define a table of sets that every worker has all of (see `faust.SetGlobalTable`)."""
        return self._add_table(self.conf.SetGlobalTable, name=name, **options)

    def _add_table(self, cls: Any, **options: Any) -> Any:
        table: Any = self.tables.add(cls(self, beacon=self.beacon, **options))
        window = options.get("window")
        return table if window is None else table.using_window(window)

    # -- tasks, timers, pages, commands, services ------------------------------------------------

    # These three are class methods of mode.Service, for the bodies of its subclasses; an app has
    # methods of their names, which are the documented ones.

    @overload  # type: ignore[override]
    def task(self, fun: F) -> F: ...

    @overload
    def task(self, *, on_leader: bool = False, traced: bool = True) -> Callable[[F], F]: ...

    def task(self, fun: Any = None, *, on_leader: bool = False, traced: bool = True) -> Any:
        """Decorate a coroutine function that runs once the app is operational."""
        if fun is None:
            return partial(self.task, on_leader=on_leader, traced=traced)
        self.registry.tasks.append(TaskSpec(fun, on_leader))
        return venusian.attach(fun, lambda _found: None, category="faust.task")

    def timer(  # type: ignore[override]
        self,
        interval: Seconds,
        on_leader: bool = False,
        traced: bool = True,
        name: str | None = None,
        max_drift_correction: float = 0.1,
    ) -> Callable[[F], F]:
        """Decorate a coroutine function that runs every ``interval`` seconds, first after one."""
        seconds = want_seconds(interval)
        if seconds <= 0:
            raise ValueError(f"a timer needs an interval above 0 seconds, not {interval!r}")

        def add(fun: F) -> F:
            label = name or str(getattr(fun, "__qualname__", repr(fun)))
            self.registry.timers.append(
                TimerSpec(
                    fun,
                    label,
                    interval=seconds,
                    on_leader=on_leader,
                    max_drift_correction=max_drift_correction,
                )
            )
            return venusian.attach(fun, lambda _found: None, category="faust.task")

        return add

    def crontab(  # type: ignore[override]
        self,
        cron_format: str,
        *,
        timezone: Any = None,
        tz: Any = None,
        on_leader: bool = False,
        traced: bool = True,
    ) -> Callable[[F], F]:
        """Decorate a coroutine function that runs as a crontab says (``timezone`` or ``tz``)."""
        from faust.utils.cron import Cron

        if timezone is not None and tz is not None:
            raise TypeError("crontab() takes either timezone or tz, not both")
        zone = _zone(timezone if tz is None else tz)
        Cron(cron_format, zone or UTC)

        def add(fun: F) -> F:
            self.registry.timers.append(
                TimerSpec(
                    fun,
                    getattr(fun, "__qualname__", repr(fun)),
                    cron=cron_format,
                    timezone=zone,
                    on_leader=on_leader,
                )
            )
            return venusian.attach(fun, lambda _found: None, category="faust.task")

        return add

    def page(
        self,
        path: str,
        *,
        base: Any = None,
        cors_options: Any = None,
        name: str | None = None,
    ) -> Callable[[Any], Any]:
        """Decorate a view: an ``async def`` function of a request, or a `View` class."""

        def add(fun: Any) -> Any:
            from faust.web.views import view_from

            view = view_from(fun, base=base)
            label = name or str(getattr(fun, "__name__", path))
            self.registry.pages.append(PageSpec(path, view, label, cors_options))
            return venusian.attach(view, lambda _found: None, category="faust.page")

        return add

    def table_route(
        self,
        table: Any,
        shard_param: str | None = None,
        *,
        query_param: str | None = None,
        match_info: str | None = None,
        exact_key: str | None = None,
    ) -> Callable[[Any], Any]:
        """Decorate a view: it is answered by the worker that has the key of a table."""
        from faust.web.routing import table_route

        return table_route(
            self,
            table,
            query_param=_query_param("table_route", query_param, shard_param),
            match_info=match_info,
            exact_key=exact_key,
        )

    def topic_route(
        self,
        topic: Any,
        shard_param: str | None = None,
        *,
        query_param: str | None = None,
        match_info: str | None = None,
        exact_key: str | None = None,
    ) -> Callable[[Any], Any]:
        """Decorate a view: it is answered by the worker that has the key of a topic it reads."""
        from faust.web.routing import topic_route

        return topic_route(
            self,
            topic,
            query_param=_query_param("topic_route", query_param, shard_param),
            match_info=match_info,
            exact_key=exact_key,
        )

    def command(self, *options: Any, base: Any = None, **attributes: Any) -> Callable[[Any], Any]:
        """Decorate a function: it becomes a command of the ``faust`` program."""

        def add(fun: Any) -> Any:
            from faust.cli.base import command_from

            command = command_from(fun, options, base=base, **attributes)
            self.registry.commands.append(command)
            return venusian.attach(command, lambda _found: None, category="faust.command")

        return add

    def service(self, service: Any) -> Any:
        """Add a `mode.Service`, as a class (also as a decorator) or an instance."""
        self.registry.services.append(service)
        if isinstance(service, type):
            venusian.attach(service, lambda _found: None, category="faust.service")
        return service

    def web_server(self, service: W) -> W:
        """Put a `mode.Service`, a class or an instance, in the place of the whole web server.

        It is started before anything else, with ``web_enabled`` only, in the app's own event loop,
        and stopped last.  What ``@app.page`` declares, and the pages that every worker has, are
        served by it or not at all.

        Raises:
            ImproperlyConfigured: there is one already.
        """
        if self._own_web_server is not None:
            raise ImproperlyConfigured(
                f"@app.web_server: there is one already, {self._own_web_server!r}"
            )
        self._own_web_server = service
        return service

    @property
    def web_server_url(self) -> str:
        """Where the web server is found: its attribute ``url`` where it is your own and has one."""
        own = getattr(self._own_web_server, "url", None)
        return str(own or self.web.url)

    def on_webserver_init(self, web: Any) -> None:
        """Override to add to the web server (``web.route``, ``web.add_static``) before it starts.

        It is called once for each server, also if that is started again.
        """

    # -- sending ---------------------------------------------------------------------------------

    async def send(
        self,
        channel: Any,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
    ) -> Sent:
        """Send a message to a channel, or to the topic of that name (see `Topic.send`)."""
        target = self._send_target(channel) if isinstance(channel, str) else channel
        sent: Sent = await target.send(
            value,
            key=key,
            partition=partition,
            timestamp=timestamp,
            headers=headers,
            schema=schema,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            callback=callback,
        )
        return sent

    def _send_target(self, name: str) -> Topic[Any]:
        targets: dict[str, Topic[Any]] = self._part("send_targets", dict)
        topic = targets.get(name)
        if topic is None:
            topic = targets[name] = self.topic(name)
        return topic

    def produce_hook(
        self,
    ) -> Callable[[Any, Any, int | None, float | None, Headers], None] | None:
        """Return what sends `on_produce_message`, if anybody listens."""
        signal = self.on_produce_message
        if not signal:
            return None

        def hook(
            key: Any, value: Any, partition: int | None, timestamp: float | None, headers: Headers
        ) -> None:
            signal.send(
                self,
                key=key,
                value=value,
                partition=partition,
                timestamp=timestamp,
                headers=headers,
            )

        return hook

    # -- running ---------------------------------------------------------------------------------

    async def start_client(self) -> None:
        """Connect for sending and asking, without becoming a worker."""
        self.client_only = True
        await self.maybe_start_client()

    def discover(
        self,
        *extra_modules: str,
        categories: Iterable[str] | None = None,
        ignore: Iterable[Any] = (),
    ) -> None:
        """Import and scan packages for agents, tasks, pages, commands and services.

        Arguments:
            extra_modules: Packages beside those of the ``autodiscover`` setting.
            categories: What to look for (default: all that `SCAN_CATEGORIES` names).
            ignore: Modules to leave out: import paths, relative ones (``".web"``), or functions
                that take a module's path; ``__main__`` and tests are always left out.

        Raises:
            ImproperlyConfigured: ``autodiscover=True`` without an ``origin``.
            ImportError: a package, or something in it, cannot be imported.
        """
        discover(self, extra_modules, categories or self.SCAN_CATEGORIES, ignore)

    def worker_init(self) -> None:
        """A worker, or another command, begins: sent once for each process."""
        if not self._made.get("worker_inited"):
            self._made["worker_inited"] = True
            for fixup in self.fixups:
                fixup.on_worker_init()
            self.on_worker_init.send(self)

    @property
    def fixups(self) -> list[Fixup]:
        """What other frameworks, such as Django, need done."""
        from faust.fixups import fixups_for

        made: list[Fixup] = self._part("fixups", lambda: fixups_for(self))
        return made

    def main(self) -> NoReturn:
        """Run the ``faust`` program with this app and the arguments of this process."""
        from faust.cli.faust import run_app

        run_app(self)

    def Worker(self, **options: Any) -> Any:
        """Make a worker for this app."""
        return self.conf.Worker(self, **options)

    # -- rebalances ------------------------------------------------------------------------------

    async def on_assigned(self, assigned: set[TP]) -> None:
        await super().on_assigned(assigned)
        await self.on_partitions_assigned.send(self, assigned)

    async def on_revoked(self, revoked: set[TP]) -> None:
        await super().on_revoked(revoked)
        await self.on_partitions_revoked.send(self, revoked)

    async def on_operational(self) -> None:
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
            await super().on_start()
        except BaseException:
            self.conf.use(False)
            await self._stop_around()
            raise

    async def on_stop(self) -> None:
        try:
            await self.on_before_shutdown.send(self)
            if "leader" in self._made and self.leader.started:
                await self.leader.stop()
            await super().on_stop()
            client = self._made.pop("http_client", None)
            if client is not None:
                await client.close()
        finally:
            self.conf.use(False)
            await self._stop_around()

    async def _start_around(self) -> None:
        """Start what must answer while the broker is away or the loop is blocked."""
        if self.client_only or self.make_bridge is not ThreadBridge:
            return  # a simulation has one thread
        self.watchdog.start()
        if self.conf.web_enabled:
            try:
                await self._start_web()
            except BaseException:
                self.watchdog.stop()
                raise

    async def _start_web(self) -> None:
        """Start the web server, or what ``@app.web_server`` has put in its place."""
        if isinstance(self._own_web_server, type):
            self._own_web_server = self._own_web_server(beacon=self.beacon)
        serves = self._own_web_server or self.web
        if serves.started:
            serves.service_reset()
        await serves.start()

    async def _stop_around(self) -> None:
        for web in (self._own_web_server, self._made.get("web")):
            if isinstance(web, Service) and web.started:
                await web.stop()
        if "watchdog" in self._made:
            self.watchdog.stop()

    @property
    def leader(self) -> LeaderAssignor:
        """What lets the group choose a leader."""
        made: LeaderAssignor = self._part("leader", lambda: self.conf.LeaderAssignor(self))
        return made

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

    # -- showing ---------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"App: {self._id}"

    @property
    def shortlabel(self) -> str:
        """Short name shown in logs."""
        return type(self).__name__

    def __repr__(self) -> str:
        if self._conf is None:
            return f"<{type(self).__name__}: {self._id} (not configured)>"
        return f"<{type(self).__name__}: {self._conf.id} agents={len(self.agents)}>"


def _zone(given: str | tzinfo | None) -> tzinfo | None:
    if isinstance(given, str):
        try:
            return ZoneInfo(given)
        except (ValueError, OSError, KeyError) as exc:
            raise ImproperlyConfigured(f"crontab: there is no time zone {given!r}") from exc
    if given is not None and not isinstance(given, tzinfo):
        raise ImproperlyConfigured(f"crontab: a tzinfo or the name of a zone, not {given!r}")
    return given


def _query_param(name: str, given: str | None, shard_param: str | None) -> str | None:
    if shard_param is None:
        return given
    if given is not None:
        raise TypeError(f"{name}() takes either query_param or shard_param, its older name")
    warn(
        f"{name}(shard_param={shard_param!r}) is deprecated: use query_param={shard_param!r}",
        DeprecationWarning,
        stacklevel=3,
    )
    return shard_param


def _same_code(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Is it the same function, defined again because its module was imported under another name?"""
    a, b = getattr(one, "__code__", None), getattr(other, "__code__", None)
    if a is None or b is None:
        return one is other
    return (a.co_filename, a.co_firstlineno) == (b.co_filename, b.co_firstlineno)
