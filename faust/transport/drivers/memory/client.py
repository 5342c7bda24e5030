"""One opened transport, as the broker sees it: alive, cut off or dead, and who waits there."""

from __future__ import annotations

import asyncio

from faust.exceptions import BrokerUnavailable
from faust.transport.base import TransportOptions
from faust.transport.drivers.memory.signals import Signal

__all__ = ["Client"]


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

    def __init__(self, number: int, options: TransportOptions) -> None:
        self.options = options
        self.clock = options.clock
        self.client_id = options.client_id
        self.name = f"{options.client_id}-{number}"
        self.is_killed = False
        self.is_cut = False
        self.signals: dict[int, Signal] = {}
        self.housekeeping = Signal()
        self.sleeps_until = float("inf")

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
