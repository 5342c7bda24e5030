"""Tasks, timers and crontabs: run once the app is operational, stopped with it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from math import ceil
from typing import TYPE_CHECKING, Any

from faust._engine.registry import TaskSpec, TimerSpec
from faust.exceptions import PartitionRevoked

if TYPE_CHECKING:
    from faust._core.clock import Clock

__all__ = ["Background"]

logger = logging.getLogger(__name__)

#: Seconds before a task begins anew whose event was given to another worker.
REVOKED_PAUSE = 0.1

#: Seconds after which a crontab looks at the wall clock again: somebody may have set it.
LONGEST_SLEEP = 60.0


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
        #: Timers and crontabs that run now -> when they began, monotonic.
        self.busy: dict[asyncio.Task[None], float] = {}
        self._stopping = False

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
        error: BaseException | None
        if task.cancelled():
            error = None if self._stopping else _cancelled(task)
        else:
            error = task.exception()
        if error is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)
            self._on_crash(error)

    async def _call(self, fun: Callable[..., Any]) -> None:
        result = fun(self._app) if _takes_argument(fun) else fun()
        if inspect.isawaitable(result):
            await result

    async def _run_task(self, spec: TaskSpec) -> None:
        """Run a task; again, if it has been in the middle of an event that others process now.

        What that event had raised has ended the task's loop over its stream: whoever reads another
        partition there waits for it to go on.
        """
        while self._may_run(spec):
            try:
                await self._call(spec.fun)
            except PartitionRevoked as exc:
                logger.warning("Task %s begins anew: %s", _name(spec.fun), exc)
                await self._clock.sleep(REVOKED_PAUSE)
            else:
                return

    async def _run_timer(self, spec: TimerSpec) -> None:
        """Run at the turns ``begin + n * interval``: the time a run takes is no drift.

        Runs never overlap; turns that were missed because a run took too long are left out.  A run
        that began late is made up for: what follows comes nearer by ``max_drift_correction``
        seconds at most, until it is at its turn again.
        """
        interval = spec.interval or 1.0
        begin, turn = self._clock.monotonic(), 1
        due = begin + interval
        while True:
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            started = self._clock.monotonic()
            await self._run_once(spec)
            turn = max(turn + 1, ceil((self._clock.monotonic() - begin) / interval))
            soonest = started + interval - spec.max_drift_correction
            due = max(begin + turn * interval, soonest)

    async def _run_once(self, spec: TimerSpec) -> None:
        """Run it; one that was in the middle of an event that others process now misses its turn.

        (As with tasks, whoever reads another partition there waits for it to go on.)
        """
        if not self._may_run(spec):
            return
        task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]  # it is one
        self.busy[task] = self._clock.monotonic()
        try:
            await self._call(spec.fun)
        except PartitionRevoked as exc:
            logger.warning(
                "Timer %s has broken this turn off, and goes on with the next: %s", spec.name, exc
            )
        finally:
            del self.busy[task]

    async def _run_cron(self, spec: TimerSpec) -> None:
        """Run at the entry's times; of those that passed meanwhile, only the first is run."""
        from faust.utils.cron import Cron

        cron = Cron(spec.cron or "", spec.timezone or self._app.conf.timezone)
        due = cron.next_after(self._clock.time())
        while True:
            await self._until(due)
            await self._run_once(spec)
            due = cron.next_after(max(due, self._clock.time() - 60.0))
            while due < self._clock.time() - 1.0:
                due = cron.next_after(due)

    async def _until(self, due: float) -> None:
        """Wait for a time of the wall clock, which may be set while we wait."""
        while (left := due - self._clock.time()) > 0:
            await self._clock.sleep(min(left, LONGEST_SLEEP))

    def _may_run(self, spec: TaskSpec | TimerSpec) -> bool:
        return not spec.on_leader or self._is_leader()

    async def stop(self) -> None:
        """Cancel them all."""
        self._stopping = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()


def _cancelled(task: asyncio.Task[None]) -> Exception:
    """Nobody but `Background.stop` ends these: something that they waited for was cancelled."""
    return RuntimeError(f"{task.get_name()} was cancelled, although the app is not stopping")


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
