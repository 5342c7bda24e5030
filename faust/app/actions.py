"""What an app runs beside its agents: tasks, timers, crontabs, pages, commands, services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, TypeVar, overload
from warnings import warn
from zoneinfo import ZoneInfo

from faust._engine.registry import PageSpec, TaskSpec, TimerSpec
from faust.app.declaring import Declaring
from faust.exceptions import ImproperlyConfigured
from faust.utils import venusian
from faust.utils.times import Seconds, want_seconds

__all__ = ["Acting"]

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W")


class Acting(Declaring):
    """An app with the guide's actions, as decorators."""

    abstract = False

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
        """Decorate a coroutine function that runs every ``interval`` seconds, first after one.

        It begins when the app is operational. Runs keep to ``n * interval`` after that however long
        they take, and never overlap: those that come too late are left out. An exception stops the
        worker.

        Arguments:
            interval: Seconds, or a timedelta.
            on_leader: Run where the leader is, whoever that is at the time.
            traced: Without meaning here.
            name: Shown in logs (default: that of the function).
            max_drift_correction: Seconds by which an interval is shortened at most, to make up for
                a run that began late.
        """
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
        """Decorate a coroutine function that runs as a crontab says.

        When clocks change, a time that is skipped runs at the jump, and one that comes twice runs
        once; entries of every hour run in each hour that there is. An exception stops the worker.

        Arguments:
            cron_format: Minute, hour, day of month, month, day of week; seconds may come sixth.
            timezone: Where the clock hangs: an object or a name (default: the setting
                ``timezone``).
            tz: The same.
            on_leader: Run where the leader is, whoever that is at the time.
            traced: Without meaning here.

        Raises:
            ImproperlyConfigured: there is no such time zone, or it is no crontab entry.
        """
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
        """Decorate a view: an ``async def`` function of a request, or a `View` class.

        The function takes ``(request)`` or ``(view, request)``, then the parameters of the path by
        name.

        Arguments:
            path: Path, with ``{name}`` for parameters.
            base: The class of the view (default: `View`).
            cors_options: Which other sites may use it (default: ``web_cors_options``).
            name: For `View.url_for` (default: that of the function).

        Raises:
            TypeError: it is a class but no `View`, or does not take what the path has.
        """

        def add(fun: Any) -> Any:
            from faust.web.views import view_from

            view = view_from(fun, base=base, path=path)
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
        own = getattr(self.serving, "url", None)
        return str(own or self.web.url)

    def on_webserver_init(self, web: Any) -> None:
        """Override to add to the web server (``web.route``, ``web.add_static``) before it starts.

        It is called once for each server, also if that is started again.
        """


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
