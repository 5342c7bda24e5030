"""Virtual time: jumps, deadlocks named, executors waited for, orders drawn from a seed."""

from __future__ import annotations

import asyncio
import time

import pytest

from faust.testing.clock import EPOCH, DeadlockError, VirtualClock, run_virtual


def test_hours_pass_at_once() -> None:
    async def main() -> float:
        clock = VirtualClock.current()
        await clock.sleep(7200.0)
        assert clock.time() == pytest.approx(EPOCH + 7200.0)
        return clock.monotonic()

    assert run_virtual(main()) == pytest.approx(7200.0)


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[float]:
        fired: list[float] = []

        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            fired.append(seconds)

        await asyncio.gather(*(wait(seconds) for seconds in (3.0, 0.1, 2.0, 1e-3, 0.7)))
        return fired

    assert run_virtual(main()) == [1e-3, 0.1, 0.7, 2.0, 3.0]


def test_time_outs_are_virtual() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600.0):
                await asyncio.get_running_loop().create_future()

    run_virtual(main())


def test_a_deadlock_is_an_error_that_names_who_waits() -> None:
    async def waits_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(waits_for_ever(), name="the-culprit")
        await task

    with pytest.raises(DeadlockError, match="the-culprit"):
        run_virtual(main())


def test_time_that_runs_away_is_an_error() -> None:
    async def main() -> None:
        for _ in range(1_000_000):
            await asyncio.sleep(1.0)

    with pytest.raises(DeadlockError, match=r"100\.0 virtual seconds"):
        run_virtual(main(), time_limit=100.0)


def test_a_thread_that_takes_a_second_to_end_was_taken_for_a_deadlock() -> None:
    """At the end of a run, while what had been in an executor was waited for."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(time.sleep, 0)
        vars(loop)["_default_executor"].submit(time.sleep, 1.2)

    run_virtual(main())


def test_the_clock_stands_still_while_an_executor_works() -> None:
    async def main() -> None:
        started = asyncio.get_running_loop().time()
        timer = asyncio.create_task(asyncio.sleep(0.001))
        await asyncio.to_thread(time.sleep, 0.02)
        assert asyncio.get_running_loop().time() == started
        await timer

    run_virtual(main())


def test_another_thread_may_wake_the_loop() -> None:
    async def main() -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        await asyncio.gather(asyncio.to_thread(loop.call_soon_threadsafe, event.set), event.wait())

    run_virtual(main())


def _order(seed: int | None) -> list[int]:
    async def main() -> list[int]:
        order: list[int] = []

        async def step(number: int) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*(step(number) for number in range(12)))
        return order

    return run_virtual(main(), seed)


def test_without_a_seed_tasks_run_in_the_order_they_came() -> None:
    assert _order(None) == list(range(12))


def test_a_seed_gives_an_order_and_the_same_seed_the_same() -> None:
    orders = [_order(seed) for seed in range(5)]
    assert orders == [_order(seed) for seed in range(5)]
    assert len({tuple(order) for order in orders}) > 1


def test_the_wall_clock_may_jump_and_durations_do_not() -> None:
    async def main() -> None:
        clock = VirtualClock.current()
        before, duration = clock.time(), clock.monotonic()
        clock.jump(-3600.0)
        assert clock.time() == before - 3600.0
        assert clock.monotonic() == duration

    run_virtual(main())


def test_real_loops_have_no_virtual_clock() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="run_virtual"):
            VirtualClock.current()

    asyncio.run(main())
