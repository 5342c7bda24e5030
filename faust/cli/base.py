"""Commands: classes with a `run` coroutine, or functions that become such classes.

click is loaded when the program runs, not when a command is defined.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from faust._core.names import shorten_name, symbol_by_name
from faust.exceptions import FaustError, ImproperlyConfigured
from faust.utils import json as _json
from faust.utils.terminal import table as box

if TYPE_CHECKING:
    import click

__all__ = ["AppCommand", "Command", "State", "UsageError", "call_command", "command_from"]

#: How long a command waits for a broker, unless the app says otherwise (seconds).
BROKER_PATIENCE = 30.0


class UsageError(FaustError):
    """The command is used wrongly: one sentence, exit status 2."""


@dataclass
class State:
    """The options given before the command.

    Attributes:
        app: The app, or ``None`` where the command needs none.
    """

    app: Any = None
    quiet: bool = False
    debug: bool = False
    json: bool = False
    workdir: str | None = None
    datadir: str | None = None
    loop: str | None = None
    logfile: str | None = None
    loglevel: str | None = None
    blocking_timeout: float | None = None
    console_port: int | None = None


class Command:
    """A command of the program: define ``async def run(self, ...)``; the docstring is its help.

    Attributes:
        options: A list of `option` and `argument` objects.
        daemon: Keep running after `run` has returned, until a signal comes.
        app: The app (`AppCommand` only).
    """

    UsageError: ClassVar = UsageError

    abstract: ClassVar[bool] = True
    daemon: ClassVar[bool] = False
    require_app: ClassVar[bool] = False
    redirect_stdouts: ClassVar[bool | None] = None
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

    def invoke(self, *args: Any, **kwargs: Any) -> None:
        """Run in an event loop of its own."""
        from faust.worker import loop_factory_for

        self.set_up_logging()
        with asyncio.Runner(loop_factory=loop_factory_for(self.state.loop)) as runner:
            runner.run(self.execute(*args, **kwargs))

    def set_up_logging(self) -> None:
        """Warnings go to stderr, or to the log file."""
        import logging

        level = {"crit": "CRITICAL", "warn": "WARNING"}.get(
            self.loglevel.lower(), self.loglevel.upper()
        )
        handler: logging.Handler = logging.StreamHandler(self.stderr)
        if self.logfile:
            handler = logging.FileHandler(self.logfile)
        logging.basicConfig(
            level=level, format="%(levelname)s: %(message)s", handlers=[handler], force=True
        )

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run, then clean up; a daemon waits for a signal in between."""
        try:
            result = await self.run(*args, **kwargs)
            if self.daemon:
                await self._wait_for_signal()
        finally:
            await self.on_stop()
        return result

    async def _wait_for_signal(self) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, over.set)
        await over.wait()

    async def on_stop(self) -> None:
        """Clean up; override and call ``super()`` to add to it."""

    @classmethod
    def command_name(cls) -> str:
        """Return its name in the program: ``clean_versions`` is ``clean-versions``."""
        return cls.name or cls.__name__.replace("_", "-")

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
        if headers:
            return box(data, headers=headers, title=title)
        return self.table(data, title=title)

    def table(self, data: Sequence[Sequence[Any]], title: str = "", **kwargs: Any) -> str:
        """Return rows as a table; the first one is the header."""
        return box(data[1:], headers=[str(cell) for cell in data[0]], title=title)


class AppCommand(Command):
    """A command that needs the app."""

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
        if self.app.conf.broker_unavailable_timeout is None:
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
        if not entity:
            raise UsageError("name a topic, or an @agent")
        if entity.startswith("@"):
            return self._agent(entity[1:])
        return self.app.topic(entity)

    def _agent(self, name: str) -> Any:
        agents = self.app.agents
        if name in agents:
            return agents[name]
        found = [a for full, a in agents.items() if full.endswith(f".{name}")]
        exact = [a for full, a in agents.items() if self.abbreviate_fqdn(full) == name]
        matches = exact if len(exact) == 1 else found
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(f"@{agent.name}" for agent in matches)
            raise UsageError(f"@{name} could be any of {names}")
        there = ", ".join(f"@{self.abbreviate_fqdn(n)}" for n in sorted(agents)) or "none"
        raise UsageError(f"there is no agent @{name} (there are: {there})")

    def abbreviate_fqdn(self, name: str, *, prefix: str = "") -> str:
        """Return a name without the app's own module in front."""
        return f"{prefix}{shorten_name(name, self.app.conf.origin)}"

    def import_relative_to_app(self, attr: str) -> Any:
        """Return what a path names; also looked for in the app's module and its ``models``.

        Raises:
            UsageError: it is nowhere.
        """
        origin = (self.app.conf.origin or "").partition(":")[0]
        tried = [attr] + [f"{origin}{part}.{attr}" for part in (".models", "") if origin]
        for path in tried:
            try:
                found = symbol_by_name(path)
            except ImportError:
                continue
            if not inspect.ismodule(found):
                return found
        raise UsageError(f"there is no {attr!r} (looked for {', '.join(tried)})")

    def to_type(self, name: str) -> Any:
        """Return a type by its name: ``str``, ``int``, ``float``, ``bytes``, or a model."""
        plain = {"str": str, "int": int, "float": float, "bytes": bytes}
        return plain.get(name) or self.import_relative_to_app(name)

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
        if typ is None:
            return value.encode()
        cls = self.to_type(typ)
        try:
            if hasattr(cls, "loads"):
                return cls.loads(value.encode(), serializer=serializer)
            return value.encode() if cls is bytes else cls(value)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"{value!r} is no {typ}: {exc}") from exc


def command_from(
    fun: Any, options: Sequence[Any] = (), *, base: type[Command] | None = None, **attributes: Any
) -> type[Command]:
    """Return a command class for a function.

    Arguments:
        fun: Synchronous or not; with or without ``self`` (the command) in front.
        options: `option` and `argument` objects.
        base: The class to derive from (default: `AppCommand`).
        attributes: Further class attributes, such as ``daemon=True``.
    """
    if isinstance(fun, type) and issubclass(fun, Command):
        return fun
    takes_command = _takes_command(fun)

    async def run(self: Command, *args: Any, **kwargs: Any) -> Any:
        result = fun(self, *args, **kwargs) if takes_command else fun(*args, **kwargs)
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


def _takes_command(fun: Any) -> bool:
    """The command comes first where the first parameter is called ``self``, ``cmd`` or so."""
    parameters = list(inspect.signature(fun).parameters)
    return bool(parameters) and parameters[0] in ("self", "cmd", "command", "_self")


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
        app: The app; without it, give ``-A`` in ``args`` before the command.
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


def is_wrong_use(error: BaseException) -> bool:
    """Is it the caller who can do something about it (exit status 2)?"""
    return isinstance(error, UsageError | ImproperlyConfigured)
