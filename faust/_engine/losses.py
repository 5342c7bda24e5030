"""Messages that could not be delivered and that nobody has asked for.

Whoever awaits what `send` returns hears of a failure, and deals with it.  For all others somebody
must say it.  In a *worker* a message may belong to an event: the first that is lost ends the app
before anything more is committed, and nothing is sent after it.  In a *client* (an app that only
sends and asks) no event comes again: each loss is an error in the log, and sending goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from faust.exceptions import ProducerSendError, RetryableError

if TYPE_CHECKING:
    from faust._engine.deliveries import Delivery

__all__ = ["Losses"]

logger = logging.getLogger(__name__)

#: Seconds between two lines of the log about the same topic.
QUIET = 5.0


class Losses:
    """What one app has lost (on the main loop, where nothing else is said).

    Attributes:
        final: Does the first of them end the app?
    """

    def __init__(self) -> None:
        self.final = False
        #: The first that is final: its topic, and why it was not delivered.
        self._first: tuple[str, BaseException] | None = None
        #: Failures that somebody may still ask for.
        self._open: list[tuple[str, Delivery]] = []
        #: Topic -> how many are not said yet.
        self._unsaid: Counter[str] = Counter()
        self._quiet: dict[str, asyncio.TimerHandle] = {}

    def add(self, topic: str, count: int, error: BaseException) -> None:
        """So many messages are lost, for good."""
        if self.final:
            self._first = self._first or (topic, error)
            return
        self._unsaid[topic] += count
        if topic not in self._quiet:
            self._say(topic, error)

    def may_be(self, topic: str, delivery: Delivery) -> None:
        """A message has failed that somebody may ask for in a moment."""
        if self.final:
            self._open.append((topic, delivery))
        elif not delivery.claims:
            assert delivery.error is not None
            self.add(topic, 1, delivery.error)

    def check(self) -> None:
        """Look whether anything is lost that ends the app.

        Raises:
            ProducerSendError: it is.  It stays so: what events had sent is missing for good, and no
                later commit may say that they are handled.
        """
        waiting, self._open = self._open, []
        for topic, delivery in waiting:
            if not delivery.claims and self._first is None and delivery.error is not None:
                self._first = topic, delivery.error
        if self._first is not None:
            topic, error = self._first
            away = " (the broker may be away)" if isinstance(error, RetryableError) else ""
            raise ProducerSendError(
                f"messages to topic {topic!r} could not be delivered{away}: {error}"
            ) from error

    def _say(self, topic: str, error: BaseException) -> None:
        count, self._unsaid[topic] = self._unsaid[topic], 0
        logger.error(
            "%d messages to topic %s could not be delivered, and are lost, as nobody has asked for "
            "them (await what send() returns, to deal with that): %s", count, topic, error,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        self._quiet[topic] = loop.call_later(QUIET, self._say_more, topic, error)

    def _say_more(self, topic: str, error: BaseException) -> None:
        del self._quiet[topic]
        if self._unsaid[topic]:
            self._say(topic, error)

    def close(self) -> None:
        """Nothing more will be sent; what was not said yet is said."""
        for topic, timer in self._quiet.items():
            timer.cancel()
            if self._unsaid[topic]:
                logger.error("%d more messages to topic %s are lost", self._unsaid[topic], topic)
        self._quiet.clear()
        self._unsaid.clear()
