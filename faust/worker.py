"""The worker process: event loop, logging, signals, exit status.

===========================  ======================================================================
``SIGTERM``, ``SIGINT``      events in progress end, their work is committed; status 0
a second one; ``SIGQUIT``    the process ends at once, without a last commit; status 1
``SIGUSR1``                  prints where every thread and every task is
``SIGUSR2``                  starts the debugger, where there is a terminal
===========================  ======================================================================

The same signal again within a second is no second one: a terminal, or a supervisor that ends a
whole process group, and a parent that hands signals on, each send it.

The handlers are Python's own, not the loop's: they act, and stopping has a deadline, also while an
agent blocks the loop.

The worker's process lets threads take turns every millisecond instead of every five
(`sys.setswitchinterval`): the I/O thread answers heartbeats and fetches sooner while an agent is
busy.  Measured to be a good trade-off between that and the cost of switching.
"""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import mode
from mode.utils.logging import level_number

from faust._core import inspection
from faust._core.attendant import Attendant, Rate, end_process
from faust._core.logs import log_handler
from faust._core.loops import LoopFactory, loop_factory_for
from faust._core.signals import SignalHandlers
from faust.exceptions import FaustError, ImproperlyConfigured
from faust.utils.statusline import StatusLine

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.sensors.base import Sensor

__all__ = ["Worker", "loop_factory_for"]

logger = logging.getLogger(__name__)

