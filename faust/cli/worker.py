"""``faust worker``: start a worker."""

from __future__ import annotations

import time
from typing import Any

from faust.cli.base import AppCommand
from faust.cli.params import option
from faust.exceptions import ImproperlyConfigured

__all__ = ["worker"]

_PORT = "Port of the web server; 0 takes any that is free [6066]."


def _checked_port(ctx: Any, param: Any, value: int | None) -> int | None:
    if value is not None and not 0 <= value <= 65535:
        import click

        raise click.BadParameter(f"{value} is no port: 0 to 65535")
    return value


class worker(AppCommand):
    """Start a worker."""

    abstract = False
    daemon = True
    examples = """
    Examples:
      faust -A myproj.app worker -l info
      faust -A myproj.app worker --web-port 6067 --datadir /var/lib/myproj-2
      faust -A myproj.app worker --without-web
    """
    options = [
        option("--with-web/--without-web", "web", default=None, help="Start the web server? [yes]"),
        option("-p", "--web-port", type=int, callback=_checked_port, metavar="PORT", help=_PORT),
        option("-b", "--web-bind", metavar="ADDRESS", help="Address it listens at [0.0.0.0]."),
        option("-h", "--web-host", metavar="HOST", help="Name that others reach this machine by."),
        option("--web-transport", metavar="URL", help="tcp://, or unix:///path [tcp://]."),
        option("-D", "--datadir", metavar="DIR", help="Where the app keeps its data."),
    ]

    def invoke(self, *args: Any, **kwargs: Any) -> None:
        """Run the worker; it sees to its own event loop."""
        from faust.worker import loop_factory_for

        self._use(**kwargs)
        made = self._make(loop_factory_for(self.state.loop))
        began = time.perf_counter()
        self._announce(made, began)
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
    ) -> None:
        self.app.use_command_line(
            web_enabled=web,
            web_port=web_port,
            web_bind=web_bind,
            web_host=web_host,
            web_transport=web_transport,
            datadir=datadir,
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
        )
        if not hasattr(made, "execute_from_commandline"):
            raise ImproperlyConfigured(f"setting 'Worker': {type(made).__name__} is no worker")
        return made

    def _announce(self, made: Any, began: float) -> None:
        """Print the banner now, and a line when the worker is ready."""
        if self.quiet:
            return
        from faust.cli.banner import banner

        log = self.logfile or "-stderr-"
        self.say(
            banner(self.app, log=f"{log} ({self.state.loglevel or 'warn'})", loop=self.state.loop)
        )
        made.announce_ready = lambda: self.say(f"Ready after {time.perf_counter() - began:.1f} s")
