"""The way that every request takes from a transport to its broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from faust.transport.base import TransportOptions
from faust.transport.drivers.memory.broker import MemoryBroker
from faust.transport.drivers.memory.client import Client
from faust.transport.drivers.memory.faults import Request

__all__ = ["Connection"]

T = TypeVar("T")


class Connection(Client):
    """A client, and the broker that it talks to."""

    def __init__(self, broker: MemoryBroker, options: TransportOptions) -> None:
        super().__init__(broker.next_number(), options)
        self.broker = broker

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
