"""The program itself: its options, its commands, and what its exit status says.

==  ==========================================================
0   it is done; or a signal stopped the worker
1   it failed
2   it was used wrongly; one sentence says how
==  ==========================================================
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from faust._core.names import module_name_of
from faust.cli.apps import find_app
from faust.cli.base import Command, State, is_wrong_use
from faust.cli.version import installed_version
from faust.exceptions import FaustError

__all__ = ["cli", "main", "run_app", "run_program"]

#: Name of a command -> where its class is.
COMMANDS = {
    "agents": "agents:agents",
    "clean-versions": "clean_versions:clean_versions",
    "model": "model:model",
    "models": "models:models",
    "reset": "reset:reset",
    "send": "send:send",
    "settings": "settings:settings",
    "tables": "tables:tables",
    "topics": "topics:topics",
    "worker": "worker:worker",
}

HELP = """Faust: stream processing for Python.

\b
Examples:
  faust -A myproj.app worker -l info        start a worker
  faust -A myproj.app send @myagent hello   send a value to an agent
  faust -A myproj.app agents                list agents and their topics
  python myproj/app.py worker               the same, where the script calls app.main()

-A names a module, module:attribute or a file; the variable FAUST_APP does, too.
"""

_LEVELS = ("crit", "error", "warn", "info", "debug")


def worker_options() -> list[click.Option]:
    """Options that can stand before the command and behind ``worker``."""
    return [
        click.Option(["-f", "--logfile"], metavar="FILE", help="Where the log goes [stderr]."),
        click.Option(
            ["-l", "--loglevel"],
            type=click.Choice(_LEVELS, case_sensitive=False),
            help="How much is logged [warn].",
        ),
        click.Option(
            ["--blocking-timeout"],
            type=float,
            metavar="SECONDS",
            help="Say so when the event loop is blocked for longer.",
        ),
        click.Option(["--console-port"], type=click.IntRange(1, 65535), hidden=True),
    ]


def _group_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["-A", "--app", "app_path"],
            metavar="APP",
            envvar="FAUST_APP",
            help="The app: module, module:attribute, or a file.",
        ),
        click.Option(["-q", "--quiet/--no-quiet"], help="Print nothing that is not asked for."),
        click.Option(["--debug/--no-debug"], help="Show more.", envvar=["FAUST_DEBUG", "F_DEBUG"]),
        click.Option(
            ["-W", "--workdir"],
            metavar="DIR",
            envvar=["FAUST_WORKDIR", "F_WORKDIR"],
            help="Change to this directory first.",
        ),
        click.Option(
            ["-D", "--datadir"], metavar="DIR", help="Where the app keeps its data [{id}-data]."
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
    ]


def _show_version(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"{ctx.info_name}, version Faust {installed_version()}")
        ctx.exit()


class Program(click.Group):
    """All commands, those of the app included.

    Arguments:
        app: The app, where it is known without ``-A``.
    """

    def __init__(self, app: Any = None) -> None:
        super().__init__(
            name="faust",
            help=HELP,
            params=_group_options(),
            callback=click.pass_context(lambda *args, **options: None),
            context_settings={"help_option_names": ["--help"], "max_content_width": 100},
        )
        self._app = app
        self._prepared = False

    # -- the app ---------------------------------------------------------------------------------

    def app_for(self, ctx: click.Context, *, required: bool = True) -> Any:
        """Return the app, ready for a command; made ready once."""
        if self._app is None or not self._prepared:
            self._prepare(ctx, required)
        return self._app

    def _prepare(self, ctx: click.Context, required: bool) -> None:
        options = ctx.params
        if options.get("workdir"):
            _change_directory(options["workdir"])
        module = ""
        if options.get("app_path"):
            self._app, module = find_app(options["app_path"])
        elif self._app is not None:
            module = module_name_of(_Script)
        elif required:
            raise click.UsageError(
                "which app? Give it with -A (faust -A module ...), or in the variable FAUST_APP",
                ctx,
            )
        else:
            return
        self._prepared = True
        prepare(self._app, module, options)

    # -- commands ----------------------------------------------------------------------------------

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names; the app is imported for that, if it is known."""
        app = self.app_for(ctx, required=False)
        own = [] if app is None else [c.command_name() for c in app.registry.commands]
        return sorted({*COMMANDS, *own})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command by its name."""
        found = self._find(ctx, name)
        return None if found is None else _as_click(found, name, self)

    def _find(self, ctx: click.Context, name: str) -> type[Command] | None:
        if name not in COMMANDS:
            app = self.app_for(ctx)
            for command in app.registry.commands:
                if command.command_name() == name:
                    own: type[Command] = command
                    return own
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        built_in: type[Command] = getattr(import_module(f"faust.cli.{module}"), attribute)
        return built_in

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is named together with those there are."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from difflib import get_close_matches

            known = self.list_commands(ctx)
            close = get_close_matches(name.replace("_", "-"), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


class _Script:
    """Has the module of the script that is being run."""


_Script.__module__ = "__main__"


def prepare(app: Any, module: str, options: dict[str, Any]) -> None:
    """Make an app ready for a command: settings from the command line, fixups, discovery."""
    app.use_command_line(
        datadir=options.get("datadir"),
        blocking_timeout=options.get("blocking_timeout"),
        debug=True if options.get("debug") else None,
    )
    app.finalize()
    if module and not app.conf.origin:
        app.conf.origin = module
    app.worker_init()
    app.discover()


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as exc:
        raise click.UsageError(f"cannot change to {path!r}: {exc.strerror}") from exc
    os.environ["F_WORKDIR"] = path


def _as_click(command: type[Command], name: str, program: Program) -> click.Command:
    """Return the click command that runs one of ours."""

    def call(**kwargs: Any) -> None:
        ctx = click.get_current_context()
        root = ctx.find_root().params
        app = program.app_for(ctx.find_root(), required=command.require_app)
        state = State(app=app)
        for name in ("quiet", "debug", "json", "workdir", "datadir", "loop", *_SHARED):
            given_here = kwargs.get(name) if name in _SHARED else None
            setattr(state, name, root.get(name) if given_here is None else given_here)
        given = {n: v for n, v in kwargs.items() if n not in _SHARED}
        command(ctx, state=state).invoke(**given)

    fun: Any = call
    for option in reversed(command.options or []):
        fun = option(fun)
    made = click.command(name, help=_help_of(command))(fun)
    if name == "worker":
        made.params.extend(worker_options())
    return made


_SHARED = ("logfile", "loglevel", "blocking_timeout", "console_port")


def _help_of(command: type[Command]) -> str:
    from inspect import cleandoc

    text = cleandoc(command.__doc__ or "")
    return f"{text}\n\n\b\n{cleandoc(command.examples)}" if command.examples else text


# -- running ------------------------------------------------------------------------------------


def run_program(argv: Sequence[str], *, app: Any = None) -> int:
    """Run the program with these arguments; return the exit status."""
    program = Program(app)
    try:
        program.main(args=list(argv), prog_name=_program_name(), standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.ctx.get_help() if exc.ctx else "", err=True)
        return 2
    except click.ClickException as exc:
        click.echo(f"{_program_name()}: {exc.format_message()}", err=True)
        return 2
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except MemoryError:
        click.echo("Out of memory", err=True)
        return os.EX_OSERR
    except FaustError as exc:
        click.echo(f"{_program_name()}: {' '.join(str(exc).split())}", err=True)
        return 2 if is_wrong_use(exc) else 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _program_name() -> str:
    name = os.path.basename(sys.argv[0] or "faust")
    return "faust" if name in ("__main__.py", "-c", "-m") else name


def main() -> NoReturn:
    """Run the program with the arguments of this process: the console script ``faust``."""
    raise SystemExit(run_program(sys.argv[1:]))


cli = main


def run_app(app: Any) -> NoReturn:
    """Run the program for one app: `App.main`."""
    raise SystemExit(run_program(sys.argv[1:], app=app))
