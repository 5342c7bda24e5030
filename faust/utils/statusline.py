"""One line at the bottom of a terminal that changes in place, and that log lines do not tear."""

from __future__ import annotations

import threading
from logging import LogRecord, StreamHandler
from typing import IO, Any

__all__ = ["StatusLine", "StatusLineHandler"]

#: Go to the beginning of the line and erase it.
_ERASE = "\r\x1b[2K"


class StatusLine:
    """A line that is shown, replaced and taken away again.  Safe to use from several threads.

    Arguments:
        stream: A terminal.
    """

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        self._text = ""
        self.lock = threading.RLock()

    def show(self, text: str) -> None:
        """Show this instead of what is there; "" takes the line away."""
        with self.lock:
            if text != self._text:
                self._text = text
                self._write(_ERASE + text)

    def clear(self) -> None:
        """Take the line away."""
        self.show("")

    def above(self, text: str) -> None:
        """Write a whole line above it."""
        with self.lock:
            erase = _ERASE if self._text else ""
            self._write(f"{erase}{text}\n{self._text}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class StatusLineHandler(StreamHandler[IO[Any]]):
    """Logs above a status line."""

    def __init__(self, line: StatusLine, stream: IO[Any]) -> None:
        super().__init__(stream)
        self._line = line

    def emit(self, record: LogRecord) -> None:
        """Write one record."""
        try:
            self._line.above(self.format(record))
        except Exception:
            self.handleError(record)
