"""Options that stand before every command, and those that may also stand behind ``worker``."""

from __future__ import annotations

from typing import Any

import click

from faust.cli.version import installed_version
from faust.settings.reference import help_text

__all__ = ["SHARED", "group_options", "worker_options"]

#: Accepted before the command and behind ``worker``: the first that is given counts.
SHARED = ("logfile", "loglevel", "blocking_timeout", "console_port")

_LEVELS = ("crit", "error", "warn", "info", "debug")


def worker_options() -> list[click.Option]:
    """Options that can stand before the command and behind ``worker``."""
    return [
        click.Option(
            ["-f", "--logfile"],
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Where the log goes [stderr].",
        ),
        click.Option(
            ["-l", "--loglevel"],
            type=click.Choice(_LEVELS, case_sensitive=False),
            help="How much is logged [warn].",
        ),
        click.Option(
            ["--blocking-timeout"],
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help=help_text("blocking_timeout"),
        ),
        click.Option(
            ["--console-port"],
            type=click.IntRange(1, 65533),
            metavar="PORT",
            envvar=["FAUST_CONSOLE_PORT", "F_CONSOLE_PORT"],
            help="Let `telnet localhost PORT` look into the worker (needs aiomonitor).",
        ),
    ]


def group_options() -> list[click.Parameter]:
    """Options that stand before the command."""
    return [
        click.Option(
            ["-A", "--app", "app_path"],
            metavar="APP",
            envvar="FAUST_APP",
            help="The app: module, module:attribute, module.attribute, or a file.",
        ),
        click.Option(["-q", "--quiet/--no-quiet"], help="Print nothing that is not asked for."),
        click.Option(
            ["--debug/--no-debug"], help=help_text("debug"), envvar=["FAUST_DEBUG", "F_DEBUG"]
        ),
        click.Option(
            ["-W", "--workdir"],
            type=click.Path(file_okay=False),
            metavar="DIR",
            envvar=["FAUST_WORKDIR", "F_WORKDIR"],
            help="Change to this directory first.",
        ),
        click.Option(
            ["-D", "--datadir"],
            type=click.Path(file_okay=False),
            metavar="DIR",
            help=help_text("datadir"),
        ),
        click.Option(["--json"], is_flag=True, help="Print JSON instead of tables."),
        click.Option(
            ["-L", "--loop"],
            type=click.Choice(["aio", "uvloop"]),
            envvar=["FAUST_LOOP", "F_LOOP"],
            help="The event loop [aio].",
        ),
        *worker_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_show_version,
            help="Print the version.",
        ),
        click.Option(["--help"], is_flag=True, help="Print this, and the app's own commands."),
    ]


def _show_version(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"{ctx.info_name}, version Faust {installed_version()}")
        ctx.exit()
