"""Messages that could not be delivered and that nobody has asked for.

Whoever awaits what `send` returns hears of a failure, and deals with it.  For all others somebody
must say it.  In a *worker* a message may belong to an event: the first that is lost ends the app
before anything more is committed, and nothing is sent after it.  In a *client* (an app that only
sends and asks) no event comes again: each loss is an error in the log, and sending goes on.  What
is found after the last look that a worker takes can end nothing any more, and is said, too.
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
        self._is_known = False
        self._is_closed = False
        #: Failures that somebody may still ask for.
        self._open: list[tuple[str, Delivery]] = []
        #: Topic -> how many are not said yet.
        self._unsaid: Counter[str] = Counter()
        self._quiet: dict[str, asyncio.TimerHandle] = {}

    def add(self, topic: str, count: int, error: BaseException) -> None:
        """So many messages are lost, for good."""
        self._unsaid[topic] += count
        if self.final:
            self._first = self._first or (topic, error)
            if self._is_closed:
                self._say_the_rest()
        elif self._is_closed or topic not in self._quiet:
            self._say(topic, error)

    def may_be(self, topic: str, delivery: Delivery) -> None:
        """A message has failed that somebody may ask for in a moment."""
        if self.final and not self._is_closed:
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
        self._look()
        if self._first is not None:
            self._is_known = True
            topic, error = self._first
            away = " (the broker may be away)" if isinstance(error, RetryableError) else ""
            raise ProducerSendError(
                f"messages to topic {topic!r} could not be delivered{away}: {error}"
            ) from error

    def _look(self) -> None:
        """Who wanted to ask has asked by now."""
        waiting, self._open = self._open, []
        for topic, delivery in waiting:
            if not delivery.claims and delivery.error is not None:
                self.add(topic, 1, delivery.error)

    def _say(self, topic: str, error: BaseException) -> None:
        count, self._unsaid[topic] = self._unsaid[topic], 0
        logger.error(
            "%d messages to topic %s could not be delivered, and are lost, as nobody has asked for "
            "them (await what send() returns, to deal with that): %s", count, topic, error,
        )  # fmt: skip
        if self._is_closed:
            return
        loop = asyncio.get_running_loop()
        self._quiet[topic] = loop.call_later(QUIET, self._say_more, topic, error)

    def _say_more(self, topic: str, error: BaseException) -> None:
        del self._quiet[topic]
        if self._unsaid[topic]:
            self._say(topic, error)

    def _say_the_rest(self) -> None:
        """In a worker that ends: what no check has found."""
        unsaid, self._unsaid = self._unsaid, Counter()
        if self._first is None or self._is_known:
            return
        for topic, count in unsaid.items():
            logger.error(
                "%d messages to topic %s could not be delivered before the app ended: what events "
                "have sent that are not committed is sent again with them, anything else is lost: "
                "%s", count, topic, self._first[1],
            )  # fmt: skip

    def close(self) -> None:
        """No more is looked for; what was not said yet is said, and what is still found at once."""
        self._look()
        self._is_closed = True
        for topic, timer in self._quiet.items():
            timer.cancel()
            if more := self._unsaid.pop(topic, 0):
                logger.error("%d more messages to topic %s are lost", more, topic)
        self._quiet.clear()
        self._say_the_rest()
