"""Virtual time: an event loop whose clock jumps ahead when nothing is ready.

Theory.  `VirtualLoop` is asyncio's own loop with another clock.  When no callback is ready it does
not sleep until the next timer: it sets its clock to it.  A test of an hour takes milliseconds, and
two runs take the same steps.  Real waits are not hidden: while work is under way in an executor the
clock stands still.  A loop with nothing ready, no timer and no such work can only hang: it raises
`DeadlockError` with the tasks that wait and where.  With a ``seed``, tasks that are ready at the
same time run in an order drawn from it (callbacks that are no tasks keep theirs, as asyncio
promises): the same seed, the same order.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar, TypeVarTuple

__all__ = ["DeadlockError", "VirtualClock", "VirtualLoop", "run_virtual"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Where virtual wall clocks begin: 2023-11-14 22:13:20 UTC.
EPOCH = 1_700_000_000.0
#: Real seconds that work in an executor may take before we call it hung.
EXECUTOR_PATIENCE = 60.0
#: Virtual seconds after which a run is taken for endless: a week.
TIME_LIMIT = 7 * 86_400.0


class DeadlockError(RuntimeError):
    """Everything waits and nothing will ever happen; or virtual time has run away."""


class VirtualClock:
    """The clock of a `VirtualLoop`, as `faust._core.clock.Clock`."""

    def __init__(self, loop: VirtualLoop, epoch: float = EPOCH) -> None:
        self._loop = loop
        self._epoch = epoch

    @staticmethod
    def current() -> VirtualClock:
        """Return the clock of the running loop.

        Raises:
            RuntimeError: the running loop's time is real.
        """
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise RuntimeError("the running event loop is not virtual: use run_virtual()")
        return loop.clock

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._loop.time()

    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return round(self.time() * 1000) * 1_000_000

    def monotonic(self) -> float:
        """Seconds since the loop was made."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        # Less than this may be lost in a sum of floats, and time would stand still.
        await asyncio.sleep(max(seconds, 1e-6) if seconds > 0 else 0)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; durations are not touched."""
        self._epoch += seconds


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time.

    Arguments:
        seed: Draws the order of tasks that are ready together; ``None``: first come, first served.
        time_limit: Virtual seconds after which the run ends with `DeadlockError`.
    """

    def __init__(self, seed: int | None = None, *, time_limit: float = TIME_LIMIT) -> None:
        self._virtual_now = 0.0
        self._random = None if seed is None else Random(seed)
        self._time_limit = time_limit
        self._executing = 0
        super().__init__(_JumpingSelector(self))
        self.clock = VirtualClock(self)
        # Sums of virtual times carry float noise; a timer this close is due.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As asyncio's; virtual time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._on_executed)
        return future

    def _on_executed(self, _future: asyncio.Future[Any]) -> None:
        self._executing -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As asyncio's; virtual time stands still until its threads have ended."""
        self._executing += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._executing -= 1

    def _run_once(self) -> None:
        if self._random is not None:
            self._shuffle(self._random)
        super()._run_once()  # type: ignore[misc]

    def _shuffle(self, random: Random) -> None:
        ready: deque[asyncio.Handle] = vars(self)["_ready"]
        places = [at for at, handle in enumerate(ready) if _is_task_step(handle)]
        if len(places) < 2:
            return
        handles = [ready[at] for at in places]
        random.shuffle(handles)
        for at, handle in zip(places, handles, strict=True):
            ready[at] = handle

    def pass_time(self, seconds: float | None) -> float | None:
        """Decide what a `select` that found nothing does: return real seconds to wait for.

        Raises:
            DeadlockError: there is nothing to wait for.
        """
        if self._executing:
            return EXECUTOR_PATIENCE
        if seconds is None:
            raise DeadlockError(f"everything waits, and no timer is set:\n{self.describe_tasks()}")
        self._virtual_now += seconds
        if self._virtual_now > self._time_limit:
            raise DeadlockError(
                f"{self._time_limit} virtual seconds have passed without an end:\n"
                f"{self.describe_tasks()}"
            )
        return None

    def describe_tasks(self) -> str:
        """Return one line for each task that has not ended: its name and where it waits."""
        lines = []
        for task in sorted(asyncio.all_tasks(self), key=lambda task: task.get_name()):
            frames = task.get_stack(limit=1)
            where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "?"
            lines.append(f"  {task.get_name()}: {task.get_coro()!r} at {where}")
        return "\n".join(lines)


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for real events without waiting, and lets virtual time pass if there are none."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return real events; virtual time has passed if there are none."""
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        wait = self._loop.pass_time(timeout)
        if wait is None:
            return []
        events = super().select(wait)
        if not events:
            raise DeadlockError(
                f"nothing was heard of an executor for {wait} s:\n{self._loop.describe_tasks()}"
            )
        return events


def _is_task_step(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


def run_virtual(
    main: Coroutine[Any, Any, T],
    seed: int | None = None,
    *,
    time_limit: float = TIME_LIMIT,
) -> T:
    """Run a coroutine in virtual time and return its result; tasks it leaves behind are cancelled.

    Inside, `VirtualClock.current` is the clock to hand to whatever asks for one.

    Raises:
        DeadlockError: everything waits for ever, or ``time_limit`` virtual seconds have passed.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed, time_limit=time_limit)) as runner:
        return runner.run(main)
