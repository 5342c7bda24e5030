"""The watchdog, with a time that the test makes pass."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from faust._core.watchdog import Watchdog


async def watched(timeout: float = 2.0, where: str = "agent a") -> Watchdog:
    watchdog = Watchdog(timeout, lambda: where, interval=3600.0)
    watchdog._thread_id = threading.get_ident()
    watchdog._loop = asyncio.get_running_loop()
    watchdog.beat()
    watchdog.look(0.5)
    return watchdog


def test_a_loop_that_does_not_beat_is_reported_with_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        watchdog = await watched()
        for _ in range(3):
            watchdog.look(0.5)
        assert not caplog.records
        watchdog.look(0.5)
        watchdog.stop()

    asyncio.run(main())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "blocked for 2 s by agent a" in record.getMessage()
    assert "in main" in record.getMessage()


def test_it_says_so_again_after_twice_as_long_and_when_the_loop_runs_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        watchdog = await watched()
        for _ in range(17):
            watchdog.look(0.5)
        assert watchdog.blocked_for == 8.5
        watchdog.beat()
        watchdog.look(0.5)
        assert watchdog.blocked_for == 0.0
        watchdog.stop()

    asyncio.run(main())
    told = [record.getMessage().split(".")[0] for record in caplog.records]
    assert told == [
        "The event loop has been blocked for 2 s by agent a",
        "The event loop has been blocked for 4 s by agent a",
        "The event loop has been blocked for 8 s by agent a",
        "The event loop runs again, after about 8 s",
    ]


def test_a_loop_that_beats_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        watchdog = await watched()
        for _ in range(50):
            watchdog.beat()
            watchdog.look(0.5)
        watchdog.stop()

    asyncio.run(main())
    assert not caplog.records


def test_starting_and_stopping_leaves_no_thread() -> None:
    async def main() -> None:
        watchdog = Watchdog(1.0, str)
        watchdog.start()
        watchdog.stop()

    asyncio.run(main())
    assert "faust-watchdog" not in {thread.name for thread in threading.enumerate()}
