"""Tasks, timers and crontabs: run once the app is operational, stopped with it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from faust._engine.registry import TaskSpec, TimerSpec

if TYPE_CHECKING:
    from faust._core.clock import Clock

__all__ = ["Background"]

logger = logging.getLogger(__name__)


class Background:
    """Runs what was declared with ``@app.task``, ``@app.timer`` and ``@app.crontab``.

    Arguments:
        app: Given to functions that take it.
        clock: Where time comes from.
        is_leader: Whether this worker leads now.
        on_crash: Called with an exception that escaped.
    """

    def __init__(
        self,
        app: Any,
        clock: Clock,
        is_leader: Callable[[], bool],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._app = app
        self._clock = clock
        self._is_leader = is_leader
        self._on_crash = on_crash
        self._running: list[asyncio.Task[None]] = []

    def start(self, tasks: list[TaskSpec], timers: list[TimerSpec]) -> None:
        """Start them all."""
        for task in tasks:
            self._spawn(self._run_task(task), f"task:{_name(task.fun)}")
        for timer in timers:
            loop = self._run_cron(timer) if timer.cron else self._run_timer(timer)
            self._spawn(loop, f"timer:{timer.name}")

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._running.append(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)
            self._on_crash(error)

    async def _call(self, fun: Callable[..., Any]) -> None:
        result = fun(self._app) if _takes_argument(fun) else fun()
        if inspect.isawaitable(result):
            await result

    async def _run_task(self, spec: TaskSpec) -> None:
        if not spec.on_leader or self._is_leader():
            await self._call(spec.fun)

    async def _run_timer(self, spec: TimerSpec) -> None:
        """Run at a fixed pace: the time a run takes is taken off the next pause.

        Runs never overlap; turns that were missed because a run took too long are left out.
        """
        interval = spec.interval or 0.0
        due = self._clock.monotonic() + interval
        while True:
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            if not spec.on_leader or self._is_leader():
                await self._call(spec.fun)
            due += interval
            now = self._clock.monotonic()
            if due <= now and interval > 0:
                due += ((now - due) // interval + 1) * interval

    async def _run_cron(self, spec: TimerSpec) -> None:
        from faust.utils.cron import Cron

        cron = Cron(spec.cron or "", spec.timezone or self._app.conf.timezone)
        due = cron.next_after(self._clock.time())
        while True:
            await self._clock.sleep(max(0.0, due - self._clock.time()))
            if self._clock.time() < due:
                continue
            if not spec.on_leader or self._is_leader():
                await self._call(spec.fun)
            due = cron.next_after(max(due, self._clock.time() - 60.0))
            while due < self._clock.time() - 1.0:
                due = cron.next_after(due)

    async def stop(self) -> None:
        """Cancel them all."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()


def _takes_argument(fun: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        for p in parameters
    )


def _name(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__qualname__", repr(fun))
