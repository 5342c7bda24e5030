"""Is there a broker at all?  Asked only where an app must not wait for one for ever.

``broker_unavailable_timeout`` counts seconds without *any* answer.  Fetches, heartbeats and commits
cannot tell: a worker that owns nothing fetches nothing, one that joins sends no heartbeats, and
each of them may fail while others succeed.  So one small question is asked now and then, whatever
else is going on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from faust.exceptions import BrokerUnavailable, RetryableError

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust.transport.base import Transport

__all__ = ["Reach"]

#: Seconds between two questions, at most.
INTERVAL = 5.0


class Reach:
    """Asks the broker for what it knows of a topic, again and again (on the I/O loop).

    Arguments:
        transport: The broker.
        clock: Where time comes from.
        topics: Returns the topics to ask for.
        limit: Seconds without an answer after which the broker is taken for gone.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        topics: Callable[[], Collection[str]],
        limit: float,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._topics = topics
        self._limit = limit
        self._interval = min(INTERVAL, limit / 4)

    async def lost(self) -> BrokerUnavailable:
        """Wait until the broker has not answered for too long; return why it was not reached."""
        answered = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._interval)
            left = answered + self._limit - self._clock.monotonic()
            failure = await self._ask(max(left, self._interval))
            now = self._clock.monotonic()
            if failure is None:
                answered = now
            elif now - answered >= self._limit:
                return failure

    async def _ask(self, patience: float) -> BrokerUnavailable | None:
        try:
            async with asyncio.timeout(patience):
                await self._transport.topics(list(self._topics())[:1])
        except TimeoutError:
            return BrokerUnavailable("no answer")
        except BrokerUnavailable as exc:
            return exc
        except RetryableError:
            pass  # it was a broker that said so
        return None
