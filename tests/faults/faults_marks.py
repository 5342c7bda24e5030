"""What a worker was doing when it died, and what it shall be doing when it dies.

A few bytes of a mapped file, which outlive the process.  Each kind of work has a byte of its own,
because they overlap: an agent may be inside an event while the changelog's acknowledgement is
waited for.  One more byte is a *wish*: the phase in which the process is to be killed.  The kill is
a SIGKILL that the process sends to itself: as the phase begins, as it ends, or from another thread
somewhere in between.  Nobody outside is quick enough to hit a phase of a millisecond.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

__all__ = ["PHASES", "Marks"]

#: What can be going on, the rarest first; what comes first names the phase.
PHASES = ("undo", "restore", "apply", "commit", "cut", "produce", "event")

#: Where the wish stands, and behind it whether there ever was such a phase.
_WISH = len(PHASES)
_BEGUN = _WISH + 1
_SIZE = _BEGUN + len(PHASES)
#: A phase that is to be the last one is interrupted within so many seconds.
LAST_SECONDS = 0.003

Method = Callable[..., Any]


class Marks:
    """The bytes; written by the worker, read by whoever kills it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with open(path, "r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), _SIZE)

    @property
    def phase(self) -> str:
        """What is, or was, going on; ``idle`` if nothing was."""
        for number, name in enumerate(PHASES):
            if self.bytes[number]:
                return name
        return "idle"

    def doing(self, phase: str) -> bool:
        """Is (or was) this, whatever else there may be, going on?"""
        return self.bytes[PHASES.index(phase)] != 0

    def begun(self, phase: str) -> bool:
        """Has this been going on at any time?"""
        return self.bytes[_BEGUN + PHASES.index(phase)] != 0

    # -- for whoever kills ---------------------------------------------------------------------

    def wish(self, phase: str | None) -> None:
        """Let the process die in its next phase of this kind; ``None``: let it live."""
        self.bytes[_WISH] = 0 if phase is None else 1 + PHASES.index(phase)

    # -- for the worker ------------------------------------------------------------------------

    def begin(self, phase: str) -> None:
        """A phase begins; it may be the last."""
        number = PHASES.index(phase)
        self.bytes[number] = (self.bytes[number] + 1) % 256
        self.bytes[_BEGUN + number] = 1
        if self.bytes[_WISH] == number + 1:
            moment = random.random()
            if moment < 0.3:
                self._die(0.0)
            elif moment < 0.7:
                delay = random.uniform(0.0, LAST_SECONDS)
                threading.Thread(target=self._die, args=(delay,), daemon=True).start()

    def end(self, phase: str) -> None:
        """A phase ends."""
        number = PHASES.index(phase)
        if self.bytes[_WISH] == number + 1:
            self._die(0.0)
        self.bytes[number] = (self.bytes[number] - 1) % 256

    def _die(self, delay: float) -> None:
        time.sleep(delay)
        if self.bytes[_WISH]:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, phase: str, method: Method, pause: float = 0.0) -> Method:
        """Return the coroutine method, which marks itself while it runs, after a pause."""

        def marked(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
            async def call() -> Any:
                self.begin(phase)
                try:
                    if pause:
                        await asyncio.sleep(pause)
                    return await method(*args, **kwargs)
                finally:
                    self.end(phase)

            return call()

        return marked

    def wrap_sync(self, phase: str, method: Method) -> Method:
        """Return the method, which marks itself while it runs."""

        def marked(*args: Any, **kwargs: Any) -> Any:
            self.begin(phase)
            try:
                return method(*args, **kwargs)
            finally:
                self.end(phase)

        return marked
