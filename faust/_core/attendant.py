"""A thread beside a worker's main one: shows how a long start goes on, and that stopping ends.

It works also while the main thread is blocked, which is when it is needed most.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable

__all__ = ["Attendant", "Rate", "end_process"]

logger = logging.getLogger(__name__)

#: How often it looks (seconds).
INTERVAL = 0.2
#: How often the log says that something still goes on (seconds).
LOG_INTERVAL = 5.0


def end_process(status: int) -> None:
    """End this process at once: nothing is committed or cleaned up.

    A signal may have interrupted a write to the very streams that are flushed here (that is a
    `RuntimeError` then): nothing keeps the process from ending.
    """
    try:
        for flush in (logging.shutdown, sys.stdout.flush, sys.stderr.flush):
            with contextlib.suppress(Exception):
                flush()
    finally:
        os._exit(status)


class Attendant:
    """Watches over starting and stopping.

    Arguments:
        progress: Returns in words how the start goes on, given the seconds since it was last asked;
            "" if there is nothing to say.
        pending: Returns in words what is still in progress when the worker is to stop.
        patience: Seconds that stopping may take before the process is ended.
        show: Shows a line on a terminal; ``None``: what there is to say goes to the log.
        end: Ends the process.
    """

    def __init__(
        self,
        progress: Callable[[float], str],
        pending: Callable[[], list[str]],
        patience: float,
        *,
        show: Callable[[str], None] | None = None,
        end: Callable[[int], None] = end_process,
    ) -> None:
        self._progress = progress
        self._pending = pending
        self._patience = patience
        self._show = show
        self._end = end
        self._stopping = False
        self._stopped_for = 0.0
        self._since_logged = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="faust-attendant", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; whatever is shown is taken away."""
        self._over.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=5.0)

    def stopping(self) -> None:
        """The worker is to stop: its time runs from now on.  May be called by a signal handler."""
        self._stopping = True

    def _run(self) -> None:
        elapsed = 0.0
        while True:
            try:
                self.look(elapsed)
            except Exception:
                logger.exception("The attendant could not look")
            elapsed = INTERVAL
            if self._over.wait(elapsed):
                break
        if self._show is not None:
            self._show("")

    def look(self, elapsed: float) -> None:
        """Another ``elapsed`` seconds are over."""
        self._since_logged += elapsed
        if self._stopping:
            self._look_at_stopping(elapsed)
            return
        text = self._progress(elapsed)
        if self._show is not None:
            self._show(text)
        elif text and self._is_time_to_log():
            logger.info("%s", text)

    def _look_at_stopping(self, elapsed: float) -> None:
        self._stopped_for += elapsed
        if self._show is not None:
            self._show("stopping➢ ")
        if self._stopped_for >= self._patience:
            logger.error(
                "Stopping has taken %.0f s, which is too long (%s): the process ends now, and what "
                "is not committed will be processed again", self._stopped_for, self._what(),
            )  # fmt: skip
            self._end(1)
        elif self._stopped_for >= LOG_INTERVAL and self._is_time_to_log():
            logger.warning(
                "Stopping: waiting for %s (%.0f of %.0f s)",
                self._what(), self._stopped_for, self._patience,
            )  # fmt: skip

    def _what(self) -> str:
        return "; ".join(self._pending()) or "the last commit, and the broker"

    def _is_time_to_log(self) -> bool:
        if self._since_logged < LOG_INTERVAL:
            return False
        self._since_logged = 0.0
        return True


class Rate:
    """How fast a number falls, smoothed over some seconds."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._rate = 0.0

    def after(self, elapsed: float, left: int) -> float:
        """Return its fall per second, now that ``left`` are left; 0 if that is unknown."""
        last, self._last = self._last, left
        if last is None or not left or left > last:
            self._rate = 0.0
            return 0.0
        now = (last - left) / elapsed
        self._rate = now if not self._rate else 0.9 * self._rate + 0.1 * now
        return self._rate
