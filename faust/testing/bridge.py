"""The two loops of a worker, for simulation: one loop, and crossings that take time.

What crosses between the real loops is on its way for a while, in which other things happen; who
gives up waiting does not wait until the other side has noticed; and a thread does what it was
given whether or not anybody still wants it.  All of that is so here, too.  And each side goes on
while the other is blocked (`faust.testing.processes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple, Unpack

from faust._core.threads import LoopBridge
from faust.testing.processes import beside, in_front

__all__ = ["CrossingBridge"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: The longest that a thread works on what it was given, as a rule and rarely (virtual seconds).
WORK, LONG_WORK = 0.02, 1.0


class CrossingBridge(LoopBridge):
    """A bridge whose crossings take a turn of the loop or several, drawn.

    Arguments:
        random: Draws them.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._far: set[asyncio.Task[Any]] = set()

    def post_main(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        self._loop.call_soon(fun, *args, context=in_front())

    def post_io(self, fun: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        self._loop.call_soon(fun, *args, context=beside())

    async def call_io(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """As between threads: the far side has a task of its own, and is cancelled later."""
        self._check()
        return await self._call_far(beside(), fun, args)

    async def call_main(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """The same in the other direction."""
        return await self._call_far(in_front(), fun, args)

    async def _call_far(
        self,
        there: Context,
        fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]],
        args: tuple[*Ts],
    ) -> T:
        near: asyncio.Future[T] = self._loop.create_future()
        far = self._loop.create_task(self._there_and_back(near, fun, args), context=there)
        self._far.add(far)
        far.add_done_callback(self._far.discard)
        try:
            return await near
        except asyncio.CancelledError:
            self._loop.call_soon(far.cancel)
            raise

    async def _there_and_back(
        self, near: asyncio.Future[Any], fun: Callable[..., Coroutine[Any, Any, Any]], args: Any
    ) -> None:
        try:
            await self._cross()
            result = await fun(*args)
        except asyncio.CancelledError:
            near.cancel()
            raise
        except Exception as exc:
            await self._cross()
            if not near.done():
                near.set_exception(exc)
        else:
            await self._cross()
            if not near.done():
                near.set_result(result)

    async def _cross(self) -> None:
        chance = self._random.random()
        if chance < 0.5:
            await asyncio.sleep(0)
        elif chance < 0.55:
            await asyncio.sleep(self._random.random() * WORK)

    async def offload(self, fun: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """As in a thread: it is done, some time later, also if nobody waits any more."""
        done: asyncio.Future[T] = self._loop.create_future()

        def work() -> None:
            try:
                result = fun(*args)
            except Exception as exc:
                if not done.done():
                    done.set_exception(exc)
            else:
                if not done.done():
                    done.set_result(result)

        self._loop.call_later(self._work_time(), work, context=beside())
        return await done

    def _work_time(self) -> float:
        chance = self._random.random()
        most = LONG_WORK if chance < 0.01 else WORK if chance < 0.3 else 1e-6
        return max(self._random.random() * most, 1e-6)
