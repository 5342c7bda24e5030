"""Commands: classes with a `run` coroutine, or functions that become such classes.

click is loaded when the program runs, not when a command is defined.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TextIO

from faust._core.names import shorten_name
from faust.cli import names
from faust.cli.listing import listing
from faust.cli.params import argument, option
from faust.cli.state import State, UsageError
from faust.utils import json as _json

if TYPE_CHECKING:
    import click

__all__ = [
    "AppCommand",
    "Command",
    "State",
    "UsageError",
    "argument",
    "call_command",
    "command_from",
    "option",
]

#: How long a command waits for a broker, unless the app says otherwise (seconds).
BROKER_PATIENCE = 30.0


class Command:
    """A command of the program: define ``async def run(self, ...)``; the docstring is its help.

    Attributes:
        options: A list of `option` and `argument` objects.
        daemon: Keep running after `run` has returned, until a signal comes.
        redirect_stdouts: Send what is printed (but not what is said with `say`) to the log.
        app: The app (`AppCommand` only).
    """

    UsageError: ClassVar = UsageError

    abstract: ClassVar[bool] = True
    daemon: ClassVar[bool] = False
    require_app: ClassVar[bool] = False
    redirect_stdouts: ClassVar[bool | None] = None
    redirect_stdouts_level: ClassVar[str] = "WARN"
    options: ClassVar[Sequence[Any] | None] = None
    #: Help shown below the options: examples.
    examples: ClassVar[str] = ""
    name: ClassVar[str] = ""

    def __init__(
        self,
        ctx: click.Context | None = None,
        *args: Any,
        state: State | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        **kwargs: Any,
    ) -> None:
        self.ctx = ctx
        self.state = state or (ctx.ensure_object(State) if ctx is not None else State())
        self.args = args
        self.kwargs = kwargs
        self.app: Any = self.state.app
        self.quiet = self.state.quiet
        self.debug = self.state.debug
        self.json = self.state.json
        self.workdir = self.state.workdir
        self.datadir = self.state.datadir
        self.logfile = self.state.logfile
        self.loglevel = self.state.loglevel or "WARN"
        self.blocking_timeout = self.state.blocking_timeout
        self.console_port = self.state.console_port
        self.stdout: TextIO = stdout or sys.stdout
        self.stderr: TextIO = stderr or sys.stderr
        self.prog_name = "" if ctx is None else ctx.find_root().command_path

    # -- running -----------------------------------------------------------------------------

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the command is for."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and end the process."""
        self.invoke(*args, **kwargs)
        raise SystemExit(0)

    @classmethod
    def intercept(cls, state: State, given: Mapping[str, Any]) -> int | None:
        """Called before the app is imported: return an exit status where all is done by that."""
        return None

    def invoke(self, *args: Any, **kwargs: Any) -> None:
        """Run in an event loop of its own."""
        from faust.worker import loop_factory_for

        factory = loop_factory_for(self.state.loop)
        with self._logging(), self._redirected(), asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._live(*args, **kwargs))

    async def _live(self, *args: Any, **kwargs: Any) -> None:
        """Execute; a signal ends it, after cleaning up: a daemon's status is 0 then."""
        task, ended_by = asyncio.current_task(), list[signal.Signals]()

        def end(number: signal.Signals) -> None:
            ended_by.append(number)
            if task is not None:
                task.cancel()

        loop = asyncio.get_running_loop()
        numbers = [signal.SIGTERM, *([signal.SIGINT] if self.daemon else [])]
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                loop.add_signal_handler(number, end, number)
        try:
            await self.execute(*args, **kwargs)
        except asyncio.CancelledError:
            if not ended_by:
                raise
            if not self.daemon:
                raise SystemExit(128 + ended_by[0]) from None

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Warnings go to stderr, or to the log file, until the command ends."""
        level = {"crit": "CRITICAL", "warn": "WARNING"}.get(
            self.loglevel.lower(), self.loglevel.upper()
        )
        handler: logging.Handler = logging.StreamHandler(self.stderr)
        if self.logfile:
            handler = logging.FileHandler(self.logfile)
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        root = logging.getLogger()
        handlers, old_level = root.handlers[:], root.level
        root.handlers[:] = [handler]
        root.setLevel(level)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(old_level)
            handler.close()

    @contextmanager
    def _redirected(self) -> Iterator[None]:
        """Where `redirect_stdouts` is set, what is printed goes to the log."""
        if not self.redirect_stdouts:
            yield
            return
        from mode.utils.logging import redirect_stdouts

        with redirect_stdouts(severity=self.redirect_stdouts_level):
            yield

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run, then clean up; a daemon waits for a signal in between."""
        try:
            result = await self.run(*args, **kwargs)
            if self.daemon:
                await asyncio.Event().wait()
        finally:
            await self.on_stop()
        return result

    async def on_stop(self) -> None:
        """Clean up; override and call ``super()`` to add to it."""

    @classmethod
    def command_name(cls) -> str:
        """Return its name in the program: ``clean_versions`` is ``clean-versions``."""
        return cls.name or cls.__name__.replace("_", "-")

    @classmethod
    def parse(cls, argv: Sequence[str]) -> dict[str, Any]:
        """Return options and arguments by name.

        Raises:
            click.UsageError: they are not as they should be.
        """
        import click

        made = click.Command(cls.command_name(), callback=dict, params=params_of(cls))
        parsed: dict[str, Any] = made.main(args=list(argv), standalone_mode=False)
        return parsed

    @classmethod
    def from_handler(cls, *options: Any, **attributes: Any) -> Callable[[Any], type[Command]]:
        """Return a decorator that makes a command class of a function."""

        def decorate(fun: Any) -> type[Command]:
            return command_from(fun, options, base=cls, **attributes)

        return decorate

    # -- showing -------------------------------------------------------------------------------

    def say(
        self, message: Any, file: TextIO | None = None, err: bool = False, **kwargs: Any
    ) -> None:
        """Print, unless ``--quiet`` was given."""
        if not self.quiet:
            print(message, file=file or (self.stderr if err else self.stdout), **kwargs)

    def carp(self, message: Any, **kwargs: Any) -> None:
        """Print to stderr where ``--debug`` was given."""
        if self.debug:
            self.say(f"#-- {message}", err=True, **kwargs)

    def dumps(self, obj: Any) -> str:
        """Return an object as JSON."""
        return _json.dumps(obj).decode()

    def tabulate(
        self,
        data: Sequence[Sequence[Any]],
        headers: Sequence[str] | None = None,
        wrap_last_row: bool = True,
        title: str = "",
        **kwargs: Any,
    ) -> str:
        """Return rows as a table; with ``--json`` as one line of JSON."""
        if self.json:
            rows: Any = data
            if headers:
                rows = [dict(zip(headers, row, strict=True)) for row in data]
            return self.dumps(list(rows))
        if not headers:
            return self.table(data, title=title)
        return listing(data, headers, title, self.stdout, wrap=wrap_last_row)

    def table(self, data: Sequence[Sequence[Any]], title: str = "", **kwargs: Any) -> str:
        """Return rows as a table; the first one is the header."""
        head, *rows = data
        return listing(rows, [str(cell) for cell in head], title, self.stdout)


