"""The bridge between the two loops, with real threads: how it ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from faust._core.threads import Bridge, LoopBridge, ThreadBridge
from faust.exceptions import BrokerUnavailable

GONE = "not connected to its broker any more"


async def answer() -> int:
    return 1


async def never() -> None:
    await asyncio.get_running_loop().create_future()


def nobody_complains(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Run to the end; nothing is logged, and nothing was never awaited."""
    asyncio.run(flow)
    gc.collect()
    assert caplog.records == []


@pytest.mark.parametrize("make", [ThreadBridge, LoopBridge])
def test_a_call_after_the_end_is_refused_and_leaves_no_coroutine(
    make: Callable[[], Bridge], caplog: pytest.LogCaptureFixture
) -> None:
    """It made one that nobody awaited, and failed by "Event loop is closed"."""

    async def flow() -> None:
        bridge = make()
        await bridge.start()
        assert await bridge.call_io(answer) == 1
        await bridge.stop()
        with pytest.raises(BrokerUnavailable, match=GONE):
            await bridge.call_io(answer)

    nobody_complains(flow(), caplog)


def test_what_is_posted_after_the_end_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    async def flow() -> None:
        bridge = ThreadBridge()
        done: list[int] = []
        await bridge.start()
        bridge.post_io(done.append, 1)
        await bridge.stop()
        bridge.post_io(done.append, 2)
        await bridge.stop()
        assert done == [1]

    nobody_complains(flow(), caplog)


def test_who_waits_for_an_answer_when_it_ends_is_told_and_not_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its task ended as if somebody had cancelled it."""

    async def flow() -> None:
        bridge = ThreadBridge()
        await bridge.start()
        asking = asyncio.create_task(bridge.call_io(never))
        await bridge.call_io(answer)
        await bridge.stop()
        with pytest.raises(BrokerUnavailable, match=GONE):
            await asking

    nobody_complains(flow(), caplog)


def test_who_is_cancelled_while_it_ends_stays_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    async def flow() -> None:
        bridge = ThreadBridge()
        await bridge.start()
        asking = asyncio.create_task(bridge.call_io(never))
        await bridge.call_io(answer)
        asking.cancel()
        await bridge.stop()
        await asyncio.wait({asking})
        assert asking.cancelled()

    nobody_complains(flow(), caplog)


def test_who_asks_again_when_it_is_told_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """Between the last look at what runs there and the closing of the loop, a call got lost."""

    async def flow() -> None:
        bridge = ThreadBridge()
        await bridge.start()

        async def ask_twice() -> None:
            try:
                await bridge.call_io(never)
            finally:
                await bridge.call_io(never)

        asking = [asyncio.create_task(ask_twice()) for _ in range(20)]
        await bridge.call_io(answer)
        await bridge.stop()
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(error, BrokerUnavailable) for error in told)

    nobody_complains(flow(), caplog)


def test_what_the_other_loop_has_asked_for_ends_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """It went on, and nobody was left to hear of it."""

    async def flow() -> None:
        bridge = ThreadBridge()
        await bridge.start()
        begun, ended = asyncio.Event(), list[str]()

        async def on_main() -> None:
            begun.set()
            try:
                await never()
            finally:
                await asyncio.sleep(0.01)
                ended.append("on main")

        asking = asyncio.create_task(bridge.call_io(bridge.call_main, on_main))
        await begun.wait()
        await bridge.stop()
        assert ended == ["on main"]
        assert asyncio.all_tasks() <= {asyncio.current_task(), asking}
        with pytest.raises(BrokerUnavailable):
            await asking

    nobody_complains(flow(), caplog)
