"""``faust worker``: start a worker, or several."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faust.cli.base import AppCommand
from faust.cli.params import option
from faust.cli.state import State
from faust.exceptions import ImproperlyConfigured
from faust.settings.reference import help_text

if TYPE_CHECKING:
    from faust.cli.supervise import Place

__all__ = ["worker"]

_PROCESSES = """Run so many workers of the group under one parent, which starts again those that
die. Their ports count up from the web port."""


def _checked_port(ctx: Any, param: Any, value: int | None) -> int | None:
    if value is not None and not 0 <= value <= 65535:
        import click

        raise click.BadParameter(f"{value} is no port: 0 to 65535")
    return value


def _checked_count(ctx: Any, param: Any, value: int | None) -> int | None:
    if value is not None and value < 1:
        import click

        raise click.BadParameter(f"{value} processes? At least 1")
    return value


class worker(AppCommand):
    """Start a worker.

    SIGTERM and SIGINT (Ctrl-C) end it in good order, with status 0; a second one, or SIGQUIT, at
    once and without a last commit, with status 1. SIGUSR1 prints where every thread and task is;
    SIGUSR2 starts the debugger.
    """

    abstract = False
    daemon = True
    examples = """
    Examples:
      faust -A myproj.app worker -l info
      faust -A myproj.app worker --web-port 6067 --datadir /var/lib/myproj-2
      faust -A myproj.app worker --without-web
      faust -A myproj.app worker --processes 4
      faust -A myproj.app worker --reload -l info
    """
    options = [
        option("--with-web/--without-web", "web", default=None, help=help_text("web_enabled")),
        option("-p", "--web-port", type=int, callback=_checked_port, metavar="PORT",
               help=help_text("web_port")),
        option("-b", "--web-bind", metavar="ADDRESS", help=help_text("web_bind")),
        option("-h", "--web-host", metavar="HOST", help=help_text("web_host")),
        option("--web-transport", metavar="URL", help=help_text("web_transport")),
        option("-D", "--datadir", metavar="DIR", help=help_text("datadir")),
        option(
            "--processes", type=int, callback=_checked_count, metavar="N", help=_PROCESSES
        ),
        option("--reload", is_flag=True, show_default=False, help="Start again when the source "
               "changes (Python files below the working directory)."),
    ]  # fmt: skip

    place: Place | None = None

    @classmethod
    def intercept(cls, state: State, given: Mapping[str, Any]) -> int | None:
        """With ``--processes`` or ``--reload`` we are the parent, unless one has started us."""
        from faust.cli.supervise import Place, folders_of, supervise

        cls.place = Place.of_this_process()
        if cls.place is not None or not (given["reload"] or given["processes"]):
            return None
        folders = folders_of(state.app_path, state.workdir) if given["reload"] else None

        def tell(text: str) -> None:
            if not state.quiet:
                print(f"faust: {text}", file=sys.stderr, flush=True)

        return supervise(given["processes"] or 1, folders=folders, tell=tell)

    def invoke(self, *args: Any, **kwargs: Any) -> None:
        """Run the worker; it sees to its own event loop."""
        from faust.worker import loop_factory_for

        self._use(**kwargs)
        made = self._make(loop_factory_for(self.state.loop))
        self._announce(made)
        made.execute_from_commandline()

    def _use(
        self,
        *,
        web: bool | None = None,
        web_port: int | None = None,
        web_bind: str | None = None,
        web_host: str | None = None,
        web_transport: str | None = None,
        datadir: str | None = None,
        **_others: Any,
    ) -> None:
        self.app.use_command_line(
            web_enabled=web,
            web_port=web_port,
            web_bind=web_bind,
            web_host=web_host,
            web_transport=web_transport,
            datadir=self.datadir or datadir,
        )
        if self.place is not None and self.place.size > 1:
            self._use_place(self.place)

    def _use_place(self, place: Place) -> None:
        """Workers side by side have a port, a socket, a member id and a directory for tables each.

        The data directory is common: a broker ``sqlite://`` is there.
        """
        conf = self.app.conf
        if conf.broker[0].scheme == "memory":
            raise ImproperlyConfigured(
                "--processes: the broker memory:// is inside of one process; use sqlite:// or "
                "kafka://"
            )
        if not place.index:
            return
        member, transport = conf.consumer_group_instance_id, conf.web_transport
        own = f"unix://{transport.path}.{place.index}" if transport.scheme == "unix" else None
        self.app.use_command_line(
            web_port=conf.web_port and conf.web_port + place.index,
            tabledir=f"{conf.tabledir}-{place.index}",
            web_transport=own,
            consumer_group_instance_id=member and f"{member}-{place.index}",
        )

    def _make(self, loop_factory: Any) -> Any:
        made = self.app.conf.Worker(
            self.app,
            debug=self.debug,
            quiet=self.quiet,
            loglevel=self.state.loglevel,
            logfile=self.logfile,
            blocking_timeout=self.blocking_timeout,
            workdir=self.workdir and ".",
            redirect_stdouts=self.redirect_stdouts,
            loop_factory=loop_factory,
            **self._console(),
        )
        if not hasattr(made, "execute_from_commandline"):
            raise ImproperlyConfigured(f"setting 'Worker': {type(made).__name__} is no worker")
        return made

    def _console(self) -> dict[str, int]:
        """The console's port, if it was asked for; workers side by side have a port each."""
        if self.console_port is None:
            return {}
        index = 0 if self.place is None else self.place.index
        return {"console_port": self.console_port + 3 * index}

    def _announce(self, made: Any) -> None:
        """Print the banner now, and a line when the worker is ready."""
        if self.quiet:
            return
        from faust.cli.banner import banner

        place, began = self.place, time.perf_counter()
        level = self.state.loglevel or "warn"
        if place is None or not (place.index or place.generation):
            log = f"{self.logfile or '-stderr-'} ({level})"
            self.say(banner(self.app, log=log, loop=self.state.loop))
        name = "" if place is None or place.size == 1 else f"Worker {place.index}: "

        def ready() -> None:
            ok = "😊" if self.stdout.isatty() else "OK ^"
            self.say(f"{name}{ok} Ready after {time.perf_counter() - began:.1f} s")

        made.announce_ready = ready
