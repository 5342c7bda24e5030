"""Processes in one event loop: each can be frozen, thawed and killed as by a signal.

Theory.  Whatever a process starts (tasks, timers, callbacks) inherits its *context*, and asyncio
keeps that context on every handle that is due.  So the loop can tell whose turn it is: what
belongs to a process that was killed is never run again, no ``finally`` block and no ``except`` of
it, exactly as with SIGKILL; what belongs to a stopped one (SIGSTOP) waits until it is resumed, and
runs late then, with requests in its hands that nobody expects any more.

A process may have two threads with a loop each (`beside` says of what runs that it is not the first
thread's).  One whose agent *blocks* its loop goes on beside it: heartbeats, fetches, rounds.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, TypeVar

from faust.testing.clock import VirtualLoop

__all__ = [
    "Process", "SimulationLoop", "Step", "beside", "current_process", "in_front", "run_simulated",
]  # fmt: skip

T = TypeVar("T")

_process: ContextVar[Process | None] = ContextVar("faust_simulated_process", default=None)

#: Is what runs not the first thread's?
_beside: ContextVar[bool] = ContextVar("faust_simulated_thread", default=False)


def beside() -> Context:
    """Return the context of what runs in a process's other threads."""
    return _context_of(True)


def in_front() -> Context:
    """Return the context of what runs in a process's first thread."""
    return _context_of(False)


def _context_of(is_beside: bool) -> Context:
    context = copy_context()
    context.run(_beside.set, is_beside)
    return context


def current_process() -> Process | None:
    """Return the simulated process that is running, or ``None`` outside of any."""
    return _process.get()


class Process:
    """One simulated process.

    Arguments:
        name: Its name, unique in a simulation.

    Attributes:
        state: ``running``, ``blocked`` (the first thread is busy), ``stopped`` (SIGSTOP) or
            ``killed``.
        main: The task that it began with.
        tasks: All that it has started and that may not have ended.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "running"
        self.main: asyncio.Task[Any] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self._held: list[asyncio.Handle] = []

    @property
    def alive(self) -> bool:
        """Has it not been killed?"""
        return self.state != "killed"

    def start(self, main: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine, and all that it starts, as this process."""
        context = copy_context()
        context.run(_process.set, self)
        loop = asyncio.get_running_loop()
        self.main = loop.create_task(main, name=f"process:{self.name}", context=context)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more."""
        self.state = "killed"

    def stop(self) -> None:
        """SIGSTOP: nothing of it runs until `resume`."""
        if self.state == "running":
            self.state = "stopped"

    def block(self) -> None:
        """Nothing of its first thread runs until `resume`."""
        if self.state == "running":
            self.state = "blocked"

    def resume(self) -> None:
        """SIGCONT, or the end of the block: what was due meanwhile runs now."""
        if self.state not in ("stopped", "blocked"):
            return
        self.state = "running"
        held, self._held = self._held, []
        vars(asyncio.get_running_loop())["_ready"].extend(held)

    def admits(self, handle: asyncio.Handle) -> bool:
        """May this run now?  Keeps it for later if the process is stopped."""
        if self.state == "running":
            return True
        if self.state == "blocked" and handle._context.get(_beside):  # type: ignore[attr-defined]
            return True
        self._held.append(handle)
        return False

    def exhume(self) -> None:
        """Let what is left of a killed process run, so that it can be cancelled (at the very
        end)."""
        self.state = "stopped"
        self.resume()

    def __repr__(self) -> str:
        return f"<Process {self.name} {self.state}>"


#: A task that has run, and the process that it belongs to.
Step = tuple[Process, asyncio.Task[Any]]


class SimulationLoop(VirtualLoop):
    """A virtual loop that knows processes.

    Attributes:
        on_turn: Called after each turn of the loop, with the tasks of processes that have run in
            it; what a crash point is looked for in.
    """

    def __init__(self, seed: int, *, time_limit: float) -> None:
        super().__init__(seed, time_limit=time_limit)
        self.on_turn: Callable[[Iterable[Step]], None] | None = None
        self._pace = Random(seed ^ 0x5EED)

    def busy_clock(self) -> float:
        """A clock for code that measures its own work: it moves a little with each look."""
        self._busy = getattr(self, "_busy", 0.0) + self._pace.random() * 0.002
        return self._busy

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """As asyncio's; a process remembers its tasks."""
        task = super().create_task(coro, **options)
        process = _process.get()
        if process is not None:
            if len(process.tasks) > 100:
                process.tasks = [each for each in process.tasks if not each.done()]
            process.tasks.append(task)
        return task

    def _run_once(self) -> None:
        self._take_due()
        if self.on_turn is None:
            super()._run_once()
            return
        turn = list(vars(self)["_ready"])
        super()._run_once()
        if self.on_turn is not None:
            self.on_turn(_steps(turn))

    def _take_due(self) -> None:
        """Move what is due to what is ready, but for processes that do not run; pass time if need
        be."""
        own = vars(self)
        ready: deque[asyncio.Handle] = own["_ready"]
        scheduled: list[asyncio.TimerHandle] = own["_scheduled"]
        while True:
            limit = self._virtual_now + 1e-6
            while scheduled and scheduled[0].when() < limit:
                timer = heapq.heappop(scheduled)
                self._virtual_now = max(self._virtual_now, timer.when())
                _mark_taken(timer)
                if timer.cancelled():
                    own["_timer_cancelled_count"] -= 1
                else:
                    ready.append(timer)
            self._keep_running(ready)
            if ready or not scheduled:
                return
            self.pass_time(max(0.0, scheduled[0].when() - self._virtual_now))

    @staticmethod
    def _keep_running(ready: deque[asyncio.Handle]) -> None:
        for _ in range(len(ready)):
            handle = ready.popleft()
            context: Context | None = getattr(handle, "_context", None)
            process = None if context is None else context.get(_process)
            if process is None or process.admits(handle):
                ready.append(handle)


def _steps(turn: list[asyncio.Handle]) -> Iterator[Step]:
    """Iterate over the tasks that some handles have run, and their processes."""
    for handle in turn:
        task = getattr(getattr(handle, "_callback", None), "__self__", None)
        context: Context | None = getattr(handle, "_context", None)
        process = None if context is None else context.get(_process)
        if process is not None and isinstance(task, asyncio.Task):
            yield process, task


def _mark_taken(timer: asyncio.TimerHandle) -> None:
    """Note on a timer that it is not in the loop's heap any more, as asyncio itself does."""
    timer._scheduled = False  # type: ignore[attr-defined]  # asyncio's own bookkeeping


def run_simulated(
    main: Callable[[SimulationLoop], Coroutine[Any, Any, T]],
    seed: int,
    *,
    time_limit: float,
) -> T:
    """Run a coroutine function, which gets the loop, on a `SimulationLoop`; return its result.

    Raises:
        DeadlockError: everything waits for ever, or ``time_limit`` virtual seconds have passed.
    """
    loop = SimulationLoop(seed, time_limit=time_limit)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
