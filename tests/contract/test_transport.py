"""The published conformance suite, on the memory broker in virtual time."""

from __future__ import annotations

from collections.abc import Coroutine
from itertools import count
from typing import Any

from faust._core.clock import Clock
from faust.testing.clock import VirtualClock, run_virtual
from faust.testing.conformance import EVERYTHING, World
from faust.transport.base import Transport
from faust.transport.drivers.memory import MemoryTransport, forget_broker

_numbers = count(1)


class MemoryWorld(World):
    """A broker of its own for each test."""

    def __init__(self) -> None:
        super().__init__()
        self.broker_name = f"contract-{next(_numbers)}"

    def url(self) -> str:
        return f"memory://{self.broker_name}"

    def driver(self) -> type[Transport]:
        return MemoryTransport

    def clock(self) -> Clock:
        return VirtualClock.current()

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        try:
            run_virtual(main, self.seed(), time_limit=3600.0)
        finally:
            forget_broker(self.broker_name)

    def seed(self) -> int | None:
        """In which order tasks that are ready together run."""
        return None

    async def maintain(self, transport: Transport) -> None:
        assert isinstance(transport, MemoryTransport)
        transport.broker.run_maintenance()


class ShuffledWorld(MemoryWorld):
    """The same, with tasks that are ready together in any order."""

    def seed(self) -> int | None:
        return next(_numbers)


class TestMemory(*EVERYTHING):  # type: ignore[misc]
    def make_world(self) -> World:
        return MemoryWorld()


class TestMemoryInAnyOrder(*EVERYTHING):  # type: ignore[misc]
    def make_world(self) -> World:
        return ShuffledWorld()
