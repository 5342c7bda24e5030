"""The fetcher: what is fetched while nobody takes it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from faust._engine import fetcher as module
from faust._engine.fetcher import Fetcher
from faust._values import TP
from faust.testing.clock import VirtualClock
from faust.transport.base import Fetched
from tests.support.virtual_time import virtual

PARTITION = TP("t", 0)
MIB = 1 << 20


class Endless:
    """A reader that always has another mebibyte."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self, max_wait: float) -> Fetched:
        await asyncio.sleep(0.001)
        self.asked += 1
        batch: Any = SimpleNamespace(tp=PARTITION, data=bytes(MIB))
        return Fetched([batch], {}, {}, {}, {})

    def unheard_since(self) -> None: ...

    def assign(self, positions: Any) -> None: ...

    async def close(self) -> None: ...


class Blocked:
    """A bridge whose main loop is blocked until it is let go."""

    def __init__(self) -> None:
        self.blocked = True
        self.waiting: list[Any] = []

    def post_main(self, fun: Any, *args: Any) -> None:
        self.waiting.append((fun, args))
        if not self.blocked:
            self.go_on()

    def go_on(self) -> None:
        self.blocked = False
        waiting, self.waiting = self.waiting, []
        for fun, args in waiting:
            fun(*args)

    def post_io(self, fun: Any, *args: Any) -> None:
        fun(*args)


@virtual
async def test_a_main_loop_that_is_blocked_is_not_sent_everything_there_is() -> None:
    """It would all be in memory, and counted by nobody."""
    reader, bridge, delivered = Endless(), Blocked(), [0]

    def deliver(fetched: Fetched, incarnations: Any) -> None:
        delivered[0] += 1

    fetcher = Fetcher(
        reader,  # type: ignore[arg-type]  # a fake
        bridge,  # type: ignore[arg-type]  # a fake
        VirtualClock.current(),
        deliver,
        lambda tp, error: None,
        lambda error: None,
    )
    fetcher.begin()
    fetcher.start({PARTITION: 0}, 1)
    await asyncio.sleep(60)
    assert reader.asked == module.MAX_ON_THE_WAY // MIB + 1
    assert fetcher.idle, "that is no silence of the broker"
    bridge.go_on()
    assert delivered[0] == reader.asked
    await asyncio.sleep(1)
    assert reader.asked > 100
    assert not fetcher.idle
    await fetcher.end()


@virtual
async def test_what_ends_fetching_for_good_ends_the_worker() -> None:
    """The task that fetched had ended, and nobody knew: nothing was read any more."""

    class Broken(Endless):
        async def fetch(self, max_wait: float) -> Fetched:
            raise KeyError("a slip of ours")

    bridge, failures = Blocked(), list[BaseException]()
    bridge.go_on()
    fetcher = Fetcher(
        Broken(),  # type: ignore[arg-type]  # a fake
        bridge,  # type: ignore[arg-type]  # a fake
        VirtualClock.current(),
        lambda fetched, incarnations: None,
        lambda tp, error: None,
        failures.append,
    )
    fetcher.begin()
    fetcher.start({PARTITION: 0}, 1)
    await asyncio.sleep(1)
    assert [type(error) for error in failures] == [KeyError]
    await fetcher.end()
