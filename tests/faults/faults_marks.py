"""What a worker was doing when it died: a few bytes of a mapped file, which outlive the process.

Each kind of work has a byte of its own, because they overlap: an agent may be inside an event on the
main thread while the I/O thread waits for a changelog's acknowledgement.  `Marks.phase` names the one
that says most.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

__all__ = ["PHASES", "Marks"]

#: What can be going on, the rarest first; what comes first names the phase.
PHASES = ("undo", "restore", "apply", "commit", "cut", "produce", "event")

Method = Callable[..., Any]


class Marks:
    """The bytes; written by the worker, read by whoever kills it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(len(PHASES)))
        with open(path, "r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), len(PHASES))

    @property
    def phase(self) -> str:
        """What is, or was, going on; ``idle`` if nothing was."""
        for number, name in enumerate(PHASES):
            if self.bytes[number]:
                return name
        return "idle"

    def doing(self, phase: str) -> bool:
        """Is this, whatever else there may be, going on?"""
        return self.bytes[PHASES.index(phase)] != 0

    def wrap(self, phase: str, method: Method) -> Method:
        """Return the coroutine method, which marks itself while it runs."""
        number, marks = PHASES.index(phase), self.bytes

        def marked(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
            async def call() -> Any:
                marks[number] = (marks[number] + 1) % 256
                try:
                    return await method(*args, **kwargs)
                finally:
                    marks[number] = (marks[number] - 1) % 256

            return call()

        return marked

    def wrap_sync(self, phase: str, method: Method) -> Method:
        """Return the method, which marks itself while it runs."""
        number, marks = PHASES.index(phase), self.bytes

        def marked(*args: Any, **kwargs: Any) -> Any:
            marks[number] = 1
            try:
                return method(*args, **kwargs)
            finally:
                marks[number] = 0

        return marked