class AppCommand(Command):
    """A command that needs the app.

    Attributes:
        needs_broker: Whether it may connect to the broker.
    """

    needs_broker: ClassVar[bool] = True
    abstract: ClassVar[bool] = True
    require_app: ClassVar[bool] = True

    def __init__(
        self,
        ctx: click.Context | None = None,
        *args: Any,
        key_serializer: Any = None,
        value_serializer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(ctx, *args, **kwargs)
        self.key_serializer = key_serializer or self.app.conf.key_serializer
        self.value_serializer = value_serializer or self.app.conf.value_serializer

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As `Command.execute`; a broker that is away is waited for 30 seconds at most."""
        if self.needs_broker and self.app.conf.broker_unavailable_timeout is None:
            self.app.conf.broker_unavailable_timeout = BROKER_PATIENCE
        self.app.client_only = True
        return await super().execute(*args, **kwargs)

    async def on_stop(self) -> None:
        """Deliver what was sent, and disconnect."""
        app = self.app
        if app.started:
            await app.stop()
        elif app.connection is not None:
            await app.on_stop()
        client = app._made.pop("http_client", None)
        if client is not None:
            await client.close()

    # -- what users name -------------------------------------------------------------------------

    def to_topic(self, entity: str) -> Any:
        """Return the agent ``@name``, or the topic of that name.

        Raises:
            UsageError: there is no such agent; the message lists those there are.
        """
        return names.find_topic(self.app, entity)

    def abbreviate_fqdn(self, name: str, *, prefix: str = "") -> str:
        """Return a name without the app's own module in front."""
        return f"{prefix}{shorten_name(name, self.app.conf.origin)}"

    def import_relative_to_app(self, attr: str) -> Any:
        """Return what a path names; also looked for in the app's module and its ``models``.

        Raises:
            UsageError: it is nowhere.
        """
        return names.import_relative(self.app, attr)

    def to_key(self, typ: str | None, key: str) -> Any:
        """Return a key as it is sent: bytes without a type, else an object of that type."""
        return self.to_model(typ, key, self.key_serializer)

    def to_value(self, typ: str | None, value: str) -> Any:
        """Return a value as it is sent: bytes without a type, else an object of that type."""
        return self.to_model(typ, value, self.value_serializer)

    def to_model(self, typ: str | None, value: str, serializer: Any) -> Any:
        """Return text as bytes, or as an object of a type (a model's text is JSON).

        Raises:
            UsageError: it is no such object.
        """
        return names.read_as(self.app, typ, value, serializer)


def params_of(command: type[Command]) -> list[click.Parameter]:
    """Return the options and arguments of a command as click's objects, in order."""

    def holder() -> None:
        """Has what click's decorators put there."""

    for each in reversed(command.options or []):
        each(holder)
    return list(reversed(getattr(holder, "__click_params__", [])))


def command_from(
    fun: Any, options: Sequence[Any] = (), *, base: type[Command] | None = None, **attributes: Any
) -> type[Command]:
    """Return a command class for a function.

    Arguments:
        fun: Synchronous or not.  It gets its options and arguments by name; where its first
            parameter is none of them, that is the command itself (``self``).
        options: `option` and `argument` objects.
        base: The class to derive from (default: `AppCommand`).
        attributes: Further class attributes, such as ``daemon=True``.
    """
    if isinstance(fun, type) and issubclass(fun, Command):
        return fun

    async def run(self: Command, *args: Any, **kwargs: Any) -> Any:
        result = fun(self, *args, **kwargs) if _wants_itself(fun, kwargs) else fun(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    body = {
        "run": run,
        "abstract": False,
        "options": list(options),
        "__doc__": fun.__doc__,
        "__module__": fun.__module__,
        **attributes,
    }
    return type(fun.__name__, (base or AppCommand,), body)


def _wants_itself(fun: Any, given: dict[str, Any]) -> bool:
    """The command comes first where the first parameter is none of the options given."""
    for name, parameter in inspect.signature(fun).parameters.items():
        positional = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        return positional and name not in given and parameter.default is parameter.empty
    return False


def call_command(
    command: str,
    args: list[str] | None = None,
    stdout: Any = None,
    stderr: Any = None,
    side_effects: bool = False,
    app: Any = None,
) -> tuple[int | str | None, Any, Any]:
    """Run a command of the program here; return exit status, stdout and stderr.

    Arguments:
        args: Options and arguments of the command.
        stdout: Where its output goes (default: a new `io.StringIO`, which is returned).
        stderr: The same for its errors.
        app: The app; without it, the variable ``FAUST_APP`` names it.
        side_effects: Print to this process's own stdout and stderr, too.
    """
    from contextlib import redirect_stderr, redirect_stdout

    from faust.cli.faust import run_program

    out = stdout if stdout is not None else io.StringIO()
    err = stderr if stderr is not None else io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run_program([command, *(args or [])], app=app)
    if side_effects:
        for stream, here in ((out, sys.stdout), (err, sys.stderr)):
            if hasattr(stream, "getvalue"):
                here.write(stream.getvalue())
    return status, out, err