#: How long a thread may keep the others from running (seconds); Python's own is 0.005.
SWITCH_INTERVAL = 0.001
#: The same signal again within so many seconds is the first one, sent on another way.
SAME_SIGNAL = 1.0
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


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
        console_port: Let aiomonitor show tasks at this port of localhost, and its web pages at the
            next one.  Without it, that is done at 50101 where ``debug`` is given and aiomonitor is
            installed.
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
        console_port: int | None = None,
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
        self._signalled_at = 0.0
        self._handlers = SignalHandlers(
            SIGINT=self._on_signal,
            SIGTERM=self._on_signal,
            SIGQUIT=self._on_quit,
            SIGUSR1=self._on_look,
            SIGUSR2=self._on_debug,
        )
        self._asked_to_stop: asyncio.Event | None = None
        self._attendant: Attendant | None = None
        self._line: StatusLine | None = None
        self._restore_rate = Rate()
        self._frames = cycle(_FRAMES)
        self._console_wanted = console_port is not None
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
            console_port=50101 if console_port is None else console_port,
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
        self._set_title("-init- ")
        switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(self._live())
        except (KeyboardInterrupt, asyncio.CancelledError):
            pass  # what stopped us has been dealt with
        finally:
            self._attendant.stop()
            sys.setswitchinterval(switch_interval)
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
            self._handlers.restore()

    async def on_first_start(self) -> None:
        """Set up logging, sensors and signals; override and call ``super()`` to add to it."""
        os.chdir(self.workdir)
        self.app.in_worker = True
        for sensor in self.sensors:
            self.app.sensors.add(sensor)
        if self.override_logging:
            self._setup_logging()
        self._start_console()
        await self.on_execute()
        self.install_signal_handlers()

    async def on_started(self) -> None:
        """Everything runs: wait until we are to stop, or something fails."""
        self.is_up = True
        self._set_title("")
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

    def stop_and_shutdown(self) -> None:
        """Stop a worker that was started in ``loop`` by hand, and close the loop."""
        loop = self.loop
        try:
            loop.run_until_complete(self.stop())
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            self._handlers.restore()
            loop.close()

    stop_and_shutdown_loop = stop_and_shutdown

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
        self._asked_to_stop = self._asked_to_stop or asyncio.Event()
        self._handlers.install()

    def _on_quit(self, number: int, frame: FrameType | None) -> None:
        os.write(2, b"\nfaust: SIGQUIT: ending without a last commit\n")
        end_process(1)

    def _on_look(self, number: int, frame: FrameType | None) -> None:
        inspection.print_threads(self.stderr)
        inspection.print_tasks(self.loop, self.stderr)

    def _on_debug(self, number: int, frame: FrameType | None) -> None:
        self.carp("Starting debugger...")
        if not inspection.debug_here(frame):
            self.carp("SIGUSR2: there is no terminal to debug on")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """First: stop in good order.  Second: end now."""
        now = time.monotonic()
        if self._signals == [number] and now - self._signalled_at < SAME_SIGNAL:
            return
        self._signalled_at = now
        self._signals.append(signal.Signals(number))
        if len(self._signals) > 1:
            os.write(2, b"\nfaust: second signal: ending without a last commit\n")
            end_process(1)
        self._attend_stopping()
        self.loop.call_soon_threadsafe(self._on_first_signal)

    def _on_first_signal(self) -> None:
        name = self._signals[0].name
        if name == "SIGINT":
            self.carp("-INT- -INT- -INT- -INT- -INT- -INT-")
        logger.info("%s: stopping", name)
        self._set_title("-stopping- ")
        if self._attendant is None:  # started by somebody else's code
            self.add_future(self.stop())
        elif self._asked_to_stop is not None:
            self._asked_to_stop.set()

    # -- logging ---------------------------------------------------------------------------------

    def _setup_logging(self) -> None:
        level = level_number(self.loglevel or "WARN")
        root = logging.getLogger()
        if self.logging_config:
            defaults = {"version": 1, "disable_existing_loggers": False}
            logging.config.dictConfig({**defaults, **self.logging_config})
            if self.loglevel:
                root.setLevel(level)
        else:
            root.handlers[:] = self.loghandlers or [
                log_handler(self.logfile or self.stderr, self._line)
            ]
            root.setLevel(level)
        logging.captureWarnings(True)
        self.on_setup_root_logger(root, level)
        if self.redirect_stdouts:
            self._redirect_stdouts()

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Called with the root logger when it is set up; override to add to it."""

    def _line_buffer(self) -> None:
        """What the app prints appears at once, also in a pipe, and in whole lines: several workers
        may print there.
        """
        reconfigure = getattr(self.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, write_through=False)

    # -- progress --------------------------------------------------------------------------------

    @property
    def spinner(self) -> StatusLine | None:
        """The line on the terminal that shows how starting and stopping go on, if there is one."""
        return self._line

    def _progress(self, elapsed: float) -> str:
        if self._signals:
            return ""
        engine = self.app.engine
        left = 0 if engine is None else sum(list(engine.lagging.values()))
        rate = self._restore_rate.after(elapsed, left)
        if left and self._line is not None:  # without a terminal the engine says it in the log
            speed = f", {rate:,.0f} a second" if rate else ""
            return f"Restoring tables: {left:,} records left{speed}"
        shows = self._line is not None and level_number(self.loglevel or "WARN") >= logging.WARNING
        return f"starting➢ {next(self._frames)}" if shows and not self.is_up else ""

    def _pending(self) -> list[str]:
        pending: list[str] = self.app.inspector.in_progress()
        return pending

    # -- how others see the process ----------------------------------------------------------------

    def _set_title(self, doing: str) -> None:
        """Show in ``ps`` and ``top`` what this process is, where setproctitle is installed."""
        conf = self.app.conf
        inspection.set_title(f"[Faust:Worker] {doing}{conf.id} -p {conf.web_port} {conf.datadir}")

    def _start_console(self) -> None:
        """Start aiomonitor, where it was asked for.

        Raises:
            ImproperlyConfigured: it is not installed.
        """
        if not (self.debug or self._console_wanted):
            return
        console = inspection.start_console(
            self.loop, self.console_port, {"app": self.app, "worker": self}
        )
        if console is not None:
            self.add_context(console)
        elif self._console_wanted:
            raise ImproperlyConfigured(
                "the console needs aiomonitor: pip install aiomonitor, or leave out --console-port"
            )
        else:
            logger.info("No console: aiomonitor is not installed")


def sentence_for(error: BaseException) -> str:
    """Return one sentence for whoever started the program."""
    text = " ".join(str(error).split())
    if isinstance(error, FaustError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
