"""One slow agent on millions of events: the process' memory stays flat, others keep their rate.

A soak test: ``FAUST_MEMORY_EVENTS`` says on how many events (5,000,000).
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

import faust
from faust.testing import reliability

EVENTS = int(os.environ.get("FAUST_MEMORY_EVENTS", "5000000"))
#: Of the other topic, in each of the two measurements.
OTHERS = EVENTS // 10
MIB = 1 << 20


def resident() -> int:
    """Return the bytes of memory that this process has now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so; a test's own time-out ends it otherwise."""
    for _ in count():
        if condition():
            return
        await asyncio.sleep(0.02)


async def fill(topic: Any, events: int) -> None:
    value = b'{"id": 123456, "key": "customer-17", "amount": 12.5}'
    for n in range(events):
        await topic.send(value=value, partition=n % 2, value_serializer="raw")
        if not n % 1000:
            await asyncio.sleep(0)  # sending alone lets nobody else run


@pytest.mark.soak
def test_memory_is_flat_behind_a_slow_agent_and_others_keep_their_rate(tmp_path: Path) -> None:
    began = perf_counter()
    app = faust.App(
        "memory",
        broker=f"sqlite://{tmp_path}/broker.db",
        datadir=str(tmp_path),
        web_enabled=False,
        topic_partitions=2,
    )
    long = app.topic("long", internal=True, partitions=2, value_type=bytes)
    other = app.topic("other", internal=True, partitions=2, value_type=bytes)
    slow, quick, is_slow = [0], [0], [False]

    @app.agent(long)
    async def slowly(stream: Any) -> None:
        async for _ in stream:
            slow[0] += 1
            if is_slow[0]:
                await asyncio.sleep(0.05)

    @app.agent(other)
    async def quickly(stream: Any) -> None:
        async for _ in stream:
            quick[0] += 1

    async def rate() -> float:
        """Return the events a second of the quick agent, whose topic was just filled."""
        goal, started = quick[0] + OTHERS, perf_counter()
        await fill(other, OTHERS)
        await until(lambda: quick[0] >= goal)
        return OTHERS / (perf_counter() - started)

    async def main() -> None:
        async with app:
            await rate()  # warm
            alone = await rate()
            is_slow[0] = True
            await fill(long, EVENTS)
            await asyncio.sleep(5)
            before = resident()
            beside = await rate()
            handled = slow[0]
            levels = []
            for _ in range(30):
                await asyncio.sleep(1)
                levels.append(resident())
            assert slow[0] > handled
            flow = app.topics._flow.total
            print(f"alone {alone:,.0f}/s, beside a slow one {beside:,.0f}/s ({beside / alone:.0%})")
            print(f"resident {before / MIB:.0f} MiB, then {min(levels) / MIB:.0f} to "
                  f"{max(levels) / MIB:.0f} MiB; {flow / MIB:.1f} MiB wait")  # fmt: skip
            assert max(levels) < 1.1 * before + 8 * MIB
            assert flow <= 2 * (4 + 2) * MIB
            is_slow[0] = False
            await until(lambda: slow[0] >= EVENTS)
            await asyncio.sleep(1)
        assert slow[0] == EVENTS, "nothing dropped, nothing twice"
        assert quick[0] == 3 * OTHERS

    asyncio.run(main())
    reliability.note(
        reliability.Run(
            number=10, driver="sqlite", guarantee="at_least_once", id=str(EVENTS),
            name="a slow agent", seconds=perf_counter() - began, events=EVENTS,
        )
    )  # fmt: skip
