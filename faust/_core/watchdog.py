"""Notices that an event loop has stopped to run, and says where.

The loop beats: a callback on it counts up every `INTERVAL` seconds.  A thread looks at the count at
the same pace and adds up its *own* intervals in which the count did not change.  So a machine, or a
process, that was suspended is no false alarm: the thread slept, too.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable

__all__ = ["Watchdog"]

logger = logging.getLogger(__name__)

#: How often the loop beats and the thread looks (seconds).
INTERVAL = 0.5
#: What begins in the loop's own machinery is not worth showing.
_MACHINERY = ("/asyncio/", "/threading.py", "<frozen runpy>", "/faust/worker.py", "/faust/cli/")


class Watchdog:
    """Watches the loop of one thread from another thread.

    Arguments:
        timeout: Seconds without a beat after which the log says so (again after twice, four times
            as long, and so on).
        where: Returns what was in progress, in words, for the log; called in the watching thread.
        also: Called there whenever it looks, with the seconds since it last did.
        interval: Seconds between beats.

    Attributes:
        blocked_for: Seconds for which the loop has not run now; 0.0 if it runs.
    """

    def __init__(
        self,
        timeout: float,
        where: Callable[[], str],
        *,
        also: Callable[[float], None] | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._timeout = timeout
        self._where = where
        self._also = also
        self._interval = interval
        self._beats = self._seen = 0
        self._next_report = timeout
        self._reported = False
        self._thread_id = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.blocked_for = 0.0

    # -- on the watched loop -------------------------------------------------------------

    def start(self) -> None:
        """Watch the running loop from now on."""
        self._thread_id = threading.get_ident()
        self._loop = asyncio.get_running_loop()
        self._stop.clear()
        self.beat()
        self._thread = threading.Thread(target=self._run, name="faust-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=5.0)
        self.blocked_for = 0.0

    def beat(self) -> None:
        """The loop runs."""
        self._beats += 1
        self._timer = self._loop.call_later(self._interval, self.beat)

    # -- in the watching thread ------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.look(self._interval)
            except Exception:
                logger.exception("The watchdog could not look")

    def look(self, elapsed: float) -> None:
        """Another ``elapsed`` seconds are over: has the loop run meanwhile?"""
        if self._also is not None:
            self._also(elapsed)
        if self._beats != self._seen:
            self._seen = self._beats
            self._runs_again()
            return
        self.blocked_for += elapsed
        if self.blocked_for >= self._next_report:
            self._next_report *= 2
            self._report()

    def _runs_again(self) -> None:
        if self._reported:
            logger.warning("The event loop runs again, after about %.0f s", self.blocked_for)
        self.blocked_for = 0.0
        self._next_report = self._timeout
        self._reported = False

    def _report(self) -> None:
        self._reported = True
        logger.error(
            "The event loop has been blocked for %.0f s%s. Heartbeats go on, but nothing else of "
            "this worker does: use await, or a thread (asyncio.to_thread), for what takes long. It "
            "is here:\n%s", self.blocked_for, self._what(), self.stack(),
        )  # fmt: skip

    def _what(self) -> str:
        where = self._where()
        return f" by {where}" if where else ""

    def stack(self) -> str:
        """Return where the watched thread is now."""
        frame = sys._current_frames().get(self._thread_id)
        if frame is None:
            return "(its thread is gone)"
        entries = traceback.extract_stack(frame)
        own = [e for e in entries if not any(part in e.filename for part in _MACHINERY)]
        return "".join(traceback.format_list(own or entries)).rstrip()
