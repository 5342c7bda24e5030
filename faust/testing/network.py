"""The way to a simulated broker: requests take time, get lost, or take effect and are not
answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from faust.exceptions import BrokerUnavailable, RetryableError
from faust.testing.broker import Faults, MemoryBroker, Request
from faust.testing.processes import current_process

if TYPE_CHECKING:
    from faust.transport.drivers.memory.client import Client

__all__ = ["Network", "Weather"]

#: Requests that a fault may hit while connections are bad.
FRAGILE = frozenset({"produce", "commit", "fetch", "join", "sync", "heartbeat", "committed",
                     "offsets", "topics", "begin", "txn_offsets", "txn_commit",
                     "txn_abort"})  # fmt: skip
#: Requests that go to a coordinator.
COORDINATED = frozenset({"join", "sync", "heartbeat", "commit", "committed", "begin",
                         "txn_offsets", "txn_commit", "txn_abort"})  # fmt: skip


@dataclass
class Weather:
    """How bad the network is.

    Attributes:
        latency: Seconds that a request, or its answer, takes at most.
        slow: Probability that it takes up to ``slow_latency`` instead.
        slow_latency: Seconds.
        lost: Probability that a request fails before it takes effect.
        unanswered: Probability that it fails after it has taken effect.
        lost_sends: As ``lost`` and ``unanswered``, for appending: a driver tries that again for two
            minutes, so it is rarer.
    """

    latency: float = 0.005
    slow: float = 0.01
    slow_latency: float = 0.5
    lost: float = 0.0
    unanswered: float = 0.0
    lost_sends: float = 0.0


@dataclass
class Counts:
    """What has happened."""

    requests: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


class Network(Faults):
    """The faults of a broker, drawn from a seed.

    Attributes:
        weather: How bad it is now; changed at will.
        cut_off: Names of processes that reach nobody now.
        coordinator_moves: Is there no coordinator just now?
        counts: What has happened so far.
    """

    def __init__(self, broker: MemoryBroker, random: Random) -> None:
        super().__init__(broker.clients, lambda tp, offset: broker.log(tp).corrupt(offset))
        self._random = random
        self._broker = broker
        self._clock = broker.clock
        self.weather = Weather()
        self.cut_off: set[str] = set()
        self.coordinator_moves = False
        self.counts = Counts()
        self.is_armed = True

    def _arm(self) -> None:
        self.is_armed = True

    async def admit(self, client: Client, request: Request, timeout: float) -> None:
        """On the way there."""
        # A transport lends the broker its clock; here the broker has one of its own, that never
        # jumps.
        self._broker.clock = self._clock
        await super().admit(client, request, timeout)
        self.counts.requests += 1
        await self._travel(client)
        await self._while_cut_off(client, request, timeout)
        self._check_coordinator(request)
        if self._fails(request.kind, self.weather.lost):
            self._count(self.counts.lost, request.kind)
            raise BrokerUnavailable(f"{request.kind} got lost (simulated)")

    async def release(self, client: Client, request: Request) -> None:
        """On the way back."""
        await super().release(client, request)
        await self._travel(client)
        self._check_coordinator(request)
        if self._fails(request.kind, self.weather.unanswered):
            self._count(self.counts.unanswered, request.kind)
            raise BrokerUnavailable(f"the answer to {request.kind} got lost (simulated)")

    def _check_coordinator(self, request: Request) -> None:
        """A coordinator that moves refuses requests, and does not answer those it has done."""
        if self.coordinator_moves and request.kind in COORDINATED and current_process() is not None:
            self._count(self.counts.refused, request.kind)
            raise RetryableError(f"{request.kind}: the coordinator is moving (simulated)")

    async def _travel(self, client: Client) -> None:
        weather, random = self.weather, self._random
        most = weather.slow_latency if random.random() < weather.slow else weather.latency
        await client.clock.sleep(random.random() * most)

    async def _while_cut_off(self, client: Client, request: Request, timeout: float) -> None:
        process = current_process()
        if process is None or process.name not in self.cut_off:
            return
        deadline = client.clock.monotonic() + timeout
        while process.name in self.cut_off:
            if client.clock.monotonic() >= deadline:
                raise BrokerUnavailable(f"no answer to {request.kind} within {timeout} s")
            await client.clock.sleep(0.1)

    def _fails(self, kind: str, probability: float) -> bool:
        if current_process() is None or kind not in FRAGILE:
            return False
        if kind == "produce":
            probability = self.weather.lost_sends
        return probability > 0 and self._random.random() < probability

    @staticmethod
    def _count(counts: dict[str, int], kind: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1
