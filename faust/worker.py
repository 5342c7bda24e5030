"""The worker process: event loop, logging, signals, exit status.

``SIGTERM`` and ``SIGINT`` let events in progress end, commit, leave the group and exit with status
0; a second one ends the process at once, with status 1.  The handlers are Python's own, not the
loop's: they act, and stopping has a deadline, also while an agent blocks the loop.
"""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import mode
from mode.utils.logging import level_number

from faust._core.attendant import Attendant, end_process
from faust.exceptions import FaustError, ImproperlyConfigured
from faust.utils.statusline import StatusLine, StatusLineHandler

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.sensors.base import Sensor

__all__ = ["Worker", "loop_factory_for"]

logger = logging.getLogger(__name__)

LOG_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"
_COLORS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "1;31", "INFO": "32", "DEBUG": "34"}

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory_for(name: str | None) -> LoopFactory | None:
    """Return what makes an event loop: ``aio`` (also ``None``) or ``uvloop``.

    Raises:
        ImproperlyConfigured: there is no such loop, or it is not installed.
    """
    if name in (None, "", "aio"):
        return None
    if name != "uvloop":
        raise ImproperlyConfigured(f"there is no event loop {name!r}: use aio or uvloop")
    try:
        import uvloop
    except ImportError as exc:
        raise ImproperlyConfigured(
            "the event loop uvloop is not installed: pip install 'faust[uvloop]', or leave out -L"
        ) from exc
    factory: LoopFactory = uvloop.new_event_loop
    return factory


