"""What an app is made of: its settings, and the parts whose classes they name.

The settings are read when something first needs one, once, whichever thread that is; so is each
part made.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack
from warnings import warn

from mode.utils import queues

from faust.app.signals import Signalling
from faust.exceptions import AlreadyConfiguredWarning, ImproperlyConfigured
from faust.settings import Settings as _Settings
from faust.settings.env import is_strict
from faust.settings.sources import COMMAND_LINE

if TYPE_CHECKING:
    from faust._core.watchdog import Watchdog
    from faust._engine.inspector import Inspector
    from faust.assignor.leader_assignor import LeaderAssignor
    from faust.assignor.partition_assignor import PartitionAssignor
    from faust.conductor import TopicConductor
    from faust.fixups import Fixup
    from faust.router import Router
    from faust.sensors.delegate import SensorDelegate
    from faust.sensors.monitor import Monitor
    from faust.serializers.registry import Registry
    from faust.settings.keywords import SettingsKeywords
    from faust.tables.manager import TableManager

__all__ = ["Configured"]


class Configured(Signalling):
    """An app with its settings and parts; arguments: see `faust.App`."""

    abstract = False

    Settings: ClassVar[type[_Settings]] = _Settings

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
        self.finalized = False
        self.in_worker = False
        self.tracer: Any = None
        #: Started around all else: sensors, the web server.
        self._around: list[Any] = []

    # -- configuration -----------------------------------------------------------------------

    @property
    def configured(self) -> bool:
        """Have the settings been read?"""
        return self._conf is not None

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

    @serializers.setter
    def serializers(self, serializers: Registry) -> None:
        self._made["serializers"] = serializers

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

    @topics.setter
    def topics(self, topics: TopicConductor) -> None:
        self._made["topics"] = topics

    @property
    def tables(self) -> TableManager:
        """The table manager: the tables by name."""
        made: TableManager = self._part(
            "tables", lambda: self.conf.TableManager(self, beacon=self.beacon)
        )
        return made

    @tables.setter
    def tables(self, tables: TableManager) -> None:
        self._made["tables"] = tables

    @property
    def assignor(self) -> PartitionAssignor:
        """What assigns partitions."""
        made: PartitionAssignor = self._part(
            "assignor",
            lambda: self.conf.PartitionAssignor(self, replicas=self.conf.table_standby_replicas),
        )
        return made

    @assignor.setter
    def assignor(self, assignor: PartitionAssignor) -> None:
        self._made["assignor"] = assignor

    @property
    def router(self) -> Router:
        """What finds the worker for a key."""
        made: Router = self._part("router", lambda: self.conf.Router(self))
        return made

    @router.setter
    def router(self, router: Router) -> None:
        self._made["router"] = router

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

    @web.setter
    def web(self, web: Any) -> None:
        self._made["web"] = web

    @property
    def flow_control(self) -> queues.FlowControlEvent:
        """Suspends and resumes all queues made by `FlowControlQueue`; open at first.

        The app's own reading is held back partition by partition, and not by this.
        """
        made: queues.FlowControlEvent = self._part(
            "flow_control", lambda: queues.FlowControlEvent(initially_suspended=False)
        )
        return made

    def FlowControlQueue(
        self, maxsize: int = 0, *, clear_on_resume: bool = False, **options: Any
    ) -> queues.FlowControlQueue[Any]:
        """Make a queue whose writers wait while `flow_control` is suspended.

        Arguments:
            maxsize: Items that it holds before who puts one in has to wait; 0: any number.
            clear_on_resume: Throw away what is in it at `flow_control.resume`.
        """
        return queues.FlowControlQueue(
            maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume, **options
        )

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

    @property
    def leader(self) -> LeaderAssignor:
        """What lets the group choose a leader."""
        made: LeaderAssignor = self._part("leader", lambda: self.conf.LeaderAssignor(self))
        return made

    @property
    def fixups(self) -> list[Fixup]:
        """What other frameworks, such as Django, need done."""
        from faust.fixups import fixups_for

        made: list[Fixup] = self._part("fixups", lambda: fixups_for(self))
        return made
