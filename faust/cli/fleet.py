"""Worker processes under one parent: what to start, when to start it again, how it all ends.

It decides and tells; processes, signals and the clock come from outside (`supervise`), so that
tests have all of them by hand.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Fleet", "Process"]

#: Pause before a process that died is started again: doubled each time (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: One that ran for as long as this begins with the first pause again (seconds).
RAN_WELL = 60.0
#: A worker's exit status when it was used or configured wrongly: starting it again would not help.
WRONG_USE = 2


class Process(Protocol):
    """A process, as `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit status (of a signal: negative), or ``None`` while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal; nothing happens if it is gone."""


@dataclass
class _Place:
    index: int
    process: Process | None = None
    started_at: float = 0.0
    failures: int = 0
    #: When to start it; ``None``: not at all.
    due: float | None = 0.0


class Fleet:
    """The worker processes.

    Arguments:
        spawn: Starts the process at a place, given the number of the place.
        size: How many there are.
        tell: Prints a line.
        reloading: They are started again when the source changes, not when they end.
    """

    def __init__(
        self,
        spawn: Callable[[int], Process],
        size: int,
        *,
        tell: Callable[[str], None],
        reloading: bool = False,
    ) -> None:
        self._spawn = spawn
        self._tell = tell
        self._reloading = reloading
        self._places = [_Place(index) for index in range(size)]
        self._stopping = False
        self._restarting = False
        #: The exit status of the whole.
        self.status = 0

    @property
    def running(self) -> list[Process]:
        """The processes that run."""
        return [place.process for place in self._places if place.process is not None]

    @property
    def over(self) -> bool:
        """Has it been told to stop, and is everything gone?"""
        return self._stopping and not self.running

    def look(self, now: float) -> None:
        """See who has ended, and start what is due."""
        for place in self._places:
            if place.process is not None and (status := place.process.poll()) is not None:
                self._ended(place, status, now)
        if self._stopping:
            return
        if self._restarting and not self.running:
            self._restarting = False
            for place in self._places:
                place.due = now
        for place in self._places:
            due = place.process is None and place.due is not None and place.due <= now
            if due and not self._is_stopping():
                place.due, place.started_at = None, now
                place.process = self._spawn(place.index)
                if self._is_stopping():  # a signal came while it was being started
                    place.process.send_signal(signal.SIGTERM)

    def _is_stopping(self) -> bool:
        """A call, for a handler may change the answer between any two steps."""
        return self._stopping

    def send(self, number: int) -> None:
        """Hand a signal on to all; one that ends workers ends the whole."""
        if number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._stopping = True
        for process in self.running:
            process.send_signal(number)

    def restart(self) -> None:
        """The source has changed: let all end in good order, then start them again."""
        for place in self._places:
            place.due = None
        self._restarting = True
        for process in self.running:
            process.send_signal(signal.SIGTERM)

    def _ended(self, place: _Place, status: int, now: float) -> None:
        """Case by case: we stop; we restart; it waits for a change; no use; it died."""
        process, place.process = place.process, None
        assert process is not None
        told = f"Worker {place.index} (process {process.pid}) {_how(status)}"
        if self._stopping or self._restarting:
            ended_well = status in (0, -signal.SIGTERM, -signal.SIGINT)  # killed: it had not begun
            if self._stopping and not ended_well:
                self.status = max(self.status, 1)
                self._tell(told)
        elif self._reloading:
            self._tell(f"{told}: waiting for the source to change")
        elif status == WRONG_USE:
            self._tell(f"{told}: it would not help to start it again; stopping")
            self.status = WRONG_USE
            self.send(signal.SIGTERM)
        else:
            if now - place.started_at >= RAN_WELL:
                place.failures = 0
            pause = min(FIRST_PAUSE * 2**place.failures, LONGEST_PAUSE)
            place.failures += 1
            place.due = now + pause
            self._tell(f"{told}: started again in {pause:g} s")


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
