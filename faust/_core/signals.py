"""Handlers of signals: Python's own, which act also while the event loop is blocked."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["SignalHandlers"]


class SignalHandlers:
    """Handlers that can be installed, and taken back.

    Arguments:
        handlers: Name of a signal -> what to call; names that this system does not have are left
            out.
    """

    def __init__(self, **handlers: Callable[[int, FrameType | None], None]) -> None:
        self._handlers = handlers
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Install them, unless that was done (does nothing outside of the main thread)."""
        if self._before:
            return
        try:
            for name, handler in self._handlers.items():
                if (number := getattr(signal, name, None)) is not None:
                    self._before[number] = signal.signal(number, handler)
        except ValueError:
            return

    def restore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
