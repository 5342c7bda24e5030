"""How long a request is tried again, and how it pauses between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from faust._core.clock import Clock
from faust.exceptions import BrokerUnavailable
from faust.transport.drivers.aiokafka.errors import may_be_retried, translated

__all__ = ["Backoff", "Patience", "RestingNodes"]

#: As the Java client's ``retry.backoff.ms`` and ``retry.backoff.max.ms``.
_FIRST_SECONDS, _MOST_SECONDS = 0.1, 1.0
#: Our own: what a program draws with a seed of its own is the same, whatever our threads do.
_random = Random()


class Backoff:
    """Pauses that double up to a second, varied by a fifth so that clients do not march in step."""

    def __init__(self, first_seconds: float = _FIRST_SECONDS) -> None:
        self._first = self._next = first_seconds

    def next_seconds(self) -> float:
        """Return the next pause."""
        pause = self._next * _random.uniform(0.8, 1.2)
        self._next = min(self._next * 2, _MOST_SECONDS)
        return pause

    def reset(self) -> None:
        """Begin again with a short pause."""
        self._next = self._first


class Patience:
    """One request's: what it is for, until when it is tried, and the pauses.

    Arguments:
        what: For the error's message, as in "committing offsets of group g".
        seconds: For how long, from now.
        clock: Where the time comes from.
        first_pause: Seconds of the first pause.
    """

    def __init__(
        self, what: str, seconds: float, clock: Clock, first_pause: float = _FIRST_SECONDS
    ) -> None:
        self.what = what
        self._seconds = seconds
        self._clock = clock
        self._deadline = clock.monotonic() + seconds
        self._backoff = Backoff(first_pause)

    @property
    def remaining(self) -> float:
        """Seconds that are left, at least a tenth (for a last attempt)."""
        return max(0.1, self._deadline - self._clock.monotonic())

    async def after(self, failure: BaseException) -> None:
        """Pause before the next attempt.

        Raises:
            BrokerUnavailable: the time is over.
            BrokerError: trying again cannot help.
        """
        if not may_be_retried(failure):
            raise translated(failure, self.what) from failure
        pause = self._backoff.next_seconds()
        if self._clock.monotonic() + pause >= self._deadline:
            raise BrokerUnavailable(
                f"{self.what}: not within {self._seconds:g} s: "
                f"{str(failure) or type(failure).__name__}"
            ) from failure
        await self._clock.sleep(pause)


class RestingNodes:
    """Nodes that failed just now, and are left alone for a moment.

    Arguments:
        rested: Called when a node may be asked again.
    """

    def __init__(self, rested: Callable[[], None]) -> None:
        self._rested = rested
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._backoffs: dict[int, Backoff] = {}

    def __contains__(self, node: int) -> bool:
        return node in self._timers

    def add(self, node: int) -> None:
        """Let it rest, longer each time; while it rests, once more changes nothing."""
        if node not in self._timers:
            pause = self._backoffs.setdefault(node, Backoff()).next_seconds()
            loop = asyncio.get_running_loop()
            self._timers[node] = loop.call_later(pause, self._wake, node)

    def recovered(self, node: int) -> None:
        """It has answered."""
        self._backoffs.pop(node, None)

    def close(self) -> None:
        """Call nobody any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _wake(self, node: int) -> None:
        del self._timers[node]
        self._rested()
