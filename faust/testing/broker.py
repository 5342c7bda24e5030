"""The memory broker for tests: one of its own for each test, with faults on demand.

::

    async with memory_broker() as broker:
        app = faust.App("test", broker=broker.url)
        broker.faults.fail("commit", BrokerUnavailable("down"), times=3)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from faust._core.clock import Clock
from faust.transport.drivers.memory import (
    Faults,
    MemoryBroker,
    Request,
    find_broker,
    forget_broker,
)

__all__ = [
    "Faults",
    "MemoryBroker",
    "Request",
    "find_broker",
    "forget_broker",
    "memory_broker",
]

_numbers = count(1)


@asynccontextmanager
async def memory_broker(
    *, auto_create: bool = True, clock: Clock | None = None
) -> AsyncIterator[MemoryBroker]:
    """Give an empty broker under a name of its own (`MemoryBroker.url`), and drop it afterwards.

    Arguments:
        auto_create: Create unknown topics on first use.
        clock: Where it takes the time from until a transport opens.
    """
    name = f"test-{next(_numbers)}"
    broker = find_broker(name)
    broker.auto_create = auto_create
    if clock is not None:
        broker.use_clock(clock)
    try:
        yield broker
    finally:
        forget_broker(name)