class Worker(mode.Worker):
    """Runs an app, and further services, in a process of its own.

    Arguments:
        app: The app.
        services: Further services, started after the app.
        sensors: Further sensors for the app.
        loglevel: Name or number (default: ``WARN``).
        logfile: Path or open file for the log (default: stderr).
        blocking_timeout: Overrides the setting of that name (seconds).
        workdir: Change to this directory first.
        redirect_stdouts: Send what the app prints to the log (default: the setting
            ``worker_redirect_stdouts``).
        logging_config: For `logging.config.dictConfig`.
        loop_factory: Makes the event loop.

    Override ``on_first_start``, ``on_startup_finished``, ``on_setup_root_logger`` and
    ``on_worker_shutdown`` to add to what it does; name your class with the setting ``Worker``.
    """

    #: Seconds that stopping may take before the process is ended.
    shutdown_timeout = 60.0

    def __init__(
        self,
        app: App,
        *services: Any,
        sensors: Iterable[Sensor] | None = None,
        debug: bool = False,
        quiet: bool = False,
        loglevel: str | int | None = None,
        logfile: str | TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        blocking_timeout: float | None = None,
        workdir: Path | str | None = None,
        console_port: int = 50101,
        loop: asyncio.AbstractEventLoop | None = None,
        redirect_stdouts: bool | None = None,
        redirect_stdouts_level: str | int | None = None,
        logging_config: dict[str, Any] | None = None,
        loop_factory: LoopFactory | None = None,
        **kwargs: Any,
    ) -> None:
        self.app = app
        conf = app.conf
        self.sensors = list(sensors or ())
        self.workdir = Path(workdir or Path.cwd())
        self.failure: BaseException | None = None
        self.is_up = False
        #: Called once everything runs, before `on_startup_finished`.
        self.announce_ready: Callable[[], None] | None = None
        self._loop_factory = loop_factory
        self._signals: list[signal.Signals] = []
        self._old_handlers: dict[signal.Signals, Any] = {}
        self._asked_to_stop: asyncio.Event | None = None
        self._attendant: Attendant | None = None
        self._line: StatusLine | None = None
        self._restore_rate = _Rate()
        if blocking_timeout is not None:
            app.use_command_line(blocking_timeout=blocking_timeout)
        redirect = conf.worker_redirect_stdouts if redirect_stdouts is None else redirect_stdouts
        super().__init__(
            app,
            *services,
            debug=debug,
            quiet=quiet,
            loglevel=loglevel,
            logfile=logfile,
            stdout=stdout or sys.stdout,
            stderr=stderr or sys.stderr,
            blocking_timeout=conf.blocking_timeout,
            console_port=console_port,
            loop=loop,
            redirect_stdouts=redirect,
            redirect_stdouts_level=redirect_stdouts_level or conf.worker_redirect_stdouts_level,
            logging_config=logging_config or conf.logging_config,
            loghandlers=conf.loghandlers,
            **kwargs,
        )

    # -- the whole life ------------------------------------------------------------------------

    def execute_from_commandline(self) -> NoReturn:
        """Run until a signal comes or something fails, then exit: 0, or 1, or 2 for wrong use."""
        raise SystemExit(self.run())

    def run(self) -> int:
        """Run until a signal comes or something fails; return the exit status."""
        loop = self._loop
        factory = self._loop_factory if loop is None else lambda: loop
        self._line_buffer()
        if self.stderr.isatty() and not self.logfile and not self.loghandlers:
            self._line = StatusLine(self.stderr)
        self._attendant = Attendant(
            self._progress,
            self._pending,
            self.shutdown_timeout,
            show=None if self._line is None or self.quiet else self._line.show,
        )
        self._attendant.start()
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(self._live())
        except (KeyboardInterrupt, asyncio.CancelledError):
            pass  # what stopped us has been dealt with
        finally:
            self._attendant.stop()
            self.on_worker_shutdown()
        return self._conclude()

    async def _live(self) -> None:
        """Start, wait for a signal or a failure, stop."""
        self._loop = asyncio.get_running_loop()
        self._asked_to_stop = asyncio.Event()
        self.install_signal_handlers()
        starting = asyncio.create_task(self.start(), name="faust-worker")
        asked = asyncio.create_task(self._asked_to_stop.wait(), name="faust-worker-signals")
        try:
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not self.is_up and not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
            self._attend_stopping()
            await self.stop()
            (result,) = await asyncio.gather(starting, return_exceptions=True)
            if isinstance(result, Exception):
                self.failure = result
        finally:
            asked.cancel()
            self._restore_signal_handlers()

    async def on_first_start(self) -> None:
        """Set up logging, sensors and signals; override and call ``super()`` to add to it."""
        os.chdir(self.workdir)
        self.app.in_worker = True
        for sensor in self.sensors:
            self.app.monitor.add(sensor)
        if self.override_logging:
            self._setup_logging()
        await self.on_execute()
        self.install_signal_handlers()

    async def on_started(self) -> None:
        """Everything runs: wait until we are to stop, or something fails."""
        self.is_up = True
        if self.announce_ready is not None and self.app.failure is None:
            self.announce_ready()
        await self.on_startup_finished()
        if self.daemon:
            await self._wait_until_over()

    async def on_startup_finished(self) -> None:
        """Called once everything runs; override to do something then."""

    async def _wait_until_over(self) -> None:
        waiting = {
            asyncio.create_task(self.wait_until_stopped(), name="faust-worker-stopped"),
            asyncio.create_task(self.app.failed.wait(), name="faust-worker-failed"),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def _attend_stopping(self) -> None:
        if self._attendant is not None:
            self._attendant.stopping()

    # -- how it ended ----------------------------------------------------------------------------

    def _conclude(self) -> int:
        """Say in one sentence why it ended, if something failed; return the exit status."""
        failure = self.failure or self.app.failure or self.crash_reason or self.app.crash_reason
        self.failure = failure
        if failure is None:
            logger.info("Stopped")
            return 0
        if not isinstance(failure, FaustError) and not self.is_up:
            logger.error("The worker could not start", exc_info=failure)
        told = sentence_for(failure)
        if self.logfile or self.loghandlers:
            logger.critical("%s", told)
        self.stderr.write(f"faust: app {self.app.conf.id!r}: {told}\n")
        self.stderr.flush()
        return 2 if isinstance(failure, ImproperlyConfigured) and not self.is_up else 1

    # -- signals ---------------------------------------------------------------------------------

    def install_signal_handlers(self) -> None:
        """Let signals stop this worker (does nothing outside of the main thread)."""
        if self._old_handlers:
            return
        self._asked_to_stop = self._asked_to_stop or asyncio.Event()
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old_handlers[number] = signal.signal(number, self._on_signal)
        except ValueError:
            return
        if hasattr(signal, "SIGUSR1"):
            self.loop.add_signal_handler(signal.SIGUSR1, self._on_sigusr1)

    def _restore_signal_handlers(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers.clear()

    def _on_signal(self, number: int, frame: Any) -> None:
        """First: stop in good order.  Second: end now."""
        self._signals.append(signal.Signals(number))
        if len(self._signals) > 1:
            os.write(2, b"\nfaust: second signal: ending without a last commit\n")
            end_process(1)
        self._attend_stopping()
        self.loop.call_soon_threadsafe(self._on_first_signal)

    def _on_first_signal(self) -> None:
        logger.info("%s: stopping", self._signals[0].name)
        if self._attendant is None:  # started by somebody else's code
            self.add_future(self.stop())
        elif self._asked_to_stop is not None:
            self._asked_to_stop.set()

    # -- logging ---------------------------------------------------------------------------------

    def _setup_logging(self) -> None:
        level = level_number(self.loglevel or "WARN")
        root = logging.getLogger()
        if self.logging_config:
            logging.config.dictConfig({"version": 1, **self.logging_config})
            if self.loglevel:
                root.setLevel(level)
        else:
            root.handlers[:] = self.loghandlers or [self._log_handler()]
            root.setLevel(level)
        logging.captureWarnings(True)
        self.on_setup_root_logger(root, level)
        if self.redirect_stdouts:
            self._redirect_stdouts()

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Called with the root logger when it is set up; override to add to it."""

    def _log_handler(self) -> logging.Handler:
        handler: logging.Handler
        if isinstance(self.logfile, str):
            handler = logging.FileHandler(self.logfile)
        elif self._line is not None:
            handler = StatusLineHandler(self._line, self.stderr)
        else:
            handler = logging.StreamHandler(self.logfile or self.stderr)
        colored = self._line is not None and "NO_COLOR" not in os.environ
        handler.setFormatter(
            _ColorFormatter(LOG_FORMAT) if colored else logging.Formatter(LOG_FORMAT)
        )
        return handler

    def _line_buffer(self) -> None:
        """What the app prints appears at once, also in a pipe."""
        reconfigure = getattr(self.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)

    # -- progress --------------------------------------------------------------------------------

    def _progress(self, elapsed: float) -> str:
        engine = self.app.engine
        if self._signals or engine is None:
            return ""
        left = sum(list(engine.lagging.values()))
        rate = self._restore_rate.after(elapsed, left)
        if not left:
            return ""
        speed = f", {rate:,.0f} a second" if rate else ""
        return f"Restoring tables: {left:,} records left{speed}"

    def _pending(self) -> list[str]:
        pending: list[str] = self.app.inspector.in_progress()
        return pending


class _Rate:
    """How fast a number falls, smoothed over some seconds."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._rate = 0.0

    def after(self, elapsed: float, left: int) -> float:
        last, self._last = self._last, left
        if last is None or not left or left > last:
            self._rate = 0.0
            return 0.0
        now = (last - left) / elapsed
        self._rate = now if not self._rate else 0.9 * self._rate + 0.1 * now
        return self._rate


class _ColorFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        color = _COLORS.get(record.levelname, "0")
        label = f"[{record.levelname}]"
        return text.replace(label, f"\x1b[{color}m{label}\x1b[0m", 1)


def sentence_for(error: BaseException) -> str:
    """Return one sentence for whoever started the program."""
    text = " ".join(str(error).split())
    if isinstance(error, FaustError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
