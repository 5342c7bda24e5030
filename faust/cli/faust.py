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
from contextlib import redirect_stdout
from difflib import get_close_matches
from importlib import import_module
from inspect import cleandoc
from typing import Any, NoReturn

import click

from faust._core.names import script_name
from faust.cli.apps import cannot_import, find_app
from faust.cli.base import Command, call_command, params_of
from faust.cli.options import SHARED, group_options, worker_options
from faust.cli.state import State, is_wrong_use
from faust.exceptions import FaustError

__all__ = ["call_command", "cli", "main", "run_app", "run_program"]

#: Name of a command -> where its class is.
COMMANDS = {
    "agents": "agents:agents",
    "check-migration": "check_migration:check_migration",
    "clean-versions": "clean_versions:clean_versions",
    "completion": "completion:completion",
    "dlq": "dlq:dlq",
    "model": "model:model",
    "models": "models:models",
    "new": "new:new",
    "reset": "reset:reset",
    "send": "send:send",
    "settings": "settings:settings",
    "tables": "tables:tables",
    "topics": "topics:topics",
    "worker": "worker:worker",
}

#: What was a command in other versions -> what to say about it.
ELSEWHERE = {"livecheck": "LiveCheck is not there in this version"}

#: Options that stand before the command only.
BEFORE = ("app_path", "quiet", "debug", "json", "workdir", "datadir", "loop")

#: Set by the shell's completion script (see the command completion).
COMPLETE_VARIABLE = "_FAUST_COMPLETE"

HELP = """Faust: stream processing for Python.

\b
Examples:
  faust -A myproj.app worker -l info        start a worker
  faust -A myproj.app send @myagent hello   send a value to an agent
  faust -A myproj.app agents                list agents and their topics
  python myproj/app.py worker               the same, where the script calls app.main()
  faust new myproj                          begin a project

-A names a module, module:attribute or a file; the variable FAUST_APP does, too.
"""


class Program(click.Group):
    """All commands, those of the app included.

    Arguments:
        app: The app, where it is known without ``-A``.
    """

    def __init__(self, app: Any = None) -> None:
        super().__init__(
            name="faust",
            help=HELP,
            params=group_options(),
            callback=click.pass_context(lambda *args, **options: None),
            no_args_is_help=False,
            add_help_option=False,
            context_settings={"help_option_names": ["--help"], "max_content_width": 100},
        )
        self._app = app
        self._prepared = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; help comes after all other options, for it shows the app's commands, too."""
        rest = super().parse_args(ctx, args)
        if ctx.params.pop("help", False) and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return rest

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
            module = script_name()
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
        return sorted({*COMMANDS, *self._own(ctx)})

    def _own(self, ctx: click.Context) -> dict[str, type[Command]]:
        """Return the app's own commands by name, if the app is known."""
        app = self._app_to_look_at(ctx)
        return {} if app is None else {c.command_name(): c for c in app.registry.commands}

    def _app_to_look_at(self, ctx: click.Context) -> Any:
        """Return the app; while a shell asks for completions, a broken one is none at all."""
        if not ctx.resilient_parsing:
            return self.app_for(ctx, required=False)
        try:
            with redirect_stdout(sys.stderr):
                return self.app_for(ctx, required=False)
        except Exception:
            return None

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command by its name; ``clean_versions`` is ``clean-versions``."""
        spellings = dict.fromkeys((name, name.replace("_", "-")))
        for known in spellings:
            if known in COMMANDS:
                return as_click(built_in(known), known, self)
        own = self._own(ctx)
        for known in spellings:
            if known in own:
                return as_click(own[known], known, self)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is named together with those there are."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            meant = name.replace("_", "-")
            longer = [each for each in known if each.startswith(meant)]
            close = longer or get_close_matches(meant, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            if name in ELSEWHERE:
                hint = ELSEWHERE[name]
            elif self._app is None:
                hint += " (an app's own commands need -A)"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The app's own commands stand under a heading of their own."""
        own = self._own(ctx)
        mine = [name for name in COMMANDS if name not in own]
        sections = {"Commands": mine}
        if own:
            sections[f"Commands of {self._app.conf.id}"] = sorted(own)
        for heading, names in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, self._short_help(ctx, name)) for name in names])

    def _short_help(self, ctx: click.Context, name: str) -> str:
        """Return its first line, whole."""
        command = self.get_command(ctx, name)
        lines = (command.help or "").splitlines() if command is not None else []
        return lines[0] if lines else ""


