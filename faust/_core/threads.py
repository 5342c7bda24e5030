"""The hand-over between the user's event loop and the one that owns the broker's sockets.

An agent may block its loop for minutes; heartbeats, fetches and deliveries go on, because they live
on a loop in a thread of their own (`ThreadBridge`).  For deterministic simulation both sides share
one loop (`LoopBridge`).  Nothing above asks which of the two it is.

Only whole batches, commits and control calls cross: a crossing costs a wake-up of the other loop
(tens of microseconds) and must never be paid for a record.

*The end.*  Whoever calls across waits for the answer, and a bridge is stopped when nobody does any
more.  A call that is late all the same, or still on its way, fails by one error; and what the I/O
loop has asked of the main one ends with it.  No coroutine is left that nobody awaits.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar, TypeVarTuple, Unpack

from faust.exceptions import BrokerUnavailable

__all__ = ["Bridge", "LoopBridge", "ThreadBridge", "awaited_in"]

#: What the I/O loop has asked for may take so long to end when it is cancelled (seconds).
ASKED_PATIENCE = 5.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Bridge(ABC):
    """Calls between the main loop and the I/O loop."""

    @abstractmethod
    async def start(self) -> None:
        """Bind to the running loop as the main one; start the other."""

    @abstractmethod
    async def stop(self) -> None:
        """End the I/O loop; what still runs there is cancelled, and what it has asked for here."""

    @abstractmethod
    def post_main(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """From the I/O loop: run ``fun(*args)`` on the main loop, soon and in order."""

    @abstractmethod
    def post_io(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """From the main loop: run ``fun(*args)`` on the I/O loop, soon and in order.

        Does nothing once the bridge is stopped.
        """

    @abstractmethod
    async def call_io(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """From the main loop: run a coroutine on the I/O loop and wait for its result.

        Raises:
            BrokerUnavailable: the bridge is stopped, or was before there was a result.
        """

    @abstractmethod
    async def call_main(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """From the I/O loop: run a coroutine on the main loop and wait for its result."""

    @abstractmethod
    async def offload(self, fun: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Run blocking work where it stops neither loop."""


class LoopBridge(Bridge):
    """Both sides on one loop: what a simulation uses."""

    _loop: asyncio.AbstractEventLoop
    _stopped = False

    async def start(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), False

    async def stop(self) -> None:
        self._stopped = True

    def post_main(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        self._loop.call_soon(fun, *args)

    post_io = post_main

    async def call_io(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        self._check()
        return await fun(*args)

    async def call_main(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        return await fun(*args)

    def _check(self) -> None:
        if self._stopped:
            raise _disconnected()

    async def offload(self, fun: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return fun(*args)


class ThreadBridge(Bridge):
    """The I/O loop runs in a daemon thread named ``faust-io``."""

    _main: asyncio.AbstractEventLoop
    _io: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        #: What the I/O loop waits for on the main one.
        self._asked: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        self._main = asyncio.get_running_loop()
        self._io = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="faust-io", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._io)
        try:
            self._io.run_forever()
        finally:
            pending = asyncio.all_tasks(self._io)
            for task in pending:
                task.cancel()
            if pending:
                self._io.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self._io.run_until_complete(self._io.shutdown_asyncgens())
            self._io.close()

    async def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._io.call_soon_threadsafe(self._io.stop)
            await self._main.run_in_executor(None, thread.join)
            await self._end_asked()

    async def _end_asked(self) -> None:
        asked = self._asked - {asyncio.current_task()}
        for task in asked:
            if not task.cancelling():  # by who has asked, when it was cancelled
                task.cancel()
        if asked:
            await asyncio.wait(asked, timeout=ASKED_PATIENCE)

    def post_main(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        _post(self._main, fun, *args)

    def post_io(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        if self._thread is not None:
            _post(self._io, fun, *args)

    async def call_io(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        if self._thread is None:
            raise _disconnected()
        try:
            return await asyncio.wrap_future(_submit(self._io, fun, *args))
        except asyncio.CancelledError:
            if self._stopped_under(asyncio.current_task()):
                raise _disconnected() from None
            raise

    def _stopped_under(self, task: asyncio.Task[Any] | None) -> bool:
        """Was what this task waits for cancelled by `stop`, and not the task itself?"""
        return self._thread is None and task is not None and not task.cancelling()

    async def call_main(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        return await asyncio.wrap_future(_submit(self._main, self._answer, fun, args))

    async def _answer(
        self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], args: tuple[*Ts]
    ) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._asked.add(task)
        try:
            return await fun(*args)
        finally:
            self._asked.discard(task)

    async def offload(self, fun: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, fun, *args)


async def awaited_in(
    loop: asyncio.AbstractEventLoop,
    fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]],
    *args: *Ts,
) -> T:
    """Await ``fun(*args)`` in this event loop, or in the one of another thread."""
    if loop is asyncio.get_running_loop():
        return await fun(*args)
    return await asyncio.wrap_future(_submit(loop, fun, *args))


def _disconnected() -> BrokerUnavailable:
    return BrokerUnavailable("this app is not connected to its broker any more: it was stopped")


def _post(loop: asyncio.AbstractEventLoop, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(fun, *args)


def _submit(
    loop: asyncio.AbstractEventLoop,
    fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]],
    *args: *Ts,
) -> Future[T]:
    return asyncio.run_coroutine_threadsafe(fun(*args), loop)
