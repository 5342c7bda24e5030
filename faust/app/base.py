"""The application: what users define everything with.

Lazy: making an app, and everything at import time, touches no broker, no file and no event loop.
An app is made in layers, each in a file of its own: ``signals``, ``configured`` (settings and
parts), ``lifecycle``, ``declaring`` (topics, agents, tables), ``actions`` (tasks, timers, pages,
commands, services); here are sending, discovery and the program.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from faust._values import HeadersArg
from faust.app.actions import Acting
from faust.app.boot import BootStrategy
from faust.app.discovery import SCAN_CATEGORIES, discover

if TYPE_CHECKING:
    from faust._context import Sent
    from faust.topics import Topic

__all__ = ["App", "BootStrategy"]


class App(Acting):
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

    SCAN_CATEGORIES: ClassVar[tuple[str, ...]] = SCAN_CATEGORIES

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

    def main(self) -> NoReturn:
        """Run the ``faust`` program with this app and the arguments of this process."""
        from faust.cli.faust import run_app

        run_app(self)

    def Worker(self, **options: Any) -> Any:
        """Make a worker for this app."""
        return self.conf.Worker(self, **options)

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