def built_in(name: str) -> type[Command]:
    """Return one of our own commands by its name."""
    module, _, attribute = COMMANDS[name].partition(":")
    found: type[Command] = getattr(import_module(f"faust.cli.{module}"), attribute)
    return found


def prepare(app: Any, module: str, options: dict[str, Any]) -> None:
    """Make an app ready for a command: settings from the command line, fixups, discovery."""
    app.use_command_line(
        datadir=options.get("datadir"),
        blocking_timeout=options.get("blocking_timeout"),
        debug=True if options.get("debug") else None,
    )
    app.finalize()
    if module and not app.conf.origin:
        app.use_command_line(origin=module)
    app.worker_init()
    try:
        app.discover()
    except FaustError:
        raise
    except Exception as exc:
        traceback.print_exception(exc)  # of all that was scanned, who imported what is in it
        raise cannot_import("what autodiscover finds", exc) from exc


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as exc:
        raise click.UsageError(f"cannot change to {path!r}: {exc.strerror}") from exc
    os.environ["F_WORKDIR"] = path


def as_click(command: type[Command], name: str, program: Program) -> click.Command:
    """Return the click command that runs one of ours."""

    def call(**given: Any) -> None:
        ctx = click.get_current_context()
        root = ctx.find_root()
        state = _state_of(root, given)
        own = {n: v for n, v in given.items() if n not in SHARED}
        status = command.intercept(state, own)
        if status is not None:
            raise SystemExit(status)
        state.app = program.app_for(root, required=command.require_app)
        command(ctx, state=state).invoke(**own)

    params: list[click.Parameter] = params_of(command)
    if name == "worker":
        params = [*params, *worker_options()]
    return click.Command(name, callback=call, params=params, help=_help_of(command))


def _state_of(root: click.Context, given: dict[str, Any]) -> State:
    """What stands before the command counts; then what stands behind it."""
    state = State()
    for name in (*BEFORE, *SHARED):
        before = root.params.get(name)
        setattr(state, name, given.get(name) if before is None and name in SHARED else before)
    return state


def _help_of(command: type[Command]) -> str:
    text = cleandoc(command.__doc__ or "")
    return f"{text}\n\n\b\n{cleandoc(command.examples)}" if command.examples else text


# -- running ------------------------------------------------------------------------------------


def run_program(argv: Sequence[str], *, app: Any = None) -> int:
    """Run the program with these arguments; return the exit status."""
    program, name = Program(app), _program_name()
    try:
        if not argv and not os.environ.get(COMPLETE_VARIABLE):
            click.echo(program.get_help(program.make_context(name, ["--"])), err=True)
            return 2
        program.main(args=list(argv), prog_name=name, standalone_mode=False,
                     complete_var=COMPLETE_VARIABLE)  # fmt: skip
    except click.ClickException as exc:
        click.echo(f"{name}: {exc.format_message()}", err=True)
        return 2
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as exc:
        return _status_of(exc)
    except MemoryError:
        click.echo("Out of memory", err=True)
        return os.EX_OSERR
    except FaustError as exc:
        click.echo(f"{name}: {' '.join(str(exc).split())}", err=True)
        return 2 if is_wrong_use(exc) else 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _status_of(exc: SystemExit) -> int:
    """As Python itself does it: text is printed, and the status is 1."""
    if exc.code is None or isinstance(exc.code, int):
        return exc.code or 0
    click.echo(str(exc.code), err=True)
    return 1


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


def __getattr__(name: str) -> Any:
    """Commands as attributes of this module, imported when they are used."""
    if name.replace("_", "-") in COMMANDS:
        return built_in(name.replace("_", "-"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
