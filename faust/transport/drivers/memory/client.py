"""One opened transport, as the broker sees it: the way that every request takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from faust.exceptions import BrokerUnavailable
from faust.transport.drivers.memory.faults import Request
from faust.transport.drivers.memory.signals import Signal

if TYPE_CHECKING:
    from faust.transport.base import TransportOptions
    from faust.transport.drivers.memory.broker import MemoryBroker

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """One client of a `MemoryBroker`.

    Attributes:
        name: Its ``client_id`` and a number: tells it from others in hooks and traces.
        is_killed: It never hears anything again.
        is_cut: It cannot reach the broker.
        signals: Its waiters.
        housekeeping: Wakes the task that lets time pass at the broker.
        sleeps_until: When that task will look next.
    """

    def __init__(self, broker: MemoryBroker, options: TransportOptions) -> None:
        self.broker = broker
        self.options = options
        self.clock = options.clock
        self.client_id = options.client_id
        self.name = f"{options.client_id}-{broker.next_number()}"
        self.is_killed = False
        self.is_cut = False
        self.signals: dict[int, Signal] = {}
        self.housekeeping = Signal()
        self.sleeps_until = float("inf")

    async def call(
        self,
        kind: str,
        subject: object,
        effect: Callable[[], T],
        timeout: float | None = None,
    ) -> T:
        """Let a request take effect at the broker; hands over to the event loop once.

        Raises:
            BrokerUnavailable: not within ``timeout`` seconds (``request_timeout``).
        """
        await asyncio.sleep(0)
        faults = self.broker.faults
        if not faults.is_armed:
            with self.broker.lock:
                return effect()
        request = Request(kind, self.name, subject)
        await faults.admit(self, request, timeout or self.options.request_timeout)
        with self.broker.lock:
            answer = effect()
        await faults.release(self, request)
        return answer

    async def hang_if_dead(self) -> None:
        """Return, unless killed: then never.

        Raises:
            BrokerUnavailable: cut off.
        """
        if self.is_killed:
            await asyncio.get_running_loop().create_future()
        if self.is_cut:
            raise BrokerUnavailable(f"{self.name} is cut off from the broker")

    def wake(self) -> None:
        """Wake all waiters, so that they look again."""
        for signal in list(self.signals.values()):
            signal.set()

    def new_signal(self) -> Signal:
        """Return a signal that `wake` sets, too."""
        signal = Signal()
        self.signals[id(signal)] = signal
        return signal

    def drop_signal(self, signal: Signal) -> None:
        """Forget a signal."""
        self.signals.pop(id(signal), None)
