"""Waking one waiter on its own event loop, from any thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import get_ident

__all__ = ["Signal"]


class Signal:
    """A flag for one waiter.  Made on the waiter's event loop; `set` may be called anywhere."""

    __slots__ = ("_future", "_is_set", "_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._future: asyncio.Future[None] | None = None
        self._is_set = False

    def set(self) -> None:
        """Wake the waiter, or let its next `wait` return at once."""
        # A loop that was closed under its transport has nobody left to wake.
        with suppress(RuntimeError):
            if self._thread == get_ident():
                self._wake()
            else:
                self._loop.call_soon_threadsafe(self._wake)

    def clear(self) -> None:
        """Forget what was set so far: call it before looking for what there is to wait for."""
        self._is_set = False

    async def wait(self, seconds: float | None) -> None:
        """Return when set since `clear`, or after that time (``None``: never)."""
        if self._is_set:
            return
        self._future = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(max(seconds, 0), self._wake)
        try:
            await self._future
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        self._is_set = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
