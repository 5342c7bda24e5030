"""How an agent answers those who ask it: the value or the exception, to the topic they named.

Who asked may have gone since, and its topic with it.  Such an answer is dropped: nothing waits for
it, no topic is made again for nobody, and no event fails because of it.
"""

from __future__ import annotations

import logging
from functools import partial
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from faust._machines.retry import backoff
from faust.agents.models import CORRELATION_HEADER, REPLY_HEADER, ReqRepResponse
from faust.exceptions import RetryableError, UnknownTopic

if TYPE_CHECKING:
    from faust._context import AppContext, Sent
    from faust.events import Event
    from faust.topics import Topic

__all__ = ["Answers"]

logger = logging.getLogger(__name__)

#: Reply topics that are remembered; beyond that all are looked up again.
MOST_TOPICS = 1_000
#: Characters of a traceback that travel (its end, which says what happened).
MOST_TRACEBACK = 20_000


class Answers:
    """The answers of one agent.

    Attributes:
        dropped: How many were for somebody who has gone.
    """

    def __init__(self, app: AppContext, agent: str) -> None:
        self._app = app
        self._agent = agent
        self._topics: dict[str, Topic[Any]] = {}
        self.dropped = 0

    async def give(self, event: Event[Any], value: Any) -> None:
        """Answer a request with what was yielded for it."""
        await self._send(event, value, None)

    async def refuse(self, event: Event[Any], exc: BaseException) -> None:
        """Answer a request with the exception that it ended in."""
        text = "".join(format_exception(exc))[-MOST_TRACEBACK:]
        await self._send(event, None, [type(exc).__name__, str(exc), text])

    async def _send(self, event: Event[Any], value: Any, error: Any) -> None:
        reply_to = event.headers[REPLY_HEADER].decode()
        correlation_id = event.headers.get(CORRELATION_HEADER, b"").decode()
        key = event.key.decode(errors="replace") if isinstance(event.key, bytes) else event.key
        response = ReqRepResponse(key=key, value=value, correlation_id=correlation_id, error=error)
        topic = self._topics.get(reply_to) or await self._find(reply_to)
        if topic is None:
            self._drop(reply_to)
            return
        try:
            sent = await topic.send(value=response)
        except UnknownTopic:
            self._topics.pop(reply_to, None)
            self._drop(reply_to)
            return
        sent.claim()  # what becomes of it is no concern of the event's
        sent.add_done_callback(partial(self._delivered, reply_to))

    async def _find(self, reply_to: str) -> Topic[Any] | None:
        """Return the topic; ``None`` if who made it for its replies has gone."""
        app: Any = self._app
        ours = reply_to.startswith(app.conf.reply_to_prefix)
        if ours and not await self._exists(reply_to):
            return None
        if len(self._topics) >= MOST_TOPICS:
            self._topics.clear()
        topic: Topic[Any] = app.topic(reply_to)
        self._topics[reply_to] = topic
        return topic

    async def _exists(self, reply_to: str) -> bool:
        """Ask the broker, until it answers: that it is away is no failure of the event."""
        app: Any = self._app
        attempt = 0
        while True:
            try:
                found: bool = await app.topic_exists(reply_to)
                return found
            except RetryableError as exc:
                if not attempt:
                    logger.warning("Agent %s: an answer waits for the broker: %s", self._agent, exc)
                attempt += 1
                await app.clock.sleep(backoff(attempt, 0.1, 5.0))

    def _delivered(self, reply_to: str, sent: Sent) -> None:
        error = sent.peek_error()
        if error is None:
            return
        self._topics.pop(reply_to, None)
        if isinstance(error, UnknownTopic):
            self._drop(reply_to)
        else:
            logger.error("Agent %s: an answer could not be delivered: %s", self._agent, error)

    def _drop(self, reply_to: str) -> None:
        """Count it; say so the first time, and then ever more rarely."""
        self._app.outbox.forget(reply_to)
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:  # 1, 2, 4, 8, ...
            logger.warning(
                "Agent %s: an answer was dropped, because who asked has gone (there is no topic %r "
                "any more); %d dropped so far",
                self._agent, reply_to, self.dropped,
            )  # fmt: skip
